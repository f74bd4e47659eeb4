"""Whether the database file is still the one that its path leads to."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Optional

from iobeam_server.errors import StorageAway

log = logging.getLogger(__name__)

LOOK_S = 0.5  # readers look at the path once in so many seconds; who writes, each time
RETRY_AFTER_S = 5
_OPEN_FILES = "/proc/self/fd"

_Identity = tuple[int, int]  # device, inode


class OpenedFile:
    """A file that is open for as long as the server runs.

    One that is removed or replaced meanwhile takes what is written, and holds it until it is
    closed: all of it would be answered with success, and gone afterwards.

    Args:
        path: of the database; beside it lies the log of SQLite, which holds what is not yet in it.
    """

    def __init__(self, path: str) -> None:
        self._paths = [path, f"{path}-wal"]
        self._opened = [_identity(path) for path in self._paths]
        self._links = _Links(self._paths)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._lost: Optional[str] = None

    def check(self, now: bool = False) -> None:
        """Raise StorageAway where it is not the file that was opened.

        Args:
            now: look; else what was seen half a second ago is good enough.
        """
        if time.monotonic() > self._looked + LOOK_S or (
            now and (self._lost is not None or not self._links.stand())
        ):
            self._look()
        lost = self._lost
        if lost is not None:
            raise StorageAway(lost, retry_after_s=RETRY_AFTER_S)

    def close(self) -> None:
        self._links.close()

    def _look(self) -> None:
        found = next(
            (
                path
                for path, opened in zip(self._paths, self._opened)
                if opened is not None and _identity(path) != opened
            ),
            None,
        )
        self._looked = time.monotonic()
        if (found is None) is (self._lost is None):
            return
        with self._lock:
            if found is not None and self._lost is None:
                what = "has been replaced" if os.path.exists(found) else "is gone"
                self._lost = f"the database file {found} {what} since it was opened"
                log.error("%s; put it back, or restart: requests get 503 until then", self._lost)
            elif found is None and self._lost is not None:
                self._lost = None
                log.warning("the database file %s is back", self._paths[0])


class _Links:
    """Tells cheaply that files still lie where they were opened, on Linux.

    Since Linux 6.13 a file's times are written anew by the first write after somebody has asked
    for them, as any stat() does: one of the log before each commit made it dearer by a third.
    What the kernel calls an open file, its path or "(deleted)" behind it, says the same.

    Args:
        paths: of files that exist.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._opened: list[int] = []
        self._called: dict[int, str] = {}
        # A path through a link may lead elsewhere while the file stays where it is. Opened in any
        # other way, closing the file would let go of the locks that SQLite has on it.
        flag = getattr(os, "O_PATH", None)
        if flag is None or any(os.path.realpath(path) != path for path in paths):
            return
        with contextlib.suppress(OSError):  # no /proc
            for path in (_OPEN_FILES, *paths):
                self._opened.append(os.open(path, flag | os.O_CLOEXEC))
            self._called = {number: self._name(number) for number in self._opened[1:]}

    def stand(self) -> bool:
        """Tell whether all of them are known to lie where they did; False is not known."""
        try:
            return bool(self._called) and all(
                self._name(number) == called for number, called in self._called.items()
            )
        except OSError:  # /proc has gone
            return False

    def close(self) -> None:
        self._called = {}
        while self._opened:
            os.close(self._opened.pop())

    def _name(self, number: int) -> str:
        return os.readlink(str(number), dir_fd=self._opened[0])


def _identity(path: str) -> Optional[_Identity]:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
