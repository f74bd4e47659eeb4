"""Several processes of one server: started, watched, started again, and ended together."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Callable, NoReturn

from iobeam_server.errors import ConfigError

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0  # before a worker that ended by itself is started again; doubles
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # one that lived so long starts from the first pause again


class Workers:
    """Runs work in some processes until SIGTERM or SIGINT.

    Args:
        count: of processes.
        work: what each does; it is given to a function that makes it return, for its signal
            handlers and for the end of the parent.
        patience_s: seconds that workers get to end before they are killed.

    Raises:
        ConfigError: the system has no fork.
    """

    def __init__(
        self, count: int, work: Callable[[Callable[[Callable[[], None]], None]], None],
        patience_s: float,
    ) -> None:  # fmt: skip
        if not hasattr(os, "fork"):
            raise ConfigError("--workers needs a system with fork; Windows has none")
        self._count = count
        self._work = work
        self._patience_s = patience_s
        self._pids: dict[int, float] = {}
        self._pause_s = FIRST_PAUSE_S
        self._watched, self._held = os.pipe()

    def run(self, on_stop: Callable[[], None]) -> None:
        """Return when all have ended, after a signal.

        Args:
            on_stop: called when the signal has come, in this process.
        """
        # waited for, never handled: so nothing interrupts what this process is at
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM}
        signal.signal(signal.SIGCHLD, lambda *_: None)  # else it could be left out
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        for _ in range(self._count):
            self._start()
        is_stopping = False
        while self._pids or not is_stopping:
            number = signal.sigwait(signals)
            if number in (signal.SIGTERM, signal.SIGINT):
                is_stopping = True
                on_stop()
                self._tell(signal.SIGTERM)
                signal.setitimer(signal.ITIMER_REAL, self._patience_s)
            elif number == signal.SIGCHLD:
                self._collect(is_stopping)
            elif is_stopping:
                self._tell(signal.SIGKILL)
            else:
                while len(self._pids) < self._count:
                    self._start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def _start(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._be_worker()
        self._pids[pid] = time.monotonic()

    def _be_worker(self) -> NoReturn:
        code = 1
        try:
            os.close(self._held)
            self._work(self._until)
            code = 0
        except Exception:
            log.exception("worker %d has failed", os.getpid())
        finally:
            os._exit(code)  # what follows in this stack is the parent's

    def _until(self, stop: Callable[[], None]) -> None:
        """Have a worker end at a signal, and when its parent is gone."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())

        def watch() -> None:
            os.read(self._watched, 1)  # nothing is ever written: it ends with the parent
            stop()

        threading.Thread(target=watch, name="iobeam-parent", daemon=True).start()

    def _tell(self, number: int) -> None:
        for pid in self._pids:
            os.kill(pid, number)

    def _collect(self, is_stopping: bool) -> None:
        """Take note of workers that have ended; one that did by itself is started again."""
        for pid in list(self._pids):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            lived_s = time.monotonic() - self._pids.pop(pid)
            if is_stopping:
                continue
            self._pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else self._pause_s
            log.error("worker %d has ended (%s); another follows", pid, _shown(status))
            signal.setitimer(signal.ITIMER_REAL, self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def _shown(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"
