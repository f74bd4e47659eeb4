"""Clients of the backend, or of InfluxDB, all in this process; started as a script.

Argument: a JSON object, see `_Client`. When everything is ready a line goes to
stdout, then a line is awaited, so that preparing is not measured; the result
is a JSON object.
"""
import http.client
import json
import sys
import threading
import time

FIELDS = ("load", "memory", "temperature", "requests")
FIRST_US = 1700000000000000
STEP_US = 1000000
WAIT_S = 120


class _Client:
    """One connection that sends rows of four values, request after request.

    Args:
        job (dict): port; kind, "iobeam" or "influx"; token; rows, in a request;
            requests, of each client, or seconds; fresh, whether each request has a
            connection of its own.
        number (int): which client, and so which device.
    """

    def __init__(self, job, number):
        self._job = job
        self.device = "bench-{}".format(number)
        self._tails = [",".join(map(str, cells)) for cells in cells_of(job["rows"])]
        self.statuses = {}
        self.stored = 0  # requests
        self.slowest = 0.0  # answer, s
        self.errors = []
        self.bodies = [self._body(i) for i in range(job.get("requests", 0))]

    def _body(self, number):
        rows = self._job["rows"]
        first = FIRST_US + number * rows * STEP_US
        times = range(first, first + rows * STEP_US, STEP_US)
        if self._job["kind"] == "influx":
            names = [name + "=%s" for name in FIELDS[:3]] + [FIELDS[3] + "=%si"]
            line = "bench,device={} {} %d".format(self.device, ",".join(names))
            return "\n".join(line % (*tail.split(","), moment)
                             for moment, tail in zip(times, self._tails)).encode()
        return "".join((
            '{"project_id":1,"device_id":"', self.device, '","timefmt":"usec",'
            '"sources":{"fields":["time","', '","'.join(FIELDS), '"],"data":[',
            ",".join(map("[%d,%s]".__mod__, zip(times, self._tails))), "]}}",
        )).encode()

    def run(self):
        try:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._job["port"], timeout=WAIT_S)
            if "seconds" in self._job:
                end = time.monotonic() + self._job["seconds"]
                while time.monotonic() < end:
                    self._send(connection, self._body(self.stored))
            else:
                for body in self.bodies:
                    self._send(connection, body)
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(repr(error))

    def _send(self, connection, body):
        path = "/v1/imports?fmt=table"
        headers = {"Content-Type": "application/json",
                   "Authorization": "Bearer {}".format(self._job.get("token"))}
        if self._job["kind"] == "influx":
            path, headers = "/write?db=bench&precision=u", {}
        while True:
            if self._job.get("fresh"):
                connection.close()  # the next request opens it again
            begun = time.monotonic()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            if answer.status in (200, 204):
                self.stored += 1
                return
            if answer.status != 429:
                self.errors.append(said[:200].decode("utf-8", "replace"))
                return
            time.sleep(float(answer.headers["Retry-After"]))


def cells_of(rows):
    """Return readings as devices have them: three of few digits, one counter."""
    return [(round(0.5 + i % 97 / 100, 2), round(41.5 + i % 53 / 10, 1),
             round(21.25 + i % 31 / 8, 3), 1000 + 7 * i) for i in range(rows)]


def main():
    job = json.loads(sys.argv[1])
    clients = [_Client(job, i) for i in range(job["clients"])]
    threads = [threading.Thread(target=client.run) for client in clients]
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - begun
    statuses = {}
    for client in clients:
        for status, count in client.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    print(json.dumps({
        "wall": wall, "statuses": statuses,
        "rows": sum(client.stored for client in clients) * job["rows"],
        "stored": dict((client.device, client.stored * job["rows"]) for client in clients),
        "slowest": max(client.slowest for client in clients),
        "errors": [each for client in clients for each in client.errors]}))


if __name__ == "__main__":
    main()
