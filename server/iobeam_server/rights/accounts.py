"""People: what makes a user, and users, passwords and invites as the commands make them."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Optional

from iobeam_server.errors import BadRequest, NotFound
from iobeam_server.rights.passwords import Passwords
from iobeam_server.rules.names import check_text
from iobeam_server.storage.base import User
from iobeam_server.storage.store import Storage

INVITE_BYTES = 20  # 160 random bits: stored as a plain digest, so nobody may guess one
MAX_EMAIL_CHARS = 254  # RFC 5321 4.5.3.1.3, less the brackets
OPTIONAL = ("first_name", "last_name", "company_name", "url")


def create(store: Storage, email: str, username: Optional[str], password: str) -> User:
    """Store a new user; raises BadRequest, AlreadyExists."""
    user = new_user(email, username, int(time.time()))
    check_user(user)
    return store.users.create(user, Passwords().hash(password))


def find(store: Storage, name: str) -> User:
    """Return a user by user name, e-mail or id; raises NotFound."""
    found = store.users.credentials(name)
    if found is not None:
        return found[0]
    is_id = name.isascii() and name.isdigit() and len(name) < 19
    by_id = store.users.get(int(name)) if is_id else None
    if by_id is None:
        raise NotFound(f"there is no user {name!r}: give a user name, e-mail or id")
    return by_id


def change_password(store: Storage, user: User, password: str) -> None:
    """Set a password; the tokens that rest on the one of before end."""
    store.users.set_password(user.user_id, Passwords().hash(password))


def invite(store: Storage, life_s: int) -> str:
    """Return a new invite, good for one user."""
    made = secrets.token_urlsafe(INVITE_BYTES)
    store.users.add_invite(digest_of(made), int(time.time()) + life_s)
    return made


def digest_of(invite: str) -> str:
    """Return what is stored of an invite: 160 random bits need no salt and no slow hash."""
    return hashlib.sha256(invite.strip().encode(errors="surrogateescape")).hexdigest()


def new_user(email: str, username: Optional[str], created: int) -> User:
    return User(0, username or email, email, None, None, None, None, created, 0.0)


def check_user(user: User) -> None:
    """Refuse names that nobody could sign in with, or that are no names."""
    check_text("email", user.email)
    local, at, domain = user.email.rpartition("@")
    if not (local and at and domain) or " " in user.email or len(user.email) > MAX_EMAIL_CHARS:
        raise BadRequest(f"email must look like name@example.org, not {user.email!r:.80}")
    check_text("username", user.username)
    for name in ("email", "username"):
        if ":" in getattr(user, name):
            raise BadRequest(f"{name} may not hold a colon: Basic authorization ends names there")
    for name in OPTIONAL:
        value = getattr(user, name)
        if value:
            check_text(name, value)
