"""Checking, copying and moving a SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from iobeam_server import files
from iobeam_server.errors import ConfigError, StorageUnavailable
from iobeam_server.storage.base import Size
from iobeam_server.storage.sqlite.sql import SqliteSql, columns, values
from iobeam_server.storage.upkeep import PIECE_ROWS, Contents, Table, broken

CHECKPOINT_S = 60.0  # longer than a query may take
CHECKPOINT_PAUSE_S = 0.1
STEPS = 100_000  # of SQLite's machine between two looks for Ctrl-C; some milliseconds
POINTS = "points"  # the table of values, see `sql.columns`
MAX_DAMAGES = 100  # lines of PRAGMA integrity_check


def problems(sql: SqliteSql) -> Iterator[str]:
    """See `Storage.problems`."""
    try:
        for (found,) in sql.execute(f"PRAGMA integrity_check({MAX_DAMAGES})"):
            if found != "ok":
                yield f"the file is damaged: {found}"
        for table, _, parent, _ in sql.execute("PRAGMA foreign_key_check"):
            yield f"a row of {table} refers to one of {parent} that is not there"
        yield from broken(sql)
    except sqlite3.OperationalError:  # locked, no room: says nothing of the data
        raise
    except sqlite3.DatabaseError as error:  # so damaged that the search itself ends
        yield f"the file is damaged: {error}"


def backup(connection: sqlite3.Connection, path: str) -> None:
    """See `Storage.backup`."""
    path = os.path.abspath(path)
    if os.path.exists(path):
        raise ConfigError(f"{path} exists; name a new file")
    try:
        with (
            files.whole(path, files.OWNER_ONLY) as part,
            contextlib.closing(sqlite3.connect(part)) as copy,
        ):
            # all pages in one step: page by page it would begin anew at every commit beside it
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    except sqlite3.Error as error:
        raise ConfigError(f"cannot write {path}: {error}") from error


def size(sql: SqliteSql, path: str) -> Size:
    """See `Storage.size`."""
    total = sum(os.path.getsize(path + end) for end in ("", "-wal") if os.path.exists(path + end))
    page, free = (sql.one(f"PRAGMA {name}")[0] for name in ("page_size", "freelist_count"))
    log = max(0, total - os.path.getsize(path))
    return Size(total, page * free + log)


def compact(connection: sqlite3.Connection, path: str, temporary_folder: str) -> None:
    """See `Storage.compact`; no transaction may be open.

    VACUUM writes the content to a temporary file, then through the log into place.
    """
    (page,), (pages,), (free,) = (
        connection.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_size", "page_count", "freelist_count")
    )
    files.need_room(page * (pages - free), temporary_folder, os.path.dirname(path))
    # lets Ctrl-C in: the interpreter sees it between two of its own instructions only
    connection.set_progress_handler(lambda: None, STEPS)
    try:
        connection.execute("VACUUM")
    finally:
        connection.set_progress_handler(None, 0)
    # the file shrinks when the log has gone into it, which others delay: one that checkpoints
    # for itself just now, one that reads an older state
    until = time.monotonic() + CHECKPOINT_S
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > until:
            raise StorageUnavailable(
                f"{path} was rewritten, but is read all the time: it shrinks when that ends"
            )
        time.sleep(CHECKPOINT_PAUSE_S)


class SqliteContents(Contents):
    """The rows of a file, within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        names, key = ", ".join(table.columns), ", ".join(table.key)
        found = self._connection.execute(f"SELECT {names} FROM {table.name} ORDER BY {key}")
        if table.name == POINTS:
            return ((series_id, time, *values(*row)) for series_id, time, *row in found)
        return iter(found)

    def put(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
        marks = ", ".join("?" * len(table.columns))
        sql = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})"
        count, rest = 0, iter(rows)
        while piece := list(islice(rest, PIECE_ROWS)):
            if table.name == POINTS:
                piece = [(series_id, time, *columns(*row)) for series_id, time, *row in piece]
            self._connection.executemany(sql, piece)
            count += len(piece)
        return count
