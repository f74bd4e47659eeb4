"""What a cell and a time may be, brought to the form that travels."""
from __future__ import absolute_import

import datetime
import decimal
import time

from iobeam.utils import compat, utils

MAX_INT = 2 ** 63 - 1  # the backend stores 64-bit integers
MIN_INT = -2 ** 63
MAX_USEC = 2 ** 63 - 1  # and times as 64-bit microseconds
MIN_USEC = -2 ** 63

# The years 1985 to 2286, in seconds and in microseconds.
_SECONDS = (5 * 10 ** 8, 10 ** 10)
_MICROSECONDS = (5 * 10 ** 14, 10 ** 16)

_EPOCH = datetime.datetime(1970, 1, 1)


# Kinds of numpy's types that have a plain form: bool, integers, floats, text.
# A bytes_ is 2.7's str. Dates, durations, objects and structs have none that
# would mean the same for every unit and field.
_PLAIN_KINDS = "biufUS" if compat.PY2 else "biufU"


class NotFinite(ValueError):
    """The value is NaN or an infinity: the caller decides what becomes of it.

    Attributes:
        value (float): NaN also stands for what numpy calls masked.
    """

    def __init__(self, what, value=float("nan")):
        ValueError.__init__(self, what)
        self.value = value


def normalise(what, value):
    """Return a cell value as a plain number, bool, text or None.

    Args:
        what (str): names the value in messages, such as ``column 'temp'``.
        value: int, float, bool, str, unicode, None; subclasses of these,
            `decimal.Decimal` and numpy scalars are converted, `pandas.NA`
            is None.

    Raises:
        NotFinite: NaN or an infinity, which JSON cannot carry, or masked.
        ValueError: another type, an integer outside 64 bits, text that is not
            valid Unicode.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, compat.INTEGERS):
        if not MIN_INT <= value <= MAX_INT:
            raise ValueError("{}: {} does not fit 64 bits; send it as a float "
                             "or a string".format(what, utils.shorten(value)))
        return value if type(value) in compat.INTEGERS else int(value)
    if isinstance(value, float):
        value = float(value)  # one of numpy's would warn of what comes now
        if value - value != 0:
            raise NotFinite(what, value)
        return value
    if isinstance(value, compat.TEXTS):
        decoded = utils.checkedText(what, value)
        return value if type(value) in compat.TEXTS else u"".join((decoded,))
    if isinstance(value, decimal.Decimal):
        if value.is_nan():  # float() refuses a signalling one
            raise NotFinite(what)
        return normalise(what, float(value))
    if isMissing(value):
        return None
    plain = _plainScalar(what, value)
    if type(plain) is not type(value):
        return normalise(what, plain)
    raise ValueError(
        "{}: a value must be a number, bool, string or None, not {}: {}".format(
            what, _typeName(value), utils.shorten(value)))


def isMissing(value):
    """Tell whether it is `pandas.NA`; pandas itself is not imported."""
    return type(value).__name__ == "NAType" \
        and type(value).__module__.split(".")[0] == "pandas"


def wholeNumber(value):
    """Return an int, or an integer of numpy as an int; None for all else."""
    if compat.isInteger(value):
        # one of numpy's is an int on 2.7, and overflows when multiplied
        return value if type(value) in compat.INTEGERS else int(value)
    if _numpyKind(value) in ("i", "u") and not _isMasked(value):
        return int(value)
    return None


def _numpyKind(value):
    """Return the kind of a numpy scalar or 0-d array, or None."""
    if getattr(value, "shape", None) != ():
        return None
    return getattr(getattr(value, "dtype", None), "kind", None)


def _isMasked(value):
    return bool(getattr(value, "mask", False))


def _plainScalar(what, value):
    """Return what a scalar of numpy stands for, or `value` itself.

    `item()` alone would give an int for a time in ns, a `datetime` for one in
    us, and what lies under the mask for a masked value.
    """
    kind = _numpyKind(value)
    if kind is None:  # such as a tensor of no dimension
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            return value.item()
        return value
    if kind not in _PLAIN_KINDS:
        return value
    if _isMasked(value):
        raise NotFinite(what)
    # a longdouble stays one in item()
    return float(value) if kind == "f" else value.item()


def _typeName(value):
    """Return the name of a type; that of numpy's arrays with what is inside."""
    name = type(value).__name__
    dtype = getattr(value, "dtype", None)
    return name if dtype is None else "{} ({})".format(name, dtype)


def looksLikeAnotherUnit(milliseconds):
    """Tell whether ms look like seconds or microseconds of our time.

    Taken for ms they would be January to April of 1970, or the years from
    17 800 on.
    """
    return (_SECONDS[0] <= milliseconds < _SECONDS[1]
            or _MICROSECONDS[0] <= milliseconds < _MICROSECONDS[1])


def checkRange(usec, shown):
    """Return `usec` if it fits the backend's 64-bit microseconds.

    Raises:
        ValueError: it does not; the message suggests the unit.
    """
    if not MIN_USEC <= usec <= MAX_USEC:
        raise ValueError(
            "timestamp {} is out of range; a bare int counts milliseconds: use "
            "Timestamp(value, unit=TimeUnit.MICROSECONDS) (or SECONDS) if it "
            "counts another unit".format(utils.shorten(shown)))
    return usec


def fromDatetime(moment):
    """Return a `datetime` as whole microseconds since the epoch.

    A naive one is local time, as ``datetime.timestamp()`` has it.

    Raises:
        ValueError: it has no local time, or is pandas' NaT.
    """
    if moment != moment:  # NaT, a datetime by its class
        raise ValueError("{!r} is no time".format(moment))
    offset = moment.utcoffset()
    moment = moment.replace(tzinfo=None)
    try:
        if offset is None and moment.year > datetime.MAXYEAR:
            raise OverflowError  # pandas knows such, and its C part does not
        if offset is not None:
            since = moment - _EPOCH
            seconds = since.days * 86400 + since.seconds
        elif hasattr(datetime.datetime, "timestamp"):
            # Knows `fold`, and years that mktime does not. That of pandas,
            # a subclass, would take a naive time for UTC.
            seconds = int(datetime.datetime.timestamp(  # novm
                moment.replace(microsecond=0)))
        else:
            seconds = _localSeconds(_asUtc(moment.timetuple()))
    except (OverflowError, ValueError, EnvironmentError):
        raise ValueError("{!r} has no local time here: give it a tzinfo".format(
            moment))
    usec = seconds * 1000000 + moment.microsecond
    if offset is not None:
        usec -= ((offset.days * 86400 + offset.seconds) * 1000000
                 + offset.microseconds)
    return usec


def _asUtc(fields):
    """Return a struct_time as s since the epoch, as if it were UTC."""
    since = datetime.datetime(*fields[:6]) - _EPOCH
    return since.days * 86400 + since.seconds


def _localSeconds(wall):
    """Return local time, in s as if it were UTC, as s since the epoch.

    For 2.7, whose mktime tells the hour that comes twice by what it was asked
    before: here it is the first one, as in ``datetime.timestamp()``.
    """
    def offset(seconds):
        return _asUtc(time.localtime(seconds)) - seconds

    # no zone is further than that from UTC, and none changes twice in it
    before, after = offset(wall - 86400), offset(wall + 86400)
    for shift in (before, after):
        if offset(wall - shift) == shift:
            return wall - shift
    return wall - before  # an hour that was skipped
