"""Queries of the SQLite engine over points."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Optional

from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value
from iobeam_server.storage.base import Point, Selection, Series, at_once
from iobeam_server.storage.sqlite.sums import SqliteSums
from iobeam_server.storage.sums import SummedPoints, clamped, within

# An integer, a double, or (both are there) -0.0: see `sql.columns`.
_NUMBER = (
    "CASE WHEN int_value IS NULL THEN real_value"
    " WHEN real_value IS NULL THEN int_value ELSE -0.0 END"
)
_ANY = (
    "CASE WHEN p.int_value IS NULL THEN coalesce(p.real_value, p.text_value)"
    " WHEN p.real_value IS NULL THEN p.int_value ELSE -0.0 END"
)


class PointsInFile(SummedPoints):
    """The queries, as SQL; the store, which has the connections, carries them out."""

    sums = SqliteSums()

    def points(self, series: Series, selection: Selection) -> Iterator[Point]:
        return chain.from_iterable(self._points(series, selection))  # no frame for each point

    def _points(self, series: Series, selection: Selection) -> Iterator[list[Point]]:
        """Yield the selected points, ascending, many at a time; the limit keeps the last ones."""
        if selection.filters_values and series.kind is not Kind.NUMBER:
            return
        where, values = self.selected(series, selection)
        value = "text_value" if series.kind is Kind.TEXT else _NUMBER
        sql = f"SELECT time, {value} FROM points WHERE {where}"
        if selection.limit is None:
            sql += " ORDER BY time"
        else:
            sql = f"SELECT * FROM ({sql} ORDER BY time DESC LIMIT ?) ORDER BY 1"
            values.append(min(selection.limit, INT64_MAX))
        for rows in self.fetched(sql, values, at_once([series])):
            if series.kind is Kind.BOOLEAN:
                yield [(time, bool(value)) for time, value in rows]
            else:
                yield rows

    def rows(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        newest: Optional[int],
    ) -> Iterator[tuple[int, int, Value]]:
        if not series:
            return
        first, last = within(start, end)
        limit = INT64_MAX if newest is None else min(newest, INT64_MAX)
        value = _ANY
        values: tuple[Any, ...]
        if len(series) == 1:  # the primary key has the order: nothing is sorted, the answer flows
            sql = (
                f"SELECT p.time, 0, {value} FROM points p"
                " WHERE p.series_id = ? AND p.time >= ? AND p.time <= ?"
                " ORDER BY p.time DESC LIMIT ?"
            )
            values = (series[0].series_id, first, last, limit)
        else:
            low, values = "?", (first, last)
            if newest is not None:  # where the n-th newest lies; a few steps of the index for each
                low = (
                    "coalesce((SELECT q.time FROM points q WHERE q.series_id = s.value"
                    " AND q.time >= ? AND q.time <= ? ORDER BY q.time DESC LIMIT 1 OFFSET ?), ?)"
                )
                values = (first, last, limit - 1, first, last)
            # CROSS JOIN keeps the order of the loops: series outside, a range of the key inside
            sql = (
                f"SELECT p.time, s.key, {value} FROM json_each(?) s CROSS JOIN points p"
                f" WHERE p.series_id = s.value AND p.time >= {low} AND p.time <= ?"
                " ORDER BY p.time DESC, s.key"
            )
            values = (_ids(series), *values)
        flags = {at for at, one in enumerate(series) if one.kind is Kind.BOOLEAN}
        for rows in self.fetched(sql, values, at_once(series)):
            if flags:
                yield from ((t, at, bool(v) if at in flags else v) for t, at, v in rows)
            else:
                yield from rows

    def selected(self, series: Series, selection: Selection) -> tuple[str, list[Any]]:
        conditions, values = ["series_id = ?"], [series.series_id]
        tests: list[tuple[str, Any]] = [
            ("time >= ?", None if selection.start is None else clamped(selection.start)),
            ("time <= ?", None if selection.end is None else clamped(selection.end)),
            ("coalesce(int_value, real_value) < ?", _bound(selection.less_than)),
            ("coalesce(int_value, real_value) > ?", _bound(selection.greater_than)),
            ("coalesce(int_value, real_value) = ?", _bound(selection.equals)),
        ]
        for condition, value in tests:
            if value is not None:
                conditions.append(condition)
                values.append(value)
        return " AND ".join(conditions), values


def _ids(series: Sequence[Series]) -> str:
    return json.dumps([one.series_id for one in series])


def _bound(value: Any) -> Any:
    """SQLite compares integers and doubles exactly, but takes integers of 64 bits only."""
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return float(value)
    return value
