"""Users, grants and invites in the SQLite engine; the caller holds the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Optional

from iobeam_server.errors import AlreadyExists, NotFound, NotPermitted
from iobeam_server.storage.base import User

_NAMES = "username, email, first_name, last_name, company_name, url"
_COLUMNS = f"user_id, {_NAMES}, created, tokens_after"


def create(
    connection: sqlite3.Connection, user: User, password_hash: str, invite: Optional[str]
) -> User:
    """Insert a user; see `Storage.create_user`."""
    if invite is not None:
        used = connection.execute(
            "DELETE FROM invites WHERE digest = ? AND expires > ?", (invite, user.created)
        )
        if used.rowcount != 1:
            raise NotPermitted("the invite is unknown, used or expired")
    user_id = connection.execute(
        f"INSERT INTO users ({_NAMES}, created, tokens_after, password_hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*user[1:], password_hash),
    ).lastrowid
    assert user_id is not None
    made = user._replace(user_id=user_id)
    _claim_names(connection, made)
    return made


def by_id(connection: sqlite3.Connection, user_id: int) -> Optional[User]:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM users WHERE user_id = ?", (user_id,)
    ).fetchone()
    return None if row is None else User(*row)


def credentials(connection: sqlite3.Connection, name: str) -> Optional[tuple[User, str]]:
    row = connection.execute(
        f"SELECT {_COLUMNS}, password_hash FROM users"
        " WHERE user_id = (SELECT user_id FROM user_names WHERE name_key = ?)",
        (name.casefold(),),
    ).fetchone()
    return None if row is None else (User(*row[:-1]), row[-1])


def change(connection: sqlite3.Connection, user: User) -> bool:
    """Update a user's names; see `Storage.change_user`."""
    old = by_id(connection, user.user_id)
    if old is None:
        raise NotFound(f"there is no user {user.user_id}")
    if old[:7] == user[:7]:
        return False
    connection.execute(
        "UPDATE users SET username = ?, email = ?, first_name = ?, last_name = ?,"
        " company_name = ?, url = ? WHERE user_id = ?",
        (*user[1:7], user.user_id),
    )
    connection.execute("DELETE FROM user_names WHERE user_id = ?", (user.user_id,))
    _claim_names(connection, user)
    return True


def _claim_names(connection: sqlite3.Connection, user: User) -> None:
    for name in sorted({user.username.casefold(), user.email.casefold()}):
        try:
            connection.execute("INSERT INTO user_names VALUES (?, ?)", (name, user.user_id))
        except sqlite3.IntegrityError:
            raise AlreadyExists(f"a user named {name!r} exists") from None


def colleagues(connection: sqlite3.Connection, user_id: int) -> Sequence[User]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM users WHERE user_id = ? OR user_id IN ("
        " SELECT other.user_id FROM permissions own JOIN permissions other USING (project_id)"
        " WHERE own.user_id = ?) ORDER BY user_id",
        (user_id, user_id),
    )
    return [User(*row) for row in rows]


def grant(connection: sqlite3.Connection, project_id: int, user_id: int, permissions: int) -> int:
    """Set or remove a grant; see `Storage.set_permissions`."""
    if not connection.execute(
        "SELECT 1 FROM projects WHERE project_id = ?", (project_id,)
    ).fetchone():
        raise NotFound(f"there is no project {project_id}")
    if by_id(connection, user_id) is None:
        raise NotFound(f"there is no user {user_id}")
    row = connection.execute(
        "SELECT permissions FROM permissions WHERE project_id = ? AND user_id = ?",
        (project_id, user_id),
    ).fetchone()
    if permissions:
        connection.execute(
            "INSERT OR REPLACE INTO permissions VALUES (?, ?, ?)",
            (project_id, user_id, permissions),
        )
    else:
        connection.execute(
            "DELETE FROM permissions WHERE project_id = ? AND user_id = ?", (project_id, user_id)
        )
    return 0 if row is None else int(row[0])


def rename_project(connection: sqlite3.Connection, project_id: int, name: str) -> bool:
    """Update a project's name; see `Storage.rename_project`."""
    row = connection.execute(
        "SELECT project_name FROM projects WHERE project_id = ?", (project_id,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no project {project_id}")
    if row[0] == name:
        return False
    try:
        connection.execute(
            "UPDATE projects SET project_name = ? WHERE project_id = ?", (name, project_id)
        )
    except sqlite3.IntegrityError:
        raise AlreadyExists(f"a project named {name!r} exists") from None
    return True
