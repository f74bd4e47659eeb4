"""Summaries: what hours and days of points add up to, so that years are as quick as hours.

They are made when they are asked for, of what is asked for. The table `summed` says of which
times there are any: only of hours that are over by the clock here. Who writes or deletes points
there adds the hour to `stale_hours`, in the same transaction; who reads takes the points
themselves for such an hour, and for all that is not summed up. So an answer never rests on a
summary that is not as its points, and what points cost to write depends on none.

Not there for texts: the least and the greatest of them may be as long as they are.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from iobeam_server import deadlines
from iobeam_server.errors import StorageUnavailable
from iobeam_server.rules import summaries as rules
from iobeam_server.rules.points import INT64_MIN, Kind
from iobeam_server.rules.summaries import DAY, HOUR, Cover, Range
from iobeam_server.storage.base import Series, Span, Sums
from iobeam_server.storage.catalog.sql import Database, Sql

DIRECT_POINTS = 50_000  # that are added up as they are: some 30 ms
DIRECT_HOURS = 100  # that are stale and stay so
AT_ONCE = 500  # series in one statement; SQLite before 3.32 takes 999 values
PIECE_SUMMARIES = 2_000  # in memory at once, while they are looked at
PIECE_POINTS = 100_000  # summed up in one transaction, beside which nobody writes
LEAST = rules.ceil(INT64_MIN, DAY)  # the first day that is whole

SummaryRow = tuple[Any, ...]
"""Start, points, then what they add up to, of which the doubles may differ by their last digits."""


class Summaries:
    def __init__(self, database: Database) -> None:
        self._database = database

    def serve(self, wanted: Sums) -> bool:
        """Say whether sums are quicker by summaries; those that lack and would pay are made.

        In pieces, as long as it takes. Where the database takes nothing (no room, somebody else
        writes) they stay as they are: an answer needs none of them.

        Raises:
            QueryTimeout, ClientGone: the work has to end. What is done stays done.
        """
        if not rules.serve(wanted.width_us) or wanted.series[0].kind is Kind.TEXT:
            return False
        now = time.time_ns() // 1_000
        start = max(rules.ceil(wanted.first, HOUR), LEAST)
        hours = start, rules.floor(min(wanted.last + 1, now), HOUR)
        if hours[0] >= hours[1]:
            return False
        ids = [one.series_id for one in wanted.series]
        with self._database.searching() as sql:
            if not _are_many(sql, ids, hours, DIRECT_POINTS):
                return False
            ranges = _all_summed(sql, ids)
            lacking = [one for one in ids if _lacks(sql, one, hours, ranges[one])]
        with contextlib.suppress(StorageUnavailable):
            for series_id in lacking:
                self._prepare(series_id, hours)
        return True

    def are_many(self, series: Sequence[Series], span: Span, number: int) -> bool:
        """Say whether some series together have more than so many points in a time."""
        ids = [one.series_id for one in series]
        with self._database.searching() as sql:
            return _are_many(sql, ids, (span.first, span.last + 1), number)

    def _prepare(self, series_id: int, hours: Range) -> None:
        while True:
            deadlines.check()
            began = time.monotonic()
            with self._database.summing() as sql:
                # asked here: somebody else may have done it meanwhile
                piece = _lacks(sql, series_id, hours, summed(sql, series_id))
                if not piece:
                    return
                _sum_up(sql, series_id, piece)
            time.sleep((time.monotonic() - began) / 4)  # for those who wait to write

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each series whose summaries are not as its points."""
        with self._database.searching() as sql:
            series = [row[0] for row in sql.many("SELECT DISTINCT series_id FROM summed")]
        for series_id in series:
            with self._database.snapshot() as sql:
                wrong = sum(_count_wrong(*found) for found in _stored_and_made(sql, series_id))
            if wrong:
                yield (
                    f"{wrong} summaries of series {series_id} are not as its points: were these "
                    "changed by hand? DELETE FROM summed; has them made anew"
                )


def summed(sql: Sql, series_id: int) -> list[Range]:
    """Return the times of which there are summaries, ascending."""
    return sql.many("SELECT since, until FROM summed WHERE series_id = ? ORDER BY since", series_id)


