"""The part of the storage interface that commands use: checking, pruning, mending, moving."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Optional

from iobeam_server.errors import Unprocessable
from iobeam_server.points import Kind
from iobeam_server.texts import NAMES, convert

PIECE_ROWS = 5_000  # of a table or series in memory at once


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
    _table("revocations", "project_id device_id before_s", key=2),
    _table("projects", "project_id project_name created"),
    _table(
        "users",
        "user_id username email first_name last_name company_name url created"
        " tokens_after password_hash",
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

# What makes a database one that is in use; a fresh one has a signing key and nothing else.
IN_USE = ("projects", "users", "invites", "series")


class Extent(NamedTuple):
    """How much a series holds; times in us."""

    points: int
    first: int
    last: int


class Retyped(NamedTuple):
    """What became of the points of a field that changed its type."""

    changed: int
    dropped: int


class Contents(abc.ABC):
    """The rows of a whole database in one transaction."""

    @abc.abstractmethod
    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Yield rows in the order of the key, in bounded memory."""

    @abc.abstractmethod
    def put(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
        """Add rows as they are, ids included; returns how many."""


class Upkeep(abc.ABC):
    """What an engine does for the commands; `Storage` includes it."""

    @abc.abstractmethod
    def problems(self) -> Iterator[str]:
        """Read everything; yield a sentence for each thing that is not as it must be."""

    @abc.abstractmethod
    def extent(self, series_id: int) -> Optional[Extent]:
        """Count the points of a series; None when it has none."""

    @abc.abstractmethod
    def delete_points(self, series_id: int, until: int, at_most: int) -> int:
        """Delete the oldest points up to a time (us, inclusive); returns how many.

        `at_most` keeps the transaction short, so that imports go on beside it.
        """

    @abc.abstractmethod
    def drop_series(
        self, project_id: int, namespace: str, name: str, device_id: Optional[str]
    ) -> int:
        """Delete a series and its points, of one device or (None) of all; returns how many.

        The field goes with its last series: the next value decides its type anew.

        Raises:
            NotFound: no such field, or none of the device.
        """

    @abc.abstractmethod
    def retype_field(
        self, project_id: int, namespace: str, name: str, kind: Kind, drop_unfit: bool
    ) -> Retyped:
        """Change the type of a field and of all its points, in one transaction.

        Args:
            project_id, namespace, name: which field.
            kind: the new type.
            drop_unfit: delete values that cannot be of it.

        Raises:
            NotFound: no such field.
            Unprocessable: some values cannot be of that type; nothing was changed.
        """

    @abc.abstractmethod
    def backup(self, path: str) -> None:
        """Copy the database, as of one moment, to a new file.

        Raises:
            ConfigError: the engine has its own tool for that; the message names it.
        """

    @abc.abstractmethod
    def taking_out(self) -> AbstractContextManager[Contents]:
        """Hold everything still while it is read: who wants to write meanwhile waits."""

    @abc.abstractmethod
    def putting_in(self) -> AbstractContextManager[Contents]:
        """Fill an empty database: committed at the end of the block, rolled back on an error.

        Raises:
            AlreadyExists: it is in use.
        """


class Mending:
    """Counts what becomes of points whose type changes, and words the refusal."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.changed = 0
        self.unfit = 0
        self._first = ""

    def convert(
        self, device_id: str, rows: Sequence[Sequence[Any]], old: Kind
    ) -> list[tuple[int, Any]]:
        """Return (time, value or None where there is none of the new kind)."""
        done = []
        for time, whole, real, text in rows:
            value = text if whole is real is None else real if whole is None else whole
            if old is Kind.BOOLEAN:
                value = bool(value)
            new = convert(value, self.kind)
            if new is None:
                if not self.unfit:
                    self._first = f"the first is {value!r:.80} of device {device_id!r} at {time} us"
                self.unfit += 1
            else:
                self.changed += 1
            done.append((time, new))
        return done

    def result(self, drop_unfit: bool) -> Retyped:
        if self.unfit and not drop_unfit:
            raise Unprocessable(
                f"{self.unfit} of {self.unfit + self.changed} values cannot be a "
                f"{NAMES[self.kind]}, {self._first}; nothing was changed"
            )
        return Retyped(self.changed, self.unfit)


def columns_of(kind: Kind, value: Any) -> tuple[Optional[int], Optional[float], Optional[str]]:
    """Return a value as the three columns of a point."""
    if kind is Kind.TEXT:
        return None, None, value
    return (None, value, None) if isinstance(value, float) else (int(value), None, None)


# What must find nothing, in words and as SQL that both engines understand.
CHECKS = (
    (
        "no signing key: no token can be made or verified",
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)",
    ),
    (
        "project {} has no namespace input",
        "SELECT project_id FROM projects WHERE project_id NOT IN"
        " (SELECT project_id FROM namespaces WHERE namespace_name = 'input')",
    ),
    (
        "user {} cannot sign in: neither user name nor e-mail is registered",
        "SELECT user_id FROM users WHERE user_id NOT IN (SELECT user_id FROM user_names)",
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
        " WHEN 1 THEN text_value IS NULL AND (int_value IS NULL) <> (real_value IS NULL)"
        " WHEN 2 THEN text_value IS NULL AND real_value IS NULL"
        " AND coalesce(int_value, -1) IN (0, 1)"
        " ELSE text_value IS NOT NULL AND int_value IS NULL AND real_value IS NULL END"
        " GROUP BY n.project_id, n.namespace_name, f.field_name, s.device_id",
    ),
)
