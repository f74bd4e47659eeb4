"""How long things take, less what the machine kept for others.

A bound in seconds fails on a busy machine, and one that is wide enough for
every machine fails nowhere. Linux counts, for each thread, how long it was
ready to run and had no processor; without that, the bound holds as it is.
"""
from __future__ import absolute_import

import os

from iobeam.utils import compat


def _withheld():
    """Return {thread id: seconds without a processor} of this process."""
    found = {}
    folder = "/proc/self/task"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            with open("{}/{}/schedstat".format(folder, name)) as opened:
                found[name] = int(opened.read().split()[1]) / 1e9
        except EnvironmentError:
            pass  # it has ended
    return found


class Stopwatch(object):
    """A context manager.

    Attributes:
        wall (float): seconds that have passed.
        seconds (float): less those in which threads of this process waited
            for a processor: what an idle machine would have needed.
    """

    def __enter__(self):
        self._before = _withheld()
        self._begin = compat.monotonic()
        return self

    def __exit__(self, *_):
        self.wall = compat.monotonic() - self._begin
        self.seconds = self.wall - sum(
            max(0, after - self._before.get(name, 0))
            for name, after in _withheld().items())
