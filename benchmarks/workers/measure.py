"""What all workers share: the rows, the clocks, the kinds of work.

A worker is a script that runs one piece of work in a process of its own and
prints what it took as JSON:

    python on_SOMETHING.py WORK URL ROWS [FOLDER]

Runs on Python 2.7 and on 3.
"""
from __future__ import absolute_import, division, print_function

import base64
import gc
import itertools
import json
import math
import os
import random
import sys
import time

try:
    import resource
except ImportError:  # Windows
    resource = None

if sys.version_info[0] == 2:
    range = xrange  # noqa: F821

pairs = getattr(itertools, "izip", zip)
wallSeconds = getattr(time, "perf_counter", time.time)

COLUMNS = ["temperature", "humidity", "pressure", "voltage"]
PROJECT_ID = 1
DEVICE_ID = "bench-device"
_START = 1700000000000  # ms
_STEP = 1000  # ms from row to row
_POOL = 10000  # different rows; then they come again, with new times
_FLUSH_ROWS = 1000
_WARM_SINGLES = 50


def _encoded(part):
    return base64.urlsafe_b64encode(
        json.dumps(part).encode("ascii")).rstrip(b"=").decode("ascii")


TOKEN = str(".".join([
    _encoded({"alg": "HS256", "typ": "JWT"}),
    _encoded({"pid": PROJECT_ID, "exp": 4102444800, "read": True,
              "write": True}), "c2lnbmF0dXJl"]))


def cpuSeconds():
    """CPU time of this process, all threads, user and system."""
    if resource is None:
        return sum(os.times()[:2])
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def reading(number):
    """What four sensors say: a slow swing and noise, three decimals."""
    noise = random.gauss
    return {
        "temperature": round(20 + 5 * math.sin(number / 3000)
                             + noise(0, 0.3), 3),
        "humidity": round(60 + 20 * math.sin(number / 4000) + noise(0, 1), 3),
        "pressure": round(1010 + 8 * math.sin(number / 9000)
                          + noise(0, 0.3), 3),
        "voltage": round(3.9 - number % 20000 * 2e-5 + noise(0, 0.03), 3),
    }


def readings(hasGaps=False):
    """Rows without an end; one of the four values missing in each, if asked."""
    pool = [reading(number) for number in range(_POOL)]
    if hasGaps:
        for number, row in enumerate(pool):
            del row[COLUMNS[number % len(COLUMNS)]]
    return itertools.cycle(pool)


def times(count, first=0):
    """`count` times in ms, from row `first` on."""
    return range(_START + first * _STEP, _START + (first + count) * _STEP,
                 _STEP)


class Worker(object):
    """One way of sending rows. Subclasses know how."""

    def __init__(self, url, folder=None):
        raise NotImplementedError

    def fill(self, times, rows):
        """Add a row for each of `times` (ms); dicts come from `rows`."""
        raise NotImplementedError

    def send(self):
        """Deliver what was added; raise unless all of it was accepted."""
        raise NotImplementedError

    def warmUp(self):
        """Connect, load what loads late, learn what the server takes."""
        self.fill(times(1), readings())
        self.send()

    # -- kinds of work: each returns what it took ---------------------------

    def bulk(self, count):
        """Add all rows, then send them."""
        self.warmUp()
        rows = readings()
        wall, cpu = wallSeconds(), cpuSeconds()
        self.fill(times(count), rows)
        added = cpuSeconds()
        self.send()
        return {"wall": (wallSeconds() - wall) / count,
                "cpu": (cpuSeconds() - cpu) / count,
                "add": (added - cpu) / count}

    def tens(self, count):
        """The same in pieces of 10 000 rows."""
        self.warmUp()
        rows = readings()
        cpu = cpuSeconds()
        for first in range(0, count, 10000):
            self.fill(times(10000, first), rows)
            self.send()
        return {"cpu": (cpuSeconds() - cpu) / count}

    def gaps(self, count):
        """Add rows that miss a value."""
        rows = readings(hasGaps=True)
        cpu = cpuSeconds()
        self.fill(times(count), rows)
        return {"add": (cpuSeconds() - cpu) / count}

    def singles(self, count):
        """Add one row and send it, again and again."""
        rows = readings()
        cpu = None
        for number in range(-_WARM_SINGLES, count):
            if number == 0:
                cpu = cpuSeconds()
            self.fill(times(1, number), rows)
            self.send()
        return {"cpu": (cpuSeconds() - cpu) / count}

    def memory(self, count):
        """Bytes that Python has allocated for rows, and not freed again."""
        import tracemalloc

        self.warmUp()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        # new numbers, which live on only as far as they are buffered
        self.fill(times(count), (reading(number) for number in range(count)))
        gc.collect()
        return {"bytes": (tracemalloc.get_traced_memory()[0] - before) / count}

    def flushes(self, count):
        """Commit every 1000 rows to disk, then send."""
        self.warmUp()
        rows = readings()
        cpu = cpuSeconds()
        for first in range(0, count, _FLUSH_ROWS):
            self.fill(times(min(_FLUSH_ROWS, count - first), first), rows)
            self.flush()
        self.send()
        return {"cpu": (cpuSeconds() - cpu) / count}


def took(work, count):
    """Do a piece of work of so many rows; return its CPU time a row."""
    before = cpuSeconds()
    work()
    return {"cpu": (cpuSeconds() - before) / count}


def main(kind):
    work, url, count = sys.argv[1:4]
    random.seed(1)
    worker = kind(url, *sys.argv[4:])
    print(json.dumps(getattr(worker, work)(int(count))))
