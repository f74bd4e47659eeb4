"""Queries of the PostgreSQL engine over points."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Callable, Optional, Union

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value
from iobeam_server.storage.base import Point, Points, Selection, Series, Sums, at_once
from iobeam_server.storage.catalog.sql import Sql
from iobeam_server.storage.catalog.summaries import Summaries, covers
from iobeam_server.storage.postgres import sums


class PointsInServer(Points):
    """The queries, as SQL; the store, which has the connections, carries them out."""

    summaries: Summaries

    @abc.abstractmethod
    def fetched(self, sql: str, values: Sequence[object], at_once: int) -> Iterator[list[Any]]:
        """Yield rows, `at_once` at a time, all of one moment."""

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
        sql = f"SELECT time, {_value_of(series.kind)} FROM points WHERE {where}"
        if selection.limit is None:
            sql += " ORDER BY time"
        else:
            sql = f"SELECT * FROM ({sql} ORDER BY time DESC LIMIT %s) AS last ORDER BY time"
            values.append(min(selection.limit, INT64_MAX))
        for rows in self.fetched(sql, values, at_once([series])):
            if series.kind is Kind.TEXT:
                yield rows
            elif series.kind is Kind.BOOLEAN:
                yield [(time, bool(whole)) for time, whole, _ in rows]
            else:
                yield [(time, real if whole is None else whole) for time, whole, real in rows]

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
            found = _buckets_in(self.fetched(sql, values, at_once([series])), wanted)
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
        columns = "int_value, real_value, text_value"
        within = "time BETWEEN %s AND %s ORDER BY time DESC LIMIT %s"
        limit = None if newest is None else min(newest, INT64_MAX)
        values: tuple[object, ...]
        if len(series) == 1:  # the primary key has the order: nothing is sorted, the answer flows
            sql = f"SELECT time, 0, {columns} FROM points WHERE series_id = %s AND {within}"
            values = (series[0].series_id, first, last, limit)
        elif limit is None:
            sql = (
                f"SELECT time, s.at, {columns} FROM {sums.SERIES}"
                " JOIN points ON series_id = s.id AND time BETWEEN %s AND %s"
                " ORDER BY time DESC, s.at"
            )
            values = (_ids(series), first, last)
        else:
            sql = (
                f"SELECT p.time, s.at, {columns} FROM {sums.SERIES} CROSS JOIN LATERAL"
                f" (SELECT * FROM points WHERE series_id = s.id AND {within}) AS p"
                " ORDER BY p.time DESC, s.at"
            )
            values = (_ids(series), first, last, limit)
        base = 0 if len(series) == 1 else 1  # ordinality counts from one
        kinds = [one.kind for one in series]
        for rows in self.fetched(sql, values, at_once(series)):
            for time, at, whole, real, text in rows:
                at -= base
                if whole is not None:
                    yield time, at, bool(whole) if kinds[at] is Kind.BOOLEAN else whole
                else:
                    yield time, at, text if real is None else real

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
        return _buckets_in(rows, wanted)


def _buckets_in(pieces: Iterable[list[Any]], wanted: Sums) -> Iterator[tuple[int, Bucket]]:
    found = (sums.bucket(row, wanted.width_us) for rows in pieces for row in rows)
    return (one for one in found if one is not None)


def _ids(series: Sequence[Series]) -> list[int]:
    return [one.series_id for one in series]


def _value_of(kind: Kind) -> str:
    # apart: a common type of both would be a double, and swallow digits of an integer
    return "text_value" if kind is Kind.TEXT else "int_value, real_value"


def _within(start: Optional[int], end: Optional[int]) -> tuple[int, int]:
    """Return bounds that always exist."""
    return (
        INT64_MIN if start is None else _clamped(start),
        INT64_MAX if end is None else _clamped(end),
    )


def _where(series: Series, selection: Selection) -> tuple[str, list[Any]]:
    """Return the condition and its parameters; every bound lies on the primary key."""
    conditions = ["series_id = %s"]
    values: list[Any] = [series.series_id]
    for operator, time in ((">=", selection.start), ("<=", selection.end)):
        if time is not None:
            conditions.append(f"time {operator} %s")
            values.append(_clamped(time))
    tests = (
        ("<", selection.less_than),
        (">", selection.greater_than),
        ("=", selection.equals),
    )
    for operator, bound in tests:
        if bound is not None:
            real_operator, real_bound = _for_doubles(operator, bound)
            # integers against a numeric: a double would swallow the last digits of both
            conditions.append(
                f"(int_value {operator} %s::numeric OR real_value {real_operator} %s::float8)"
            )
            values += [Decimal(bound), real_bound]
    return " AND ".join(conditions), values


def _for_doubles(operator: str, bound: Union[int, float]) -> tuple[str, float]:
    """Return a comparison with a double that says the same for every double.

    An integer beyond 2**53 may lie between two doubles: less than it then means
    not greater than the double below.
    """
    try:
        near = float(bound)
    except OverflowError:
        near = math.inf if bound > 0 else -math.inf
    if near == bound:
        return operator, near
    if operator == "=":
        return "=", math.nan  # no double equals it, and nothing stored is NaN
    if (operator == "<") == (near < bound):
        return operator + "=", near
    return operator, near


def _clamped(time: int) -> int:
    return max(INT64_MIN, min(INT64_MAX, time))
