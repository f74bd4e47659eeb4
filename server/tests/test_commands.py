"""What the commands do; usage and errors of the whole line are in test_cli."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from live import Live
from test_cli import WAIT_S, environment, run  # noqa: F401  # environment is a fixture

from iobeam_server import importing, maintenance
from iobeam_server.cli import cli
from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.passwords import Passwords
from iobeam_server.rights.tokens import ADMIN, READ, WRITE, TokenSigner
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Selection
from iobeam_server.storage.store import Storage


def out(capsys: Any) -> str:
    """Return the last line printed, which is what a script needs."""
    return str(capsys.readouterr().out.splitlines()[-1])


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.usefixtures("environment")
def test_users_passwords_and_grants(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage
) -> None:
    say(monkeypatch, "pass word \n")
    assert run(monkeypatch, "user", "create", "ann@example.org", "--username", "ann") == 0
    assert out(capsys) == "1"
    say(monkeypatch, "other")
    assert run(monkeypatch, "user", "create", "bob@example.org") == 0
    assert out(capsys) == "2"
    say(monkeypatch, "third\n")
    assert run(monkeypatch, "user", "create", "ANN@example.org") == 1
    assert "exists" in capsys.readouterr().err
    found = store.users.credentials("ann")
    assert found is not None
    assert Passwords().verify(found[1], b"pass word ")

    assert run(monkeypatch, "project", "grant", "1", "Ann", "--read", "--admin") == 0
    assert out(capsys) == "ann may read, admin in project 1 (before: nothing)"
    assert run(monkeypatch, "project", "grant", "1", "2") == 0
    assert [grant.permissions for grant in store.projects.grants(1)] == [READ | ADMIN, READ | WRITE]
    assert run(monkeypatch, "project", "grant", "1", "bob@example.org", "--remove") == 0
    assert "(before: read, write)" in out(capsys)
    assert store.projects.permissions(1, 2) == 0

    say(monkeypatch, "new")
    assert run(monkeypatch, "user", "passwd", "ann") == 0
    found = store.users.credentials("ann")
    assert found is not None
    assert Passwords().verify(found[1], b"new")
    assert abs(found[0].tokens_after - time.time()) < WAIT_S
    say(monkeypatch, "")
    assert run(monkeypatch, "user", "passwd", "ann") == 1
    assert "1 to 1024 bytes" in capsys.readouterr().err


def test_a_user_made_here_gets_at_the_project(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", f"sqlite:///{tmp_path}/live.db")
    say(monkeypatch, "pw")
    assert run(monkeypatch, "user", "create", "ann@example.org") == 0
    basic = base64.b64encode(b"ann@example.org:pw").decode()

    def ask(token: str) -> int:
        path = "/v1/tokens/project?project_id=1&read=true"
        return live.call("GET", path, token=token).status

    signed_in = live.call("GET", "/v1/tokens/user", headers={"Authorization": f"Basic {basic}"})
    token = signed_in.json["token"]
    assert ask(token) == 403
    assert run(monkeypatch, "project", "grant", "1", "1", "--read") == 0
    assert ask(token) == 200
    say(monkeypatch, "new")
    assert run(monkeypatch, "user", "passwd", "ann@example.org") == 0
    assert ask(token) == 401
    assert run(monkeypatch, "user", "invite") == 0
    body = {"email": "bob@example.org", "password": "pw", "invite": out(capsys)}
    assert live.call("POST", "/v1/users", body, token=None).status == 201
    assert live.call("POST", "/v1/users", body, token=None).status == 403


@pytest.mark.usefixtures("environment")
def test_an_invite_is_good_for_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage
) -> None:
    assert run(monkeypatch, "user", "invite", "--valid", "1h") == 0
    digest = hashlib.sha256(out(capsys).encode()).hexdigest()
    assert store.users.has_invite(digest, int(time.time()) + 3_500)
    assert not store.users.has_invite(digest, int(time.time()) + 3_700)


def test_a_running_server_sees_at_once_what_commands_change(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", f"sqlite:///{tmp_path}/live.db")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "project", "create", "second") == 0
    assert out(capsys) == "2"
    assert run(monkeypatch, "token", "--project", "2", "--read", "--write") == 0
    token = out(capsys)
    assert live.call("GET", "/v1/devices?project_id=2", token=token).status == 200
    assert run(monkeypatch, "token", "revoke", "--project", "2") == 0
    assert live.call("GET", "/v1/devices?project_id=2", token=token).status == 401

    assert live.send(["time", "a", "b"], [[1, "n/a", 1]]).status == 200
    assert live.send(["time", "a"], [[2, 5]]).status == 422
    assert run(monkeypatch, "series", "retype", "--project", "1", "a", "number") == 1
    command = ["series", "retype", "--project", "1", "a", "number", "--drop-unfit", "--yes"]
    assert run(monkeypatch, *command) == 0
    assert out(capsys) == "0 points are number now, 1 deleted"
    assert live.send(["time", "a"], [[2, 5]]).status == 200
    assert run(monkeypatch, "series", "drop", "--project", "1", "b", "--yes") == 0
    assert live.send(["time", "b"], [[3, "text"]]).status == 200
    assert live.points() == {"a": [[2, 5]], "b": [[3, "text"]]}

    assert run(monkeypatch, "series", "list", "--project", "1") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "input\tdev-1\ta\tnumber\t1\t2\t2",
        "input\tdev-1\tb\tstring\t1\t3\t3",
    ]
    assert run(monkeypatch, "backup", "copy.db") == 0
    assert out(capsys) == "copy.db"
    assert run(monkeypatch, "prune", "--older-than", "90d", "--yes") == 0
    assert out(capsys) == "2 points deleted"
    assert live.points() == {}
    assert run(monkeypatch, "check", "--database", "sqlite:///copy.db") == 0
    assert out(capsys) == "ok: 2 points in 2 series"


def test_imports_go_on_beside_long_works(
    live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Commands share the write lock with the server, and take it for moments only."""
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", f"sqlite:///{tmp_path}/live.db")
    monkeypatch.setattr(maintenance, "PIECE_POINTS", 1_000)
    monkeypatch.setattr(importing, "PIECE_VALUES", 1_000)
    path = tmp_path / "in.csv"
    lines = "".join(f"1,cli,old,{i},{i},number,input\n" for i in range(20_000))
    path.write_text("project_id,device_id,name,time,value,type,namespace\n" + lines)
    is_over = threading.Event()
    statuses: list[int] = []

    def send() -> None:
        while not is_over.is_set():
            number = len(statuses)
            statuses.append(live.send(["time", "n"], [[2**60 + number, number]]).status)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert run(monkeypatch, "import", str(path)) == 0
        assert run(monkeypatch, "backup", str(tmp_path / "copy.db")) == 0
        assert run(monkeypatch, "prune", "--older-than", "90d", "--yes") == 0
        assert run(monkeypatch, "check") == 0
    finally:
        is_over.set()
        sender.join(WAIT_S)
    assert len(statuses) > 5
    assert set(statuses) == {200}
    assert live.points() == {"n": [[2**60 + i, i] for i in range(len(statuses))]}
    with contextlib.closing(open_storage(f"sqlite:///{tmp_path}/copy.db", Config())) as copy:
        assert list(copy.problems()) == []
        found = {
            s.name: list(copy.points(s, Selection()))
            for s in copy.series.find(1, INPUT, None, None)
        }
    assert found["old"] == [(i, i) for i in range(20_000)]
    assert found["n"] == [(2**60 + i, i) for i in range(len(found["n"]))], "as of one moment"


