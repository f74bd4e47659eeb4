"""Users, grants and invites in the PostgreSQL engine; the caller holds the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import psycopg

from iobeam_server.errors import AlreadyExists, NotFound, NotPermitted
from iobeam_server.storage.base import User
from iobeam_server.storage.postgres_schema import Connection

_NAMES = "username, email, first_name, last_name, company_name, url"
_COLUMNS = f"user_id, {_NAMES}, created, tokens_after"


def create(
    connection: Connection, user: User, password_hash: str, invite: Optional[str]
) -> User:
    """Insert a user; see `Storage.create_user`."""
    if invite is not None:
        used = connection.execute(
            "DELETE FROM invites WHERE digest = %s AND expires > %s", (invite, user.created)
        )
        if used.rowcount != 1:
            raise NotPermitted("the invite is unknown, used or expired")
    _refuse_taken(connection, user)  # an insert that fails would still use up an id
    row = connection.execute(
        f"INSERT INTO users ({_NAMES}, created, tokens_after, password_hash)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING user_id",
        (*user[1:], password_hash),
    ).fetchone()
    assert row is not None
    made = user._replace(user_id=row[0])
    _claim_names(connection, made)
    return made


def by_id(connection: Connection, user_id: int) -> Optional[User]:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM users WHERE user_id = %s", (user_id,)
    ).fetchone()
    return None if row is None else User(*row)


def credentials(connection: Connection, name: str) -> Optional[tuple[User, str]]:
    row = connection.execute(
        f"SELECT {_COLUMNS}, password_hash FROM users"
        " WHERE user_id = (SELECT user_id FROM user_names WHERE name_key = %s)",
        (name.casefold(),),
    ).fetchone()
    return None if row is None else (User(*row[:-1]), row[-1])


def change(connection: Connection, user: User) -> bool:
    """Update a user's names; see `Storage.change_user`."""
    old = by_id(connection, user.user_id)
    if old is None:
        raise NotFound(f"there is no user {user.user_id}")
    if old[:7] == user[:7]:
        return False
    connection.execute(
        "UPDATE users SET username = %s, email = %s, first_name = %s, last_name = %s,"
        " company_name = %s, url = %s WHERE user_id = %s",
        (*user[1:7], user.user_id),
    )
    connection.execute("DELETE FROM user_names WHERE user_id = %s", (user.user_id,))
    _claim_names(connection, user)
    return True


def _keys(user: User) -> list[str]:
    return sorted({user.username.casefold(), user.email.casefold()})


def _refuse_taken(connection: Connection, user: User) -> None:
    row = connection.execute(
        "SELECT name_key FROM user_names WHERE name_key = ANY(%s) ORDER BY 1", (_keys(user),)
    ).fetchone()
    if row is not None:
        raise AlreadyExists(f"a user named {row[0]!r} exists")


def _claim_names(connection: Connection, user: User) -> None:
    for name in _keys(user):
        try:
            connection.execute("INSERT INTO user_names VALUES (%s, %s)", (name, user.user_id))
        except psycopg.errors.UniqueViolation:
            raise AlreadyExists(f"a user named {name!r} exists") from None


def colleagues(connection: Connection, user_id: int) -> Sequence[User]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM users WHERE user_id = %s OR user_id IN ("
        " SELECT other.user_id FROM permissions own JOIN permissions other USING (project_id)"
        " WHERE own.user_id = %s) ORDER BY user_id",
        (user_id, user_id),
    )
    return [User(*row) for row in rows]


def grant(connection: Connection, project_id: int, user_id: int, permissions: int) -> int:
    """Set or remove a grant; see `Storage.set_permissions`."""
    if not connection.execute(
        "SELECT FROM projects WHERE project_id = %s", (project_id,)
    ).fetchall():
        raise NotFound(f"there is no project {project_id}")
    if by_id(connection, user_id) is None:
        raise NotFound(f"there is no user {user_id}")
    row = connection.execute(
        "SELECT permissions FROM permissions WHERE project_id = %s AND user_id = %s",
        (project_id, user_id),
    ).fetchone()
    if permissions:
        connection.execute(
            "INSERT INTO permissions VALUES (%s, %s, %s) ON CONFLICT (project_id, user_id)"
            " DO UPDATE SET permissions = excluded.permissions",
            (project_id, user_id, permissions),
        )
    else:
        connection.execute(
            "DELETE FROM permissions WHERE project_id = %s AND user_id = %s", (project_id, user_id)
        )
    return 0 if row is None else int(row[0])


def rename_project(connection: Connection, project_id: int, name: str) -> bool:
    """Update a project's name; see `Storage.rename_project`."""
    row = connection.execute(
        "SELECT project_name FROM projects WHERE project_id = %s", (project_id,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no project {project_id}")
    if row[0] == name:
        return False
    try:
        connection.execute(
            "UPDATE projects SET project_name = %s WHERE project_id = %s", (name, project_id)
        )
    except psycopg.errors.UniqueViolation:
        raise AlreadyExists(f"a project named {name!r} exists") from None
    return True
