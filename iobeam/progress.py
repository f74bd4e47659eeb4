"""A line that counts rows: tqdm's bar where that is installed."""
from __future__ import absolute_import

import os
import sys

from iobeam.utils import compat, utils

_SHORT_SECONDS = 0.5  # what ends before needs no line that counts
_STEP_SECONDS = 0.2


class Progress(object):
    """Counts rows, for people; a context manager that gives `advance`.

    Shown on a terminal, and in a notebook. Whatever goes wrong with it is not
    worth what it counts: then it is not shown any more.

    Args:
        total (int or None): rows to come, if that is known.
        doing (str): what is done with them.
        isShown (bool): False keeps it silent.
    """

    def __init__(self, total=None, doing="sending", isShown=True):
        self._bar = self._shown = None
        self._rows, self._total, self._doing = 0, total, doing
        isNotebook = _isNotebook()
        self._isShown = isShown and (isNotebook or _isTerminal())
        self._next = compat.monotonic() + _SHORT_SECONDS
        if self._isShown:
            try:
                self._bar = _tqdm(isNotebook)(
                    total=total, unit=" rows", desc=doing,
                    delay=_SHORT_SECONDS, leave=False, **_sizeUnknown())
            except Exception:  # none, or an older one, which knows no delay
                pass

    def __enter__(self):
        return self.advance

    def advance(self, rows):
        """Count some more rows."""
        self._rows += rows
        try:
            if self._bar is not None:
                self._bar.update(rows)
            elif self._isShown and compat.monotonic() >= self._next:
                self._next = compat.monotonic() + _STEP_SECONDS
                self._write()
        except Exception:
            self._isShown, self._bar = False, None

    def reached(self, rows, total):
        """Take the number of rows so far, as `send()` tells it."""
        if total != self._total:
            self._total = total
            if self._bar is not None:
                self._bar.total = total
        self.advance(rows - self._rows)

    def _write(self):
        self._shown = "{}: {:,}{} rows".format(
            self._doing, self._rows,
            " of {:,}".format(self._total) if self._total else "")
        sys.stderr.write("\r" + self._shown)
        sys.stderr.flush()

    def __exit__(self, *_):
        try:
            if self._bar is not None:
                self._bar.close()
            elif self._shown:  # what comes next has the line to itself
                sys.stderr.write("\r" + " " * len(self._shown) + "\r")
                sys.stderr.flush()
        except Exception:
            pass


def showing(send, timeout, progress):
    """Carry `send()` out with the progress shown (True), or not (False).

    Raises:
        ValueError: `progress` is neither; and what `send` raises.
    """
    if progress is False:
        return send(timeout)
    if progress is not True:
        raise ValueError("progress must be callable or True, not {}".format(
            utils.shorten(progress)))
    shown = Progress()
    with shown:
        return send(timeout, shown.reached)


def _tqdm(isNotebook):
    if isNotebook:
        from tqdm.auto import tqdm
    else:  # loads no asyncio
        from tqdm import tqdm
    return tqdm


def _isTerminal():
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _isNotebook():
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _sizeUnknown():
    """The size for tqdm where a terminal has none, as serial lines have not.

    It shows nothing in 0 lines.
    """
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns  # novm
    except (AttributeError, EnvironmentError, ValueError):
        return {}  # 2.7, or no descriptor
    return {} if columns else {"ncols": 80, "nrows": 24}
