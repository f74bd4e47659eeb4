"""PostgreSQL that is busy, gone, or silent: who waits, for how long, and what is said."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from engines import Postgres, missing
from storage.samples import cells, values, when_it_is_back

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import ClientGone, StorageAway, StorageDefect, StorageUnavailable

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

import psycopg

from iobeam_server.storage.postgres import connections
from iobeam_server.storage.postgres.connections import Connections, translated
from iobeam_server.storage.postgres.store import PostgresStorage

WAIT_S = 60
SLEEP = "SELECT pg_sleep(600)"


@pytest.fixture
def own() -> Iterator[Postgres]:
    """One that may be stopped: the session's is everybody's."""
    server = Postgres(durable=False)
    yield server
    server.close()


@contextlib.contextmanager
def reading(store: PostgresStorage, count: int) -> Iterator[list[Deadline]]:
    """So many reads that take ten minutes."""
    made = [Deadline(None) for _ in range(count)]

    def read(deadline: Deadline) -> None:
        with deadlines.running(deadline), contextlib.suppress(ClientGone, StorageUnavailable):
            list(store.fetched(SLEEP, (), 1))

    threads = [threading.Thread(target=read, args=[one]) for one in made]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        for deadline in made:
            deadline.cancel(ClientGone())
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(10, (3, 6, 1)), (5, (1, 3, 1)), (3, (1, 1, 1)), (1, (1, 1, 1)), (40, (12, 27, 1))],
)
def test_the_connections_are_shared_out(most: int, sizes: tuple[int, ...]) -> None:
    made = Connections("postgresql://nowhere", most, connections.prepare)
    assert (made.catalog.max_size, made.readers.max_size, made.writers.max_size) == sizes


def test_slow_reads_keep_no_import_out(first: PostgresStorage) -> None:
    """What an import needs: its token, its namespace, its commit."""
    with reading(first, 10):
        time.sleep(0.2)  # so that they are at it; earlier is no reason to fail
        began = time.monotonic()
        assert first.keys.signing()
        assert first.projects.get(1) is not None
        assert first.namespaces.find(1, "input")
        assert first.write([cells("d", [1])]) == [None]
        assert time.monotonic() - began < 5


def test_who_waits_for_a_connection_in_vain_is_told(
    first: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTION_WAIT_S", 0.1)
    monkeypatch.setattr(connections, "LOOK_S", 0.05)
    with reading(first, 1):
        time.sleep(0.2)
        with pytest.raises(
            StorageUnavailable, match="all 1 connections to the database"
        ) as refused:
            list(first.fetched("SELECT 1", (), 1))
        assert not isinstance(refused.value, StorageAway), "the database is there"


def test_who_waits_for_a_connection_may_go(first: PostgresStorage) -> None:
    with reading(first, 5) as made:
        time.sleep(0.2)
        began = time.monotonic()
        for deadline in made[1:]:
            deadline.cancel(ClientGone())
    assert time.monotonic() - began < 2 * connections.LOOK_S + 2


def test_a_database_that_is_gone_is_known_to_all_at_once_and_comes_back(
    own: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Callable[[], Any]] = []
    with contextlib.closing(PostgresStorage(own.url, connections=4)) as store:
        store.projects.create("p", 0)
        assert store.write([cells("d", [1])]) == [None]
        calls = [
            store.keys.signing,
            lambda: store.write([cells("d", [2])]),
            lambda: store.projects.create("q", 0),
            lambda: values(store),
        ]
        own.stop_at_once()
        took: list[float] = []

        def ask(call: Callable[[], Any]) -> None:
            began = time.monotonic()
            with pytest.raises(StorageUnavailable):
                call()
            took.append(time.monotonic() - began)

        threads = [threading.Thread(target=ask, args=[call]) for call in calls * 10]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert len(took) == 40
        assert max(took) < 10
        began = time.monotonic()
        for call in calls * 25:
            with pytest.raises(StorageAway):
                call()
        assert time.monotonic() - began < 1, "known, so at once"
        own.start_again()
        for call in calls:
            when_it_is_back(call)
        assert values(store)[0] == 2
    said = [one for one in caplog.records if one.name == "iobeam_server.storage.circuit"]
    assert [one.levelno for one in said] == [logging.ERROR, logging.WARNING]


def test_a_server_that_hangs_holds_nobody(own: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped like a machine that swaps: connections stay open and say nothing."""
    monkeypatch.setattr(connections, "CHECK_S", 0.5)
    with contextlib.closing(PostgresStorage(own.url, connections=4)) as store:
        store.projects.create("p", 0)
        postmaster = int((own._data / "postmaster.pid").read_text().split()[0])
        with psycopg.connect(own.url, autocommit=True) as beside, reading(store, 1) as made:
            backends = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            time.sleep(0.2)
            stopped = [int(pid) for (pid,) in beside.execute(backends)]
            for pid in (postmaster, *stopped):
                os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                made[0].cancel(ClientGone())
                with pytest.raises(StorageUnavailable):
                    store.keys.signing()
                assert time.monotonic() - began < 15
            finally:
                for pid in (postmaster, *stopped):
                    os.kill(pid, signal.SIGCONT)
        assert when_it_is_back(store.keys.signing)
        assert when_it_is_back(lambda: store.write([cells("d", [2])])) == [None]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT no_such_function()",
        "SELECT * FROM no_such_table",
        "SELEKT 1",
        "SELECT 1 / 0",
        "SELECT 'x'::int",
        "DO $$ BEGIN RAISE feature_not_supported; END $$",
        "INSERT INTO projects (project_id) VALUES (NULL)",
    ],
)
def test_what_does_not_pass_is_a_defect(first: PostgresStorage, statement: str) -> None:
    with (
        pytest.raises(StorageDefect, match="refused a statement"),
        first.reading() as sql,
    ):
        sql.execute(statement)
    first.check()


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server closed the connection unexpectedly"),
        psycopg.errors.DiskFull("53100"),
        psycopg.errors.LockNotAvailable("55P03"),
        psycopg.errors.ReadOnlySqlTransaction("25006"),
        psycopg.errors.SerializationFailure("40001"),
        psycopg.errors.ConnectionFailure("connection to the remote node failed"),
        psycopg.errors.InternalError_("could not execute on worker node 3"),
        psycopg.errors.InternalError_("failure on connection marked as essential: a:5432"),
        psycopg.InterfaceError("the connection is closed"),
    ],
)
def test_what_may_pass_is_unavailable(error: psycopg.Error) -> None:
    with pytest.raises(StorageUnavailable) as refused, translated():
        raise error
    assert refused.value.retry_after_s
