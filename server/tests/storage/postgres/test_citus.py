"""Points spread over machines, with stand-ins that have the names and argument types of Citus."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from engines import missing
from storage.samples import batch, cells, stored, two_devices
from storage.standins import install_citus, is_real
from storage.statements import Recorder, fault
from test_cli import run

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

import psycopg

from iobeam_server.errors import ConfigError, StorageDefect
from iobeam_server.rules.points import INT64_MAX
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.postgres.store import PostgresStorage


@pytest.fixture
def citus(beside: Any) -> Any:
    if is_real(beside):
        pytest.skip("this server has Citus itself; the other tests of the storage use it")
    install_citus(beside)
    return beside


def table(connection: Any, sql: str) -> list[Any]:
    return connection.execute(sql).fetchall()


def test_without_citus_it_says_what_to_do(url: str, first: PostgresStorage) -> None:
    with psycopg.connect(url) as connection:
        if is_real(connection):
            pytest.skip("this server has Citus itself")
    with pytest.raises(ConfigError, match=r"no Citus: install .*shared_preload.*CREATE EXTENSION"):
        first.distribute(8)
    assert first.layout() == "plain table"


def test_points_and_keys_are_spread_by_series(first: PostgresStorage, citus: Any) -> None:
    two_devices(first)
    assert first.distribute(4) is True
    assert table(citus, "SELECT logicalrelid::text, beside FROM pg_dist_partition") == [
        ("points", "none"),
        ("series_keys", "points"),
    ]
    assert table(citus, "SELECT relation::text FROM truncated") == [("points",), ("series_keys",)]
    assert table(citus, "SELECT series_id FROM series_keys ORDER BY 1") == table(
        citus, "SELECT series_id FROM series ORDER BY 1"
    )
    assert first.layout() == "4 shards on 2 workers"


def test_a_second_time_changes_nothing_but_adds_keys_that_lack(
    first: PostgresStorage, citus: Any
) -> None:
    first.distribute(4)
    two_devices(first)
    citus.execute("DELETE FROM series_keys WHERE series_id % 2 = 0")
    assert list(first.problems()) == [
        "2 series are not in series_keys: iobeam-server distribute adds them"
    ]
    assert first.distribute(16) is False
    assert first.layout() == "4 shards on 2 workers"
    assert len(table(citus, "SELECT * FROM truncated")) == 2
    assert list(first.problems()) == []


def test_what_was_restored_undistributed_is_spread_again(
    first: PostgresStorage, citus: Any
) -> None:
    first.distribute(4)
    two_devices(first)
    for name in ("partition", "shard", "placement"):
        citus.execute(f"DELETE FROM pg_dist_{name}")  # noqa: S608
    assert first.layout() == "plain table"
    assert len(list(first.rows(first.series.find(1, INPUT, None, "n"), None, None, 2))) == 4
    assert first.distribute(2) is True
    assert first.layout() == "2 shards on 2 workers"


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("0", "3 shards on the coordinator"),
        ("2", "3 shards on 1 worker"),
        ("shardid % 2", "3 shards on 1 worker and the coordinator"),
    ],
)
def test_where_the_shards_are(first: PostgresStorage, citus: Any, groups: str, words: str) -> None:
    first.distribute(3)
    citus.execute(f"UPDATE pg_dist_placement SET groupid = {groups}")  # noqa: S608
    assert first.layout() == words


def test_running_writers_notice_and_keep_the_keys(
    first: PostgresStorage, second: PostgresStorage, citus: Any
) -> None:
    assert first.write([cells("d", [1])]) == [None]
    second.distribute(4)
    assert first.write([cells("d", [1], name="b"), cells("e", [2])]) == [None, None]
    assert second.write([cells("e", [3], name="b")]) == [None]
    assert table(citus, "SELECT series_id FROM series_keys ORDER BY 1") == table(
        citus, "SELECT series_id FROM series ORDER BY 1"
    )
    assert len(list(first.rows(second.series.find(1, INPUT, None, None), None, None, 1))) == 4


def test_keys_of_a_refused_batch_go_with_it(first: PostgresStorage, citus: Any) -> None:
    first.distribute(4)
    assert first.write([cells("d", [1])]) == [None]
    refused = batch([[0, 1, "no number"]], ("new", "a"), device="d")
    assert first.write([refused, cells("e", [2])])[0] is not None
    assert len(table(citus, "SELECT * FROM series_keys")) == 2
    assert list(first.problems()) == []


def test_imports_that_come_meanwhile_wait_and_none_is_lost(
    first: PostgresStorage, second: PostgresStorage, citus: Any
) -> None:
    first.write([cells("d", [0])])
    results: list[Any] = []
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            results.extend(first.write([cells(f"d{len(results)}", [1])]))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(3):
            second.distribute(4)
    finally:
        stop.set()
        sender.join()
    assert set(results) == {None}
    assert len(stored(first)) == len(results) + 1
    assert list(first.problems()) == []


def test_a_worker_is_refused_by_name(url: str, first: PostgresStorage, citus: Any) -> None:
    citus.execute("UPDATE pg_dist_local_group SET groupid = 2")
    words = r"on a worker of Citus: give the URL of the coordinator, hub:5432;"
    with pytest.raises(ConfigError, match=words):
        PostgresStorage(url, connections=3)
    with pytest.raises(ConfigError, match=words):
        first.distribute(4)
    citus.execute("DELETE FROM pg_dist_node")  # one that does not know its coordinator
    with pytest.raises(ConfigError, match="URL of the coordinator; everything"):
        PostgresStorage(url, connections=3)


def test_what_citus_refuses_is_said_and_undone(first: PostgresStorage, citus: Any) -> None:
    citus.execute("DROP FUNCTION truncate_local_data_after_distributing_table")
    with pytest.raises(ConfigError, match=r"Citus cannot be used: .*truncate_local_data"):
        first.distribute(4)
    assert first.layout() == "plain table"
    assert table(citus, "SELECT to_regclass('series_keys')") == [(None,)]


def test_a_writer_keeps_its_connections_to_the_workers(url: str, first: PostgresStorage) -> None:
    def kept(store: PostgresStorage) -> Any:
        with store._connections.writing(store._connections.writers) as connection:
            setting = "SELECT current_setting('citus.max_cached_conns_per_worker', true)"
            return connection.execute(setting).fetchone()

    assert kept(first) == (None,)
    with_citus = url.replace("options=", "options=-ccitus.max_cached_conns_per_worker%3D1%20", 1)
    store = PostgresStorage(with_citus, connections=3)
    try:
        assert kept(store) == ("64",)
    finally:
        store.close()


def test_a_series_without_its_key_is_found_by_all_other_queries(
    first: PostgresStorage, citus: Any
) -> None:
    first.distribute(4)
    two_devices(first)
    citus.execute("DELETE FROM series_keys")
    series = first.series.find(1, INPUT, None, "n")
    assert len(list(first.rows(series, None, None, None))) == 10
    assert len(list(first.rows(series[:1], None, None, 2))) == 2


def test_the_size_counts_the_shards(first: PostgresStorage, citus: Any) -> None:
    before = first.size().total
    first.distribute(4)
    assert first.size().total >= before + 2_000_000


def test_the_newest_of_no_limit_are_all(first: PostgresStorage, citus: Any) -> None:
    first.distribute(4)
    two_devices(first)
    series = first.series.find(1, INPUT, None, "n")
    assert len(list(first.rows(series, None, None, INT64_MAX + 1))) == 10


@pytest.mark.parametrize(
    ("statement", "is_wrong", "is_wrong_there"),
    [
        ("SELECT time FROM points WHERE series_id = %s", False, False),
        ("SELECT max(time) FROM points", True, True),
        ("DELETE FROM points WHERE time < %s", True, True),
        ("UPDATE points SET int_value = 1", True, True),
        ("VACUUM (ANALYZE) projects, points", False, False),
        ("SELECT sum(points) FROM summaries", False, False),
        ("SELECT s.x FROM unnest(%s) AS s (x) CROSS JOIN LATERAL (SELECT time FROM points"
         " WHERE series_id = s.x ORDER BY time LIMIT 1) AS p", False, True),
        ("SELECT k.series_id FROM series_keys k CROSS JOIN LATERAL (SELECT time FROM points"
         " WHERE series_id = k.series_id ORDER BY time LIMIT 1) AS p", False, False),
        ("SELECT (SELECT max(p.time) FROM points p WHERE p.series_id = s.series_id) FROM series s",
         False, True),
        ("WITH f AS MATERIALIZED (SELECT time FROM points WHERE series_id = 1) SELECT 1 FROM f",
         False, False),
    ],
)  # fmt: skip
def test_the_rule_for_statements(statement: str, is_wrong: bool, is_wrong_there: bool) -> None:
    assert (fault(statement, False) is not None) is is_wrong
    assert (fault(statement, True) is not None) is is_wrong_there


def test_statements_of_the_product_are_recorded_and_no_others(
    first: PostgresStorage, beside: Any, statements: Recorder
) -> None:
    statements.statements.clear()
    beside.execute("SELECT count(*) FROM points")
    first.write([cells("d", [1])])
    assert stored(first) == [(0, 1)]
    first.write([cells("e", list(range(300)))])
    found = statements.statements
    assert any(one.startswith("INSERT INTO points") for one in found)
    assert any(one.startswith("COPY incoming") for one in found)
    assert any(one.startswith("SELECT time, int_value") for one in found)
    assert "SELECT count(*) FROM points" not in found


def test_the_commands(
    monkeypatch: Any, capsys: Any, url: str, first: PostgresStorage, tmp_path: Any
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if is_real(connection):
            pytest.skip("this server has Citus itself")
        assert run(monkeypatch, "distribute", "--database", url) == 1
        assert "this database has no Citus" in capsys.readouterr().err
        install_citus(connection)
    for words in ("are distributed now", "were distributed already"):
        assert run(monkeypatch, "distribute", "--shards", "3", "--database", url) == 0
        assert capsys.readouterr().out == f"the points {words}: 3 shards on 2 workers\n"
    assert run(monkeypatch, "check", "--database", url) == 0
    assert "points: 3 shards on 2 workers\n" in capsys.readouterr().out
    assert run(monkeypatch, "distribute", "--shards", "0", "--database", url) == 2
    path = f"sqlite:///{tmp_path}/x.db"
    assert run(monkeypatch, "project", "create", "one", "--database", path) == 0
    assert run(monkeypatch, "distribute", "--database", path) == 1
    assert "Citus is an extension of PostgreSQL" in capsys.readouterr().err


def test_a_statement_that_citus_does_not_take_is_a_defect(first: PostgresStorage) -> None:
    with pytest.raises(StorageDefect), first.reading():
        raise psycopg.errors.FeatureNotSupported("cannot push down this subquery")
