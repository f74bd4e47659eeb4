from __future__ import annotations

import pytest

from iobeam_server.errors import BadRequest, NotFound
from iobeam_server.rights import accounts
from iobeam_server.storage.store import Storage


@pytest.mark.parametrize(
    ("email", "username"),
    [
        ("a@b.c", None), ("a@b.c", "ann"), ("a@b@c", "x"), ("x" * 248 + "@b.org", None),
    ],
)  # fmt: skip
def test_names_that_can_sign_in(email: str, username: str) -> None:
    accounts.check_user(accounts.new_user(email, username, 0))


@pytest.mark.parametrize(
    ("email", "username"),
    [
        ("", None), ("ann", None), ("@b.c", None), ("a@", None), ("a b@c.d", None),
        ("x" * 250 + "@b.org", None), ("a:b@c.d", None), ("a@b.c", "a:b"), ("a@b.c", " "),
        ("a@b.c", "a\n"),
    ],
)  # fmt: skip
def test_names_that_cannot(email: str, username: str) -> None:
    with pytest.raises(BadRequest):
        accounts.check_user(accounts.new_user(email, username, 0))


def test_a_user_is_found_by_name_email_or_id(store: Storage) -> None:
    made = accounts.create(store, "a@b.c", "ann", "secret")
    assert accounts.find(store, "ANN") == accounts.find(store, "A@b.c") == made
    assert accounts.find(store, str(made.user_id)) == made
    for name in ("bob", "99", "٣"):
        with pytest.raises(NotFound):
            accounts.find(store, name)
