"""The server and its commands as who runs them finds them: full disks, Ctrl-C, wrong folders."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import running
from storage.samples import batch, everything
from storage.standins import distributed
from test_cli import WAIT_S, run, serve_once

from iobeam_server import files, maintenance, storage
from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.storage import open_storage
from iobeam_server.storage.urls import without_password

HEADINGS = "project_id,device_id,name,time,value,type,namespace\n"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "iobeam_server", *arguments]


def rows(count: int) -> list[list[int]]:
    return [[n, n] for n in range(count)]


def opened_files() -> int:
    """Count the databases that this process has open."""
    found = 0
    for each in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(each.path).endswith("live.db")
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here; run the tests as root to fill one")
    yield folder
    subprocess.run([mount.replace("mount", "umount"), str(folder)], check=True)


# -- the temporary folder -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["exports/1/all/all", "exports/1/all/all?output=csv",
                                  "data/input/all", "data/input/all?output=csv"])  # fmt: skip
def test_a_full_temporary_folder_is_named_and_the_rest_goes_on(
    tmp_path: Path, tiny: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    logged = []
    with running(tmp_path, temporary_folder=str(tiny), spool_bytes=1_000) as live:
        live.register("dev-1")
        live.send(["time", "a"], rows(8_000))
        before = opened_files()
        for _ in range(3):
            caplog.clear()
            answer = live.call("GET", f"/v1/{path}")
            logged.append(caplog.records[-1])
        assert opened_files() <= before, "though the log's records hold the error"
        assert (answer.status, answer.error["code"]) == (503, 8)
        assert str(tiny) in answer.error["message"]
        assert "No space left" in answer.error["message"]
        assert int(answer.headers["Retry-After"]) > 0
        errors = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(errors) == 1
        assert errors[0].exc_info is None
        assert str(tiny) in errors[0].getMessage()
        assert live.send(["time", "a"], [[9_000, 1]]).status == 200
        assert live.call("GET", "/v1/exports/1/all/all?limit=10").status == 200
        assert os.statvfs(tiny).f_bavail > 8, "and is empty again"


def test_a_temporary_folder_that_has_gone_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "elsewhere"
    with running(tmp_path, temporary_folder=str(folder), spool_bytes=1_000) as live:
        live.register("dev-1")
        live.send(["time", "a"], rows(1_000))
        folder.rmdir()
        answer = live.call("GET", "/v1/exports/1/all/all")
        assert answer.status == 503
        assert str(folder) in answer.error["message"]
        assert "Traceback" not in caplog.text
        folder.mkdir()
        assert live.call("GET", "/v1/exports/1/all/all").status == 200


def test_the_folder_lies_beside_the_file_and_is_its_owners(tmp_path: Path) -> None:
    with running(tmp_path, spool_bytes=1_000) as live:
        folder = tmp_path / "live.db.tmp"
        assert live.backend.config.temporary_folder == str(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        live.register("dev-1")
        live.send(["time", "a"], rows(1_000))
        assert len(live.points()["a"]) == 1_000
        assert list(folder.iterdir()) == [], "what is in it has no name"


def test_with_postgresql_it_is_the_systems(postgres: Any, tmp_path: Path) -> None:
    with postgres.schema() as url, running(tmp_path, url) as live:
        assert live.backend.config.temporary_folder is None


def test_leftovers_of_a_crash_go_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir(mode=0o750)
    old, new, other = (folder / name for name in ("iobeam-server-a", "iobeam-server-b", "etc"))
    for path in (old, new, other):
        path.write_text("x")
    long_ago = time.time() - 2 * files.LEFT_AFTER_S
    for path in (old, other):
        os.utime(path, (long_ago, long_ago))
    assert files.make_temporary_folder(str(folder)) == str(folder)
    assert sorted(folder.iterdir()) == [other, new]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


@pytest.mark.parametrize("path", ["no/such/folder", "file"])
def test_a_folder_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(ConfigError, match=f"{tmp_path}/{path}.*--temporary-folder"):
        Backend(f"sqlite:///{tmp_path}/x.db", Config(port=0, temporary_folder=path))


def test_sqlite_sorts_there_too(tmp_path: Path) -> None:
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", Config())
    with contextlib.closing(opened) as store:
        folder = storage.temporary_folder(store, f"sqlite:///{tmp_path}/x.db", Config())
        with store.reading() as sql:
            assert sql.one("PRAGMA temp_store_directory")[0] == folder == f"{tmp_path}/x.db.tmp"


# -- which database --------------------------------------------------------------------------


def test_serve_says_which_file_and_whether_it_is_new(tmp_path: Path) -> None:
    url = "sqlite:///sub.db"
    assert f"Database: sqlite:///{tmp_path}/sub.db (new)\n" in serve_once(url, tmp_path)
    assert f"Database: sqlite:///{tmp_path}/sub.db\n" in serve_once(url, tmp_path)


def test_serve_says_how_the_points_lie(postgres: Any, tmp_path: Path) -> None:
    with postgres.schema() as url:
        assert ", points: plain table\n" in serve_once(url, tmp_path)
    with postgres.schema() as url:
        distributed(url)
        printed = serve_once(url, tmp_path)
        assert re.search(r", points: 8 shards on (\d+ workers?|the coord)", printed)


def test_a_command_that_makes_a_database_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", "sqlite:///x.db")
    assert run(monkeypatch, "project", "create", "one") == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("1\n", f"new database: {tmp_path}/x.db\n")
    assert run(monkeypatch, "project", "create", "two") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        "project list", "device list --project 1", "series list --project 1", "check", "compact",
        "export --project 1", "import x.csv", "prune --older-than 1d --yes", "backup b.db",
        "token --project 1", "token list", "user list", "migrate x.db sqlite:///y.db",
        "points delete --series a --from 0 --to 1 --yes",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_empty", [False, True])
def test_no_command_that_looks_makes_a_database(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path, arguments: str, is_empty: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", "sqlite:///x.db")
    if is_empty:
        Path("x.db").touch()
    before = sorted(tmp_path.iterdir())
    assert run(monkeypatch, *arguments.split()) == 1
    assert f"{tmp_path}/x.db" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "url", ["", "x.db", "sqlite:x.db", "sqlite://x.db", "sqlite:///", "mysql://h/x", "postgresql:h",
            "postgresql:/ann:hush@h/x", "ann:hush@h", "sqlite3:///x.db"],
)  # fmt: skip
def test_what_is_no_database_is_told_what_is(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, url: str
) -> None:
    assert run(monkeypatch, "project", "list", "--database", url) == 1
    told = capsys.readouterr().err
    assert "sqlite:///path/to/file.db" in told
    assert "hush" not in told


# -- migrate -----------------------------------------------------------------------------------


def test_migrate_ends_with_a_line_to_paste(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, postgres: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(open_storage("sqlite:///old.db", Config())) as old:
        old.projects.create("one", 0)
        everything(old)
    with postgres.schema() as url:
        given = url.replace("postgres:@", "postgres:hush%20hush@")
        assert run(monkeypatch, "migrate", "old.db", given) == 0
        told = capsys.readouterr().out
        (line,) = [line for line in told.splitlines() if line.startswith("now: ")]
        password, *words = shlex.split(line[len("now: ") :])
        assert (password, words[:3]) == ("PGPASSWORD=***", ["iobeam-server", "serve", "--database"])
        assert "hush" not in told
        monkeypatch.setenv("PGPASSWORD", "hush")
        with contextlib.closing(open_storage(words[3], Config())) as new:
            assert len(new.projects.all()) == 2
    assert run(monkeypatch, "migrate", "old.db", "sqlite:///new.db") == 0
    assert f"serve --database sqlite:///{tmp_path}/new.db\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5433/d", ("postgresql://u@h:5433/d", True)),
        ("postgresql://u@h/d", ("postgresql://u@h/d", False)),
        ("postgresql://h/d", ("postgresql://h/d", False)),
        ("postgresql://u:@h/d", ("postgresql://u@h/d", True)),
        ("postgresql://u:p%40p@[::1]:1/d", ("postgresql://u@[::1]:1/d", True)),
        ("postgresql://u:p@a,b:2/d", ("postgresql://u@a,b:2/d", True)),
        ("postgresql:///d?host=/s&password=p", ("postgresql:///d?host=%2Fs", True)),
        ("postgresql:///d?host=/s&user=u", ("postgresql:///d?host=/s&user=u", False)),
        ("postgresql://u:p@h/d?sslpassword=q", ("postgresql://u@h/d", True)),
        ("postgresql://u:p@[h/d", ("postgresql://[h/d", True)),
    ],
)
def test_a_url_without_its_password(url: str, expected: tuple[str, bool]) -> None:
    assert without_password(url) == expected


# -- interruptions, pipes and devices -----------------------------------------------------------


def fill(folder: Path, points: int) -> None:
    with contextlib.closing(open_storage(f"sqlite:///{folder}/iobeam-server.db", Config())) as db:
        db.projects.create("one", 0)
        for start in range(0, points, 20_000):
            db.write([batch([[start + n, n] for n in range(min(20_000, points - start))])])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_import_that_is_interrupted_says_how_far_it_came(
    tmp_path: Path, number: int, code: int
) -> None:
    fill(tmp_path, 0)
    lines = "".join(f"1,d,a,{n},{n},number,input\n" for n in range(300_000))
    (tmp_path / "in.csv").write_text(HEADINGS + lines)
    with subprocess.Popen(
        command("import", "in.csv"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path,
    ) as child:  # fmt: skip
        path = f"sqlite:///{tmp_path}/iobeam-server.db"
        with contextlib.closing(open_storage(path, Config())) as db:
            until = time.monotonic() + WAIT_S
            while not db.series.find(1, "input", None, None):
                assert time.monotonic() < until
                time.sleep(0.01)
        child.send_signal(number)
        printed, told = child.communicate(timeout=WAIT_S)
    assert (child.returncode, printed) == (code, "")
    assert "Traceback" not in told
    found = re.search(r"^(\d+) of 300000 points are stored; import the file again", told, re.M)
    assert found
    assert 0 <= int(found[1]) < 300_000
    assert run_in(tmp_path, "import", "in.csv").stdout == "300000 points of 1 series imported\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_prune_that_is_interrupted_says_how_far_it_came(tmp_path: Path, number: int) -> None:
    fill(tmp_path, 200_000)
    url = f"sqlite:///{tmp_path}/iobeam-server.db"

    def left() -> int:
        with contextlib.closing(open_storage(url, Config())) as db:
            found = db.series.extent(db.series.find(1, "input", None, None)[0].series_id)
            return 0 if found is None else found.points

    there = left()
    with subprocess.Popen(
        command("prune", "--older-than", "1d", "--yes"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    ) as child:  # fmt: skip
        until = time.monotonic() + WAIT_S
        while left() == there:
            assert time.monotonic() < until
        child.send_signal(number)
        told = child.communicate(timeout=WAIT_S)[1]
    assert child.returncode == 128 + number
    assert "Traceback" not in told
    found = re.search(r"^at least (\d+) points are deleted; the same command goes on$", told, re.M)
    assert found
    rest = left()
    assert 0 < rest < there
    assert int(found[1]) <= there - rest <= int(found[1]) + maintenance.PIECE_POINTS
    done = run_in(tmp_path, "prune", "--older-than", "1d", "--yes")
    assert f"{rest} points deleted" in done.stdout


def run_in(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        command(*arguments), cwd=folder, stderr=subprocess.PIPE, text=True, timeout=WAIT_S,
        check=False, **more,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_interrupted_leaves_no_file(tmp_path: Path, number: int) -> None:
    fill(tmp_path, 400_000)
    options = ["export", "--project", "1", "--iso", "--output", "out.csv"]
    with subprocess.Popen(command(*options), stderr=subprocess.PIPE, cwd=tmp_path) as child:
        until = time.monotonic() + WAIT_S
        while not any(path.stat().st_size for path in tmp_path.glob("out.csv.part*")):
            assert time.monotonic() < until
            time.sleep(0.005)
        child.send_signal(number)
        told = child.communicate(timeout=WAIT_S)[1]
    assert child.returncode == 128 + number
    assert b"Traceback" not in told
    assert not list(tmp_path.glob("out.csv*"))


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path, tiny: Path) -> None:
    fill(tmp_path, 20_000)
    target = tiny / "out.csv"
    target.write_text("before\n")
    done = run_in(tmp_path, "export", "--project", "1", "--output", str(target))
    assert done.returncode == 1
    assert re.fullmatch(r"iobeam-server: cannot write .*out\.csv: No space left.*\n", done.stderr)
    assert [path.name for path in tiny.iterdir()] == ["out.csv"]
    assert target.read_text() == "before\n"


def test_devices_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", str(pipe)]
    with subprocess.Popen(reading, stdout=subprocess.PIPE, text=True) as reader:
        done = run_in(tmp_path, "export", "--project", "1", "--output", str(pipe))
        assert done.returncode == 0
        assert reader.communicate(timeout=WAIT_S)[0].count("\n") == 5
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    done = run_in(tmp_path, "export", "--project", "1", "--output", str(tmp_path))
    assert done.returncode == 1
    with pytest.raises(ConfigError, match="no plain file"), files.whole(str(pipe)):
        pass


def test_who_reads_no_further_and_who_closed_it(tmp_path: Path) -> None:
    fill(tmp_path, 100_000)
    with subprocess.Popen(
        command("export", "--project", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().decode() == HEADINGS
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(WAIT_S) == 1
    for arguments in ("project list", "export --project 1"):
        line = shlex.join(command(*arguments.split()))
        done = subprocess.run(
            ["/bin/sh", "-c", f"{line} >&-"], stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            timeout=WAIT_S, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
