from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import BadRequest, TypeConflict, Unprocessable
from iobeam_server.rules.points import (
    INT64_MAX,
    INT64_MIN,
    Column,
    Kind,
    merge,
    series_column,
    settle,
    table_columns,
)

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT64_MIN, INT64_MAX),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
)


def columns(fields: list[str], rows: list[list[object]], unit: int = 1) -> list[Column]:
    return table_columns(fields, rows, unit, 100)  # type: ignore[arg-type]


def test_table_becomes_columns_in_microseconds() -> None:
    assert columns(["time", "a", "b"], [[1, 1, "x"], [2, 2.5, "y"]], 1_000) == [
        Column("a", [1_000, 2_000], (1, 2.5), {Kind.NUMBER: 0}),
        Column("b", [1_000, 2_000], ("x", "y"), {Kind.TEXT: 0}),
    ]


def test_time_may_stand_anywhere() -> None:
    assert columns(["a", "time"], [[7, 1]])[0][:3] == ("a", [1], (7,))


def test_nulls_are_left_out_and_a_column_of_nulls_vanishes() -> None:
    found = columns(["time", "a", "b"], [[1, None, None], [2, 5, None]])
    assert found == [Column("a", [2], [5], {Kind.NUMBER: 1})]


@given(st.lists(st.tuples(st.integers(-5, 5), CELLS), max_size=20))
def test_columns_hold_the_last_value_of_each_time_ascending(
    pairs: list[tuple[int, object]],
) -> None:
    expected = {time: cell for time, cell in pairs if cell is not None}
    found = columns(["time", "a"], [[time, cell] for time, cell in pairs])
    assert len(found) == bool(expected)
    if found:
        assert list(found[0].times) == sorted(expected)
        got = dict(zip(found[0].times, found[0].values))
        assert got == expected
        assert [type(got[t]) for t in got] == [type(expected[t]) for t in got]


def test_duplicate_fields_fold_and_the_last_value_wins() -> None:
    found = columns(["time", "a", "a"], [[1, 1, 2], [2, 3, None]])
    assert [(c.name, list(c.times), list(c.values)) for c in found] == [("a", [1, 2], [2, 3])]


@pytest.mark.parametrize("count", [0, 2])
def test_table_needs_time_exactly_once(count: int) -> None:
    with pytest.raises(BadRequest):
        columns(["a", *["time"] * count], [])


@pytest.mark.parametrize(
    ("fields", "rows", "row", "field"),
    [
        (["time", "a"], [[1, 1], [2]], 1, None),
        (["time", "a"], [[1, 1], [None, 2]], 1, "time"),
        (["time", "a"], [[True, 1]], 0, "time"),
        (["time", "a"], [[1.0, 1]], 0, "time"),
        (["time", "a"], [["1", 1]], 0, "time"),
        (["time", "a"], [[1, 1], [2**63, 1]], 1, "time"),
        (["time", "a"], [[1, 1], [2, 2**63]], 1, "a"),
        (["time", "a"], [[1, -(2**63) - 1]], 0, "a"),
        (["time", "a"], [[1, "x"], [2, "y\0"]], 1, "a"),
        (["time", "a"], [[1, "x" * 101]], 0, "a"),
        (["time", "ALL"], [], None, "ALL"),
        (["time", "Time"], [], None, "Time"),
        (["time", "time_offset"], [], None, "time_offset"),
        (["time", ""], [], None, ""),
        (["time", "a\nb"], [], None, "a\nb"),
        (["time", "n" * 257], [], None, "n" * 40),
    ],
)
def test_refusal_names_row_and_field(fields, rows, row, field) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Unprocessable) as caught:
        columns(fields, rows)
    assert (caught.value.row, caught.value.field) == (row, field)


def test_a_time_is_checked_after_conversion() -> None:
    with pytest.raises(Unprocessable, match="unit"):
        columns(["time", "a"], [[2**62, 1]], 1_000)


def test_settle_takes_the_projects_kind_then_the_first_value() -> None:
    found = columns(["time", "a", "b"], [[1, 1, None], [2, 2, True]])
    assert settle(found, {}) == {"a": Kind.NUMBER, "b": Kind.BOOLEAN}
    with pytest.raises(TypeConflict) as caught:
        settle(found, {"a": Kind.NUMBER, "b": Kind.TEXT})
    assert (caught.value.row, caught.value.field) == (1, "b")


@given(st.lists(CELLS, min_size=1, max_size=12), st.sampled_from([None, *Kind]))
def test_settle_names_the_first_row_that_does_not_fit(cells: list[object], known: Kind) -> None:
    kinds = {int: Kind.NUMBER, float: Kind.NUMBER, bool: Kind.BOOLEAN, str: Kind.TEXT}
    seen = [(row, kinds[type(cell)]) for row, cell in enumerate(cells) if cell is not None]
    kind = known or (seen[0][1] if seen else None)
    bad = [row for row, found in seen if found is not kind]
    found = columns(["time", "a"], [[t, cell] for t, cell in enumerate(cells)])
    if not bad:
        settle(found, {"a": known} if known else {})
        return
    with pytest.raises(TypeConflict) as caught:
        settle(found, {"a": known} if known else {})
    assert caught.value.row == bad[0]


def test_merge_folds_series_of_the_same_name() -> None:
    first = series_column("a", [3, 1], [30, 10], 1, 10)
    second = series_column("a", [1, 2], [11, None], 1, 10)
    (folded,) = merge([first, second])
    assert (list(folded.times), list(folded.values)) == ([1, 3], [11, 30])
