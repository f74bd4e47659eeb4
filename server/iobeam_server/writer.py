"""Group commit: requests that arrive together share a transaction.

A durable commit costs a sync of the disk however little it holds. Whoever comes while nobody
writes, writes in its own thread; while it commits, the next requests gather in a queue and go
together, written by the first of them. Each is answered after the commit that holds it.
"""

from __future__ import annotations

import collections
import logging
import math
import threading
import time
from typing import Optional

from iobeam_server import deadlines
from iobeam_server.errors import ServerError, StorageAway, StorageUnavailable, TooBusy
from iobeam_server.metrics import Metrics
from iobeam_server.storage.base import Batch, Points

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5  # of a batch that was taken back
VALUES_PER_S = 200_000  # assumed until something was written; decides Retry-After only


class _Ticket:
    """A batch that waits for its commit."""

    __slots__ = ("_woken", "batch", "begun", "error", "is_done", "values")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.values = batch.values
        self.begun = False
        self.is_done = False
        self.error: Optional[BaseException] = None
        self._woken = threading.Lock()  # a tenth of what an event costs
        self._woken.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Return when it is done, or its thread is to write; False when the time is over."""
        return self._woken.acquire(timeout=seconds)

    def wake(self) -> None:
        self._woken.release()


class Writer:
    """Writes batches in groups, one group at a time.

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
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._queue: collections.deque[_Ticket] = collections.deque()
        self._queued_values = 0
        self._is_writing = False  # some thread; while it is not, the queue is empty
        self._closing = False
        self._hurries = False
        self._metrics = metrics or Metrics()
        self._metrics.watch_queue(lambda: self._queued_values, lambda: len(self._queue))

    def write(self, batch: Batch) -> None:
        """Store a batch; return when it is durable. Safe for threads.

        Raises:
            TooBusy: the queue is above the high-water mark; nothing was stored.
            ServerError: why the batch was refused.
            StorageUnavailable: the database did not take it, or was busy with others for all
                of the time that it may wait; nothing was stored.
        """
        ticket = _Ticket(batch)
        with self._lock:
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
            must_wait, self._is_writing = self._is_writing, True
        if must_wait and not ticket.wait(self._wait_s):
            self._withdraw(ticket)
            ticket.wait()
        if not ticket.is_done:
            self._write_next()
        if ticket.error is not None:
            raise ticket.error

    def _withdraw(self, ticket: _Ticket) -> None:
        """Take back a batch that was not begun, so that no thread waits for ever.

        One that was begun is stored or refused, and told so: never refused and stored.
        """
        with self._lock:
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
        """Return when what is queued is written; no more is taken. Idempotent."""
        with self._idle:
            self._closing = True
            self._idle.wait_for(lambda: not self._is_writing)

    def _write_next(self) -> None:
        """Write the next group, of which the caller's batch is the first."""
        with self._lock:
            group = self._take()
        is_stored = False
        try:
            # nor does the end of one request end what is done for the others
            with deadlines.running(None):
                is_stored = self._commit(group)
        finally:  # or nobody would ever write again
            self._pass_on(group, is_stored)

    def _pass_on(self, written: list[_Ticket], is_stored: bool) -> None:
        """Have the group after this one written; then tell who waited what came of it."""
        with self._lock:
            if self._hurries and not is_stored:
                written += self._refuse_all()
            self._is_writing = bool(self._queue)
            if self._queue:
                self._queue[0].begun = True  # nobody takes it back any more
                self._queue[0].wake()
            else:
                self._idle.notify_all()
        for ticket in written[1:]:  # the first is the caller's, who does not wait
            ticket.is_done = True
            ticket.wake()

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

    def _refuse_all(self) -> list[_Ticket]:
        """Take everything off the queue, refused; the caller holds the lock."""
        left = [*self._queue]
        self._queue.clear()
        self._queued_values = 0
        for ticket in left:
            ticket.begun = True
            message = "the server is stopping, nothing was stored"
            ticket.error = StorageUnavailable(message, retry_after_s=RETRY_AFTER_S)
        return left

    def _commit(self, group: list[_Ticket]) -> bool:
        """Write a group, note what came of each; return whether the database took it."""
        is_taken = False
        began = time.perf_counter()
        try:
            results = self._store.write([ticket.batch for ticket in group])
            self._is_stuck = False
            is_taken = True
            for ticket, error in zip(group, results):
                ticket.error = error
            stored = sum(ticket.values for ticket in group if ticket.error is None)
            self._metrics.commit_seconds.observe(time.perf_counter() - began)
            self._metrics.commit_requests.inc(len(group))
            self._metrics.values_stored.inc(stored)
        except ServerError as error:
            for ticket in group:
                # one instance each: a traceback belongs to one thread
                message = f"{error.message}; nothing was stored"
                ticket.error = type(error)(message, retry_after_s=error.retry_after_s)
        except BaseException as error:  # nobody may wait for ever, nor be told that it is stored
            log.exception("writing %d requests failed", len(group))
            for ticket in group:
                ticket.error = RuntimeError("writing failed, see the server's log")
            if not isinstance(error, Exception):
                raise
        return is_taken
