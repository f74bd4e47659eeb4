"""Bytes of memory that the bodies of all requests may take together.

There are two of them: one for what has been received, one for what is made of it. Whoever
holds a share of the first may wait for one of the second, never the other way round; in a
single one the requests that were received could keep each other from being finished.
"""

from __future__ import annotations

import threading

from iobeam_server.errors import TooBusy

RETRY_AFTER_S = 1  # a full-size import is stored within that time


class Budget:
    """A number of bytes, shared by all threads.

    Args:
        limit: bytes that may be taken at once. Whoever finds nothing taken gets any
            number, else what is over the limit could never be served.
        waiting: how many may wait for their share; each holds a thread.
    """

    def __init__(self, limit: int, waiting: int = 0) -> None:
        self._limit = limit
        self._places = waiting
        self._waiting = 0
        self._taken = 0
        self._lock = threading.Lock()  # by itself it costs a third of the condition on it
        self._given = threading.Condition(self._lock)

    @property
    def taken(self) -> int:
        """Bytes in use."""
        return self._taken

    def take(self, size: int, wait_s: float = 0.0) -> None:
        """Take a share, which the caller gives back.

        Args:
            size: bytes.
            wait_s: seconds to wait for others to give theirs back; 0 is not at all.

        Raises:
            TooBusy: there is no room for it; nothing was taken.
        """
        with self._lock:
            if not self._fits(size):
                self._wait(size, wait_s)
            self._taken += size

    def give(self, size: int) -> None:
        """Give bytes back, all of a share or a part."""
        with self._lock:
            self._taken -= size
            if self._waiting:
                self._given.notify_all()

    def _fits(self, size: int) -> bool:
        return self._taken == 0 or self._taken + size <= self._limit

    def _wait(self, size: int, wait_s: float) -> None:
        """Wait until the size fits; the caller holds the lock."""
        fits = False
        if wait_s > 0 and self._waiting < self._places:
            self._waiting += 1
            try:
                fits = self._given.wait_for(lambda: self._fits(size), wait_s)
            finally:
                self._waiting -= 1
        if not fits:
            raise TooBusy(
                f"the bodies of other requests take {self._taken} bytes of the {self._limit} "
                f"that all may take; {size} more do not fit now, try again",
                retry_after_s=RETRY_AFTER_S,
            )
