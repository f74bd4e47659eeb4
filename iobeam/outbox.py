"""What waits to be sent: rows in memory, chunks on disk, in their order.

The rows on disk are the older ones: whatever is in memory goes behind them
when it is committed. `delivery` asks for the next rows to send and says what
became of them; that they may have moved from memory to disk in between is
settled here. No HTTP in here.

Who changes anything is inside of `gate` (the rule: `iobeam.utils.gate`). A
change of several steps is first written down as a whole, in one step, and its
steps can be repeated: what an exception has cut short, `_recover` finishes.
"""
from __future__ import absolute_import

import collections
import sys

from iobeam import loose
from iobeam.endpoints import imports
from iobeam.errors import Error, SpoolError
from iobeam.intents import Commit, Decision
from iobeam.parcel import Parcel
from iobeam.resources import rows as rowqueue
from iobeam.utils import gate as gates
from iobeam.utils import utils

MAX_REMEMBERED = 10000  # refused rows that `rejected()` gives
DEFAULT_AUTO_FLUSH = 10000  # rows in memory that commit by themselves

RejectedRow = collections.namedtuple(
    "RejectedRow", "projectId deviceId row statusCode apiErrors")


class Outbox(object):
    """The pending rows of one client.

    Args:
        projectId (int): whose rows these are.
        clock (Clock): what rows without a timestamp get.
        onFork (callable): lets the client see whether this is a forked child.
        buffer (Spool or None): where rows are committed to.
        autoFlush (int or None): rows in memory that are committed unasked.

    Attributes:
        stores (list of DataStore, or None once closed): the tracked ones.
        loose (LoosePoints): what was added by name.
        deviceId (str or None): whose rows from now on are.
    """

    def __init__(self, projectId, clock, onFork, buffer=None,
                 autoFlush=None):
        self.projectId = projectId
        self.stores = []
        self.loose = loose.LoosePoints()
        self.buffer = buffer
        self.autoFlush = autoFlush if buffer is not None else None
        self.deviceId = None
        self.valuesPerChunk = imports.ImportService._BATCH_SIZE
        self.clock = clock
        self.checkFork = onFork
        self.gate = gates.Gate()
        self._remembered = collections.deque(maxlen=MAX_REMEMBERED)
        self.accepted = self.rejected = self.dropped = 0
        self.unread = None  # why the running send cannot read the buffer
        self._doubts = {}  # (device, columns) to rows at its front
        self._fullAt = self.autoFlush  # rows in memory at which to commit
        self._addedBefore = 0  # rows added to stores that are tracked no more
        self._spoolFailed = False
        self._onDisk = (0, 0)  # as last counted
        self._flying = None  # the parcel under way
        self._group = None  # device and columns of the last one
        self._taken = None  # (queue, last row) of what the running send takes
        self._last = None  # the same of the disk: a place in the buffer
        self._decided = None  # a decision that is being carried out
        self._plan = None  # a commit that is being carried out

    # -- stores -----------------------------------------------------------

    def track(self, store):
        """Take a store in.

        Raises:
            ValueError: another open client tracks it.
        """
        with self.gate:
            tracker = store.queue.tracker
            if tracker is self:
                return
            if tracker is not None and tracker.isOpen():
                raise ValueError(
                    "the store is tracked by another client: close that one "
                    "first, or make a new store ({!r})".format(store))
            if store not in self.stores:
                self.stores.append(store)
            with store.queue.gate():
                store.queue.tracker = self
            self._setHighWater()

    def takeIn(self):
        """Track what somebody has put into `stores` directly."""
        found = [store for store in self.stores or ()
                 if store.queue.tracker is not self]
        if found:
            with self.gate:
                stores = self.stores  # None: closed amid this
                for store in found if stores is not None else ():
                    stores.remove(store)  # it may be another client's
                    self.track(store)

    def isOpen(self):
        """Tell whether stores belong to it still."""
        return self.stores is not None

    def close(self):
        """Let the stores go."""
        with self.gate as entered:
            if not entered:
                gates.later(self.close)
                return
            stores = self.stores or ()
            for store in stores:
                if self.deviceId is not None:
                    store.queue.seal(self.deviceId)  # whoever tracks it next
                store.queue.highWater = sys.maxsize
            self._addedBefore += sum(store.queue.added() for store in stores)
            self.stores = None
            for store in stores:
                store.queue.tracker = None

    def setDevice(self, deviceId):
        """Give rows that are added from now on to a device.

        The first one takes those from before there was any.
        """
        with self.gate as entered:
            if not entered:
                gates.later(lambda: self.setDevice(deviceId))
                return
            if self.deviceId not in (None, deviceId):
                self._seal()
            isFirst, self.deviceId = self.deviceId is None, deviceId
            if isFirst:
                self._setHighWater()

    def now(self):
        """Return the time of a row that has none, in microseconds."""
        return self.clock.now()

    def settleTimes(self):
        """Put right what was "now" before the server's time was known."""
        if self.clock.owesTimes():
            with self.gate as entered:
                if entered:
                    for queue in self._queues():
                        queue.mendTimes(self.clock.settled)

    def forget(self):
        """Drop everything in memory: in a forked child it is the parent's.

        Returns:
            int: the rows that were dropped.
        """
        self.gate = gates.Gate()
        self._flying = self._taken = self._last = None
        self._decided = self._plan = None
        if self.buffer is not None:
            self.buffer.forget()
        self._doubts = {}
        lost = self.rowsInMemory()
        added = self.added() - lost  # so that it adds up here too
        for queue in self._queues():
            queue.newGate()
            queue.clear()
        self.loose.forget()
        self._addedBefore += added - self.added()
        return lost

    def _queues(self):
        found = [store.queue for store in self.stores or ()]
        more = self.loose.queues()
        return found + more if more else found

    def _seal(self):
        """Cut all rows in memory into blocks; inside of the gate."""
        self.loose.seal(self.deviceId)
        isMerging = self._taken is None  # a running send knows its blocks
        for queue in self._queues():
            queue.seal(self.deviceId)
            if isMerging:
                queue.merge(self.deviceId)
            queue.pack()

    # -- adding ---------------------------------------------------------------

    def addPoints(self, name, points):
        """Add points (list of DataPoint) to a series."""
        self.loose.add(name, points)
        with self.gate as entered:
            if entered:
                self.loose.series()  # so that they are few to count
        if self.autoFlush is not None and self.deviceId is not None:
            self._commitIfFull()

    def clearPoints(self, name):
        """Drop the points of a series that wait in memory."""
        with self.gate as entered:
            if entered:
                self.loose.clear(name)
            else:
                gates.later(lambda: self.clearPoints(name))

    def series(self):
        """Return the points by series, as `LoosePoints.series` does."""
        with self.gate:
            return self.loose.series()

    def replacePoints(self, series):
        """Take {series name: points} in place of those so far."""
        with self.gate:
            self.loose.replace(series)

    def takePoints(self):
        """Return the points as new stores, one a series; none are left."""
        with self.gate:
            return self.loose.take()

    def addPacked(self, queue, cells):
        """Add rows of the device to a store, as `flat.ofDoubles` makes them.

        Returns:
            bool: False where this is amid another call of the thread.
        """
        with self.gate as entered:
            if entered:
                queue.extendPacked(cells, self.deviceId)
        if entered:
            self._commitIfFull()
        return entered

    def grew(self, queue):
        """Commit if there are `autoFlush` rows in memory; pack old ones."""
        if self.deviceId is None:
            # without a device nothing can be cut into blocks; the first one
            # set looks at the queues again
            queue.highWater = sys.maxsize
            return
        with self.gate as entered:
            if entered and len(queue.cells) >= rowqueue.UNPACKED_CELLS:
                queue.seal(self.deviceId)
                queue.pack()
        self._commitIfFull()

    def _commitIfFull(self):
        if self._fullAt is not None and self.rowsInMemory() >= self._fullAt:
            self.commitOrWarn()
            if self._spoolFailed:  # not with every row while the disk is full
                self._fullAt = self.rowsInMemory() + self.autoFlush
        with self.gate as entered:
            if entered:
                self._setHighWater()

    def _setHighWater(self):
        """Spread what is left up to `autoFlush` over the stores.

        Each also tells when many of its rows wait that are not packed.
        """
        if self.deviceId is None or self.stores is None:
            return
        share = sys.maxsize
        if self.autoFlush is not None:
            room = self._fullAt - self._rowsInMemory()
            share = max(1, room // max(1, len(self.stores)))
        for store in self.stores:
            queue = store.queue
            queue.highWater = min(
                len(queue.cells) + share * (len(queue.columns) + 1),
                rowqueue.UNPACKED_CELLS)

    # -- counting ---------------------------------------------------------

    # Those with an underscore are for who is inside of the gate already, or
    # amid a call that is: what they read is whole at every instant.

    def rowsInMemory(self):
        """Return the rows that wait in memory, points included."""
        with self.gate:
            return self._rowsInMemory()

    def _rowsInMemory(self):
        return sum(map(len, self._queues())) + len(self.loose)

    def _rowsOnDisk(self):
        if self.buffer is None:
            return 0, 0
        try:
            if not self.buffer.isBusyHere():  # amid a commit: as before it
                self._onDisk = self.buffer.count(self.projectId)
            return self._onDisk
        except SpoolError as error:
            self._warn(error)
            return 0, 0

    def pending(self):
        """Return the rows that wait, in memory and on disk."""
        with self.gate as entered:
            if entered:
                self._recover()
            return self._pending()

    def _pending(self):
        plan = self._plan
        if plan is not None:  # amid a commit its rows may lie in two places
            return plan.pending(self._queues(), len(self.loose))
        return self._rowsInMemory() + self._rowsOnDisk()[0]

    def added(self):
        """Return the rows ever added to the tracked stores, and points."""
        with self.gate:
            return self._addedBefore + len(self.loose) + sum(
                queue.added() for queue in self._queues())

    def rejectedRows(self):
        """Return the last refused rows, with a buffer those of earlier runs."""
        if self.buffer is not None:
            try:
                return [RejectedRow(self.projectId, *found) for found in
                        self.buffer.rejectedRows(self.projectId,
                                                 MAX_REMEMBERED)]
            except SpoolError as error:
                utils.getLogger().warning("%s", error)
        return list(self._remembered)

    # -- committing -------------------------------------------------------

    def commit(self):
        """Write everything in memory to the disk buffer.

        Amid another call of this thread it is done when that ends.

        Raises:
            SpoolError: the disk does not take it; it stays in memory.
            Error: there is no device.
        """
        with self.gate as entered:
            if not entered or self.buffer.isBusyHere():
                gates.later(self.commitOrWarn)
                return
            self._recover()
            if self.deviceId is None and self._rowsInMemory():
                raise noDevice()
            self._seal()
            if self._taken is not None:
                # first what a running send took over, then what came later:
                # that goes with the next send
                self._last = self._move(dict(self._taken)) or self._last
            self._move(None)
            self.buffer.writeOwed()
            self._spoolFailed = False
            self._fullAt = self.autoFlush
            self._setHighWater()

    def canCommit(self):
        """Tell whether there is a place for rows on disk."""
        return self.buffer is not None and self.deviceId is not None

    def keep(self, warn):
        """Commit for the last time, or say how many rows go with the memory.

        Args:
            warn (callable): takes a message and its arguments, as logging.

        Raises:
            SpoolError: the disk does not take them.
        """
        if self.canCommit():
            self.commit()
        elif self.rowsInMemory():
            warn("%d rows were not sent; call send(), or build the client with "
                 "bufferToDisk() to keep them", self.rowsInMemory())

    def commitOrWarn(self):
        """Commit, if that is possible; say so if the disk does not take it."""
        if not self.canCommit():
            return
        try:
            self.commit()
        except SpoolError as error:
            self._warn(error)

    def _warn(self, error):
        if not self._spoolFailed:
            self._spoolFailed = True  # said once until it works again
            utils.getLogger().warning("%s; rows are kept in memory", error)

    def _move(self, taken):
        """Move blocks to disk, all or those up to `taken`.

        Args:
            taken (dict or None): queue to the number of its last row.

        Returns:
            int: the last place in the buffer, 0 if nothing was moved.
        """
        blocks = [(queue, rows) for queue in self._queues()
                  for rows in queue.blocks()
                  if taken is None or rows.number <= taken.get(queue, 0)]
        plan = Commit(self, blocks, self._flying, self._onDisk[0])
        if not plan.chunks:
            return 0
        self._plan = plan
        return self._carryOutPlan()

    def _carryOutPlan(self, isRepeated=False):
        plan = self._plan
        try:
            last, dropped = self.buffer.append(plan.chunks, plan.protected)
        except SpoolError:
            if isRepeated:  # the first try may have stored them
                self.buffer.disown(plan.chunks)
            self._plan = None
            raise
        self.dropped += dropped
        if plan.flying:
            plan.parcel.moveToDisk(plan.flying)
        for queue, rows in plan.blocks:
            queue.remove(rows)
        self._onDisk = (self._onDisk[0] + sum(chunk.rows for chunk
                                              in plan.chunks),
                        self._onDisk[1])
        self._plan = None
        return last

    def _recover(self):
        """Finish what an exception has cut short; inside of the gate."""
        if self._decided is not None:
            self._carryOut()
        if self._plan is not None:
            try:
                self._carryOutPlan(isRepeated=True)
            except SpoolError as error:
                self._warn(error)

    # -- sending ----------------------------------------------------------

    def begin(self):
        """Start a send: fix what it takes."""
        with self.gate:
            self._recover()
            self._flying = self._taken = None
            self._seal()
            self._taken = [(queue, queue.added())
                           for queue in self._queues()]
            self._last = sys.maxsize
            self.unread = None
            if self.buffer is not None:
                try:
                    self.buffer.writeOwed()
                    self._last = self.buffer.lastSeq()
                except SpoolError as error:
                    self.unread = error
                    self._warn(error)

    def end(self):
        """End a send, if `next` has not done so."""
        if self._taken is not None:
            with self.gate:
                self._flying = self._taken = self._last = None

    def next(self, maxValues, maxRows, skipped):
        """Return the next rows to send as a `Parcel`, or None: that was all.

        Args:
            maxValues (int): rows x columns of one request.
            maxRows (int or None): a smaller number of rows.
            skipped (collection of str): devices to leave out.
        """
        with self.gate:
            self._recover()
            if self._taken is None:
                return None
            self._flying = (self._nextOnDisk(maxValues, maxRows, skipped)
                            or self._nextInMemory(maxValues, maxRows, skipped))
            if self._flying is None:
                self._taken = self._last = None
            else:
                self._group = self._flying.deviceId, self._flying.columns
            return self._flying

    def _nextOnDisk(self, maxValues, maxRows, skipped):
        if self.buffer is None or self.unread is not None:
            return None
        try:
            # a smaller number: the rest of what was refused comes first
            chunks = self.buffer.oldest(
                self.projectId, self._last, skipped, maxValues,
                None if maxRows is None else self._group)
        except SpoolError as error:
            self.unread = error
            self._warn(error)
            return None
        if not chunks:
            return None
        count = sum(chunk.rows for chunk in chunks)
        limit = imports.rowsPerRequest(maxValues, chunks[0].columns)
        if maxRows is not None or chunks[0].rows > limit:
            chunks = chunks[:1]
            count = min(chunks[0].rows, limit, maxRows or limit)
        return Parcel(self.projectId, chunks[0].deviceId, chunks[0].columns,
                      count, chunks=chunks)

    def _nextInMemory(self, maxValues, maxRows, skipped):
        for queue, last in self._taken:
            count = imports.rowsPerRequest(maxValues, queue.columns)
            pieces = queue.first(min(count, maxRows or count), skipped, last,
                                 None if maxRows is None else self._group[0])
            if pieces:
                return Parcel(self.projectId, pieces[0][0].deviceId,
                              queue.columns,
                              sum(length for _, length in pieces),
                              queue=queue, pieces=pieces)
        return None

    def settle(self, parcel, accepted, rejected=(), rejectedAt=None):
        """Take rows out that the backend has decided on.

        Args:
            parcel (Parcel): the one that `next` returned last.
            accepted (bool): all of it was accepted.
            rejected (list of RejectedRow): refused ones: all of the parcel,
                or the one at `rejectedAt`.
        """
        with self.gate:
            self._recover()
            self._decided = Decision(self, parcel, accepted, list(rejected),
                                      rejectedAt or 0)
            self._carryOut()
            if self.buffer is not None:
                self.buffer.writeOwed()

    def _carryOut(self):
        """Carry a decision out; every step may be done twice."""
        decided, parcel = self._decided, self._decided.parcel
        for rows, first, behind, left in decided.cuts:
            rows.cut(first, behind, left)
        for rows, _ in parcel.pieces:
            if not len(rows):
                parcel.queue.remove(rows)
        if self.buffer is not None:
            self.buffer.owe(decided.chunks, decided.left, decided.rejectedRows)
        if decided.rejectedRows and not (
                self._remembered
                and self._remembered[-1] is decided.rejectedRows[-1]):
            self._remembered.extend(decided.rejectedRows)
        self.accepted, self.rejected = decided.accepted, decided.rejected
        self._doubts = decided.doubts
        self._flying = None
        self._decided = None

    def noteDoubt(self, parcel):
        """Note that rows may have arrived, though no answer says so."""
        with self.gate:
            key = (parcel.deviceId, tuple(parcel.columns))
            self._doubts[key] = max(self._doubts.get(key, 0), parcel.count)

    def lessDoubt(self, parcel, count):
        """Return the doubts without `count` rows of a parcel, as a new dict."""
        if not self._doubts:
            return {}
        key = (parcel.deviceId, tuple(parcel.columns))
        doubts = dict(self._doubts)
        if doubts.get(key, 0) > count:
            doubts[key] -= count
        else:
            doubts.pop(key, None)
        return doubts

    @property
    def inDoubt(self):
        """Rows that wait and may have arrived already."""
        with self.gate:
            return min(self._pending(), sum(self._doubts.values()))

    def putBack(self, parcel):
        """Leave a parcel undecided: it is the next one again."""
        with self.gate:
            if self._flying is parcel:
                self._flying = None


def noDevice():
    """Make the error of a client without a device; the caller raises it."""
    return Error(
        "no device id is set: build the client with registerDevice(), "
        "registerOrSetId(id) or setDeviceId(id)")
