"""The running call: its limits, and what its requests have come to.

A public call such as `send()` may make many requests, and what makes the
requests lies below the seam that test suites replace. So the call does not
travel through the arguments: it is the current one of its thread.
"""
from __future__ import absolute_import

import sys
import threading

from iobeam.http import settings
from iobeam.utils import compat

_threads = threading.local()


class Call(object):
    """Limits and facts of one public call.

    Current from a ``with`` on, for as long as the function that holds the
    ``with`` runs.

    Args:
        timeout (float or None): hard limit for the whole call, in seconds.
        giveUpAfter (float or None): end after so many seconds without
            progress; None for no such limit.
        clock (callable): monotonic seconds.

    Attributes:
        onTrouble (callable or None): called before every wait and repeat.
        repeatsUnsafe (bool): False for a request that must not be carried out
            twice: it is repeated only if the first one cannot have arrived.
        resizes (bool): True if the caller repeats a request that timed out in
            a smaller form; the transport then leaves it to the caller.
        repeated (int): repeats of the present request so far. Reset by
            `begin`, but for a caller that `resizes`: it counts them too.
        inDoubt (bool): an attempt of the request may have been carried out
            without a readable answer. Reset by `begin`.
        stepSeconds (float): the longest that one read or write may take.
        sending (bool): the current attempt has put bytes on the wire.
        exchange: what the transport knows of the latest attempt.
        requests, repeats, bytes (int): counted for ``client.stats()``.
    """

    def __init__(self, timeout=None, giveUpAfter=settings.GIVE_UP_SECONDS,
                 clock=compat.monotonic):
        self._clock = clock
        self._giveUpAfter = giveUpAfter
        self._progressed = clock()
        self._end = None if timeout is None else self._progressed + timeout
        self.onTrouble = None
        self.repeatsUnsafe = True
        self.resizes = False
        self.repeated = 0
        self.stepSeconds = settings.READ_SECONDS
        self.inDoubt = False
        self.sending = False
        self.exchange = None
        self.requests = self.repeats = self.bytes = 0

    def begin(self, stepSeconds):
        """Start a new request, whose reads and writes take `stepSeconds`."""
        self.stepSeconds = stepSeconds
        self.inDoubt = self.sending = False
        if not self.resizes:
            self.repeated = 0

    def progressed(self):
        """Note that something was accepted: the wait for progress restarts."""
        self._progressed = self._clock()

    def left(self):
        """Return the seconds until the call has to end; may be negative."""
        now = self._clock()
        left = (float("inf") if self._giveUpAfter is None
                else self._progressed + self._giveUpAfter - now)
        return left if self._end is None else min(left, self._end - now)

    def trouble(self):
        """Tell the caller that a request did not go through at once."""
        if self.onTrouble is not None:
            self.onTrouble()

    def __enter__(self):
        stack = _stack()
        _dropDead(stack)
        stack.append((self, _frame(1)))
        return self

    def __exit__(self, *_):
        stack = _stack()
        for place in range(len(stack) - 1, -1, -1):
            if stack[place][0] is self:
                del stack[place:]  # an interrupted inner one as well
                break


def current(default=Call):
    """Return this thread's running call, or a new one made by `default`."""
    stack = _stack()
    _dropDead(stack)
    if stack:
        return stack[-1][0]
    return default() if default is not None else None


def running():
    """Return the call that the code below `current` runs in, or None."""
    stack = _stack()
    return stack[-1][0] if stack else None


def _stack():
    """The calls of this thread with who entered them, the innermost last."""
    try:
        return _threads.stack
    except AttributeError:
        _threads.stack = []
        return _threads.stack


def _dropDead(stack):
    """Forget calls whose end an interrupt has skipped.

    A KeyboardInterrupt in the first instant of `__exit__`, or in the last one
    of `__enter__`, leaves its call behind, with limits that are long over.
    Whoever entered a living one is still at work, somewhere above us.
    """
    while stack and stack[-1][1] is not None:
        frame = sys._getframe(2)
        while frame is not None and frame is not stack[-1][1]:
            frame = frame.f_back
        if frame is not None:
            break
        stack.pop()


def _frame(depth):
    """The frame that called our caller, if this Python can tell."""
    return sys._getframe(depth + 1) if hasattr(sys, "_getframe") else None
