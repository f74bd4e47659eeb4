"""The floor: no library, no checks; a list, json.dumps and Session.post."""
from __future__ import absolute_import

import json

import measure
import requests

_ROWS = 1000  # a request


class RequestsWorker(measure.Worker):

    def __init__(self, url, folder=None):
        self._url = url + "imports?fmt=table"
        self._rows = []
        self._session = requests.Session()
        self._session.headers.update({
            "Authorization": "Bearer " + measure.TOKEN,
            "Content-Type": "application/json"})

    def fill(self, times, rows):
        add = self._rows.append
        for time, row in measure.pairs(times, rows):
            add([time * 1000, row["temperature"], row["humidity"],
                 row["pressure"], row["voltage"]])

    def send(self):
        rows, self._rows[:] = self._rows[:], []
        for start in range(0, len(rows), _ROWS):
            self._session.post(self._url, data=json.dumps({
                "project_id": measure.PROJECT_ID,
                "device_id": measure.DEVICE_ID,
                "timefmt": "usec",
                "sources": {"fields": ["time"] + measure.COLUMNS,
                            "data": rows[start:start + _ROWS]},
            })).raise_for_status()


if __name__ == "__main__":
    measure.main(RequestsWorker)
