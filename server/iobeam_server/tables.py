"""From single values to rows of a namespace; rules without HTTP and without SQL.

A row is what a namespace holds of one time and one *key*: the value of its
partitioning field, usually the device. Rows come newest first and are worked
on one at a time, so that an answer of any length needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional

from iobeam_server import aggregates
from iobeam_server.aggregates import Bucket, Sums
from iobeam_server.errors import BadRequest
from iobeam_server.points import Value

Cell = Optional[Value]


class Row(NamedTuple):
    time: int
    """us, or the start of a bucket."""
    key: str
    cells: Sequence[Cell]


class Test(NamedTuple):
    """A condition on one column of a row."""

    column: int
    passes: Callable[[Cell], bool]


def assemble(
    cells: Iterator[tuple[int, int, Value]],
    keys: Sequence[str],
    columns: Sequence[int],
    width: int,
) -> Iterator[Row]:
    """Join values of one time and key into rows.

    Args:
        cells: (time, series, value), by time and, of one time, by key.
        keys: key of each series.
        columns: column of each series; -1 for one that only shows that the row exists.
        width: columns of a row; gaps are None.
    """
    now: Optional[int] = None
    key = ""
    row: list[Cell] = []
    for time, series, value in cells:
        if time != now or keys[series] != key:
            if now is not None:
                yield Row(now, key, row)
            now, key, row = time, keys[series], [None] * width
        if columns[series] >= 0:
            row[columns[series]] = value
    if now is not None:
        yield Row(now, key, row)


def passing(rows: Iterator[Row], tests: Sequence[Test]) -> Iterator[Row]:
    """Yield the rows that pass every test."""
    for row in rows:
        if all(test.passes(row.cells[test.column]) for test in tests):
            yield row


def newest_per(
    rows: Iterator[Row], value_of: Callable[[Row], Cell], most: int, max_values: int
) -> Iterator[Row]:
    """Yield the first `most` rows of each distinct value; rows without one are left out.

    Raises:
        BadRequest: more than `max_values` distinct values.
    """
    seen: dict[Cell, int] = {}
    for row in rows:
        value = value_of(row)
        if value is None:
            continue
        kept = seen.get(value, 0)
        if kept == 0 and len(seen) >= max_values:
            raise _too_many(max_values)
        if kept < most:
            seen[value] = kept + 1
            yield row


def grouped(
    rows: Iterator[Row],
    value_of: Callable[[Row], Cell],
    group_of: Callable[[Row], tuple[Cell, ...]],
    width_us: Optional[int],
    max_groups: int,
) -> Iterator[tuple[tuple[Cell, ...], Bucket]]:
    """Add up rows by bucket and group; newest bucket first.

    Raises:
        BadRequest: more than `max_groups`: they are held in memory.
    """
    sums: dict[tuple[Optional[int], tuple[Cell, ...]], Sums] = {}
    firsts: dict[tuple[Optional[int], tuple[Cell, ...]], int] = {}
    for row in rows:
        value = value_of(row)
        if value is None:
            continue
        group = group_of(row)
        if None in group:
            continue
        key = (None if width_us is None else row.time // width_us * width_us, group)
        if key not in sums:
            if len(sums) >= max_groups:
                raise _too_many(max_groups)
            sums[key] = Sums()
        sums[key].add(value)
        firsts[key] = row.time  # rows come newest first: the last one seen is the first
    found = [
        (group, sums[start, group].bucket(firsts[start, group] if start is None else start))
        for start, group in sums
    ]
    # a column is of one kind, so its values compare; the second sort keeps the first's order
    found.sort(key=lambda item: item[0])
    found.sort(key=lambda item: -item[1].start)
    return iter(found)


def newest_periods(
    found: Iterator[tuple[tuple[Cell, ...], Bucket]], periods: int
) -> Iterator[tuple[tuple[Cell, ...], Bucket]]:
    """Yield the groups of the newest `periods` buckets."""
    start: Optional[int] = None
    for group, bucket in found:
        if bucket.start != start:
            start, periods = bucket.start, periods - 1
        if periods < 0:
            return
        yield group, bucket


def value_of_bucket(operator: str, bucket: Bucket, is_flag: bool) -> Cell:
    """Return what an operator says of a bucket; the least of booleans is a boolean."""
    value = aggregates.apply(operator, bucket)
    return bool(value) if is_flag and operator in ("min", "max") else value


def _too_many(most: int) -> BadRequest:
    return BadRequest(
        f"more than {most} groups or distinct values: narrow the time range or widen the interval"
    )
