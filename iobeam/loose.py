"""Points added one by one, by the name of their series (`addDataPoint`)."""
from __future__ import absolute_import

import collections

from iobeam.resources import data, rows


class LoosePoints(object):
    """Points that wait for the next send or commit, equal ones kept once.

    New ones come by one `append`, without the outbox's gate; all else happens
    inside of it.
    """

    # Plain dicts, and numbers for the order: up to Python 3.4 an OrderedDict is
    # written in Python, and an interrupt in the middle of it leaves it broken.

    def __init__(self):
        self._incoming = collections.deque()  # of (series name, points)
        self._series = {}  # name to {point: its number}
        self._queues = {}  # name to RowQueue
        self._order = {}  # name to its number

    def add(self, name, points):
        """Add points (list of DataPoint) to a series."""
        self._incoming.append((name, points))

    def __len__(self):
        """The number of points, not those in `queues`."""
        if not self._incoming and not self._series:
            return 0
        merged = dict((name, set(points))
                      for name, points in list(self._series.items())
                      if self._sealed(name, points) is None)
        for name, points in list(self._incoming):
            merged.setdefault(name, set()).update(points)
        return sum(map(len, merged.values()))

    # -- inside of the gate ---------------------------------------------------

    def series(self):
        """Return the points: {series name: {point: its number}}."""
        while self._incoming:
            name, points = self._incoming[0]
            self._order.setdefault(name, len(self._order))
            known = self._series.setdefault(name, {})
            if not hasattr(known, "setdefault"):  # a list, put in by hand
                known = self._series[name] = dict(
                    (point, number) for number, point in enumerate(known))
            for point in points:  # twice the same does no harm
                known.setdefault(point, len(known))
            self._incoming.popleft()
        return self._series

    def replace(self, series):
        """Take {series name: points} in place of all points so far."""
        self._incoming.clear()
        self._series = series

    def queues(self):
        """Return the queues that `seal` has put points into."""
        return [self._queues[name] for name in self._inOrder(self._queues)]

    def seal(self, deviceId):
        """Put all points so far into queues, one a series."""
        if not self._incoming and not self._series:
            return
        for name in self._inOrder(self.series()):
            points = self._series[name]
            queue = self._queues.setdefault(name, rows.RowQueue((name,)))
            # again, if that was cut short: an append has two steps
            queue.append(self._sealed(name, points)
                         or self._block(queue, name, points, deviceId))
            del self._series[name]

    def _inOrder(self, names):
        return sorted(names, key=lambda name: (
            self._order.get(name, len(self._order)), name))

    def _sealed(self, name, points):
        """The block that was made of these very points, or None."""
        blocks = self._queues[name].blocks() if name in self._queues else ()
        for block in blocks:
            if block.source is points:
                return block
        return None

    @staticmethod
    def _block(queue, name, points, deviceId):
        store = storeOf(name, points)
        start = queue.added()
        return rows.Rows(deviceId, (name,), store.queue.cells, start,
                         start + len(store), points)

    def take(self):
        """Return all points as new stores, one a series; none are left."""
        stores = [storeOf(name, self.series()[name])
                  for name in self._inOrder(self.series())]
        self._series.clear()
        return stores

    def clear(self, name):
        """Drop the points of a series."""
        self.series().pop(name, None)
        if name in self._queues:
            self._queues[name].clear()

    def forget(self):
        """Drop all: in a forked child they are the parent's."""
        self._incoming.clear()
        self._series.clear()
        self._queues.clear()


def storeOf(name, points):
    """Return points, in the order of their numbers, as a new store."""
    if hasattr(points, "get"):
        points = sorted(points, key=points.get)
    store = data.DataStore([name])
    store.addRows([
        (data.Timestamp(found["time"], unit=data.TimeUnit.MICROSECONDS),
         {name: found["value"]})
        for found in (point.toDict() for point in points)])
    return store
