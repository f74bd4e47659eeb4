"""Sums of points in the SQL of SQLite: of the points alone, or with summaries for most of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import DAY, HOUR, Cover, Range
from iobeam_server.storage.base import Sums
from iobeam_server.storage.catalog.sumsql import Statement, SumsSql

_RANGE = "json_extract(r.value, '$[{}]')"


class SqliteSums(SumsSql):
    mark = "?"
    position = "s.key"
    only = "0"
    names = "points, int_high, int_low, real_sum, least, greatest"
    # two infinities may have no sum, which SQLite says as NULL: as if there were no doubles at all
    added = (
        "sum(points), sum(int_high), sum(int_low),"
        " CASE WHEN count(real_sum) THEN coalesce(sum(real_sum), 9e999) END,"
        " min(least), max(greatest)"
    )

    def of_points(self, wanted: Sums) -> Statement:
        sql = (
            f"SELECT {self.position if wanted.apart else self.only} AS at,"
            f" {self.bucket(wanted, 'time')} AS bucket, {self.sums_of(wanted.series[0].kind)}"
            " FROM json_each(?) s CROSS JOIN points p"
            " WHERE p.series_id = s.value AND p.time >= ? AND p.time <= ?"
        )
        ids = json.dumps([one.series_id for one in wanted.series])
        sql += self.grouped(wanted, self.position)
        return self.ordered(wanted, sql, [ids, wanted.first, wanted.last])

    def of_summaries(self, wanted: Sums, covers: Sequence[Cover]) -> Statement:
        if not any(found.days or found.hours for found in covers):
            return self.of_points(wanted)
        width = wanted.width_us
        ids = [one.series_id for one in wanted.series]
        points = [_ranges(one, found.points) for one, found in zip(ids, covers)]
        summaries = [
            _ranges(one, found.days, DAY) + _ranges(one, found.hours, HOUR)
            for one, found in zip(ids, covers)
        ]
        # CROSS JOIN keeps the order of the loops: ranges outside, a range of a key inside
        each = "FROM json_each(?) s CROSS JOIN json_each(s.value) r CROSS JOIN"
        sql = (
            f"SELECT {'at' if wanted.apart else self.only} AS at,"
            f" {'min(bucket)' if width is None else 'bucket'} AS bucket, {self.added}"
            f" FROM (SELECT s.key AS at,"
            f" {'z.first' if width is None else self.bucket_of('z.start', width)} AS bucket,"
            f" {self.names} {each} summaries z WHERE z.series_id = {_RANGE.format(0)}"
            f" AND z.start >= {_RANGE.format(1)} AND z.start <= {_RANGE.format(2)}"
            f" AND z.width = {_RANGE.format(3)}"
            f" UNION ALL SELECT s.key, {self.bucket(wanted, 'time')} AS bucket,"
            f" {self.sums_of(wanted.series[0].kind)} {each} points p"
            f" WHERE p.series_id = {_RANGE.format(0)}"
            f" AND p.time >= {_RANGE.format(1)} AND p.time <= {_RANGE.format(2)}"
            f" GROUP BY s.key{'' if width is None else ', bucket'})"
        )
        values = [json.dumps(summaries), json.dumps(points)]
        return self.ordered(wanted, sql + self.grouped(wanted, "at"), values)

    def found(self, row: Sequence[Any], width_us: Optional[int]) -> tuple[int, Bucket]:
        at, start, count, high, low, real, least, greatest = row
        whole = ((high or 0) << 32) + (low or 0)
        return at, Bucket(int(start), count, whole, real, least, greatest)

    def bucket_of(self, time: str, width_us: int) -> str:
        # `%` takes the sign of the time; twice over it is the floor's, also before 1970
        return f"{time} - (({time} % {int(width_us)}) + {int(width_us)}) % {int(width_us)}"

    start_of = bucket_of

    def sums_of(self, kind: Kind) -> str:
        value = "text_value" if kind is Kind.TEXT else "coalesce(int_value, real_value)"
        # sum() of 64-bit integers raises on overflow: halves of 32 bits cannot, and add up exactly
        return (
            "count(*), sum(int_value >> 32), sum(int_value & 4294967295), sum(real_value),"
            f" min({value}), max({value})"
        )


def _ranges(series_id: int, ranges: Sequence[Range], *width: int) -> list[tuple[int, ...]]:
    return [(series_id, start, end - 1, *width) for start, end in ranges]
