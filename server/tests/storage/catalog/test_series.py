from __future__ import annotations

import contextlib
from typing import Any

import pytest
from storage.samples import batch, stored

from iobeam_server.config import Config
from iobeam_server.errors import NotFound, Unprocessable
from iobeam_server.rules.points import Kind
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Extent, Retyped
from iobeam_server.storage.store import Storage


def test_series_by_device_and_name(store: Storage) -> None:
    store.write([batch([[1, 1, True]], ("b", "a"), device=name) for name in ("y", "x")])
    found = store.series.find(1, INPUT, None, None)
    assert [(s.device_id, s.name) for s in found] == [
        ("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"),
    ]  # fmt: skip
    assert [s.device_id for s in store.series.find(1, INPUT, "y", "a")] == ["y"]
    assert store.series.find(1, INPUT, "z", None) == store.series.find(1, "other", None, None) == []


def test_extent(store: Storage) -> None:
    store.write([batch([[5, 1], [-3, 2], [9, 3]]), batch([[5, 1]], ("b",))])
    one, other = store.series.find(1, INPUT, None, None)
    assert store.series.extent(one.series_id) == Extent(3, -3, 9)
    assert store.series.extent(other.series_id) == Extent(1, 5, 5)
    assert store.series.extent(999) is None


def test_the_oldest_points_are_deleted_some_at_a_time(store: Storage) -> None:
    store.write([batch([[i, i] for i in range(10)]), batch([[0, 1]], ("b",))])
    one = store.series.find(1, INPUT, None, "a")[0].series_id
    assert store.series.delete_points(one, 6, 3) == 3
    assert [time for time, _ in stored(store)] == [3, 4, 5, 6, 7, 8, 9]
    assert store.series.delete_points(one, 6, 100) == 4
    assert store.series.delete_points(one, 6, 100) == 0
    assert [time for time, _ in stored(store)] == [7, 8, 9]
    assert stored(store, "b") == [(0, 1)]


def test_a_field_goes_with_its_last_series(store: Storage) -> None:
    store.write([batch([[1, "n/a"]]), batch([[1, "n/a"], [2, "x"]], device="e")])
    with pytest.raises(NotFound, match="'f' has no series 'a'"):
        store.series.drop(1, INPUT, "a", "f")
    with pytest.raises(NotFound, match="no series 'b'"):
        store.series.drop(1, INPUT, "b", None)
    assert store.series.drop(1, INPUT, "a", "e") == 2
    (refused,) = store.write([batch([[1, 5]])])
    assert refused is not None, "device d still has the type"
    assert store.series.drop(1, INPUT, "a", None) == 1
    assert store.series.find(1, INPUT, None, None) == []
    assert store.write([batch([[1, 5]])]) == [None]
    assert stored(store) == [(1, 5)]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        (["1", " 2.5 ", "-9223372036854775808", "1e3"], Kind.NUMBER, [1, 2.5, -(2**63), 1000.0]),
        (["true", "False"], Kind.BOOLEAN, [True, False]),
        ([True, False], Kind.NUMBER, [1, 0]),
        ([0, 1.0, 1], Kind.BOOLEAN, [False, True, True]),
        ([1, 0.1, 2**53 + 1], Kind.TEXT, ["1", "0.1", "9007199254740993"]),
        ([True, False], Kind.TEXT, ["true", "false"]),
    ],
)
def test_a_field_changes_its_type(
    store: Storage, before: list[Any], kind: Kind, after: list[Any]
) -> None:
    rows = [[at, value] for at, value in enumerate(before)]
    store.write([batch(rows), batch(rows, device="e"), batch([[1, "x"]], ("other",))])
    assert store.series.retype(1, INPUT, "a", kind, False) == Retyped(2 * len(after), 0)
    for name in ("d", "e"):
        found = [value for _, value in stored(store, device=name)]
        assert [(type(v), v) for v in found] == [(type(v), v) for v in after]
    assert stored(store, "other") == [(1, "x")]
    assert list(store.problems()) == []
    assert store.write([batch([[99, after[0]]])]) == [None], "the writer knows the new type"


@pytest.mark.usefixtures("small_pieces")
def test_values_that_are_unfit_stop_it_or_go(store: Storage) -> None:
    values = ["n/a", "1", "x", "4", "5", "nan", "1e999", "8"]
    store.write([batch([[at, value] for at, value in enumerate(values)])])
    with pytest.raises(Unprocessable, match=r"4 of 8 .* 'n/a' of device 'd' at 0 us"):
        store.series.retype(1, INPUT, "a", Kind.NUMBER, False)
    assert [value for _, value in stored(store)] == values
    assert store.series.retype(1, INPUT, "a", Kind.NUMBER, True) == Retyped(4, 4)
    assert stored(store) == [(1, 1), (3, 4), (4, 5), (7, 8)]
    with pytest.raises(NotFound):
        store.series.retype(1, INPUT, "b", Kind.NUMBER, True)


def test_another_process_learns_at_once_what_was_mended(store: Storage, database: str) -> None:
    with contextlib.closing(open_storage(database, Config(database_connections=3))) as other:
        assert other.write([batch([[1, "1"], [2, "2"]])]) == [None]
        store.series.retype(1, INPUT, "a", Kind.NUMBER, False)
        assert other.write([batch([[3, 3]])]) == [None]
        store.series.drop(1, INPUT, "a", None)
        assert other.write([batch([[4, "text"]])]) == [None]
        assert stored(store) == [(4, "text")]
    assert list(store.problems()) == []
