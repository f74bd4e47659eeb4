from __future__ import annotations

import pytest
from storage.samples import batch, device, stored

from iobeam_server.errors import DuplicateDeviceId, DuplicateDeviceName, NotFound, UnknownDevice
from iobeam_server.storage.store import Storage


def test_register_and_find(store: Storage) -> None:
    assert store.devices.register(device("d", "Name", "t"), named=True) == device("d", "Name", "t")
    assert store.devices.get(1, "d") == store.devices.named(1, "Name") == device("d", "Name", "t")
    assert store.devices.get(1, "Name") is None
    assert store.devices.get(2, "d") is None


def test_duplicates_and_both_at_once_is_the_id(store: Storage) -> None:
    store.devices.register(device("d", "n"), named=True)
    with pytest.raises(DuplicateDeviceId):
        store.devices.register(device("d", "other"), named=True)
    with pytest.raises(DuplicateDeviceName):
        store.devices.register(device("e", "n"), named=True)
    with pytest.raises(DuplicateDeviceId):
        store.devices.register(device("d", "n"), named=True)


def test_a_derived_name_that_is_taken_gets_a_suffix(store: Storage) -> None:
    store.devices.register(device("d", "e"), named=True)
    made = store.devices.register(device("e"), named=False)
    assert made.device_name.startswith("e-")
    other = store.devices.register(device("f", "e"), named=False)
    assert other.device_name.startswith("f-"), "from the id, whatever name was proposed"
    assert store.devices.named(1, made.device_name) == made


def test_register_in_an_unknown_project(store: Storage) -> None:
    with pytest.raises(NotFound):
        store.devices.register(device()._replace(project_id=9), named=True)


def test_devices_in_pages(store: Storage) -> None:
    for name in "cab":
        store.devices.register(device(name), named=True)
    assert [d.device_id for d in store.devices.page(1, 0, None)] == ["a", "b", "c"]
    assert [d.device_id for d in store.devices.page(1, 1, 1)] == ["b"]
    assert store.devices.page(1, 9, None) == []


def test_change_device(store: Storage) -> None:
    store.devices.register(device("d"), named=True)
    store.devices.register(device("e"), named=True)
    assert store.devices.change(1, "d", None, "t") is True
    assert store.devices.change(1, "d", "d", "t") is False
    with pytest.raises(DuplicateDeviceName):
        store.devices.change(1, "d", "e", None)
    with pytest.raises(NotFound):
        store.devices.change(1, "x", "y", None)
    assert store.devices.get(1, "d") == device("d", "d", "t")


def test_delete_ends_the_registration_and_keeps_the_data(store: Storage) -> None:
    store.devices.register(device("d"), named=True)
    assert store.write([batch([[1, 1]], must_exist=True)]) == [None]
    assert store.devices.delete(1, "d") is True
    assert store.devices.delete(1, "d") is False
    (refused,) = store.write([batch([[2, 2]], must_exist=True)])
    assert isinstance(refused, UnknownDevice)
    store.devices.register(device("d"), named=True)
    assert store.write([batch([[2, 2]], must_exist=True)]) == [None]
    assert stored(store) == [(1, 1), (2, 2)]
