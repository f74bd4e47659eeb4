"""Sums of points in SQL, as far as both engines say them alike."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import HOUR, Cover
from iobeam_server.storage.base import Sums

Statement = tuple[str, Sequence[Any]]
"""With the marks of the engine's driver."""


class SumsSql(abc.ABC):
    """The statements of one engine. Those of queries find a position, a bucket, and its sums."""

    mark: ClassVar[str]
    """Of a parameter, to the driver."""
    position: ClassVar[str]
    """A series' place among those asked for, in `of_points`."""
    only: ClassVar[str]
    """The first position, as a literal."""
    names: ClassVar[str]
    """Columns of `summaries` that are added up."""
    added: ClassVar[str]
    """What adds them up."""

    @abc.abstractmethod
    def of_points(self, wanted: Sums) -> Statement:
        """Return the statement that adds up all the points of some series."""

    @abc.abstractmethod
    def of_summaries(self, wanted: Sums, covers: Sequence[Cover]) -> Statement:
        """Return the same, with summaries wherever these can stand for the points."""

    @abc.abstractmethod
    def found(self, row: Sequence[Any], width_us: Optional[int]) -> tuple[int, Bucket]:
        """Return position and bucket of a row."""

    @abc.abstractmethod
    def bucket_of(self, time: str, width_us: int) -> str:
        """Return the expression that tells the buckets of a width apart, ascending in time."""

    @abc.abstractmethod
    def start_of(self, time: str, width_us: int) -> str:
        """Return the expression for the start of an hour or a day."""

    @abc.abstractmethod
    def sums_of(self, kind: Kind) -> str:
        """Return the columns that add up points: how many they are, then `names`' others."""

    def of_selected(self, wanted: Sums, where: str, values: Sequence[Any]) -> Statement:
        """Return the statement that adds up the points of one series that a condition selects."""
        sql = (
            f"SELECT {self.only} AS at, {self.bucket(wanted, 'time')} AS bucket,"
            f" {self.sums_of(wanted.series[0].kind)} FROM points WHERE {where}"
        )
        return self.ordered(wanted, sql + self.grouped(wanted, self.only), values)

    def made(self, width_us: int, more: str = "") -> str:
        """Return the statement for new summaries of a series between two times, by their starts.

        In the catalogue's own form; `more` columns come last.
        """
        start = self.start_of("time" if width_us == HOUR else "start", width_us)
        if width_us == HOUR:
            return (
                f"SELECT {start} AS at, {self.sums_of(Kind.NUMBER)}, min(time), max(time){more}"
                " FROM points WHERE series_id = ? AND time >= ? AND time < ?"
                " GROUP BY at ORDER BY at"
            )
        return (
            f"SELECT {start} AS at, {self.added}, min(first), max(last){more} FROM summaries"
            f" WHERE series_id = ? AND start >= ? AND start < ? AND width = {HOUR}"
            " GROUP BY at ORDER BY at"
        )

    def bucket(self, wanted: Sums, time: str) -> str:
        """Return the expression for a bucket, or for where the only one starts."""
        return f"min({time})" if wanted.width_us is None else self.bucket_of(time, wanted.width_us)

    def grouped(self, wanted: Sums, position: str) -> str:
        keys = ["bucket"] if wanted.width_us is not None else []
        keys += [position] if wanted.apart else []
        return f" GROUP BY {', '.join(keys)}" if keys else ""

    def ordered(self, wanted: Sums, sql: str, values: Sequence[Any]) -> Statement:
        if wanted.limit is not None:
            sql = f"SELECT * FROM ({sql} ORDER BY bucket DESC LIMIT {self.mark}) AS last"
            values = [*values, wanted.limit]
        return sql + " ORDER BY bucket" + (" DESC, at" if wanted.newest_first else ""), values
