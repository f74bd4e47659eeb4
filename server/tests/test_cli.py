from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from iobeam_server.cli import main
from iobeam_server.config import Config
from iobeam_server.rights.tokens import READ, WRITE, TokenSigner
from iobeam_server.storage import open_storage

WAIT_S = 120


@pytest.fixture
def environment(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", database)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line as the console script does; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["iobeam-server", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    code = caught.value.code
    return 0 if code is None else int(code)


@pytest.mark.usefixtures("environment")
def test_projects_and_tokens(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import jwt

    assert run(monkeypatch, "project", "create", "one") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1"
    assert run(monkeypatch, "project", "list") == 0
    assert capsys.readouterr().out == "1\tone\n"
    assert run(monkeypatch, "token", "--project", "1") == 0
    claims = jwt.decode(
        capsys.readouterr().out.splitlines()[-1], options={"verify_signature": False}
    )
    assert (claims["pms"], claims["dur"], claims["rfr"]) == (READ | WRITE, 30 * 86_400, True)
    options = ["--read", "--device", "d", "--duration", "2h", "--no-refresh"]
    assert run(monkeypatch, "token", "--project", "1", *options) == 0
    claims = jwt.decode(
        capsys.readouterr().out.splitlines()[-1], options={"verify_signature": False}
    )
    assert (claims["pms"], claims["did"]) == (READ, "d")
    assert (claims["dur"], claims["rfr"]) == (7_200, False)


@pytest.mark.usefixtures("environment", "store")  # with project 1
@pytest.mark.parametrize(
    "arguments",
    [
        ["project", "create", ""],
        ["project", "create", "x" * 257],
        ["project", "create", "tab\tbed"],
        ["token", "--project", "9"],
        ["token", "revoke", "--project", "9"],
        ["token", "--project", "1", "--secret-file", "nowhere"],
        ["project", "grant", "1", "nobody"],
        ["user", "create", "no-address"],
        ["user", "passwd", "nobody"],
        ["export", "--project", "9"],
        ["export", "--project", "1", "--namespace", "nowhere"],
        ["export", "--project", "1", "--output", "no/such/folder/x.csv"],
        ["import", "nowhere.csv", "--project", "1"],
        ["prune", "--older-than", "90d", "--project", "9", "--yes"],
        ["series", "list", "--project", "9"],
        ["series", "drop", "--project", "1", "a", "--yes"],
        ["series", "retype", "--project", "1", "a", "number"],
        ["backup", "no/such/folder/x.db"],
        ["migrate", "nowhere.db", "sqlite:///x.db"],
        ["check", "--database", "sqlite:///nowhere.db"],
        ["project", "list", "--database", "nonsense"],
        ["project", "list", "--database", "mysql://u:hush@h/x"],
        ["project", "list", "--database", "postgresql://u:hush@127.0.0.1:1/x"],
        ["project", "list", "--database", "postgresql://u:hush@[::1/x"],
        ["project", "list", "--database", "postgresql://u:hush@h:port/x"],
        ["project", "list", "--database", "sqlite:////no/such/folder/x.db"],
        ["serve", "--host", "no such host", "--port", "0"],
        ["serve", "--cors", "https://a.org/path", "--port", "0"],
    ],
)
def test_bad_input_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("password\n"))
    assert run(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"iobeam-server: .+\n", error)
    assert "hush" not in error


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["token"],
        ["token", "--project", "x"],
        ["token", "--project", "1", "--duration", "5y"],
        ["token", "revoke"],
        ["serve", "--port", "70000"],
        ["serve", "--body-limit", "16X"],
        ["serve", "--log-format", "xml"],
        ["project", "grant", "1"],
        ["project", "grant", "1", "ann", "--read", "--remove"],
        ["user", "create"],
        ["user", "invite", "--valid", "soon"],
        ["export"],
        ["export", "--project", "1", "--format", "xml"],
        ["import", "x.csv", "--type", "a=integer"],
        ["prune"],
        ["prune", "--older-than", "90"],
        ["series", "retype", "--project", "1", "a", "integer"],
        ["backup"],
        ["migrate", "a.db"],
    ],
)
def test_bad_usage(monkeypatch: pytest.MonkeyPatch, capsys: Any, arguments: list[str]) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert "Usage" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_a_name_that_is_taken(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(monkeypatch, "project", "create", "one") == 0
    assert run(monkeypatch, "project", "create", "one") == 1
    assert "one" in capsys.readouterr().err


@pytest.mark.usefixtures("environment")
def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(monkeypatch, "serve", "--port", port) == 1
    assert port in capsys.readouterr().err


def serve_once(url: str, folder: Path) -> str:
    """Start `serve`, stop it by SIGTERM when its banner is out; return the banner."""
    command = [sys.executable, "-m", "iobeam_server", "serve", "--database", url, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        child.send_signal(signal.SIGTERM)
        rest, errors = child.communicate(timeout=WAIT_S)
        assert child.returncode == 0, errors
        assert "Traceback" not in errors
        assert "stopped" in rest
    return "".join(lines)


def test_first_start_writes_the_token_to_a_private_file(database: str, tmp_path: Path) -> None:
    banner = serve_once(database, tmp_path)
    assert re.search(r"^export IOBEAM_BACKEND=http://127\.0\.0\.1:\d+/v1/$", banner, re.M)
    assert re.search(r"^Its page: open http://127\.0\.0\.1:\d+/ in a browser", banner, re.M)
    assert re.search(r"^export IOBEAM_PROJECT_ID=1$", banner, re.M)
    found = re.search(r'^export IOBEAM_TOKEN="\$\(cat (.+)\)"$', banner, re.M)
    assert found
    path = found.group(1)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert re.search(rf"^iobeam configure --backend \S+/v1/ --token-file {path}$", banner, re.M)
    assert Path(path).read_text().strip() not in banner
    assert Path(path).read_text().count(".") == 2


def test_only_project_is_that_of_an_old_script(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    with contextlib.closing(open_storage(url, Config())) as store:
        store.projects.create("greenhouse", 0, project_id=4711)
    banner = serve_once(url, tmp_path)
    assert re.search("^export IOBEAM_PROJECT_ID=4711$", banner, re.M)
    assert banner.count("--project 4711 --read --write") == 2


def test_what_later_starts_print_can_be_pasted(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    url = database
    if database.startswith("sqlite"):
        url = "sqlite:///its data.db"
    serve_once(url, folder)
    second = serve_once(url, folder)
    assert " (new)" not in second
    assert re.search(r"^iobeam-server token .+ \| iobeam configure .+ --token -$", second, re.M)
    lines = re.findall("^(?:export|#) .*$", second, re.M)
    # in another folder, with no more set than the lines say has to be
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "TMPDIR": str(tmp_path)}
    if any(line.startswith("# where IOBEAM_SERVER_DATABASE") for line in lines):
        environment["IOBEAM_SERVER_DATABASE"] = url
    asked = 'printf "%s\\n" "$IOBEAM_BACKEND" "$IOBEAM_PROJECT_ID" "$IOBEAM_TOKEN"'
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", "\n".join([*lines, asked])],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=True,
    )  # fmt: skip
    backend, project, token = done.stdout.splitlines()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1/", backend)
    assert project == "1"
    location = url if not url.startswith("sqlite") else f"sqlite:///{folder / 'its data.db'}"
    with contextlib.closing(open_storage(location, Config())) as store:
        claims = TokenSigner(store.keys.signing()).verify(token)
    assert (claims.pid, claims.pms) == (1, READ | WRITE)
