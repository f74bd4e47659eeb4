"""Threads by kind of work, so that no kind waits for another; what waits is bounded.

All of it runs in the thread of the loop, but for the work itself: so nothing is locked, and
who is next is decided when a thread is free, not when a request comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Callable, Optional

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import ServerError, TooBusy
from iobeam_server.front.calling import Answer

log = logging.getLogger(__name__)

JOIN_S = 2.0  # at the end, what a thread gets to finish


class Job:
    """One piece of work for a thread.

    Args:
        work: runs in the thread; what it returns goes to `done`.
        done: called in the loop with the answer of `work`, or with the error why there is none;
            not called for what was given up.
        address: who asked, for turns.
        seconds: the work may take; None is for ever.
        is_safe: it changes nothing, and may be ended half-way.
        release: called in the loop at its end in any case.
    """

    __slots__ = (
        "_done",
        "_release",
        "_work",
        "address",
        "deadline",
        "is_given_up",
        "is_safe",
        "result",
        "seconds",
        "since",
    )

    def __init__(
        self,
        work: Callable[[], Optional[Answer]],
        done: Callable[[Optional[Answer], Optional[Exception]], None],
        address: str,
        seconds: Optional[float] = None,
        is_safe: bool = True,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._done = done
        self._release = release
        self.address = address
        self.seconds = seconds
        self.is_safe = is_safe
        self.since = 0.0
        self.deadline: Optional[Deadline] = None
        self.is_given_up = False
        self.result: tuple[Optional[Answer], Optional[Exception]] = (None, None)

    def run(self) -> None:
        """Do the work; in its thread."""
        try:
            with deadlines.running(self.deadline):
                self.result = self._work(), None
        except Exception as error:
            self.result = None, error

    def finish(self, error: Optional[Exception] = None) -> None:
        """Tell what came of it."""
        self._release()
        if not self.is_given_up:
            self._done(*(self.result if error is None else (None, error)))
        elif self.result[0] is not None and self.result[0].file is not None:
            self.result[0].file.close()

    def give_up(self, error: Exception) -> bool:
        """Nobody waits for it any more: it is left out if it waits, and ended if it runs.

        False where it goes on, since it runs and is not safe to end.
        """
        if self.deadline is not None and not self.is_safe:
            return False
        self.is_given_up = True
        self.cancel(error)
        return True

    def cancel(self, error: Exception) -> None:
        """End it, if it runs, with an error for its answer."""
        if self.deadline is not None:
            self.deadline.cancel(error)


class Pool:
    """Some threads, and a bounded number of jobs that wait for one of them.

    Addresses take turns: one that asks a lot does not keep the others waiting, nor out. Where no
    more may wait, the newest job of the address with most of them makes room.

    Args:
        name: of its threads, too.
        threads: at most; each is started when it is first needed.
        waiting: jobs that may wait.
        patience_s: seconds that a job may wait.
        hand_back: called in a thread with a job that has been run.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        waiting: int,
        patience_s: float,
        hand_back: Callable[[Pool, Job], None],
    ) -> None:
        self.name = name
        self._most_threads = threads
        self._most_waiting = waiting
        self._patience_s = patience_s
        self._hand_back = hand_back
        self._threads: list[threading.Thread] = []
        self._ready: SimpleQueue[Optional[Job]] = SimpleQueue()
        self._turns: OrderedDict[str, deque[Job]] = OrderedDict()
        self._running: set[Job] = set()
        self.waiting = 0

    def submit(self, job: Job) -> None:
        """Run a job, or have it wait.

        Raises:
            TooBusy: too many wait, and nobody has more of them than who asks.
        """
        if len(self._running) < self._most_threads:
            self._start(job)
            return
        if self.waiting >= self._most_waiting:
            self._make_room(job.address)
        job.since = time.monotonic()
        self._turns.setdefault(job.address, deque()).append(job)
        self.waiting += 1

    def _make_room(self, address: str) -> None:
        own = len(self._turns.get(address, ()))
        most = max(self._turns, key=lambda one: len(self._turns[one]), default=address)
        if len(self._turns.get(most, ())) <= own + 1:
            raise self._too_busy()
        newest = self._turns[most].pop()
        self.waiting -= 1
        newest.finish(self._too_busy())

    def _too_busy(self) -> TooBusy:
        return TooBusy(f"too many requests wait ({self.name}); try again", retry_after_s=2)

    def _start(self, job: Job) -> None:
        job.deadline = Deadline(job.seconds)
        self._running.add(job)
        if len(self._threads) < len(self._running):
            thread = threading.Thread(target=self._serve, name=f"iobeam-{self.name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._ready.put(job)

    def _serve(self) -> None:
        while True:
            job = self._ready.get()
            if job is None:
                return
            job.run()
            self._hand_back(self, job)
            del job  # or what it holds would stay until the next one

    def collect(self, job: Job) -> None:
        """Take back a job that was run; the next one begins."""
        self._running.discard(job)
        self._start_next()
        job.finish()

    def _start_next(self) -> None:
        while self._turns and len(self._running) < self._most_threads:
            job = self._take()
            if job.is_given_up:
                job.finish()
            else:
                self._start(job)

    def _take(self) -> Job:
        address, jobs = next(iter(self._turns.items()))
        job = jobs.popleft()
        self.waiting -= 1
        if jobs:
            self._turns.move_to_end(address)
        else:
            del self._turns[address]
        return job

    def look(self, now: float) -> None:
        """Refuse what has waited too long, forget what was given up, end what takes too long."""
        for job in list(self._running):
            if job.deadline is not None and job.deadline.is_over:
                with contextlib.suppress(ServerError):
                    job.deadline.check()  # which cancels it: what waits is interrupted
        late = [
            job
            for jobs in self._turns.values()
            for job in jobs
            if job.is_given_up or now - job.since > self._patience_s
        ]
        for job in late:
            jobs = self._turns[job.address]
            jobs.remove(job)
            self.waiting -= 1
            if not jobs:
                del self._turns[job.address]
            job.finish(self._too_busy())

    def cancel_all(self, error: ServerError) -> None:
        """End what runs and what waits."""
        for job in list(self._running):
            job.cancel(error)
        while self._turns:
            self._take().finish(error)

    def close(self, until: float) -> None:
        """End the threads; those that still work at a moment are left alone."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


def asker(peer: str, forwarded: Optional[str]) -> str:
    """Return whose turn a request takes.

    Args:
        peer: the address that the connection comes from.
        forwarded: the header X-Forwarded-For. It counts where the peer is this machine, a proxy
            then: the last address in it is the one that the proxy saw, the others are hearsay.

    Returns:
        An address, or the network of one IPv6 line, whose owner has 2**64 addresses to use.
    """
    if forwarded and (peer.startswith("127.") or peer == "::1"):
        peer = forwarded.rpartition(",")[2].strip()[:100] or peer
    if ":" not in peer:
        return peer
    try:
        address = ipaddress.IPv6Address(peer.strip("[]").partition("%")[0])
    except ValueError:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


class Pools:
    """The pools of a server, and the way back from their threads into the loop."""

    def __init__(self, sizes: dict[str, tuple[int, int]], patience_s: float) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._done: deque[tuple[Pool, Job]] = deque()
        self._is_woken = False
        self._pools = {
            name: Pool(name, threads, waiting, patience_s, self._hand_back)
            for name, (threads, waiting) in sizes.items()
        }

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def __getitem__(self, name: str) -> Pool:
        return self._pools[name]

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def _hand_back(self, pool: Pool, job: Job) -> None:
        """Bring a job back; wakes the loop only where nobody has yet."""
        self._done.append((pool, job))
        if not self._is_woken:
            self._is_woken = True
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:  # the loop is closed: nobody waits
                job.is_given_up = True
                job.finish()

    def _collect(self) -> None:
        self._is_woken = False
        while self._done:
            pool, job = self._done.popleft()
            pool.collect(job)

    def close(self) -> None:
        until = time.monotonic() + JOIN_S
        for pool in self:
            pool.close(until)
