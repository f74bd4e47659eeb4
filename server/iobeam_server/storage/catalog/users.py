"""Users, their passwords and invites."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable, Optional

from iobeam_server.errors import AlreadyExists, NotFound, NotPermitted
from iobeam_server.storage.base import User
from iobeam_server.storage.catalog import changes, keys
from iobeam_server.storage.catalog.sql import Database, Sql

_COLUMNS = ", ".join(User._fields)


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, user: User, password_hash: str, invite: Optional[str] = None) -> User:
        """Store a new user and return it with its id.

        Args:
            user: `user_id` does not count.
            password_hash: as `Passwords.hash` gives it.
            invite: digest of the invite to use up, which must be good at `user.created`;
                None needs none.

        Raises:
            AlreadyExists: user name or e-mail is a user name or e-mail already, whatever
                its case: either can be used to sign in.
            NotPermitted: no such invite, used or expired; nothing was stored.
        """
        with self._database.writing() as sql:
            if invite is not None:
                used = sql.execute(
                    "DELETE FROM invites WHERE digest = ? AND expires > ?", invite, user.created
                )
                if used.rowcount != 1:
                    raise NotPermitted("the invite is unknown, used or expired")
            # looked up first: in PostgreSQL an insert that fails still uses up an id
            taken = sql.one(
                "SELECT min(name_key) FROM user_names WHERE name_key IN (?, ?)",
                user.username.casefold(),
                user.email.casefold(),
            )
            if taken[0] is not None:
                raise AlreadyExists(f"a user named {taken[0]!r} exists")
            values = user._asdict()
            del values["user_id"]
            user_id = sql.insert("users", "user_id", **values, password_hash=password_hash)
            assert user_id is not None  # its key is its only unique one
            made = user._replace(user_id=user_id)
            _claim_names(sql, made)
            return made

    def get(self, user_id: int) -> Optional[User]:
        with self._database.reading() as sql:
            return find(sql, user_id)

    def credentials(self, name: str) -> Optional[tuple[User, str]]:
        """Return the user of that name or e-mail, whatever its case, and the password's hash."""
        with self._database.reading() as sql:
            row = sql.one(
                f"SELECT {_COLUMNS}, password_hash FROM users"
                " WHERE user_id = (SELECT user_id FROM user_names WHERE name_key = ?)",
                name.casefold(),
            )
        return None if row is None else (User(*row[:-1]), row[-1])

    def change(self, user: User) -> bool:
        """Store a user's names anew; False when that changed nothing.

        Raises:
            NotFound: no such user.
            AlreadyExists: as for `create`.
        """
        names = user[1:7]
        with changes.noted(self._database.writing()) as sql:
            old = find(sql, user.user_id)
            if old is None:
                raise NotFound(f"there is no user {user.user_id}")
            if old[1:7] == names:
                return False
            changed = sql.execute(
                "UPDATE users SET username = ?, email = ?, first_name = ?, last_name = ?,"
                " company_name = ?, url = ? WHERE user_id = ? AND password_hash <> ''",
                *names,
                user.user_id,
            )
            if not changed.rowcount:  # deleted since
                raise NotFound(f"there is no user {user.user_id}")
            sql.execute("DELETE FROM user_names WHERE user_id = ?", user.user_id)
            _claim_names(sql, user)
            return True

    def all(self) -> Sequence[User]:
        with self._database.reading() as sql:
            rows = sql.many(
                f"SELECT {_COLUMNS} FROM users WHERE password_hash <> '' ORDER BY user_id"
            )
        return [User(*row) for row in rows]

    def set_password(
        self, user_id: int, password_hash: str, clock: Callable[[], float] = time.time
    ) -> None:
        """Store a new hash; every token that rests on the old password is dead from now on.

        Raises:
            NotFound: no such user.
        """
        with changes.noted(self._database.writing()) as sql:
            changed = sql.execute(
                "UPDATE users SET password_hash = ?, tokens_after = ?, password_number = ?"
                " WHERE user_id = ? AND password_hash <> ''",
                password_hash,
                clock(),
                keys.next_number(sql, clock),
                user_id,
            )
            if not changed.rowcount:
                raise NotFound(f"there is no user {user_id}")

    def delete(self, user_id: int) -> bool:
        """Delete a user; all tokens that rest on her right are dead. False when there is none.

        What is left is the id, without a name: were it given again, by this database or by one
        that all of it is moved to, the dead tokens would be somebody else's.
        """
        with changes.noted(self._database.writing()) as sql:
            gone = sql.execute(  # first: who changes her names at this moment waits, or came before
                "UPDATE users SET username = '', email = '', first_name = NULL, last_name = NULL,"
                " company_name = NULL, url = NULL, password_hash = ''"
                " WHERE user_id = ? AND password_hash <> ''",
                user_id,
            )
            sql.execute("DELETE FROM permissions WHERE user_id = ?", user_id)
            sql.execute("DELETE FROM user_names WHERE user_id = ?", user_id)
            return gone.rowcount > 0

    def add_invite(self, digest: str, expires: int) -> None:
        """Store the digest of an invite, good for one user until `expires`, in s."""
        with self._database.writing() as sql:
            sql.execute("INSERT INTO invites (digest, expires) VALUES (?, ?)", digest, expires)

    def has_invite(self, digest: str, now: int) -> bool:
        with self._database.reading() as sql:
            return sql.has("SELECT 1 FROM invites WHERE digest = ? AND expires > ?", digest, now)

    def colleagues(self, user_id: int) -> Sequence[User]:
        """Return everybody who shares a project with a user, and the user, by id."""
        with self._database.reading() as sql:
            rows = sql.many(
                f"SELECT {_COLUMNS} FROM users WHERE user_id = ? OR user_id IN ("
                " SELECT other.user_id FROM permissions own JOIN permissions other"
                " USING (project_id) WHERE own.user_id = ?) ORDER BY user_id",
                user_id,
                user_id,
            )
        return [User(*row) for row in rows]


def find(sql: Sql, user_id: int) -> Optional[User]:
    row = sql.one(
        f"SELECT {_COLUMNS} FROM users WHERE user_id = ? AND password_hash <> ''", user_id
    )
    return None if row is None else User(*row)


def _claim_names(sql: Sql, user: User) -> None:
    for name in sorted({user.username.casefold(), user.email.casefold()}):
        claimed = sql.execute(
            "INSERT INTO user_names (name_key, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            name,
            user.user_id,
        )
        if not claimed.rowcount:
            raise AlreadyExists(f"a user named {name!r} exists")
