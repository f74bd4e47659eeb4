from __future__ import annotations

import pytest
from storage.samples import user

from iobeam_server.errors import AlreadyExists, NotFound, NotPermitted
from iobeam_server.storage.store import Storage


def test_users_by_name_or_email_in_any_case(store: Storage) -> None:
    made = store.users.create(user(first_name="Ann", url="u"), "hash")
    assert made.user_id > 0
    assert store.users.get(made.user_id) == made
    for name in ("ann", "ANN", "Ann@Example.org"):
        assert store.users.credentials(name) == (made, "hash")
    assert store.users.credentials("bob") is store.users.get(99) is None


def test_names_and_emails_are_one_name_space(store: Storage) -> None:
    store.users.create(user(), "hash")
    for name, email in (("ANN", "x@y"), ("x", "ANN@example.org"), ("ann@example.org", "x@y")):
        with pytest.raises(AlreadyExists):
            store.users.create(user(name, email), "hash")
    assert store.users.create(user("b@c", "b@c"), "hash").username == "b@c", "one for both is fine"


def test_change_user(store: Storage) -> None:
    ann = store.users.create(user(), "hash")
    store.users.create(user("bob", "bob@example.org"), "hash")
    assert store.users.change(ann) is False
    changed = ann._replace(username="anna", last_name="L")
    assert store.users.change(changed) is True
    assert store.users.credentials("ann") is None
    assert store.users.credentials("anna") == (changed, "hash")
    with pytest.raises(AlreadyExists):
        store.users.change(changed._replace(email="BOB"))
    assert store.users.get(ann.user_id) == changed
    with pytest.raises(NotFound):
        store.users.change(user(user_id=99))


def test_set_password(store: Storage) -> None:
    ann = store.users.create(user(), "hash")
    store.users.set_password(ann.user_id, "new", lambda: 5.5)
    found = store.users.credentials("ann")
    assert found is not None
    number = found[0].password_number
    assert number > ann.password_number
    assert found == (ann._replace(tokens_after=5.5, password_number=number), "new")
    store.users.set_password(ann.user_id, "newer", lambda: 1.5)
    newer = store.users.get(ann.user_id)
    assert newer is not None
    assert newer.password_number > number, "whatever the clock says"
    with pytest.raises(NotFound):
        store.users.set_password(99, "x")


def test_delete_user(store: Storage) -> None:
    ann = store.users.create(user(), "hash")
    bob = store.users.create(user("bob", "bob@example.org"), "hash")
    store.projects.grant(1, ann.user_id, 7)
    assert store.users.delete(ann.user_id) is True
    assert store.users.delete(ann.user_id) is store.users.delete(99) is False
    assert store.users.get(ann.user_id) is store.users.credentials("ann") is None
    assert store.users.all() == store.users.colleagues(bob.user_id) == [bob]
    assert store.projects.grants(1) == []
    assert list(store.problems()) == []
    for change in (
        lambda: store.users.change(ann._replace(username="anna")),
        lambda: store.users.set_password(ann.user_id, "x"),
        lambda: store.projects.grant(1, ann.user_id, 1),
    ):
        with pytest.raises(NotFound):
            change()
    again = store.users.create(user(), "hash")
    assert again.user_id not in (ann.user_id, bob.user_id)


def test_an_invite_is_good_once_and_until_it_expires(store: Storage) -> None:
    store.users.add_invite("good", 2_000)
    store.users.add_invite("old", 1_000)
    assert store.users.has_invite("good", 1_999)
    assert not store.users.has_invite("good", 2_000)
    assert not store.users.has_invite("none", 0)
    for invite in ("none", "old"):
        with pytest.raises(NotPermitted):
            store.users.create(user(), "hash", invite)
    assert store.users.credentials("ann") is None
    store.users.create(user("b", "b@x"), "hash")
    with pytest.raises(AlreadyExists):
        store.users.create(user("b"), "hash", "good")
    store.users.create(user(), "hash", "good")
    with pytest.raises(NotPermitted):
        store.users.create(user("c", "c@x"), "hash", "good")