def _all_summed(sql: Sql, series: Sequence[int]) -> dict[int, list[Range]]:
    """Return the same of many series, in their order."""
    ranges: dict[int, list[Range]] = {one: [] for one in series}
    for some in _by_and_by(series):
        for series_id, since, until in sql.many(
            f"SELECT series_id, since, until FROM summed WHERE series_id IN ({_marks(some)})"
            " ORDER BY series_id, since",
            *some,
        ):
            ranges[series_id].append((since, until))
    return ranges


def covers(sql: Sql, wanted: Sums) -> list[Cover]:
    """Return how to read each series; in the transaction that reads it."""
    time = wanted.first, wanted.last + 1
    return [
        rules.cover(time, found, _stale(sql, one, time) if found else [], wanted.width_us)
        for one, found in _all_summed(sql, [one.series_id for one in wanted.series]).items()
    ]


def expire(sql: Sql, series_id: int, first: int, last: int) -> None:
    """Note that all points between two times, inclusive, are being deleted.

    What is wholly between them has no points any more, as an hour without a summary says; the
    hours at both ends are stale, and with them their days. Marks of others stay: whoever writes
    there beside this has seen them, and makes none twice.
    """
    ranges = summed(sql, series_id)
    if not ranges:
        return
    first, last = max(first, LEAST), max(last, LEAST)
    for width in (HOUR, DAY):
        sql.execute(
            "DELETE FROM summaries WHERE series_id = ? AND width = ? AND start >= ? AND start <= ?",
            series_id,
            width,
            rules.ceil(first, width),
            last - width + 1,
        )
    for hour in {rules.floor(first, HOUR), rules.floor(last, HOUR)}:
        if any(since <= hour < until for since, until in ranges):
            sql.execute(
                "INSERT INTO stale_hours (series_id, start) VALUES (?, ?) ON CONFLICT DO NOTHING",
                series_id,
                hour,
            )


def expire_all(sql: Sql, last: int) -> None:
    """Note the same of all series, and of all points up to a time: in few statements."""
    for width in (HOUR, DAY):
        sql.execute("DELETE FROM summaries WHERE width = ? AND start <= ?", width, last - width + 1)
    hour = rules.floor(last, HOUR)
    sql.execute(
        "INSERT INTO stale_hours (series_id, start) SELECT series_id, CAST(? AS bigint)"
        " FROM summed WHERE since <= ? AND until > ? ON CONFLICT DO NOTHING",
        *[hour] * 3,
    )


def discard(sql: Sql, series_id: int) -> None:
    """Drop the summaries of a series that goes, or whose values become others."""
    for table in ("summaries", "summed", "stale_hours"):
        sql.execute(f"DELETE FROM {table} WHERE series_id = ?", series_id)


def _stale(sql: Sql, series_id: int, wanted: Range) -> list[int]:
    return [
        row[0]
        for row in sql.many(
            "SELECT start FROM stale_hours WHERE series_id = ? AND start >= ? AND start <= ?",
            series_id,
            max(LEAST, rules.floor(wanted[0], HOUR)),
            wanted[1] - 1,
        )
    ]


def _stored_and_made(
    sql: Sql, series_id: int
) -> Iterator[tuple[Sequence[SummaryRow], Sequence[SummaryRow]]]:
    """Yield the summaries of a series that may be used, and what they should be, in pieces."""
    ranges = summed(sql, series_id)
    whole = ranges[0][0], ranges[-1][1]
    for since, until in rules.fresh(whole, ranges, _stale(sql, series_id, whole)):
        for width in (HOUR, DAY):
            start, end = rules.ceil(since, width), rules.floor(until, width)
            for at in range(start, end, PIECE_SUMMARIES * width):
                wanted = series_id, at, min(end, at + PIECE_SUMMARIES * width)
                stored = sql.many(
                    f"SELECT start, {sql.sums.names}, first, last FROM summaries"
                    " WHERE series_id = ? AND start >= ? AND start < ? AND width = ?",
                    *wanted,
                    width,
                )
                yield stored, sql.many(sql.sums.made(width), *wanted)


def _count_wrong(stored: Sequence[SummaryRow], made: Sequence[SummaryRow]) -> int:
    found, right = ({row[0]: row for row in rows} for rows in (stored, made))
    return sum(
        start not in found or start not in right or not _are_same(found[start], right[start])
        for start in {*found, *right}
    )


def _are_same(one: SummaryRow, other: SummaryRow) -> bool:
    """Compare, but for what adding up doubles in another order may change."""
    largest = max((abs(value) for value in one if isinstance(value, float)), default=0.0)
    slack = 1e-12 * largest * one[1]
    return all(
        a == b
        or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, abs_tol=slack))
        for a, b in zip(one, other)
    )


