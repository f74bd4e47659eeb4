"""DataFrames into a store and out of an answer, beside what does without us."""
import random

import measure
import pandas
from iobeam import frames, iobeam

_START = 1704067200000  # ms: 2024-01-01 in UTC
_COLUMNS = measure.COLUMNS[:3]
_DEVICES = 2
_SERIES = 4  # of each device


class PandasWorker(measure.Worker):

    def __init__(self, url, folder=None):
        self._client = iobeam.ClientBuilder(measure.PROJECT_ID, measure.TOKEN) \
            .setBackend(url).setDeviceId(measure.DEVICE_ID).build()
        self._store = iobeam.DataStore(_COLUMNS)

    # -- in: minutes with a zone that changes its clocks ---------------------

    def addDataFrame(self, count):
        frame = self._frame(count)
        self._store.addDataFrame(frame[:10])  # what loads late
        return measure.took(lambda: self._store.addDataFrame(frame), count)

    def sendDataFrame(self, count):
        frame = self._frame(count)
        store = self._client.createDataStore(_COLUMNS)

        def send(frame):
            store.addDataFrame(frame)
            self._client.send()

        send(frame[:10])
        return measure.took(lambda: send(frame), count)

    def addLoop(self, count):
        times, rows = self._times(count), self._rows(count)

        def loop():
            add = self._store.add
            for time, row in zip(times, rows):
                add(time, row)

        return measure.took(loop, count)

    def _frame(self, count):
        return pandas.DataFrame(
            self._rows(count), index=pandas.to_datetime(
                self._times(count), unit="ms", utc=True)
            .tz_convert("Europe/Berlin"))

    @staticmethod
    def _times(count):
        return list(range(_START, _START + count * 60000, 60000))

    @staticmethod
    def _rows(count):
        return [dict((name, random.gauss(20, 5)) for name in _COLUMNS)
                for _ in range(count)]

    # -- out: points of two devices and four series --------------------------

    def toDataFrame(self, count):
        answer = self._answer(count)
        frames.toDataFrame(self._answer(80))
        return measure.took(lambda: frames.toDataFrame(answer), count)

    def pivot(self, count):
        answer = self._answer(count)
        _pivot(self._answer(80))
        return measure.took(lambda: _pivot(answer), count)

    @staticmethod
    def _answer(count):
        each = count // _DEVICES // _SERIES
        return {"timefmt": "usec", "result": [
            {"project_id": 1, "device_id": "device-{}".format(device),
             "name": "series-{}".format(series), "data": [
                 {"time": _START * 1000 + row * 1000000,
                  "value": random.gauss(20, 5)} for row in range(each)]}
            for device in range(_DEVICES) for series in range(_SERIES)]}


def _pivot(answer):
    """The same with pandas alone, as its users write it."""
    parts = []
    for series in answer["result"]:
        part = pandas.DataFrame(series["data"])
        part["device_id"], part["name"] = series["device_id"], series["name"]
        parts.append(part)
    found = pandas.concat(parts)
    found["time"] = pandas.to_datetime(found["time"], unit="us", utc=True)
    return found.pivot(index=["device_id", "time"], columns="name",
                       values="value")


if __name__ == "__main__":
    measure.main(PandasWorker)
