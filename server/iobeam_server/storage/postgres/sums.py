"""Sums of points in the SQL of PostgreSQL: of the points alone, or with summaries for most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import DAY, HOUR, Cover
from iobeam_server.storage.base import Sums
from iobeam_server.storage.catalog.sumsql import Statement, SumsSql

# PostgreSQL refuses a sum beyond the doubles, where an infinity is wanted. Very large ones are
# added up apart, in parts of a power of two, which loses nothing.
_LARGE = 1e290
_PARTS = 2.0**60

SERIES = "unnest(%s::bigint[]) WITH ORDINALITY AS s (id, at)"


class PostgresSums(SumsSql):
    """Positions count from one here, and buckets have a number instead of a start."""

    mark = "%s"
    position = "s.at"
    only = "1"
    names = (
        "points, int_sum, real_sum, large_sum, int_least, int_greatest, real_least, real_greatest"
    )
    added = (
        "sum(points), sum(int_sum), sum(real_sum), sum(large_sum),"
        " min(int_least), max(int_greatest), min(real_least), max(real_greatest)"
    )

    def of_points(self, wanted: Sums) -> Statement:
        sql = (
            f"SELECT {self.position if wanted.apart else self.only} AS at,"
            f" {self.bucket(wanted, 'time')} AS bucket, {self.sums_of(wanted.series[0].kind)}"
            f" FROM {SERIES} JOIN points ON series_id = s.id AND time BETWEEN %s AND %s"
        )
        values = [[one.series_id for one in wanted.series], wanted.first, wanted.last]
        return self.ordered(wanted, sql + self.grouped(wanted, self.position), values)

    def of_summaries(self, wanted: Sums, covers: Sequence[Cover]) -> Statement:
        if not any(found.days or found.hours for found in covers):
            return self.of_points(wanted)
        width = wanted.width_us
        summaries, points = [], []
        for at, (one, found) in enumerate(zip(wanted.series, covers), start=1):
            for of, ranges in ((DAY, found.days), (HOUR, found.hours)):
                summaries += [(at, one.series_id, lo, hi - 1, of) for lo, hi in ranges]
            points += [(at, one.series_id, lo, hi - 1) for lo, hi in found.points]
        # each range looked up by itself (LATERAL), or the planner may take the whole table
        sql = (
            f"WITH added AS MATERIALIZED ({self._of_ranges(wanted)})"
            f" SELECT {'at' if wanted.apart else self.only} AS at,"
            f" {'min(bucket)' if width is None else 'bucket'} AS bucket, {self.added} FROM ("
            f"SELECT r.at, z.* FROM {_ranges('id, since, until, width')} CROSS JOIN LATERAL"
            f" (SELECT {'first' if width is None else self.bucket_of('start', width)} AS bucket,"
            f" {self.names} FROM summaries WHERE series_id = r.id"
            " AND summaries.width = r.width AND start BETWEEN r.since AND r.until OFFSET 0) AS z"
            " UNION ALL SELECT * FROM added) AS found"
        )
        values = [*_columns(points, 4), *_columns(summaries, 5)]
        return self.ordered(wanted, sql + self.grouped(wanted, "at"), values)

    def _of_ranges(self, wanted: Sums) -> str:
        """Return what adds up the points of ranges of times, each by itself."""
        return (
            f"SELECT r.at, p.* FROM {_ranges('id, since, until')} CROSS JOIN LATERAL"
            f" (SELECT {self._parts(wanted)}"
            " FROM points WHERE series_id = r.id AND time BETWEEN r.since AND r.until"
            f" {'HAVING count(*) > 0' if wanted.width_us is None else 'GROUP BY 1'}) AS p"
        )

    def _parts(self, wanted: Sums) -> str:
        bucket = self.bucket(wanted, "time")
        return f"{bucket} AS bucket, {self.sums_of(wanted.series[0].kind)}"

    def found(self, row: Sequence[Any], width_us: Optional[int]) -> tuple[int, Bucket]:
        at, number, count, whole, real, large, *extremes = row
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

    def bucket_of(self, time: str, width_us: int) -> str:
        # the quotient's floor, also before 1970; stays within 64 bits wherever the time does
        return f"({time} / {int(width_us)} - (mod({time}, {int(width_us)}) < 0)::int)"

    def start_of(self, time: str, width_us: int) -> str:
        return f"{self.bucket_of(time, width_us)} * {int(width_us)}"

    def sums_of(self, kind: Kind) -> str:
        extremes = "min(text_value), max(text_value), NULL, NULL"
        if kind is not Kind.TEXT:
            extremes = "min(int_value), max(int_value), min(real_value), max(real_value)"
        return (
            "count(*), sum(int_value),"
            f" sum(real_value) FILTER (WHERE abs(real_value) < {_LARGE!r}),"
            f" sum(real_value / {_PARTS!r}) FILTER (WHERE abs(real_value) >= {_LARGE!r}),"
            f" {extremes}"
        )


class SpreadSums(PostgresSums):
    """Where the points are spread by Citus, which refuses groups in a LATERAL."""

    def _of_ranges(self, wanted: Sums) -> str:
        return (
            f"SELECT r.at, {self._parts(wanted)} FROM {_ranges('id, since, until')}"
            " JOIN points ON series_id = r.id AND time BETWEEN r.since AND r.until"
            f" GROUP BY r.at{'' if wanted.width_us is None else ', 2'}"
        )


def _ranges(columns: str) -> str:
    arrays = ", ".join(["%s::bigint[]"] * (1 + len(columns.split(", "))))
    return f"unnest({arrays}) AS r (at, {columns})"


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> list[list[int]]:
    return [[row[at] for row in rows] for at in range(width)]
