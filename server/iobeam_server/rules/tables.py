"""From single values to rows of a namespace; rules without HTTP and without SQL.

A row is what a namespace holds of one time and one *key*: the value of its
partitioning field, usually the device. Rows come newest first and are worked
on one at a time, so that an answer of any length needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional

from iobeam_server.errors import BadRequest
from iobeam_server.rules import aggregates
from iobeam_server.rules.aggregates import Bucket, Sums
from iobeam_server.rules.points import Value

Cell = Optional[Value]


class Row(NamedTuple):
    time: int
    """us, or the start of a bucket."""
    key: str
    cells: Sequence[Cell]


class Table(NamedTuple):
    """An answer: names of the columns, time first, and (time in us, cells) newest first."""

    columns: Sequence[str]
    rows: Iterator[tuple[int, Sequence[Cell]]]
    has_texts: bool = False
    """Whether a cell may be a text, and a long one."""


class Bounds(NamedTuple):
    """How much of a query may be held in memory, or be empty."""

    groups: int
    """Groups or distinct values."""
    chars: int
    """Of the texts among them."""
    gaps: int
    """Empty cells of an answer, beside `GAPS_PER_VALUE` for each value."""


GAPS_PER_VALUE = 100  # rows of hundred fields may hold one each, however many they are


class Test(NamedTuple):
    """A condition on one column of a row."""

    column: int
    passes: Callable[[Cell], bool]


def assemble(
    cells: Iterator[tuple[int, int, Value]],
    keys: Sequence[str],
    columns: Sequence[int],
    width: int,
    max_gaps: int,
) -> Iterator[Row]:
    """Join values of one time and key into rows.

    Args:
        cells: (time, series, value), by time and, of one time, by key.
        keys: key of each series.
        columns: column of each series; -1 for one that only shows that the row exists.
        width: columns of a row; gaps are None.
        max_gaps: of them that there may be, beside `GAPS_PER_VALUE` for each value.

    Raises:
        BadRequest: there are more: fields by the thousand, of which each row has a few.
    """
    now: Optional[int] = None
    key = ""
    row: list[Cell] = []
    left = max_gaps  # never less in rows of up to `GAPS_PER_VALUE` columns
    for time, series, value in cells:
        left += GAPS_PER_VALUE
        if time != now or keys[series] != key:
            if now is not None:
                yield Row(now, key, row)
            left -= width
            if left < 0:
                raise BadRequest(
                    f"more than {max_gaps} cells would be empty: {width} fields, of which a row "
                    "has few; ask for one field, a shorter time, or a limit"
                )
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


class _Held:
    """Counts what is held in memory, and refuses more than the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._groups = 0
        self._chars = 0

    def add(self, values: Sequence[Cell]) -> None:
        """Count one more group, or distinct value."""
        self._groups += 1
        if self._groups > self._bounds.groups:
            raise BadRequest(
                f"more than {self._bounds.groups} groups or distinct values: "
                "narrow the time range or widen the interval"
            )
        for value in values:
            if isinstance(value, str):
                self.grow(len(value))

    def grow(self, chars: int) -> None:
        """Count characters of a text."""
        self._chars += chars
        if self._chars > self._bounds.chars:
            raise BadRequest(
                f"groups or distinct values of more than {self._bounds.chars} characters: "
                "narrow the time range or widen the interval"
            )


def newest_per(
    rows: Iterator[Row], value_of: Callable[[Row], Cell], most: int, bounds: Bounds
) -> Iterator[Row]:
    """Yield the first `most` rows of each distinct value; rows without one are left out.

    Raises:
        BadRequest: more distinct values than the bounds allow.
    """
    seen: dict[Cell, int] = {}
    held = _Held(bounds)
    for row in rows:
        value = value_of(row)
        if value is None:
            continue
        kept = seen.get(value, 0)
        if kept == 0:
            held.add((value,))
        if kept < most:
            seen[value] = kept + 1
            yield row


def grouped(
    rows: Iterator[Row],
    value_of: Callable[[Row], Cell],
    group_of: Callable[[Row], tuple[Cell, ...]],
    width_us: Optional[int],
    bounds: Bounds,
) -> Iterator[tuple[tuple[Cell, ...], Bucket]]:
    """Add up rows by bucket and group; newest bucket first.

    Raises:
        BadRequest: more than the bounds allow: they are held in memory.
    """
    held = _Held(bounds)
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
            held.add(group)
            sums[key] = Sums()
        if isinstance(value, str):
            held.grow(sums[key].add_text(value))
        else:
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
