"""Times as people's loggers write them, and the zones they are meant in.

Pure, and the standard library alone. `look` says what a cell may be; `Moments`
reads a column of them, in microseconds since 1970. No time is guessed: what two
readings fit is told apart by the file, or refused.
"""
from __future__ import absolute_import

import calendar
import datetime
import re

from iobeam.command.cells import shown
from iobeam.utils.zones import offsetOf, zoneinfo, zoneOf

__all__ = ["CLOCK", "CLOCK_DIGITS", "COMPACT", "DATE", "DAY_FIRST", "EITHER",
           "EPOCHS", "FULL", "Folds", "MONTH_FIRST", "Moments", "Order",
           "Skipped", "isNaive", "look", "unitOf", "zoneOf", "zoneinfo"]

FULL, DATE, CLOCK, COMPACT, CLOCK_DIGITS, EITHER = (
    "full", "date", "clock", "compact", "clock digits", "either")
EPOCHS = ("sec", "msec", "usec", "nsec")
DAY_FIRST, MONTH_FIRST = "dd/mm/yyyy", "mm/dd/yyyy"

_SECOND = 1000000  # us
_DAY = 86400  # s
# By magnitude: a number is a time in a unit if it lies between 1990 and 2100.
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
# yyyymmdd, with hhmm or hhmmss behind it or not: no number of our time has as
# many digits, in any unit.
_FIRST_COMPACT = 1800
_FIRST = calendar.timegm((_FIRST_YEAR, 1, 1, 0, 0, 0))
_LAST = calendar.timegm((_LAST_YEAR, 1, 1, 0, 0, 0))
_PER_SECOND = {"sec": 1, "msec": 1000, "usec": 10 ** 6, "nsec": 10 ** 9}
_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
_MAX_HOURS = 50000  # remembered, some six years of them
_MAX_TAILS = 5000  # what stands behind the seconds: .123Z

_CLOCK_TEXT = (r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
               r"(?::(?P<second>[0-9]{2})(?:[.,](?P<part>[0-9]+))?)?"
               r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?")
_ZONE_TEXT = (r"(?:\s*(?P<zone>[Zz]|UTC|utc|GMT|[+-][0-9]{2}"
              r"(?::?[0-9]{2})?))?")
_DATE_TEXT = (
    r"(?:(?P<year>[0-9]{4})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)"
    r"(?P<day>[0-9]{1,2})|(?P<one>[0-9]{1,2})(?P<sign>[-/.])"
    r"(?P<two>[0-9]{1,2})(?P=sign)(?P<last>[0-9]{4}))")
_CALENDAR = re.compile(r"{0}(?:(?:[Tt]|,?\s+){1}{2})?\Z".format(
    _DATE_TEXT, _CLOCK_TEXT, _ZONE_TEXT))
_COMPACT = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:[Tt ]?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?"
    r"(?:\.(?P<part>[0-9]+))?" + _ZONE_TEXT + r")?\Z")
_COMPACT_CLOCK = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})\s+"
    + _CLOCK_TEXT + _ZONE_TEXT + r"\Z")
_DATE_DIGITS = re.compile(_DATE_TEXT + r"\s+(?P<hour>[0-9]{2})"
                          r"(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?\Z")
_CLOCK = re.compile(_CLOCK_TEXT + _ZONE_TEXT + r"\Z")
_CLOCK_PLAIN = re.compile(r"(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?\Z")
_ZONE_AT_END = re.compile(r"(?:[Zz]|UTC|utc|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)\Z")
_TAIL = re.compile(r"(?:[.,](?P<part>[0-9]+))?(?P<zone>.*)\Z")
_EPOCH = re.compile(r"([+-]?)([0-9]+)(?:[.,]([0-9]*))?\Z")
_MINUTES = dict(("{:02d}".format(k), k * 60 * _SECOND) for k in range(60))
_SECONDS = dict((":{:02d}".format(k), k * _SECOND) for k in range(60))
_SECONDS[""] = 0


class Skipped(ValueError):
    """A local time that summer time leaps over."""


# -- looking ----------------------------------------------------------------


def look(cell):
    """What a cell may be, or None: one of the words above, or a unit."""
    text = cell.strip()
    if not text or not (text[0].isdigit() or text[0] in "+-"):
        return None
    if _CALENDAR.match(text):
        if _reads(_CALENDAR.match(text)):
            return FULL if ":" in text else DATE
        return None
    if _CLOCK.match(text):
        return CLOCK
    split = _COMPACT_CLOCK.match(text)
    if split:
        return FULL if _reads(split) else None
    compact = _COMPACT.match(text)
    if compact and _reads(compact) \
            and _FIRST_COMPACT <= int(text[:4]) < _LAST_YEAR:
        return COMPACT
    unit = unitOf(text)
    if unit == "sec" and len(text) == 10 and _reads(
            _COMPACT.match(text + "00")) and _FIRST_YEAR <= int(
                text[:4]) < _LAST_YEAR:
        return EITHER  # yyyymmddhh, or a second after 2033
    if unit is None and _CLOCK_PLAIN.match(text):
        return CLOCK_DIGITS
    return unit


