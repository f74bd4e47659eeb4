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

from iobeam_server.errors import ServerError, StorageUnavailable, TooBusy
from iobeam_server.metrics import Metrics
from iobeam_server.storage.base import Batch, Storage

log = logging.getLogger(__name__)

VALUES_PER_S = 200_000  # assumed until something was written; decides Retry-After only


class _Ticket:
    """A batch that waits for its commit."""

    __slots__ = ("batch", "done", "error", "values")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.values = max(1, batch.values)
        self.done = threading.Event()
        self.error: Optional[BaseException] = None


class Writer:
    """Writes batches in groups, from one thread of its own.

    Args:
        store: where to.
        group_values: values in one transaction, unless a single batch has more.
        high_water_values: values that may wait; above it `write` refuses.
        metrics: where it counts; None is nowhere that anybody sees.
    """

    def __init__(
        self,
        store: Storage,
        group_values: int,
        high_water_values: int,
        metrics: Optional[Metrics] = None,
    ) -> None:
        self._store = store
        self._group_values = group_values
        self._high_water = high_water_values
        self._changed = threading.Condition()
        self._queue: collections.deque[_Ticket] = collections.deque()
        self._queued_values = 0
        self._closing = False
        self._metrics = metrics or Metrics()
        self._metrics.watch_queue(lambda: self._queued_values, lambda: len(self._queue))
        self._thread = threading.Thread(target=self._run, name="iobeam-writer", daemon=True)
        self._thread.start()

    def write(self, batch: Batch) -> None:
        """Store a batch; return when it is durable. Safe for threads.

        Raises:
            TooBusy: the queue is above the high-water mark; nothing was stored.
            ServerError: why the batch was refused.
            StorageUnavailable: the database did not take it; nothing was stored.
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
        ticket.done.wait()
        if ticket.error is not None:
            raise ticket.error

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
            self._commit(group)

    def _take(self) -> list[_Ticket]:
        """Take the next group off the queue; the caller holds the lock, the queue is not empty."""
        group = [self._queue.popleft()]
        total = group[0].values
        while self._queue and total + self._queue[0].values <= self._group_values:
            group.append(self._queue.popleft())
            total += group[-1].values
        self._queued_values -= total
        return group

    def _commit(self, group: list[_Ticket]) -> None:
        began = time.perf_counter()
        try:
            results = self._store.write([ticket.batch for ticket in group])
            for ticket, error in zip(group, results):
                ticket.error = error
            stored = sum(t.batch.values for t in group if t.error is None)
            self._metrics.commit_seconds.observe(time.perf_counter() - began)
            self._metrics.commit_requests.inc(len(group))
            self._metrics.values_stored.inc(stored)
        except ServerError as error:
            for ticket in group:
                # one instance each: a traceback belongs to one thread
                ticket.error = type(error)(error.message, retry_after_s=error.retry_after_s)
        except Exception:  # the edge of the thread: it must live, and nobody may wait for ever
            log.exception("writing %d requests failed", len(group))
            for ticket in group:
                ticket.error = RuntimeError("writing failed, see the server's log")
        for ticket in group:
            ticket.done.set()
