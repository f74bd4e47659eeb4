"""What PostgreSQL brings with it: several processes, lost connections, races."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from engines import Postgres, missing

from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, StorageUnavailable, TypeConflict, UnknownDevice
from iobeam_server.points import INT64_MAX, Column, Kind
from iobeam_server.storage import open_storage, shown
from iobeam_server.storage.base import INPUT, Batch, Device, Part, Selection, Storage

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

import psycopg

from iobeam_server.storage import postgres as engine
from iobeam_server.storage import postgres_schema
from iobeam_server.storage.postgres import PostgresStorage

WAIT_S = 60


def batch(device: str, cells: list[Any], name: str = "a", must_exist: bool = False) -> Batch:
    kinds = {bool: Kind.BOOLEAN, str: Kind.TEXT}
    column = Column(name, range(len(cells)), cells, {kinds.get(type(cells[0]), Kind.NUMBER): 0})
    return Batch(1, INPUT, [Part(device, [column])], must_exist, False)


def stored(store: Storage, name: str = "a", **selection: Any) -> list[Any]:
    (series,) = store.series(1, INPUT, None, name)
    return [value for _, value in store.points(series, Selection(**selection))]


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.schema() as found:
        yield found


@pytest.fixture
def first(url: str) -> Iterator[PostgresStorage]:
    with contextlib.closing(PostgresStorage(url, connections=3)) as store:
        store.create_project("p", 0)
        yield store


@pytest.fixture
def second(url: str, first: PostgresStorage) -> Iterator[PostgresStorage]:
    """Another process's view of the same database."""
    with contextlib.closing(PostgresStorage(url, connections=3)) as store:
        yield store


@pytest.fixture
def beside(url: str, first: PostgresStorage) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


# -- opening ---------------------------------------------------------------------


