"""Queries of the SQLite engine over the points of one series."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Optional

from iobeam_server.aggregates import Bucket
from iobeam_server.points import INT64_MAX, INT64_MIN, Kind
from iobeam_server.storage.base import Point, Selection, Series

FETCH_ROWS = 2_000  # rows in memory at once while an answer is written


def points(connection: sqlite3.Connection, series: Series, selection: Selection) -> Iterator[Point]:
    """Yield the selected points, ascending; the limit keeps the last ones."""
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
            yield from ((time, bool(value)) for time, value in rows)
        else:
            yield from rows


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
    # `%` takes the sign of the time; twice over it is the floor's, also before 1970
    start = "min(time)" if width_us is None else "time - ((time % :w) + :w) % :w"
    value = "text_value" if series.kind is Kind.TEXT else "coalesce(int_value, real_value)"
    # sum() of 64-bit integers raises on overflow: halves of 32 bits cannot, and add up exactly
    sql = (
        f"SELECT {start} AS bucket, count(*), sum(int_value >> 32),"
        f" sum(int_value & 4294967295), sum(real_value), min({value}), max({value})"
        f" FROM points WHERE {where}"
    )
    if width_us is not None:
        sql = sql.replace(":w", str(int(width_us))) + " GROUP BY bucket"
    if selection.limit is None:
        sql += " ORDER BY bucket"
    else:
        sql = f"SELECT * FROM ({sql} ORDER BY bucket DESC LIMIT ?) ORDER BY bucket"
        values.append(min(selection.limit, INT64_MAX))
    for rows in _fetched(connection.execute(sql, values)):
        for bucket, count, high, low, real, least, greatest in rows:
            if count == 0:  # an ungrouped aggregate answers one row over nothing
                continue
            if width_us is None and selection.start is not None:
                bucket = selection.start
            total = ((high or 0) << 32) + (low or 0)
            yield Bucket(int(bucket), count, total, real, least, greatest)


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
