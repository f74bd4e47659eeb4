"""Rows of one store that wait in memory: a queue that signals may come into."""
from __future__ import absolute_import

import sys

from iobeam.resources import flat
from iobeam.utils import gate

# A block holds what one largest request takes: it leaves as a whole, and
# taking the first rows off never moves a long list.
_BLOCK_VALUES = 20000
# The newest rows, which may be sent in a moment. Those before them, as in an
# outage, are packed.
UNPACKED_CELLS = 100000


class Rows(object):
    """Consecutive rows of one store that belong to one device.

    Attributes:
        deviceId (str): whose they are.
        columns (tuple of str): without the time.
        start, number (int): how many rows had come before its first one, and
            up to its last one.
        source (object or None): what they were made of, while that lies about.

    Its cells lie flat (see `flat`), packed or not. Who reads while another
    thread packs or cuts sees them as they were before, or after.
    """

    __slots__ = ("deviceId", "columns", "start", "number", "source", "_held",
                 "_count")

    def __init__(self, deviceId, columns, cells, start=0, number=0,
                 source=None):
        self.deviceId = deviceId
        self.columns = columns
        self.start = start
        self.number = number
        self.source = source
        self._held = cells
        # rows of what is packed
        self._count = len(cells) // (len(columns) + 1)

    def __len__(self):
        held = self._held
        return (len(held) // (len(self.columns) + 1) if type(held) is list
                else self._count)

    @property
    def isPacked(self):
        """Whether its cells are packed."""
        return type(self._held) is not list

    def cells(self):
        """Return its cells, a list.

        It may be its own: not to be changed.
        """
        return flat.unpacked(self._held, len(self.columns) + 1)

    def readable(self, count=None):
        """Return the cells of the first `count` rows (None: all).

        They are a list or packed, as `flat.rows` and `flat.text` take them,
        and not to be changed.
        """
        width = len(self.columns) + 1
        cells = flat.readable(self._held)
        if count is None or count >= flat.count(cells, width):
            return cells
        return flat.unpacked(cells, width)[:count * width]

    def table(self, count=None):
        """Return the first `count` rows (None: all) as ``[time, v1, ..]``."""
        return flat.rows(self.readable(count), len(self.columns) + 1)

    # -- changing, inside of the gate ------------------------------------------

    def pack(self, isPlain):
        """Take less memory, if its values allow that.

        Args:
            isPlain (bool): as for `flat.text`.
        """
        held = self._held
        if type(held) is list:
            self._count = len(held) // (len(self.columns) + 1)
            self._held = flat.packed(held, len(self.columns) + 1, isPlain)

    def unpack(self):
        """Undo `pack`, for one of whose rows only some are wanted."""
        self._held = flat.unpacked(self._held, len(self.columns) + 1)

    def cut(self, first, behind, left):
        """Take rows out, unless that has been done.

        Args:
            first, behind (int): from which to before which, counted from 0.
            left (int): how many rows are there afterwards.
        """
        if len(self) > left:
            width = len(self.columns) + 1
            cells = flat.unpacked(self._held, width) if left else []
            # a new list: a request may be made of the old one
            self._held = cells[:first * width] + cells[behind * width:]

    def mendTimes(self, mend):
        """Put `mend(time)` in the place of each row's time."""
        if not self.isPacked:  # what is packed owes none
            _mendTimes(self._held, len(self.columns) + 1, mend)


def _mendTimes(cells, width, mend):
    for place in range(0, len(cells), width):
        cells[place] = mend(cells[place])


