"""Checking, pruning, mending and moving in the SQLite engine; the caller holds the transaction."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Optional

from iobeam_server.errors import AlreadyExists, ConfigError, NotFound
from iobeam_server.points import INT64_MIN, Kind
from iobeam_server.storage.upkeep import (
    CHECKS,
    IN_USE,
    PIECE_ROWS,
    Contents,
    Extent,
    Mending,
    Retyped,
    Table,
    columns_of,
)

MAX_DAMAGES = 100  # lines of PRAGMA integrity_check


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """See `Upkeep.problems`."""
    try:
        yield from _search(connection)
    except sqlite3.OperationalError:  # locked, no room: says nothing of the data
        raise
    except sqlite3.DatabaseError as error:  # so damaged that the search itself ends
        yield f"the file is damaged: {error}"


def _search(connection: sqlite3.Connection) -> Iterator[str]:
    for (found,) in connection.execute(f"PRAGMA integrity_check({MAX_DAMAGES})"):
        if found != "ok":
            yield f"the file is damaged: {found}"
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"a row of {table} refers to one of {parent} that is not there"
    for words, sql in CHECKS:
        for row in connection.execute(sql):
            yield words.format(*row)


def extent(connection: sqlite3.Connection, series_id: int) -> Optional[Extent]:
    row = connection.execute(
        "SELECT count(*), min(time), max(time) FROM points WHERE series_id = ?", (series_id,)
    ).fetchone()
    return Extent(*row) if row[0] else None


def delete_points(connection: sqlite3.Connection, series_id: int, until: int, at_most: int) -> int:
    """See `Upkeep.delete_points`."""
    # DELETE .. LIMIT is a compile-time option: the time of the last one is looked up instead
    return connection.execute(
        "DELETE FROM points WHERE series_id = :id AND time <= min(:until, coalesce("
        " (SELECT time FROM points WHERE series_id = :id ORDER BY time LIMIT 1 OFFSET :skip),"
        " :until))",
        {"id": series_id, "until": until, "skip": at_most - 1},
    ).rowcount


def drop_series(
    connection: sqlite3.Connection,
    project_id: int,
    namespace: str,
    name: str,
    device_id: Optional[str],
) -> int:
    """See `Upkeep.drop_series`."""
    field_id, _ = _field(connection, project_id, namespace, name)
    ids = [
        row[0]
        for row in connection.execute(
            "SELECT series_id FROM series"
            " WHERE field_id = ? AND device_id = coalesce(?, device_id)",
            (field_id, device_id),
        )
    ]
    if device_id is not None and not ids:
        raise NotFound(f"device {device_id!r} has no series {name!r}")
    dropped = 0
    for one in ids:
        dropped += connection.execute("DELETE FROM points WHERE series_id = ?", (one,)).rowcount
        connection.execute("DELETE FROM series WHERE series_id = ?", (one,))
    connection.execute(
        "DELETE FROM fields WHERE field_id = :id"
        " AND NOT EXISTS (SELECT 1 FROM series WHERE field_id = :id)",
        {"id": field_id},
    )
    return dropped


def retype_field(
    connection: sqlite3.Connection,
    project_id: int,
    namespace: str,
    name: str,
    kind: Kind,
    drop_unfit: bool,
) -> Retyped:
    """See `Upkeep.retype_field`."""
    field_id, old = _field(connection, project_id, namespace, name)
    mending = Mending(kind)
    series = connection.execute(
        "SELECT series_id, device_id FROM series WHERE field_id = ? ORDER BY device_id", (field_id,)
    ).fetchall()
    for series_id, device_id in series:
        start = INT64_MIN
        while rows := connection.execute(
            "SELECT time, int_value, real_value, text_value FROM points"
            " WHERE series_id = ? AND time >= ? ORDER BY time LIMIT ?",
            (series_id, start, PIECE_ROWS),
        ).fetchall():
            done = mending.convert(device_id, rows, old)
            connection.executemany(
                "UPDATE points SET int_value = ?, real_value = ?, text_value = ?"
                " WHERE series_id = ? AND time = ?",
                [(*columns_of(kind, v), series_id, t) for t, v in done if v is not None],
            )
            connection.executemany(
                "DELETE FROM points WHERE series_id = ? AND time = ?",
                [(series_id, t) for t, v in done if v is None],
            )
            if len(rows) < PIECE_ROWS:
                break
            start = rows[-1][0] + 1
    result = mending.result(drop_unfit)
    connection.execute("UPDATE fields SET kind = ? WHERE field_id = ?", (int(kind), field_id))
    return result


def _field(
    connection: sqlite3.Connection, project_id: int, namespace: str, name: str
) -> tuple[int, Kind]:
    row = connection.execute(
        "SELECT field_id, kind FROM namespaces JOIN fields USING (namespace_id)"
        " WHERE project_id = ? AND namespace_name = ? AND field_name = ?",
        (project_id, namespace, name),
    ).fetchone()
    if row is None:
        raise NotFound(f"project {project_id} has no series {name!r} in namespace {namespace!r}")
    return row[0], Kind(row[1])


def backup(connection: sqlite3.Connection, path: str) -> None:
    """See `Upkeep.backup`; the file appears when it is whole and on disk."""
    path = os.path.abspath(path)
    if os.path.exists(path):
        raise ConfigError(f"{path} exists; name a new file")
    part = f"{path}.part-{os.getpid()}"
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as copy:
            # all pages in one step: page by page it would begin anew at every commit beside it
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        _sync(part)
        os.rename(part, path)
        _sync(os.path.dirname(path))
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot write {path}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SqliteContents(Contents):
    """The rows of a file, within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        columns, key = ", ".join(table.columns), ", ".join(table.key)
        yield from self._connection.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}")

    def put(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
        marks = ", ".join("?" * len(table.columns))
        sql = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})"
        count, rest = 0, iter(rows)
        while piece := list(islice(rest, PIECE_ROWS)):
            self._connection.executemany(sql, piece)
            count += len(piece)
        return count


def emptied(connection: sqlite3.Connection) -> SqliteContents:
    """Return the contents of a database that is not in use, without its signing key."""
    for table in IN_USE:
        if connection.execute(f"SELECT 1 FROM {table}").fetchone():
            raise AlreadyExists(f"the database to fill has {table} already; take an empty one")
    connection.execute("DELETE FROM signing_keys")
    return SqliteContents(connection)
