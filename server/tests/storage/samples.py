"""What the tests of the storage put in, and how they look at it."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional

from iobeam_server.errors import StorageUnavailable
from iobeam_server.rules.points import Column, Kind, table_columns
from iobeam_server.storage.base import INPUT, Batch, Device, Grant, Part, Selection, User
from iobeam_server.storage.store import Storage
from iobeam_server.storage.upkeep import TABLES

Execute = Callable[[str], list[Any]]
"""SQL of one's own beside the store."""


def batch(
    rows: list[list[Any]],
    fields: tuple[str, ...] = ("a",),
    device: Optional[str] = "d",
    must_exist: bool = False,
    register: bool = False,
    namespace: str = INPUT,
    project: int = 1,
) -> Batch:
    columns = table_columns(["time", *fields], rows, 1, 100)
    return Batch(project, namespace, [Part(device, columns)], must_exist, register)


def device(device_id: str = "d", name: Optional[str] = None, kind: Optional[str] = None) -> Device:
    return Device(1, device_id, name or device_id, kind, 1_700_000_000)


def user(name: str = "ann", email: str = "ann@example.org", **more: Any) -> User:
    return User(0, name, email, None, None, None, None, 1_000, 0.0)._replace(**more)


def stored(
    store: Storage, name: str = "a", device: Optional[str] = None, **selection: Any
) -> list[tuple[int, Any]]:
    found = []
    for series in store.series.find(1, INPUT, device, name):
        found += list(store.points(series, Selection(**selection)))
    return found


def buckets(store: Storage, width: Optional[int], name: str = "a", **selection: Any) -> list[Any]:
    (series,) = store.series.find(1, INPUT, None, name)
    return list(store.buckets(series, Selection(**selection), width))


def two_devices(store: Storage) -> None:
    rows = [[t, t, t % 2 == 0] for t in range(5)]
    store.write([batch(rows, ("n", "flag"), device=name) for name in ("d", "e")])


def everything(store: Storage) -> None:
    """Put something into every table."""
    store.devices.register(device("d", "the device"), named=True)
    user = store.users.create(User(0, "ann", "a@b.c", "A", None, None, None, 3, 0.5), "hash")
    store.projects.create("two", 5, Grant(user.user_id, 3))
    store.users.add_invite("digest", 2**40)
    store.keys.revoke(1, "d", lambda: 12.5)
    store.adoptions.add("digest", 1, 3, "d")
    store.namespaces.create(1, "other", "place", {"x": Kind.TEXT}, {"a": 1.5}, 7)
    rows: list[list[Any]] = [[i, i, i / 3, i % 2 == 0, f"ä{i}"] for i in range(-5, 5)]
    assert store.write(
        [
            batch(rows, ("whole", "real", "flag", "text")),
            batch([[1, "y"]], ("x",), namespace="other"),
        ]
    ) == [None, None]


def contents(store: Storage) -> dict[str, list[tuple[Any, ...]]]:
    with store.taking_out() as found:
        return {table.name: list(found.rows(table)) for table in TABLES}


def cells(device: str, cells: list[Any], name: str = "a", must_exist: bool = False) -> Batch:
    """A batch that no rule has looked at: cell n at time n."""
    kinds = {bool: Kind.BOOLEAN, str: Kind.TEXT}
    column = Column(name, range(len(cells)), cells, {kinds.get(type(cells[0]), Kind.NUMBER): 0})
    return Batch(1, INPUT, [Part(device, [column])], must_exist, False)


def values(store: Storage, name: str = "a", **selection: Any) -> list[Any]:
    return [value for _, value in stored(store, name, **selection)]


def when_it_is_back(call: Callable[[], Any], wait_s: float = 30) -> Any:
    """Return what a call does as soon as the database is no longer said to be away."""
    ends = time.monotonic() + wait_s
    while True:
        try:
            return call()
        except StorageUnavailable:
            assert time.monotonic() < ends, "it is away for ever"
            time.sleep(0.02)
