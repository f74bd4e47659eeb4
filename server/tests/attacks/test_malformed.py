"""Bytes that are no request, or two requests at once."""

from __future__ import annotations

import contextlib
import itertools
import re
from pathlib import Path

import pytest
from attacks.scene import Scene, attack_for, is_closed, lingering, push, serving

PING = b"GET /v1/ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /v1/users/email HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# what is refused with a 4xx, after which nothing more is read from the connection
REFUSED = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ",
    "a list of lengths": POST + b"Content-Length: 4, 5\r\n\r\n{}  ",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "length in hex": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "length with an underline": POST + b"Content-Length: 1_0\r\n\r\n{}        ",
    "no length": POST + b"Content-Length: \r\n\r\n",
    "huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "length of 5000 digits": POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: zip\r\n\r\n",
    "coding after chunked": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunk size of no digits": CHUNKED + b"zz\r\n\r\n",
    "negative chunk size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "signed chunk size": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with an underline": CHUNKED + b"1_0\r\n",
    "huge chunk size": CHUNKED + b"f" * 40 + b"\r\n",
    "chunk longer than said": CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n",
    "header without a colon": b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "blank before the colon": b"GET /v1/ping HTTP/1.1\r\nHost : x\r\n\r\n",
    "NUL in a header": b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "NUL in the path": b"GET /v1/p\0ing HTTP/1.1\r\nHost: x\r\n\r\n",
    "header of 64 KiB": b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 65_536 + b"\r\n\r\n",
    "10 000 headers": b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    "cookies": b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n" + b"Cookie: a=b\r\n" * 4_000 + b"\r\n",
    "path of 64 KiB": b"GET /" + b"x" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no such version": b"GET /v1/ping HTTP/9.9\r\nHost: x\r\n\r\n",
    "version of no digits": b"GET /v1/ping HTTP/x.y\r\nHost: x\r\n\r\n",
    "method of 64 KiB": b"G" * 65_536 + b" / HTTP/1.1\r\n\r\n",
}
# what may be answered or not, so long as nobody waits for it
CLOSED = {
    "HTTP/0.9": b"GET /v1/ping\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS": b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03" + b"\x5a" * 200,
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SMB": b"\0\0\0\x85\xffSMB" + b"\0" * 120,
    "binary": bytes(range(256)) * 16,
    "line ends": b"\r\n" * 20_000,
    "blanks": b" " * 70_000,
}
# odd, and right
ANSWERED = {
    "absolute address": (b"GET http://127.0.0.1/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
    "every server": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"[24]0[0-9]"),
    # refused, or read as one line (RFC 9112, 5.2)
    "folded header": (b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", b"(200|400)"),
    "NUL in the path, coded": (b"GET /v1/ping%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"40[04]"),
    "HTTP/1.0": (b"GET /v1/ping HTTP/1.0\r\n\r\n", b"200"),
    "a method of its own": (b"BREW /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n", b"40[05]"),
    "a tunnel": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"40[045]"),
    "web socket": (
        b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"(200|400|405|426)",
    ),
    "HTTP/2 by upgrade": (
        b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        b"200",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_understood_is_refused_and_closed(scene: Scene, name: str) -> None:
    """What follows on the connection is never taken for a request of its own."""
    with scene.connect() as sock:
        push(sock, REFUSED[name] + PING)
        answer = lingering(sock, 8)
        assert re.match(rb"HTTP/1\.[01] (4\d\d|505) ", answer), answer[:200]
        assert answer.count(b"HTTP/1.") == 1, answer
        assert b'{"errors":[{"code":' in answer
        assert is_closed(sock)


def test_what_speaks_another_language_is_closed_soon(tmp_path: Path) -> None:
    with serving(tmp_path, header_timeout_s=1) as scene, contextlib.ExitStack() as stack:
        socks = {name: stack.enter_context(scene.connect()) for name in CLOSED}
        for name, sock in socks.items():
            push(sock, CLOSED[name])
        for name, sock in socks.items():
            answer = lingering(sock, 8)
            assert not re.match(rb"HTTP/1.[01] [25]", answer), (name, answer)
            assert is_closed(sock), name
        scene.is_as_before()


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_odd_but_right_is_answered(scene: Scene, name: str) -> None:
    data, status = ANSWERED[name]
    with scene.connect() as sock:
        sock.sendall(data)
        assert re.match(rb"HTTP/1\.[01] " + status, sock.recv(4_096))


def test_all_of_it_at_once_keeps_nobody_out(scene: Scene) -> None:
    pieces = [*REFUSED.values(), *CLOSED.values(), *(data for data, _ in ANSWERED.values())]
    todo = itertools.cycle(pieces)

    def one() -> None:
        for _ in range(10):
            with contextlib.suppress(OSError), scene.connect() as sock:
                push(sock, next(todo))

    with scene.bystander():
        attack_for(1.5, one)
