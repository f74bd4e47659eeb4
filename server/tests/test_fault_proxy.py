"""Clients, a network that fails, and a backend, all of them killed at random.

What a client was promised is there once, in the order of time and with its value, and
nothing that was never added. IOBEAM_FAULT_SECONDS is for how long, on each engine, new
rounds begin; 0 is one round. IOBEAM_TEST_SEED repeats the one whose seed a failure names.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iobeam.http import request

from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.storage import open_storage

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # the client's

import fault_child
import proxy

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("IOBEAM_FAULT_SECONDS", "0"))
SEED = os.environ.get("IOBEAM_TEST_SEED")
WAIT_S = 60
SPAN = 1_000_000  # numbers of rows that a child may use


class Server:
    """`serve` as a process, behind a proxy that learns of its port."""

    def __init__(self, url: str, between: proxy.Proxy) -> None:
        self._url = url
        self._between = between
        self._process: subprocess.Popen[str]
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "iobeam_server", "serve", "--port", "0"]
        self._process = subprocess.Popen(
            [*command, "--database", self._url],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", self._process.stdout.readline())
        assert found
        self._between.target = int(found.group(1))

    def kill(self) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait(WAIT_S)
        self._process.stdout.close()

    def points(self, token: str, device: str, series: str) -> list[tuple[int, Any]]:
        """Ask past the proxy; times in ms."""
        port = self._between.target
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, WAIT_S)) as asking:
            asking.request(
                "GET",
                f"/v1/exports/1/{device}/{series}",
                None,
                {"Authorization": "Bearer " + token},
            )
            answer = asking.getresponse()
            assert answer.status == 200
            found = json.loads(answer.read())["result"]
        assert len(found) <= 1
        return [(point["time"], point["value"]) for one in found for point in one["data"]]


class Child:
    """A client's process, and what it was promised."""

    def __init__(self, where: tuple[str, str, str, str], first: int, seed: int) -> None:
        self.where = where
        self.device = where[3]
        self.first = first
        self.added = self.promised = first - 1
        self.refused = 0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (kill() closes it)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault_child", *where, str(first), str(seed)],
            stdout=subprocess.PIPE, stderr=self._said, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._started = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break
            word, number = line.split()
            if word == b"a":
                self.added = int(number)
            elif word == b"p":
                self.promised = int(number)
            else:
                self.refused = int(number)
            self._started.set()
        self._started.set()

    def kill(self) -> None:
        self._started.wait(WAIT_S)
        self._process.kill()
        code = self._process.wait(WAIT_S)
        # communicate() would read beside it, and take lines away from it.
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        with self._said:
            self._said.seek(0)
            assert code == -signal.SIGKILL, self._said.read().decode()
        assert self.refused == 0


class Round:
    """One folder with two clients, one with one, a client without a buffer."""

    def __init__(self, seed: int, folder: Path, server: Server, between: proxy.Proxy) -> None:
        self._pick = random.Random(seed)
        self._server = server
        self._between = between
        self._seed = seed
        self._folders = [str(folder / f"{seed}-{name}") for name in ("shared", "own")]
        for path in self._folders:
            Path(path).mkdir()
        self._children: list[Child] = []
        self._dead: list[Child] = []

    def run(self, token: str) -> None:
        devices = [f"d{self._seed}-{number}" for number in range(3)]
        shared, own = self._folders
        places = [(shared, devices[0]), (shared, devices[0]), (own, devices[1]), ("-", devices[2])]
        try:
            for path, device in places:
                self._start((self._between.url, token, path, device))
            for _ in range(self._pick.randint(2, 5)):
                time.sleep(self._pick.uniform(0.1, 1.0))
                self._disturb()
        finally:
            for child in self._children:
                child.kill()
        self._between.isCalm = True
        self._between.waitForQuiet()
        for path, device in places[1:3]:
            self._deliver(token, path, device)
        self._between.isCalm = False
        for device in devices:
            self._check(token, device)

    def _start(self, where: tuple[str, str, str, str]) -> None:
        first = SPAN * (1 + len(self._children) + len(self._dead))
        self._children.append(Child(where, first, self._pick.randrange(10**9)))

    def _disturb(self) -> None:
        if self._pick.random() < 0.4:
            self._server.kill()
            time.sleep(self._pick.choice([0, 0.3]))
            self._server.start()
        else:
            child = self._pick.choice(self._children)
            child.kill()
            self._children.remove(child)
            self._dead.append(child)
            self._start(child.where)

    def _deliver(self, token: str, path: str, device: str) -> None:
        with contextlib.closing(
            fault_child.builder(self._between.url, token, path, device).setTimeout(5, 30).build()
        ) as client:
            try:
                client.send(timeout=WAIT_S)
            except request.SendError as error:
                raise AssertionError(f"nothing disturbs it any more: {error}") from error
            assert client.pending() == 0
            assert client.stats()["rejected"] == 0
        assert not [name for name in os.listdir(path) if ".corrupt-" in name]

    def _check(self, token: str, device: str) -> None:
        points = self._server.points(token, device, "v")
        texts = self._server.points(token, device, "s")
        times = [moment for moment, _ in points]
        assert times == sorted(set(times)), "each once, in order"
        assert all(moment == value for moment, value in points)
        assert all(text == f"row {moment}" for moment, text in texts)
        found = set(times)
        assert {moment for moment, _ in texts} <= found
        for child in self._children + self._dead:
            if child.device == device:
                lost = set(range(child.first, child.promised + 1)) - found
                assert not lost, f"{len(lost)} of {child.promised + 1 - child.first} rows are lost"
                found -= set(range(child.first, child.added + 1))
        assert not found, "nothing that was never added"


@contextlib.contextmanager
def naming(seed: int, between: proxy.Proxy) -> Iterator[None]:
    """Let a failure say how to repeat it."""
    try:
        yield
    except Exception as error:
        raise AssertionError(
            f"IOBEAM_TEST_SEED={seed} repeats it; the proxy's part: {dict(between.counts)}"
        ) from error


def test_what_was_promised_is_there_after_all_of_it(database: str, tmp_path: Path) -> None:
    with contextlib.closing(open_storage(database, Config())) as store:
        store.projects.create_first("p", 0)
        token = issue_token(store, 1, 7, 86_400 * 30, None, True)
    with contextlib.ExitStack() as stack:
        between = stack.enter_context(proxy.Proxy(0))
        server = Server(database, between)
        stack.callback(server.kill)
        seed = random.randrange(10**6) if SEED is None else int(SEED)
        ends = time.monotonic() + (SECONDS if SEED is None else 0)
        while True:
            between.restart(seed)
            with naming(seed, between):
                Round(seed, tmp_path, server, between).run(token)
            seed += 1
            if time.monotonic() >= ends:
                break
