"""A server as a process, a normal client beside an attack, and what must hold for both."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from attacks import proc
from live import ALL, TIMEOUT_S, Live

from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Device, Selection

HERE = Path(__file__).parent
SLACK = float(os.environ.get("IOBEAM_ATTACK_SLACK", "1"))
"""How many times as long all may take: other suites run beside this one."""
# What is promised (docs/security.md)
PING_S = 1.0 * SLACK
IMPORT_S = 5.0 * SLACK
IDLE_TIMES = 20  # in doubt: on a machine that is busy otherwise
RESIDENT_MIB = 400
STOP_S = 10.0 * SLACK

SETTLE_S = 30.0  # after an attack; some of what it opened ends by its own time limit
SPARE_DESCRIPTORS = 16  # connections to PostgreSQL, which come and go
THREADS = 150  # as many as there may ever be


class Report:
    """What a bystander saw, idle and beside an attack."""

    def __init__(self, idle: dict[str, Any], beside: dict[str, Any]) -> None:
        self.idle, self.beside = idle, beside

    def __repr__(self) -> str:
        shown = {**self.beside, "stored": len(self.beside["stored"])}
        return f"idle {self.idle}, beside {shown}"

    def check(self, imports: bool) -> None:
        """Raise unless the client was served in time and without an error."""
        beside, idle = self.beside, self.idle
        assert beside["errors"] == [], self
        assert beside["pings"], self
        assert beside["ping"] < max(PING_S, IDLE_TIMES * idle["ping"]), self
        if imports:
            assert beside["imports"], self
            assert beside["import"] < max(IMPORT_S, IDLE_TIMES * idle["import"]), self


class Scene(Live):
    """A server process under attack; speaks HTTP as `Live` does."""

    def __init__(self, child: subprocess.Popen[str], url: str, port: int, log: Path) -> None:
        self.child, self.url, self.port = child, url, port
        self._log = log
        with contextlib.closing(open_storage(url, Config())) as store:
            if store.projects.get(1) is None:
                store.projects.create("p", 0)
            device = Device(1, "beside", "beside", None, 0)
            if store.devices.get(1, "beside") is None:
                store.devices.register(device, named=True)
        self.token = self.make_token()
        self.descriptors = proc.descriptors(child.pid)

    def make_token(
        self,
        permissions: int = ALL,
        project: int = 1,
        device: Optional[str] = None,
        life: int = 600,
    ) -> str:
        with contextlib.closing(open_storage(self.url, Config())) as store:
            return issue_token(store, project, permissions, life, device, True)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @contextlib.contextmanager
    def bystander(self, imports: bool = True) -> Iterator[None]:
        """Run a normal client beside what the block does; then see how it went.

        Args:
            imports: whether those have to succeed in time; a database that is gone takes none.
        """
        command = [sys.executable, str(HERE / "bystander.py"), str(self.port), self.token, "beside"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            try:
                idle = json.loads(child.stdout.readline())
                assert idle["errors"] == [], idle
                proc.forget_peak(self.child.pid)
                yield
                lines = child.communicate(timeout=TIMEOUT_S)[0]
            finally:
                child.kill()
        self.report = Report(idle, json.loads(lines))
        peak = proc.peak_mib(self.child.pid)
        assert peak < RESIDENT_MIB, f"{peak:.0f} MiB; {self.report}"
        self.report.check(imports)
        self._is_stored()

    def _is_stored(self) -> None:
        """What was answered 200 is there."""
        with contextlib.closing(open_storage(self.url, Config())) as store:
            (series,) = store.series.find(1, INPUT, "beside", "beside")
            found = {value for _, value in store.points(series, Selection())}
        assert set(self.report.beside["stored"]) <= found

    def is_as_before(self) -> None:
        """Raise unless the server is, after an attack, what it was: nothing held, no defect."""
        pid = self.child.pid
        assert self.child.poll() is None, self.log[-2_000:]
        wait_for(
            lambda: proc.descriptors(pid) <= self.descriptors + SPARE_DESCRIPTORS,
            SETTLE_S,
            lambda: f"{proc.descriptors(pid)} descriptors, {self.descriptors} before",
        )
        assert proc.threads(pid) < THREADS
        began = time.monotonic()
        assert self.call("GET", "/v1/ping", token=None).status == 200
        assert time.monotonic() - began < PING_S
        assert "Traceback" not in self.log, self.log[-4_000:]

    def stops(self) -> None:
        """End it as systemd does, whatever goes on."""
        began = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_S + 20)
        except subprocess.TimeoutExpired:
            raise AssertionError("SIGTERM did not end it") from None
        took = time.monotonic() - began
        assert took < STOP_S, f"SIGTERM took {took:.1f} s"
        assert self.child.returncode == 0, self.log[-4_000:]

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """Open a connection from an address of this machine's."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=TIMEOUT_S, source_address=(source, 0)
        )


