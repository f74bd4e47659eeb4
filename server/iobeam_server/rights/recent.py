"""What has been looked up lately: seconds old at most, and never older than a change of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import Any, Callable, TypeVar

from iobeam_server.storage.catalog import changes

MOST = 10_000  # entries, some 5 MB; beyond, the oldest makes room

V = TypeVar("V")


class Recent:
    """Values by key. Safe for threads.

    Args:
        keep_s: seconds that a value is good for; 0 looks everything up.
        clock: of seconds that no jump of the wall clock touches.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[Hashable, tuple[float, int, Any]] = {}

    def get(self, key: Hashable, look_up: Callable[[], V]) -> V:
        """Return the value of a key, from memory where that is recent enough.

        Args:
            key: hashable; the same key always goes with the same `look_up`.
            look_up: asks the database; what it raises is passed on, and not remembered.
        """
        # before looking up: what changes meanwhile makes the value old at once
        now, made = self._clock(), changes.made()
        found = self._found.get(key)
        if found is not None and found[1] == made and 0 <= now - found[0] < self._keep_s:
            value: V = found[2]
            return value
        value = look_up()
        if self._keep_s > 0:
            with self._lock:
                self._found.pop(key, None)
                if len(self._found) >= MOST:
                    del self._found[next(iter(self._found))]
                self._found[key] = (now, made, value)
        return value
