"""What deletes says how much first, asks where it can, and is told to elsewhere."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from live import Live
from storage.samples import batch, device, stored
from test_cli import WAIT_S, environment, run  # noqa: F401  # environment is a fixture

from iobeam_server import files, maintenance
from iobeam_server.config import Config
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.store import Storage

DAY_US = 86_400 * 1_000_000
FIRST = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z
ROWS = [[FIRST + n * 1_000_000, n] for n in range(10)]
DELETE = ["points", "delete", "--project", "1", "--series", "a"]
FOUR = ["--from", "2026-01-31T12:00:02Z", "--to", "2026-01-31T13:00:05+01:00"]

DELETING = [
    [*DELETE, *FOUR],
    ["prune", "--older-than", "90d"],
    ["series", "drop", "a", "--project", "1"],
    ["series", "retype", "mixed", "number", "--project", "1", "--drop-unfit"],
]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "MAX_PAUSE_S", 0)


def fill(store: Storage) -> None:
    store.write([batch(ROWS, ("a",)), batch([[1, "x"], [2, "7"]], ("mixed",))])
    store.devices.register(device("d"), named=True)


def everything(store: Storage) -> Any:
    return stored(store, "a"), stored(store, "mixed"), store.devices.page(1, 0, None)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", DELETING, ids=lambda command: " ".join(command[:2]))
def test_without_a_terminal_it_takes_yes(
    store: Storage, monkeypatch: pytest.MonkeyPatch, capsys: Any, command: list[str]
) -> None:
    fill(store)
    before = everything(store)
    assert run(monkeypatch, *command) == 2
    told = capsys.readouterr().err
    assert "--yes" in told
    assert "--dry-run" in told
    assert "points" in told
    assert everything(store) == before
    assert run(monkeypatch, *command, "--dry-run") == 0
    told = capsys.readouterr().out
    assert "nothing was changed" in told
    assert everything(store) == before
    assert run(monkeypatch, *command, "--yes") == 0
    told = capsys.readouterr()
    assert "iobeam-server compact" in told.err
    assert "deleted" in told.out.splitlines()[-1]
    assert everything(store) != before


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    store = open_storage(url, Config())
    store.projects.create("one", 0)
    fill(store)
    for answer, code, left in ((b"n\n", 1, 10), (b"y\n", 0, 6)):
        ours, theirs = os.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "iobeam_server", *DELETE, *FOUR, "--database", url],
            stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
        ) as child, open(ours, "r+b", buffering=0) as terminal:  # fmt: skip
            os.close(theirs)
            try:
                seen = b""
                while b"]:" not in seen:
                    seen += terminal.read(1_024)
                terminal.write(answer)
                printed = child.communicate(timeout=WAIT_S)[0]
            finally:
                child.kill()
        assert b"4 points of 1 series, from 2026-01-31T12:00:02.000000Z to" in seen
        assert (child.returncode, len(stored(store, "a"))) == (code, left)
        # click up to 8.1 prints the blank after its question there
        assert printed.lstrip(b" ") == (b"" if code else b"4 points deleted\n")
    store.close()


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        ("1769860802000", "1769860805000", [0, 1, 6, 7, 8, 9]),
        ("2026-01-31T12:00:02Z", "2026-01-31T12:00:05Z", [0, 1, 6, 7, 8, 9]),
        ("2026-01-31T12:00:02.000001Z", "2026-01-31T12:00:04.999999Z", [0, 1, 2, 5, 6, 7, 8, 9]),
        ("-99999999999999", "99999999999999", []),
        ("0", "1769860799999", list(range(10))),
    ],
)
def test_both_ends_are_included(
    store: Storage, monkeypatch: pytest.MonkeyPatch, first: str, last: str, left: list[int]
) -> None:
    fill(store)
    monkeypatch.setattr(maintenance, "PIECE_POINTS", 3)
    assert run(monkeypatch, *DELETE, "--from", first, "--to", last, "--yes") == 0
    assert [value for _, value in stored(store, "a")] == left
    assert len(stored(store, "mixed")) == 2


@pytest.mark.usefixtures("environment")
def test_only_of_the_device_and_in_the_namespace(
    store: Storage, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    store.namespaces.create(1, "other", "place", {}, {}, 0)
    store.write([batch(ROWS), batch(ROWS, device="e"), batch(ROWS, namespace="other")])
    assert run(monkeypatch, *DELETE, *FOUR, "--device", "e", "--yes") == 0
    assert len(stored(store, "a", "d")) == 10
    assert len(stored(store, "a", "e")) == 6
    assert run(monkeypatch, *DELETE, *FOUR, "--namespace", "other", "--yes") == 0
    capsys.readouterr()
    # the one project need not be named, one of several must
    assert run(monkeypatch, *DELETE[:2], *DELETE[4:], *FOUR, "--yes") == 0
    assert capsys.readouterr().out == "4 points deleted\n"
    store.projects.create("two", 0)
    assert run(monkeypatch, *DELETE[:2], *DELETE[4:], *FOUR, "--yes") == 2
    assert "--project" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "2026-01-31T12:00:00", "--to", "1"], 2, "with its zone"),
        (["--from", "yesterday", "--to", "1"], 2, "milliseconds since the epoch"),
        (["--from", "2", "--to", "1"], 2, "is after --to"),
        (["--from", "1"], 2, "--to"),
        ([*FOUR, "--device", "nobody"], 1, "no series 'a' of device 'nobody'"),
        ([*FOUR, "--namespace", "nowhere"], 1, "in namespace 'nowhere'"),
        ([*FOUR, "--project", "9"], 1, "no project 9"),
    ],
)
def test_what_cannot_be_meant(
    store: Storage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    fill(store)
    assert run(monkeypatch, *DELETE, *arguments, "--yes") == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert len(stored(store, "a")) == 10


@pytest.mark.usefixtures("environment")
def test_the_registration_of_a_device_goes_without_points_lost(
    store: Storage, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    fill(store)
    assert run(monkeypatch, "device", "delete", "d", "--project", "1", "--dry-run") == 0
    assert "its 12 points stay" in capsys.readouterr().out
    assert store.devices.get(1, "d") is not None
    assert run(monkeypatch, "device", "delete", "d", "--project", "1") == 0
    assert store.devices.get(1, "d") is None
    assert len(stored(store, "a")) == 10
    assert run(monkeypatch, "device", "delete", "d", "--project", "1", "--yes") == 1


def test_points_go_beside_a_running_server(
    live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live.send(["time", "a"], [[n, n] for n in range(10)])
    url = f"sqlite:///{tmp_path}/live.db"
    command = ["points", "delete", "--series", "a", "--from", "0", "--to", "0", "--database", url]
    assert run(monkeypatch, *command, "--yes") == 0
    assert live.points() == {}, "0 ms is 1000 microseconds"
    assert live.send(["time", "a"], [[5, 1]]).status == 200
    assert live.points() == {"a": [[5, 1]]}


# -- the room ------------------------------------------------------------------------------


@pytest.mark.usefixtures("environment")
def test_compacting_gives_the_room_back(
    store: Storage, monkeypatch: pytest.MonkeyPatch, capsys: Any, database: str
) -> None:
    store.write([batch([[n, f"{n:090}"] for n in range(30_000)], ("text",))])
    assert run(monkeypatch, "series", "drop", "text", "--project", "1", "--yes") == 0
    full = store.size().total
    assert full > 3_000_000
    capsys.readouterr()
    assert run(monkeypatch, "compact", "--dry-run") == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert run(monkeypatch, "compact", "--full") == 0
    assert " before, " in capsys.readouterr().out
    assert store.size().total < full / 3
    assert store.write([batch([[1, 1]], ("new",))]) == [None], "and it goes on"
    assert list(store.problems()) == []
    if database.startswith("sqlite"):
        path = Path(database.partition(":///")[2])
        assert path.stat().st_size < full / 3
        assert list(Path(f"{path}.tmp").iterdir()) == []


def test_imports_go_on_after_compacting_beside_a_server(
    live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live.send(["time", "a"], [[n, n] for n in range(1_000)])
    assert run(monkeypatch, "compact", "--database", f"sqlite:///{tmp_path}/live.db") == 0
    assert live.send(["time", "a"], [[2_000, 1]]).status == 200
    assert len(live.points()["a"]) == 1_001


def test_a_file_shrinks_when_those_who_read_are_done(tmp_path: Path) -> None:
    store = open_storage(f"sqlite:///{tmp_path}/x.db", Config())
    store.projects.create("one", 0)
    store.write([batch([[n, f"{n:090}"] for n in range(20_000)], ("text",))])
    store.series.drop(1, INPUT, "text", None)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM points").fetchall()  # an older state
    end = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    end.start()
    store.compact(full=False)
    end.join()
    assert store.size().total < 200_000
    other.close()
    store.close()


def test_a_database_that_is_locked_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    store = open_storage(f"sqlite:///{tmp_path}/x.db", Config(busy_timeout_s=0.1))
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("iobeam_server.commands.common.open_storage", lambda *_: store)
    assert run(monkeypatch, "compact", "--database", f"sqlite:///{tmp_path}/x.db") == 1
    assert "locked" in capsys.readouterr().err
    other.close()


def test_compacting_without_room_does_not_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    assert run(monkeypatch, "project", "create", "one", "--database", url) == 0
    usage = files.shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    assert run(monkeypatch, "compact", "--database", url) == 1
    told = capsys.readouterr().err
    assert f"must be free in {tmp_path}" in told
