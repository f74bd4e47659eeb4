"""Every difference between Python 2 and 3 that the library meets."""
from __future__ import absolute_import

import gc
import os
import sys
import threading
import time

PY2 = sys.version_info[0] == 2
_ABORTS = (3, 0) <= sys.version_info[:2] <= (3, 8)  # see `parse`

if PY2:
    from thread import get_ident as threadId  # novm
    from urllib import quote as _quote, unquote as _unquote  # novm
    from urlparse import urlsplit  # novm
else:
    from threading import get_ident as threadId  # novm
    from urllib.parse import quote as _quote, urlsplit  # novm
    from urllib.parse import unquote as _unquote  # novm

text = type(u"")
TEXTS = (str, text)
INTEGERS = (int, type(2 ** 64))  # the latter is `long` on 2.7

__all__ = ["INTEGERS", "PY2", "TEXTS", "acquireWithin", "fsyncFolder",
           "isInteger", "isNumber", "monotonic", "parse", "quotePath",
           "replaceFile", "text", "threadId", "toNative", "toText",
           "unquotePath", "urlsplit"]


def isInteger(value):
    """True for an int (or 2.7's long) that is not a bool."""
    return isinstance(value, INTEGERS) and not isinstance(value, bool)


def isNumber(value):
    """True for an int or float that is not a bool."""
    return isInteger(value) or isinstance(value, float)


def toText(value):
    """Decode a 2.7 ``str`` as UTF-8; leave text alone.

    Raises:
        UnicodeDecodeError: it is not UTF-8 (a ValueError).
    """
    return value.decode("utf-8") if isinstance(value, bytes) else value


def toNative(value):
    """Encode 2.7's ``unicode`` as UTF-8, for texts that must be a ``str``."""
    return value.encode("utf-8") if PY2 and isinstance(value, text) else value


def quotePath(part):
    """Percent-encode one part of a URL path, its slashes included."""
    return _quote(toText(part).encode("utf-8"), safe=":")


if hasattr(time, "monotonic"):
    monotonic = time.monotonic  # novm
elif os.name == "nt":
    monotonic = time.clock  # novm: a performance counter on Windows
else:
    def monotonic():
        """Seconds since some fixed instant; never runs backwards.

        Python 2.7 has no time.monotonic; the elapsed real time of times(2)
        is monotonic too, in steps of 10 ms.
        """
        return os.times()[4]


def unquotePath(part):
    """Undo `quotePath`; bytes that are no UTF-8 become U+FFFD."""
    if PY2:
        return _unquote(toNative(part)).decode("utf-8", "replace")
    return _unquote(part)


def acquireWithin(lock, seconds):
    """Acquire `lock`, waiting at most `seconds`; return whether it is held."""
    if not PY2:
        seconds = min(max(0, seconds), threading.TIMEOUT_MAX)  # novm
        return lock.acquire(timeout=seconds)  # novm
    limit = monotonic() + seconds
    pause = 0.0005
    while not lock.acquire(False):
        left = limit - monotonic()
        if left <= 0:
            return False
        pause = min(pause * 2, 0.05, left)
        time.sleep(pause)
    return True


def replaceFile(source, target):
    """Rename `source` over `target` in one step, also on Windows with 2.7."""
    if hasattr(os, "replace"):
        os.replace(source, target)  # novm
    elif os.name == "nt":
        if os.path.exists(target):
            os.remove(target)
        os.rename(source, target)
    else:
        os.rename(source, target)


def fsyncFolder(path):
    """Make a rename in folder `path` durable where the system allows it."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse it for folders
    finally:
        os.close(descriptor)


def parse(parser, *arguments, **named):
    """Call a parser of JSON that comes from outside, with the collector off.

    Up to Python 3.8 a finaliser that the collector runs amid deep nesting, at
    the limit of recursion, makes the interpreter abort.
    """
    if not _ABORTS or not gc.isenabled():
        return parser(*arguments, **named)
    gc.disable()
    try:
        return parser(*arguments, **named)
    finally:
        gc.enable()
