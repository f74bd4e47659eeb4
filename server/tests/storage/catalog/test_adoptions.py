from __future__ import annotations

import pytest

from iobeam_server.errors import AlreadyExists, NotFound
from iobeam_server.storage.store import Storage


def test_adoptions(store: Storage) -> None:
    assert not store.adoptions.any()
    first = store.adoptions.add("aa", 1, 3, None, lambda: 5.5)
    second = store.adoptions.add("bb", 1, 1, "d")
    assert (first.created, first.permissions, first.device_id) == (5, 3, None)
    assert second.number > first.number
    assert store.adoptions.any()
    assert store.adoptions.all() == [first, second]
    assert store.adoptions.get("bb") == second
    assert store.adoptions.get("a") is None
    with pytest.raises(AlreadyExists, match="aa"):
        store.adoptions.add("aa", 1, 3, None)
    with pytest.raises(NotFound):
        store.adoptions.add("cc", 9, 3, None)
    assert store.adoptions.end("aa") is True
    assert store.adoptions.end("aa") is False
    assert store.adoptions.all() == [second]
    again = store.adoptions.add("aa", 1, 3, None)
    assert again.number > second.number, "tokens made of the first one stay dead"
    assert store.keys.standing(1, None, 0, again.number).is_adopted
    assert not store.keys.standing(1, None, 0, first.number).is_adopted


def test_a_revocation_ends_those_that_it_concerns(store: Storage) -> None:
    for digest, device in (("aa", None), ("bb", "d"), ("cc", "e")):
        store.adoptions.add(digest, 1, 3, device)
    store.keys.revoke(1, "d")
    assert [one.digest for one in store.adoptions.all()] == ["aa", "cc"]
    store.keys.revoke(2, None)
    assert len(store.adoptions.all()) == 2
    store.keys.revoke(1, None)
    assert store.adoptions.all() == []
