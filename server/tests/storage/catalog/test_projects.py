from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from storage.samples import user

from iobeam_server.errors import AlreadyExists, NotFound
from iobeam_server.storage.base import Grant
from iobeam_server.storage.store import Storage


def test_projects(store: Storage) -> None:
    assert store.projects.create("two", 5).project_id == 2
    with pytest.raises(AlreadyExists):
        store.projects.create("two", 6)
    assert [(p.project_id, p.project_name) for p in store.projects.all()] == [
        (1, "one"),
        (2, "two"),
    ]
    assert store.projects.get(3) is None
    found = store.projects.get(2)
    assert found is not None
    assert found.created == 5


def test_first_project_only_on_an_empty_database(store: Storage) -> None:
    assert store.projects.create_first("late", 5) is None
    assert len(store.projects.all()) == 1


def test_rename_project(store: Storage) -> None:
    store.projects.create("two", 5)
    assert store.projects.rename(1, "uno") is True
    assert store.projects.rename(1, "uno") is False
    with pytest.raises(AlreadyExists):
        store.projects.rename(1, "two")
    with pytest.raises(NotFound):
        store.projects.rename(9, "x")
    assert [p.project_name for p in store.projects.all()] == ["uno", "two"]


def test_grants(store: Storage) -> None:
    ann = store.users.create(user(), "hash").user_id
    bob = store.users.create(user("bob", "b@x"), "hash").user_id
    eve = store.users.create(user("eve", "e@x"), "hash").user_id
    two = store.projects.create("two", 5, Grant(bob, 7))
    assert store.projects.permissions(1, ann) == 0
    assert store.projects.grant(1, ann, 3) == 0
    assert store.projects.grant(1, ann, 1) == 3
    store.projects.grant(1, bob, 7)
    assert store.projects.permissions(1, ann) == 1
    assert list(store.projects.grants(1)) == [(ann, 1), (bob, 7)]
    assert [(p.project_name, bits) for p, bits in store.projects.of_user(bob)] == [
        ("one", 7),
        ("two", 7),
    ]
    assert store.projects.of_user(bob)[1][0] == two
    assert [u.user_id for u in store.users.colleagues(ann)] == [ann, bob]
    assert [u.user_id for u in store.users.colleagues(eve)] == [eve]
    assert store.projects.grant(1, ann, 0) == 1
    assert store.projects.grant(1, ann, 0) == 0
    assert store.projects.of_user(ann) == []
    for project, person in ((9, ann), (1, 99)):
        with pytest.raises(NotFound):
            store.projects.grant(project, person, 1)


def test_ids_of_ones_own_beside_those_that_are_given(store: Storage) -> None:
    """Each who asks gets the id he wants, or is told; nobody else's creation fails over it."""
    refused: list[int] = []

    def create(number: int) -> int:
        wanted = number + 2 if number % 3 == 0 else None
        try:
            return store.projects.create(f"p{number}", 0, project_id=wanted).project_id
        except AlreadyExists:
            assert wanted is not None
            refused.append(wanted)
            return -wanted

    with ThreadPoolExecutor(6) as pool:
        made = [number for number in pool.map(create, range(30)) if number > 0]
    assert len(set(made)) == len(made) == 30 - len(refused)
    assert sorted([*made, 1]) == [project.project_id for project in store.projects.all()]
    top = max(made)
    assert store.projects.create("after", 0).project_id == top + 1
