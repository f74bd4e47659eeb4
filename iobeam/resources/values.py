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

_EPOCH = datetime.datetime(1970, 1, 1)


class NotFinite(ValueError):
    """The value is NaN or an infinity: the caller decides what becomes of it."""


def normalise(what, value):
    """Return a cell value as a plain number, bool, text or None.

    Args:
        what (str): names the value in messages, such as ``column 'temp'``.
        value: int, float, bool, str, unicode, None; subclasses of these,
            `decimal.Decimal` and numpy scalars are converted.

    Raises:
        NotFinite: NaN or an infinity, which JSON cannot carry.
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
        if value - value != 0:
            raise NotFinite(what)
        return value if type(value) is float else float(value)
    if isinstance(value, compat.TEXTS):
        decoded = utils.checkedText(what, value)
        return value if type(value) in compat.TEXTS else u"".join((decoded,))
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise NotFinite(what)
        return normalise(what, float(value))
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        plain = value.item()  # a numpy scalar
        if type(plain) is not type(value):
            return normalise(what, plain)
    raise ValueError(
        "{}: a value must be a number, bool, string or None, not {}: {}".format(
            what, type(value).__name__, utils.shorten(value)))


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
    """
    offset = moment.utcoffset()
    moment = moment.replace(tzinfo=None)
    try:
        if offset is not None:
            since = moment - _EPOCH
            seconds = since.days * 86400 + since.seconds
        elif hasattr(datetime.datetime, "timestamp"):
            # Knows `fold`, and years that mktime does not. That of pandas,
            # a subclass, would take a naive time for UTC.
            seconds = int(datetime.datetime.timestamp(  # novm
                moment.replace(microsecond=0)))
        else:
            seconds = int(time.mktime(moment.timetuple()))
    except (OverflowError, EnvironmentError):
        raise ValueError("{!r} has no local time here: give it a tzinfo".format(
            moment))
    usec = seconds * 1000000 + moment.microsecond
    if offset is not None:
        usec -= ((offset.days * 86400 + offset.seconds) * 1000000
                 + offset.microseconds)
    return usec
