"""Queries of the SQLite engine over points."""

from __future__ import annotations

import abc
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Callable, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value
from iobeam_server.storage.base import Point, Points, Selection, Series, Sums, at_once
from iobeam_server.storage.catalog.sql import Sql
from iobeam_server.storage.catalog.summaries import Summaries, covers
from iobeam_server.storage.sqlite import sums

# An integer, a double, or (both are there) -0.0: see `sql.columns`.
_NUMBER = (
    "CASE WHEN int_value IS NULL THEN real_value"
    " WHEN real_value IS NULL THEN int_value ELSE -0.0 END"
)
_ANY = (
    "CASE WHEN p.int_value IS NULL THEN coalesce(p.real_value, p.text_value)"
    " WHEN p.real_value IS NULL THEN p.int_value ELSE -0.0 END"
)


class PointsInFile(Points):
    """The queries, as SQL; the store, which has the connections, carries them out."""

    summaries: Summaries

    @abc.abstractmethod
    def fetched(self, sql: str, values: Sequence[Any], at_once: int) -> Iterator[list[Any]]:
        """Yield rows, `at_once` at a time."""

    @abc.abstractmethod
    def planned(self, plan: Callable[[Sql], sums.Statement], at_once: int) -> Iterator[list[Any]]:
        """Yield the rows of a statement that `plan` makes of what it reads at the same moment."""

    def points(self, series: Series, selection: Selection) -> Iterator[Point]:
        return chain.from_iterable(self._points(series, selection))  # no frame for each point

    def _points(self, series: Series, selection: Selection) -> Iterator[list[Point]]:
        """Yield the selected points, ascending, many at a time; the limit keeps the last ones."""
        if selection.filters_values and series.kind is not Kind.NUMBER:
            return
        where, values = _where(series, selection)
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

    def buckets(
        self, series: Series, selection: Selection, width_us: Optional[int]
    ) -> Iterator[Bucket]:
        if selection.filters_values and series.kind is not Kind.NUMBER:
            return
        within = _within(selection.start, selection.end)
        limit = None if selection.limit is None else min(selection.limit, INT64_MAX)
        wanted = Sums([series], *within, width_us, False, False, limit)
        if selection.filters_values:
            sql, values = sums.of_selected(wanted, *_where(series, selection))
            found = _buckets_in(self.fetched(sql, values, at_once([series])))
        else:
            found = self._sums(wanted)
        for _, one in found:
            if width_us is None and selection.start is not None:
                one = one._replace(start=selection.start)
            yield one

    def rows(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        newest: Optional[int],
    ) -> Iterator[tuple[int, int, Value]]:
        if not series:
            return
        first, last = _within(start, end)
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

    def groups(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        width_us: Optional[int],
        apart: bool,
    ) -> Iterator[tuple[int, Bucket]]:
        if series:
            yield from self._sums(Sums(series, *_within(start, end), width_us, apart))

    def _sums(self, wanted: Sums) -> Iterator[tuple[int, Bucket]]:
        many = at_once(wanted.series)
        if self.summaries.serve(wanted):
            rows = self.planned(lambda sql: sums.of_summaries(wanted, covers(sql, wanted)), many)
        else:
            rows = self.fetched(*sums.of_points(wanted), many)
        return _buckets_in(rows)


def _buckets_in(pieces: Iterable[list[Any]]) -> Iterator[tuple[int, Bucket]]:
    return (found for rows in pieces for found in map(sums.bucket, rows) if found is not None)


def _ids(series: Sequence[Series]) -> str:
    return json.dumps([one.series_id for one in series])


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
