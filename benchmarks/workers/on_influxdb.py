"""Send Points through influxdb-client, SYNCHRONOUS."""
import measure
import influxdb_client
from influxdb_client.client.write_api import SYNCHRONOUS

_ROWS = 5000  # a request, as its documentation recommends


class InfluxWorker(measure.Worker):

    def __init__(self, url, folder=None):
        self._client = influxdb_client.InfluxDBClient(
            url=url.rsplit("/", 3)[0], token="token", org="org")
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._points = []

    def fill(self, times, rows):
        add = self._points.append
        point, ms = influxdb_client.Point, influxdb_client.WritePrecision.MS
        for time, row in zip(times, rows):
            made = point("conditions").tag("device", measure.DEVICE_ID)
            for name, value in row.items():
                made.field(name, value)
            add(made.time(time, ms))

    def send(self):
        points, self._points = self._points, []
        for start in range(0, len(points), _ROWS):
            self._api.write("bucket", "org", points[start:start + _ROWS])


if __name__ == "__main__":
    measure.main(InfluxWorker)
