"""What waits to be sent: rows in memory, chunks on disk, in their order.

The rows on disk are the older ones: whatever is in memory goes behind them
when it is committed. `delivery` asks for the next rows to send and says what
became of them; that they may have moved from memory to disk in between is
settled here. No HTTP in here.
"""
from __future__ import absolute_import

import collections
import sys
import threading

from iobeam.chunk import Chunk, dumps
from iobeam.endpoints import imports
from iobeam.errors import Error, SpoolError
from iobeam.resources import data
from iobeam.utils import utils

MAX_REMEMBERED = 10000  # refused rows that `rejected()` gives
DEFAULT_AUTO_FLUSH = 10000  # rows in memory that commit by themselves

RejectedRow = collections.namedtuple(
    "RejectedRow", "projectId deviceId row statusCode apiErrors")


class Outbox(object):
    """The pending rows of one client.

    Args:
        projectId (int): whose rows these are.
        stores (list of DataStore): the tracked ones; the client's own list.
        buffer (Spool or None): where rows are committed to.
        autoFlush (int or None): rows in memory that are committed unasked.
    """

    def __init__(self, projectId, stores, buffer=None, autoFlush=None):
        self.projectId = projectId
        self.stores = stores
        self.buffer = buffer
        self.autoFlush = autoFlush if buffer is not None else None
        self.deviceId = None
        self.valuesPerChunk = imports.ImportService._BATCH_SIZE
        self.offset = lambda: 0  # ms between the local clock and the server's
        self.onFork = lambda: None
        self.onFull = lambda: None
        self.remembered = collections.deque(maxlen=MAX_REMEMBERED)
        self.accepted = self.rejected = self.dropped = 0
        self._doubts = {}  # (device, columns) to rows at its front
        self.committed = 0  # rows that went from memory to disk
        self._fullAt = self.autoFlush  # rows in memory at which to commit
        self._points = 0  # that the client holds, and counts as rows in memory
        self._addedBefore = 0  # rows added to stores that are tracked no more
        self._lock = threading.RLock()
        self._last = None  # end of what the running send takes from the disk
        self._flying = None
        self._spoolFailed = False
        self.unread = None  # why the running send cannot read the buffer

    # -- stores -----------------------------------------------------------

    def track(self, store):
        """Take a store in.

        Raises:
            ValueError: another open client tracks it.
        """
        with self._lock:
            tracker = store._tracker
            if tracker is self:
                return
            if tracker is not None and tracker.isOpen():
                raise ValueError(
                    "the store is tracked by another client: close that one "
                    "first, or make a new store ({!r})".format(store))
            store._tracker = self
            if self.deviceId is not None:
                store._setDevice(self.deviceId)
            self.stores.append(store)
            self._setHighWater()

    def isOpen(self):
        """Tell whether stores belong to it still."""
        return self.stores is not None

    def close(self):
        """Let the stores go."""
        with self._lock:
            self._addedBefore = self.added()
            for store in self.stores or ():
                store._highWater = sys.maxsize
                store._tracker = None
            self.stores = None

    def setDevice(self, deviceId):
        """Give rows that are added from now on to a device."""
        with self._lock:
            self.deviceId = deviceId
            for store in self.stores or ():
                store._setDevice(deviceId)
            self._setHighWater()

    def clockOffset(self):
        """Return what a store adds to "now", in ms."""
        return self.offset()

    def checkFork(self):
        """Let the client see whether this is a forked child."""
        self.onFork()

    def forget(self):
        """Drop everything in memory: in a forked child it is the parent's.

        Returns:
            int: the rows that were dropped.
        """
        self._lock = threading.RLock()
        self._flying = self._last = None
        self._points = 0
        if self.buffer is not None:
            self.buffer.forget()
        self._doubts = {}
        lost = 0
        for store in self.stores or ():
            store._lock = threading.Lock()
            lost += store._rowCount()
            store.clear()
        self._addedBefore -= lost  # so that what was added adds up here too
        return lost

    def pause(self):
        """Let no other thread touch rows or the buffer until `resume`."""
        self._lock.acquire()

    def resume(self):
        """End a `pause`; by the same thread."""
        self._lock.release()

    def setPoints(self, count):
        """Take note of points that the client holds beside the stores."""
        self._points = count
        if self.autoFlush is not None and self.deviceId is not None:
            self._commitIfFull()

    def storeGrew(self, store):
        """Commit if the stores together hold `autoFlush` rows."""
        if self.autoFlush is None or self.deviceId is None:
            # without a device nothing can be committed; the first one set
            # looks at the stores again
            store._highWater = sys.maxsize
            return
        self._commitIfFull()

    def _commitIfFull(self):
        if self.rowsInMemory() + self._points >= self._fullAt:
            if self._points:
                self.onFull()
            self.commitOrWarn()
            if self._spoolFailed:  # not with every row while the disk is full
                self._fullAt = self.rowsInMemory() + self.autoFlush
        with self._lock:
            self._setHighWater()

    def _setHighWater(self):
        """Spread what is left up to `autoFlush` over the stores."""
        if self.autoFlush is None or self.stores is None:
            return
        room = self._fullAt - self.rowsInMemory() - self._points
        share = max(1, room // max(1, len(self.stores)))
        for store in self.stores:
            store._highWater = len(store._cells) + share * (
                len(store._columns) + 1)

    # -- counting ---------------------------------------------------------

    def rowsInMemory(self):
        """Return the rows that the stores hold."""
        with self._lock:
            return sum(store._rowCount() for store in self.stores or ())

    def rowsOnDisk(self):
        """Return the rows in the buffer: (of this project, of others)."""
        with self._lock:
            if self.buffer is None:
                return 0, 0
            try:
                return self.buffer.count(self.projectId)
            except SpoolError as error:
                self._warn(error)
                return 0, 0

    def pending(self):
        """Return the rows that wait, in memory and on disk."""
        with self._lock:
            return self.rowsInMemory() + self.rowsOnDisk()[0]

    def added(self):
        """Return the rows ever added to the tracked stores."""
        with self._lock:
            return self._addedBefore + sum(
                store._addedRows() for store in self.stores or ())

    # -- committing -------------------------------------------------------

    def commit(self):
        """Write everything in memory to the disk buffer.

        Raises:
            SpoolError: the disk does not take it; it stays in memory.
        """
        with self._lock:
            # first what a running send took over, then what came later: that
            # goes with the next send
            last = self._commitHeld()
            if self._last is not None and last:
                self._last = last
            for store in self.stores or ():
                store._hold()
            self._commitHeld()
            if self.buffer is not None:
                self.buffer.writeOwed()
            self._spoolFailed = False
            self._fullAt = self.autoFlush
            self._setHighWater()

    def commitOrWarn(self):
        """Commit, if there is a buffer; say so if the disk does not take it."""
        if self.buffer is None:
            return
        try:
            self.commit()
        except SpoolError as error:
            self._warn(error)

    def _warn(self, error):
        if not self._spoolFailed:
            self._spoolFailed = True  # said once until it works again
            utils.getLogger().warning("%s; rows are kept in memory", error)

    def _commitHeld(self):
        """Move `_held` of every store to disk; the last place in the queue."""
        held = [(store, list(store._held)) for store in self.stores or ()]
        chunks, flying = [], []
        for _, parts in held:
            for rows in parts:
                if rows.deviceId is None:
                    raise noDevice()
                table = rows.table()
                # the rows that are on their way make a chunk of their own
                start = 0
                if (self._flying is not None and self._flying.rows is rows
                        and not self._flying.chunks):
                    start = self._flying.count
                    flying = [self._chunk(rows, table[:start])]
                    chunks.extend(flying)
                count = imports.rowsPerRequest(self.valuesPerChunk,
                                               rows.columns)
                chunks.extend(self._chunk(rows, table[i:i + count])
                              for i in range(start, len(table), count))
        if not chunks:
            return 0
        protected = [chunk.id for chunk in flying]
        if self._flying is not None:
            protected += [chunk.id for chunk in self._flying.chunks]
        last, dropped = self.buffer.append(chunks, protected)
        self.dropped += dropped
        self.committed += sum(chunk.rows for chunk in chunks)
        if flying:
            self._flying.moveToDisk(flying)
        for store, parts in held:
            with store._lock:
                for rows in parts:
                    if store._held and store._held[0] is rows:
                        store._held.popleft()
        return last

    def _chunk(self, rows, table):
        return Chunk.ofTable(self.projectId, rows.deviceId, rows.columns,
                             table)

    # -- sending ----------------------------------------------------------

    def begin(self):
        """Start a send: fix what it takes, and return the number of rows."""
        with self._lock:
            for store in self.stores or ():
                store._hold()
            self._last = sys.maxsize
            self.unread = None
            if self.buffer is not None:
                try:
                    self.buffer.writeOwed()
                    self._last = self.buffer.lastSeq()
                except SpoolError as error:
                    self.unread = error
                    self._warn(error)
            return self.pending()

    def end(self):
        """End a send."""
        with self._lock:
            self._flying = None
            self._last = None

    def next(self, maxValues, maxRows, skipped):
        """Return the next rows to send as a `Parcel`, or None.

        Args:
            maxValues (int): rows x columns of one request.
            maxRows (int or None): a smaller number of rows.
            skipped (collection of str): devices to leave out.
        """
        with self._lock:
            self._flying = (self._nextOnDisk(maxValues, maxRows, skipped)
                            or self._nextInMemory(maxValues, maxRows, skipped))
            return self._flying

    def _nextOnDisk(self, maxValues, maxRows, skipped):
        if self.buffer is None or self.unread is not None:
            return None
        try:
            chunks = self.buffer.oldest(self.projectId, self._last, skipped,
                                        maxValues)
        except SpoolError as error:
            self.unread = error
            self._warn(error)
            return None
        if not chunks:
            return None
        limit = imports.rowsPerRequest(maxValues, chunks[0].columns)
        if maxRows is not None or chunks[0].rows > limit:
            chunks = chunks[:1]
            limit = min(limit, maxRows or limit)
        return Parcel(self, chunks[0].deviceId, chunks[0].columns,
                      min(sum(chunk.rows for chunk in chunks), limit)
                      if len(chunks) == 1
                      else sum(chunk.rows for chunk in chunks), chunks=chunks)

    def _nextInMemory(self, maxValues, maxRows, skipped):
        for store in self.stores or ():
            for rows in list(store._held):
                if rows.deviceId is None:
                    raise noDevice()
                if rows.deviceId not in skipped:
                    count = imports.rowsPerRequest(maxValues, rows.columns)
                    count = min(count, len(rows), maxRows or count)
                    return Parcel(self, rows.deviceId, rows.columns, count,
                                  store=store, rows=rows)
        return None

    def settle(self, parcel, accepted, rejected=(), rejectedAt=None):
        """Take rows out that the backend has decided on.

        Args:
            parcel (Parcel): the one that `next` returned last.
            accepted (bool): all of it was accepted.
            rejected (list of RejectedRow): refused ones: all of the parcel,
                or the one at `rejectedAt`.
        """
        with self._lock:
            if self._flying is parcel:
                self._flying = None
            gone = len(rejected) if rejected else parcel.count
            if accepted:
                self.accepted += gone
            self.rejected += len(rejected)
            self.remembered.extend(rejected)
            self._lessDoubt(parcel, gone)
            start = rejectedAt or 0
            if parcel.chunks:
                self._settleOnDisk(parcel, start, gone, rejected)
                return
            with parcel.store._lock:
                parcel.rows.drop(start, gone)
                if not parcel.rows.cells and parcel.rows in parcel.store._held:
                    parcel.store._held.remove(parcel.rows)
            if rejected and self.buffer is not None:
                self.buffer.settle([], None, rejected)

    def _settleOnDisk(self, parcel, start, gone, rejected):
        chunk = parcel.chunks[-1]
        gone -= sum(other.rows for other in parcel.chunks[:-1])
        left = None
        if gone < chunk.rows:
            table = chunk.table()
            del table[start:start + gone]
            left = Chunk(chunk.projectId, chunk.deviceId, chunk.columns,
                         len(table), dumps(table), chunk.id, chunk.seq)
        self.buffer.settle(parcel.chunks, left, rejected)

    def noteDoubt(self, parcel):
        """Note that rows may have arrived, though no answer says so."""
        with self._lock:
            key = (parcel.deviceId, tuple(parcel.columns))
            self._doubts[key] = max(self._doubts.get(key, 0), parcel.count)

    def _lessDoubt(self, parcel, count):
        key = (parcel.deviceId, tuple(parcel.columns))
        if self._doubts.get(key, 0) > count:
            self._doubts[key] -= count
        else:
            self._doubts.pop(key, None)

    @property
    def inDoubt(self):
        """Rows that wait and may have arrived already."""
        with self._lock:
            return min(self.pending(), sum(self._doubts.values()))

    def putBack(self, parcel):
        """Leave a parcel undecided: it is the next one again."""
        with self._lock:
            if self._flying is parcel:
                self._flying = None


class Parcel(object):
    """The rows of one request.

    Attributes:
        deviceId (str), columns (tuple of str), count (int): its rows.
        chunks (list of Chunk): where they are on disk, or
        store (DataStore), rows (Rows): where they are in memory: the first
            `count` ones.
    """

    def __init__(self, outbox, deviceId, columns, count, chunks=(), store=None,
                 rows=None):
        self.deviceId = deviceId
        self.columns = columns
        self.count = count
        self.chunks = list(chunks)
        self.store = store
        self.rows = rows
        self._projectId = outbox.projectId
        self._table = None

    def moveToDisk(self, chunks):
        """Note that its rows have been committed meanwhile.

        `rows` stays: the sending thread may be reading from it.
        """
        self.chunks = chunks

    def table(self):
        """Return its rows, each ``[time, v1, ..]``."""
        if self._table is None:
            if self.chunks:
                self._table = [row for chunk in self.chunks
                               for row in chunk.table()][:self.count]
            else:
                self._table = self.rows.table(self.count)
        return self._table

    def payload(self):
        """Return the body of its request: a dict, or serialised already."""
        if self.chunks and self.count == sum(c.rows for c in self.chunks):
            return _Joined(self._projectId, self)
        return imports.tableBody(self._projectId, self.deviceId, self.columns,
                                 self.table())

    def rowsAsDicts(self):
        """Return its rows as `DataStore.rows` gives them."""
        return [data.asDict(self.columns, row) for row in self.table()]


class _Joined(object):
    """A body out of chunks that are serialised already."""

    def __init__(self, projectId, parcel):
        self._projectId = projectId
        self._parcel = parcel
        self._texts = [chunk.body for chunk in parcel.chunks]

    def asDict(self):
        parcel = self._parcel
        return imports.tableBody(self._projectId, parcel.deviceId,
                                 parcel.columns, parcel.table())

    def asText(self):
        parcel = self._parcel
        return imports.tableText(self._projectId, parcel.deviceId,
                                 parcel.columns, self._texts)


def noDevice():
    """Make the error of a client without a device; the caller raises it."""
    return Error(
        "no device id is set: build the client with registerDevice(), "
        "registerOrSetId(id) or setDeviceId(id)")
