"""Instants as people and files write them, to the microsecond, in every year that is stored."""

from __future__ import annotations

import datetime
import re
from typing import Optional

from iobeam_server.errors import BadRequest
from iobeam_server.rules.points import INT64_MAX, INT64_MIN

# Python's dates end with the year 9999, points do not: but the calendar repeats itself every
# 400 years, so all is computed from 2000 to 2399.
_BASE = datetime.datetime(2000, 1, 1)
_BASE_US = 10_957 * 86_400 * 1_000_000
_CYCLE_YEARS = 400
_CYCLE_US = 146_097 * 86_400 * 1_000_000
_US = datetime.timedelta(microseconds=1)

_WRITTEN = re.compile(
    r"([0-9]{4}|[+-][0-9]{6})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"\.([0-9]{6})Z",
    re.ASCII,
)
_ASKED = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:[.,]([0-9]{1,6}))?)? ?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))",
    re.ASCII | re.IGNORECASE,
)
_MILLISECONDS = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def to_iso(time_us: int) -> str:
    """Return an instant as ``2026-01-31T12:00:00.123456Z``; years beyond 0 to 9999 as ``+012026``.

    That is the expanded form of ISO 8601; `from_iso` gives the same microsecond back.
    """
    cycles, rest = divmod(time_us - _BASE_US, _CYCLE_US)
    moment = _BASE + datetime.timedelta(microseconds=rest)
    year = moment.year + cycles * _CYCLE_YEARS
    shown = f"{year:04d}" if 0 <= year <= 9_999 else f"{year:+07d}"
    return f"{shown}{moment:-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"


def from_iso(text: str) -> Optional[int]:
    """Return the microseconds of what `to_iso` wrote; None for any other text."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    time = _micros(*map(int, found.groups()))
    if time is None or not INT64_MIN <= time <= INT64_MAX:
        return None
    return time if to_iso(time) == text else None


def moment(text: str, is_end: bool = False) -> int:
    """Return the microseconds of an instant that somebody typed.

    Args:
        text: ISO 8601 with its zone, or milliseconds since the epoch as the API takes them.
        is_end: of a range: it holds the whole millisecond, unless microseconds are given.

    Raises:
        BadRequest: it is neither; says what would be.
    """
    text = text.strip()
    if _MILLISECONDS.fullmatch(text):
        time, digits = int(text) * 1_000, 3
    else:
        time, digits = _with_zone(text)
    if is_end and digits <= 3:
        time += 999
    if not INT64_MIN <= time <= INT64_MAX:
        raise BadRequest(f"{text!r:.60} is outside the years -290308 to 294247; is it in ms?")
    return time


def _with_zone(text: str) -> tuple[int, int]:
    """Return an instant, and how many digits of its second were given."""
    found = _ASKED.fullmatch(text)
    if found is None:
        raise BadRequest(
            "a time is written with its zone, as 2026-01-31T12:00:00Z or 2026-01-31T13:00+01:00, "
            f"or in milliseconds since the epoch, as 1769860800000; not {text!r:.60}"
        )
    parts = found.groups(default="0")
    day_and_clock, fraction, sign = parts[:6], found[7] or "", parts[7]
    hours, minutes = map(int, parts[8:])
    time = _micros(*map(int, (*day_and_clock, fraction.ljust(6, "0"))))
    if time is None or hours > 23 or minutes > 59:
        raise BadRequest(f"there is no such moment: {text!r:.60}")
    offset = (hours * 60 + minutes) * 60_000_000
    return time + (offset if sign == "-" else -offset), len(fraction)


def _micros(
    year: int, month: int, day: int, hour: int, minute: int, second: int, us: int
) -> Optional[int]:
    cycles, year = divmod(year - _BASE.year, _CYCLE_YEARS)
    try:
        found = datetime.datetime(_BASE.year + year, month, day, hour, minute, second, us)
    except ValueError:
        return None
    return (found - _BASE) // _US + _BASE_US + cycles * _CYCLE_US
