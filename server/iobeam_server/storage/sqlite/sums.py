"""Sums of points in the SQL of SQLite: of the points alone, or with summaries for most of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import DAY, HOUR, Cover, Range
from iobeam_server.storage.base import Sums

Statement = tuple[str, Sequence[Any]]

# what is added up of a summary: a column, and what adds it up
_COLUMNS = (
    ("points", "sum"), ("int_high", "sum"), ("int_low", "sum"), ("real_sum", "sum"),
    ("least", "min"), ("greatest", "max"),
)  # fmt: skip
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_ADDED = ", ".join(f"{function}({name})" for name, function in _COLUMNS)
# two infinities may have no sum, which SQLite says as NULL: as if there were no doubles at all
_ADDED = _ADDED.replace(
    "sum(real_sum)", "CASE WHEN count(real_sum) THEN coalesce(sum(real_sum), 9e999) END"
)
_RANGE = "json_extract(r.value, '$[{}]')"


def of_points(wanted: Sums) -> Statement:
    """Return (position, bucket) of some series, all of their points added up."""
    sql = (
        f"SELECT {'s.key' if wanted.apart else '0'} AS at, {_start_of(wanted.width_us)} AS bucket,"
        f" {_sums_of(wanted.series[0].kind)}"
        " FROM json_each(?) s CROSS JOIN points p"
        " WHERE p.series_id = s.value AND p.time >= ? AND p.time <= ?"
    )
    ids = json.dumps([one.series_id for one in wanted.series])
    return _ordered(wanted, sql + _grouped(wanted), [ids, wanted.first, wanted.last])


def of_selected(wanted: Sums, where: str, values: Sequence[Any]) -> Statement:
    """Return the same of the points of one series that a condition selects."""
    sql = (
        f"SELECT 0 AS at, {_start_of(wanted.width_us)} AS bucket,"
        f" {_sums_of(wanted.series[0].kind)} FROM points WHERE {where}"
    )
    return _ordered(wanted, sql + _grouped(wanted), values)


def of_summaries(wanted: Sums, covers: Sequence[Cover]) -> Statement:
    """Return the same, of summaries wherever these can stand for the points."""
    if not any(found.days or found.hours for found in covers):
        return of_points(wanted)
    start = "z.first" if wanted.width_us is None else _aligned("z.start", wanted.width_us)
    ids = [one.series_id for one in wanted.series]
    points = [_ranges(one, found.points) for one, found in zip(ids, covers)]
    summaries = [
        _ranges(one, found.days, DAY) + _ranges(one, found.hours, HOUR)
        for one, found in zip(ids, covers)
    ]
    # CROSS JOIN keeps the order of the loops: ranges outside, a range of a key inside
    each = "FROM json_each(?) s CROSS JOIN json_each(s.value) r CROSS JOIN"
    sql = (
        f"SELECT at, {'min(bucket)' if wanted.width_us is None else 'bucket'} AS bucket, {_ADDED}"
        f" FROM (SELECT s.key AS at, {start} AS bucket, {_NAMES}"
        f" {each} summaries z WHERE z.series_id = {_RANGE.format(0)}"
        f" AND z.start >= {_RANGE.format(1)} AND z.start <= {_RANGE.format(2)}"
        f" AND z.width = {_RANGE.format(3)}"
        f" UNION ALL SELECT s.key, {_start_of(wanted.width_us)} AS bucket,"
        f" {_sums_of(wanted.series[0].kind)} {each} points p"
        f" WHERE p.series_id = {_RANGE.format(0)}"
        f" AND p.time >= {_RANGE.format(1)} AND p.time <= {_RANGE.format(2)}"
        f" GROUP BY s.key{'' if wanted.width_us is None else ', bucket'})"
    )
    # positions that share their buckets are one
    sql = sql if wanted.apart else sql.replace("SELECT at,", "SELECT 0 AS at,", 1)
    values = [json.dumps(summaries), json.dumps(points)]
    return _ordered(wanted, sql + _grouped(wanted, "at"), values)


INTO = f"INSERT INTO summaries (start, {_NAMES}, first, last, series_id, width)"
STORED = (
    f"SELECT start, {_NAMES}, first, last FROM summaries"
    " WHERE series_id = ? AND start >= ? AND start < ? AND width = ? ORDER BY start"
)


def made(width_us: int, more: str = "") -> str:
    """Return the statement for summaries of a series from one time to another, by their starts."""
    if width_us == HOUR:
        return (
            f"SELECT {_aligned('time', HOUR)} AS at, {_sums_of(Kind.NUMBER)}, min(time), max(time)"
            f"{more} FROM points WHERE series_id = ? AND time >= ? AND time < ?"
            " GROUP BY at ORDER BY at"
        )
    return (
        f"SELECT {_aligned('start', width_us)} AS at, {_ADDED}, min(first), max(last){more}"
        f" FROM summaries WHERE series_id = ? AND start >= ? AND start < ? AND width = {HOUR}"
        " GROUP BY at ORDER BY at"
    )


def bucket(row: Sequence[Any]) -> Optional[tuple[int, Bucket]]:
    """Return position and bucket of a row; None of one over nothing, as no group has."""
    at, start, count, high, low, real, least, greatest = row
    if not count:
        return None
    whole = ((high or 0) << 32) + (low or 0)
    return at, Bucket(int(start), count, whole, real, least, greatest)


def _ranges(series_id: int, ranges: Sequence[Range], *width: int) -> list[tuple[int, ...]]:
    return [(series_id, start, end - 1, *width) for start, end in ranges]


def _grouped(wanted: Sums, position: str = "s.key") -> str:
    keys = ["bucket"] if wanted.width_us is not None else []
    keys += [position] if wanted.apart else []
    return f" GROUP BY {', '.join(keys)}" if keys else ""


def _ordered(wanted: Sums, sql: str, values: Sequence[Any]) -> Statement:
    if wanted.limit is not None:
        sql = f"SELECT * FROM ({sql} ORDER BY bucket DESC LIMIT ?)"
        values = [*values, wanted.limit]
    return sql + " ORDER BY bucket" + (" DESC, at" if wanted.newest_first else ""), values


def _start_of(width_us: Optional[int]) -> str:
    return "min(time)" if width_us is None else _aligned("time", width_us)


def _aligned(time: str, width_us: int) -> str:
    # `%` takes the sign of the time; twice over it is the floor's, also before 1970
    return f"{time} - (({time} % {int(width_us)}) + {int(width_us)}) % {int(width_us)}"


def _sums_of(kind: Kind) -> str:
    value = "text_value" if kind is Kind.TEXT else "coalesce(int_value, real_value)"
    # sum() of 64-bit integers raises on overflow: halves of 32 bits cannot, and add up exactly
    return (
        "count(*), sum(int_value >> 32), sum(int_value & 4294967295), sum(real_value),"
        f" min({value}), max({value})"
    )
