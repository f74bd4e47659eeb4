"""Zones of time, and how an instant is shown to people. Pure."""
from __future__ import absolute_import

import calendar
import datetime
import re
import time

try:
    import zoneinfo  # novm: from 3.9 on
except ImportError:
    zoneinfo = None

_DAY = 86400  # s
_MINUTE = 60000000  # us
_SECOND = 1000000  # us
_MAX_MINUTES = 20000  # remembered, two weeks of them
_OFFSET = re.compile(r"([+-])([0-9]{1,2})(?::?([0-9]{2}))?\Z")
_EPOCH = datetime.datetime(1970, 1, 1)


class Zone(object):
    """Where naive times are meant, and shown.

    Args:
        name (str): how messages call it.
        offsetAt (callable): seconds east of UTC at an instant in UTC seconds.
    """

    def __init__(self, name, offsetAt):
        self.name = name
        self.offsetAt = offsetAt
        self.isLocal = offsetAt is _localOffset
        self._minutes = {}  # number to what stands around the seconds

    def instants(self, wall):
        """UTC seconds at which clocks show `wall`: none, one, or two."""
        offsets = set((self.offsetAt(wall - _DAY), self.offsetAt(wall + _DAY)))
        return sorted(wall - offset for offset in offsets
                      if self.offsetAt(wall - offset) == offset)

    def shown(self, usec):
        """An instant in ISO 8601 with the zone's offset, ``Z`` for UTC.

        Without a fraction, or with three or six digits of one: as exact as it
        is. What no calendar has (years above 9999) are microseconds.

        Args:
            usec (int): since 1970.
        """
        minute, rest = divmod(usec, _MINUTE)
        try:
            start, end = self._minutes[minute]
        except KeyError:
            try:
                start, end = self._remember(minute)
            except OverflowError:
                return "{} us".format(usec)
        second, part = divmod(rest, _SECOND)
        if not part:
            return "{}{:02d}{}".format(start, second, end)
        if part % 1000:
            return "{}{:02d}.{:06d}{}".format(start, second, part, end)
        return "{}{:02d}.{:03d}{}".format(start, second, part // 1000, end)

    def _remember(self, minute):
        try:
            offset = self.offsetAt(minute * 60)
        except (EnvironmentError, OverflowError, ValueError):
            offset = 0  # a year that the system's calendar does not know
        if offset % 60:  # local times of the 19th century, which ISO lacks
            offset = 0
        wall = _EPOCH + datetime.timedelta(minutes=minute + offset // 60)
        end = "{}{:02d}:{:02d}".format("-" if offset < 0 else "+", *divmod(
            abs(offset) // 60, 60)) if offset else "Z"
        if len(self._minutes) >= _MAX_MINUTES:
            self._minutes.clear()
        found = self._minutes[minute] = wall.isoformat()[:17], end
        return found


def zoneOf(name=None):
    """The zone of a name: None and "local" are this machine's.

    Raises:
        ValueError: it is not known here; the message says what is.
    """
    if name is None or name.lower() == "local":
        return Zone("this machine's zone ({})".format("/".join(
            sorted(set(time.tzname), key=time.tzname.index))), _localOffset)
    if name.upper() in ("UTC", "Z", "GMT"):
        return Zone("UTC", lambda moment: 0)
    if _OFFSET.match(name):
        return Zone(name, lambda moment, offset=offsetOf(name): offset)
    if zoneinfo is None:
        raise ValueError("--tz {}: this Python knows UTC, local and offsets "
                         "such as +01:00; for others set the variable TZ, as "
                         "in TZ={}".format(name, name))
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (ValueError, EnvironmentError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError("--tz {}: there is no such zone here; take one such "
                         "as Europe/Berlin, UTC, local or +01:00".format(name))
    return Zone(name, lambda moment: int(datetime.datetime.fromtimestamp(
        moment, zone).utcoffset().total_seconds()))


def offsetOf(text):
    """Seconds east of UTC of a text such as +01:00, +0100 or -5 (int)."""
    sign, hours, minutes = _OFFSET.match(text).groups()
    hours, minutes = int(hours), int(minutes or 0)
    if hours > 23 or minutes > 59:
        raise ValueError("{} is no offset from UTC".format(text))
    seconds = hours * 3600 + minutes * 60
    return -seconds if sign == "-" else seconds


def _localOffset(moment):
    return calendar.timegm(time.localtime(moment)) - moment
