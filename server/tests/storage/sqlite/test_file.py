"""The database file is taken away while it is open: nothing more is promised."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from storage.samples import batch, stored, when_it_is_back

from iobeam_server.errors import StorageAway
from iobeam_server.storage.sqlite import file
from iobeam_server.storage.sqlite.store import SqliteStorage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place" / "data.db"


@pytest.fixture(params=["by its name", "by looking"])
def store(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SqliteStorage]:
    if request.param == "by looking":  # as where there is no Linux
        monkeypatch.delattr(os, "O_PATH")
    with contextlib.closing(SqliteStorage(str(path))) as opened:
        opened.projects.create("one", 0)
        assert opened.write([batch([[1, 1]])]) == [None]
        yield opened


def removed(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def replaced(path: Path) -> None:
    copy = path.with_suffix(".copy")
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("VACUUM INTO ?", (str(copy),))
    os.replace(copy, path)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def without_its_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "lose", [removed, renamed, replaced, folder_moved, without_its_log, a_folder]
)
def test_a_lost_file_takes_no_writes_and_says_so_once(
    store: SqliteStorage,
    path: Path,
    lose: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    lose(path)
    for _ in range(3):
        with pytest.raises(StorageAway, match=f"the database file {path}") as refused:
            store.write([batch([[2, 2]])])
        assert refused.value.retry_after_s
        with pytest.raises(StorageAway):
            store.projects.create("two", 0)
        with pytest.raises(StorageAway):
            store.check()
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.levelno == logging.ERROR
    assert str(path) in said.getMessage()


def test_who_reads_finds_out_soon(
    store: SqliteStorage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "LOOK_S", 0.0)
    assert len(stored(store)) == 1
    renamed(path)
    with pytest.raises(StorageAway):
        stored(store)


def test_it_goes_on_when_the_file_is_back(
    store: SqliteStorage, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renamed(path)
    with pytest.raises(StorageAway):
        store.write([batch([[2, 2]])])
    path.with_suffix(".away").rename(path)
    assert when_it_is_back(lambda: store.write([batch([[3, 3]])])) == [None]
    assert [time for time, _ in stored(store)] == [1, 3]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    with contextlib.closing(SqliteStorage(str(path))) as other:
        assert [time for time, _ in stored(other)] == [1, 3]


def test_another_file_in_its_place_is_not_written_to(store: SqliteStorage, path: Path) -> None:
    renamed(path)
    with contextlib.closing(SqliteStorage(str(path))) as other:
        other.projects.create("of somebody else", 0)
        before = other.projects.all()
        with pytest.raises(StorageAway, match="has been replaced"):
            store.write([batch([[2, 2]])])
        with pytest.raises(StorageAway):
            store.projects.create("two", 0)
        assert other.projects.all() == before


def test_a_link_may_lead_to_it(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    (tmp_path / "disk").mkdir()
    link.symlink_to(tmp_path / "disk" / "data.db")
    with contextlib.closing(SqliteStorage(str(link))) as store:
        store.projects.create("one", 0)
        assert store.write([batch([[1, 1]])]) == [None]
        link.unlink()
        shutil.copy(tmp_path / "disk" / "data.db", link)
        with pytest.raises(StorageAway):
            store.write([batch([[2, 2]])])


def test_what_it_opens_it_closes_and_the_locks_of_the_database_hold(tmp_path: Path) -> None:
    """Any other file that is opened and closed on a database lets go of its locks."""
    path = tmp_path / "data.db"
    with contextlib.closing(SqliteStorage(str(path), busy_timeout_s=0.1)) as first:
        opened = set(os.listdir("/proc/self/fd"))
        with first.writing():
            file.OpenedFile(str(path)).close()
            tried = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "import sqlite3, sys;"
                    "sqlite3.connect(sys.argv[1], timeout=0.1).execute('BEGIN IMMEDIATE')",
                    str(path),
                ],
                capture_output=True,
                text=True,
            )
            assert "database is locked" in tried.stderr
        assert set(os.listdir("/proc/self/fd")) == opened
    left = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert not {one for one in left if one.startswith(str(path))}
