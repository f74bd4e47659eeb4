"""What one request costs the backend, beside an earlier checkout's."""
import http.client
import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks import environments
from benchmarks.backend import load, processes

TARGET = 1.0  # of the earlier checkout's CPU time
_DEVICE = "bench"


class _Side:
    """A served checkout: one connection that asks, request after request.

    Args:
        python (str): whose environment holds the checkout.
        url (str): of an empty database.
        cpu (callable): CPU seconds of the database.
    """

    def __init__(self, python, url, cpu):
        _command(python, "project", "create", "bench", "--database", url)
        said = _command(python, "token", "--project", "1", "--database", url)
        self._headers = {"Authorization": "Bearer " + said.split()[-1]}
        self._serving = processes.backend(url, "--auto-register", python=python)
        self._databaseCpu = cpu
        self._moment = load.FIRST_US

    def __enter__(self):
        self._child, port = self._serving.__enter__()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=load.WAIT_S)
        return self

    def __exit__(self, *error):
        self._connection.close()
        self._serving.__exit__(*error)

    def measured(self, ask, times):
        """Return the CPU seconds and the wall seconds of a request, asked so many times."""
        begun, before = time.perf_counter(), self._cpu()
        for _ in range(times):
            ask(self)
        return (self._cpu() - before) / times, (time.perf_counter() - begun) / times

    def _cpu(self):
        return processes.cpuOf(self._child.pid) + self._databaseCpu()

    def ping(self):
        self._ask("GET", "/v1/ping")

    def newest(self):
        self._ask("GET", "/v1/exports/1/{}/load?limit=1".format(_DEVICE))

    def importRows(self, rows):
        moments = range(self._moment, self._moment + rows * load.STEP_US, load.STEP_US)
        self._moment = moments.stop
        self._ask("POST", "/v1/imports?fmt=table", json.dumps({
            "project_id": 1, "device_id": _DEVICE, "timefmt": "usec",
            "sources": {"fields": ("time",) + load.FIELDS, "data": [
                (moment,) + cells for moment, cells in zip(moments, load.cells_of(rows))]}}))

    def _ask(self, method, path, body=None):
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError("{}: {} {}".format(path, answer.status, said[:200]))


# name -> what is asked, how often in a turn, whether it must not cost more than before
_ASKED = {
    "an import of one row": (lambda side: side.importRows(1), 800, True),
    "an import of 100 rows": (lambda side: side.importRows(100), 200, True),
    "an import of 1000 rows": (lambda side: side.importRows(1000), 50, True),
    "the newest point": (_Side.newest, 800, False),
    "a ping": (_Side.ping, 1500, False),
}


def measure(found, rounds, before):
    """Measure every engine; return whether no import costs more than before.

    Args:
        found: engines.
        before (str): folder of an earlier checkout.
    """
    earlier = environments.make("backend-before", ["-e {}[postgres]".format(os.path.join(os.path.abspath(before), "server"))], None)
    isReached = True
    for engine in found:
        with engine.database() as ours, engine.database() as theirs, \
                _Side(sys.executable, ours, engine.cpu) as now, \
                _Side(earlier, theirs, engine.cpu) as then:
            print("\n| {}, CPU of | us | before, us | ratio | of the rounds | time, ratio |"
                  "\n|---|---|---|---|---|---|".format(engine.name))
            for name, (ask, times, isBound) in _ASKED.items():
                isReached = _compare(name, ask, times, rounds, now, then, isBound) and isReached
    return isReached


def _compare(name, ask, times, rounds, now, then, isBound):
    for side in (now, then):
        side.measured(ask, times // 10)
    turns = []
    for number in range(rounds):
        order = (now, then) if number % 2 else (then, now)
        took = {side: side.measured(ask, times) for side in order}
        turns.append(took[now] + took[then])
    ratios = [ours / theirs for ours, _, theirs, _ in turns]
    ratio = statistics.median(ratios)
    said = ""
    if isBound:
        said = " (target {}: {})".format(TARGET, "reached" if ratio <= TARGET else "MISSED")
    print("| {} | {:.0f} | {:.0f} | {:.2f}{} | {:.2f}..{:.2f} | {:.2f} |".format(
        name, statistics.median(each[0] for each in turns) * 1e6,
        statistics.median(each[2] for each in turns) * 1e6, ratio, said,
        min(ratios), max(ratios),
        statistics.median(each[1] / each[3] for each in turns)), flush=True)
    return not isBound or ratio <= TARGET


def _command(python, *arguments):
    return subprocess.run((python, "-m", "iobeam_server") + arguments, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          universal_newlines=True, cwd=os.path.dirname(python)).stdout
