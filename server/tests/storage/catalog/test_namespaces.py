from __future__ import annotations

import pytest
from storage.samples import batch, two_devices

from iobeam_server.errors import AlreadyExists, NotFound, TypeConflict
from iobeam_server.rules.points import Kind
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.store import Storage


def test_input_is_there_and_learns_its_fields_from_imports(store: Storage) -> None:
    (found,) = store.namespaces.find(1)
    assert (found.namespace_name, found.partitioning_field) == (INPUT, "device_id")
    assert found.fields == {}
    assert found.labels == {"device_id:distinct": True}
    two_devices(store)
    (found,) = store.namespaces.find(1, INPUT)
    assert found.fields == {"n": Kind.NUMBER, "flag": Kind.BOOLEAN}
    assert store.namespaces.find(1, "none") == store.namespaces.find(9) == []


def test_create_and_change_namespaces(store: Storage) -> None:
    made = store.namespaces.create(1, "w", "city", {"t": Kind.NUMBER}, {"a": 1}, 5)
    assert store.namespaces.find(1, "w") == [made]
    assert made[1:] == (1, "w", "city", {"t": Kind.NUMBER}, {"a": 1}, 5, 5)
    with pytest.raises(AlreadyExists):
        store.namespaces.create(1, "w", "city", {}, {}, 5)
    with pytest.raises(NotFound):
        store.namespaces.create(9, "w", "city", {}, {}, 5)
    store.namespaces.change(1, made.namespace_id, {"u": Kind.TEXT}, {"b": "x"}, 7)
    (found,) = store.namespaces.find(1, "w")
    assert found.fields == {"t": Kind.NUMBER, "u": Kind.TEXT}
    assert (found.labels, found.created, found.last_modified) == ({"b": "x"}, 5, 7)
    with pytest.raises(TypeConflict):
        store.namespaces.change(1, made.namespace_id, {"v": Kind.TEXT, "t": Kind.TEXT}, {}, 8)
    assert store.namespaces.find(1, "w") == [found], "nothing was changed"
    for project, number in ((1, 99), (2, made.namespace_id)):
        with pytest.raises(NotFound):
            store.namespaces.change(project, number, {}, {}, 8)


def test_a_declared_kind_binds_what_is_written(store: Storage) -> None:
    store.namespaces.create(1, "w", "device_id", {"a": Kind.TEXT}, {}, 5)
    (refused,) = store.write([batch([[1, 1]], namespace="w")])
    assert isinstance(refused, TypeConflict)
    assert store.write([batch([[1, "x"]], namespace="w")]) == [None]
