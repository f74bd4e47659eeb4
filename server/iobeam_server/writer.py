"""Group commit: requests that arrive together share a transaction.

A durable commit costs a sync of the disk however little it holds. One thread
writes; while it commits, the next requests gather in a queue and go together.
Each is answered after the commit that holds it.
"""

from __future__ import annotations

import collections
import logging
import math
import threading
import time
from typing import Optional

from iobeam_server.errors import ServerError, StorageAway, StorageUnavailable, TooBusy
from iobeam_server.metrics import Metrics
from iobeam_server.storage.base import Batch, Points

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5  # of a batch that was taken back
VALUES_PER_S = 200_000  # assumed until something was written; decides Retry-After only


class _Ticket:
    """A batch that waits for its commit."""

    __slots__ = ("batch", "begun", "done", "error", "values")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.values = max(1, batch.values)
        self.begun = False
        self.done = threading.Event()
        self.error: Optional[BaseException] = None


class Writer:
    """Writes batches in groups, from one thread of its own.

    Args:
        store: where to.
        group_values: values in one transaction, unless a single batch has more.
        high_water_values: values that may wait; above it `write` refuses.
        wait_s: seconds that a batch may wait for its turn.
        metrics: where it counts; None is nowhere that anybody sees.
    """

    def __init__(
        self,
        store: Points,
        group_values: int,
        high_water_values: int,
        wait_s: float = 10.0,
        metrics: Optional[Metrics] = None,
    ) -> None:
        self._store = store
        self._group_values = group_values
        self._high_water = high_water_values
        self._wait_s = wait_s
        self._is_stuck = False  # and the log has said so
        self._changed = threading.Condition()
        self._queue: collections.deque[_Ticket] = collections.deque()
        self._queued_values = 0
        self._closing = False
        self._hurries = False
        self._metrics = metrics or Metrics()
        self._metrics.watch_queue(lambda: self._queued_values, lambda: len(self._queue))
        self._thread = threading.Thread(target=self._run, name="iobeam-writer", daemon=True)
        self._thread.start()

    def write(self, batch: Batch) -> None:
        """Store a batch; return when it is durable. Safe for threads.

        Raises:
            TooBusy: the queue is above the high-water mark; nothing was stored.
            ServerError: why the batch was refused.
            StorageUnavailable: the database did not take it, or was busy with others for all
                of the time that it may wait; nothing was stored.
        """
        ticket = _Ticket(batch)
        with self._changed:
            if self._closing:
                raise StorageUnavailable("the server is stopping", retry_after_s=5)
            # an empty queue takes any batch, else one over the mark could never be stored
            if self._queue and self._queued_values + ticket.values > self._high_water:
                self._metrics.writer_refusals.inc()
                wait = math.ceil(self._queued_values / VALUES_PER_S)
                raise TooBusy(
                    f"{self._queued_values} values wait to be written; try again in {wait} s",
                    retry_after_s=max(1, wait),
                )
            self._queue.append(ticket)
            self._queued_values += ticket.values
            self._changed.notify()
        if not ticket.done.wait(self._wait_s):
            self._withdraw(ticket)
            ticket.done.wait()
        if ticket.error is not None:
            raise ticket.error

    def _withdraw(self, ticket: _Ticket) -> None:
        """Take back a batch that was not begun, so that no thread waits for ever.

        One that was begun is stored or refused, and told so: never refused and stored.
        """
        with self._changed:
            if ticket.begun:
                return
            self._queue.remove(ticket)
            self._queued_values -= ticket.values
            was_known, self._is_stuck = self._is_stuck, True
        message = (
            f"the database was busy for {self._wait_s:g} s, nothing was stored: "
            "another program holds its lock, or its disk is slow; send it again"
        )
        if not was_known:
            log.error("%s; so it goes until a commit succeeds", message)
        raise StorageAway(message, retry_after_s=RETRY_AFTER_S)

    def hurry(self) -> None:
        """From here on, try a database that takes nothing no second time; safe in a signal handler.

        What is queued behind the group that it did not take is refused at once: one wait for
        a lock fits into the time that a server gets to stop, a row of them does not.
        """
        self._hurries = True

    def close(self) -> None:
        """Write what is queued, then stop the thread. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                group = self._take()
            is_stored = self._commit(group)
            del group  # or it would stay in memory until the next one
            if not is_stored and self._hurries:
                self._refuse_all()

    def _take(self) -> list[_Ticket]:
        """Take the next group off the queue; the caller holds the lock, the queue is not empty."""
        group = [self._queue.popleft()]
        total = group[0].values
        while self._queue and total + self._queue[0].values <= self._group_values:
            group.append(self._queue.popleft())
            total += group[-1].values
        self._queued_values -= total
        for ticket in group:
            ticket.begun = True
        return group

    def _refuse_all(self) -> None:
        with self._changed:
            left = list(self._queue)
            self._queue.clear()
            self._queued_values = 0
            for ticket in left:
                ticket.begun = True  # nobody takes it back any more
        for ticket in left:
            message = "the server is stopping, nothing was stored"
            ticket.error = StorageUnavailable(message, retry_after_s=RETRY_AFTER_S)
            ticket.done.set()

    def _commit(self, group: list[_Ticket]) -> bool:
        """Write a group and tell all who wait for it; return whether the database took it."""
        is_taken = False
        began = time.perf_counter()
        try:
            results = self._store.write([ticket.batch for ticket in group])
            self._is_stuck = False
            is_taken = True
            for ticket, error in zip(group, results):
                ticket.error = error
            stored = sum(t.batch.values for t in group if t.error is None)
            self._metrics.commit_seconds.observe(time.perf_counter() - began)
            self._metrics.commit_requests.inc(len(group))
            self._metrics.values_stored.inc(stored)
        except ServerError as error:
            for ticket in group:
                # one instance each: a traceback belongs to one thread
                message = f"{error.message}; nothing was stored"
                ticket.error = type(error)(message, retry_after_s=error.retry_after_s)
        except Exception:  # the edge of the thread: it must live, and nobody may wait for ever
            log.exception("writing %d requests failed", len(group))
            for ticket in group:
                ticket.error = RuntimeError("writing failed, see the server's log")
        for ticket in group:
            ticket.done.set()
        return is_taken