def isNaive(cell, family):
    """True if a time names no zone."""
    if family != "calendar":
        return family not in EPOCHS and "%z" not in family
    match = _ZONE_AT_END.search(cell.strip())
    return match is None or ":" not in cell[:match.start()]


def unitOf(text):
    """The unit that a number of our time is in since 1970, or None."""
    match = _EPOCH.match(text)
    if match is None:
        return None
    value = int(match.group(1) + match.group(2))
    for unit in EPOCHS:
        if _FIRST * _PER_SECOND[unit] <= value < _LAST * _PER_SECOND[unit]:
            return unit
    return None


def _reads(match):
    for order in (DAY_FIRST, MONTH_FIRST):
        try:
            _wall(match.groupdict(), order)
            return True
        except ValueError:
            pass
    return False


def _orders(text):
    """Which orders a date with the year last fits; () for other dates."""
    match = _CALENDAR.match(text) or _DATE_DIGITS.match(text)
    if match is None or match.group("last") is None \
            or match.group("sign") == ".":
        return ()
    one, two = int(match.group("one")), int(match.group("two"))
    return tuple(order for order, month in ((DAY_FIRST, two),
                                            (MONTH_FIRST, one))
                 if 1 <= month <= 12 and 1 <= one + two - month <= 31)


class Order(object):
    """Finds out whether dates with the year last begin with the day."""

    def __init__(self):
        self.fits = set()  # what single cells demand
        self.isOpen = False  # there was one that fits both

    def look(self, cell):
        """Take note of a cell."""
        orders = _orders(cell.strip())
        if len(orders) == 1:
            self.fits.update(orders)
        elif orders:
            self.isOpen = True

    def found(self):
        """The order, or None: there is no such date, or it is in doubt."""
        return list(self.fits)[0] if len(self.fits) == 1 else None

    def isDoubtful(self):
        """True if two orders fit, or none fits all."""
        return len(self.fits) > 1 or (self.isOpen and not self.fits)


# -- reading ----------------------------------------------------------------


