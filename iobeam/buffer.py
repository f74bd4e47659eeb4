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
import shutil
import sqlite3
import struct
import threading
import time
import uuid
import zlib

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
_STEADY_SECONDS = 3.0  # older than any file system's clock tick (FAT: 2 s)
_MAX_TRIES = 3  # to mend the file in one call; then the disk is at fault
_HOLE = 1000  # places that a rescue tries one by one where it cannot read on
_CHUNK_OVERHEAD = 200  # bytes a chunk takes beside its texts, index included
_FULL_UNTIL = 0.75  # part of maxBytes below which the buffer is not full

# Small, so that a damaged page takes few rows with it and that the pages of
# an empty file are few bytes.
_PAGE_BYTES = 1024
_EMPTY_PAGES = 5  # of a file without rows; maxBytes is about rows

# TRUNCATE, not WAL: old SQLite builds and network mounts lack WAL, and its
# side files must never be separated from the file. FULL: commits survive
# power cuts. `bytes` stands before `body`, so that summing it up reads no body.
_SCHEMA = """
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
""".format(_PAGE_BYTES, _SCHEMA_VERSION)
_CHUNK_FIELDS = \
    "seq, id, project_id, device_id, rows, bytes, crc, columns, body"
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
        # What the disk did not take yet: goes in front of the next write.
        self._settled = {}  # id to what is left of the chunk, or None
        self._refused = []  # RejectedRows
        self._emptyAt = None  # what the file looked like when it had no chunks
        self._isFull = False
        with self.sender(0):
            pass  # makes the lock file now: a send that goes well writes nothing

    def forget(self):
        """In a forked child: what is left of chunks is the parent's to say."""
        self._settled = dict((id, None) for id, left in self._settled.items()
                             if left is None)
        self._refused = []

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
            kept, dropped = self._makeRoom(connection, chunks, protected)
            connection.executemany(
                "INSERT OR IGNORE INTO chunks (id, project_id, device_id, rows,"
                " bytes, crc, columns, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_encoded(chunk) for chunk in kept])
            last = connection.execute("SELECT max(seq) FROM chunks").fetchone()
            return last[0] or 0, dropped, self._used(connection)

        last, dropped, used = self._write(insert)
        if dropped and not self._isFull:
            self._isFull = True  # said once until there is room again
            utils.getLogger().warning(
                "the disk buffer is full (%d bytes): its oldest rows are "
                "dropped, %d so far; see bufferToDisk(maxBytes=...)",
                self.maxBytes, dropped)
        elif used < self.maxBytes * _FULL_UNTIL:
            self._isFull = False
        return last, dropped

    def settle(self, chunks, left=None, rejected=()):
        """Record what became of chunks that were sent.

        If the disk does not take it, it is remembered and tried again with
        the next call: what was accepted is not sent twice.

        Args:
            chunks (list of Chunk): the stored ones.
            left (Chunk or None): undecided rows of the last of them, under
                the same id.
            rejected (list of RejectedRow).
        """
        for chunk in chunks:
            self._settled[chunk.id] = None
        if left is not None:
            self._settled[left.id] = left
        self._refused.extend(rejected)
        self.writeOwed()

    def writeOwed(self):
        """Write what `settle` could not, if there is anything."""
        if not self._settled and not self._refused:
            return
        try:
            self._write(lambda connection: None)
        except SpoolError as error:
            utils.getLogger().warning(
                "accepted rows stay in the disk buffer for now, and are not "
                "sent again by this program: %s", error)

    def _writeOwed(self, connection):
        """Returns what it wrote: {id: left}, number of refused rows."""
        settled, refused = dict(self._settled), len(self._refused)
        for id, left in settled.items():
            if left is None:
                connection.execute("DELETE FROM chunks WHERE id = ?", (id,))
            else:
                encoded = _encoded(left)
                connection.execute(
                    "UPDATE chunks SET rows = ?, bytes = ?, crc = ?, body = ? "
                    "WHERE id = ?", encoded[3:6] + encoded[7:] + (id,))
        self._insertRejected(connection, self._refused[:refused])
        return settled, refused

    def _forgetOwed(self, settled, refused):
        for id, left in settled.items():
            if self._settled.get(id) is left:
                self._settled.pop(id, None)
        del self._refused[:refused]

    def _insertRejected(self, connection, rejected):
        encoded = [(row.projectId, row.deviceId, _asText(sorted(row.row)),
                    _asText(row.row), row.statusCode,
                    _asText(list(row.apiErrors)), time.time())
                   for row in rejected]
        # Room is made by older ones only: what still waits to be sent is
        # worth more than what never can be.
        sizes = [sum(map(len, row[1:4])) + len(row[5]) for row in encoded]
        while encoded and self._excess(connection, sum(sizes)) > 0:
            if not self._dropOldest(connection, "rejected",
                                    self._excess(connection, sum(sizes))):
                del encoded[0], sizes[0]
        connection.executemany(
            "INSERT INTO rejected (project_id, device_id, columns, body, "
            "status, errors, time, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [row + (size,) for row, size in zip(encoded, sizes)])

    def _used(self, connection):
        """Bytes that rows take in the file."""
        pages, free, size = [connection.execute("PRAGMA " + name).fetchone()[0]
                             for name in ("page_count", "freelist_count",
                                          "page_size")]
        return (pages - free - _EMPTY_PAGES) * size

    def _excess(self, connection, size):
        return self._used(connection) + size - self.maxBytes

    def _makeRoom(self, connection, chunks, protected):
        """Delete the oldest until `chunks` fit: (those that do, rows dropped).

        If there is not room enough in the whole file, the oldest of the new
        ones are left out as well.
        """
        sizes = [len(chunk.body) + _CHUNK_OVERHEAD
                 + sum(map(len, chunk.columns)) for chunk in chunks]
        needed, dropped = sum(sizes), 0
        while True:
            excess = self._excess(connection, needed)
            if excess <= 0:
                return chunks, dropped
            if self._dropOldest(connection, "rejected", excess):
                continue
            count = self._dropOldest(connection, "chunks", excess, protected)
            if not count:
                break
            dropped += count
        kept = []
        for chunk, size in zip(chunks, sizes):
            if excess > 0 and chunk.id not in protected:
                excess -= size
                dropped += chunk.rows
            else:
                kept.append(chunk)
        return kept, dropped

    @staticmethod
    def _dropOldest(connection, table, excess, protected=()):
        """Delete the oldest of `excess` bytes together; their number of rows."""
        fields = "rows, id" if table == "chunks" else "1, ''"
        dropped, doomed = 0, []
        for seq, size, count, id in connection.execute(
                "SELECT seq, bytes, {} FROM {} ORDER BY seq".format(
                    fields, table)):
            if excess <= 0:
                break
            if id not in protected:
                doomed.append((seq,))
                excess -= size
                dropped += count
        connection.executemany(
            "DELETE FROM {} WHERE seq = ?".format(table), doomed)
        return dropped

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
        for row in cursor:
            chunk = _decoded(row)
            if chunk.id in self._settled:
                chunk = self._settled[chunk.id]
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
            own, every = connection.execute(
                "SELECT total(CASE WHEN project_id = ? THEN rows END), "
                "total(rows) FROM chunks", (projectId,)).fetchone()
            for id, left in self._settled.items():
                found = connection.execute(
                    "SELECT project_id, rows FROM chunks WHERE id = ?",
                    (id,)).fetchone()
                if found is not None:
                    less = found[1] - (0 if left is None else left.rows)
                    every -= less
                    own -= less if found[0] == projectId else 0
            return int(own), int(every - own)

        return self._read(select)

    def rejectedRows(self, projectId, limit):
        """Return the last `limit` refused rows of a project, oldest first.

        Returns:
            list of tuple: (deviceId, row as a dict, status, API errors).
        """
        unsaved = [(row.deviceId, row.row, row.statusCode, row.apiErrors)
                   for row in self._refused if row.projectId == projectId]
        if not os.path.exists(self.file):
            return unsaved[-limit:]

        def select(connection):
            found = connection.execute(
                "SELECT device_id, body, status, errors FROM rejected WHERE "
                "project_id = ? ORDER BY seq DESC LIMIT ?",
                (projectId, limit)).fetchall()
            try:
                return [(device, json.loads(body), status,
                         tuple(json.loads(errors)))
                        for device, body, status, errors in reversed(found)]
            except (TypeError, ValueError):
                raise _malformed()

        return (self._read(select) + unsaved)[-limit:]

    def isEmpty(self):
        """Tell, mostly without opening the file, whether no chunk waits."""
        seen = _looks(self.file)
        if seen is None or (seen == self._emptyAt and not self._settled):
            return True
        # A change within the same tick of the clock would look the same.
        isSteady = abs(time.time() - seen[1]) > _STEADY_SECONDS
        empty = self._read(lambda connection: connection.execute(
            "SELECT 1 FROM chunks LIMIT 1").fetchone() is None)
        self._emptyAt = seen if empty and isSteady else None
        return empty

    # -- the file ---------------------------------------------------------

    def _write(self, work):
        """Run `work` in one durable transaction; the file is made if need be."""
        def transact():
            if not os.path.exists(self.file):
                _create(self.file)
            place = _inode(self.file)
            try:
                with self._connection() as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        owed = self._writeOwed(connection)
                        result = work(connection)
                        connection.execute("COMMIT")
                    except BaseException:
                        with _suppressed():
                            connection.execute("ROLLBACK")
                        raise
            except sqlite3.Error:
                if place == _inode(self.file):
                    raise
                return False, None
            # Someone else may have set a corrupt file aside amid this: the
            # commit went into that one, and is repeated, which is harmless.
            if place != _inode(self.file):
                return False, None
            self._forgetOwed(*owed)
            return True, result

        while True:
            isDone, result = self._mending("written", transact)
            if isDone:
                return result

    def _read(self, work):
        def read():
            with self._connection() as connection:
                return work(connection)

        return self._mending("read", read)

    def _mending(self, verb, work):
        """Carry out `work`, and again after a corrupt file was set aside."""
        tries = repairs = 0
        while True:
            try:
                return work()
            except sqlite3.Error as error:
                # 2.7 does not try again when another process makes the tables
                isSchema = "schema has changed" in str(error)
                if tries == _MAX_TRIES or not (isSchema
                                               or _isCorruption(error)):
                    raise SpoolError("the disk buffer {} cannot be {}: {}"
                                     .format(self.file, verb, error))
                tries += 1
                if not isSchema:
                    # what looks whole though work failed is not spared twice
                    self._repair(error, isSure=repairs > 0)
                    repairs += 1
            except EnvironmentError as error:
                raise SpoolError("the disk buffer {} cannot be {}: {}"
                                 .format(self.file, verb, error))

    @contextlib.contextmanager
    def _connection(self):
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

    def _repair(self, error, isSure):
        """Copy what can be read to a new file, and set the corrupt one aside.

        There is a whole file in its place at any instant. As long as the old
        one can be locked it is, so that no other process commits to it behind
        the copy's back.
        """
        with _locked(os.path.join(self.path, _REPAIR_LOCK_FILE),
                     _BUSY_SECONDS) as held:
            if not held:
                raise SpoolError("the disk buffer {} is corrupt ({}) and "
                                 "locked".format(self.file, error))
            aside = "{}.corrupt-{}".format(self.file, time.strftime(
                "%Y%m%dT%H%M%S") + "-" + uuid.uuid4().hex[:6])
            fresh = self.file + ".new"
            headed = self.file + ".headed"
            try:
                if not isSure and not _isBroken(self.file):
                    return  # another process has mended it
                _copyWithHead(self.file, headed)
                with _writeLock(self.file):
                    if not isSure and not _isBroken(self.file):
                        return
                    saved = _rescue((self.file, headed), fresh)
                    _keepAs(self.file, aside)
                    if os.path.exists(self.file + "-journal"):
                        compat.replaceFile(self.file + "-journal",
                                           aside + "-journal")
                    compat.replaceFile(fresh, self.file)
                compat.fsyncFolder(self.path)
            except (EnvironmentError, sqlite3.Error) as failure:
                raise SpoolError("the disk buffer {} is corrupt ({}) and "
                                 "cannot be mended: {}".format(
                                     self.file, error, failure))
            finally:
                for name in (fresh, headed):
                    _remove(name, name + "-journal")
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
        # Debian's default is ON: it writes zeros over whatever is deleted.
        connection.execute("PRAGMA secure_delete = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(file):
    """Make an empty file that nobody else may read.

    By one thread at a time: closing a descriptor of a file frees all locks
    that this process holds on it (POSIX), SQLite's included.
    """
    with _threadLock(file):
        if not os.path.exists(file):
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def _asText(value):
    return compat.toText(json.dumps(value, separators=(",", ":")))


def _encoded(chunk):
    """A chunk as a row of the table, without its place."""
    columns, body = _asText(chunk.columns), compat.toText(chunk.body)
    return (chunk.id, chunk.projectId, chunk.deviceId, chunk.rows,
            len(body) + len(columns) + len(chunk.deviceId) + len(chunk.id),
            _crc(chunk.id, chunk.projectId, chunk.deviceId, chunk.rows, columns,
                 body), columns, body)


def _decoded(row):
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
    raise _malformed()


def _crc(*parts):
    return zlib.crc32(u"\n".join(map(compat.text, parts)).encode("utf-8")) \
        & 0xffffffff


def _malformed():
    return sqlite3.DatabaseError("a row of the table is malformed")


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
    said = str(error).lower()
    return any(words in said for words in (
        "malformed", "not a database", "encrypted", "no such table",
        "no such column", "has no column", "corrupt", "could not decode"))


@contextlib.contextmanager
def _writeLock(file):
    """Keep other processes from writing to a damaged file, if that is possible.

    Raises:
        sqlite3.Error: another one is writing to it and does not end.
    """
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS,
                                 isolation_level=None)
    try:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not _isCorruption(error):
                raise
        yield
    finally:
        connection.close()


def _isBroken(file):
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS)
    try:
        for row in connection.execute("SELECT {} FROM chunks".format(
                _CHUNK_FIELDS)):
            _decoded(row)
        for row in connection.execute("SELECT {} FROM rejected".format(
                _REJECTED_FIELDS)):
            _checkRejected(row)
        checked = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return checked != "ok"
    except sqlite3.Error as error:
        if not _isCorruption(error):
            raise
        return True
    finally:
        connection.close()


def _checkRejected(row):
    try:
        json.loads(row[5]), json.loads(row[7])
    except (TypeError, ValueError):
        raise _malformed()


def _rescue(sources, fresh):
    """Copy what can be read of files to a new one; return the rows saved."""
    _remove(fresh)
    _create(fresh)
    target = _connect(fresh)
    saved = 0
    try:
        target.executescript(_SCHEMA)
        target.execute("BEGIN IMMEDIATE")
        for table, fields, check in (
                ("chunks", _CHUNK_FIELDS, _decoded),
                ("rejected", _REJECTED_FIELDS, _checkRejected)):
            for source in sources:
                for row in _readable(source, table, fields):
                    try:
                        check(row)
                        copied = target.execute(
                            "INSERT OR IGNORE INTO {} ({}) VALUES ({})".format(
                                table, fields, ", ".join("?" * len(row))),
                            row).rowcount
                    except sqlite3.IntegrityError:
                        continue  # a gap where none can be
                    except sqlite3.Error as error:
                        if not _isCorruption(error):
                            raise
                        continue
                    if table == "chunks":
                        saved += row[4] * copied
        target.execute("COMMIT")
    finally:
        target.close()
    return saved


def _copyWithHead(file, target):
    """Copy a file, with the first page of an empty one of the same schema.

    A damaged first page hides all others; the tables begin at the same pages
    in every file.
    """
    _remove(target)
    _create(target)
    empty = _connect(target)
    try:
        empty.executescript(_SCHEMA)
    finally:
        empty.close()
    with open(target, "r+b") as copy:
        head = bytearray(copy.read(_PAGE_BYTES))
        copy.seek(0)
        with open(file, "rb") as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        pages = max(1, -(-copy.tell() // _PAGE_BYTES))
        copy.truncate(pages * _PAGE_BYTES)
        # the number of pages; then the list of free ones, which may be empty
        head[28:40] = struct.pack(">III", pages, 0, 0)
        copy.seek(0)
        copy.write(head)


def _readable(file, table, fields):
    """Yield the rows of a damaged table, stepping over what cannot be read."""
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS)

    def fetch(sql, *values):
        """The rows, as far as they can be read, and whether that is all."""
        found = []
        try:
            for row in connection.execute(sql.format(fields, table), values):
                found.append(row)
        except sqlite3.Error as error:
            if not _isCorruption(error):
                raise
            return found, False
        return found, True

    try:
        found, isWhole = fetch("SELECT {0} FROM {1} ORDER BY seq")
        if not isWhole:
            found += fetch("SELECT {0} FROM {1} ORDER BY seq DESC")[0]
        rows = dict((row[0], row) for row in found)
        if not isWhole:
            # What lies between two holes: an index, if it is whole, knows the
            # places; next to a hole they are tried one by one.
            places = set(place for place, _ in fetch(
                "SELECT seq, {} FROM {{1}} ORDER BY 2".format(
                    "id" if table == "chunks" else "seq"))[0])
            for edge in list(rows) or [0]:
                if edge + 1 not in rows:
                    places.update(range(edge + 1, edge + _HOLE))
                if edge - 1 not in rows:
                    places.update(range(edge - _HOLE, edge))
            for place in places.difference(rows):
                for row in fetch("SELECT {0} FROM {1} WHERE seq = ?",
                                 place)[0]:
                    rows[place] = row
    finally:
        connection.close()
    for place in sorted(rows):
        yield rows[place]


def _remove(*files):
    for file in files:
        if os.path.exists(file):
            os.remove(file)


def _keepAs(file, aside):
    """Give a file a second name; a copy where the file system has no links."""
    try:
        os.link(file, aside)
    except (AttributeError, EnvironmentError):
        shutil.copyfile(file, aside)


# -- locks between processes ---------------------------------------------------

# A process's own locks on a file do not exclude each other, and closing any
# descriptor of it frees them all: so threads queue here first, and the file is
# open once at most. By process id: a forked child starts with none held.
_threadLocks = {}


def _threadLock(file):
    return _threadLocks.setdefault((os.getpid(), os.path.realpath(file)),
                                   threading.Lock())


@contextlib.contextmanager
def _locked(file, seconds):
    limit = compat.monotonic() + seconds
    inner = _threadLock(file)
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
