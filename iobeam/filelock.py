"""Locks between processes, on a file of their own, and their threads.

A process's own locks on a file do not exclude each other, and closing any
descriptor of it frees them all: so threads queue here first, and the file is
open once at most. Any kind of death frees a lock.
"""
from __future__ import absolute_import

import contextlib
import errno
import os
import threading
import time

from iobeam.utils import compat

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_POLL_SECONDS = 0.05  # lockf has no time-out of its own

# What a lock that another process holds is reported as, somewhere or other.
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK, errno.EINTR)

# By process id: a forked child starts with none held.
_threadLocks = {}


def threadLock(file):
    """Return the lock that this process's threads share for a file."""
    return _threadLocks.setdefault((os.getpid(), os.path.realpath(file)),
                                   threading.Lock())


@contextlib.contextmanager
def locked(file, seconds):
    """Hold the lock on a file, waiting at most `seconds`.

    Yields:
        bool: whether it is held. True also where the file cannot be made, or
        the file system knows no locks.
    """
    limit = compat.monotonic() + seconds
    inner = threadLock(file)
    if not compat.acquireWithin(inner, seconds):
        yield False
        return
    descriptor = None
    try:
        try:
            descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:
            held = True  # no place for a lock: none for a buffer either
        else:
            held = _tryLock(descriptor)
            while not held and compat.monotonic() < limit:
                time.sleep(min(_POLL_SECONDS,
                               max(0, limit - compat.monotonic())))
                held = _tryLock(descriptor)
        yield held
    finally:
        if descriptor is not None:
            os.close(descriptor)  # frees the lock, as any death would
        inner.release()


def _tryLock(descriptor):
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return True
    except (IOError, OSError) as error:
        return error.errno not in _HELD  # a file system without locks
