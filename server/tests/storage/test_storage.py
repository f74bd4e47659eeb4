"""What every engine must do; the fixture `store` runs it on each."""

from __future__ import annotations

import threading
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.aggregates import apply
from iobeam_server.errors import (
    AlreadyExists,
    DuplicateDeviceId,
    DuplicateDeviceName,
    NotFound,
    NotPermitted,
    TypeConflict,
    UnknownDevice,
)
from iobeam_server.points import INT64_MAX, INT64_MIN, Kind, table_columns
from iobeam_server.storage.base import (
    INPUT,
    Batch,
    Device,
    Grant,
    Part,
    Selection,
    Storage,
    User,
)


def batch(
    rows: list[list[Any]],
    fields: tuple[str, ...] = ("a",),
    device: Optional[str] = "d",
    must_exist: bool = False,
    register: bool = False,
    namespace: str = INPUT,
    project: int = 1,
) -> Batch:
    columns = table_columns(["time", *fields], rows, 1, 100)
    return Batch(project, namespace, [Part(device, columns)], must_exist, register)


def device(device_id: str = "d", name: Optional[str] = None, kind: Optional[str] = None) -> Device:
    return Device(1, device_id, name or device_id, kind, 1_700_000_000)


def stored(
    store: Storage, name: str = "a", device: Optional[str] = None, **selection: Any
) -> list[tuple[int, Any]]:
    found = []
    for series in store.series(1, INPUT, device, name):
        found += list(store.points(series, Selection(**selection)))
    return found


def buckets(store: Storage, width: Optional[int], name: str = "a", **selection: Any) -> list[Any]:
    (series,) = store.series(1, INPUT, None, name)
    return list(store.buckets(series, Selection(**selection), width))


# -- keys, projects --------------------------------------------------------------


def test_there_is_a_signing_key_and_it_stays(store: Storage) -> None:
    assert [len(key) for key in store.signing_keys()] == [32]
    assert store.signing_keys() == store.signing_keys()


def test_projects(store: Storage) -> None:
    assert store.create_project("two", 5).project_id == 2
    with pytest.raises(AlreadyExists):
        store.create_project("two", 6)
    assert [(p.project_id, p.project_name) for p in store.projects()] == [(1, "one"), (2, "two")]
    assert store.project(3) is None
    found = store.project(2)
    assert found is not None
    assert found.created == 5


def test_first_project_only_on_an_empty_database(store: Storage) -> None:
    assert store.create_first_project("late", 5) is None
    assert len(store.projects()) == 1


def test_revocation_of_a_project_or_of_one_device(store: Storage) -> None:
    assert store.revoked_before(1, None) == 0.0
    store.revoke(1, "d", 5.5)
    assert store.revoked_before(1, "d") == 5.5
    assert store.revoked_before(1, "e") == store.revoked_before(1, None) == 0.0
    store.revoke(1, None, 7.5)
    assert store.revoked_before(1, "d") == store.revoked_before(1, None) == 7.5
    assert store.revoked_before(2, "d") == 0.0


# -- devices ---------------------------------------------------------------------


def test_register_and_find(store: Storage) -> None:
    assert store.register_device(device("d", "Name", "t"), named=True) == device("d", "Name", "t")
    assert store.device(1, "d") == store.device_named(1, "Name") == device("d", "Name", "t")
    assert store.device(1, "Name") is None
    assert store.device(2, "d") is None


def test_duplicates_and_both_at_once_is_the_id(store: Storage) -> None:
    store.register_device(device("d", "n"), named=True)
    with pytest.raises(DuplicateDeviceId):
        store.register_device(device("d", "other"), named=True)
    with pytest.raises(DuplicateDeviceName):
        store.register_device(device("e", "n"), named=True)
    with pytest.raises(DuplicateDeviceId):
        store.register_device(device("d", "n"), named=True)


def test_a_derived_name_that_is_taken_gets_a_suffix(store: Storage) -> None:
    store.register_device(device("d", "e"), named=True)
    made = store.register_device(device("e"), named=False)
    assert made.device_name.startswith("e-")
    assert store.device_named(1, made.device_name) == made


