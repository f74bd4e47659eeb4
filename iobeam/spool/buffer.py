"""The disk buffer: a durable queue of serialised chunks in one SQLite file.

A chunk is one row of a table and keeps the project and device it belongs to.
What `append` returned from survives a power cut. A connection lives for one
call, so that a fork or a crash never leaves one behind; several processes may
use one file. No HTTP in here.
"""
from __future__ import absolute_import

import json
import os
import time

from iobeam.errors import SpoolError
from iobeam.http import call as calls
from iobeam.spool import ahead, filelock, guard, repair, room, spoolfile
from iobeam.spool.chunk import DEFAULT_MAX_BYTES
from iobeam.utils import utils

_FILE = "iobeam_buffer.db"
_LOCK_FILE = "iobeam_buffer.lock"
_STEADY_SECONDS = 3.0  # older than any file system's clock tick (FAT: 2 s)
_MAX_TRIES = 3  # to mend the file in one call; then the disk is at fault
_LEAST_BUSY_SECONDS = 0.05  # to wait for a locked file, also at a deadline
_FULL_UNTIL = 0.75  # part of maxBytes below which the buffer is not full


class Spool(object):
    """The queue of chunks in the folder `path`.

    Args:
        path (str): an absolute folder.
        maxBytes (int): how much the chunks may take together; beyond it the
            oldest go, whosever they are.
        baseUrl (str or None): the backend that chunks are meant for, as
            `http.address.backendOf` writes it: those for others are left. None
            stores chunks for anybody, and finds such ones only.
    """

    def __init__(self, path, maxBytes=DEFAULT_MAX_BYTES, baseUrl=None):
        self.path = path
        self.baseUrl = baseUrl
        self.file = os.path.join(path, _FILE)
        self._key = os.path.realpath(self.file)
        self.maxBytes = maxBytes
        # What the disk did not take yet: goes in front of the next write.
        self._settled = {}  # id to what is left of the chunk, or None
        self._refused = []  # RejectedRows
        self._ahead = None  # what was looked through for `oldest`
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

        After an exception, also KeyboardInterrupt at any instant, it may be
        repeated with the same chunks, which stores them once; or the caller
        keeps the rows and calls `disown`.

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
            kept, dropped, used = room.make(
                connection, self.maxBytes, chunks, protected, self.baseUrl)
            connection.executemany(
                "INSERT OR IGNORE INTO chunks (id, project_id, device_id, rows,"
                " bytes, crc, base_url, columns, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [spoolfile.encoded(chunk, self.baseUrl) for chunk in kept])
            last = connection.execute("SELECT max(seq) FROM chunks").fetchone()
            reached.append(True)  # what follows is the commit
            return last[0] or 0, dropped, used

        try:
            last, dropped, used = self._write(insert)
        except BaseException:
            if reached and chunks:
                self.disown(chunks)
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

    def disown(self, chunks):
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
        """Record what became of chunks that were sent: `owe`, then write it.

        If the disk does not take it, it is remembered and tried again with
        the next call: what was accepted is not sent twice. After an interrupt
        it may be repeated; refused rows may then be listed twice.
        """
        self.owe(chunks, left, rejected)
        self.writeOwed()

    def owe(self, chunks, left=None, rejected=()):
        """Note what became of chunks that were sent; the next write has it.

        May be repeated, as long as nothing was written in between.

        Args:
            chunks (list of Chunk): the stored ones.
            left (Chunk or None): undecided rows of the last of them, under
                the same id.
            rejected (list of RejectedRow).
        """
        settled = dict.fromkeys((chunk.id for chunk in chunks), None)
        if left is not None:
            settled[left.id] = left
        self._settled.update(settled)  # in one step: all of them or none
        looked, self._ahead = self._ahead, None
        if looked is not None and chunks:
            looked.forget(chunks, left)
        self._ahead = looked
        if rejected and not any(row is rejected[-1] for row in self._refused):
            self._refused.extend(rejected)

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
            # An index that is damaged finds nothing, and says nothing: what
            # was accepted would be sent for ever.
            for where in (" WHERE id = ?", " WHERE +id = ?"):
                if self._change(connection, where, id, left):
                    break
        self._insertRejected(connection, self._refused[:refused])
        return settled, refused

    @staticmethod
    def _change(connection, where, id, left):
        """Delete a chunk, or put in what is left of it; whether it was found."""
        if left is None:
            return connection.execute("DELETE FROM chunks" + where,
                                      (id,)).rowcount
        found = connection.execute("SELECT base_url FROM chunks" + where,
                                   (id,)).fetchone()
        if found is None:
            return 0
        encoded = spoolfile.encoded(left, found[0])
        return connection.execute(
            "UPDATE chunks SET rows = ?, bytes = ?, crc = ?, body = ?" + where,
            encoded[3:6] + (encoded[8], id)).rowcount

    def _forgetOwed(self, settled, refused):
        for id, left in settled.items():
            if self._settled.get(id) is left:
                self._settled.pop(id, None)
        del self._refused[:refused]

    def _insertRejected(self, connection, rejected):
        if not rejected:
            return
        encoded = [(row.projectId, row.deviceId, spoolfile.asText(sorted(row.row)),
                    spoolfile.asText(row.row), row.statusCode,
                    spoolfile.asText(list(row.apiErrors)), time.time(),
                    self.baseUrl) for row in rejected]
        sizes = [sum(map(len, row[1:4])) + len(row[5]) for row in encoded]
        left = room.makeForRejected(connection, self.maxBytes, sizes)
        connection.executemany(
            "INSERT INTO rejected (project_id, device_id, columns, body, "
            "status, errors, time, base_url, bytes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row + (size,) for row, size in zip(encoded, sizes)][left:])

    # -- reading ----------------------------------------------------------

    def oldest(self, projectId, last, skipped, maxValues, group=None):
        """Return the chunks of the next request.

        They are of one device and the same columns, in their order, the first
        of them the oldest of all; others' may lie between them. They hold at
        most `maxValues` values; the first is there in any case.

        Args:
            projectId (int): others stay for clients of theirs, and so do those
                meant for another backend.
            last (int): leave out what stands behind this place.
            skipped (collection of str): devices to leave out.
            maxValues (int): rows x columns.
            group (tuple or None): device id and columns: if some of these wait
                they come first, such as the rest of what was refused together.
        """
        def select(connection):
            owner, place = (projectId, self.baseUrl), spoolfile.inode(self.file)
            # taken out: after an interrupt amid it, it is begun anew
            looked, self._ahead = self._ahead, None
            found = []
            if looked is not None and looked.isStill(owner, place, skipped):
                found = looked.take(connection, last, skipped, maxValues,
                                    self._settled, group)
            if not found:  # what others have changed meanwhile, included
                looked = ahead.Ahead(owner, place, skipped)
                found = looked.take(connection, last, skipped, maxValues,
                                    self._settled, group)
            self._ahead = looked
            return found

        return self._readChunks([], select)

    def lastSeq(self):
        """Return the place of the last chunk in the queue, 0 for none."""
        def select(connection):
            last = spoolfile.surely(connection.execute(
                "SELECT seq FROM chunks ORDER BY seq DESC LIMIT 1").fetchone())
            # the whole row, for its checksum: half a page reads as place 0
            return spoolfile.surely(spoolfile.chunkAt(connection, last[0])).seq

        return self._readChunks(0, select)

    def count(self, projectId):
        """Return the rows that wait: (of this project and backend, of others).

        Those that are meant for no backend in particular are everyone's own.
        """
        owner = projectId, self.baseUrl

        def select(connection):
            own, every = connection.execute(spoolfile.forSchema(
                connection, "SELECT total(CASE WHEN " + ahead.OWN
                + " THEN rows END), total(rows) FROM chunks"), owner).fetchone()
            for id, left in list(self._settled.items()):
                found = connection.execute(spoolfile.forSchema(
                    connection, "SELECT rows, " + ahead.OWN
                    + " FROM chunks WHERE id = ?"), owner + (id,)).fetchone()
                if found is not None:
                    less = found[0] - (0 if left is None else left.rows)
                    every -= less
                    own -= less if found[1] else 0
            return int(own), int(every - own)

        return self._readChunks((0, 0), select)

    def rejectedRows(self, projectId, limit):
        """Return the last `limit` refused rows of a project, oldest first.

        Those that another backend refused are left out, if this one is known.

        Returns:
            list of tuple: (deviceId, row as a dict, status, API errors).
        """
        unsaved = [(row.deviceId, row.row, row.statusCode, row.apiErrors)
                   for row in self._refused if row.projectId == projectId]
        if not os.path.exists(self.file):
            return unsaved[-limit:]

        def select(connection):
            found = connection.execute(spoolfile.forSchema(
                connection, "SELECT device_id, body, status, errors FROM "
                "rejected WHERE project_id = ? AND (? IS NULL OR base_url IS "
                "NULL OR base_url = ?) ORDER BY seq DESC LIMIT ?"),
                (projectId, self.baseUrl, self.baseUrl, limit)).fetchall()
            try:
                return [(device, json.loads(body), status,
                         tuple(json.loads(errors)))
                        for device, body, status, errors in reversed(found)]
            except (TypeError, ValueError):
                raise spoolfile.malformed()

        return (self._read(select) + unsaved)[-limit:]

    # -- for the command line -----------------------------------------------

    def summary(self):
        """Return what waits, of everybody.

        Returns:
            list of tuple: (projectId, deviceId, chunks, rows, bytes, base URL
            or None).
        """
        if not os.path.exists(self.file):
            return []
        return self._read(lambda connection: connection.execute(
            spoolfile.forSchema(
                connection, "SELECT project_id, device_id, COUNT(*), SUM(rows),"
                " SUM(bytes), base_url FROM chunks GROUP BY 1, 2, 6 "
                "ORDER BY 1, 2, 6")).fetchall())

    def drop(self, projectId):
        """Delete what waits and what was refused of a project, for any backend.

        Returns:
            dict: base URL or None to the number of rows.
        """
        if not os.path.exists(self.file):
            return {}

        def delete(connection):
            dropped = {}
            for table, rows in (("chunks", "SUM(rows)"),
                                ("rejected", "COUNT(*)")):
                for url, count in connection.execute(
                        "SELECT base_url, {} FROM {} WHERE project_id = ? "
                        "GROUP BY 1".format(rows, table), (projectId,)):
                    dropped[url] = dropped.get(url, 0) + count
                connection.execute("DELETE FROM {} WHERE project_id = ?"
                                   .format(table), (projectId,))
            return dropped

        return self._write(delete)

    def foreign(self, projectId):
        """Return a project's rows that wait for other backends.

        Returns:
            dict: base URL to the number of rows.
        """
        found = {}
        for project, _, __, rows, ___, url in self.summary():
            if project == projectId and url not in (None, self.baseUrl):
                found[url] = found.get(url, 0) + rows
        return found

    def adopt(self, projectId):
        """Hand a project's rows that wait for other backends to this one.

        Returns:
            dict: base URL to the number of rows, as they were.
        """
        if not os.path.exists(self.file):
            return {}

        def change(connection):
            adopted = {}
            for seq, url in connection.execute(
                    "SELECT seq, base_url FROM chunks WHERE project_id = ? AND "
                    "base_url != ?", (projectId, self.baseUrl)).fetchall():
                chunk = spoolfile.surely(spoolfile.chunkAt(connection, seq))
                encoded = spoolfile.encoded(chunk, self.baseUrl)
                connection.execute(
                    "UPDATE chunks SET bytes = ?, crc = ?, base_url = ? "
                    "WHERE seq = ?", encoded[4:7] + (seq,))
                adopted[url] = adopted.get(url, 0) + chunk.rows
            return adopted

        return self._write(change)

    # -- the file ---------------------------------------------------------

    def isBusyHere(self):
        """Tell whether this thread is amid a transaction of this file.

        Then it is a signal handler or a finalizer that asks, and what it wants
        of the file is to be put off: it would wait for itself. True also for
        another Spool of the same folder.
        """
        return guard.depth(self._key) > 0

    def _write(self, work):
        """Run `work` in one durable transaction; the file is made if need be."""
        def run(connection):
            connection.execute("BEGIN IMMEDIATE")
            spoolfile.upgrade(connection)
            owed = self._writeOwed(connection)
            result = work(connection)
            connection.execute("COMMIT")
            return owed, result

        def transact():
            seen = spoolfile.looks(self.file)
            if seen is None or seen[2] == 0:  # none, or a thread is at it
                spoolfile.create(self.file)
            place = spoolfile.inode(self.file)
            try:
                owed, result = self._using(run)
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
        def run(connection):
            connection.execute("BEGIN")  # one state of the file for all of it
            return work(connection)

        return self._mending("read", lambda: self._using(run))

    def _readChunks(self, nothing, work):
        """As `_read`, or return `nothing`: mostly unread if no chunk waits."""
        seen = spoolfile.looks(self.file)
        if seen is None or seen[2] == 0:  # made, and then the disk was full
            return nothing
        if seen == self._emptyAt and not self._settled:
            return nothing
        # A change within the same tick of the clock would look the same.
        isSteady = abs(time.time() - seen[1]) > _STEADY_SECONDS

        def run(connection):
            # by the table's own order: an index may be damaged unseen
            isEmpty = connection.execute("SELECT seq FROM chunks ORDER BY seq "
                                         "LIMIT 1").fetchone() is None
            self._emptyAt = seen if isEmpty and isSteady else None
            return nothing if isEmpty else work(connection)

        return self._read(run)

    def _mending(self, verb, work):
        return guard.inside(self._key, lambda: self._mendingInside(verb, work))

    def _mendingInside(self, verb, work):
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
                    repair.mend(self.file, error, isSure=repairs > 0)
                    repairs += 1
            except EnvironmentError as error:
                raise SpoolError("the disk buffer {} cannot be {}: {}"
                                 .format(self.file, verb, error))

    def _using(self, work):
        def run(connection):
            spoolfile.prepare(connection, self.file)
            return work(connection)

        return spoolfile.using(self.file, self._patience(), run)

    def _patience(self):
        """Seconds to wait for others' transactions."""
        if guard.depth(self._key) > 1:
            return 0  # this thread's own, maybe, which would not end
        # another process may hold the file for longer than a call may take
        running = calls.current(None)
        if running is None:
            return spoolfile.BUSY_SECONDS
        return max(_LEAST_BUSY_SECONDS,
                   min(spoolfile.BUSY_SECONDS, running.left()))

    def sender(self, seconds):
        """Be the one sender of this file, waiting at most `seconds`.

        Returns:
            context manager: of a bool, whether it is. True also where the
            folder takes no lock: then there is no buffer to share either.
        """
        return filelock.locked(os.path.join(self.path, _LOCK_FILE), seconds,
                               self.path)
