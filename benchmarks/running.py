"""Carry out measurements: each in a fresh process, all of them in turn."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from benchmarks import figures
from benchmarks.workers import measure

_HERE = os.path.dirname(os.path.abspath(__file__))
_SCRIPT_RUNS = 5  # in each round; the quickest one counts


def pinCores():
    """Keep this process, and what it starts, to one core.

    Returns:
        int or None: another core, for the sink.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    os.sched_setaffinity(0, cores[:1])
    return cores[-1]


class Sink:
    """The server process; a context manager."""

    def __init__(self, core):
        self._command = [sys.executable, os.path.join(_HERE, "sink.py")]
        if core is not None:
            self._command.append(str(core))

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._address = "http://127.0.0.1:{}/".format(
            int(self._process.stdout.readline()))
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def url(self, path):
        return "{}{}/v1/".format(self._address, path)

    def received(self):
        """Return the bytes of the bodies that have come in so far."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self._address + "stats") as answer:
            return json.load(answer)["bytes"]


class Runner:
    """Measures, and keeps every result.

    Args:
        environments (Environments), sink (Sink): where and against what.
        isQuick (bool): small sizes, for a look whether everything runs.

    Attributes:
        results (dict): measurement to a list with a dict for each round.
        failures (dict): measurement to what went wrong.
    """

    def __init__(self, environments, sink, isQuick):
        self._environments = environments
        self._sink = sink
        self._isQuick = isQuick
        self.results = {}
        self.failures = {}

    def round(self, measurements):
        """Carry out each of them once."""
        working = [each for each in measurements if each not in self.failures]
        for each in working:
            if each.worker is not None:
                self._note(each, lambda: self._work(each))
        scripts = [each for each in working if each.worker is None]
        walls = dict((each, []) for each in scripts)
        for _ in range(_SCRIPT_RUNS):
            for each in scripts:
                with self._failing(each):
                    walls[each].append(self._script(each))
        for each in scripts:
            if each in self.failures:
                continue
            wall = min(walls[each])
            bare = walls.get(each._replace(work="nothing"))
            self._note(each, lambda: {
                "wall": wall, "above": wall - min(bare) if bare else None})

    def _note(self, each, measured):
        with self._failing(each):
            found = measured()  # first: what fails leaves no empty list
            self.results.setdefault(each, []).append(found)

    @contextlib.contextmanager
    def _failing(self, each):
        try:
            yield
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            said = getattr(error, "stderr", None) or str(error)
            self.failures[each] = said.strip().splitlines()[-1]

    def _work(self, each):
        count = figures.SIZES[each.size][self._isQuick]
        with contextlib.ExitStack() as stack:
            command = [os.path.join(_HERE, "workers", each.worker + ".py"),
                       each.work, self._sink.url(each.path), str(count)]
            if each.work == "flushes":
                command.append(stack.enter_context(
                    tempfile.TemporaryDirectory()))
            before = self._sink.received()
            found = json.loads(self._run(each, *command))
            found["body"] = (self._sink.received() - before) / count
        return found

    def _script(self, each):
        program = figures.SCRIPTS[each.work].format(
            url=self._sink.url(each.path), token=measure.TOKEN)
        start = time.perf_counter()
        self._run(each, "-c", program)
        return time.perf_counter() - start

    def _run(self, each, *arguments):
        return subprocess.run(
            [self._environments.python(each.environment), "-W", "ignore",
             *arguments],
            env=self._environments.variables(each.environment),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            check=True).stdout
