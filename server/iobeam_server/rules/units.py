"""Units of time, and times in them; the package itself counts microseconds since the epoch."""

from __future__ import annotations

import re
from typing import Union

from iobeam_server.errors import BadRequest

FORMATS_US = {"sec": 1_000_000, "msec": 1_000, "usec": 1}
"""``timefmt`` of bodies and answers -> us per unit (wire notes 4)."""
TIME_FORMATS = (*FORMATS_US, "timeval")
"""Those of answers: ``timeval`` is an object."""
ISO = "iso"
"""Times as ISO 8601 in UTC, of CSV files for people; no client of 2016 asks for it."""

UNITS_US = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
"""Units of intervals (wire notes 8.9)."""

MAX_LIFE_S = 100 * 366 * 86_400  # beyond it dates leave the four-digit years
_INTERVAL = re.compile(r"([0-9]{1,12})(ms|[smhdw])", re.ASCII)
_MAX_INTERVAL_US = 2**62  # buckets are computed in int64
_DURATION = re.compile(r"([1-9][0-9]{0,9})([wdhms])", re.ASCII)


def unit_us(timefmt: object) -> int:
    """Return microseconds per unit of a body's ``timefmt``; any case (wire notes 4)."""
    unit = FORMATS_US.get(timefmt.lower()) if isinstance(timefmt, str) else None
    if unit is None:
        raise BadRequest(f"timefmt must be sec, msec or usec, not {timefmt!r:.40}")
    return unit


def format_time(time_us: int, timefmt: str) -> Union[int, dict[str, int]]:
    """Return an instant in one of `TIME_FORMATS`, rounded down."""
    unit = FORMATS_US.get(timefmt)
    if unit is not None:
        return time_us // unit
    sec, usec = divmod(time_us, 1_000_000)
    return {"sec": sec, "usec": usec}  # in this order: Arduino scans for it


def parse_interval(text: str) -> int:
    """Return the microseconds of an interval such as ``10s``."""
    found = _INTERVAL.fullmatch(text)
    width = int(found.group(1)) * UNITS_US[found.group(2)] if found else 0
    if not 0 < width <= _MAX_INTERVAL_US:
        raise BadRequest(
            f"an interval is a number and one of ms s m h d w, such as 10m, not {text!r:.40}"
        )
    return width


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as ``5w``; one integer, one of w d h m s."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise BadRequest(f"duration must look like 5w, 30d, 12h, 90m or 3600s, not {text!r:.40}")
    seconds = int(found.group(1)) * UNITS_US[found.group(2)] // 1_000_000
    if seconds > MAX_LIFE_S:
        raise BadRequest(f"duration {text} is more than 100 years")
    return seconds
