"""How memory is looked after: what the C library keeps, how often garbage is looked for."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading

# numbers of mallopt, glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
MAPPED_BYTES = 256 * 1024
"""Whatever is larger goes back to the system at once: the buffers of large bodies."""
TRIMMED_BYTES = 16 * 1024 * 1024
"""Free memory at the end that is kept."""
GARBAGE_OBJECTS = 50_000
"""New objects after which cycles are looked for. Each row of an import is a list that takes part
in it: at CPython's 700 (2000 from 3.13 on), a tenth of what a large import costs was looking
through rows that wait to be written."""


def keep_little() -> None:
    """Let this process keep little memory that it does not use; for a start, before threads.

    glibc gives threads arenas of their own and keeps what is free in each: with 32 threads that
    took turns to decode large imports, never more than 200 MiB at a time, the process had grown
    to 960 MiB; so it has 290. One arena costs nothing where one thread at a time runs Python.
    Other C libraries have no such settings, and need none.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, TRIMMED_BYTES)


def look_for_garbage_seldom() -> None:
    """Let cycles of objects lie a little longer; for a process that does nothing but serve.

    What is in no cycle goes at once anyway. Cycles may hold much, such as the values of an import
    (psycopg 3.2 leaves some with each): `Returned` looks for them by bytes.
    """
    gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])


class Returned:
    """Gives free memory between what is in use back, garbage included, whenever it is much.

    What keeps a part of it, such as what was looked up meanwhile, keeps the C library from
    giving back all before it. Safe for threads.

    Args:
        every: bytes; searching takes 10 to 50 ms, a fiftieth of what made them.
    """

    def __init__(self, every: int = 128 * 1024 * 1024) -> None:
        self._every = every
        self._lock = threading.Lock()
        self._freed = 0

    def note(self, size: int) -> None:
        """Say that so many bytes are free again."""
        with self._lock:
            self._freed += size
            if self._freed < self._every:
                return
            self._freed = 0
        gc.collect()
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)