def test_register_in_an_unknown_project(store: Storage) -> None:
    with pytest.raises(NotFound):
        store.register_device(device()._replace(project_id=9), named=True)


def test_devices_in_pages(store: Storage) -> None:
    for name in "cab":
        store.register_device(device(name), named=True)
    assert [d.device_id for d in store.devices(1, 0, None)] == ["a", "b", "c"]
    assert [d.device_id for d in store.devices(1, 1, 1)] == ["b"]
    assert store.devices(1, 9, None) == []


def test_change_device(store: Storage) -> None:
    store.register_device(device("d"), named=True)
    store.register_device(device("e"), named=True)
    assert store.change_device(1, "d", None, "t") is True
    assert store.change_device(1, "d", "d", "t") is False
    with pytest.raises(DuplicateDeviceName):
        store.change_device(1, "d", "e", None)
    with pytest.raises(NotFound):
        store.change_device(1, "x", "y", None)
    assert store.device(1, "d") == device("d", "d", "t")


def test_delete_ends_the_registration_and_keeps_the_data(store: Storage) -> None:
    store.register_device(device("d"), named=True)
    assert store.write([batch([[1, 1]], must_exist=True)]) == [None]
    assert store.delete_device(1, "d") is True
    assert store.delete_device(1, "d") is False
    (refused,) = store.write([batch([[2, 2]], must_exist=True)])
    assert isinstance(refused, UnknownDevice)
    store.register_device(device("d"), named=True)
    assert store.write([batch([[2, 2]], must_exist=True)]) == [None]
    assert stored(store) == [(1, 1), (2, 2)]


# -- writing ---------------------------------------------------------------------


def test_values_come_back_exactly_and_of_their_type(store: Storage) -> None:
    numbers = [0, 1, -1, INT64_MAX, INT64_MIN, 2**53 + 1, 0.1, -1.5, 1e308, 5e-324, 1.0]
    rows = [[t, n, bool(t % 2), f"é{t}😀"] for t, n in enumerate(numbers)]
    assert store.write([batch(rows, ("a", "b", "c"))]) == [None]
    got = stored(store)
    assert got == list(enumerate(numbers))
    assert [type(v) for _, v in got] == [type(n) for n in numbers]
    assert [repr(v) for _, v in got] == [repr(n) for n in numbers]
    assert stored(store, "b") == [(t, bool(t % 2)) for t in range(len(numbers))]
    assert all(type(v) is bool for _, v in stored(store, "b"))
    assert stored(store, "c") == [(t, f"é{t}😀") for t in range(len(numbers))]


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
    assert store.series(1, INPUT, None, "z") == []
    # the type of "z" was not settled by what was refused
    assert store.write([batch([[1, "text"]], ("z",))]) == [None]


def test_the_type_holds_for_the_project_not_the_device(store: Storage) -> None:
    store.write([batch([[1, True]])])
    (refused,) = store.write([batch([[1, 0]], device="other")])
    assert isinstance(refused, TypeConflict)


def test_projects_do_not_mix(store: Storage) -> None:
    store.create_project("two", 5)
    assert store.write([batch([[1, 1]]), batch([[1, "x"]], project=2)]) == [None, None]
    assert [s.kind for s in store.series(2, INPUT, None, None)] == [Kind.TEXT]


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
    found = store.device(1, "d")
    assert found is not None
    assert found.device_name == "d"


def test_an_auto_registration_in_a_refused_batch_does_not_stay(store: Storage) -> None:
    store.write([batch([[1, 1]])])
    for _ in range(2):
        (refused,) = store.write([batch([[1, "x"]], device="e", must_exist=True, register=True)])
        assert isinstance(refused, TypeConflict)
        assert store.device(1, "e") is None


def test_points_under_no_device(store: Storage) -> None:
    store.write([batch([[1, 1]], device=None)])
    assert [s.device_id for s in store.series(1, INPUT, None, None)] == [""]


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


# -- reading ---------------------------------------------------------------------


def test_series_by_device_and_name(store: Storage) -> None:
    store.write([batch([[1, 1, True]], ("b", "a"), device=name) for name in ("y", "x")])
    found = store.series(1, INPUT, None, None)
    assert [(s.device_id, s.name) for s in found] == [
        ("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"),
    ]  # fmt: skip
    assert [s.device_id for s in store.series(1, INPUT, "y", "a")] == ["y"]
    assert store.series(1, INPUT, "z", None) == store.series(1, "other", None, None) == []


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


