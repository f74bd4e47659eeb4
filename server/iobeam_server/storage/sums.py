"""Sums of points: from the points alone, or by the summaries of their hours and days."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any, Callable, ClassVar, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind
from iobeam_server.storage.base import Points, Selection, Series, Sums, at_once
from iobeam_server.storage.catalog.sql import Sql
from iobeam_server.storage.catalog.summaries import Summaries, covers
from iobeam_server.storage.catalog.sumsql import Statement, SumsSql


class SummedPoints(Points):
    """The queries that add up; the engine has the SQL, the store the connections."""

    summaries: Summaries
    sums: ClassVar[SumsSql]

    @abc.abstractmethod
    def fetched(self, sql: str, values: Sequence[Any], at_once: int) -> Iterator[list[Any]]:
        """Yield rows, `at_once` at a time, all of one moment."""

    @abc.abstractmethod
    def planned(self, plan: Callable[[Sql], Statement], at_once: int) -> Iterator[list[Any]]:
        """Yield the rows of a statement that `plan` makes of what it reads at the same moment."""

    @abc.abstractmethod
    def selected(self, series: Series, selection: Selection) -> tuple[str, list[Any]]:
        """Return the condition for the points that a query wants, and its parameters.

        Every bound of time lies on the primary key.
        """

    def buckets(
        self, series: Series, selection: Selection, width_us: Optional[int]
    ) -> Iterator[Bucket]:
        if selection.filters_values and series.kind is not Kind.NUMBER:
            return
        limit = None if selection.limit is None else min(selection.limit, INT64_MAX)
        bounds = within(selection.start, selection.end)
        wanted = Sums([series], *bounds, width_us, apart=False, newest_first=False, limit=limit)
        if selection.filters_values:
            sql, values = self.sums.of_selected(wanted, *self.selected(series, selection))
            found = self._found(wanted, self.fetched(sql, values, at_once([series])))
        else:
            found = self._sums(wanted)
        for _, one in found:
            if width_us is None and selection.start is not None:
                one = one._replace(start=selection.start)
            yield one

    def groups(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        width_us: Optional[int],
        apart: bool,
    ) -> Iterator[tuple[int, Bucket]]:
        if series:
            yield from self._sums(Sums(series, *within(start, end), width_us, apart))

    def _sums(self, wanted: Sums) -> Iterator[tuple[int, Bucket]]:
        many = at_once(wanted.series)
        if self.summaries.serve(wanted):
            rows = self.planned(
                lambda sql: sql.sums.of_summaries(wanted, covers(sql, wanted)), many
            )
        else:
            rows = self.fetched(*self.sums.of_points(wanted), many)
        return self._found(wanted, rows)

    def _found(self, wanted: Sums, pieces: Iterator[list[Any]]) -> Iterator[tuple[int, Bucket]]:
        for rows in pieces:
            for row in rows:
                if row[2]:  # a sum without groups answers one row over nothing
                    yield self.sums.found(row, wanted.width_us)


def within(start: Optional[int], end: Optional[int]) -> tuple[int, int]:
    """Return bounds that always exist."""
    return (
        INT64_MIN if start is None else clamped(start),
        INT64_MAX if end is None else clamped(end),
    )


def clamped(time: int) -> int:
    return max(INT64_MIN, min(INT64_MAX, time))
