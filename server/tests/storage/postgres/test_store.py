"""What PostgreSQL brings with it: several processes, lost connections, races."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import Any

import pytest
from engines import Schemas, missing
from storage.samples import cells, values

from iobeam_server.config import Config
from iobeam_server.errors import (
    ConfigError,
    StorageDefect,
    StorageUnavailable,
    TypeConflict,
    UnknownDevice,
)
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Device, Selection
from iobeam_server.storage.urls import shown

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

import psycopg

from iobeam_server.storage.postgres import store as engine
from iobeam_server.storage.postgres.store import PostgresStorage

WAIT_S = 120


def test_many_processes_start_on_one_new_database(url: str) -> None:
    code = (
        "import sys; from iobeam_server.storage.postgres.store import PostgresStorage as S;"
        "s = S(sys.argv[1], 2); p = s.projects.create_first('first', 0);"
        "print(p is not None, s.keys.signing()); s.close()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    lines = [child.communicate(timeout=WAIT_S)[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4
    assert sorted(line.split()[0] for line in lines) == ["False", "False", "False", "True"]
    assert len({line.split(maxsplit=1)[1] for line in lines}) == 1, "all sign with the same key"


def test_reopening_keeps_data_and_key(url: str, first: PostgresStorage) -> None:
    first.write([cells("d", [1, 2])])
    with contextlib.closing(PostgresStorage(url)) as again:
        assert again.keys.signing() == first.keys.signing()
        assert values(again) == [1, 2]


def test_a_newer_schema_is_refused(url: str, beside: Any) -> None:
    beside.execute("UPDATE iobeam_schema SET version = version + 1")
    with pytest.raises(ConfigError, match="newer"):
        PostgresStorage(url)


def test_another_programs_tables_are_refused(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE points (x int)")
    with pytest.raises(ConfigError, match="another program"):
        PostgresStorage(url)


def test_another_encoding_is_refused(postgres: Schemas) -> None:
    if "/postgres?" not in postgres.url:
        pytest.skip("the server was given: no database is made in it")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        )
    with pytest.raises(ConfigError, match="UTF8"):
        PostgresStorage(postgres.url.replace("/postgres?", "/ascii?"))


@pytest.mark.parametrize("where", ["/no/such/folder", "127.0.0.1&port=1"], ids=["socket", "tcp"])
def test_a_database_that_is_not_there(where: str) -> None:
    with pytest.raises(ConfigError, match="cannot use") as caught:
        open_storage(f"postgresql://user:secret@/x?host={where}", Config())
    assert "secret" not in str(caught.value)


def test_what_is_shown_of_a_url_holds_no_password() -> None:
    assert shown("postgresql://u:p@h:1/d?password=x") == "postgresql://h:1/d"


def test_changes_of_another_process_are_seen_at_once(
    first: PostgresStorage, second: PostgresStorage
) -> None:
    """What the writer remembers must not outlive a change made beside it."""
    first.devices.register(Device(1, "d", "d", None, 0), named=True)
    assert first.write([cells("d", [1], must_exist=True)]) == [None]
    assert second.devices.delete(1, "d") is True
    (refused,) = first.write([cells("d", [2], must_exist=True)])
    assert isinstance(refused, UnknownDevice)


def test_writers_of_two_processes_give_exact_totals(
    first: PostgresStorage, second: PostgresStorage
) -> None:
    """Each makes the same series, fields and rows as the other, at the same time."""
    errors: list[BaseException] = []

    def work(store: PostgresStorage, turn: int) -> None:
        try:
            for i in range(15):
                names = [f"f{i}", f"f{i + 1}"][::turn]
                batches = [cells(f"d{n}", [i] * 50, name) for n in range(3) for name in names]
                assert store.write(batches[::turn]) == [None] * 6
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in ((first, 1), (second, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert errors == []
    series = first.series.find(1, INPUT, None, None)
    assert len(series) == 3 * 16
    assert sum(len(list(first.points(one, Selection()))) for one in series) == 3 * 16 * 50


def test_the_first_value_of_two_processes_settles_the_type(
    first: PostgresStorage, second: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that comes second finds a type that was not there when it looked."""
    read = engine.BatchWriter._read_fields
    looked = threading.Event()

    def look(*arguments: Any) -> None:
        read(*arguments)
        if not looked.is_set():
            looked.set()
            assert second.write([cells("e", ["text"])]) == [None]

    monkeypatch.setattr(engine.BatchWriter, "_read_fields", look)
    (refused,) = first.write([cells("d", [1])])
    assert isinstance(refused, TypeConflict)
    assert values(first) == ["text"]