@contextlib.contextmanager
def serving(folder: Path, url: Optional[str] = None, **settings: Any) -> Iterator[Scene]:
    """Run a server process on a free port, by default on a file in the folder.

    Args:
        folder: for database and log.
        url: of the database.
        settings: of `Config`, those without an option too.
    """
    url = url or f"sqlite:///{folder / 'attacked.db'}"
    if settings:
        command = [sys.executable, str(HERE / "child.py"), url, json.dumps(settings)]
    else:
        command = [sys.executable, "-m", "iobeam_server", "serve", "--database", url, "--port", "0"]
    log = folder / "server.log"
    with log.open("w") as errors, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
    ) as child:  # fmt: skip
        assert child.stdout is not None
        try:
            found = re.search(r"127\.0\.0\.1:(\d+)", child.stdout.readline())
            assert found, log.read_text()
            yield Scene(child, url, int(found.group(1)), log)
        finally:
            child.kill()
            child.wait(TIMEOUT_S)


@contextlib.contextmanager
def serving_for(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, **settings: Any
) -> Iterator[Scene]:
    """Run a server for the tests of a module, on the engine that is the fixture's parameter.

    In the end it must stop as quickly as any.
    """
    with contextlib.ExitStack() as stack:
        url = None
        if getattr(request, "param", "sqlite") == "postgres":
            url = stack.enter_context(request.getfixturevalue("postgres").schema())
        scene = stack.enter_context(serving(factory.mktemp("attacked"), url, **settings))
        yield scene
        scene.stops()


def wait_for(
    holds: Callable[[], Any], limit_s: float, words: Callable[[], str] = lambda: ""
) -> float:
    """Return how long it took until something held, seconds."""
    began = time.monotonic()
    while not holds():
        took = time.monotonic() - began
        assert took < limit_s, f"not within {limit_s:.0f} s; {words()}"
        time.sleep(0.02)
    return time.monotonic() - began


def push(sock: socket.socket, data: bytes) -> int:
    """Send what fits without waiting; return how much did."""
    sock.setblocking(False)
    sent = 0
    with contextlib.suppress(OSError):
        while sent < len(data):
            sent += sock.send(data[sent : sent + 65_536])
    return sent


def is_closed(sock: socket.socket) -> bool:
    """Say whether the other side has closed, whatever it sent before."""
    sock.setblocking(False)
    try:
        while sock.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def lingering(sock: socket.socket, seconds: float, end: bytes = b"") -> bytes:
    """Return what comes within some seconds, until the end of stream or what it ends with."""
    data = b""
    until = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while (left := until - time.monotonic()) > 0:
            sock.settimeout(left)
            part = sock.recv(65_536)
            data += part
            if not part or (end and data.endswith(end)):
                break
    return data


def attack_for(seconds: float, step: Callable[[], Any]) -> None:
    """Repeat a step for some time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        step()
        time.sleep(0.01)  # the bystander's turn, where there is but one core
