"""The rows of one request: where they are, and how they look on the wire."""
from __future__ import absolute_import

from iobeam.endpoints import imports
from iobeam.resources import data, flat


class Parcel(object):
    """The rows of one request, of one device and the same columns.

    Attributes:
        projectId (int), deviceId (str), columns (tuple of str), count (int).
        chunks (list of Chunk): where they are on disk, or
        queue (RowQueue), pieces (list of (Rows, int)): where they are in
            memory: of each block the first so many.
    """

    def __init__(self, projectId, deviceId, columns, count, chunks=(),
                 queue=None, pieces=()):
        self.projectId = projectId
        self.deviceId = deviceId
        self.columns = columns
        self.count = count
        self.chunks = list(chunks)
        self.queue = queue
        self.pieces = pieces
        self._table = None

    def moveToDisk(self, chunks):
        """Note that its rows have been committed meanwhile.

        `pieces` stay: the sending thread may be reading from them.
        """
        self.chunks = chunks

    def table(self):
        """Return its rows, each ``[time, v1, ..]``."""
        if self._table is None:
            if self.chunks:
                self._table = [row for chunk in self.chunks
                               for row in chunk.table()][:self.count]
            else:
                self._table = [row for rows, count in self.pieces
                               for row in rows.table(count)]
        return self._table

    def payload(self):
        """Return the body of its request: a dict, or as `request` takes it."""
        if not self.chunks:
            return _Flat(self)
        if self.count == sum(chunk.rows for chunk in self.chunks):
            return _Joined(self)
        return imports.tableBody(self.projectId, self.deviceId, self.columns,
                                 self.table())

    def rowsAsDicts(self):
        """Return its rows as `DataStore.rows` gives them."""
        return [data.asDict(self.columns, row) for row in self.table()]

    def cuts(self, start, count):
        """Return what is to be taken out of memory for rows of it.

        Returns:
            list of tuple: (block, its first row, the row behind the last,
            number of rows that are left).
        """
        found, passed = [], 0
        for rows, length in self.pieces:
            first = max(start - passed, 0)
            behind = min(start + count - passed, length)
            if first < behind:
                found.append((rows, first, behind,
                              len(rows) - (behind - first)))
            passed += length
        return found


class _Joined(object):
    """A body out of chunks that are serialised already."""

    def __init__(self, parcel):
        self._parcel = parcel
        self._texts = [chunk.body for chunk in parcel.chunks]

    def asDict(self):
        parcel = self._parcel
        return imports.tableBody(parcel.projectId, parcel.deviceId,
                                 parcel.columns, self._table())

    def asBytes(self):
        parcel = self._parcel
        return imports.tableBytes(parcel.projectId, parcel.deviceId,
                                  parcel.columns, self._json())

    def _table(self):
        return self._parcel.table()

    def _json(self):
        return self._texts


class _Flat(_Joined):
    """A body out of rows in memory.

    It keeps their cells: a double may look at it when they are long sent.
    """

    def __init__(self, parcel):
        self._parcel = parcel
        self._width = len(parcel.columns) + 1
        self._cells = [rows.readable(count) for rows, count in parcel.pieces]

    def _table(self):
        return [row for cells in self._cells
                for row in flat.rows(cells, self._width)]

    def _json(self):
        return [flat.text(cells, self._width, self._parcel.queue.isPlain)
                for cells in self._cells]
