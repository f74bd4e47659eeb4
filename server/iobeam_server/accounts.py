"""People, as the command line makes them: users, passwords, invites, grants."""

from __future__ import annotations

import secrets
import time
from typing import Optional

from iobeam_server.api.users import check_user, digest_of, new_user
from iobeam_server.errors import NotFound
from iobeam_server.passwords import Passwords
from iobeam_server.storage.base import Storage, User
from iobeam_server.tokens import ADMIN, READ, WRITE

INVITE_BYTES = 20  # 160 random bits: stored as a plain digest, so nobody may guess one
_WORDS = {READ: "read", WRITE: "write", ADMIN: "admin"}


def create(store: Storage, email: str, username: Optional[str], password: str) -> User:
    """Store a new user; raises BadRequest, AlreadyExists."""
    user = new_user(email, username, int(time.time()))
    check_user(user)
    return store.create_user(user, Passwords().hash(password))


def find(store: Storage, name: str) -> User:
    """Return a user by user name, e-mail or id; raises NotFound."""
    found = store.credentials(name)
    if found is not None:
        return found[0]
    by_id = store.user(int(name)) if name.isascii() and name.isdigit() else None
    if by_id is None:
        raise NotFound(f"there is no user {name!r}: give a user name, e-mail or id")
    return by_id


def change_password(store: Storage, user: User, password: str) -> None:
    """Set a password; user tokens issued so far end."""
    store.set_password(user.user_id, Passwords().hash(password), time.time())


def invite(store: Storage, life_s: int) -> str:
    """Return a new invite, good for one user."""
    made = secrets.token_urlsafe(INVITE_BYTES)
    store.add_invite(digest_of(made), int(time.time()) + life_s)
    return made


def in_words(permissions: int) -> str:
    return ", ".join(word for bit, word in _WORDS.items() if permissions & bit) or "nothing"
