"""`Points.write`, on each engine."""

from __future__ import annotations

import threading

from storage.samples import batch, stored

from iobeam_server.errors import NotFound, TypeConflict, UnknownDevice
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind
from iobeam_server.storage.base import INPUT, Selection
from iobeam_server.storage.store import Storage


def test_values_come_back_exactly_and_of_their_type(store: Storage) -> None:
    numbers = [
        0, 1, -1, INT64_MAX, INT64_MIN, 2**53 + 1, 0.1, -1.5, 1e308, 5e-324, 1.0, 0.0, -0.0,
    ]  # fmt: skip
    rows = [[t, n, bool(t % 2), f"é{t}😀"] for t, n in enumerate(numbers)]
    assert store.write([batch(rows, ("a", "b", "c"))]) == [None]
    got = stored(store)
    assert got == list(enumerate(numbers))
    assert [type(v) for _, v in got] == [type(n) for n in numbers]
    assert [repr(v) for _, v in got] == [repr(n) for n in numbers]
    assert stored(store, "b") == [(t, bool(t % 2)) for t in range(len(numbers))]
    assert all(type(v) is bool for _, v in stored(store, "b"))
    assert stored(store, "c") == [(t, f"é{t}😀") for t in range(len(numbers))]


def test_minus_zero_is_a_double_of_its_own(store: Storage) -> None:
    """SQLite has no -0.0 in a column of doubles."""
    rows = [[1, -0.0], [2, 0.0], [3, 0], [4, -0.0]]
    store.write([batch(rows), batch(rows, ("b",))])
    (series,) = store.series.find(1, INPUT, None, "a")
    (other,) = store.series.find(1, INPUT, None, "b")
    assert [repr(value) for _, value in stored(store)] == ["-0.0", "0.0", "0", "-0.0"]
    newest = [repr(value) for _, _, value in store.rows([series], None, None, None)]
    assert newest == ["-0.0", "0", "0.0", "-0.0"]
    many = [repr(value) for _, _, value in store.rows([series, other], None, None, 1)]
    assert many == ["-0.0", "-0.0"]
    assert [time for time, _ in stored(store, equals=0)] == [1, 2, 3, 4]
    assert stored(store, less_than=0) == []
    (bucket,) = store.buckets(series, Selection(), None)
    assert (bucket.points, bucket.least, bucket.greatest) == (4, 0, 0)
    assert list(store.problems()) == []
    store.write([batch([[1, 5], [4, 0.5]])])
    assert [repr(value) for _, value in stored(store)] == ["5", "0.0", "0", "0.5"]
    store.write([batch([[4, -0.0]])])
    store.series.retype(1, INPUT, "a", Kind.TEXT, drop_unfit=False)
    assert [value for _, value in stored(store)] == ["5", "0.0", "0", "-0.0"]
    store.series.retype(1, INPUT, "a", Kind.NUMBER, drop_unfit=False)
    assert [repr(value) for _, value in stored(store)] == ["5", "0.0", "0", "-0.0"]


def test_any_number_of_rows_and_times_at_the_ends(store: Storage) -> None:
    rows = [[t, t] for t in [INT64_MIN, *range(1_000), INT64_MAX]]
    assert store.write([batch(rows)]) == [None]
    assert stored(store) == [(t, t) for t, _ in rows]


def test_a_point_is_overwritten_also_by_another_type_of_number(store: Storage) -> None:
    store.write([batch([[1, 1], [2, 2.5]])])
    store.write([batch([[1, 1.5], [2, 2], [3, 3]])])
    assert stored(store) == [(1, 1.5), (2, 2), (3, 3)]


def test_the_same_series_twice_in_one_transaction(store: Storage) -> None:
    assert store.write([batch([[1, 1]]), batch([[1, 2], [2, 3]])]) == [None, None]
    assert stored(store) == [(1, 2), (2, 3)]


def test_a_refused_batch_is_not_stored_at_all_and_fails_no_neighbour(store: Storage) -> None:
    bad = batch([[1, "x", 1], [2, "y", 2]], ("a", "z"))
    results = store.write([batch([[1, 1]]), bad, batch([[2, 2]])])
    assert [type(result) for result in results] == [type(None), TypeConflict, type(None)]
    assert (results[1].row, results[1].field) == (0, "a")  # type: ignore[union-attr]
    assert stored(store) == [(1, 1), (2, 2)]
    assert store.series.find(1, INPUT, None, "z") == []
    # the type of "z" was not settled by what was refused
    assert store.write([batch([[1, "text"]], ("z",))]) == [None]


def test_nothing_stays_of_the_parts_before_the_one_that_is_refused(store: Storage) -> None:
    good, bad = batch([[1, 1]]).parts, batch([[1, "x"]], device="e").parts
    refused, stored_too = store.write(
        [batch([[1, 1]])._replace(parts=[*good, *bad]), batch([[2, "y"]])]
    )
    assert isinstance(refused, TypeConflict)
    assert stored_too is None, "the type was not settled by what was refused"
    assert stored(store) == [(2, "y")]
    assert store.series.find(1, INPUT, "e", "a") == []


def test_the_type_holds_for_the_project_not_the_device(store: Storage) -> None:
    store.write([batch([[1, True]])])
    (refused,) = store.write([batch([[1, 0]], device="other")])
    assert isinstance(refused, TypeConflict)


def test_projects_do_not_mix(store: Storage) -> None:
    store.projects.create("two", 5)
    assert store.write([batch([[1, 1]]), batch([[1, "x"]], project=2)]) == [None, None]
    assert [s.kind for s in store.series.find(2, INPUT, None, None)] == [Kind.TEXT]


def test_unknown_device_project_and_namespace(store: Storage) -> None:
    results = store.write(
        [
            batch([[1, 1]], must_exist=True),
            batch([[1, 1]], project=9),
            batch([[1, 1]], namespace="none"),
        ]
    )
    assert [type(result) for result in results] == [UnknownDevice, NotFound, NotFound]


def test_auto_register(store: Storage) -> None:
    assert store.write([batch([[1, 1]], must_exist=True, register=True)] * 2) == [None, None]
    found = store.devices.get(1, "d")
    assert found is not None
    assert found.device_name == "d"


def test_an_auto_registration_in_a_refused_batch_does_not_stay(store: Storage) -> None:
    store.write([batch([[1, 1]])])
    for _ in range(2):
        (refused,) = store.write([batch([[1, "x"]], device="e", must_exist=True, register=True)])
        assert isinstance(refused, TypeConflict)
        assert store.devices.get(1, "e") is None


def test_points_under_no_device(store: Storage) -> None:
    store.write([batch([[1, 1]], device=None)])
    assert [s.device_id for s in store.series.find(1, INPUT, None, None)] == [""]


def test_threads_write_and_read_at_once(store: Storage) -> None:
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for i in range(20):
                assert store.write([batch([[i, i]], device=name)]) == [None]
                assert len(stored(store, device=name)) == i + 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"d{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(stored(store)) == 80
