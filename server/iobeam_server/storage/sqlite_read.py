"""Queries of the SQLite engine over points."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from iobeam_server.aggregates import Bucket
from iobeam_server.points import INT64_MAX, INT64_MIN, Kind, Value
from iobeam_server.storage.base import Point, Selection, Series

FETCH_ROWS = 2_000  # rows in memory at once while an answer is written


def points(
    connection: sqlite3.Connection, series: Series, selection: Selection
) -> Iterator[list[Point]]:
    """Yield the selected points, ascending, many at a time; the limit keeps the last ones."""
    if selection.filters_values and series.kind is not Kind.NUMBER:
        return
    where, values = _where(series, selection)
    value = "text_value" if series.kind is Kind.TEXT else "coalesce(int_value, real_value)"
    sql = f"SELECT time, {value} FROM points WHERE {where}"
    if selection.limit is None:
        sql += " ORDER BY time"
    else:
        sql = f"SELECT * FROM ({sql} ORDER BY time DESC LIMIT ?) ORDER BY 1"
        values.append(min(selection.limit, INT64_MAX))
    for rows in _fetched(connection.execute(sql, values)):
        if series.kind is Kind.BOOLEAN:
            yield [(time, bool(value)) for time, value in rows]
        else:
            yield rows


def buckets(
    connection: sqlite3.Connection,
    series: Series,
    selection: Selection,
    width_us: Optional[int],
) -> Iterator[Bucket]:
    """Yield the sums of each bucket that holds a point, ascending."""
    if selection.filters_values and series.kind is not Kind.NUMBER:
        return
    where, values = _where(series, selection)
    sql = f"SELECT {_start_of(width_us)} AS bucket, {_sums_of(series.kind)}"
    sql += f" FROM points WHERE {where}"
    if width_us is not None:
        sql += " GROUP BY bucket"
    if selection.limit is None:
        sql += " ORDER BY bucket"
    else:
        sql = f"SELECT * FROM ({sql} ORDER BY bucket DESC LIMIT ?) ORDER BY bucket"
        values.append(min(selection.limit, INT64_MAX))
    for rows in _fetched(connection.execute(sql, values)):
        for row in rows:
            if row[1] == 0:  # an ungrouped aggregate answers one row over nothing
                continue
            found = _bucket(*row)
            if width_us is None and selection.start is not None:
                found = found._replace(start=selection.start)
            yield found


def rows(
    connection: sqlite3.Connection,
    series: Sequence[Series],
    start: Optional[int],
    end: Optional[int],
    newest: Optional[int],
) -> Iterator[tuple[int, int, Value]]:
    """Yield points of many series, newest first; see `Storage.rows`."""
    first, last = _within(start, end)
    values: list[Any] = []
    if len(series) == 1:  # the primary key has the order: nothing is sorted, the answer flows
        where, position, order = "p.series_id = ?", "0", "p.time DESC"
        source = "points p"
        values = [series[0].series_id, first]
    else:
        # CROSS JOIN keeps the order of the loops: series outside, a range of the key inside
        source = "json_each(?) s CROSS JOIN points p"
        where, position, order = "p.series_id = s.value", "s.key", "p.time DESC, s.key"
        values = [json.dumps([one.series_id for one in series])]
        if newest is None:
            values.append(first)
        else:  # where the n-th newest lies; a few steps of the index for each series
            values += [first, last, min(newest, INT64_MAX) - 1, first]
    low = "?"
    if newest is not None and len(series) > 1:
        low = (
            "coalesce((SELECT q.time FROM points q WHERE q.series_id = s.value AND q.time >= ?"
            " AND q.time <= ? ORDER BY q.time DESC LIMIT 1 OFFSET ?), ?)"
        )
    values.append(last)
    sql = (
        f"SELECT p.time, {position}, coalesce(p.int_value, p.real_value, p.text_value)"
        f" FROM {source} WHERE {where} AND p.time >= {low} AND p.time <= ? ORDER BY {order}"
    )
    if newest is not None and len(series) == 1:
        sql += " LIMIT ?"
        values.append(min(newest, INT64_MAX))
    flags = {at for at, one in enumerate(series) if one.kind is Kind.BOOLEAN}
    for fetched in _fetched(connection.execute(sql, values)):
        if flags:
            yield from ((t, at, bool(value) if at in flags else value) for t, at, value in fetched)
        else:
            yield from fetched


def groups(
    connection: sqlite3.Connection,
    series: Sequence[Series],
    start: Optional[int],
    end: Optional[int],
    width_us: Optional[int],
    apart: bool,
) -> Iterator[tuple[int, Bucket]]:
    """Yield the sums of many series by bucket, newest first; see `Storage.groups`."""
    keys = [*(["bucket"] if width_us is not None else []), *(["s.key"] if apart else [])]
    sql = (
        f"SELECT {'s.key' if apart else '0'}, {_start_of(width_us)} AS bucket,"
        f" {_sums_of(series[0].kind)}"
        " FROM json_each(?) s CROSS JOIN points p"
        " WHERE p.series_id = s.value AND p.time >= ? AND p.time <= ?"
    )
    if keys:
        sql += f" GROUP BY {', '.join(keys)}"
    sql += " ORDER BY bucket DESC" + (", s.key" if apart else "")
    values = (json.dumps([one.series_id for one in series]), *_within(start, end))
    for fetched in _fetched(connection.execute(sql, values)):
        for position, *sums in fetched:
            if sums[1]:  # an ungrouped aggregate answers one row over nothing
                yield position, _bucket(*sums)


def _start_of(width_us: Optional[int]) -> str:
    if width_us is None:
        return "min(time)"
    # `%` takes the sign of the time; twice over it is the floor's, also before 1970
    return "time - ((time % :w) + :w) % :w".replace(":w", str(int(width_us)))


def _sums_of(kind: Kind) -> str:
    value = "text_value" if kind is Kind.TEXT else "coalesce(int_value, real_value)"
    # sum() of 64-bit integers raises on overflow: halves of 32 bits cannot, and add up exactly
    return (
        "count(*), sum(int_value >> 32), sum(int_value & 4294967295), sum(real_value),"
        f" min({value}), max({value})"
    )


def _bucket(
    start: int,
    count: int,
    high: Optional[int],
    low: Optional[int],
    real: Optional[float],
    least: Any,
    greatest: Any,
) -> Bucket:
    return Bucket(int(start), count, ((high or 0) << 32) + (low or 0), real, least, greatest)


def _within(start: Optional[int], end: Optional[int]) -> tuple[int, int]:
    """Return bounds that always exist."""
    first, last = _clamped(start), _clamped(end)
    return INT64_MIN if first is None else first, INT64_MAX if last is None else last


def _where(series: Series, selection: Selection) -> tuple[str, list[Any]]:
    """Return the condition and its parameters; every bound lies on the primary key."""
    conditions, values = ["series_id = ?"], [series.series_id]
    tests: list[tuple[str, Any]] = [
        ("time >= ?", _clamped(selection.start)),
        ("time <= ?", _clamped(selection.end)),
        ("coalesce(int_value, real_value) < ?", _bound(selection.less_than)),
        ("coalesce(int_value, real_value) > ?", _bound(selection.greater_than)),
        ("coalesce(int_value, real_value) = ?", _bound(selection.equals)),
    ]
    for condition, value in tests:
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return " AND ".join(conditions), values


def _clamped(time: Optional[int]) -> Optional[int]:
    return None if time is None else max(INT64_MIN, min(INT64_MAX, time))


def _bound(value: Any) -> Any:
    """SQLite compares integers and doubles exactly, but takes integers of 64 bits only."""
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return float(value)
    return value


def _fetched(cursor: sqlite3.Cursor) -> Iterator[list[Any]]:
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield rows
