"""A table in a file into a store: `iobeam send`, and a loop as one writes it.

Neither sends: what is measured is reading, typing and adding.
"""
import csv
import datetime
import io
import os
import tempfile

import measure
from iobeam import iobeam
from iobeam.command import readings
from iobeam.command.consignment import timestampOf

_BATCH_ROWS = 5000


class TablesWorker(measure.Worker):

    def __init__(self, url, folder=None):
        self._store = iobeam.DataStore(measure.COLUMNS)

    def sendSec(self, count):
        return self._took(count, _asSeconds, self._send)

    def loopSec(self, count):
        return self._took(count, _asSeconds, lambda path: self._loop(
            path, lambda cell: int(cell) * 1000))

    def sendIso(self, count):
        return self._took(count, _asIso, self._send)

    def loopIso(self, count):
        return self._took(count, _asIso, lambda path: self._loop(
            path, datetime.datetime.fromisoformat))

    def _send(self, path):
        reading = readings.inspect(path, lambda: io.open(path, "rb"),
                                   readings.Settings())
        for batch in reading.batches():
            for group in batch.groups:
                self._store.addRows([(timestampOf(usec), row)
                                     for usec, row in group.rows])
                self._store.clear()

    def _loop(self, path, timeOf):
        with io.open(path, newline="", encoding="utf-8") as opened:
            rows = csv.reader(opened)
            names = next(rows)[1:]
            batch = []
            for row in rows:
                batch.append((timeOf(row[0]), dict(zip(names, [
                    float(cell) if cell else None for cell in row[1:]]))))
                if len(batch) == _BATCH_ROWS:
                    self._store.addRows(batch)
                    self._store.clear()
                    batch = []
            self._store.addRows(batch)

    @staticmethod
    def _took(count, timeCell, work):
        descriptor, path = tempfile.mkstemp()
        try:
            with io.open(descriptor, "w", encoding="utf-8") as out:
                out.write("time,{}\n".format(",".join(measure.COLUMNS)))
                for msec, row in zip(measure.times(count), measure.readings(
                        hasGaps=True)):
                    out.write("{},{}\n".format(timeCell(msec), ",".join(
                        str(row.get(name, "")) for name in measure.COLUMNS)))
            return measure.took(lambda: work(path), count)
        finally:
            os.remove(path)


def _asSeconds(msec):
    return str(msec // 1000)


def _asIso(msec):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(
        milliseconds=msec)).isoformat()


if __name__ == "__main__":
    measure.main(TablesWorker)
