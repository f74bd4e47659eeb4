from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from storage.samples import when_it_is_back

from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, StorageAway, StorageUnavailable, UnknownDevice
from iobeam_server.rules.points import Column, Kind
from iobeam_server.rules.summaries import DAY
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Batch, Device, Part, Selection
from iobeam_server.storage.catalog import summaries
from iobeam_server.storage.sqlite.schema import STEPS
from iobeam_server.storage.sqlite.store import SqliteStorage


def batch(device: str, values: int, must_exist: bool = False, kind: Kind = Kind.NUMBER) -> Batch:
    cells = ["x"] * values if kind is Kind.TEXT else range(values)
    column = Column("a", range(values), cells, {kind: 0})
    return Batch(1, INPUT, [Part(device, [column])], must_exist, False)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "data.db")


def test_the_file_is_its_owners_alone(path: str) -> None:
    with contextlib.closing(SqliteStorage(path)) as store:
        store.projects.create("p", 0)
        for name in (path, path + "-wal"):
            assert stat.S_IMODE(os.stat(name).st_mode) == 0o600


def test_commits_are_durable(path: str) -> None:
    with contextlib.closing(SqliteStorage(path)) as store:
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_reopening_keeps_data_and_key(path: str) -> None:
    with contextlib.closing(SqliteStorage(path)) as store:
        store.projects.create("p", 0)
        key = store.keys.signing()
    with contextlib.closing(SqliteStorage(path)) as store:
        assert store.keys.signing() == key
        assert [p.project_name for p in store.projects.all()] == ["p"]


def test_a_newer_schema_is_refused(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(ConfigError, match="newer"):
        SqliteStorage(path)


def test_another_programs_database_is_refused(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(ConfigError, match="another program"):
        SqliteStorage(path)


def test_a_file_that_is_no_database_is_refused(path: str) -> None:
    Path(path).write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match="cannot use"):
        SqliteStorage(path)


def test_a_sqlite_without_upserts_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 23, 1))
    with pytest.raises(ConfigError, match=r"3\.24 or newer"):
        SqliteStorage(path)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 24, 0))
    SqliteStorage(path).close()


