"""Changes of the outbox that take several steps, written down as a whole first.

Carrying one out can be cut short at any instant, and repeated.
"""
from __future__ import absolute_import

from iobeam.endpoints import imports
from iobeam.resources import flat
from iobeam.spool.chunk import Chunk
from iobeam.utils import compat


class Commit(object):
    """A commit: the chunks to store, and the blocks that then may go.

    The chunks keep their ids, so that storing them twice stores them once.
    """

    __slots__ = ("blocks", "chunks", "flying", "parcel", "protected",
                 "onDisk")

    def __init__(self, outbox, blocks, parcel, onDisk):
        self.blocks = blocks
        self.onDisk = onDisk
        self.chunks = []
        self.flying = []
        self.parcel = parcel
        underWay = {} if parcel is None or parcel.chunks else dict(
            (id(rows), length) for rows, length in parcel.pieces)
        place = 0
        while place < len(blocks):
            queue, first = blocks[place]
            cells, flying = [], []
            width = len(queue.columns) + 1
            while (place < len(blocks) and blocks[place][0] is queue
                   and blocks[place][1].deviceId == first.deviceId):
                rows = blocks[place][1]
                found = rows.cells()
                cut = underWay.get(id(rows), 0) * width
                flying += found[:cut]
                cells += found[cut:]
                place += 1
            # the rows that are under way make a chunk of their own
            if flying:
                self.flying = [self._chunk(outbox, queue, first, flying)]
                self.chunks += self.flying
            size = width * imports.rowsPerRequest(outbox.valuesPerChunk,
                                                  queue.columns)
            self.chunks += [
                self._chunk(outbox, queue, first, cells[start:start + size])
                for start in range(0, len(cells), size)]
        self.protected = [chunk.id for chunk in self.flying]
        if parcel is not None:
            self.protected += [chunk.id for chunk in parcel.chunks]

    def pending(self, queues, others):
        """Return the rows that wait, amid it.

        Args:
            queues (list of RowQueue): those in memory.
            others (int): rows in memory that are in none of them.
        """
        moved = [rows for _, rows in self.blocks]
        held = sum(len(rows) for queue in queues for rows in queue.blocks()
                   if any(rows is one for one in moved))
        return (sum(map(len, queues)) + others - held
                + sum(map(len, moved)) + self.onDisk)

    @staticmethod
    def _chunk(outbox, queue, rows, cells):
        width = len(rows.columns) + 1
        return Chunk(outbox.projectId, rows.deviceId, rows.columns,
                     len(cells) // width,
                     compat.toText(flat.text(cells, width, queue.isPlain)))


class Decision(object):
    """What the backend has decided on a parcel, and what that comes to."""

    __slots__ = ("parcel", "cuts", "chunks", "left", "rejectedRows",
                 "accepted", "rejected", "doubts")

    def __init__(self, outbox, parcel, accepted, rejected, start):
        gone = len(rejected) if rejected else parcel.count
        self.parcel = parcel
        self.rejectedRows = rejected
        self.accepted = outbox.accepted + (gone if accepted else 0)
        self.rejected = outbox.rejected + len(rejected)
        self.doubts = outbox.lessDoubt(parcel, gone)
        self.chunks, self.left, self.cuts = parcel.chunks, None, []
        if not self.chunks:
            self.cuts = parcel.cuts(start, gone)
            return
        last = self.chunks[-1]
        gone -= sum(other.rows for other in self.chunks[:-1])
        if gone < last.rows:
            table = last.table()
            del table[start:start + gone]
            self.left = Chunk(last.projectId, last.deviceId, last.columns,
                              len(table), flat.joined(table),
                              last.id, last.seq)
