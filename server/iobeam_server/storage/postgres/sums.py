"""Sums of points in the SQL of PostgreSQL: of the points alone, or with summaries for most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import DAY, HOUR, Cover
from iobeam_server.storage.base import Sums

Statement = tuple[str, Sequence[Any]]

# PostgreSQL refuses a sum beyond the doubles, where an infinity is wanted. Very large ones are
# added up apart, in parts of a power of two, which loses nothing.
_LARGE = 1e290
_PARTS = 2.0**60

# what is added up of a summary: a column, and what adds it up
_COLUMNS = (
    ("points", "sum"), ("int_sum", "sum"), ("real_sum", "sum"), ("large_sum", "sum"),
    ("int_least", "min"), ("int_greatest", "max"), ("real_least", "min"), ("real_greatest", "max"),
)  # fmt: skip
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_ADDED = ", ".join(f"{function}({name})" for name, function in _COLUMNS)

SERIES = "unnest(%s::bigint[]) WITH ORDINALITY AS s (id, at)"


def of_points(wanted: Sums) -> Statement:
    """Return (position, bucket) of some series, all of their points added up."""
    sql = (
        f"SELECT {'s.at' if wanted.apart else '1'} AS at,"
        f" {_number_of(wanted.width_us)} AS number, {_sums_of(wanted.series[0].kind)}"
        f" FROM {SERIES} JOIN points ON series_id = s.id AND time BETWEEN %s AND %s"
    )
    values = [[one.series_id for one in wanted.series], wanted.first, wanted.last]
    return _ordered(wanted, sql + _grouped(wanted, "s.at"), values)


def of_selected(wanted: Sums, where: str, values: Sequence[Any]) -> Statement:
    """Return the same of the points of one series that a condition selects."""
    sql = (
        f"SELECT 1 AS at, {_number_of(wanted.width_us)} AS number,"
        f" {_sums_of(wanted.series[0].kind)} FROM points WHERE {where}"
    )
    return _ordered(wanted, sql + _grouped(wanted), values)


def of_summaries(wanted: Sums, covers: Sequence[Cover]) -> Statement:
    """Return the same, of summaries wherever these can stand for the points."""
    if not any(found.days or found.hours for found in covers):
        return of_points(wanted)
    summaries, points = [], []
    for at, (one, found) in enumerate(zip(wanted.series, covers), start=1):
        for width, ranges in ((DAY, found.days), (HOUR, found.hours)):
            summaries += [(at, one.series_id, lo, hi - 1, width) for lo, hi in ranges]
        points += [(at, one.series_id, lo, hi - 1) for lo, hi in found.points]
    number = "first" if wanted.width_us is None else _numbered("start", wanted.width_us)
    # each range looked up by itself (LATERAL), or the planner may take the whole table
    sql = (
        f"SELECT {'at' if wanted.apart else '1'} AS at,"
        f" {'min(number)' if wanted.width_us is None else 'number'} AS number, {_ADDED} FROM ("
        f"SELECT r.at, z.* FROM {_ranges('id, since, until, width')} CROSS JOIN LATERAL"
        f" (SELECT {number} AS number, {_NAMES} FROM summaries WHERE series_id = r.id"
        " AND summaries.width = r.width AND start BETWEEN r.since AND r.until OFFSET 0) AS z"
        f" UNION ALL SELECT r.at, p.* FROM {_ranges('id, since, until')} CROSS JOIN LATERAL"
        f" (SELECT {_number_of(wanted.width_us)} AS number, {_sums_of(wanted.series[0].kind)}"
        " FROM points WHERE series_id = r.id AND time BETWEEN r.since AND r.until"
        f" {'HAVING count(*) > 0' if wanted.width_us is None else 'GROUP BY 1'}) AS p) AS found"
    )
    values = [*_columns(summaries, 5), *_columns(points, 4)]
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
            f"SELECT {_numbered('time', HOUR)} * {HOUR} AS at, {_sums_of(Kind.NUMBER)}, min(time),"
            f" max(time){more} FROM points WHERE series_id = ? AND time >= ? AND time < ?"
            " GROUP BY at ORDER BY at"
        )
    return (
        f"SELECT {_numbered('start', width_us)} * {width_us} AS at, {_ADDED}, min(first),"
        f" max(last){more} FROM summaries"
        f" WHERE series_id = ? AND start >= ? AND start < ? AND width = {HOUR}"
        " GROUP BY at ORDER BY at"
    )


def bucket(row: Sequence[Any], width_us: Optional[int]) -> Optional[tuple[int, Bucket]]:
    """Return position and bucket of a row; None of one over nothing, as no group has."""
    at, number, count, whole, real, large, *extremes = row
    if not count:
        return None
    if large is not None:
        real = (real or 0.0) + large * _PARTS
    return at - 1, Bucket(
        number * (width_us or 1),
        int(count),
        int(whole or 0),
        real,
        min((value for value in extremes[0::2] if value is not None), default=None),
        max((value for value in extremes[1::2] if value is not None), default=None),
    )


def _ranges(columns: str) -> str:
    arrays = ", ".join(["%s::bigint[]"] * (1 + len(columns.split(", "))))
    return f"unnest({arrays}) AS r (at, {columns})"


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> list[list[int]]:
    return [[row[at] for row in rows] for at in range(width)]


def _grouped(wanted: Sums, position: str = "") -> str:
    keys = ["number"] if wanted.width_us is not None else []
    keys += [position] if wanted.apart else []
    return f" GROUP BY {', '.join(keys)}" if keys else ""


def _ordered(wanted: Sums, sql: str, values: Sequence[Any]) -> Statement:
    if wanted.limit is not None:
        sql = f"SELECT * FROM ({sql} ORDER BY number DESC LIMIT %s) AS last"
        values = [*values, wanted.limit]
    return sql + " ORDER BY number" + (" DESC, at" if wanted.newest_first else ""), values


def _number_of(width_us: Optional[int]) -> str:
    """Return the expression for a bucket: its number, or where the only one starts."""
    return "min(time)" if width_us is None else _numbered("time", width_us)


def _numbered(time: str, width_us: int) -> str:
    # the quotient's floor, also before 1970; stays within 64 bits wherever the time does
    return f"({time} / {int(width_us)} - (mod({time}, {int(width_us)}) < 0)::int)"


def _sums_of(kind: Kind) -> str:
    extremes = "min(text_value), max(text_value), NULL, NULL"
    if kind is not Kind.TEXT:
        extremes = "min(int_value), max(int_value), min(real_value), max(real_value)"
    return (
        "count(*), sum(int_value),"
        f" sum(real_value) FILTER (WHERE abs(real_value) < {_LARGE!r}),"
        f" sum(real_value / {_PARTS!r}) FILTER (WHERE abs(real_value) >= {_LARGE!r}),"
        f" {extremes}"
    )
