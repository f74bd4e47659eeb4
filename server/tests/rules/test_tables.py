from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import BadRequest
from iobeam_server.rules.tables import (
    GAPS_PER_VALUE,
    Bounds,
    Row,
    assemble,
    grouped,
    newest_per,
    newest_periods,
)

WIDE = Bounds(99, 1_000, 0)

POINTS = st.dictionaries(
    st.tuples(st.integers(0, 5), st.sampled_from("de"), st.sampled_from("abc")),
    st.integers(-9, 9),
    max_size=25,
)


@given(POINTS)
def test_rows_hold_exactly_the_points(points: dict[tuple[int, str, str], int]) -> None:
    series = sorted({(key, name) for _, key, name in points})
    cells = sorted(
        ((time, series.index((key, name)), value) for (time, key, name), value in points.items()),
        key=lambda cell: (-cell[0], cell[1]),
    )
    keys = [key for key, _ in series]
    slots = ["abc".index(name) for _, name in series]
    rows = list(assemble(iter(cells), keys, slots, 3, 0))
    found = {
        (row.time, row.key, "abc"[at]): cell
        for row in rows
        for at, cell in enumerate(row.cells)
        if cell is not None
    }
    assert found == points
    assert len({(row.time, row.key) for row in rows}) == len(rows)
    assert [row.time for row in rows] == sorted((row.time for row in rows), reverse=True)


def rows(*cells: Any) -> Any:
    return iter([Row(10 - at, "", cell) for at, cell in enumerate(cells)])


def first(row: Row) -> Any:
    return row.cells[0]


def test_newest_per_value_leaves_nulls_out() -> None:
    found = newest_per(rows("a", "b", None, "a", "a", "b"), lambda row: row.cells, 2, WIDE)  # type: ignore[arg-type,return-value]
    assert [row.cells for row in found] == ["a", "b", "a", "b"]


def test_what_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(BadRequest, match="more than 2"):
        list(newest_per(rows((1,), (2,), (3,)), first, 1, Bounds(2, 99, 0)))
    with pytest.raises(BadRequest, match="more than 2"):
        list(
            grouped(rows((1,), (2,), (3,)), first, lambda row: (row.time,), None, Bounds(2, 99, 0))
        )


def test_long_texts_fill_the_memory_sooner() -> None:
    texts = [(letter * 40,) for letter in "abcd"]
    three = Bounds(99, 120, 0)
    assert len(list(newest_per(rows(*texts[:3] * 5), first, 9, three))) == 15
    with pytest.raises(BadRequest, match="more than 120 characters"):
        list(newest_per(rows(*texts), first, 1, three))
    with pytest.raises(BadRequest, match="more than 120 characters"):
        list(grouped(rows(*texts), lambda row: 1, first_alone, None, three))


def first_alone(row: Row) -> Any:
    return (row.cells[0],)


def test_the_least_and_greatest_texts_are_held_as_well() -> None:
    texts = [(letter * 40,) for letter in "mnbyc"]  # at the end b and y are held, of one group
    (found,) = grouped(rows(*texts), first, lambda row: (), None, Bounds(9, 120, 0))
    assert (found[1].least, found[1].greatest) == ("b" * 40, "y" * 40)
    with pytest.raises(BadRequest, match="more than 120 characters"):
        list(grouped(rows(*texts), first, lambda row: (row.time % 2,), None, Bounds(9, 120, 0)))


@pytest.mark.parametrize("width", [1, GAPS_PER_VALUE])
def test_rows_of_up_to_hundred_fields_may_be_as_empty_as_they_are(width: int) -> None:
    cells = ((time, 0, 1) for time in range(1_000, 0, -1))
    assert len(list(assemble(cells, ["d"], [0], width, 0))) == 1_000


def test_rows_of_many_fields_that_hold_few_are_refused() -> None:
    cells = [(time, 0, 1) for time in range(50, 0, -1)]
    assert len(list(assemble(iter(cells), ["d"], [0], 300, 200 * 50))) == 50
    with pytest.raises(BadRequest, match=r"more than 9999 cells would be empty: 300 fields"):
        list(assemble(iter(cells), ["d"], [0], 300, 200 * 50 - 1))
    full = [(time, at, 1) for time in (2, 1) for at in range(500)]
    assert len(list(assemble(iter(full), ["d"] * 500, list(range(500)), 500, 499))) == 2


def test_groups_newest_bucket_first_then_by_group() -> None:
    found = grouped(
        rows((1, "y"), (2, "x"), (None, "x"), (3, None), (4, "x")),
        first,
        lambda row: (row.cells[1],),
        5,
        WIDE,
    )
    assert [(group, b.start, b.points, b.int_sum) for group, b in found] == [
        (("y",), 10, 1, 1),
        (("x",), 5, 2, 6),
    ]


def test_without_buckets_a_group_starts_at_its_first_row() -> None:
    (found,) = grouped(rows((1,), (2,)), first, lambda row: (), None, WIDE)
    assert found[1].start == 9


def test_newest_periods_count_buckets_not_rows() -> None:
    every = list(grouped(rows((1,), (2,), (3,), (4,)), first, lambda r: (r.time % 2,), 2, WIDE))
    assert [b.start for _, b in newest_periods(iter(every), 2)] == [10, 8, 8]
