"""Projects, and what users may do in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from iobeam_server.errors import AlreadyExists, NotFound
from iobeam_server.storage.base import INPUT, Grant, Project
from iobeam_server.storage.catalog import changes, namespaces, users
from iobeam_server.storage.catalog.sql import Database, Sql

MAX_PROJECT_ID = 2**52
"""That somebody may ask for: the ids after it are still exact in every reader of JSON."""

_COLUMNS = "project_id, project_name, created"


class Projects:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        created: int,
        owner: Optional[Grant] = None,
        project_id: Optional[int] = None,
    ) -> Project:
        """Create a project.

        Args:
            name: that no other project has.
            created: in s.
            owner: its first grant, if any.
            project_id: that no other project has; None takes the next free one.

        Raises:
            AlreadyExists: name or id is taken.
        """
        with changes.noted(self._database.writing()) as sql:
            sql.alone()  # an id that somebody asks for is not given to somebody else meanwhile
            made = _create(sql, name, created, project_id)
            if owner is not None:
                _grant(sql, made.project_id, owner)
            return made

    def create_first(self, name: str, created: int) -> Optional[Project]:
        """Create project 1 unless there is any; None when there is. Atomic across processes."""
        with self._database.writing() as sql:
            sql.alone()
            if sql.has("SELECT 1 FROM projects LIMIT 1"):
                return None
            return _create(sql, name, created)

    def get(self, project_id: int) -> Optional[Project]:
        with self._database.reading() as sql:
            row = sql.one(f"SELECT {_COLUMNS} FROM projects WHERE project_id = ?", project_id)
        return row and Project(*row)

    def all(self) -> Sequence[Project]:
        with self._database.reading() as sql:
            rows = sql.many(f"SELECT {_COLUMNS} FROM projects ORDER BY project_id")
        return [Project(*row) for row in rows]

    def rename(self, project_id: int, name: str) -> bool:
        """Name a project anew; False when it has that name.

        Raises:
            NotFound: no such project.
            AlreadyExists: another project has the name.
        """
        with self._database.writing() as sql:
            row = sql.one("SELECT project_name FROM projects WHERE project_id = ?", project_id)
            if row is None:
                raise NotFound(f"there is no project {project_id}")
            if row[0] == name:
                return False
            try:
                sql.execute(
                    "UPDATE projects SET project_name = ? WHERE project_id = ?", name, project_id
                )
            except sql.taken:
                raise AlreadyExists(f"a project named {name!r} exists") from None
            return True

    def permissions(self, project_id: int, user_id: int) -> int:
        """Return the bits of what a user may do in a project; 0 is nothing."""
        with self._database.reading() as sql:
            return _permissions(sql, project_id, user_id)

    def grant(self, project_id: int, user_id: int, permissions: int) -> int:
        """Let a user do exactly this, 0 is nothing; returns what was granted before.

        Raises:
            NotFound: no such project or user.
        """
        with changes.noted(self._database.writing()) as sql:
            return _grant(sql, project_id, Grant(user_id, permissions))

    def grants(self, project_id: int) -> Sequence[Grant]:
        """Return the grants of a project in the order of user ids."""
        with self._database.reading() as sql:
            rows = sql.many(
                "SELECT user_id, permissions FROM permissions WHERE project_id = ?"
                " ORDER BY user_id",
                project_id,
            )
        return [Grant(*row) for row in rows]

    def of_user(self, user_id: int) -> Sequence[tuple[Project, int]]:
        """Return the projects a user may do something in, with what, in the order of ids."""
        with self._database.reading() as sql:
            rows = sql.many(
                f"SELECT {_COLUMNS}, permissions FROM permissions"
                " JOIN projects USING (project_id) WHERE user_id = ? ORDER BY project_id",
                user_id,
            )
        return [(Project(*row[:3]), int(row[3])) for row in rows]


def _create(sql: Sql, name: str, created: int, wanted: Optional[int] = None) -> Project:
    taken = AlreadyExists(f"a project named {name!r} exists")
    # looked up first: in PostgreSQL an insert that does nothing still uses up an id
    if sql.has("SELECT 1 FROM projects WHERE project_name = ?", name):
        raise taken
    values = {"project_name": name, "created": created}
    if wanted is None:
        project_id = sql.insert("projects", "project_id", **values)
        if project_id is None:
            raise taken
    else:
        project_id = wanted
        owner = sql.one("SELECT project_name FROM projects WHERE project_id = ?", project_id)
        if owner is not None:
            raise AlreadyExists(f"project {project_id} exists already, it is {owner[0]!r}")
        if not sql.insert_as("projects", "project_id", project_id, **values):
            raise taken
    labels = {"device_id:distinct": True}
    namespaces.create(sql, project_id, INPUT, "device_id", {}, labels, created)
    return Project(project_id, name, created)


def _permissions(sql: Sql, project_id: int, user_id: int) -> int:
    row = sql.one(
        "SELECT permissions FROM permissions WHERE project_id = ? AND user_id = ?",
        project_id,
        user_id,
    )
    return 0 if row is None else int(row[0])


def _grant(sql: Sql, project_id: int, grant: Grant) -> int:
    if not sql.has("SELECT 1 FROM projects WHERE project_id = ?", project_id):
        raise NotFound(f"there is no project {project_id}")
    if users.find(sql, grant.user_id) is None:
        raise NotFound(f"there is no user {grant.user_id}")
    before = _permissions(sql, project_id, grant.user_id)
    if grant.permissions:
        sql.execute(
            "INSERT INTO permissions (project_id, user_id, permissions) VALUES (?, ?, ?)"
            " ON CONFLICT (project_id, user_id) DO UPDATE SET permissions = excluded.permissions",
            project_id,
            *grant,
        )
    else:
        sql.execute(
            "DELETE FROM permissions WHERE project_id = ? AND user_id = ?",
            project_id,
            grant.user_id,
        )
    return before
