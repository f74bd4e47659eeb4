"""A database of 1.0.0, opened by this version: its tokens go on, and what it revoked stays so."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Any

import pytest
from engines import ENGINES
from storage.samples import user

from iobeam_server.config import Config
from iobeam_server.errors import NotAuthenticated
from iobeam_server.rights.standing import Rights
from iobeam_server.rights.tokens import ALL, TokenSigner
from iobeam_server.storage import open_storage
from iobeam_server.storage.sqlite import schema as sqlite_schema

STEPS_OF_1_0_0 = 2
KEY = b"k" * 32


def make_1_0_0(database: str, rows: list[tuple[str, tuple[Any, ...]]]) -> None:
    """Lay out a database as 1.0.0 did, and fill it; statements with `?`."""
    if database.startswith("sqlite"):
        path = database.partition(":///")[2]
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for step in sqlite_schema.STEPS[:STEPS_OF_1_0_0]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {STEPS_OF_1_0_0}")
            for statement, values in rows:
                connection.execute(statement, values)
        return
    import psycopg

    from iobeam_server.storage.postgres import schema

    with psycopg.connect(database) as other:
        run: Any = other.execute
        run("CREATE TABLE iobeam_schema (version int, catalog bigint)")
        run(f"INSERT INTO iobeam_schema VALUES ({STEPS_OF_1_0_0}, 0)")  # noqa: S608
        for step in schema.STEPS[:STEPS_OF_1_0_0]:
            for statement in step:
                run(statement)
        for statement, values in rows:
            run(statement.replace("?", "%s"), values)


@pytest.mark.parametrize("database", ENGINES, indirect=True)
def test_tokens_of_1_0_0_go_on_until_something_newer_ends_them(database: str) -> None:
    now = time.time()
    make_1_0_0(
        database,
        [
            ("INSERT INTO signing_keys (secret, created) VALUES (?, ?)", (KEY, 0)),
            ("INSERT INTO projects (project_name, created) VALUES (?, ?)", ("one", 0)),
            (
                "INSERT INTO namespaces (project_id, namespace_name, partitioning_field, labels,"
                " created, last_modified) VALUES (1, 'input', 'device_id', '{}', 0, 0)",
                (),
            ),
            ("INSERT INTO revocations VALUES (1, ?, ?)", ("lost", now - 100)),
            (
                "INSERT INTO users (username, email, created, tokens_after, password_hash)"
                " VALUES (?, ?, 0, ?, ?)",
                ("ann", "ann@example.org", now - 50, "hash"),
            ),
            ("INSERT INTO user_names VALUES (?, 1), (?, 1)", ("ann", "ann@example.org")),
            ("INSERT INTO permissions VALUES (1, 1, 7)", ()),
        ],
    )

    def token(age_s: float, **claims: Any) -> str:
        return TokenSigner([KEY], lambda: now - age_s).issue(1, ALL, 100_000, **claims)[0]

    with contextlib.closing(open_storage(database, Config(database_connections=3))) as store:
        assert list(store.problems()) == []
        rights = Rights(store, TokenSigner([KEY]), Config())

        def check(alive: list[str], dead: list[str]) -> None:
            for one in alive:
                assert rights.project(one, ALL).pid == 1
            for one in dead:
                with pytest.raises(NotAuthenticated):
                    rights.project(one)

        revoked, later = token(110, device_id="lost"), token(90, device_id="lost")
        whole, ahead = token(5_000), token(-3_600)
        old, hidden, new = (
            token(60, user_id=1), token(60, hidden_owner=1), token(40, user_id=1),
        )  # fmt: skip
        check([later, whole, ahead, new], [revoked, old, hidden])
        store.keys.revoke(1, "lost")
        check([whole, ahead, new], [revoked, later])
        store.users.set_password(1, "new")
        check([whole, ahead], [new])
        store.keys.revoke(1, None)
        check([], [whole, ahead, new, later])
        assert store.users.create(user("bob", "b@c.d"), "hash").user_id == 2
        assert list(store.problems()) == []
    with contextlib.closing(open_storage(database, Config(database_connections=3))) as again:
        assert again.keys.signing() == [KEY]
        assert again.keys.revision() > 1