def test_many_processes_start_on_one_new_database(url: str) -> None:
    code = (
        "import sys; from iobeam_server.storage.postgres import PostgresStorage as S;"
        "s = S(sys.argv[1], 2); p = s.create_first_project('first', 0);"
        "print(p is not None, s.signing_keys()); s.close()"
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
    first.write([batch("d", [1, 2])])
    with contextlib.closing(PostgresStorage(url)) as again:
        assert again.signing_keys() == first.signing_keys()
        assert stored(again) == [1, 2]


def test_a_newer_schema_is_refused(url: str, beside: Any) -> None:
    beside.execute("UPDATE iobeam_schema SET version = version + 1")
    with pytest.raises(ConfigError, match="newer"):
        PostgresStorage(url)


def test_another_programs_tables_are_refused(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE points (x int)")
    with pytest.raises(ConfigError, match="another program"):
        PostgresStorage(url)


def test_another_encoding_is_refused(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        )
    with pytest.raises(ConfigError, match="UTF8"):
        PostgresStorage(postgres.url.replace("/postgres?", "/ascii?"))


@pytest.mark.parametrize(
    "where", ["/no/such/folder", "127.0.0.1&port=1"], ids=["socket", "tcp"]
)
def test_a_database_that_is_not_there(where: str) -> None:
    with pytest.raises(ConfigError, match="cannot use") as caught:
        open_storage(f"postgresql://user:secret@/x?host={where}", Config())
    assert "secret" not in str(caught.value)


def test_what_is_shown_of_a_url_holds_no_password() -> None:
    assert shown("postgresql://u:p@h:1/d?password=x") == "postgresql://h:1/d"


# -- several processes -----------------------------------------------------------


def test_changes_of_another_process_are_seen_at_once(
    first: PostgresStorage, second: PostgresStorage
) -> None:
    """What the writer remembers must not outlive a change made beside it."""
    first.register_device(Device(1, "d", "d", None, 0), named=True)
    assert first.write([batch("d", [1], must_exist=True)]) == [None]
    assert second.delete_device(1, "d") is True
    (refused,) = first.write([batch("d", [2], must_exist=True)])
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
                batches = [batch(f"d{n}", [i] * 50, name) for n in range(3) for name in names]
                assert store.write(batches[::turn]) == [None] * 6
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in ((first, 1), (second, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert errors == []
    series = first.series(1, INPUT, None, None)
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
            assert second.write([batch("e", ["text"])]) == [None]

    monkeypatch.setattr(engine.BatchWriter, "_read_fields", look)
    (refused,) = first.write([batch("d", [1])])
    assert isinstance(refused, TypeConflict)
    assert stored(first) == ["text"]


def test_a_transaction_that_lost_is_repeated(
    first: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = engine.BatchWriter.write
    errors = [psycopg.errors.DeadlockDetected("40P01"), psycopg.errors.SerializationFailure("x")]

    def lose(*arguments: Any) -> Any:
        found = write(*arguments)
        if errors:
            raise errors.pop()
        return found

    monkeypatch.setattr(engine.BatchWriter, "write", lose)
    assert first.write([batch("d", [1])]) == [None]
    assert stored(first) == [1]


def test_a_real_deadlock_is_survived(first: PostgresStorage, url: str) -> None:
    assert first.write([batch("d", [1, 2])]) == [None]
    with psycopg.connect(url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # so that the store is the one that loses
        other.execute("UPDATE points SET int_value = 7 WHERE time = 1")
        thread = threading.Thread(target=first.write, args=([batch("d", [3, 4])],))
        thread.start()  # locks time 0, waits for 1
        with psycopg.connect(url, autocommit=True) as beside:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while beside.execute(waiting).fetchone() == (0,):
                pass
        other.execute("UPDATE points SET int_value = 7 WHERE time = 0")
        other.commit()
    thread.join(WAIT_S)
    assert stored(first) == [3, 4]


def test_a_lost_connection_costs_nothing(first: PostgresStorage, beside: Any) -> None:
    assert first.write([batch("d", [1])]) == [None]
    beside.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND query NOT LIKE '%pg_stat_activity%' AND datname = current_database()"
    )
    assert first.write([batch("d", [2])]) == [None]
    assert stored(first) == [2]


def test_what_the_database_refuses_fails_no_neighbour(first: PostgresStorage) -> None:
    """Checked long before; a hole in the check must not cost the others their commit."""
    results = first.write([batch("d", [1]), batch("e", ["\0"], "t"), batch("f", [2], "b")])
    assert [type(result) for result in results] == [type(None), StorageUnavailable, type(None)]
    assert stored(first) == [1]
    assert stored(first, "b") == [2]


def test_after_close_calls_fail_cleanly_and_close_is_idempotent(url: str) -> None:
    store = PostgresStorage(url)
    store.close()
    store.close()
    with pytest.raises(StorageUnavailable):
        store.create_project("p", 0)


def test_an_abandoned_read_gives_its_connection_back(first: PostgresStorage) -> None:
    first.write([batch("d", list(range(5_000)))])
    (series,) = first.series(1, INPUT, None, None)
    for _ in range(5):  # more than there are connections
        points = first.points(series, Selection())
        next(points)
        del points
    first.check()


# -- values ----------------------------------------------------------------------


def test_filters_compare_integers_and_doubles_exactly(first: PostgresStorage) -> None:
    big = 2**53
    first.write([batch("d", [big, big + 1, float(big), float(big + 2), INT64_MAX])])
    assert stored(first, less_than=big + 1) == [big, float(big)]
    assert stored(first, greater_than=big + 1) == [float(big + 2), INT64_MAX]
    assert stored(first, equals=big + 1) == [big + 1]
    assert stored(first, equals=float(big)) == [big, float(big)]
    assert len(stored(first, greater_than=-(10**400))) == 5


def test_sums_beyond_the_doubles_are_infinite_not_an_error(first: PostgresStorage) -> None:
    first.write([batch("d", [1e308, 1e308, 0.5]), batch("d", [1e308, -1e308, 0.5], "b")])
    found = {}
    for series in first.series(1, INPUT, None, None):
        (bucket,) = first.buckets(series, Selection(), None)
        found[series.name] = bucket.real_sum
    assert found == {"a": float("inf"), "b": 0.5}


def test_the_view_shows_every_point(first: PostgresStorage, beside: Any) -> None:
    for name, value in (("i", 3), ("r", 0.5), ("b", True), ("t", "x")):
        first.write([batch("d", [value], name)])
    cursor = beside.execute("SELECT * FROM iobeam_points ORDER BY series")
    assert [column.name for column in cursor.description] == [
        "project_id", "namespace", "device_id", "series", "time", "value", "text_value",
    ]  # fmt: skip
    rows = cursor.fetchall()
    assert rows == [
        (1, "input", "d", "b", 0, 1.0, None),
        (1, "input", "d", "i", 0, 3.0, None),
        (1, "input", "d", "r", 0, 0.5, None),
        (1, "input", "d", "t", 0, None, "x"),
    ]
    assert type(rows[1][5]) is float


def test_a_range_of_one_series_is_one_search_on_the_primary_key(
    first: PostgresStorage, beside: Any
) -> None:
    first.write([batch("d", list(range(20_000)))])
    beside.execute("ANALYZE points")
    for sql in (
        "SELECT time, int_value, real_value FROM points"
        " WHERE series_id = 1 AND time >= 2 AND time <= 3 ORDER BY time",
        "SELECT time, value FROM iobeam_points WHERE project_id = 1 AND namespace = 'input'"
        " AND device_id = 'd' AND series = 'a' AND time BETWEEN 2 AND 3",
    ):
        plan = "\n".join(row[0] for row in beside.execute("EXPLAIN " + sql))
        assert "points_pkey" in plan, plan
        assert '("time" >= 2)' in plan, plan


# -- TimescaleDB -----------------------------------------------------------------


def test_without_the_extension_the_points_stay_a_plain_table(beside: Any) -> None:
    assert postgres_schema.partition(beside) is False


def test_points_become_a_hypertable_while_they_are_empty(
    first: PostgresStorage, beside: Any
) -> None:
    """Stand-ins with the names and argument types of TimescaleDB 2."""
    beside.execute("CREATE SCHEMA timescaledb_information")
    try:
        beside.execute(
            "CREATE TABLE timescaledb_information.hypertables"
            " (hypertable_schema name, hypertable_name name)"
        )
        beside.execute(
            "CREATE FUNCTION create_hypertable(relation regclass, time_column_name name,"
            " partitioning_column name DEFAULT NULL, number_partitions integer DEFAULT NULL,"
            " chunk_time_interval anyelement DEFAULT NULL::bigint,"
            " create_default_indexes boolean DEFAULT TRUE) RETURNS void LANGUAGE sql AS"
            " 'INSERT INTO timescaledb_information.hypertables"
            " VALUES (current_schema(), relation::text::name)'"
        )
        assert postgres_schema.make_hypertable(beside) is True
        assert postgres_schema.make_hypertable(beside) is False
        beside.execute("DELETE FROM timescaledb_information.hypertables")
        first.write([batch("d", [1])])
        assert postgres_schema.make_hypertable(beside) is False
    finally:
        beside.execute("SET client_min_messages = error")
        beside.execute("DROP SCHEMA timescaledb_information CASCADE")
