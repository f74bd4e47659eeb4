"""A lock for calls that signals, finalizers and Ctrl-C come into.

The rule of re-entrancy, for the whole library:

1. Whoever changes what is shared, between clients' threads, holds the gate of
   it, by a ``with`` in a plain function (no generator).
2. A call that finds a gate held by its own thread, since a signal handler or a
   finalizer runs amid the other call, does not wait for itself and changes
   nothing: a reader reads, for what is shared is whole at every instant; a
   writer leaves its work to the other call by `later`, which does it at its
   end, also when an exception unwinds it.
3. What an exception has cut short is finished by the next one who comes. A
   gate therefore belongs to a frame, and is free as soon as that is off the
   stack: KeyboardInterrupt may come between any two instructions, also between
   taking a lock and the ``try`` that would give it back.

Rows, for one, are put down where they go before they are taken away from where
they were, and the one who comes next can tell that they are there twice.
"""
from __future__ import absolute_import

import collections
import sys
import threading
import time

from iobeam.utils import compat

_POLL_SECONDS = 0.05  # at which the holder's frame is looked for again
_POLL2_SECONDS = 0.002  # the same on Python 2, which is not woken

_getframe = sys._getframe
_threadId = compat.threadId

_late = collections.deque()  # work that was left to calls already running


def later(work):
    """Let the call that this one came amid carry out `work` at its end.

    Args:
        work (callable): may be called twice, if that end is interrupted.
    """
    _late.append(work)


def catchUp():
    """Carry out what was left by `later`; what asks for it again waits."""
    held = _catching.hold(_getframe(), 0)
    if held is None:
        return  # amid it, or another thread is at it
    try:
        for _ in range(len(_late)):
            work = _late[0]
            work()
            _late.remove(work)  # now: it must not get lost on the way
    finally:
        _catching.release(held)


class _Place(dict):
    """One call's place in the queue of a gate.

    Attributes:
        frame, thread: whose it is; no frame once it has been given back.
        isDone (bool): given back, or given up.
        before (_Place or None): the one it may have to wait for; None once it
            is inside.
        wake (Lock or None): held until the one before is done.

    As a dict it holds the next place, under 0: `setdefault` is atomic.
    """

    frame = thread = before = wake = None
    isDone = False

    def blocks(self):
        """Tell whether the call is still running."""
        if self.isDone:
            return False
        frame = self.frame
        found = sys._current_frames().get(self.thread)
        while found is not None:
            if found is frame:
                return True
            found = found.f_back
        return not self.isDone and frame is not None and _isSuspended(frame)

    def firstBefore(self):
        """Return the nearest place before this one whose call still runs."""
        place = self.before
        while place is not None and not place.blocks():
            place = place.before
        return place

    def isAmid(self, place):
        """Tell whether `place`, or one before it, is of this very thread."""
        while place is not None:
            if place.thread == self.thread and place.blocks():
                return True
            place = place.before
        return False


def _isSuspended(frame):
    """Tell a frame that waits in a greenlet from one that has ended."""
    if not hasattr(frame, "clear"):  # Python 2
        return "greenlet" in sys.modules
    try:
        frame.clear()  # refused by all that run or wait
    except RuntimeError:
        return True
    return False


class Gate(object):
    """Lets one call in at a time, in the order they came.

    ``with gate as entered``: True once inside; False amid a call of this
    thread that is inside already (rule 2). A function has one ``with`` on a gate
    at a time.
    """

    # A chain of places. The last one that is not done, and whose frame is
    # there, holds the gate; so taking it is one step, hanging oneself on the
    # chain, and giving it back is another, `isDone`. `_last` is a place near
    # the end of the chain.

    def __init__(self):
        self._last = self._holder = _Place()
        self._last.isDone = True

    def __enter__(self):
        # `hold` and `release`, written out: each send comes here five times
        place = _Place()
        place.frame = _getframe(1)
        place.thread = _threadId()
        before = self._last
        if (before.isDone and before.before is None
                and before.setdefault(0, place) is place):
            self._last = self._holder = place
            return True
        return self._enter(place, before, None)

    def __exit__(self, *_):
        place = self._holder
        if place.frame is _getframe(1):  # else it did not enter
            place.isDone = True
            place.frame = None
            if place:
                self._wake(place)
            if _late:
                catchUp()

    def within(self, seconds):
        """Return the gate for a ``with`` that gives up after `seconds`.

        It yields False if it has, too.
        """
        return _Within(self, seconds)

    def hold(self, frame, seconds=None):
        """Enter for a frame that runs now, until `release` or its end.

        Args:
            seconds (float or None): the longest wait.

        Returns:
            what `release` takes; None amid a call of this thread, or too late.
        """
        place = _Place()
        place.frame = frame
        place.thread = _threadId()
        before = self._last
        if (before.isDone and before.before is None
                and before.setdefault(0, place) is place):
            self._last = self._holder = place
            return place
        return place if self._enter(place, before, seconds) else None

    @staticmethod
    def release(place):
        """End a `hold`."""
        place.isDone = True
        place.frame = None
        if place:
            Gate._wake(place)

    @staticmethod
    def _wake(place):
        """Wake who waits behind a place."""
        if place[0].wake is not None:
            try:
                place[0].wake.release()
            except (RuntimeError, threading.ThreadError):
                pass  # it is awake

    def isHeldHere(self):
        """Tell whether this thread is amid a call that has entered, or waits."""
        place = self._holder
        if place.isDone and not place:
            return False  # nobody is there, and nobody waits
        thread = _threadId()
        while place is not None:
            if place.thread == thread and place.blocks():
                return True
            place = place.get(0)
        return False

    def _enter(self, place, before, seconds):
        place.before = before
        while True:
            found = before.setdefault(0, place)
            if found is place:
                break
            before = place.before = found
        self._last = place
        if place.firstBefore() is not None and not self._wait(place, seconds):
            place.isDone = True
            place.frame = None
            return False
        place.before = None
        self._holder = place
        return True

    @staticmethod
    def _wait(place, seconds):
        limit = None if seconds is None else compat.monotonic() + seconds
        place.wake = threading.Lock()
        place.wake.acquire()
        while True:
            first = place.firstBefore()
            if first is None:
                return True
            if place.isAmid(first):
                return False
            left = _POLL_SECONDS if limit is None else \
                min(_POLL_SECONDS, limit - compat.monotonic())
            if left <= 0:
                return False
            if compat.PY2:  # its locks know no time-out
                time.sleep(min(left, _POLL2_SECONDS))
            else:
                compat.acquireWithin(place.wake, left)


class _Within(object):

    def __init__(self, gate, seconds):
        self._gate = gate
        self._seconds = seconds
        self._held = None

    def __enter__(self):
        self._held = self._gate.hold(_getframe(1), self._seconds)
        return self._held is not None

    def __exit__(self, *_):
        if self._held is not None:
            self._gate.release(self._held)
            if _late:
                catchUp()


_catching = Gate()  # whoever carries out what others have left
