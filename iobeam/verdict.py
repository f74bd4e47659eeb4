"""What an answer means for the rows it is about. Pure: no client, no outbox.

`judge` sorts answers; `Halving` finds the rows of a refused request that are
the reason, by trying it in smaller parts.
"""
from __future__ import absolute_import

from iobeam.utils import compat

ACCEPTED = "accepted"  # the rows are the backend's
REFUSED = "refused"  # some of them never will be
TOO_LARGE = "too large"  # for something on the way, not for the backend
UNAUTHORIZED = "unauthorized"  # this token may not send them
UNKNOWN_DEVICE = "unknown device"
NOT_FOUND = "not found"  # nor can a registration change that
UNREADABLE = "unreadable"  # success, but not with this body: may be stored
FAILED = "failed"  # now; later it may be different

_SUCCESSES = (200, 201, 204)
_REFUSALS = (400, 413, 422)

MAX_PROBES = 24  # requests for one refused stretch while none is accepted
ALL = "all"  # the whole stretch counts as refused


def judge(status, isAccepted, isApiError, isUnknown=False):
    """Sort an answer.

    Args:
        status (int or None): of the answer.
        isAccepted (bool): it says that the rows were taken.
        isApiError (bool): the backend itself says what is wrong, not a proxy
            on the way: JSON with ``errors``.
        isUnknown (bool): the error has the code of what is not found.

    Returns:
        str: one of the words above.
    """
    if isAccepted:
        return ACCEPTED
    if status in _SUCCESSES:
        return UNREADABLE
    if status in _REFUSALS and isApiError:
        return REFUSED
    if status == 413:
        return TOO_LARGE
    if status in (401, 403):
        return UNAUTHORIZED
    if status == 404:
        return UNKNOWN_DEVICE if isUnknown else NOT_FOUND
    return FAILED


class Halving(object):
    """The sizes in which a refused stretch of rows is tried, front first.

    Attributes:
        size (int or None): rows of the next try; None outside of a stretch.
    """

    def __init__(self):
        self._sizes = []  # the next one last
        self._probes = 0
        self._hasAccepted = False

    @property
    def size(self):
        return self._sizes[-1] if self._sizes else None

    def accepted(self, count):
        """Note that the first `count` rows were accepted."""
        self._hasAccepted = True
        self.decided(count)

    def decided(self, count):
        """Take rows off the front of the stretch."""
        while self._sizes and count > 0:
            taken = min(count, self._sizes[-1])
            self._sizes[-1] -= taken
            count -= taken
            if not self._sizes[-1]:
                self._sizes.pop()

    def giveUp(self):
        """Leave the stretch undecided."""
        del self._sizes[:]

    def refused(self, count, parts=(), row=None):
        """Note that the first `count` rows were refused together.

        Args:
            parts (sequence of int): rows of the chunks that they came from.
            row (int or None): the one that the backend names.

        Returns:
            int, str or None: the row that is the reason, counted from the
            front: to be taken out; `ALL`: the whole stretch is; None: it is
            to be tried in smaller parts.
        """
        if not self._sizes:
            self._sizes = [count]
            self._probes = 0
            self._hasAccepted = False
        self._probes += 1
        if len(parts) > 1:
            self.decided(count)
            self._sizes.extend(reversed(parts))
            return None
        if self._probes >= MAX_PROBES and not self._hasAccepted:
            return ALL
        if count == 1:
            return 0
        if compat.isInteger(row) and 0 <= row < count:
            return row
        self.decided(count)
        self._sizes += [count - count // 2, count // 2]
        return None
