"""How work for a request is ended early: its time is up, or its client has gone.

Whoever starts the work makes a `Deadline` and runs the work inside `running`; whoever does it
looks at `current`: loops call `check`, what waits for a database is `interrupting`. So nothing
between the two needs a parameter.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Callable, Optional

from iobeam_server.errors import QueryTimeout


class Deadline:
    """The end of one piece of work, as a time and as a word from outside. Safe for threads.

    Args:
        seconds: until `check` refuses by itself; None is never.
        clock: seconds that only grow.
    """

    def __init__(
        self, seconds: Optional[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ends = None if seconds is None else clock() + seconds
        self._lock = threading.Lock()
        self._error: Optional[Exception] = None
        self._interrupts: list[Callable[[], None]] = []

    def cancel(self, error: Exception) -> None:
        """End the work: `check` raises the error from now on; the first one counts."""
        with self._lock:
            if self._error is None:
                self._error = error
                for interrupt in self._interrupts:
                    interrupt()

    @property
    def is_over(self) -> bool:
        """Whether `check` would raise."""
        return self._error is not None or (self._ends is not None and self._clock() >= self._ends)

    def check(self) -> None:
        """Raise why the work has to end, once it has to."""
        if self._error is None and self.is_over:
            self.cancel(QueryTimeout.after(self._seconds or 0))
        if self._error is not None:
            raise self._error

    def remaining(self) -> Optional[float]:
        """Return the seconds that are left, at least 0; None is no limit."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    @contextlib.contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have `cancel` call `interrupt` while the block runs, and never after its end.

        Where the work was cancelled before, it is called at once. It must be quick and must
        not raise: the thread that cancels, an event loop perhaps, waits for it.
        """
        with self._lock:
            self._interrupts.append(interrupt)
            if self._error is not None:
                interrupt()
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)


current: ContextVar[Optional[Deadline]] = ContextVar("iobeam_server_deadline", default=None)
"""The deadline of the work that this thread is at; None has no end."""


class running:  # a context manager, at a third of what a generator costs
    """Make a deadline the current one of the block, or (None) take the current one away."""

    __slots__ = ("_deadline", "_token")

    def __init__(self, deadline: Optional[Deadline]) -> None:
        self._deadline = deadline

    def __enter__(self) -> None:
        self._token = current.set(self._deadline)

    def __exit__(self, *exc: object) -> None:
        current.reset(self._token)


def check() -> None:
    """Raise why the work of this thread has to end, once it has to."""
    deadline = current.get()
    if deadline is not None:
        deadline.check()
