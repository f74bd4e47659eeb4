"""How often this process has changed who may do what: what somebody remembers of it is old then.

One count for the process, not one for each open database: commands that run in a process that
serves open the same database a second time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from iobeam_server.storage.catalog.sql import Sql

_lock = threading.Lock()
_made = 0


def made() -> int:
    """Return the count; whoever looks something up reads it before, and compares it afterwards."""
    return _made


@contextlib.contextmanager
def noted(transaction: AbstractContextManager[Sql]) -> Iterator[Sql]:
    """Count a transaction, after its commit; a failed one too, since it may have been committed."""
    global _made
    try:
        with transaction as sql:
            yield sql
    finally:
        with _lock:
            _made += 1
