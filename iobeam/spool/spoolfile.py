"""The file behind the disk buffer: its schema, and how chunks lie in it.

A connection lives for one call, so that a fork or a crash never leaves one
behind. What the rows mean is `iobeam.spool.buffer`'s business.
"""
from __future__ import absolute_import

import json
import os
import re
import sqlite3
import zlib

from iobeam.errors import SpoolError
from iobeam.spool import filelock, guard
from iobeam.spool.chunk import Chunk
from iobeam.utils import compat

SCHEMA_VERSION = 2
BUSY_SECONDS = 10.0  # wait for another process's transaction of some ms

# What SQLite raises; over a damaged schema also while its message is decoded.
ERRORS = (sqlite3.Error, UnicodeDecodeError)

# Small, so that a damaged page takes few rows with it and that the pages of
# an empty file are few bytes.
PAGE_BYTES = 1024
EMPTY_PAGES = 5  # of a file without rows; maxBytes is about rows

# TRUNCATE, not WAL: old SQLite builds and network mounts lack WAL, and its
# side files must never be separated from the file. FULL: commits survive
# power cuts. `bytes` and `base_url` stand before `body`, so that counting reads
# no body. `base_url` is the backend that rows are meant for; NULL: anybody's.
SCHEMA = """
PRAGMA page_size = {};
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS chunks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    base_url TEXT,
    columns TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rejected (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    columns TEXT NOT NULL,
    body TEXT NOT NULL,
    status INTEGER,
    errors TEXT NOT NULL,
    time REAL NOT NULL,
    base_url TEXT
);
PRAGMA user_version = {};
COMMIT;
""".format(PAGE_BYTES, SCHEMA_VERSION)

# From schema 1, of versions up to 1.0.0: at the rows' ends, which touches none
# of them, and takes no room where there may be none.
_UPGRADE = (
    "ALTER TABLE chunks ADD COLUMN base_url TEXT",
    "ALTER TABLE rejected ADD COLUMN base_url TEXT",
    "PRAGMA user_version = {}".format(SCHEMA_VERSION),
)

# What a rescue may find: tables made as above, and upgraded ones. The latter
# fit those that are still of schema 1 as well.
LAYOUTS = (
    SCHEMA,
    re.sub(r"    base_url TEXT,\n|,\n    base_url TEXT(?=\n)", "", SCHEMA)
    .replace("COMMIT;", ";\n".join(_UPGRADE) + ";\nCOMMIT;"),
)

CHUNK_FIELDS = \
    "seq, id, project_id, device_id, rows, bytes, crc, base_url, columns, body"
REJECTED_FIELDS = ("seq, project_id, device_id, bytes, columns, body, status, "
                   "errors, time, base_url")