def test_check(store: Storage) -> None:
    store.check()


# -- reading many series ---------------------------------------------------------


def fill(store: Storage) -> None:
    rows = [[t, t, t % 2 == 0] for t in range(5)]
    store.write([batch(rows, ("n", "flag"), device=name) for name in ("d", "e")])


def test_rows_are_newest_first_then_in_the_order_of_the_series(store: Storage) -> None:
    fill(store)
    series = store.series(1, INPUT, None, None)
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
    fill(store)
    series = [s for s in store.series(1, INPUT, None, "n") if s.device_id in devices]
    found = list(store.rows(series, 1, 3, newest))
    assert [time for time, _, _ in found] == [t for t in times for _ in devices]
    assert len(list(store.rows(series, None, None, 2**70))) == 5 * len(devices)


def test_rows_of_texts_and_exact_numbers(store: Storage) -> None:
    store.write([batch([[1, "x", INT64_MAX], [2, "y", 0.5]], ("t", "v"))])
    series = store.series(1, INPUT, None, None)
    found = list(store.rows(series, None, None, None))
    assert found == [(2, 0, "y"), (2, 1, 0.5), (1, 0, "x"), (1, 1, INT64_MAX)]


def test_groups_of_many_series(store: Storage) -> None:
    fill(store)
    series = store.series(1, INPUT, None, "n")
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
    series = store.series(1, INPUT, None, "a")
    ((_, bucket),) = store.groups(series, 0, len(numbers) - 1, None, apart=False)
    assert bucket.int_sum == 2 * sum(numbers)


# -- namespaces ------------------------------------------------------------------


def test_input_is_there_and_learns_its_fields_from_imports(store: Storage) -> None:
    (found,) = store.namespaces(1)
    assert (found.namespace_name, found.partitioning_field) == (INPUT, "device_id")
    assert found.fields == {}
    assert found.labels == {"device_id:distinct": True}
    fill(store)
    (found,) = store.namespaces(1, INPUT)
    assert found.fields == {"n": Kind.NUMBER, "flag": Kind.BOOLEAN}
    assert store.namespaces(1, "none") == store.namespaces(9) == []


def test_create_and_change_namespaces(store: Storage) -> None:
    made = store.create_namespace(1, "w", "city", {"t": Kind.NUMBER}, {"a": 1}, 5)
    assert store.namespaces(1, "w") == [made]
    assert made[1:] == (1, "w", "city", {"t": Kind.NUMBER}, {"a": 1}, 5, 5)
    with pytest.raises(AlreadyExists):
        store.create_namespace(1, "w", "city", {}, {}, 5)
    with pytest.raises(NotFound):
        store.create_namespace(9, "w", "city", {}, {}, 5)
    store.change_namespace(1, made.namespace_id, {"u": Kind.TEXT}, {"b": "x"}, 7)
    (found,) = store.namespaces(1, "w")
    assert found.fields == {"t": Kind.NUMBER, "u": Kind.TEXT}
    assert (found.labels, found.created, found.last_modified) == ({"b": "x"}, 5, 7)
    with pytest.raises(TypeConflict):
        store.change_namespace(1, made.namespace_id, {"v": Kind.TEXT, "t": Kind.TEXT}, {}, 8)
    assert store.namespaces(1, "w") == [found], "nothing was changed"
    for project, number in ((1, 99), (2, made.namespace_id)):
        with pytest.raises(NotFound):
            store.change_namespace(project, number, {}, {}, 8)


def test_a_declared_kind_binds_what_is_written(store: Storage) -> None:
    store.create_namespace(1, "w", "device_id", {"a": Kind.TEXT}, {}, 5)
    (refused,) = store.write([batch([[1, 1]], namespace="w")])
    assert isinstance(refused, TypeConflict)
    assert store.write([batch([[1, "x"]], namespace="w")]) == [None]


# -- users -----------------------------------------------------------------------


