"""Send through iobeam, ours or 0.11.0: only what both of them have."""
from __future__ import absolute_import

import measure
from iobeam import iobeam


class IobeamWorker(measure.Worker):

    def __init__(self, url, folder=None):
        builder = iobeam.ClientBuilder(measure.PROJECT_ID, measure.TOKEN) \
            .setBackend(url).setDeviceId(measure.DEVICE_ID)
        if folder is not None:  # ours only
            builder.bufferToDisk(folder)
        self._client = builder.build()
        self._store = self._client.createDataStore(measure.COLUMNS)
        self.send = self._client.send

    def fill(self, times, rows):
        add = self._store.add
        for time, row in measure.pairs(times, rows):
            add(time, row)

    def flush(self):
        self._client.flush()


if __name__ == "__main__":
    measure.main(IobeamWorker)
