"""Connections that never come to a request: silent, slow, half, and many of them."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks.filling import held
from attacks.scene import Scene, attack_for, is_closed, lingering, push, serving, wait_for
from attacks.sizes import some

ATTACK_S = 1.0
SLOW = 100
SILENT = 2_000
CROWD = 1_500  # more than one address may have
HALF = 100
BODY = 16 * 1024 * 1024

HEAD = b"GET /v1/ping HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
CHUNKED = (
    b"POST /v1/imports HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
# what a chunked body may be made to never end by
ENDLESS = {
    "chunk size": (b"", b"0" * 4_096),
    "chunk extension": (b"5;x=", b"y" * 4_096),
    "quoted extension": (b'5;x="', b"y" * 4_096),
    "trailers": (b"0\r\n", b"X-Trailer: y\r\n" * 256),
    "one trailer": (b"0\r\nX: ", b"y" * 4_096),
    "chunks of a byte": (b"", b"1\r\n \r\n" * 512),
}


@contextlib.contextmanager
def room(descriptors: int) -> Iterator[None]:
    """Let this process open as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors:
        descriptors = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, descriptors), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def opened(scene: Scene, count: int, data: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that begin with some data; the server may close what it likes."""
    with contextlib.ExitStack() as stack, room(count + 200):
        socks = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                sock = stack.enter_context(scene.connect())
                push(sock, data)
                socks.append(sock)
        yield socks


def authorized(scene: Scene, length: int = BODY) -> bytes:
    return (
        "POST /v1/imports?fmt=table HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {scene.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_silent_connections_keep_nobody_out(scene: Scene) -> None:
    with scene.bystander(), opened(scene, SILENT):
        attack_for(ATTACK_S, lambda: None)


def test_who_has_just_asked_is_not_the_one_that_goes(scene: Scene) -> None:
    """Room is made by what is silent longest, not by a connection that is in use."""
    ping = b"GET /v1/ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with scene.connect() as kept, contextlib.ExitStack() as stack:
        for _ in range(SILENT // 50):
            stack.enter_context(opened(scene, 50))
            kept.sendall(ping)
            assert b" 200 " in lingering(kept, 5, b"{}")


def test_who_waits_for_an_answer_is_not_the_one_that_goes(tmp_path: Path) -> None:
    with serving(tmp_path) as scene, scene.connect() as waiting:
        with held(scene.url):
            body = b'{"project_id":1,"device_id":"beside","sources":[]}'
            body = body.replace(b"[]", b'[{"name":"n","data":[{"time":1,"value":1}]}]')
            waiting.sendall(authorized(scene, len(body)).replace(b"?fmt=table", b"") + body)
            with opened(scene, SILENT):
                attack_for(0.2, lambda: None)
        assert b" 200 " in lingering(waiting, 10, b"{}")


@pytest.mark.parametrize("pauses", [1, 24])
@pytest.mark.parametrize("form", ["whole", "chunks"])
def test_who_is_still_sending_is_not_the_one_that_goes(
    scene: Scene, form: str, pauses: int
) -> None:
    """Neither amid many pauses, nor where more come in one of them than there is room for."""
    rows = [[i, i] for i in range(20_000)]
    sources = {"fields": ["time", "sent"], "data": rows}
    body = json.dumps({"project_id": 1, "device_id": "beside", "sources": sources}).encode()
    head, size = authorized(scene, len(body)), len(body) // (pauses + 1) + 1
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    if form == "chunks":
        head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
        parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    with scene.connect() as sending, contextlib.ExitStack() as stack:
        sending.sendall(head + parts[0])
        for part in parts[1:]:
            stack.enter_context(opened(scene, max(CROWD // pauses, SILENT // 25)))
            sending.sendall(part)
        sending.sendall(b"0\r\n\r\n" if form == "chunks" else b"")
        assert b" 200 " in lingering(sending, 30, b"{}")


def test_headers_a_byte_at_a_time_keep_nobody_out(scene: Scene) -> None:
    with scene.bystander(), opened(scene, SLOW, HEAD) as socks:
        attack_for(ATTACK_S, lambda: [push(sock, b"x") for sock in socks])


def test_half_requests_are_closed_whatever_trickles_in(tmp_path: Path) -> None:
    settings = {"header_timeout_s": 1, "request_timeout_s": 2}
    with serving(tmp_path, **settings) as scene, contextlib.ExitStack() as stack:
        begun = {
            "nothing": b"",
            "a byte": b"G",
            "half a header": HEAD,
            "half the headers": b"POST /v1/imports HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n",
            "half a body": authorized(scene, 1_000) + b"[",
            "half a large body": authorized(scene) + b"[",
            "half a chunk": CHUNKED + b"fff\r\n[",
            "a body but for a byte": authorized(scene, 5) + b"true",
        }
        socks = {name: stack.enter_context(scene.connect()) for name in begun}
        for name, sock in socks.items():
            push(sock, begun[name])

        def left() -> list[str]:
            found = [name for name, sock in socks.items() if not is_closed(sock)]
            for name in set(found) - {"nothing", "a byte", "a body but for a byte"}:
                push(socks[name], b" ")
            return found

        wait_for(lambda: not left(), 12, lambda: f"{left()} are open")
        scene.is_as_before()


def test_half_bodies_without_a_token_are_kept_nowhere(scene: Scene) -> None:
    head = authorized(scene).replace(scene.token.encode(), b"x.y.z")
    body = b" " * (BODY - 1)
    with scene.bystander(), opened(scene, HALF, head) as socks:
        attack_for(ATTACK_S, lambda: [push(sock, body[:262_144]) for sock in socks])
        assert spooled(scene) < 16 * 1024 * 1024
        assert all(b" 401 " in lingering(sock, 5)[:20] for sock in socks[:3])


def test_half_bodies_with_a_token_share_one_budget(scene: Scene) -> None:
    with scene.bystander(), opened(scene, HALF, authorized(scene)) as socks:
        body = b" " * (BODY - 1)
        left = dict.fromkeys(socks, 0)

        def more() -> None:
            for sock in socks:
                left[sock] += push(sock, body[left[sock] : left[sock] + 524_288])

        attack_for(2 * ATTACK_S, more)
        assert spooled(scene) < 300 * 1024 * 1024


def spooled(scene: Scene) -> int:
    """Return what the server keeps in files without a name, bytes."""
    import os

    total = 0
    folder = f"/proc/{scene.child.pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{name}").endswith("(deleted)"):
                total += os.stat(f"{folder}/{name}").st_size
    return total


@pytest.mark.parametrize("name", some(ENDLESS, "chunk size", "chunks of a byte"))
@pytest.mark.parametrize("who", some(["stranger", "device"], "device"))
def test_a_chunked_body_without_an_end_keeps_nobody_out(scene: Scene, name: str, who: str) -> None:
    begun, more = ENDLESS[name]
    head = CHUNKED
    if who == "device":
        head = head.replace(b"Host:", f"Authorization: Bearer {scene.token}\r\nHost:".encode())
    with scene.bystander(), opened(scene, 8, head + begun) as socks:
        attack_for(ATTACK_S, lambda: [push(sock, more) for sock in socks])


def test_connections_that_come_and_go_keep_nobody_out(scene: Scene) -> None:
    def churn() -> None:
        for _ in range(20):
            with contextlib.suppress(OSError), scene.connect() as sock:
                push(sock, b"GET / HT")
                if _ % 2:  # a reset instead of a farewell
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with scene.bystander():
        attack_for(ATTACK_S, churn)


@pytest.mark.large
def test_silent_and_half_ones_are_ended_by_sigterm_like_others(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as scene,
        opened(scene, 300),
        opened(scene, 50, HEAD),
        opened(scene, 50, authorized(scene) + b"[["),
        opened(scene, 10, CHUNKED + b"5;x="),
    ):
        scene.stops()
