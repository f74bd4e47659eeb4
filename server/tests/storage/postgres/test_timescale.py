"""Chunks of time, with stand-ins that have the names and argument types of TimescaleDB 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from engines import missing
from storage.samples import cells, stored
from test_cli import run

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

import psycopg

from iobeam_server import maintenance
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, Unprocessable
from iobeam_server.rules.points import Column, Kind
from iobeam_server.rules.summaries import HOUR
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Batch, Part, Selection
from iobeam_server.storage.postgres import timescale
from iobeam_server.storage.postgres.sql import PostgresSql
from iobeam_server.storage.postgres.store import PostgresStorage

WEEK_US = 7 * 86_400 * 1_000_000
AWAY = '"Time Scale"'  # a schema off the search path


class WithExtension(PostgresSql):
    """What the catalogue of a database says that has the extension."""

    def execute(self, sql: str, *values: object) -> Any:
        if "pg_available_extensions" in sql:
            return super().execute("SELECT 1")
        if "FROM pg_extension" in sql:
            return super().execute("SELECT quote_ident('Time Scale')")
        if "CREATE EXTENSION" in sql:
            return super().execute("SELECT 1")
        return super().execute(sql, *values)


@pytest.fixture
def extension(beside: Any) -> Iterator[Any]:
    beside.execute("CREATE SCHEMA timescaledb_information")
    beside.execute(f"CREATE SCHEMA {AWAY}")
    try:
        beside.execute(
            "CREATE TABLE timescaledb_information.dimensions"
            " (hypertable_schema name, hypertable_name name, integer_interval bigint)"
        )
        beside.execute(
            "CREATE TABLE timescaledb_information.chunks (hypertable_schema name,"
            " hypertable_name name, range_start_integer bigint, range_end_integer bigint)"
        )
        beside.execute(
            'CREATE FUNCTION "Time Scale".create_hypertable(relation regclass,'
            " time_column_name name, partitioning_column name DEFAULT NULL,"
            " number_partitions integer DEFAULT NULL,"
            " chunk_time_interval anyelement DEFAULT NULL::bigint,"
            " create_default_indexes boolean DEFAULT TRUE, migrate_data boolean DEFAULT FALSE)"
            " RETURNS void LANGUAGE sql AS 'INSERT INTO timescaledb_information.dimensions"
            " VALUES (current_schema(), relation::text::name, chunk_time_interval)'"
        )
        beside.execute(
            'CREATE FUNCTION "Time Scale".set_chunk_time_interval(hypertable regclass,'
            " chunk_time_interval anyelement, dimension_name name DEFAULT NULL) RETURNS void"
            " LANGUAGE sql AS 'UPDATE timescaledb_information.dimensions"
            " SET integer_interval = chunk_time_interval'"
        )
        beside.execute(
            'CREATE FUNCTION "Time Scale".drop_chunks(relation regclass,'
            " older_than bigint DEFAULT NULL) RETURNS void LANGUAGE sql AS"
            " 'DELETE FROM points WHERE time < (SELECT max(range_end_integer)"
            " FROM timescaledb_information.chunks WHERE range_end_integer <= older_than);"
            " DELETE FROM timescaledb_information.chunks WHERE range_end_integer <= older_than'"
        )
        yield beside
    finally:
        beside.execute("SET client_min_messages = error")
        beside.execute(f"DROP SCHEMA timescaledb_information, {AWAY} CASCADE")


def widths(connection: Any) -> list[Any]:
    rows = connection.execute("SELECT * FROM timescaledb_information.dimensions").fetchall()
    (schema,) = connection.execute("SELECT current_schema()").fetchone()
    assert {row[:2] for row in rows} <= {(schema, "points")}
    return [row[2] for row in rows]


@contextlib.contextmanager
def transaction(url: str) -> Iterator[PostgresSql]:
    with psycopg.connect(url) as connection:
        yield WithExtension(connection)


def test_points_are_divided_also_where_there_are_some(
    first: PostgresStorage, url: str, extension: Any
) -> None:
    first.write([cells("d", [1, 2])])
    with transaction(url) as sql:
        assert timescale.divide(sql, WEEK_US) is True
    assert widths(extension) == [WEEK_US]
    assert stored(first) == [(0, 1), (1, 2)]


def test_a_second_time_says_how_wide_new_chunks_are(
    first: PostgresStorage, url: str, extension: Any
) -> None:
    for width, is_new in ((WEEK_US, True), (2 * WEEK_US, False)):
        with transaction(url) as sql:
            assert timescale.divide(sql, width) is is_new
    assert widths(extension) == [2 * WEEK_US]


def test_too_many_chunks_are_refused_and_nothing_is_changed(
    first: PostgresStorage, url: str, extension: Any
) -> None:
    first.write([cells("d", list(range(timescale.MAX_CHUNKS + 1)))])  # a us each
    with pytest.raises(ConfigError, match=r"over 1001 chunks.*--chunk"), transaction(url) as sql:
        timescale.divide(sql, 1)
    assert widths(extension) == []
    with transaction(url) as sql:
        assert timescale.divide(sql, 2) is True


def test_what_the_extension_refuses_is_said(
    first: PostgresStorage, url: str, extension: Any
) -> None:
    extension.execute(f"DROP FUNCTION {AWAY}.create_hypertable")
    words = r"TimescaleDB cannot be used: .*create_hypertable"
    with pytest.raises(ConfigError, match=words), transaction(url) as sql:
        timescale.divide(sql, WEEK_US)


def test_starting_divides_nothing(url: str, first: PostgresStorage, extension: Any) -> None:
    with contextlib.closing(open_storage(url, Config())):
        assert widths(extension) == []


def test_without_it_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, url: str, first: PostgresStorage, tmp_path: Any
) -> None:
    assert run(monkeypatch, "hypertable", "--database", url) == 1
    assert "this PostgreSQL has no TimescaleDB: install" in capsys.readouterr().err
    path = f"sqlite:///{tmp_path}/x.db"
    assert run(monkeypatch, "project", "create", "one", "--database", path) == 0
    assert run(monkeypatch, "hypertable", "--database", path) == 1
    assert "extension of PostgreSQL" in capsys.readouterr().err
    assert run(monkeypatch, "hypertable", "--chunk", "0d", "--database", url) == 2


def test_the_command_says_what_it_did(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, url: str, first: PostgresStorage
) -> None:
    asked = []

    def divide(sql: PostgresSql, chunk_us: int) -> bool:
        asked.append(chunk_us)
        return len(asked) == 1

    monkeypatch.setattr(timescale, "divide", divide)
    for words in (
        "the points are divided into chunks of 604800 s\n",
        "the points were divided already; new ones are into chunks of 604800 s\n",
    ):
        assert run(monkeypatch, "hypertable", "--chunk", "7d", "--database", url) == 0
        assert capsys.readouterr().out == words
    assert asked == [WEEK_US, WEEK_US]


def divided(sql: PostgresSql, chunks: list[tuple[int, int]]) -> None:
    """Have a width, and chunks, said by the stand-ins."""
    timescale.divide(sql, 100)
    for start, end in chunks:
        sql.execute(
            "INSERT INTO timescaledb_information.chunks VALUES (current_schema(), 'points', ?, ?)",
            start,
            end,
        )


def column(times: list[int]) -> Batch:
    return Batch(1, INPUT, [Part("d", [Column("a", times, times, {Kind.NUMBER: 0})])], False, False)


def test_an_import_that_opens_many_chunks_is_refused_and_the_row_named(
    first: PostgresStorage, second: PostgresStorage, url: str, extension: Any
) -> None:
    assert first.write([column([5])]) == [None]  # has looked, and found no chunks
    with psycopg.connect(url) as connection:
        divided(WithExtension(connection), [(0, 100), (100, 200)])
        connection.execute("UPDATE iobeam_schema SET catalog = catalog + 1")  # as `divide` leaves
    wide = [at * 100 for at in range(103)]  # two are there: it would open 101
    for store in (first, second):
        refused, taken, negative = store.write(
            [column(wide), column(wide[:-1]), column([at * 100 for at in range(-101, 0)])]
        )
        assert taken is None
        assert isinstance(refused, Unprocessable)
        assert "row of time 1970-01-01T00:00:00.010200Z (10200 us)" in refused.message
        assert "--chunk" in refused.message
        assert refused.field == "time"
        assert isinstance(negative, Unprocessable)
        assert "(-100 us)" in negative.message
    assert [time for time, _ in stored(first)] == sorted({5, *wide[:-1]})


def test_a_pruned_chunk_goes_as_a_whole_and_with_it_what_it_adds_up_to(
    first: PostgresStorage, url: str, extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timescale, "_schema", lambda sql: AWAY)
    first.write([column([1, 50, 99, 100, 150, 250])])
    with transaction(url) as sql:
        divided(sql, [(0, 100), (100, 200), (200, 300)])
    dropped = []
    monkeypatch.setattr(
        first, "drop_chunk", lambda before, drop=first.drop_chunk: dropped.append(drop(before))
        or dropped[-1]
    )  # fmt: skip
    assert maintenance.prune(first, 230) == 5
    assert dropped == [3, 2, None]
    assert stored(first) == [(250, 250)]
    assert maintenance.prune(first, 260, project_id=1) == 1
    assert dropped == [3, 2, None], "chunks hold other projects' points too"


def test_summaries_of_a_dropped_chunk_are_gone(
    first: PostgresStorage, url: str, extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timescale, "_schema", lambda sql: AWAY)
    monkeypatch.setattr("iobeam_server.storage.catalog.summaries.DIRECT_POINTS", 1)
    times = [at * HOUR // 2 for at in range(12)]
    first.write([column(times)])
    (series,) = first.series.find(1, INPUT, None, "a")

    def count() -> int:
        return sum(one.points for one in first.buckets(series, Selection(), HOUR))

    assert count() == 12
    assert extension.execute("SELECT count(*) FROM summaries").fetchone() != (0,)
    end = 2 * HOUR + HOUR // 2  # amid an hour
    with transaction(url) as sql:
        divided(sql, [(0, end), (end, 6 * HOUR)])
    assert first.drop_chunk(4 * HOUR) == 5
    assert extension.execute("SELECT start FROM stale_hours").fetchall() == [(2 * HOUR,)]
    assert list(first.problems()) == []
    assert count() == 7
    assert list(first.problems()) == []


def test_how_the_points_lie_is_said(
    first: PostgresStorage, url: str, extension: Any, monkeypatch: Any, capsys: Any
) -> None:
    assert first.layout() == "plain table"
    with transaction(url) as sql:
        divided(sql, [(0, 100), (100, 200)])
        timescale.divide(sql, WEEK_US)
    assert first.layout() == "hypertable, 2 chunks, new ones of 604800 s"
    assert run(monkeypatch, "check", "--database", url) == 0
    assert capsys.readouterr().out == (
        "points: hypertable, 2 chunks, new ones of 604800 s\nok: 0 points in 0 series\n"
    )