HEADINGS = "project_id,device_id,name,time,value,type,namespace\n"


@pytest.mark.usefixtures("environment", "store")
def test_points_in_and_out(monkeypatch: pytest.MonkeyPatch, capfd: Any, tmp_path: Path) -> None:
    text = f"{HEADINGS}1,d,a,1000000,1,number,input\n1,d,c,1,,string,input\n"
    (tmp_path / "in.csv").write_text(text)
    assert run(monkeypatch, "import", "in.csv") == 0
    assert out(capfd) == "2 points of 2 series imported"
    options = ["--device", "d", "--series", "a"]
    expected = f"{HEADINGS}1,d,a,1000000,1,number,input\n"
    assert run(monkeypatch, "export", "--project", "1", *options) == 0
    assert capfd.readouterr().out == expected
    assert run(monkeypatch, "export", "--project", "1", *options, "--output", "a.csv") == 0
    assert (tmp_path / "a.csv").read_text() == expected
    assert not list(tmp_path.glob("*.part*"))
    assert run(monkeypatch, "export", "--project", "1", "--format", "json", "--iso") == 0
    printed = capfd.readouterr().out
    found = json.loads(printed)
    assert found["result"][0]["data"] == [{"time": "1970-01-01T00:00:01.000000Z", "value": 1}]
    assert [p["value"] for p in found["result"][1]["data"]] == [""]
    (tmp_path / "in.json").write_text(printed)
    assert run(monkeypatch, "series", "drop", "--project", "1", "a", "--yes") == 0
    assert run(monkeypatch, "import", "in.json") == 0
    assert run(monkeypatch, "export", "--project", "1", *options) == 0
    assert capfd.readouterr().out.endswith(expected)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.usefixtures("environment", "store")