def _lacks(sql: Sql, series_id: int, hours: Range, ranges: Sequence[Range]) -> list[Range]:
    """Return what of some hours is to be summed up next; nothing where it does not pay."""
    for gap in rules.without(hours, ranges):
        if _nth(sql, series_id, gap, DIRECT_POINTS) is not None:
            first = _nth(sql, series_id, gap, 0)
            start = rules.floor(gap[0] if first is None else first, HOUR)
            last = _nth(sql, series_id, (start, gap[1]), PIECE_POINTS)
            end = gap[1] if last is None else max(rules.floor(last, HOUR), start + HOUR)
            return [(start, end)]
    return _worth_while(_stale_sums(sql, series_id, hours)) if ranges else []


def _worth_while(stale: Sequence[tuple[int, int]]) -> list[Range]:
    """Return the first of some stale hours; each with how many points it had."""
    if len(stale) <= DIRECT_HOURS and sum(points for _, points in stale) <= DIRECT_POINTS:
        return []
    piece: list[Range] = []
    left = PIECE_POINTS
    for hour, points in stale:
        piece.append((hour, hour + HOUR))
        left -= points
        if left <= 0:
            break
    return rules.joined(piece)


def _sum_up(sql: Sql, series_id: int, hours: Sequence[Range]) -> None:
    ranges = rules.joined([*summed(sql, series_id), *hours])
    sql.execute("DELETE FROM summed WHERE series_id = ?", series_id)
    for since, until in ranges:
        sql.execute("INSERT INTO summed VALUES (?, ?, ?)", series_id, since, until)
    for start, end in hours:
        sql.execute(
            "DELETE FROM stale_hours WHERE series_id = ? AND start >= ? AND start < ?",
            series_id,
            start,
            end,
        )
        _make(sql, series_id, HOUR, (start, end))
    days = rules.joined((rules.floor(start, DAY), rules.ceil(end, DAY)) for start, end in hours)
    for since, until in ranges:
        for start, end in days:
            start, end = max(start, rules.ceil(since, DAY)), min(end, rules.floor(until, DAY))
            if start < end:
                _make(sql, series_id, DAY, (start, end))


def _make(sql: Sql, series_id: int, width_us: int, wanted: Range) -> None:
    """Make summaries anew: those of hours from the points, those of days from those of hours."""
    sql.execute(
        "DELETE FROM summaries WHERE series_id = ? AND width = ? AND start >= ? AND start < ?",
        series_id,
        width_us,
        *wanted,
    )
    made = sql.sums.made(width_us, more=f", {int(series_id)}, {int(width_us)}")
    sql.execute(
        f"INSERT INTO summaries (start, {sql.sums.names}, first, last, series_id, width) {made}",
        series_id,
        *wanted,
    )


def _stale_sums(sql: Sql, series_id: int, hours: Range) -> list[tuple[int, int]]:
    """Return the stale ones of some hours, and how many points each had when summed up."""
    return sql.many(
        "SELECT h.start, coalesce(s.points, 0) FROM stale_hours h LEFT JOIN summaries s"
        " ON s.series_id = h.series_id AND s.width = ? AND s.start = h.start"
        " WHERE h.series_id = ? AND h.start >= ? AND h.start < ? ORDER BY h.start",
        HOUR,
        series_id,
        *hours,
    )


def _are_many(sql: Sql, series: Sequence[int], wanted: Range, number: int) -> bool:
    """Say whether any that are asked about at once have more than so many points in a time."""
    return any(
        sql.has(
            f"SELECT 1 FROM points WHERE series_id IN ({_marks(some)})"
            " AND time >= ? AND time <= ? LIMIT 1 OFFSET ?",
            *some,
            wanted[0],
            wanted[1] - 1,
            number,
        )
        for some in _by_and_by(series)
    )


def _by_and_by(series: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(series), AT_ONCE):
        yield series[at : at + AT_ONCE]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _nth(sql: Sql, series_id: int, wanted: Range, number: int) -> Optional[int]:
    """Return the time of a point, counted from 0; None where there are not so many."""
    row = sql.one(
        "SELECT time FROM points WHERE series_id = ? AND time >= ? AND time < ?"
        " ORDER BY time LIMIT 1 OFFSET ?",
        series_id,
        *wanted,
        number,
    )
    return None if row is None else int(row[0])
