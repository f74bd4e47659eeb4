"""Watches for devices that have fallen silent, for those who read the metrics."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Callable

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import ServerError, StorageUnavailable
from iobeam_server.metrics import Metrics, Silent
from iobeam_server.storage.store import Storage

log = logging.getLogger(__name__)

EVERY_S = 30.0  # between two looks...
END_S = 5.0  # for a look that is under way to end
SHARE = 50  # ... or so many times as long as one takes


class Watch:
    """Looks now and again which devices are silent, in a thread of its own.

    The metrics show what it has seen last: they are answered whatever the database does.

    Args:
        store: where the devices are.
        metrics: which shows them.
        clock: seconds since the epoch.
    """

    def __init__(
        self, store: Storage, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._clock = clock
        self._seen: Sequence[Silent] = ()
        self._ended = threading.Event()
        self._deadline = Deadline(None)
        metrics.watch_silence(lambda: self._seen, clock)
        self._thread = threading.Thread(target=self._run, name="iobeam-silence", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, also where the database does not answer."""
        self._ended.set()
        self._deadline.cancel(StorageUnavailable("the server is stopping"))
        self._thread.join(END_S)

    def look(self) -> None:
        """Look once; raises ServerError where the database does not answer."""
        now_us = int(self._clock() * 1_000_000)
        seen: list[Silent] = []
        for project in self._store.projects.all():
            if self._ended.is_set():
                return
            for one in self._store.activity.of_project(project.project_id, now_us):
                if one.is_silent and one.last is not None:
                    seen.append(Silent(project.project_id, one.device_id, one.last / 1_000_000))
        self._seen = seen

    def _run(self) -> None:
        with deadlines.running(self._deadline):
            self._look_now_and_again()

    def _look_now_and_again(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                self.look()
            except ServerError as error:
                log.debug("which devices are silent is not known: %s", error)
            except Exception:  # the edge of the thread
                log.exception("looking for silent devices failed")
            self._ended.wait(max(EVERY_S, SHARE * (time.monotonic() - began)))
