"""A database that is away is asked once in a while by one thread, not by every request."""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable, Optional

from iobeam_server.errors import StorageAway

log = logging.getLogger(__name__)

PAUSE_S = 0.25  # before the first look whether it is back; doubled each time
LONGEST_PAUSE_S = 2.0
TRUSTED_S = 2.0  # an answer of the database is believed for so long
RETRY_AFTER_S = 5


class Circuit:
    """Whether a database is known to be away; finds out by itself when it is back.

    Args:
        probe: asks the database; raises any exception where it does not answer. Takes a few
            seconds at most.
    """

    def __init__(self, probe: Callable[[], None]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._answered = -TRUSTED_S
        self._away: Optional[str] = None
        self._closed = threading.Event()

    def check(self) -> None:
        """Raise StorageAway while the database is known to be away."""
        away = self._away
        if away is not None:
            raise StorageAway(away, retry_after_s=RETRY_AFTER_S)

    def suspect(self) -> None:
        """Something failed: ask whether the database is away; raises StorageAway if it is."""
        with self._lock:  # one asks, the others take its word
            if self._away is None and time.monotonic() > self._answered + TRUSTED_S:
                try:
                    self._probe()
                    self._answered = time.monotonic()
                except Exception as error:
                    self._away = f"the database is away: {' '.join(str(error).split())}"
                    log.error("%s; requests get 503 until it is back", self._away)
                    threading.Thread(target=self._watch, name="iobeam-circuit", daemon=True).start()
        self.check()

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _watch(self) -> None:
        pause = PAUSE_S
        while not self._closed.wait(pause):
            try:
                self._probe()
            except Exception:
                pause = min(LONGEST_PAUSE_S, 2 * pause)
                continue
            log.warning("the database is back")  # first: who is served again can see it
            with self._lock:
                self._answered = time.monotonic()
                self._away = None
            return
