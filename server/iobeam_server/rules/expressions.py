"""The small languages of ``/v1/data``: where, time, group_by, limit_by (wire notes 5.10, 8.10 f.).

Rules without HTTP and without SQL.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

from iobeam_server.errors import BadRequest
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value
from iobeam_server.rules.units import UNITS_US, parse_interval

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
# no two parts of a pattern may share what they match: 60 000 characters would take minutes
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
MAX_NUMBER_CHARS = 100
MAX_GROUP_FIELDS = 16  # a group is held in memory, with a value of each

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "gt": operator.gt,
    "le": operator.le,
    "ge": operator.ge,
}
_CONDITION = re.compile(r"\s*([a-zA-Z]+)\s*\(([^,]*),(.*)\)\s*", re.DOTALL)
_INSTANT = re.compile(r"([+-]?[0-9]{1,19})(ms|[smhdw])?", re.ASCII)
# a "+" that was not escaped arrives as a space
_NOW = re.compile(r"now\(\)(?:(?:\s*([+-])\s*|\s+)([0-9]{1,12})\s*(ms|[smhdw]))?", re.ASCII)
_ROWS = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
MS_US = UNITS_US["ms"]


class Condition(NamedTuple):
    """One ``op(field,value)``; the value is compared as what the field holds."""

    comparison: str
    field: str
    text: str


class TimeRange(NamedTuple):
    """Bounds in us, both inclusive; None: open."""

    start: Optional[int]
    end: Optional[int]


class Grouping(NamedTuple):
    """What ``group_by`` asks for: buckets of `width_us`, or of everything, per `fields`."""

    width_us: Optional[int]
    fields: Sequence[str]


class LimitBy(NamedTuple):
    """The newest `rows` per distinct value of `field`."""

    field: str
    rows: int


def parse_number(text: str) -> Union[int, float, None]:
    """Return the number a text says; None when it says none, or none that a double holds."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if len(text) > MAX_NUMBER_CHARS or not _REAL.fullmatch(text):
        return None
    real = float(text)
    return None if math.isinf(real) else real


def parse_condition(text: str) -> Condition:
    """Read ``op(field,value)``: field up to the first comma, value up to the last bracket."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise BadRequest(f"where must look like gt(field,value), not {text!r:.80}")
    comparison, field, value = found.group(1).lower(), found.group(2).strip(), found.group(3)
    if comparison not in COMPARISONS:
        raise BadRequest(f"where knows {', '.join(COMPARISONS)}, not {found.group(1)!r:.40}")
    if not field:
        raise BadRequest(f"where names no field: {text!r:.80}")
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return Condition(comparison, field, value)


def predicate(condition: Condition, kind: Kind) -> Callable[[Optional[Value]], bool]:
    """Return the test of a condition on a field of that kind; a null never passes.

    A value that the kind cannot hold equals nothing: no row passes.
    """
    wanted: Union[Value, None]
    if kind is Kind.TEXT:
        wanted = condition.text
    elif kind is Kind.NUMBER:
        wanted = parse_number(condition.text)
    else:
        wanted = {"true": True, "1": True, "false": False, "0": False}.get(condition.text.lower())
    if wanted is None:
        return lambda value: False
    compare = COMPARISONS[condition.comparison]
    return lambda value: value is not None and compare(value, wanted)


def parse_time(text: str, now_us: int) -> TimeRange:
    """Read ``FROM``, ``FROM,``, ``FROM,TO`` or ``,TO``; an absent TO is now."""
    first, _, second = text.partition(",")
    if "," in second:
        raise BadRequest(f"time must be FROM,TO, not {text!r:.80}")
    if not first.strip() and not second.strip():
        raise BadRequest("time names neither a beginning nor an end")
    start = _instant(first, now_us) if first.strip() else None
    end = _instant(second if second.strip() else "now()", now_us)
    return TimeRange(start, _last_us(end))


def narrow(bounds: TimeRange, condition: Condition, now_us: int) -> TimeRange:
    """Apply a condition on ``time`` itself; its value covers a whole millisecond."""
    instant = _instant(condition.text, now_us)
    low: Optional[int] = None
    high: Optional[int] = None
    if condition.comparison in ("eq", "ge"):
        low = instant
    if condition.comparison in ("eq", "le"):
        high = _last_us(instant)
    if condition.comparison == "gt":
        low = _last_us(instant) + 1
    if condition.comparison == "lt":
        high = instant - 1
    return TimeRange(
        low if bounds.start is None else max(bounds.start, INT64_MIN if low is None else low),
        high if bounds.end is None else min(bounds.end, INT64_MAX if high is None else high),
    )


def parse_group_by(text: str) -> Grouping:
    """Read ``time(2m)``, ``time(10s),field`` or ``field``; at most `MAX_GROUP_FIELDS`."""
    width: Optional[int] = None
    fields: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        name, bracket, rest = part.partition("(")
        if bracket and name.rstrip() == "time":
            if width is not None:
                raise BadRequest("group_by names time(..) twice")
            if not rest.endswith(")"):
                raise BadRequest(f"group_by needs an interval as in time(10m), not {part!r:.80}")
            width = parse_interval(rest[:-1].strip())
        elif not part:
            raise BadRequest(f"group_by has an empty part: {text!r:.80}")
        elif len(fields) == MAX_GROUP_FIELDS:
            raise BadRequest(f"group_by names more than {MAX_GROUP_FIELDS} fields")
        elif part in fields:
            raise BadRequest(f"group_by names {part!r:.80} twice")
        else:
            fields.append(part)
    return Grouping(width, fields)


def parse_limit_by(text: str) -> LimitBy:
    """Read ``field,N``; the field is all before the last comma."""
    field, _, rows = (part.strip() for part in text.rpartition(","))
    if not field or not _ROWS.fullmatch(rows):
        raise BadRequest(f"limit_by must be a field and a number above 0, not {text!r:.80}")
    return LimitBy(field, int(rows))


def _instant(text: str, now_us: int) -> int:
    """Return the us of an absolute time (ms unless a unit follows) or of ``now()±n<unit>``."""
    text = text.strip()
    absolute = _INSTANT.fullmatch(text)
    if absolute is not None:
        instant = int(absolute.group(1)) * UNITS_US[absolute.group(2) or "ms"]
    else:
        relative = _NOW.fullmatch(text)
        if relative is None:
            raise BadRequest(f"a time is an integer in ms, or now(), now()-2h; not {text!r:.80}")
        instant = now_us
        if relative.group(2):
            offset = int(relative.group(2)) * UNITS_US[relative.group(3)]
            instant += -offset if relative.group(1) == "-" else offset
        instant = instant // MS_US * MS_US
    return max(INT64_MIN, min(INT64_MAX, instant))


def _last_us(instant: int) -> int:
    """Points carry us: an end takes in its whole millisecond."""
    return min(INT64_MAX, instant + MS_US - 1)
