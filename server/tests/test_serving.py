"""What the HTTP server must do for clients that misbehave."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from live import TIMEOUT_S, Live, received, running

from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError

MIB = 1024 * 1024


def split(data: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, json.loads(body) if body else None


def head(live: Live, path: str = "/v1/imports?fmt=table", **headers: Any) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {live.token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ponged(sock: socket.socket) -> bool:
    """Read the answer to a ping; head and body may come apart."""
    data = b""
    while not data.endswith(b"\r\n\r\n{}"):
        part = sock.recv(65_536)
        assert part, data
        data += part
    return b"200 OK" in data


def refused(data: bytes, status: int, code: int) -> None:
    got, headers, body = split(data)
    assert (got, body["errors"][0]["code"]) == (status, code)
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(json.dumps(body, separators=(",", ":")).encode())


def test_a_body_of_50_mb_is_refused_and_the_client_gets_to_read_why(live: Live) -> None:
    answer = live.call("POST", "/v1/imports?fmt=table", b" " * (50 * MIB))
    assert (answer.status, answer.error["code"]) == (413, 2)
    assert live.call("GET", "/v1/ping").status == 200


def test_the_refusal_comes_before_the_body_does(live: Live) -> None:
    with live.raw(head(live, Content_Length=50 * MIB)) as sock:
        refused(received(sock), 413, 2)


def test_expect_continue_is_not_answered_for_a_body_that_is_refused(live: Live) -> None:
    with live.raw(head(live, Content_Length=50 * MIB, Expect="100-continue")) as sock:
        refused(received(sock), 413, 2)


def test_a_chunked_body_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    with (
        running(tmp_path, max_body_bytes=100_000, linger_s=0.2) as live,
        live.raw(head(live, Transfer_Encoding="chunked")) as sock,
    ):
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with contextlib.suppress(OSError):  # cut off while still sending
            for _ in range(10):
                sock.sendall(chunk)
        refused(received(sock), 413, 2)


def test_a_chunked_body_within_the_limit_is_taken(live: Live) -> None:
    body = b'{"project_id":1,"device_id":"dev-1","sources":[]}'
    data = head(live, "/v1/imports", Transfer_Encoding="chunked", Connection="close")
    with live.raw(data + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)) as sock:
        assert split(received(sock))[0] == 200


def test_one_who_goes_on_sending_after_a_refusal_is_cut_off(tmp_path: Path) -> None:
    with (
        running(tmp_path, linger_s=0.3) as live,
        live.raw(head(live, Content_Length=10**12)) as sock,
    ):
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < TIMEOUT_S:
                sock.sendall(b" " * 65_536)
        assert time.monotonic() - began < TIMEOUT_S


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, 1),
        (b"GET /v1/ping HTTP/1.1\r\nbad header\r\n\r\n", 400, 1),
        (b"POST /v1/imports HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400, 1),
        (b"POST /v1/imports HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, 1),
        (b"POST /v1/imports HTTP/1.1\r\nTransfer-Encoding: zip\r\n\r\n", 400, 1),
        (b"POST /v1/imports HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, 1),
        (b"GET /v1/ping HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431, 2),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 431, 2),
        (b"GET /x HTTP/1.0\r\n\r\n", 404, 32),
    ],
)
def test_what_is_no_proper_http_is_refused_in_the_same_shape(
    live: Live, data: bytes, status: int, code: int
) -> None:
    with live.raw(data) as sock:
        refused(received(sock), status, code)
    assert live.call("GET", "/v1/ping").status == 200


@pytest.mark.parametrize(
    "begun", [b"", b"GET /v1/pi", b"POST /v1/imports HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_half_request_is_closed_in_the_end(tmp_path: Path, begun: bytes) -> None:
    with running(tmp_path, request_timeout_s=1) as live, live.raw(begun) as sock:
        assert received(sock) == b""


@pytest.mark.parametrize("begun", [b"\x16\x03\x01\x02\x00\x01", b"\x80\x2e", b"\0", b" ", b"\xff"])
def test_what_begins_as_no_http_does_is_closed_at_once(tmp_path: Path, begun: bytes) -> None:
    ping = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with running(tmp_path, request_timeout_s=3600) as live:  # else it would end with that
        with live.raw(begun) as sock:
            assert received(sock) == b""
        with live.raw(ping) as sock:
            assert ponged(sock)
            sock.sendall(begun)
            assert received(sock) == b""
        with live.raw(b"\r\n" + ping) as sock:
            assert ponged(sock)


def test_trickling_does_not_prolong_a_request(tmp_path: Path) -> None:
    def trickle(sock: socket.socket) -> None:
        for _ in range(TIMEOUT_S * 20):
            sock.sendall(b" ")
            time.sleep(0.05)

    with running(tmp_path, request_timeout_s=1) as live:
        sock = live.raw(head(live, Content_Length=10_000))
        with sock, pytest.raises(OSError):  # noqa: PT011  # reset or broken pipe
            trickle(sock)


def test_an_idle_connection_is_not_a_half_request(tmp_path: Path) -> None:
    ping = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with running(tmp_path, request_timeout_s=1) as live, live.raw(ping) as sock:
        assert ponged(sock)
        time.sleep(2.5)  # beyond the time of a request, and a turn of the loop
        sock.sendall(ping)
        assert ponged(sock)


def test_half_requests_do_not_keep_others_out(live: Live) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(live.raw(b"POST /v1/imports HTTP/1.1\r\nContent-Length: 9\r\n\r\n"))
        assert live.call("GET", "/v1/ping").status == 200


def test_stopping_finishes_a_request_in_flight_and_refuses_new_ones(tmp_path: Path) -> None:
    """The one whose body is still coming is answered, too."""
    body = b'{"project_id":1,"device_id":"dev-1","sources":[]}'
    with running(tmp_path) as live:
        live.register("dev-1")
        began = head(live, "/v1/imports", Content_Length=len(body)) + body[:10]
        with live.raw(began) as sock:
            while not live.backend.server.is_receiving:
                time.sleep(0.01)
            live.backend.stop()
            until = time.monotonic() + TIMEOUT_S
            with contextlib.suppress(ConnectionError):  # refused, or reset in the backlog
                while time.monotonic() < until:  # the loop needs a moment to notice
                    socket.create_connection(("127.0.0.1", live.port), timeout=TIMEOUT_S).close()
            assert time.monotonic() < until
            sock.sendall(body[10:])
            assert split(received(sock))[0] == 200


def test_the_connection_outlives_answers_without_a_body(live: Live) -> None:
    ask = "GET /v1/users/password?reset=a HTTP/1.1\r\nHost: x\r\n"
    with live.raw(f"{ask}\r\n".encode() * 2 + f"{ask}Connection: close\r\n\r\n".encode()) as sock:
        data = received(sock)
    assert data.count(b"HTTP/1.1 204 No Content\r\n") == 3
    assert data.count(b"Connection: close\r\n") == 1
    with live.raw(f"{ask}\r\n".replace("1.1", "1.0").encode() * 2) as sock:
        assert received(sock).count(b"204 No Content\r\n") == 1


def test_stopping_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    began = time.monotonic()
    with running(tmp_path) as live, live.raw(b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
        assert ponged(sock)
        live.backend.stop()
        assert received(sock) == b""
    assert time.monotonic() - began < live.backend.config.drain_s


def test_the_last_answer_while_stopping_tells_the_client_to_go(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next request of a busy client would always be in flight."""
    inside, gate = threading.Event(), threading.Event()

    def wait(*_: object) -> list[Any]:
        inside.set()
        assert gate.wait(TIMEOUT_S)
        return []

    monkeypatch.setattr(live.backend.store.devices, "page", wait)
    request = f"GET /v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.token}\r\n\r\n"
    with live.raw(request.encode()) as sock:
        assert inside.wait(TIMEOUT_S)
        live.backend.stop()
        sock.sendall(request.encode())
        gate.set()
        status, headers, body = split(received(sock))
        assert (status, headers["connection"], body) == (200, "close", {"devices": []})


