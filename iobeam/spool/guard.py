"""What must be undone whatever interrupts it, and which thread is amid it.

KeyboardInterrupt, or an exception out of a signal handler, may come between any
two instructions: also in a `finally`, and between a call and the assignment of
what it returns. So what is taken is undone twice, by functions that may be
repeated, and is never known from a variable alone.
"""
from __future__ import absolute_import

import itertools
import os

from iobeam.utils import compat

_imap = getattr(itertools, "imap", map)  # 2.7's map makes a list

_inside = {}  # a token of its own each: (process id, thread id, key)


def always(work, undo):
    """Return ``work()``; afterwards ``undo()`` has run to its end.

    Args:
        undo (callable): may be repeated. An interrupt may come amid the first
            run of it; the second one is for that.
    """
    try:
        try:
            return work()
        finally:
            undo()
    finally:
        undo()


def inside(key, work):
    """Return ``work()``, in which `depth` counts one more for this thread."""
    token = object()

    def run():
        _inside[token] = (os.getpid(), compat.threadId(), key)
        return work()

    return always(run, lambda: _inside.pop(token, None))


def depth(key):
    """Return how many `inside` of `key` this thread is amid."""
    if not _inside:
        return 0
    here = (os.getpid(), compat.threadId(), key)
    return list(_inside.values()).count(here)


class Descriptors(object):
    """Open files; no interrupt comes between what opens one and this list.

    Attributes:
        numbers (list of int): the descriptors.
    """

    def __init__(self):
        self.numbers = []

    def open(self, *arguments):
        """`os.open`; returns the descriptor."""
        self.numbers.extend(_imap(os.open, *[[argument]
                                             for argument in arguments]))
        return self.numbers[-1]

    def close(self):
        """Close all of them; may be repeated, and interrupted."""
        while self.numbers:
            # in one step as well: the number may be another file's right after
            for _ in _imap(os.close, itertools.starmap(self.numbers.pop,
                                                       [()])):
                pass
