"""Locks between processes, and between the threads of each.

A lock is one on a file of its own and, for a lock that must hold whatever
becomes of that file, one on the folder as well: the file may belong to somebody
else, or be removed or replaced by whoever cleans the folder; versions up to
1.0.0 know the one on the file only. Any kind of death frees them.

A process's own locks on a file do not exclude each other, and closing any
descriptor of it frees them all (POSIX): so threads queue here first, and the
file is open once at most.
"""
from __future__ import absolute_import

import errno
import os
import sys
import time

from iobeam.spool import guard
from iobeam.utils import compat, utils

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_POLL_SECONDS = 0.05  # neither kind of lock has a time-out of its own
_LEAST_POLL_SECONDS = 0.001

# What a lock that another process holds is reported as, somewhere or other.
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK, errno.EINTR)

# Not inherited by programs that are started; the default from Python 3.4 on.
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)

# The `_Hold` of each (process id, path): a forked child starts with none.
_holds = {}

_warned = set()  # files that are known not to be had


class _Hold(object):
    """What a thread has of a lock."""

    def __init__(self):
        self.thread = compat.threadId()
        self.files = guard.Descriptors()

    def open(self, *arguments):
        descriptor = self.files.open(*arguments)
        if compat.PY2 and fcntl is not None:
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        return descriptor


def alone(file, work):
    """Return ``work()``, which one thread of this process does at a time."""
    hold, key = _Hold(), (os.getpid(), "alone", os.path.realpath(file))

    def run():
        while True:
            holder = _holds.setdefault(key, hold)
            if holder is hold or holder.thread == hold.thread:
                return work()  # of its own thread: it would wait for itself
            time.sleep(_LEAST_POLL_SECONDS)

    return guard.always(run, lambda: _letGo(key, hold))


def _letGo(key, hold):
    if _holds.get(key) is hold:
        _holds.pop(key, None)


class _Released(object):
    """What a `locked` becomes at its end."""


class locked(object):
    """Hold a lock, waiting at most `seconds`: a context manager.

    It gives a bool: whether the lock is held. True also where the file system
    knows no locks. It is free again after an interrupt at any instant, at the
    latest when the traceback is let go.

    Args:
        file (str): the lock file; made if need be.
        seconds (float): 0 tries once.
        folder (str or None): lock it as well.
    """

    def __init__(self, file, seconds, folder=None):
        self._file = file
        self._folder = folder
        self._limit = compat.monotonic() + seconds
        self._process = os.getpid()
        self._key = (self._process, os.path.realpath(file))
        self._hold = _Hold()

    def __enter__(self):
        try:
            _watchForks()
            pause = _LEAST_POLL_SECONDS
            while not self._take():
                left = self._limit - compat.monotonic()
                if left <= 0 or self._isOwnThreads():
                    return False
                time.sleep(min(pause, left))
                pause = min(pause * 2, _POLL_SECONDS)
            return True
        except BaseException:
            self._release()
            raise

    def __exit__(self, *_):
        try:
            self._release()
        finally:
            self._release()
            # What a signal handler raises amid a finalizer, Python drops: so
            # there is none any more where nothing is left to do.
            self.__class__ = _Released

    def __del__(self):
        # An interrupt may come just before `__exit__` is called.
        if self.__dict__.get("_hold") is not None and (
                self._hold.files.numbers or _holds.get(self._key) is self._hold):
            self._release()

    def _take(self):
        """Try once; whether it is held."""
        if _holds.setdefault(self._key, self._hold) is not self._hold:
            return False
        onFolder = self._lockFolder()
        onFile = onFolder is not False and self._lockFile(onFolder)
        if onFile:
            return True
        self._release()
        return False

    def _isOwnThreads(self):
        """Whether this very thread holds it: nobody can end that meanwhile."""
        holder = _holds.get(self._key)
        return holder is not None and holder is not self._hold \
            and holder.thread == self._hold.thread

    def _release(self):
        """Free what is held; may be repeated."""
        # By hand, not by closing alone: a child that was forked meanwhile has
        # the folder's descriptor too, and would keep the lock.
        if self._process == os.getpid() and fcntl is not None:
            for descriptor in self._hold.files.numbers:
                _unlock(descriptor)
        self._hold.files.close()
        _letGo(self._key, self._hold)

    def _lockFolder(self):
        """True: locked; False: another process holds it; None: not possible."""
        if self._folder is None or fcntl is None:
            return None
        try:
            descriptor = self._hold.open(self._folder,
                                         os.O_RDONLY | _CLOSE_ON_EXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except (IOError, OSError) as error:
            if error.errno in _HELD and self._hold.files.numbers:
                return False
            return None  # not readable, or a file system without such locks

    def _lockFile(self, isLocked):
        """Whether it is held: by the file, or if that cannot be had `isLocked`.

        Where neither can be had, what is to be done goes on unlocked: two
        senders repeat rows, which the backend stores once; none would keep
        them for ever.
        """
        try:
            descriptor = self._openFile()
        except (IOError, OSError) as error:
            if not isLocked and self._file not in _warned:
                _warned.add(self._file)
                utils.getLogger().warning(
                    "%s cannot be opened (%s): two processes may do the same "
                    "at a time; remove that file", self._file, error.strerror)
            return True
        if not _tryLock(descriptor):
            return False
        # Replaced between the two calls: it would be a lock of nobody else's.
        return fcntl is None or _isAt(descriptor, self._file)

    def _openFile(self):
        flags = os.O_CREAT | os.O_RDWR | _CLOSE_ON_EXEC
        try:
            return self._hold.open(self._file, flags, 0o600)
        except (IOError, OSError) as error:
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise
            # Somebody else's, such as root's after a trial with sudo. Mended
            # if the folder is ours: those who know this lock only share it.
            try:
                os.remove(self._file)
            except (IOError, OSError):
                raise error
            return self._hold.open(self._file, flags | os.O_EXCL, 0o600)


def _tryLock(descriptor):
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return True
    except (IOError, OSError) as error:
        return error.errno not in _HELD  # a file system without locks


def _unlock(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except (IOError, OSError):
        pass


def _isAt(descriptor, file):
    try:
        there = os.stat(file)
    except OSError:
        return False
    own = os.fstat(descriptor)
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)


def _leaveToParent():
    """In a forked child: close what it has inherited, without unlocking it.

    The lock of a folder is the descriptor's, and with it the child's too: it
    would outlive the parent.
    """
    for hold in list(_holds.values()):
        hold.files.close()
    _holds.clear()


def _watchForks():
    """Before Python 3.7: have children of multiprocessing call it.

    There is no hook for those that are forked by hand: they keep what they
    inherit until they end. Imported it is not: whoever forks by it has it.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if name not in _watched and hasattr(module, "register_after_fork"):
            module.register_after_fork(locked, lambda _: _leaveToParent())
            _watched.add(name)


_watched = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leaveToParent)  # novm
    _watched.update(("multiprocessing.util", "billiard.util"))