class Moments(object):
    """Reads the times of one column.

    Args:
        family (str): "calendar", one of `EPOCHS`, or a format of strptime.
        zone (Zone): of times that name none.
        order (str or None): of dates whose year is last.
        isStrict (bool): numbers must lie between 1990 and 2100.
        isDescending (bool): the newest row comes first.
        step (float or None): seconds from row to row, as far as known.
    """

    def __init__(self, family, zone, order=None, isStrict=True,
                 isDescending=False, step=None):
        self._zone = zone
        self._order = order
        self._isStrict = isStrict
        self._isDescending = isDescending
        self._step = step
        self._family = family
        self._hours = {}
        self._tails = {}
        self._first, self._last, self._scale = 0, 0, None
        if family in EPOCHS and isStrict:
            self._first = _FIRST * _PER_SECOND[family]
            self._last = _LAST * _PER_SECOND[family]
            self._scale = _SECOND // _PER_SECOND[family]
        self.usec = {"calendar": self._calendar}.get(
            family, self._number if family in EPOCHS else self._format)

    def _calendar(self, text, folds):
        """Microseconds of a text; `folds` is the state of its device."""
        try:  # some 0.5 us, where the rest takes 5
            part, zone = self._tails[text[19:]]
            return (self._hours[text[:14] + zone] + _MINUTES[text[14:16]]
                    + _SECONDS[text[16:19]] + part)
        except KeyError:
            pass
        stripped = text.strip()
        match = (_CALENDAR.match(stripped) or _COMPACT.match(stripped)
                 or _COMPACT_CLOCK.match(stripped)
                 or _DATE_DIGITS.match(stripped))
        if match is None:
            raise ValueError("{} is no time".format(shown(text)))
        parts = match.groupdict()
        wall, part = _wall(parts, self._order)
        zone = parts.get("zone")
        if zone:
            utc = wall - _zoneSeconds(zone)
            self._remember(text, parts, wall, utc)
        else:
            utc = self._utc(text, parts, wall, folds)
        return utc * _SECOND + part

    def _utc(self, text, parts, wall, folds):
        """UTC seconds of a naive wall clock."""
        hour = wall - wall % 3600
        ends = [self._zone.instants(moment) for moment in (hour, hour + 3599)]
        if all(len(end) == 1 for end in ends) \
                and ends[1][0] - ends[0][0] == 3599:
            self._remember(text, parts, wall, ends[0][0] + wall % 3600)
            return ends[0][0] + wall % 3600
        found = self._zone.instants(wall)
        if not found:
            raise Skipped("{} does not exist: summer time begins (in {})"
                          .format(shown(text), self._zone.name))
        if len(found) == 1:
            return found[0]
        return folds.choose(wall, found, self._isDescending,
                            (self._step or 0) >= found[1] - found[0])

    def _remember(self, text, parts, wall, utc):
        """Keep the hour of a text of the usual widths for those alike."""
        if text[13:14] != ":" or parts.get("half") \
                or parts["hour"] != text[11:13] or int(parts["hour"]) > 23:
            return
        if parts["second"] is None and text[16:]:
            return
        if len(self._hours) >= _MAX_HOURS:
            self._hours.clear()
        if len(self._tails) >= _MAX_TAILS:
            self._tails.clear()
        part, zone = _TAIL.match(text[19:]).groups()
        self._hours[text[:14] + zone] = (utc - wall % 3600) * _SECOND
        self._tails[text[19:]] = (_micros(part), zone)

    def _number(self, text, _):
        if self._scale and text.isdigit():
            value = int(text)
            if self._first <= value < self._last:
                return value * self._scale
        match = _EPOCH.match(text.strip())
        if match is None:
            raise ValueError("{} is no number since 1970".format(shown(text)))
        sign, whole, part = match.groups()
        value = int(whole)
        if self._isStrict and not (
                _FIRST * _PER_SECOND[self._family] <= value
                < _LAST * _PER_SECOND[self._family] and sign != "-"):
            raise ValueError("{} is no time between 1990 and 2100 in {}".format(
                shown(text), self._family))
        if self._family == "nsec":
            usec = int(sign + whole) // 1000
        else:
            scale = _SECOND // _PER_SECOND[self._family]
            digits = len(str(scale)) - 1
            usec = int(sign + str(value * scale + int(
                ((part or "") + "0" * digits)[:digits] or 0)))
        if not -2 ** 63 <= usec < 2 ** 63:
            raise ValueError("{} is too large a time".format(shown(text)))
        return usec

    def _format(self, text, folds):
        found = datetime.datetime.strptime(text.strip(), self._family)
        if found.tzinfo is not None:
            found = (found - found.utcoffset()).replace(tzinfo=None)
            return _seconds(found) * _SECOND + found.microsecond
        parts = {"part": None, "second": None, "hour": None}
        return (self._utc(text, parts, _seconds(found), folds) * _SECOND
                + found.microsecond)


class Folds(object):
    """Which of two equal hours the rows of a device are in."""

    def __init__(self):
        self._last = None
        self._fold = None
        self._isSecond = False

    def copy(self):
        """The same state, apart."""
        found = Folds()
        found.__dict__.update(self.__dict__)
        return found

    def choose(self, wall, found, isDescending, standsStill):
        """One of two instants: the first, until the times step back.

        With one row an hour there is no step back, but the hour stands twice.
        """
        fold = found[0] - wall, found[1] - wall
        if fold != self._fold or abs(wall - self._last) > _DAY:
            self._fold, self._isSecond = fold, False
        elif (wall > self._last if isDescending else wall < self._last) or (
                wall == self._last and standsStill):
            self._isSecond = True
        self._last = wall
        return found[self._isSecond != isDescending]


def _wall(parts, order):
    """(seconds since 1970 on the wall, microseconds) of matched parts."""
    if parts["year"]:
        year, month, day = parts["year"], parts["month"], parts["day"]
    else:
        year, day, month = parts["last"], parts["one"], parts["two"]
        if parts["sign"] != "." and order != DAY_FIRST:
            if order is None:
                raise ValueError("the order of day and month is not known")
            day, month = month, day
    days = (datetime.date(int(year), int(month), int(day)).toordinal()
            - _EPOCH_ORDINAL)
    hour, minute, second = (int(parts.get(name) or 0)
                            for name in ("hour", "minute", "second"))
    half = parts.get("half")
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("{} is no hour of a 12-hour clock".format(hour))
        hour = hour % 12 + (12 if half in "pP" else 0)
    part = _micros(parts.get("part"))
    if hour > 23 or minute > 59 or second > 59:
        if (hour, minute, second, part) != (24, 0, 0, 0):
            raise ValueError("{}:{:02d}:{:02d} is no time of day".format(
                hour, minute, second))
    return days * _DAY + hour * 3600 + minute * 60 + second, part


def _micros(part):
    """Microseconds of the digits behind the seconds, rounded down."""
    return int((part + "000000")[:6]) if part else 0


def _zoneSeconds(text):
    return offsetOf(text) if text[0] in "+-" else 0


def _seconds(moment):
    return calendar.timegm(moment.timetuple())
