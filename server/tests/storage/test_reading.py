"""`Points.points`, `buckets`, `rows` and `groups`, on each engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage.samples import batch, buckets, stored, two_devices

from iobeam_server.rules.aggregates import apply
from iobeam_server.rules.points import INT64_MAX, INT64_MIN
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.store import Storage


def test_time_bounds_are_inclusive(store: Storage) -> None:
    store.write([batch([[t, t] for t in range(-3, 4)])])
    assert [t for t, _ in stored(store, start=-2, end=1)] == [-2, -1, 0, 1]
    assert [t for t, _ in stored(store, start=-(2**70), end=2**70)] == list(range(-3, 4))
    assert stored(store, start=2, end=1) == []


def test_value_filters(store: Storage) -> None:
    store.write([batch([[1, 1], [2, 2.5], [3, INT64_MAX], [4, -1]])])
    assert [t for t, _ in stored(store, less_than=2.5)] == [1, 4]
    assert [t for t, _ in stored(store, greater_than=1)] == [2, 3]
    assert [t for t, _ in stored(store, equals=INT64_MAX)] == [3]
    assert [t for t, _ in stored(store, equals=INT64_MAX - 1)] == []
    assert [t for t, _ in stored(store, equals=2.5)] == [2]
    assert [t for t, _ in stored(store, less_than=10**40)] == [1, 2, 3, 4]
    assert [t for t, _ in stored(store, greater_than=0, less_than=2)] == [1]


@pytest.mark.parametrize("value", ["5", True])
def test_value_filters_leave_out_what_is_no_number(store: Storage, value: object) -> None:
    store.write([batch([[1, value]])])
    assert stored(store, less_than=10) == []
    assert buckets(store, None, less_than=10) == []


def test_limit_keeps_the_last(store: Storage) -> None:
    store.write([batch([[t, t] for t in range(5)])])
    assert [t for t, _ in stored(store, limit=2)] == [3, 4]
    assert [t for t, _ in stored(store, limit=2, end=2)] == [1, 2]
    assert len(stored(store, limit=2**80)) == 5


def test_buckets_align_to_the_epoch_also_before_it(store: Storage) -> None:
    store.write([batch([[t, t] for t in (-11, -10, -1, 0, 9, 10, 25)])])
    assert [(b.start, b.points) for b in buckets(store, 10)] == [
        (-20, 1), (-10, 2), (0, 2), (10, 1), (20, 1),
    ]  # fmt: skip
    assert [b.start for b in buckets(store, 10, limit=2)] == [10, 20]
    assert [b.start for b in buckets(store, 10, start=5, end=10)] == [0, 10]


def test_one_bucket_over_everything(store: Storage) -> None:
    store.write([batch([[5, 1], [7, 2.5], [9, -4]])])
    (bucket,) = buckets(store, None)
    assert (bucket.start, bucket.points, bucket.least, bucket.greatest) == (5, 3, -4, 2.5)
    assert apply("sum", bucket) == -0.5
    assert [b.start for b in buckets(store, None, start=2)] == [2]
    assert buckets(store, None, start=100) == []


@given(st.lists(st.integers(INT64_MIN, INT64_MAX), min_size=1, max_size=30))
def test_sums_of_integers_are_exact(store: Storage, numbers: list[int]) -> None:
    store.write([batch([[t, n] for t, n in enumerate(numbers)])])
    (bucket,) = buckets(store, None, end=len(numbers) - 1)
    assert bucket.int_sum == sum(numbers)
    assert (bucket.least, bucket.greatest) == (min(numbers), max(numbers))


def test_buckets_of_booleans_and_texts(store: Storage) -> None:
    store.write([batch([[1, True, "b"], [2, False, "a"], [3, True, "c"]], ("a", "t"))])
    (flags,) = buckets(store, None)
    assert (flags.points, flags.int_sum, flags.least, flags.greatest) == (3, 2, 0, 1)
    (texts,) = buckets(store, None, "t")
    assert (texts.points, texts.least, texts.greatest) == (3, "a", "c")


def test_rows_are_newest_first_then_in_the_order_of_the_series(store: Storage) -> None:
    two_devices(store)
    series = store.series.find(1, INPUT, None, None)
    assert [(s.device_id, s.name) for s in series] == [
        ("d", "flag"), ("d", "n"), ("e", "flag"), ("e", "n"),
    ]  # fmt: skip
    assert list(store.rows(series, 1, 2, None)) == [
        (2, 0, True), (2, 1, 2), (2, 2, True), (2, 3, 2),
        (1, 0, False), (1, 1, 1), (1, 2, False), (1, 3, 1),
    ]  # fmt: skip
    assert list(store.rows([], None, None, None)) == []
    assert type(next(iter(store.rows(series, None, None, None)))[2]) is bool


@pytest.mark.parametrize("devices", [["d"], ["d", "e"]])
@pytest.mark.parametrize(("newest", "times"), [(1, [3]), (2, [3, 2]), (99, [3, 2, 1])])
def test_the_newest_of_each_series(
    store: Storage, devices: list[str], newest: int, times: list[int]
) -> None:
    two_devices(store)
    series = [s for s in store.series.find(1, INPUT, None, "n") if s.device_id in devices]
    found = list(store.rows(series, 1, 3, newest))
    assert [time for time, _, _ in found] == [t for t in times for _ in devices]
    assert len(list(store.rows(series, None, None, 2**70))) == 5 * len(devices)


def test_rows_of_texts_and_exact_numbers(store: Storage) -> None:
    store.write([batch([[1, "x", INT64_MAX], [2, "y", 0.5]], ("t", "v"))])
    series = store.series.find(1, INPUT, None, None)
    found = list(store.rows(series, None, None, None))
    assert found == [(2, 0, "y"), (2, 1, 0.5), (1, 0, "x"), (1, 1, INT64_MAX)]


def test_groups_of_many_series(store: Storage) -> None:
    two_devices(store)
    series = store.series.find(1, INPUT, None, "n")
    together = list(store.groups(series, None, None, 2, apart=False))
    assert [(at, b.start, b.points, b.int_sum) for at, b in together] == [
        (0, 4, 2, 8), (0, 2, 4, 10), (0, 0, 4, 2),
    ]  # fmt: skip
    apart = list(store.groups(series, 1, 3, 2, apart=True))
    assert [(at, b.start, b.points, b.int_sum) for at, b in apart] == [
        (0, 2, 2, 5), (1, 2, 2, 5), (0, 0, 1, 1), (1, 0, 1, 1),
    ]  # fmt: skip
    whole = list(store.groups(series, 1, None, None, apart=False))
    assert [(b.start, b.points, b.greatest) for _, b in whole] == [(1, 8, 4)]
    assert [b.points for _, b in store.groups(series, 1, None, None, apart=True)] == [4, 4]
    assert list(store.groups(series, 9, None, None, apart=False)) == []
    assert list(store.groups([], None, None, 5, apart=False)) == []


@given(st.lists(st.integers(INT64_MIN, INT64_MAX), min_size=1, max_size=20))
def test_sums_over_many_series_are_exact(store: Storage, numbers: list[int]) -> None:
    rows = [[t, n] for t, n in enumerate(numbers)]
    store.write([batch(rows, device=name) for name in ("d", "e")])
    series = store.series.find(1, INPUT, None, "a")
    ((_, bucket),) = store.groups(series, 0, len(numbers) - 1, None, apart=False)
    assert bucket.int_sum == 2 * sum(numbers)
