"""What a whole database is: its tables, what must hold in them, how they are moved."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from iobeam_server.errors import AlreadyExists
from iobeam_server.storage.catalog.sql import Sql

PIECE_ROWS = 5_000  # of a table in memory at once


class Table(NamedTuple):
    """A table, and how its rows are put in an order that is the same on every engine."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


def _table(name: str, columns: str, key: int = 1) -> Table:
    names = tuple(columns.split())
    return Table(name, names, names[:key])


# All that a database holds, each after what it refers to. A test compares it with the schemas.
TABLES = (
    _table("signing_keys", "key_id secret created"),
    _table("revocations", "project_id device_id before_s number", key=2),
    _table("projects", "project_id project_name created"),
    _table("revision", "number"),
    _table("adoptions", "number digest project_id permissions device_id created"),
    _table(
        "users",
        "user_id username email first_name last_name company_name url created"
        " tokens_after password_hash password_number",
    ),
    _table("user_names", "name_key user_id"),
    _table("permissions", "project_id user_id permissions", key=2),
    _table("invites", "digest expires"),
    _table("devices", "project_id device_id device_name device_type created", key=2),
    _table(
        "namespaces",
        "namespace_id project_id namespace_name partitioning_field labels created last_modified",
    ),
    _table("fields", "field_id namespace_id field_name kind"),
    _table("series", "series_id namespace_id device_id field_id"),
    _table("points", "series_id time int_value real_value text_value", key=2),
)

# What is made of the points when it is wanted, and moves nowhere.
DERIVED = ("summaries", "summed", "stale_hours")

# What makes a database one that is in use; a fresh one has a signing key and a revision
# number.
IN_USE = ("projects", "users", "invites", "series")


class Contents(abc.ABC):
    """The rows of a whole database in one transaction."""

    @abc.abstractmethod
    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Yield rows in the order of the key, in bounded memory."""

    @abc.abstractmethod
    def put(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
        """Add rows as they are, ids included; returns how many."""


# What must find nothing, in words and as SQL that both engines understand.
CHECKS = (
    (
        "no signing key: no token can be made or verified",
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)",
    ),
    (
        "there are {} revision numbers, not one: tokens cannot be judged",
        "SELECT n FROM (SELECT count(*) AS n FROM revision) AS counted WHERE n <> 1",
    ),
    (
        "project {} has no namespace input",
        "SELECT project_id FROM projects WHERE project_id NOT IN"
        " (SELECT project_id FROM namespaces WHERE namespace_name = 'input')",
    ),
    (
        "user {} cannot sign in: neither user name nor e-mail is registered",
        "SELECT user_id FROM users WHERE password_hash <> ''"
        " AND user_id NOT IN (SELECT user_id FROM user_names)",
    ),
    (
        "series {} belongs to another namespace than its field",
        "SELECT series_id FROM series s JOIN fields f ON f.field_id = s.field_id"
        " WHERE f.namespace_id <> s.namespace_id",
    ),
    (
        "series {} is gone, {} points of it are left",
        "SELECT series_id, count(*) FROM points"
        " WHERE series_id NOT IN (SELECT series_id FROM series) GROUP BY series_id",
    ),
    (
        "project {}, namespace {}: {} points of field {!r}, device {!r}, are not of its type",
        "SELECT n.project_id, n.namespace_name, count(*), f.field_name, s.device_id"
        " FROM points p JOIN series s ON s.series_id = p.series_id"
        " JOIN fields f ON f.field_id = s.field_id"
        " JOIN namespaces n ON n.namespace_id = s.namespace_id"
        " WHERE NOT CASE f.kind"
        " WHEN 1 THEN text_value IS NULL AND ((int_value IS NULL) <> (real_value IS NULL)"
        " OR (coalesce(int_value, 1) = 0 AND coalesce(real_value, 1) = 0))"  # SQLite's -0.0
        " WHEN 2 THEN text_value IS NULL AND real_value IS NULL"
        " AND coalesce(int_value, -1) IN (0, 1)"
        " ELSE text_value IS NOT NULL AND int_value IS NULL AND real_value IS NULL END"
        " GROUP BY n.project_id, n.namespace_name, f.field_name, s.device_id",
    ),
)


def broken(sql: Sql) -> Iterator[str]:
    """Yield a sentence for each thing that is not as it must be."""
    for words, statement in CHECKS:
        for row in sql.execute(statement):
            yield words.format(*row)


def empty(sql: Sql) -> None:
    """Make ready to be filled: refuse a database in use, drop what a fresh one holds."""
    sql.alone()
    for table in IN_USE:
        if sql.has(f"SELECT 1 FROM {table} LIMIT 1"):
            raise AlreadyExists(f"the database to fill has {table} already; take an empty one")
    sql.execute("DELETE FROM signing_keys")
    sql.execute("DELETE FROM revision")
