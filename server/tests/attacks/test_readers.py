"""Clients that send and do not read."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks.scene import Scene, attack_for, push, serving, wait_for
from attacks.sizes import some

SOCKETS = 32
MANY = 200
ATTACK_S = 1.0
BYTES = 64 * 1024
REQUESTS = {
    "openapi": b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "page": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "script": b"GET /page/main.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "ping": b"GET /v1/ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "metrics": b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "unknown": b"GET /nothing/here HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "unauthorized": b"GET /v1/data/input?limit=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "bodies": b"POST /v1/tokens/project HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 21\r\n\r\n" + b'{"refresh_token":"x"}',
    "chunks": b"POST /v1/users/email HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'18\r\n{"verification_key":"x"}\r\n0\r\n\r\n',
}


@contextlib.contextmanager
def strangers(
    scene: Scene, count: int, data: bytes, source: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """Connections that send all the data they can and read nothing."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(count):
            sock = stack.enter_context(scene.connect(source))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            push(sock, data)
            socks.append(sock)
        yield socks


@pytest.mark.parametrize("name", some(REQUESTS, "openapi", "chunks"))
def test_pipelining_without_reading_keeps_nobody_out(scene: Scene, name: str) -> None:
    data = REQUESTS[name] * (BYTES // len(REQUESTS[name]))
    with scene.bystander(), strangers(scene, SOCKETS, data) as socks:
        attack_for(ATTACK_S, lambda: [push(sock, data) for sock in socks])


def test_long_answers_that_nobody_reads_keep_nobody_out(scene: Scene) -> None:
    """Each is some MiB, made at once and taken never."""
    names = [f"f{number}" for number in range(9)]
    for run in range(3):
        rows = [[run * 2_000 + i, *[i / 7] * 9] for i in range(2_000)]
        assert scene.send(["time", *names], rows, "beside").status == 200
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {scene.token}\r\n\r\n"
    paths = ["/v1/exports/1/all/all", "/v1/data/input/all", "/v1/exports/1/all/all?output=csv"]
    data = "".join(f"GET {path} HTTP/1.1\r\n{head}" for path in paths).encode()
    with scene.bystander(), strangers(scene, SOCKETS, data) as socks:
        wait_for(lambda: any(has_begun(sock) for sock in socks), 30)
        attack_for(ATTACK_S, lambda: None)


def test_answers_read_a_byte_at_a_time_keep_nobody_out(scene: Scene) -> None:
    data = REQUESTS["openapi"] * 200
    with scene.bystander(), strangers(scene, SOCKETS, data) as socks:
        attack_for(ATTACK_S, lambda: [sip(sock) for sock in socks])


def test_many_who_do_not_read_are_ended_by_sigterm_like_others(tmp_path: Path) -> None:
    data = REQUESTS["openapi"] * (BYTES // len(REQUESTS["openapi"]))
    with serving(tmp_path) as scene, strangers(scene, MANY, data):
        scene.stops()


def test_who_does_not_read_is_closed_after_a_time(tmp_path: Path) -> None:
    data = REQUESTS["openapi"] * 200
    with (
        serving(tmp_path, answer_timeout_s=1) as scene,
        scene.bystander(),
        strangers(scene, SOCKETS, data) as socks,
    ):
        wait_for(lambda: all(is_reset(sock) for sock in socks), 15)


def sip(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.recv(1)


def has_begun(sock: socket.socket) -> bool:
    """Say whether an answer has begun, without taking any of it."""
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return False


def is_reset(sock: socket.socket) -> bool:
    """Say whether the other side has given up, without taking any of the answer."""
    sock.setblocking(False)
    try:
        sock.send(b"\r")
    except BlockingIOError:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    except OSError:
        return True
    return False
