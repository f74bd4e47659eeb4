"""The file behind the disk buffer: its schema, and how chunks lie in it.

A connection lives for one call, so that a fork or a crash never leaves one
behind. What the rows mean is `iobeam.buffer`'s business.
"""
from __future__ import absolute_import

import json
import os
import sqlite3
import zlib

from iobeam import filelock
from iobeam.chunk import Chunk
from iobeam.utils import compat

SCHEMA_VERSION = 1
BUSY_SECONDS = 10.0  # wait for another process's transaction of some ms

# What SQLite raises; over a damaged schema also while its message is decoded.
ERRORS = (sqlite3.Error, UnicodeDecodeError)

# Small, so that a damaged page takes few rows with it and that the pages of
# an empty file are few bytes.
PAGE_BYTES = 1024
EMPTY_PAGES = 5  # of a file without rows; maxBytes is about rows

# TRUNCATE, not WAL: old SQLite builds and network mounts lack WAL, and its
# side files must never be separated from the file. FULL: commits survive
# power cuts. `bytes` stands before `body`, so that summing it up reads no body.
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
    time REAL NOT NULL
);
PRAGMA user_version = {};
COMMIT;
""".format(PAGE_BYTES, SCHEMA_VERSION)
CHUNK_FIELDS = \
    "seq, id, project_id, device_id, rows, bytes, crc, columns, body"
REJECTED_FIELDS = \
    "seq, project_id, device_id, bytes, columns, body, status, errors, time"


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


def create(file):
    """Make an empty file that nobody else may read.

    By one thread at a time: closing a descriptor of a file frees all locks
    that this process holds on it (POSIX), SQLite's included.
    """
    with filelock.threadLock(file):
        if not os.path.exists(file):
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def asText(value):
    return compat.toText(json.dumps(value, separators=(",", ":")))


def encoded(chunk):
    """A chunk as a row of the table, without its place."""
    columns, body = asText(chunk.columns), compat.toText(chunk.body)
    return (chunk.id, chunk.projectId, chunk.deviceId, chunk.rows,
            len(body) + len(columns) + len(chunk.deviceId) + len(chunk.id),
            _crc(chunk.id, chunk.projectId, chunk.deviceId, chunk.rows, columns,
                 body), columns, body)


def decoded(row):
    """The chunk of a row of the table.

    Raises:
        sqlite3.DatabaseError: not what was written: SQLite itself does not
            notice damage within a text.
    """
    seq, id, project, device, rows, _, crc, columns, body = row
    try:
        if crc == _crc(id, project, device, rows, columns, body):
            return Chunk(project, device, json.loads(columns), rows, body, id,
                         seq)
    except (TypeError, ValueError):
        pass
    raise malformed()


def checkRejected(row):
    try:
        json.loads(row[5]), json.loads(row[7])
    except (TypeError, ValueError):
        raise malformed()


def _crc(*parts):
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
