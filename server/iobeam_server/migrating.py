"""A whole database into an empty one of either engine: all of it, verified, or nothing."""

from __future__ import annotations

from itertools import zip_longest
from typing import Callable, NamedTuple

from iobeam_server.errors import ServerError
from iobeam_server.storage.store import Storage
from iobeam_server.storage.upkeep import TABLES


class Moved(NamedTuple):
    """What arrived, each row of it read back and compared."""

    projects: int
    users: int
    devices: int
    series: int
    points: int


class NotVerified(ServerError):
    """What was read back differs from what was sent; nothing was kept."""


def migrate(source: Storage, target: Storage, say: Callable[[str], None]) -> Moved:
    """Copy everything; commits only after each row was read back and compared.

    Ids, keys and passwords stay the same, so tokens go on being good. Imports into the
    source wait meanwhile.

    Args:
        source: stays as it is.
        target: must not be in use.
        say: is told what is being done.

    Raises:
        AlreadyExists: the target is in use.
        NotVerified: a defect; the target is as it was.
    """
    counts: dict[str, int] = {}
    with source.taking_out() as old, target.putting_in() as new:
        for table in TABLES:
            counts[table.name] = new.put(table, old.rows(table))
            say(f"{table.name}: {counts[table.name]} moved")
        say("verifying")
        for table in TABLES:
            compared = 0
            for left, right in zip_longest(old.rows(table), new.rows(table)):
                if left != right or list(map(type, left)) != list(map(type, right)):
                    raise NotVerified(f"row {compared} of {table.name} differs; nothing was kept")
                compared += 1
            if compared != counts[table.name]:
                raise NotVerified(f"{table.name} has {compared} rows; nothing was kept")
    return Moved(*(counts[name] for name in Moved._fields))
