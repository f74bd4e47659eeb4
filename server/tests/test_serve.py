"""`serve` as processes: settings, log, first start."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from test_cli import WAIT_S

from iobeam_server.commands import banner as banners
from iobeam_server.commands.serving import serve
from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.tokens import TokenSigner
from iobeam_server.storage import open_storage

Child = subprocess.Popen[str]


@contextlib.contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Child]:
    """Run `serve` in a folder, with settings from variables only."""
    settings = {f"IOBEAM_SERVER_{name.upper()}": value for name, value in variables.items()}
    with subprocess.Popen(
        [sys.executable, "-m", "iobeam_server", "serve"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "IOBEAM_SERVER_PORT": "0", **settings},
    ) as child:  # fmt: skip
        try:
            yield child
        finally:
            child.kill()
            child.communicate(timeout=WAIT_S)


def banner(child: Child) -> tuple[str, int]:
    """Return what is printed when it has started, and the port."""
    assert child.stdout is not None
    lines = takewhile(lambda line: "Ctrl-C" not in line, iter(child.stdout.readline, ""))
    text = "".join(lines)
    found = re.search(r"listens on http://127\.0\.0\.1:(\d+)$", text, re.M)
    assert found, text
    return text, int(found.group(1))


def ended(child: Child) -> str:
    """Stop it as systemd does; return its log."""
    child.send_signal(signal.SIGTERM)
    errors = child.communicate(timeout=WAIT_S)[1]
    assert child.returncode == 0, errors
    return errors


def ask(port: int, path: str, token: str, body: Any = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, headers)
        return connection.getresponse().status


def test_every_option_is_a_variable() -> None:
    context = serve.make_context("serve", [], resilient_parsing=True)
    for option in serve.params:
        name = max(option.opts, key=len)[2:].replace("-", "_").upper()
        variable = f"IOBEAM_SERVER_{name}"
        assert option.allow_from_autoenv, name
        assert variable in (option.envvar, f"{context.auto_envvar_prefix}_{option.name}".upper())


def test_the_first_token_is_shown_on_a_terminal_and_written_nowhere(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "iobeam_server", "serve", "--port", "0"],
        stdout=theirs, stderr=subprocess.DEVNULL, cwd=tmp_path,
    ) as child, open(ours, "rb", buffering=0) as terminal:  # fmt: skip
        os.close(theirs)
        try:
            text = b""
            while b"Ctrl-C" not in text:
                text += terminal.read(4_096)
        finally:
            child.kill()
    assert re.search(rb"^export IOBEAM_TOKEN=[\w-]+\.[\w-]+\.[\w-]+\r?$", text, re.M)
    assert re.search(rb"^echo \S+ \| iobeam configure --backend \S+ --token -\r?$", text, re.M)
    assert not list(tmp_path.glob("*.token"))


def test_settings_come_from_variables_and_the_log_is_json(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 40 + "\n" + "y" * 40 + "\n")
    secret.chmod(0o600)
    signed = TokenSigner([b"y" * 40]).issue(1, 7, 600)[0]

    def send(port: int, values: int, note: str = "") -> int:
        rows = [[i, i] for i in range(values)]
        sources = {"fields": ["time", "a"], "data": rows}
        body = {"project_id": 1, "device_id": "d", "note": note, "sources": sources}
        return ask(port, "/v1/imports?fmt=table&password=hidden", signed, body)

    with serving(
        tmp_path, database="sqlite:///v.db", host="0.0.0.0", log_format="json",  # noqa: S104
        max_values="2", body_limit="1K", auto_register="1", secret_file=str(secret),
    ) as child:  # fmt: skip
        said, port = banner(child)
        (address,) = re.findall(r"^export IOBEAM_BACKEND=http://(.+)/v1/$", said, re.M)
        assert f"From other machines: http://{address}/\n" in said
        assert address.endswith(f":{port}")
        assert not address.startswith(("127.", "0.0.0.0"))  # noqa: S104
        assert send(port, 2) == 200, "registered by itself, signed by the second secret"
        assert send(port, 3) == 413
        assert send(port, 1, "x" * 1_100) == 413
        with contextlib.closing(open_storage(f"sqlite:///{tmp_path}/v.db", Config())) as store:
            old = issue_token(store, 1, 7, 600, None, True)
            new = issue_token(store, 1, 7, 600, None, True, Config(secret_file=str(secret)))
        assert ask(port, "/v1/devices?project_id=1", old) == 401, "the file overrides the database"
        assert ask(port, "/v1/devices?project_id=1", new) == 200
        log = ended(child)
    assert "hidden" not in log
    assert signed not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert any("without TLS" in line.get("message", "") for line in lines)
    answered = [line for line in lines if line["logger"] == "iobeam_server.access"]
    assert [(line["method"], line["path"], line["status"]) for line in answered][:2] == [
        ("POST", "/v1/imports", 200),
        ("POST", "/v1/imports", 413),
    ]
    assert all(line["client"] == "127.0.0.1" and line["duration_ms"] >= 0 for line in answered)


def test_devices_are_told_an_address_that_they_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = banners.address_for_devices
    assert tell("127.0.0.1", "http://127.0.0.1:4620") == "http://127.0.0.1:4620"
    assert tell("192.0.2.7", "https://192.0.2.7:4620") == "https://192.0.2.7:4620"
    monkeypatch.setattr(banners, "_own_address", lambda family: "2001:db8::7")
    assert tell("::", "https://[::1]:1") == "https://[2001:db8::7]:1"
    monkeypatch.setattr(banners, "_own_address", lambda family: None)  # no network
    assert tell("0.0.0.0", "http://127.0.0.1:1") == f"http://{socket.gethostname()}:1"  # noqa: S104


def test_a_log_line_for_people_shows_neither_query_nor_token(tmp_path: Path) -> None:
    with serving(tmp_path) as child:
        _, port = banner(child)
        assert ask(port, "/v1/ping?password=hidden", "a.b.c") == 200
        assert ask(port, "/v1/a%0Ab%20c", "a.b.c") == 404
        log = ended(child)
    assert re.search(r"INFO iobeam_server\.access 127\.0\.0\.1 GET /v1/ping 200 [\d.]+ms", log)
    assert "GET /v1/a%0Ab%20c 404" in log
    assert "hidden" not in log
    assert "a.b.c" not in log
    assert "without TLS" not in log


def test_servers_that_start_at_once_share_one_first_start(database: str, tmp_path: Path) -> None:
    """One makes the schema, project 1 and the token; all accept it."""
    with contextlib.ExitStack() as stack:
        children = []
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            children.append(stack.enter_context(serving(folder, database=database)))
        started = [banner(child) for child in children]
        paths = re.findall(r"cat (.+)\)", "".join(text for text, _ in started))
        assert len(paths) == 1, started
        token = Path(paths[0]).read_text().strip()
        for _, port in started:
            assert ask(port, "/v1/devices?project_id=1", token) == 200
        for child in children:
            assert "Traceback" not in ended(child)
    with contextlib.closing(open_storage(database, Config())) as store:
        assert [p.project_id for p in store.projects.all()] == [1]
        assert len(store.keys.signing()) == 1
