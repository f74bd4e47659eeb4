"""Queries of the PostgreSQL engine over points."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Optional, Union

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value
from iobeam_server.storage.base import Point, Points, Selection, Series, at_once

# PostgreSQL refuses a sum beyond the doubles, where an infinity is wanted. Very large ones are
# added up apart, in parts of a power of two, which loses nothing.
_LARGE = 1e290
_PARTS = 2.0**60


class PointsInServer(Points):
    """The queries, as SQL; the store, which has the connections, carries them out."""

    @abc.abstractmethod
    def fetched(self, sql: str, values: Sequence[object], at_once: int) -> Iterator[list[Any]]:
        """Yield rows, `at_once` at a time, all of one moment."""

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
        where, values = _where(series, selection)
        sql = f"SELECT {_number_of(width_us)} AS number, {_sums_of(series.kind)}"
        sql += f" FROM points WHERE {where}"
        if width_us is not None:
            sql += " GROUP BY number"
        if selection.limit is None:
            sql += " ORDER BY number"
        else:
            sql = f"SELECT * FROM ({sql} ORDER BY number DESC LIMIT %s) AS last ORDER BY number"
            values.append(min(selection.limit, INT64_MAX))
        for rows in self.fetched(sql, values, at_once([series])):
            for row in rows:
                if row[1] == 0:  # an ungrouped aggregate answers one row over nothing
                    continue
                found = _bucket(width_us, row)
                if width_us is None and selection.start is not None:
                    found = found._replace(start=selection.start)
                yield found

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
                f"SELECT time, s.at, {columns} FROM {_SERIES}"
                " JOIN points ON series_id = s.id AND time BETWEEN %s AND %s"
                " ORDER BY time DESC, s.at"
            )
            values = (_ids(series), first, last)
        else:
            sql = (
                f"SELECT p.time, s.at, {columns} FROM {_SERIES} CROSS JOIN LATERAL"
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
        if not series:
            return
        keys = [*(["number"] if width_us is not None else []), *(["s.at"] if apart else [])]
        sql = (
            f"SELECT {'s.at' if apart else '1'}, {_number_of(width_us)} AS number,"
            f" {_sums_of(series[0].kind)}"
            f" FROM {_SERIES} JOIN points ON series_id = s.id AND time BETWEEN %s AND %s"
        )
        if keys:
            sql += f" GROUP BY {', '.join(keys)}"
        sql += " ORDER BY number DESC" + (", s.at" if apart else "")
        for rows in self.fetched(sql, (_ids(series), *_within(start, end)), at_once(series)):
            for at, *row in rows:
                if row[1]:  # an ungrouped aggregate answers one row over nothing
                    yield at - 1, _bucket(width_us, row)


_SERIES = "unnest(%s::bigint[]) WITH ORDINALITY AS s (id, at)"


def _ids(series: Sequence[Series]) -> list[int]:
    return [one.series_id for one in series]


def _value_of(kind: Kind) -> str:
    # apart: a common type of both would be a double, and swallow digits of an integer
    return "text_value" if kind is Kind.TEXT else "int_value, real_value"


def _number_of(width_us: Optional[int]) -> str:
    """Return the expression for a bucket: its number, or where the only one starts."""
    if width_us is None:
        return "min(time)"
    # the quotient's floor, also before 1970; stays within 64 bits wherever the time does
    return f"time / {int(width_us)} - (mod(time, {int(width_us)}) < 0)::int"


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


def _bucket(width_us: Optional[int], row: Sequence[Any]) -> Bucket:
    number, count, whole, real, large, *extremes = row
    if large is not None:
        real = (real or 0.0) + large * _PARTS
    return Bucket(
        number * (width_us or 1),
        count,
        int(whole or 0),
        real,
        min((value for value in extremes[0::2] if value is not None), default=None),
        max((value for value in extremes[1::2] if value is not None), default=None),
    )


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
