from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import BadRequest
from iobeam_server.tables import Row, assemble, grouped, newest_per, newest_periods

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
    rows = list(assemble(iter(cells), keys, slots, 3))
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
    found = newest_per(rows("a", "b", None, "a", "a", "b"), lambda row: row.cells, 2, 10)  # type: ignore[arg-type,return-value]
    assert [row.cells for row in found] == ["a", "b", "a", "b"]


def test_what_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(BadRequest, match="more than 2"):
        list(newest_per(rows((1,), (2,), (3,)), first, 1, 2))
    with pytest.raises(BadRequest, match="more than 2"):
        list(grouped(rows((1,), (2,), (3,)), first, lambda row: (row.time,), None, 2))


def test_groups_newest_bucket_first_then_by_group() -> None:
    found = grouped(
        rows((1, "y"), (2, "x"), (None, "x"), (3, None), (4, "x")),
        first,
        lambda row: (row.cells[1],),
        5,
        99,
    )
    assert [(group, b.start, b.points, b.int_sum) for group, b in found] == [
        (("y",), 10, 1, 1),
        (("x",), 5, 2, 6),
    ]


def test_without_buckets_a_group_starts_at_its_first_row() -> None:
    (found,) = grouped(rows((1,), (2,)), first, lambda row: (), None, 99)
    assert found[1].start == 9


def test_newest_periods_count_buckets_not_rows() -> None:
    every = list(grouped(rows((1,), (2,), (3,), (4,)), first, lambda r: (r.time % 2,), 2, 99))
    assert [b.start for _, b in newest_periods(iter(every), 2)] == [10, 8, 8]