@pytest.mark.parametrize(
    "url",
    ["", "data.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://u:secret@h/d",
     "sqlite:////no/such/folder/x.db"],
)  # fmt: skip
def test_urls_that_name_no_database(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(url, Config())
    assert "secret" not in str(caught.value)


def test_relative_and_absolute_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///r.db", f"sqlite:///{tmp_path}/a.db"):
        open_storage(url, Config()).close()
    assert {p.name for p in tmp_path.iterdir()} == {"r.db", "a.db"}


def test_changes_of_another_process_are_seen_at_once(path: str) -> None:
    """What the writer remembers must not outlive a change made beside it."""
    with (
        contextlib.closing(SqliteStorage(path)) as store,
        contextlib.closing(SqliteStorage(path)) as other,
    ):
        store.projects.create("p", 0)
        store.devices.register(Device(1, "d", "d", None, 0), named=True)
        assert store.write([batch("d", 2, must_exist=True)]) == [None]
        other.devices.delete(1, "d")
        (refused,) = store.write([batch("d", 2, must_exist=True)])
        assert isinstance(refused, UnknownDevice)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for table in ("points", "series", "fields"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608
        assert store.write([batch("d", 2, kind=Kind.TEXT)]) == [None]
        (series,) = other.series.find(1, INPUT, None, None)
        assert list(other.points(series, Selection())) == [(0, "x"), (1, "x")]


def test_many_processes_start_on_one_new_file(path: str) -> None:
    code = (
        "import sys; from iobeam_server.storage.sqlite.store import SqliteStorage as S;"
        "s = S(sys.argv[1]); p = s.projects.create_first('first', 0);"
        "print(p is not None, s.keys.signing()); s.close()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    lines = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4
    assert sorted(line.split()[0] for line in lines) == ["False", "False", "False", "True"]
    assert len({line.split(maxsplit=1)[1] for line in lines}) == 1, "all sign with the same key"


def test_a_write_lock_held_elsewhere_is_reported_not_waited_for_ever(path: str) -> None:
    with contextlib.closing(SqliteStorage(path, busy_timeout_s=0.05)) as store:
        store.projects.create("p", 0)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(2):  # by the second time it is known
                with pytest.raises(StorageAway, match="locked"):
                    store.write([batch("d", 1)])
            assert len(store.projects.all()) == 1, "who reads waits for nobody"
            other.execute("ROLLBACK")
        assert when_it_is_back(lambda: store.write([batch("d", 1)])) == [None]


def test_after_close_calls_fail_cleanly_and_close_is_idempotent(path: str) -> None:
    store = SqliteStorage(path)
    store.close()
    store.close()
    with pytest.raises(StorageUnavailable):
        store.projects.create("p", 0)


def test_the_view_shows_every_point(path: str) -> None:
    with contextlib.closing(SqliteStorage(path)) as store:
        store.projects.create("p", 0)
        columns = [
            Column("i", [1], [3], {Kind.NUMBER: 0}),
            Column("r", [1], [0.5], {Kind.NUMBER: 0}),
            Column("b", [1], [True], {Kind.BOOLEAN: 0}),
            Column("t", [1], ["x"], {Kind.TEXT: 0}),
        ]
        store.write([Batch(1, INPUT, [Part("d", columns)], False, False)])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute("SELECT * FROM iobeam_points ORDER BY series")
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    assert names == [
        "project_id", "namespace", "device_id", "series", "time", "value", "text_value",
    ]  # fmt: skip
    assert rows == [
        (1, "input", "d", "b", 1, 1.0, None),
        (1, "input", "d", "i", 1, 3.0, None),
        (1, "input", "d", "r", 1, 0.5, None),
        (1, "input", "d", "t", 1, None, "x"),
    ]
    assert type(rows[1][5]) is float


def test_a_range_of_one_series_is_one_search_on_the_primary_key(path: str) -> None:
    with contextlib.closing(SqliteStorage(path)) as store:
        store.projects.create("p", 0)
        store.write([batch("d", 10)])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for sql in (
            "SELECT time, coalesce(int_value, real_value) FROM points"
            " WHERE series_id = 1 AND time >= 2 AND time <= 3 ORDER BY time",
            "SELECT time, value FROM iobeam_points WHERE project_id = 1 AND namespace = 'input'"
            " AND device_id = 'd' AND series = 'a' AND time BETWEEN 2 AND 3",
        ):
            plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]
            assert not any(step.startswith("SCAN") for step in plan), plan
            assert any(
                "PRIMARY KEY (series_id=? AND time>? AND time<?)" in step for step in plan
            ), plan


def test_an_abandoned_read_leaves_nothing_open(path: str) -> None:
    with contextlib.closing(SqliteStorage(path)) as store:
        store.projects.create("p", 0)
        store.write([batch("d", 5_000)])
        (series,) = store.series.find(1, INPUT, None, None)
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(20):
            points = store.points(series, Selection())
            next(points)
            del points
        if before:
            assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with contextlib.closing(open_storage(f"sqlite:///{path}", Config())) as store:
        store.projects.create("one", 0)
        store.write([batch("d", 5_000)])
    data = bytearray(path.read_bytes())
    at = len(data) - 4096  # a page of points: the other tables were made before
    data[at + 8 : at + 200] = b"\xff" * 192
    path.write_bytes(data)
    with contextlib.closing(open_storage(f"sqlite:///{path}", Config())) as store:
        first, *_ = store.problems()
        assert "damaged" in first


def test_sums_wait_for_no_writer(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds the lock: the points are added up as they are, and soon."""
    monkeypatch.setattr(summaries, "DIRECT_POINTS", 20)
    with contextlib.closing(SqliteStorage(path, busy_timeout_s=20)) as store:
        store.projects.create("p", 0)
        store.write([batch("d", 100)])
        (series,) = store.series.find(1, INPUT, None, None)
        with contextlib.closing(
            sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            (found,) = store.buckets(series, Selection(), DAY)
            assert found.points == 100
            assert time.monotonic() - began < 10
            assert other.execute("SELECT count(*) FROM summed").fetchone() == (0,)
            threading.Timer(2, lambda: other.execute("ROLLBACK")).start()
            assert store.write([batch("d", 101)]) == [None]  # waits longer than sums do
        (found,) = store.buckets(series, Selection(), DAY)
        assert found.points == 101