@pytest.mark.parametrize("command", [["export", "--project", "1"], ["project", "list"]])
def test_a_full_disk_is_one_line_and_a_code(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "iobeam_server", *command],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=WAIT_S,
        )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch("iobeam-server: .*No space left on device\n", done.stderr)


def test_a_password_is_asked_for_twice_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "iobeam_server", "user", "create", "ann@example.org"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path, text=True,
        start_new_session=True,
    ) as child, open(ours, "r+b", buffering=0) as terminal:  # fmt: skip
        os.close(theirs)
        try:
            seen = b""
            # what is typed before it asks is thrown away
            for prompt in (b"Password: ", b"confirmation: "):
                while prompt not in seen:
                    seen += terminal.read(1_024)
                terminal.write(b"pw\n")
            printed = child.communicate(timeout=WAIT_S)[0]
        finally:
            child.kill()
    assert (child.returncode, printed) == (0, "1\n")
    assert b"pw" not in seen, "not echoed"
    with contextlib.closing(open_storage(f"sqlite:///{tmp_path}/iobeam-server.db", Config())) as db:
        found = db.users.credentials("ann@example.org")
    assert found is not None
    assert Passwords().verify(found[1], b"pw")


@pytest.mark.usefixtures("environment")
def test_check_fails_where_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage
) -> None:
    assert run(monkeypatch, "check") == 0
    assert out(capsys) == "ok: 0 points in 0 series"
    monkeypatch.setattr(type(store), "problems", lambda self: iter(["broken"] * 3))
    assert run(monkeypatch, "check") == 1
    found = capsys.readouterr()
    assert (found.out, found.err) == ("3 problems\n", "broken\n" * 3)


def test_migrating_a_file_to_postgresql(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, postgres: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(open_storage("sqlite:///old.db", Config())) as old:
        token = issue_token(old, old.projects.create("p", 0).project_id, 3, 600, None, True)
    lines = "1,d,a,1,1,number,input\n1,d,a,2,2,number,input\n"
    (tmp_path / "in.csv").write_text(HEADINGS + lines)
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", "sqlite:///old.db")
    assert run(monkeypatch, "import", "in.csv") == 0
    with postgres.schema() as url:
        assert run(monkeypatch, "migrate", "old.db", url) == 0
        assert out(capsys) == "2 points moved and verified"
        with contextlib.closing(open_storage(url, Config())) as new:
            (series,) = new.series.find(1, INPUT, None, None)
            assert list(new.points(series, Selection())) == [(1, 1), (2, 2)]
            TokenSigner(new.keys.signing()).verify(token)
        assert run(monkeypatch, "migrate", "old.db", url) == 1
        assert "already" in capsys.readouterr().err


def commands(group: Any, path: list[str]) -> Any:
    for name, command in group.commands.items():
        yield [*path, name], command
        if hasattr(command, "commands"):
            yield from commands(command, [*path, name])


def test_the_readme_names_every_command_and_no_other() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    table = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    named = {
        tuple(re.match("[a-z ]*", command)[0].split())  # type: ignore[index]
        for cell in table
        for command in re.findall("`(.*?)`", cell)
    }
    groups = {"project", "user", "device", "series", "points"}
    ours = {tuple(path) for path, _ in commands(cli, []) if path[-1] not in groups}
    assert named == ours


def test_every_command_explains_itself(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    found = list(commands(cli, []))
    assert len(found) > 20
    for path, command in found:
        assert run(monkeypatch, *path, "--help") == 0
        assert "Usage: iobeam-server" in capsys.readouterr().out
        assert command.help, path
        assert not command.get_short_help_str(60).endswith("..."), path
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, (path, parameter.name)
