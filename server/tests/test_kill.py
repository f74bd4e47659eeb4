"""Processes and signals: what was answered 200 is there afterwards."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Device, Selection

WAIT_S = 120
STOP_S = 25  # clients that go on sending must not use up the 30 s of draining
ROWS = 20


@contextlib.contextmanager
def process(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `serve` as a process on a free port."""
    command = [sys.executable, "-m", "iobeam_server", "serve", "--database", url, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        try:
            found = re.search(r"127\.0\.0\.1:(\d+)", child.stdout.readline())
            assert found
            yield child, int(found.group(1))
        finally:
            child.kill()
            child.wait(WAIT_S)


def send(connection: http.client.HTTPConnection, token: str, device: str, run: int) -> int:
    rows = [[run * ROWS + i, run * ROWS + i] for i in range(ROWS)]
    body = {
        "project_id": 1,
        "device_id": device,
        "timefmt": "usec",
        "sources": {"fields": ["time", "n"], "data": rows},
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/imports?fmt=table", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_answered_200_is_there_afterwards(database: str, number: int) -> None:
    url = database
    devices = [f"d{i}" for i in range(4)]
    promised = dict.fromkeys(devices, 0)
    enough = threading.Event()
    with contextlib.closing(open_storage(url, Config())) as store:
        store.projects.create_first("p", 0)
        token = issue_token(store, 1, 7, 600, None, True)
        for device in devices:
            store.devices.register(Device(1, device, device, None, 0), named=True)

    def work(port: int, device: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        with (
            contextlib.closing(connection),
            contextlib.suppress(OSError, http.client.HTTPException),
        ):
            while send(connection, token, device, promised[device]) == 200:
                promised[device] += 1
                if sum(promised.values()) >= 60:
                    enough.set()

    with process(url) as (child, port):
        threads = [threading.Thread(target=work, args=(port, device)) for device in devices]
        for thread in threads:
            thread.start()
        assert enough.wait(WAIT_S)
        child.send_signal(number)
        for thread in threads:
            thread.join(STOP_S)
        code = child.wait(STOP_S)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    with contextlib.closing(open_storage(url, Config())) as store:
        for device in devices:
            (series,) = store.series.find(1, INPUT, device, "n")
            found = list(store.points(series, Selection()))
            assert len(found) % ROWS == 0, "a request is stored whole or not at all"
            # the last request may have been stored without its answer getting through
            assert promised[device] <= len(found) // ROWS <= promised[device] + 1
            assert found == [(i, i) for i in range(len(found))]


def test_commands_work_beside_a_running_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/beside.db"

    def command(*arguments: str) -> str:
        environment: dict[str, Any] = {**os.environ, "IOBEAM_SERVER_DATABASE": url}
        return subprocess.check_output(
            [sys.executable, "-m", "iobeam_server", *arguments],
            env=environment, text=True, timeout=WAIT_S,
        ).splitlines()[-1]  # fmt: skip

    with process(url) as (_, port):
        number = command("project", "create", "second")
        assert number == "2"
        token = command("token", "--project", number, "--read", "--write")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/devices", '{"project_id":2}', headers)
            assert connection.getresponse().status == 201
