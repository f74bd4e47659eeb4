"""What test suites of 0.11.0 reach for in a client, under its old names."""
from __future__ import absolute_import


class Seams(object):
    """Part of the client: the state that such suites look into, and set.

    They put a device into `_activeDevice` and stores into `_batches`, or
    another list in its place, and look at points in `_dataset`. All of it
    lies in the outbox.
    """

    @property
    def _batches(self):
        """The tracked stores, a list."""
        stores = self._outbox.stores
        return [] if stores is None else stores

    @_batches.setter
    def _batches(self, stores):
        self._outbox.close()
        self._outbox.stores = list(stores)
        self._takeIn()

    @property
    def _dataset(self):
        """Points by series: {name: {point: None}}."""
        return self._outbox.series()

    @_dataset.setter
    def _dataset(self, series):
        self._outbox.replacePoints(series)

    def _convertDataSetToBatches(self):
        """Take all points out, as new stores of one column."""
        return self._outbox.takePoints()

    def _takeIn(self):
        """Take in what was put into `_activeDevice` and `_batches` directly."""
        if self._outbox.deviceId != self.getDeviceId():
            self._outbox.setDevice(self.getDeviceId())
        self._outbox.takeIn()
