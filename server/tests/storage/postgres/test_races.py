"""Two processes want the same: what came first stands, the other learns what is wrong."""

from __future__ import annotations

import re
from typing import Any, Callable

import pytest
from engines import missing
from storage.samples import device, user

from iobeam_server.errors import (
    AlreadyExists,
    DuplicateDeviceId,
    DuplicateDeviceName,
    ServerError,
    TypeConflict,
)
from iobeam_server.rules.points import Kind
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.store import Storage

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

from iobeam_server.storage.postgres.sql import PostgresSql
from iobeam_server.storage.postgres.store import PostgresStorage

Act = Callable[[Storage], object]


def between(monkeypatch: pytest.MonkeyPatch, change: str, act: Callable[[], object]) -> None:
    """Act once, after all was looked up and before the first statement that matches."""
    execute = PostgresSql.execute
    acted: list[bool] = []

    def late(self: PostgresSql, sql: str, *values: object) -> Any:
        if re.match(change, sql) and not acted:
            acted.append(True)
            act()
        return execute(self, sql, *values)

    monkeypatch.setattr(PostgresSql, "execute", late)


@pytest.mark.parametrize(
    ("change", "act", "error"),
    [
        ("INSERT INTO users", lambda s: s.users.create(user(), "hash"), AlreadyExists),
        ("INSERT INTO user_names", lambda s: s.users.create(user(), "hash"), AlreadyExists),
        (
            "INSERT INTO namespaces",
            lambda s: s.namespaces.create(1, "x", "key", {}, {}, 0),
            AlreadyExists,
        ),
        (
            "INSERT INTO devices",
            lambda s: s.devices.register(device("d"), named=True),
            DuplicateDeviceId,
        ),
    ],
)
def test_the_same_is_made_twice(
    first: PostgresStorage,
    second: PostgresStorage,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    act: Act,
    error: type[ServerError],
) -> None:
    between(monkeypatch, change, lambda: act(second))
    with pytest.raises(error):
        act(first)
    assert list(first.problems()) == []


def test_a_name_is_taken_before_a_change(
    first: PostgresStorage, second: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.devices.register(device("d"), named=True)
    between(
        monkeypatch,
        "UPDATE devices",
        lambda: second.devices.register(device("e", "taken"), named=True),
    )
    with pytest.raises(DuplicateDeviceName):
        first.devices.change(1, "d", "taken", None)
    monkeypatch.undo()
    between(monkeypatch, "UPDATE projects", lambda: second.projects.create("taken", 0))
    with pytest.raises(AlreadyExists):
        first.projects.rename(1, "taken")
    assert first.devices.get(1, "d") == device("d")


def test_a_derived_name_that_is_taken_meanwhile_gets_a_suffix(
    first: PostgresStorage, second: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(
        monkeypatch,
        "INSERT INTO devices",
        lambda: second.devices.register(device("other", "d"), named=True),
    )
    assert first.devices.register(device("d"), named=False).device_name.startswith("d-")


def test_an_import_brings_a_field_before_it_is_declared(
    first: PostgresStorage, second: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = first.namespaces.find(1, INPUT)[0].namespace_id

    def declare(store: Storage, kind: Kind) -> None:
        store.namespaces.change(1, number, {"a": kind}, {}, 0)

    between(monkeypatch, "UPDATE namespaces", lambda: declare(second, Kind.TEXT))
    with pytest.raises(TypeConflict):
        declare(first, Kind.NUMBER)
    assert first.namespaces.find(1, INPUT)[0].fields == {"a": Kind.TEXT}
