from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

import pytest
from storage.samples import device

from iobeam_server.storage.store import Storage


def test_there_is_a_signing_key_and_it_stays(store: Storage) -> None:
    assert [len(key) for key in store.keys.signing()] == [32]
    assert store.keys.signing() == store.keys.signing()


def revoked(store: Storage, project_id: int, device_id: Optional[str]) -> int:
    return store.keys.standing(project_id, device_id, 0, 0).revoked


def test_revocation_of_a_project_or_of_one_device(store: Storage) -> None:
    before = store.keys.revision()
    assert revoked(store, 1, None) == 0
    store.keys.revoke(1, "d")
    first = revoked(store, 1, "d")
    assert before < first == store.keys.revision()
    assert revoked(store, 1, "e") == revoked(store, 1, None) == 0
    store.keys.revoke(1, None)
    assert first < revoked(store, 1, "d") == revoked(store, 1, None) == store.keys.revision()
    assert revoked(store, 2, "d") == 0
    assert [(r.project_id, r.device_id) for r in store.keys.revocations()] == [(1, "d"), (1, None)]


@pytest.mark.parametrize("moment", [0.0, -5.0, 5.5, 2e9, 1e300])
def test_numbers_rise_whatever_the_clock_says(store: Storage, moment: float) -> None:
    numbers = [store.keys.revision()]
    for clock in (time.time, lambda: moment, time.time, lambda: moment):
        store.keys.revoke(1, None, clock)
        numbers.append(store.keys.revision())
        assert numbers[-1] == revoked(store, 1, None) > numbers[-2], numbers


def test_numbers_go_on_above_those_given_since_a_copy_was_made(store: Storage) -> None:
    """An older copy of the database knows nothing of them."""
    store.keys.revoke(1, None, lambda: 2_000_000_000.0)
    assert store.keys.revision() == 2_000_000_000_000


def test_each_of_many_at_once_gets_a_number_of_its_own(store: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.keys.revoke(1, f"d{i}"), range(40)))
    numbers = [revoked(store, 1, f"d{i}") for i in range(40)]
    assert len(set(numbers)) == 40
    assert max(numbers) == store.keys.revision()


def test_deleting_a_device_ends_its_tokens_for_good(store: Storage) -> None:
    before = store.keys.revision()
    store.devices.delete(1, "d")
    assert revoked(store, 1, "d") == 0, "it was none"
    store.devices.register(device("d"), named=True)
    store.adoptions.add("digest", 1, 3, "d")
    store.devices.delete(1, "d")
    assert revoked(store, 1, "d") > before
    assert store.adoptions.all() == []
    store.devices.register(device("d"), named=True)
    assert revoked(store, 1, "d") > before
    assert revoked(store, 1, "e") == revoked(store, 1, None) == 0
