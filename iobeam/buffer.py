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
import time

from iobeam import filelock, spoolfile
from iobeam.chunk import DEFAULT_MAX_BYTES
from iobeam.errors import SpoolError
from iobeam.http import call as calls
from iobeam.utils import utils

_FILE = "iobeam_buffer.db"
_LOCK_FILE = "iobeam_buffer.lock"
_STEADY_SECONDS = 3.0  # older than any file system's clock tick (FAT: 2 s)
_MAX_TRIES = 3  # to mend the file in one call; then the disk is at fault
_CHUNK_OVERHEAD = 200  # bytes a chunk takes beside its texts, index included
_LEAST_BUSY_SECONDS = 0.05  # to wait for a locked file, also at a deadline
_FULL_UNTIL = 0.75  # part of maxBytes below which the buffer is not full


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
        reached = []

        def insert(connection):
            kept, dropped = self._makeRoom(connection, chunks, protected)
            connection.executemany(
                "INSERT OR IGNORE INTO chunks (id, project_id, device_id, rows,"
                " bytes, crc, columns, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [spoolfile.encoded(chunk) for chunk in kept])
            last = connection.execute("SELECT max(seq) FROM chunks").fetchone()
            reached.append(True)  # what follows is the commit
            return last[0] or 0, dropped, self._used(connection)

        try:
            last, dropped, used = self._write(insert)
        except BaseException:
            if reached and chunks:
                self._disown(chunks)
            raise
        if dropped and not self._isFull:
            self._isFull = True  # said once until there is room again
            utils.getLogger().warning(
                "the disk buffer is full (%d bytes): its oldest rows are "
                "dropped, %d so far; see bufferToDisk(maxBytes=...)",
                self.maxBytes, dropped)
        elif used < self.maxBytes * _FULL_UNTIL:
            self._isFull = False
        return last, dropped

    def _disown(self, chunks):
        """Delete with the next write what a failed commit has stored after all.

        Its last step, an fsync, comes when the chunks are in the file already;
        the caller keeps their rows, which would be sent twice.
        """
        try:
            isStored = self._read(lambda connection: connection.execute(
                "SELECT 1 FROM chunks WHERE id = ?",
                (chunks[-1].id,)).fetchone() is not None)
        except SpoolError:
            isStored = True  # nobody knows
        if isStored:
            for chunk in chunks:
                self._settled[chunk.id] = None

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
            change, values = "DELETE FROM chunks", ()
            if left is not None:
                encoded = spoolfile.encoded(left)
                change = "UPDATE chunks SET rows = ?, bytes = ?, crc = ?, body = ?"
                values = encoded[3:6] + encoded[7:]
            # An index that is damaged finds nothing, and says nothing: what
            # was accepted would be sent for ever.
            for where in (" WHERE id = ?", " WHERE +id = ?"):
                if connection.execute(change + where, values + (id,)).rowcount:
                    break
        self._insertRejected(connection, self._refused[:refused])
        return settled, refused

    def _forgetOwed(self, settled, refused):
        for id, left in settled.items():
            if self._settled.get(id) is left:
                self._settled.pop(id, None)
        del self._refused[:refused]

    def _insertRejected(self, connection, rejected):
        encoded = [(row.projectId, row.deviceId, spoolfile.asText(sorted(row.row)),
                    spoolfile.asText(row.row), row.statusCode,
                    spoolfile.asText(list(row.apiErrors)), time.time())
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
        return (pages - free - spoolfile.EMPTY_PAGES) * size

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
            "SELECT {} FROM chunks WHERE project_id = ? ORDER BY seq".format(
                spoolfile.CHUNK_FIELDS), (projectId,))
        for row in cursor:
            chunk = spoolfile.decoded(row)
            # Here, not in the query: the place that a damaged page seems to
            # hold would end it unseen.
            if chunk.seq > last:
                return
            if chunk.id in self._settled:
                chunk = self._settled[chunk.id]
            if chunk is not None:
                yield chunk

    def lastSeq(self):
        """Return the place of the last chunk in the queue, 0 for none."""
        if self.isEmpty():
            return 0
        def select(connection):
            row = connection.execute(
                "SELECT {} FROM chunks ORDER BY seq DESC LIMIT 1".format(
                    spoolfile.CHUNK_FIELDS)).fetchone()
            # the whole row, for its checksum: half a page reads as place 0
            return 0 if row is None else spoolfile.decoded(row).seq

        return self._read(select)

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
                raise spoolfile.malformed()

        return (self._read(select) + unsaved)[-limit:]

    def summary(self):
        """Return [(projectId, deviceId, chunks, rows, bytes)] of what waits."""
        if not os.path.exists(self.file):
            return []
        return self._read(lambda connection: connection.execute(
            "SELECT project_id, device_id, COUNT(*), SUM(rows), SUM(bytes) "
            "FROM chunks GROUP BY 1, 2 ORDER BY 1, 2").fetchall())

    def drop(self, projectId):
        """Delete what waits and what was refused; return how many rows."""
        if not os.path.exists(self.file):
            return 0

        def delete(connection):
            rows = connection.execute(
                "SELECT COALESCE(SUM(rows), 0) FROM chunks WHERE project_id "
                "= ?", (projectId,)).fetchone()[0]
            rows += connection.execute(
                "SELECT COUNT(*) FROM rejected WHERE project_id = ?",
                (projectId,)).fetchone()[0]
            for table in ("chunks", "rejected"):
                connection.execute("DELETE FROM {} WHERE project_id = ?"
                                   .format(table), (projectId,))
            return rows

        return self._write(delete)

    def isEmpty(self):
        """Tell, mostly without opening the file, whether no chunk waits."""
        seen = spoolfile.looks(self.file)
        if seen is None or seen[2] == 0:  # made, and then the disk was full
            return True
        if seen == self._emptyAt and not self._settled:
            return True
        # A change within the same tick of the clock would look the same.
        isSteady = abs(time.time() - seen[1]) > _STEADY_SECONDS
        # by the table's own order: an index may be damaged unseen
        empty = self._read(lambda connection: connection.execute(
            "SELECT seq FROM chunks ORDER BY seq LIMIT 1").fetchone() is None)
        self._emptyAt = seen if empty and isSteady else None
        return empty

    # -- the file ---------------------------------------------------------

    def _write(self, work):
        """Run `work` in one durable transaction; the file is made if need be."""
        def transact():
            if not os.path.exists(self.file):
                spoolfile.create(self.file)
            place = spoolfile.inode(self.file)
            try:
                with self._connection() as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        owed = self._writeOwed(connection)
                        result = work(connection)
                        connection.execute("COMMIT")
                    except BaseException:
                        _rollBack(connection)
                        raise
            except spoolfile.ERRORS:
                if place == spoolfile.inode(self.file):
                    raise
                return False, None
            # Someone else may have set a corrupt file aside amid this: the
            # commit went into that one, and is repeated, which is harmless.
            if place != spoolfile.inode(self.file):
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
            except spoolfile.ERRORS as error:
                # 2.7 does not try again when another process makes the tables
                isSchema = "schema has changed" in str(error)
                if tries == _MAX_TRIES or not (isSchema
                                               or spoolfile.isCorruption(error)):
                    raise SpoolError("the disk buffer {} cannot be {}: {}"
                                     .format(self.file, verb, error))
                tries += 1
                if not isSchema:
                    # what looks whole though work failed is not spared twice
                    from iobeam import repair  # seldom needed

                    repair.mend(self.file, error, isSure=repairs > 0)
                    repairs += 1
            except EnvironmentError as error:
                raise SpoolError("the disk buffer {} cannot be {}: {}"
                                 .format(self.file, verb, error))

    @contextlib.contextmanager
    def _connection(self):
        # another process may hold the file for longer than a call may take
        running = calls.current(None)
        seconds = spoolfile.BUSY_SECONDS
        if running is not None:
            seconds = max(_LEAST_BUSY_SECONDS, min(seconds, running.left()))
        connection = spoolfile.connect(self.file, seconds)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > spoolfile.SCHEMA_VERSION:
                raise SpoolError(
                    "the disk buffer {} was written by a newer iobeam (schema "
                    "{}, this one knows {}); upgrade, or use another folder"
                    .format(self.file, version, spoolfile.SCHEMA_VERSION))
            if version < spoolfile.SCHEMA_VERSION:
                connection.executescript(spoolfile.SCHEMA)
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def sender(self, seconds):
        """Be the one sender of this file, waiting at most `seconds`.

        Yields:
            bool: whether it is. True also where the folder takes no lock
            file: then there is no buffer to share either.
        """
        with filelock.locked(os.path.join(self.path, _LOCK_FILE), seconds) as held:
            yield held


def _rollBack(connection):
    """Undo a transaction, if SQLite has not done so; keeps the first error.

    A function of its own: amid another one, what is caught in here would on
    2.7 be what its `raise` raises again.
    """
    try:
        connection.execute("ROLLBACK")
    except spoolfile.ERRORS:
        pass