def test_a_port_in_use_is_a_clear_error(tmp_path: Path, live: Live) -> None:
    with pytest.raises(ConfigError, match=str(live.port)):
        Backend(f"sqlite:///{tmp_path}/other.db", Config(port=live.port))
    with pytest.raises(ConfigError):
        Backend(f"sqlite:///{tmp_path}/other.db", Config(host="no such host", port=0))


def test_a_first_start_that_fails_leaves_the_token_to_the_next(tmp_path: Path, live: Live) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    with pytest.raises(ConfigError):
        Backend(url, Config(port=live.port))
    with Backend(url, Config(port=0)) as backend:  # and closes, though it never ran
        assert backend.first_start is not None


def test_starting_and_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    def counts() -> tuple[int, int]:
        descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        return threading.active_count(), descriptors

    with running(tmp_path) as live:
        live.call("GET", "/v1/devices")
    before = counts()
    for _ in range(5):
        with running(tmp_path) as live:
            live.call("GET", "/v1/devices")
    assert counts() == before


def test_no_query_no_header_and_no_token_in_any_log(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    live.call(
        "GET", "/v1/exports/1/all/all?limit=7&password=hunter2", headers={"X-Secret": "abcde"}
    )
    live.call("GET", "/v1/a%0Ab", token="nonsense-token")
    live.call("POST", "/v1/tokens/project", {"refresh_token": live.token + "x"})
    lines = [record for record in caplog.records if record.name == "iobeam_server.access"]
    assert len(lines) == 3
    assert lines[0].getMessage().startswith("127.0.0.1 GET /v1/exports/1/all/all 200 ")
    for secret in ("hunter2", "limit", "abcde", "nonsense-token", live.token, "\n"):
        assert not any(secret in record.getMessage() for record in caplog.records)


def test_a_defect_is_answered_in_the_same_shape(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(live.backend.store.devices, "page", fail)
    answer = live.call("GET", "/v1/devices")
    assert (answer.status, list(answer.json)) == (500, ["errors"])
    assert b"secret" not in answer.body


def test_a_full_queue_is_answered_429(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    from iobeam_server.errors import TooBusy

    def busy(*_: object) -> None:
        raise TooBusy("full", retry_after_s=3)

    monkeypatch.setattr(live.backend._writer, "write", busy)
    answer = live.send(["time", "a"], [[1, 1]])
    assert (answer.status, answer.error["code"]) == (429, 8)
    assert answer.headers["Retry-After"] == "3"


def test_two_lengths_are_refused_and_the_connection_ends(live: Live) -> None:
    both = head(live, Content_Length=5, Transfer_Encoding="chunked")
    with live.raw(both + b"0\r\n\r\nGET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
        data = received(sock)
    assert data.count(b"HTTP/1.1 ") == 1
    refused(data, 400, 1)


def test_continue_is_said_to_who_is_welcome_only(live: Live) -> None:
    body = b'{"project_id":1,"device_id":"dev-1","sources":[]}'
    asked = head(live, "/v1/imports", Content_Length=len(body), Expect="100-continue")
    with live.raw(asked) as sock:
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(12) == b"HTTP/1.1 200"
    with live.raw(asked.replace(live.token.encode(), b"x.y.z")) as sock:
        refused(received(sock), 401, 4)


def test_an_answer_taken_slowly_arrives_whole_and_ends_quietly(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"f{i}" for i in range(9)]
    for run in range(10):
        rows = [[run * 2_000 + i, *[i / 7] * 9] for i in range(2_000)]
        assert live.send(["time", *names], rows).status == 200
    asked = (
        "GET /v1/exports/1/all/all?timefmt=timeval HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {live.token}\r\n\r\n"
    )
    with live.raw(asked.encode()) as sock:
        time.sleep(0.5)  # the buffers of both sides are full
        status, headers, body = split(received(sock))
    assert status == 200
    assert sum(len(series["data"]) for series in body["result"]) == 180_000
    assert int(headers["content-length"]) > MIB
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