class RowQueue(object):
    """The rows of one store, from `add` until the backend or the disk has them.

    New rows lie flat in `cells`, one list for good, and come by one `extend`,
    which is atomic: that needs no gate. All else is for one call at a time,
    inside of `gate()`. Older rows lie in blocks, by device: rows of one device
    leave in their order, but may overtake those of others, so that a relay
    whose devices' readings come mixed sends full requests.

    A block is cut by one assignment that puts it in the place of its cells,
    and taken from there to its lane by adding it there first: at every
    instant a row is in one place, or twice in the same block.

    Attributes:
        columns (tuple of str): without the time.
        cells (list): what `add` extends; blocks in front, for an instant.
        highWater (int): length of `cells` at which the tracker is told.
        isPlain (bool): all rows that have ever come are plain ones (see
            `flat.text`). Whoever adds another one says so first.
        tracker (Outbox or None): of the open client that sends the rows.
    """

    __slots__ = ("columns", "cells", "highWater", "isPlain", "tracker",
                 "_width", "_lanes", "_sealed", "_gate")

    def __init__(self, columns):
        self.columns = columns
        self.cells = []
        self.highWater = sys.maxsize
        self.isPlain = False
        self.tracker = None
        self._width = len(columns) + 1
        self._lanes = {}  # device to its blocks
        self._sealed = 0  # rows that have ever been cut into blocks
        self._gate = gate.Gate()

    def gate(self):
        """Return what lets one call in at a time."""
        tracker = self.tracker
        return self._gate if tracker is None else tracker.gate

    def newGate(self):
        """Forget who was inside: for a forked child."""
        self._gate = gate.Gate()

    # -- looking, inside of the gate or amid the call that is ------------------

    def blocks(self):
        """Return the blocks, by device, each device's oldest first."""
        found = [rows for lane in self._inOrder() for rows in lane]
        return found + [rows for rows in self._front()
                        if not any(rows is one for one in found)]

    def __len__(self):
        """The number of rows."""
        return (sum(map(len, self.blocks()))
                + (len(self.cells) - len(self._front())) // self._width)

    def table(self):
        """Return all rows, each ``[time, v1, ..]``."""
        found = [row for rows in self.blocks() for row in rows.table()]
        return found + flat.rows(self.cells[len(self._front()):], self._width)

    def last(self, count):
        """Return the rows that came last, at most `count`, as `table` does."""
        width = self._width
        newest = self.cells[len(self._front()):]
        found = [newest[-count * width:]] if newest else []
        left = count - len(newest) // width
        for rows in sorted(self.blocks(), key=lambda rows: -rows.start):
            if left <= 0:
                break
            found.append(rows.cells()[-left * width:])
            left -= len(rows)
        cells = [cell for piece in reversed(found) for cell in piece]
        return flat.rows(cells, width)

    def added(self):
        """Return how many rows have ever come."""
        front = self._front()
        sealed = front[-1].number if front else self._sealed
        return sealed + (len(self.cells) - len(front)) // self._width

    def _inOrder(self, deviceId=None):
        """The lanes that are not empty: a device's, then by their oldest row."""
        lanes = list(self._lanes.values())
        if len(lanes) != 1 or not lanes[0]:
            lanes = [lane for lane in lanes if lane]
            lanes.sort(key=lambda lane: (lane[0].deviceId != deviceId,
                                         lane[0].start))
        return lanes

    def _front(self):
        """The blocks that stand in `cells` still."""
        found = []
        for rows in self.cells:
            if type(rows) is not Rows:
                break
            found.append(rows)
        return found

    # -- changing, inside of the gate ------------------------------------------

    def seal(self, deviceId):
        """Cut all rows so far into blocks of a device."""
        cells = self.cells
        if cells and type(cells[0]) is Rows:
            self._takeFront()
        whole = len(cells) // self._width * self._width
        if whole:
            self.highWater -= whole
            cells[:whole] = self._cut(cells, whole, deviceId)
            self._takeFront()

    def extendPacked(self, cells, deviceId):
        """Add rows of a device: an array, as `flat.ofDoubles` makes it."""
        self.seal(deviceId)
        # in one step, and before what others add meanwhile
        self.cells[:0] = self._cut(cells, len(cells), deviceId)
        self._takeFront()

    def _cut(self, cells, end, deviceId):
        """Return cells up to `end` as blocks, the queue's next ones."""
        size, blocks = self._blockRows() * self._width, []
        for start in range(0, end, size):
            behind = min(start + size, end)
            blocks.append(Rows(deviceId, self.columns, cells[start:behind],
                               self._sealed + start // self._width,
                               self._sealed + behind // self._width))
        return blocks

    def _blockRows(self):
        return max(1, _BLOCK_VALUES // len(self.columns))

    def _takeFront(self):
        cells = self.cells
        while cells and type(cells[0]) is Rows:
            self.append(cells[0])
            del cells[0]

    def append(self, rows):
        """Put a block behind the others of its device, if it is not there."""
        lane = self._lanes.setdefault(rows.deviceId, [])
        if not lane or lane[-1] is not rows:
            lane.append(rows)
        self._sealed = rows.number

    def merge(self, deviceId):
        """Make one of neighbouring blocks of a device that are small.

        Each is then larger than all behind it together: a row is copied a few
        times in its life, and blocks are few.
        """
        lane = self._lanes.get(deviceId, ())
        most = self._blockRows()
        while (len(lane) > 1 and len(lane[-2]) <= len(lane[-1])
               and len(lane[-2]) + len(lane[-1]) <= most):
            older, newer = lane[-2:]
            lane[-2:] = [Rows(deviceId, self.columns,
                              older.cells() + newer.cells(), older.start,
                              newer.number)]

    def pack(self):
        """Pack the blocks of each device but those of the newest rows."""
        for lane in list(self._lanes.values()):
            unpacked = 0
            for rows in reversed(lane):
                if rows.isPacked:
                    continue
                unpacked += len(rows) * self._width
                if unpacked > UNPACKED_CELLS:
                    # read here, after the rows were added
                    rows.pack(self.isPlain)

    def first(self, count, skipped, last, deviceId=None):
        """Return rows of one device, its oldest.

        Args:
            count (int): at most so many.
            skipped (collection of str): devices to leave out.
            last (int): leave out blocks that end behind this row's number.
            deviceId (str or None): the one whose rows come before all others.

        Returns:
            list of tuple: (block, number of its first rows).
        """
        for lane in self._inOrder(deviceId) if self._lanes else ():
            if lane[0].deviceId in skipped:
                continue
            found, left = [], count
            for rows in lane:
                if rows.number > last or not left:
                    break
                if len(rows):
                    if left < len(rows):
                        rows.unpack()  # once, not for each request of it
                    found.append((rows, min(left, len(rows))))
                    left -= found[-1][1]
            if found:
                return found
        return []

    def remove(self, rows):
        """Take a block out, if it is there."""
        lane = self._lanes.get(rows.deviceId, [])
        for place, found in enumerate(lane):
            if found is rows:
                del lane[place]
                break
        if not lane:
            self._lanes.pop(rows.deviceId, None)

    def mendTimes(self, mend):
        """Put `mend(time)` in the place of each row's time."""
        self._takeFront()
        for rows in self.blocks():
            rows.mendTimes(mend)
        _mendTimes(self.cells, self._width, mend)

    def clear(self):
        """Drop all rows."""
        self._takeFront()
        self._lanes.clear()
        whole = len(self.cells) // self._width * self._width
        self._sealed += whole // self._width
        del self.cells[:whole]