def connect(file, seconds=None):
    """Open a file; None waits `BUSY_SECONDS` for others' transactions."""
    if seconds is None:
        seconds = BUSY_SECONDS
    connection = sqlite3.connect(file, timeout=seconds,
                                 isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
        # Debian's default is ON: it writes zeros over whatever is deleted.
        connection.execute("PRAGMA secure_delete = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def using(file, seconds, work):
    """Return ``work(connection)``; nothing stays open or locked, come what may."""
    opened = []

    def run():
        opened.append(connect(file, seconds))
        return work(opened[0])

    return guard.always(run, lambda: _close(opened))


def _close(opened):
    for connection in opened:
        try:
            # Not by closing alone: a cursor in the frame of an interrupted
            # call keeps the file locked as long as somebody holds the traceback.
            # One that reads outlives this, too: none may have a name there.
            connection.execute("ROLLBACK")
        except ERRORS:
            pass
        connection.close()


def prepare(connection, file):
    """Make the tables of an empty file.

    Raises:
        SpoolError: the file is a newer version's.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise SpoolError(
            "the disk buffer {} was written by a newer iobeam (schema {}, this "
            "one knows {}); upgrade, or use another folder".format(
                file, version, SCHEMA_VERSION))
    if version == 0:
        connection.executescript(SCHEMA)


def upgrade(connection):
    """Take over a file of schema 1, within the caller's transaction.

    So it is all or nothing, and of two processes the second finds it done.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
        for statement in _UPGRADE:
            connection.execute(statement)


def forSchema(connection, sql):
    """Return SQL as it can be read: schema 1 has no `base_url`."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
        return sql.replace("base_url", "NULL")
    return sql


def create(file):
    """Make an empty file that nobody else may read, if there is none.

    By one thread at a time, and all wait for that one: closing a descriptor
    of a file frees all locks that this process holds on it (POSIX), SQLite's
    included.
    """
    def make():
        if not os.path.exists(file):
            made.open(file, os.O_CREAT | os.O_RDWR, 0o600)

    made = guard.Descriptors()
    filelock.alone(file, lambda: guard.always(make, made.close))


def asText(value):
    return compat.toText(json.dumps(value, separators=(",", ":")))


def encoded(chunk, baseUrl):
    """A chunk as a row of the table, without its place."""
    columns, body = asText(chunk.columns), compat.toText(chunk.body)
    return (chunk.id, chunk.projectId, chunk.deviceId, chunk.rows,
            len(body) + len(columns) + len(chunk.deviceId) + len(chunk.id)
            + len(baseUrl or ""),
            _crc(chunk.id, chunk.projectId, chunk.deviceId, chunk.rows, columns,
                 body, baseUrl), baseUrl, columns, body)


def decoded(row):
    """The chunk of a row of the table.

    Raises:
        sqlite3.DatabaseError: not what was written: SQLite itself does not
            notice damage within a text.
    """
    seq, id, project, device, rows, _, crc, baseUrl, columns, body = row
    try:
        if crc == _crc(id, project, device, rows, columns, body, baseUrl):
            return Chunk(project, device, json.loads(columns), rows, body, id,
                         seq)
    except (TypeError, ValueError):
        pass
    raise malformed()


def chunkAt(connection, seq, owner=None):
    """Return the chunk at a place in the queue, or None.

    Args:
        owner (tuple or None): None for one that is not its project's and
            base URL's (or without one).

    Raises:
        sqlite3.DatabaseError: as `decoded`.
    """
    row = connection.execute(
        forSchema(connection, "SELECT " + CHUNK_FIELDS)
        + " FROM chunks WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        return None
    chunk = decoded(row)
    if owner is not None and (row[2] != owner[0]
                              or row[7] not in (None, owner[1])):
        return None
    return chunk


def surely(chunk):
    """Return a chunk or a row that was seen in the same transaction."""
    if chunk is None:
        raise malformed()
    return chunk


def checkRejected(row):
    try:
        json.loads(row[5]), json.loads(row[7])
    except (TypeError, ValueError):
        raise malformed()


def _crc(id, project, device, rows, columns, body, baseUrl):
    # without a URL the same as in schema 1
    parts = [id, project, device, rows, columns, body]
    if baseUrl is not None:
        parts.append(baseUrl)
    return zlib.crc32(u"\n".join(map(compat.text, parts)).encode("utf-8")) \
        & 0xffffffff


def malformed():
    return sqlite3.DatabaseError("a row of the table is malformed")


def isCorruption(error):
    """SQLITE_CORRUPT and SQLITE_NOTADB, which old Pythons tell by text only."""
    if isinstance(error, UnicodeDecodeError):
        return True
    said = str(error).lower()
    # 3.6 leaves a message out that it cannot decode: `repair` looks at the file
    return not said or any(words in said for words in (
        "malformed", "not a database", "encrypted", "no such table",
        "no such column", "has no column", "corrupt", "could not decode"))


def looks(file):
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime, found.st_size


def inode(file):
    seen = looks(file)
    return seen and seen[0]