def losing(monkeypatch: pytest.MonkeyPatch, errors: list[psycopg.Error]) -> None:
    """Have the first transactions fail, one with each of some errors, the last one first."""
    write = engine.BatchWriter.write

    def lose(*arguments: Any) -> Any:
        found = write(*arguments)
        if errors:
            raise errors.pop()
        return found

    monkeypatch.setattr(engine.BatchWriter, "write", lose)


def test_a_transaction_that_lost_is_repeated(
    first: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [
        psycopg.errors.DeadlockDetected("40P01"),
        psycopg.errors.SerializationFailure("40001"),
        psycopg.errors.InternalError_("failure on connection marked as essential: a:5432"),
    ]
    losing(monkeypatch, errors)
    assert first.write([cells("d", [1])]) == [None]
    assert values(first) == [1]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (psycopg.errors.DiskFull("53100"), StorageUnavailable),
        (psycopg.errors.TooManyConnections("53300"), StorageUnavailable),
        (psycopg.errors.LockNotAvailable("55P03"), StorageUnavailable),
        (psycopg.errors.InternalError_("unexpected plan"), StorageDefect),
        (psycopg.errors.FeatureNotSupported("0A000"), StorageDefect),
    ],
)
def test_what_fails_the_same_way_again_is_not_repeated(
    first: PostgresStorage,
    monkeypatch: pytest.MonkeyPatch,
    error: psycopg.Error,
    raised: type[Exception],
) -> None:
    left = [error]
    losing(monkeypatch, left)
    with pytest.raises(raised):
        first.write([cells("d", [1])])
    assert left == []
    assert values(first) == []


def test_a_real_deadlock_is_survived(first: PostgresStorage, url: str) -> None:
    assert first.write([cells("d", [1, 2])]) == [None]
    with psycopg.connect(url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # so that the store is the one that loses
        other.execute("UPDATE points SET int_value = 7 WHERE time = 1")
        thread = threading.Thread(target=first.write, args=([cells("d", [3, 4])],))
        thread.start()  # locks time 0, waits for 1
        with psycopg.connect(url, autocommit=True) as beside:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while beside.execute(waiting).fetchone() == (0,):
                pass
        other.execute("UPDATE points SET int_value = 7 WHERE time = 0")
        other.commit()
    thread.join(WAIT_S)
    assert values(first) == [3, 4]


def test_a_lost_connection_costs_nothing(first: PostgresStorage, beside: Any) -> None:
    assert first.write([cells("d", [1])]) == [None]
    beside.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND query NOT LIKE '%pg_stat_activity%' AND datname = current_database()"
    )
    assert first.write([cells("d", [2])]) == [None]
    assert values(first) == [2]


def test_what_the_database_refuses_fails_no_neighbour(first: PostgresStorage) -> None:
    """Checked long before; a hole in the check must not cost the others their commit."""
    results = first.write([cells("d", [1]), cells("e", ["\0"], "t"), cells("f", [2], "b")])
    assert [type(result) for result in results] == [type(None), StorageDefect, type(None)]
    assert values(first) == [1]
    assert values(first, "b") == [2]


def test_after_close_calls_fail_cleanly_and_close_is_idempotent(url: str) -> None:
    store = PostgresStorage(url)
    store.close()
    store.close()
    with pytest.raises(StorageUnavailable):
        store.projects.create("p", 0)


def test_an_abandoned_read_gives_its_connection_back(first: PostgresStorage) -> None:
    first.write([cells("d", list(range(5_000)))])
    (series,) = first.series.find(1, INPUT, None, None)
    for _ in range(5):  # more than there are connections
        points = first.points(series, Selection())
        next(points)
        del points
    first.check()
