"""The disk buffer: a durable queue of serialised chunks in one SQLite file.

A chunk is one row of a table and keeps the project and device it belongs to.
What `append` returned from survives a power cut. A connection lives for one
call, so that a fork or a crash never leaves one behind; several processes may
use one file. No HTTP in here.
"""
from __future__ import absolute_import

import contextlib
import json
import os
import sqlite3
import threading
import time
import uuid

from iobeam.errors import SpoolError
from iobeam.utils import compat, utils

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

DEFAULT_MAX_BYTES = 64 * 1024 * 1024

_FILE = "iobeam_buffer.db"
_LOCK_FILE = "iobeam_buffer.lock"
_REPAIR_LOCK_FILE = "iobeam_buffer.repair.lock"
_SCHEMA_VERSION = 1
_BUSY_SECONDS = 10.0  # wait for another process's transaction of some ms
_LOCK_POLL_SECONDS = 0.05  # lockf has no time-out of its own

# TRUNCATE, not WAL: old SQLite builds and network mounts lack WAL, and its
# side files must never be separated from the file. FULL: commits survive
# power cuts. `bytes` stands before `body`, so that summing it up reads no body.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS chunks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
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
""".format(_SCHEMA_VERSION)
_CHUNK_FIELDS = "seq, id, project_id, device_id, rows, bytes, columns, body"
_REJECTED_FIELDS = \
    "seq, project_id, device_id, bytes, columns, body, status, errors, time"


class Chunk(object):
    """Part of a store, serialised: the rows that one request can carry.

    Attributes:
        id (str): made before it is stored, so that storing can be repeated.
        seq (int or None): its place in the queue.
        projectId (int), deviceId (str): whom it belongs to.
        columns (tuple of str): without the time.
        rows (int): their number.
        body (str): the rows as JSON lists, joined by commas.
    """

    __slots__ = ("id", "seq", "projectId", "deviceId", "columns", "rows",
                 "body")

    def __init__(self, projectId, deviceId, columns, rows, body, id=None,
                 seq=None):
        self.id = id or uuid.uuid4().hex
        self.seq = seq
        self.projectId = projectId
        self.deviceId = deviceId
        self.columns = tuple(columns)
        self.rows = rows
        self.body = body

    @staticmethod
    def ofTable(projectId, deviceId, columns, table):
        """Make a chunk of rows, each ``[time, v1, ..]``."""
        return Chunk(projectId, deviceId, columns, len(table), dumps(table))

    def table(self):
        """Return the rows, each ``[time, v1, ..]``."""
        return json.loads("[" + self.body + "]")


def dumps(table):
    """Return rows as JSON lists joined by commas, without outer brackets."""
    return json.dumps(table, separators=(",", ":"), allow_nan=False)[1:-1]


class Spool(object):
    """The queue of chunks in the folder `path`.

    Args:
        path (str): an absolute folder.
        maxBytes (int): how much the chunks may take together; beyond it the
            oldest go.
    """

    def __init__(self, path, maxBytes=DEFAULT_MAX_BYTES):
        self.path = path
        self.file = os.path.join(path, _FILE)
        self.maxBytes = maxBytes
        self._settled = {}  # id to what is left of it, while that is not on disk
        self._emptyAt = None  # what the file looked like when it had no chunks
        self._dropping = False

    # -- writing ----------------------------------------------------------

    def append(self, chunks, protected=()):
        """Store chunks at the end of the queue, all or none, durably.

        Args:
            chunks (list of Chunk): repeating one that is stored is harmless.
            protected (collection of str): ids that must not make room.

        Returns:
            tuple: (the last chunk's place in the queue, rows dropped to make
            room).

        Raises:
            SpoolError: the disk is full, read-only or broken.
        """
        def insert(connection):
            dropped = self._makeRoom(
                connection, sum(len(chunk.body) for chunk in chunks),
                protected)
            connection.executemany(
                "INSERT OR IGNORE INTO chunks (id, project_id, device_id, rows,"
                " bytes, columns, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(chunk.id, chunk.projectId, chunk.deviceId, chunk.rows,
                  len(chunk.body), _asText(chunk.columns),
                  compat.toText(chunk.body)) for chunk in chunks])
            last = connection.execute("SELECT max(seq) FROM chunks").fetchone()
            return last[0] or 0, dropped

        return self._write(insert)

    def settle(self, chunk, left=None, rejected=()):
        """Record what became of a chunk that was sent.

        If the disk does not take it, it is remembered and tried again with
        the next call: what was accepted is not sent twice.

        Args:
            chunk (Chunk): the stored one.
            left (Chunk or None): its undecided rows, under the same id.
            rejected (list of RejectedRow).
        """
        self._settled[chunk.id] = left
        try:
            self._write(lambda connection: self._insertRejected(
                connection, rejected))
        except SpoolError as error:
            utils.getLogger().warning(
                "accepted rows stay in the disk buffer for now: %s", error)

    def addRejected(self, rejected):
        """Keep refused rows for inspection.

        Raises:
            SpoolError: the disk does not take them.
        """
        self._write(lambda connection: self._insertRejected(
            connection, rejected))

    def _insertRejected(self, connection, rejected):
        encoded = [(row.projectId, row.deviceId, _asText(sorted(row.row)),
                    _asText(row.row), row.statusCode,
                    _asText(list(row.apiErrors)), time.time())
                   for row in rejected]
        self._makeRoom(connection, sum(len(row[3]) for row in encoded), ())
        connection.executemany(
            "INSERT INTO rejected (project_id, device_id, columns, body, "
            "status, errors, time, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [row + (len(row[3]),) for row in encoded])

    def _makeRoom(self, connection, size, protected):
        """Delete the oldest until `size` bytes more fit; rows so dropped."""
        used = sum(connection.execute(
            "SELECT coalesce(sum(bytes), 0) FROM " + table).fetchone()[0]
            for table in ("chunks", "rejected"))
        excess = used + size - self.maxBytes
        for table in ("rejected", "chunks"):
            if excess > 0:
                excess, dropped = self._dropOldest(connection, table, excess,
                                                   protected)
        if used + size <= self.maxBytes:
            self._dropping = False
            return 0
        if dropped and not self._dropping:
            self._dropping = True  # said once until there is room again
            utils.getLogger().warning(
                "the disk buffer is full (%d bytes): its oldest rows are "
                "dropped, %d so far; see bufferToDisk(maxBytes=...)",
                self.maxBytes, dropped)
        return dropped

    @staticmethod
    def _dropOldest(connection, table, excess, protected):
        rows = "rows, id" if table == "chunks" else "1, ''"
        dropped = 0
        doomed = []
        for seq, size, count, id in connection.execute(
                "SELECT seq, bytes, {} FROM {} ORDER BY seq".format(
                    rows, table)):
            if excess <= 0:
                break
            if id not in protected:
                doomed.append((seq,))
                excess -= size
                dropped += count
        connection.executemany(
            "DELETE FROM {} WHERE seq = ?".format(table), doomed)
        return excess, dropped

    def _writeSettled(self, connection):
        for id, left in self._settled.items():
            if left is None:
                connection.execute("DELETE FROM chunks WHERE id = ?", (id,))
            else:
                connection.execute(
                    "UPDATE chunks SET rows = ?, bytes = ?, body = ? "
                    "WHERE id = ?", (left.rows, len(left.body),
                                     compat.toText(left.body), id))

    # -- reading ----------------------------------------------------------

    def oldest(self, projectId, last, skipped, maxValues):
        """Return the chunks of the next request.

        They are adjacent in the queue, of one device and the same columns,
        and hold at most `maxValues` values; the first is there in any case.

        Args:
            projectId (int): others stay for clients of theirs.
            last (int): leave out what stands behind this place.
            skipped (collection of str): devices to leave out.
            maxValues (int): rows x columns.
        """
        if self.isEmpty():
            return []

        def select(connection):
            found, count = [], 0
            for chunk in self._chunks(connection, projectId, last):
                if chunk.deviceId in skipped:
                    continue
                values = chunk.rows * len(chunk.columns)
                if found and (chunk.deviceId != found[0].deviceId
                              or chunk.columns != found[0].columns
                              or count + values > maxValues):
                    break
                found.append(chunk)
                count += values
            return found

        return self._read(select)

    def _chunks(self, connection, projectId, last):
        cursor = connection.execute(
            "SELECT {} FROM chunks WHERE project_id = ? AND seq <= ? "
            "ORDER BY seq".format(_CHUNK_FIELDS), (projectId, last))
        for seq, id, project, device, rows, _, columns, body in cursor:
            chunk = Chunk(project, device, json.loads(columns), rows, body, id,
                          seq)
            if id in self._settled:
                chunk = self._settled[id]
            if chunk is not None:
                yield chunk

    def lastSeq(self):
        """Return the place of the last chunk in the queue, 0 for none."""
        if self.isEmpty():
            return 0
        return self._read(lambda connection: connection.execute(
            "SELECT coalesce(max(seq), 0) FROM chunks").fetchone()[0])

    def count(self, projectId):
        """Return the rows that wait: (of this project, of others)."""
        if self.isEmpty():
            return 0, 0

        def select(connection):
            own = other = 0
            for id, project, rows in connection.execute(
                    "SELECT id, project_id, rows FROM chunks"):
                if id in self._settled:
                    left = self._settled[id]
                    rows = 0 if left is None else left.rows
                if project == projectId:
                    own += rows
                else:
                    other += rows
            return own, other

        return self._read(select)

    def rejectedRows(self, projectId, limit):
        """Return the last `limit` refused rows of a project, oldest first.

        Returns:
            list of tuple: (deviceId, row as a dict, status, API errors).
        """
        if not os.path.exists(self.file):
            return []
        found = self._read(lambda connection: connection.execute(
            "SELECT device_id, body, status, errors FROM rejected WHERE "
            "project_id = ? ORDER BY seq DESC LIMIT ?",
            (projectId, limit)).fetchall())
        return [(device, json.loads(body), status, tuple(json.loads(errors)))
                for device, body, status, errors in reversed(found)]

    def isEmpty(self):
        """Tell, mostly without opening the file, whether no chunk waits."""
        seen = _looks(self.file)
        if seen is None or (seen == self._emptyAt and not self._settled):
            return True
        empty = self._read(lambda connection: connection.execute(
            "SELECT 1 FROM chunks LIMIT 1").fetchone() is None)
        self._emptyAt = seen if empty else None
        return empty

    # -- the file ---------------------------------------------------------

    def _write(self, work):
        """Run `work` in one durable transaction; the file is made if need be."""
        while True:
            before = _inode(self.file)
            try:
                with self._connection(create=True) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        self._writeSettled(connection)
                        result = work(connection)
                        connection.execute("COMMIT")
                    except BaseException:
                        with _suppressed():
                            connection.execute("ROLLBACK")
                        raise
            except sqlite3.DatabaseError as error:
                self._repairOrRaise(error)
                continue
            except EnvironmentError as error:
                raise SpoolError("the disk buffer {} cannot be written: {}"
                                 .format(self.file, error))
            # Someone else may have set a corrupt file aside amid this: the
            # commit went into that one, and is repeated, which is harmless.
            if before is None or before == _inode(self.file):
                self._settled.clear()
                return result

    def _read(self, work):
        while True:
            try:
                with self._connection(create=False) as connection:
                    return work(connection)
            except sqlite3.DatabaseError as error:
                self._repairOrRaise(error)
            except EnvironmentError as error:
                raise SpoolError("the disk buffer {} cannot be read: {}"
                                 .format(self.file, error))

    @contextlib.contextmanager
    def _connection(self, create):
        if create and not os.path.exists(self.file):
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
        connection = _connect(self.file)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _SCHEMA_VERSION:
                raise SpoolError(
                    "the disk buffer {} was written by a newer iobeam (schema "
                    "{}, this one knows {}); upgrade, or use another folder"
                    .format(self.file, version, _SCHEMA_VERSION))
            if version < _SCHEMA_VERSION:
                connection.executescript(_SCHEMA)
            yield connection
        finally:
            connection.close()

    def _repairOrRaise(self, error):
        if not _isCorruption(error):
            raise SpoolError("the disk buffer {}: {}".format(self.file, error))
        with _locked(os.path.join(self.path, _REPAIR_LOCK_FILE),
                     _BUSY_SECONDS) as held:
            if not held:
                raise SpoolError("the disk buffer {} is corrupt ({}) and "
                                 "locked".format(self.file, error))
            if not _isBroken(self.file):
                return  # another process has mended it
            aside = "{}.corrupt-{}".format(self.file, time.strftime(
                "%Y%m%dT%H%M%S") + "-" + uuid.uuid4().hex[:6])
            fresh = self.file + ".new"
            try:
                saved = _rescue(self.file, fresh)
                compat.replaceFile(self.file, aside)
                journal = "-journal"
                if os.path.exists(self.file + journal):
                    compat.replaceFile(self.file + journal, aside + journal)
                compat.replaceFile(fresh, self.file)
                compat.fsyncFolder(self.path)
            except (EnvironmentError, sqlite3.Error) as failure:
                raise SpoolError("the disk buffer {} is corrupt ({}) and "
                                 "cannot be mended: {}".format(
                                     self.file, error, failure))
            utils.getLogger().warning(
                "the disk buffer %s was corrupt (%s): %d rows could be read "
                "and were kept, the old file is %s", self.file, error, saved,
                aside)

    @contextlib.contextmanager
    def sender(self, seconds):
        """Be the one sender of this file, waiting at most `seconds`.

        Yields:
            bool: whether it is. True also where the folder takes no lock
            file: then there is no buffer to share either.
        """
        with _locked(os.path.join(self.path, _LOCK_FILE), seconds) as held:
            yield held


def _connect(file):
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS,
                                 isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _asText(value):
    return compat.toText(json.dumps(value, separators=(",", ":")))


def _looks(file):
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime, found.st_size


def _inode(file):
    seen = _looks(file)
    return seen and seen[0]


@contextlib.contextmanager
def _suppressed():
    """A clean-up that must not replace the first error."""
    try:
        yield
    except sqlite3.Error:
        pass


# -- corrupt files -----------------------------------------------------------


def _isCorruption(error):
    """SQLITE_CORRUPT and SQLITE_NOTADB, which old Pythons tell by text only."""
    said = str(error)
    return any(words in said for words in (
        "malformed", "not a database", "encrypted", "no such table",
        "no such column", "corrupt"))


def _isBroken(file):
    try:
        connection = _connect(file)
    except sqlite3.Error:
        return True
    try:
        for table, fields in (("chunks", _CHUNK_FIELDS),
                              ("rejected", _REJECTED_FIELDS)):
            for _ in connection.execute("SELECT {} FROM {}".format(
                    fields, table)):
                pass
        checked = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return checked != "ok"
    except sqlite3.Error:
        return True
    finally:
        connection.close()


def _rescue(file, fresh):
    """Copy what can be read of `file` to a new file; return the rows saved."""
    if os.path.exists(fresh):
        os.remove(fresh)
    os.close(os.open(fresh, os.O_CREAT | os.O_RDWR, 0o600))
    target = _connect(fresh)
    saved = 0
    try:
        target.executescript(_SCHEMA)
        target.execute("BEGIN IMMEDIATE")
        for table, fields in (("chunks", _CHUNK_FIELDS),
                              ("rejected", _REJECTED_FIELDS)):
            for row in _readable(file, table, fields):
                if table == "chunks":
                    try:
                        count = len(json.loads("[" + row[7] + "]"))
                        if count != row[4]:
                            continue
                        json.loads(row[6])
                    except (TypeError, ValueError):
                        continue
                    saved += row[4]
                target.execute("INSERT OR IGNORE INTO {} ({}) VALUES ({})"
                               .format(table, fields,
                                       ", ".join("?" * len(row))), row)
        target.execute("COMMIT")
    finally:
        target.close()
    return saved


def _readable(file, table, fields):
    """Yield the rows of a damaged table, stepping over what cannot be read."""
    try:
        connection = _connect(file)
    except sqlite3.Error:
        return
    found = {}
    try:
        for order, beyond in (("", ">"), (" DESC", "<")):
            edge = None
            failures = 0
            while failures < 1000:
                where = "" if edge is None else " WHERE seq {} {}".format(
                    beyond, edge)
                try:
                    row = connection.execute(
                        "SELECT {} FROM {}{} ORDER BY seq{} LIMIT 1".format(
                            fields, table, where, order)).fetchone()
                    if row is None or row[0] in found:
                        break
                    found[row[0]] = row
                    edge = row[0]
                except sqlite3.Error:
                    if edge is None:
                        break
                    failures += 1
                    edge += 1 if order == "" else -1
    finally:
        connection.close()
    for seq in sorted(found):
        yield found[seq]


# -- locks between processes ---------------------------------------------------

# A process's own locks on a file do not exclude each other, and closing any
# descriptor of it frees them all: so threads queue here first, and the file is
# open once at most. By process id: a forked child starts with none held.
_threadLocks = {}


@contextlib.contextmanager
def _locked(file, seconds):
    limit = compat.monotonic() + seconds
    inner = _threadLocks.setdefault((os.getpid(), os.path.realpath(file)),
                                    threading.Lock())
    if not compat.acquireWithin(inner, seconds):
        yield False
        return
    descriptor = None
    try:
        try:
            descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:
            held = True  # no place for a lock: none for a buffer either
        else:
            held = _lockDescriptor(descriptor)
            while not held and compat.monotonic() < limit:
                time.sleep(min(_LOCK_POLL_SECONDS,
                               max(0, limit - compat.monotonic())))
                held = _lockDescriptor(descriptor)
        yield held
    finally:
        if descriptor is not None:
            os.close(descriptor)  # frees the lock, as any death would
        inner.release()


def _lockDescriptor(descriptor):
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return True
    except (IOError, OSError):
        return False