def user(name: str = "ann", email: str = "ann@example.org", **more: Any) -> User:
    return User(0, name, email, None, None, None, None, 1_000, 0.0)._replace(**more)


def test_users_by_name_or_email_in_any_case(store: Storage) -> None:
    made = store.create_user(user(first_name="Ann", url="u"), "hash")
    assert made.user_id > 0
    assert store.user(made.user_id) == made
    for name in ("ann", "ANN", "Ann@Example.org"):
        assert store.credentials(name) == (made, "hash")
    assert store.credentials("bob") is store.user(99) is None


def test_names_and_emails_are_one_name_space(store: Storage) -> None:
    store.create_user(user(), "hash")
    for name, email in (("ANN", "x@y"), ("x", "ANN@example.org"), ("ann@example.org", "x@y")):
        with pytest.raises(AlreadyExists):
            store.create_user(user(name, email), "hash")
    assert store.create_user(user("b@c", "b@c"), "hash").username == "b@c", "one for both is fine"


def test_change_user(store: Storage) -> None:
    ann = store.create_user(user(), "hash")
    store.create_user(user("bob", "bob@example.org"), "hash")
    assert store.change_user(ann) is False
    changed = ann._replace(username="anna", last_name="L")
    assert store.change_user(changed) is True
    assert store.credentials("ann") is None
    assert store.credentials("anna") == (changed, "hash")
    with pytest.raises(AlreadyExists):
        store.change_user(changed._replace(email="BOB"))
    assert store.user(ann.user_id) == changed
    with pytest.raises(NotFound):
        store.change_user(user(user_id=99))


def test_set_password(store: Storage) -> None:
    ann = store.create_user(user(), "hash")
    store.set_password(ann.user_id, "new", 5.5)
    assert store.credentials("ann") == (ann._replace(tokens_after=5.5), "new")


def test_an_invite_is_good_once_and_until_it_expires(store: Storage) -> None:
    store.add_invite("good", 2_000)
    store.add_invite("old", 1_000)
    assert store.has_invite("good", 1_999)
    assert not store.has_invite("good", 2_000)
    assert not store.has_invite("none", 0)
    for invite in ("none", "old"):
        with pytest.raises(NotPermitted):
            store.create_user(user(), "hash", invite)
    assert store.credentials("ann") is None
    store.create_user(user("b", "b@x"), "hash")
    with pytest.raises(AlreadyExists):
        store.create_user(user("b"), "hash", "good")
    store.create_user(user(), "hash", "good")
    with pytest.raises(NotPermitted):
        store.create_user(user("c", "c@x"), "hash", "good")


def test_grants(store: Storage) -> None:
    ann = store.create_user(user(), "hash").user_id
    bob = store.create_user(user("bob", "b@x"), "hash").user_id
    eve = store.create_user(user("eve", "e@x"), "hash").user_id
    two = store.create_project("two", 5, Grant(bob, 7))
    assert store.permissions(1, ann) == 0
    assert store.set_permissions(1, ann, 3) == 0
    assert store.set_permissions(1, ann, 1) == 3
    store.set_permissions(1, bob, 7)
    assert store.permissions(1, ann) == 1
    assert list(store.grants(1)) == [(ann, 1), (bob, 7)]
    assert [(p.project_name, bits) for p, bits in store.projects_of(bob)] == [
        ("one", 7),
        ("two", 7),
    ]
    assert store.projects_of(bob)[1][0] == two
    assert [u.user_id for u in store.colleagues(ann)] == [ann, bob]
    assert [u.user_id for u in store.colleagues(eve)] == [eve]
    assert store.set_permissions(1, ann, 0) == 1
    assert store.set_permissions(1, ann, 0) == 0
    assert store.projects_of(ann) == []
    for project, person in ((9, ann), (1, 99)):
        with pytest.raises(NotFound):
            store.set_permissions(project, person, 1)


def test_rename_project(store: Storage) -> None:
    store.create_project("two", 5)
    assert store.rename_project(1, "uno") is True
    assert store.rename_project(1, "uno") is False
    with pytest.raises(AlreadyExists):
        store.rename_project(1, "two")
    with pytest.raises(NotFound):
        store.rename_project(9, "x")
    assert [p.project_name for p in store.projects()] == ["uno", "two"]
