"""Interrupts at every instant: before each bytecode of the library in turn.

Or before each line of all that runs, what the library stands on included; also
before each line only on Pythons that cannot trace bytecodes (up to 3.6), or do not take
an exception everywhere there. What comes is KeyboardInterrupt, or what a signal
handler would do.
"""
from __future__ import absolute_import

import os
import sys

from tests import disk

# 3.7 to 3.9 end in "returned a result with an error set" where it comes as a
# function returns.
OPCODES = sys.version_info >= (3, 10)
_LIBRARY = os.path.join(disk.ROOT, "iobeam") + os.sep
# A double is not what a device runs.
_DOUBLES = (_LIBRARY + "fake", _LIBRARY + "testing")
_TESTS = os.path.join(disk.ROOT, "tests") + os.sep


def interrupt():
    """What Ctrl-C does."""
    raise KeyboardInterrupt


def isOfLibrary(name):
    """Tell whether a file of code is the library's."""
    return name.startswith(_LIBRARY) and not name.startswith(_DOUBLES)


class Interrupt(object):
    """Carries out `act` at instant `number` of what it runs, once.

    Attributes:
        isDue (bool): that instant has come.
        line (str, int): the file and the line that it came before.
        isDropped (bool): nothing of it came out of what ran.
    """

    def __init__(self, number, act=interrupt, covers=isOfLibrary,
                 opcodes=OPCODES):
        self._left = number
        self.line, self.isDropped = None, False
        self._act = act
        self._covers = covers
        self._event = "opcode" if opcodes else "line"

    @property
    def isDue(self):
        return self._left < 0

    def run(self, work):
        """Returns whether `work` came to its end before that instant.

        An exit out of `act` ends it as KeyboardInterrupt does.
        """
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            work()
            self.isDropped = self.isDue
            return not self.isDue
        except (KeyboardInterrupt, SystemExit):
            return False
        finally:
            sys.settrace(before)
            if sys.version_info[0] == 2:
                sys.exc_clear()  # or its traceback lives on in this frame

    def _enter(self, frame, event, _):
        if not self._covers(frame.f_code.co_filename):
            return None
        if self._event == "opcode":
            frame.f_trace_opcodes = True
        return self._trace

    def _trace(self, frame, event, _):
        if event == self._event:
            self._left -= 1
            if self._left == -1:
                self.line = frame.f_code.co_filename, frame.f_lineno
                self._act()
        return self._trace


def everyInstant(begin, work, check, step=1, act=lambda state: interrupt()):
    """Interrupt ``work(state)`` at each of its instants.

    Args:
        begin (callable): returns a new state.
        check (callable): is given (state, whether `work` came to its end).
        step (int): leave out so many less one.
        act (callable): what happens there; takes the state.

    Returns:
        int: the number of instants.
    """
    # Once without: 3.13 tells of instructions from the second run of a function.
    state = begin()
    check(state, Interrupt(sys.maxsize).run(lambda: work(state)))
    number = 0
    while True:
        state = begin()
        isDone = Interrupt(number, lambda: act(state)).run(
            lambda: work(state))
        check(state, isDone)
        if isDone:
            return number
        number += step


def everyLine(begin, work, step=1):
    """Interrupt ``work(state)`` before each line of all that runs but tests.

    Returns:
        int, list of (str, int): how many were interrupted, and the lines of
        which the interrupt did not come out of `work`.
    """
    number, dropped = 0, []
    while True:
        state = begin()
        made = Interrupt(
            number, covers=lambda name: not name.startswith(_TESTS),
            opcodes=False)
        made.run(lambda: work(state))
        if not made.isDue:
            return number // step, dropped
        if made.isDropped:
            dropped.append(made.line)
        number += step
