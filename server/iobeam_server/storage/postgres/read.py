"""Queries of the PostgreSQL engine over points."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Callable, Optional, Union

from iobeam_server.rules.points import INT64_MAX, Kind, Value
from iobeam_server.storage.base import Point, Selection, Series, at_once
from iobeam_server.storage.catalog.sumsql import Statement
from iobeam_server.storage.postgres.sql import PostgresSql
from iobeam_server.storage.postgres.sums import SERIES, PostgresSums
from iobeam_server.storage.sums import SummedPoints, clamped, within

_ANY = "int_value, real_value, text_value"
_NEWEST = "time BETWEEN %s AND %s ORDER BY time DESC LIMIT %s"


class PointsInServer(SummedPoints):
    """The queries, as SQL; the store, which has the connections, carries them out."""

    sums = PostgresSums()

    @abc.abstractmethod
    def planned(
        self, plan: Callable[[PostgresSql], Statement], at_once: int
    ) -> Iterator[list[Any]]: ...

    def points(self, series: Series, selection: Selection) -> Iterator[Point]:
        return chain.from_iterable(self._points(series, selection))  # no frame for each point

    def _points(self, series: Series, selection: Selection) -> Iterator[list[Point]]:
        """Yield the selected points, ascending, many at a time; the limit keeps the last ones."""
        if selection.filters_values and series.kind is not Kind.NUMBER:
            return
        where, values = self.selected(series, selection)
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
        limit = None if newest is None else min(newest, INT64_MAX)
        many = at_once(series)
        if len(series) == 1:  # the primary key has the order: nothing is sorted, the answer flows
            sql = f"SELECT time, 0, {_ANY} FROM points WHERE series_id = %s AND {_NEWEST}"
            pieces = self.fetched(sql, (series[0].series_id, first, last, limit), many)
        elif limit is None:
            sql = (
                f"SELECT time, s.at, {_ANY} FROM {SERIES}"
                " JOIN points ON series_id = s.id AND time BETWEEN %s AND %s"
                " ORDER BY time DESC, s.at"
            )
            pieces = self.fetched(sql, (_ids(series), first, last), many)
        else:
            pieces = self.planned(lambda sql: _newest(sql, series, first, last, limit), many)
        base = 0 if len(series) == 1 else 1  # ordinality counts from one
        kinds = [one.kind for one in series]
        for rows in pieces:
            for time, at, whole, real, text in rows:
                at -= base
                if whole is not None:
                    yield time, at, bool(whole) if kinds[at] is Kind.BOOLEAN else whole
                else:
                    yield time, at, text if real is None else real

    def selected(self, series: Series, selection: Selection) -> tuple[str, list[Any]]:
        conditions = ["series_id = %s"]
        values: list[Any] = [series.series_id]
        for operator, time in ((">=", selection.start), ("<=", selection.end)):
            if time is not None:
                conditions.append(f"time {operator} %s")
                values.append(clamped(time))
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


def _newest(
    sql: PostgresSql, series: Sequence[Series], first: int, last: int, limit: Optional[int]
) -> Statement:
    """Return the statement for the newest points of each of many series."""
    ids = _ids(series)
    if not sql.is_spread:
        statement = (
            f"SELECT p.time, s.at, {_ANY} FROM {SERIES} CROSS JOIN LATERAL"
            f" (SELECT * FROM points WHERE series_id = s.id AND {_NEWEST}) AS p"
            " ORDER BY p.time DESC, s.at"
        )
        return statement, [ids, first, last, limit]
    # Citus refuses to reach from a function into shards, but not from the keys beside them
    statement = (
        f"SELECT p.time, array_position(%s::bigint[], k.series_id) AS at, {_ANY}"
        " FROM series_keys k CROSS JOIN LATERAL"
        f" (SELECT * FROM points WHERE series_id = k.series_id AND {_NEWEST}) AS p"
        " WHERE k.series_id = ANY(%s::bigint[]) ORDER BY p.time DESC, at"
    )
    return statement, [ids, first, last, limit, ids]


def _ids(series: Sequence[Series]) -> list[int]:
    return [one.series_id for one in series]


def _value_of(kind: Kind) -> str:
    # apart: a common type of both would be a double, and swallow digits of an integer
    return "text_value" if kind is Kind.TEXT else "int_value, real_value"


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
