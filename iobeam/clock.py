"""What time it is: by this machine, or by the server where that is asked for.

What was learnt of another clock is kept as that clock's lead over one that
nobody sets, so that setting this machine's clock between two sends changes
nothing. Times inside are whole microseconds.
"""
from __future__ import absolute_import

import time

from iobeam.utils import compat, utils

_MAX_MSEC = 10 ** 14  # the year 5138: what says more is no clock
_LONG = 2000000  # us of asking: half of it may be the error
_WRONG_SECONDS = 60  # of this machine's clock: worth a warning


def _countsSleep():
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME) >= 0  # novm
    except (AttributeError, EnvironmentError):
        return False


if _countsSleep():
    def elapsed():
        """Seconds since some fixed instant, those of a suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)  # novm
else:
    # Before Python 3.7, and where the system is no Linux, it may stand still
    # while the machine is suspended: then "now" lags until the next send.
    elapsed = compat.monotonic


class Clock(object):
    """The clock of one client.

    Args:
        usesServer (bool): "now" is the server's time as soon as it is known.

    Attributes:
        offset (int or None): s that the backend's clock was ahead of ours when
            an answer said so.
    """

    def __init__(self, usesServer=False):
        self.usesServer = usesServer
        self._lead = None  # the server's time less `elapsed`
        self._unsettled = 0  # passes over the rows that are still to be made
        self._warned = set()
        self._lastDate = None  # the last Date header
        self.offset = None

    # -- what rows without a timestamp get ------------------------------------

    def now(self):
        """Return this instant in microseconds, in whole milliseconds."""
        if not self.usesServer:
            return int(utils.time.time() * 1000) * 1000
        lead = self._lead
        moment = _elapsed()
        if lead is not None:
            return (lead + moment) // 1000 * 1000
        self._warnOnce("the server's time is not known yet: rows without a "
                       "timestamp get this machine's, until it is")
        self._unsettled = 2
        found = _Unsettled(_local() // 1000 * 1000)
        found.elapsed = moment
        return found

    def learn(self, ask):
        """Ask for the server's time; what is known stays if it is not told.

        Args:
            ask (callable): returns it in milliseconds, or -1.
        """
        best = None
        for _ in range(2):  # again if repeats may have widened the span
            before = _elapsed()
            server = ask()
            took = _elapsed() - before
            if 0 <= server <= _MAX_MSEC and (best is None or took < best):
                best = took
                self._lead = server * 1000 - (before + took // 2)
            if best is None or took < _LONG:
                break

    def owesTimes(self):
        """Tell whether rows may wait whose times `settled` would put right."""
        if self._lead is None or not self._unsettled:
            return False
        # a second time with the next send: a row may have been on its way
        # into its store during the first
        self._unsettled -= 1
        return True

    def settled(self, moment):
        """Return the time of a row, by the server's clock now known."""
        if type(moment) is _Unsettled and self._lead is not None:
            return (self._lead + moment.elapsed) // 1000 * 1000
        return moment

    # -- what answers tell ----------------------------------------------------

    def noteDate(self, header):
        """Hold the Date header of an answer against this machine's clock."""
        if header == self._lastDate:  # it counts seconds: nothing new
            return
        self._lastDate = header
        # here: it loads sockets and more, which cost a third of the import
        import email.utils

        try:
            parsed = email.utils.parsedate_tz(header) if header else None
            moment = None if parsed is None else email.utils.mktime_tz(parsed)
        except (ValueError, OverflowError):  # such as the year 99999
            return
        if moment is None:
            return
        self.offset = moment - int(utils.time.time())
        if abs(self.offset) > _WRONG_SECONDS:
            self._warnOnce("the clock of this machine and the backend's are "
                           "%d seconds apart: set it, or see useServerTime()",
                           self.offset)

    def _warnOnce(self, message, *args):
        if message not in self._warned:
            self._warned.add(message)
            utils.getLogger().warning(message, *args)


class _Unsettled(compat.INTEGERS[-1]):
    """A time by this machine's clock, which waits for the server's.

    Attributes:
        elapsed (int): when that was, by the clock that nobody sets.
    """


def _local():
    return int(round(utils.time.time() * 1000000))


def _elapsed():
    return int(round(elapsed() * 1000000))
