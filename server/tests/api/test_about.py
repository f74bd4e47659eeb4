"""What people and their tools ask first: the bare address, and HEAD."""

from __future__ import annotations

from pathlib import Path

import pytest
from live import Live, running, user_token

from iobeam_server import __version__

PUBLIC = ["/", "/page/main.js", "/page/style.css", "/v1", "/v1/", "/v1/ping", "/openapi.json"]
WITH_TOKEN = [
    "/metrics",
    "/v1/devices?project_id=1",
    "/v1/devices/dev-1",
    "/v1/devices/timestamp?project_id=1",
    "/v1/exports/1/all/all?output=csv",
    "/v1/exports/1/dev-1/a",
    "/v1/data/input/all",
    "/v1/namespaces?project_id=1",
]


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_the_address_of_the_api_says_what_it_is(live: Live, path: str) -> None:
    answer = live.call("GET", path, token=None)
    assert answer.status == 200
    assert answer.json == {
        "name": "iobeam-server",
        "version": __version__,
        "page": "/",
        "openapi": "/openapi.json",
        "ping": "/v1/ping",
    }
    for key in ("page", "openapi", "ping"):
        assert live.call("GET", answer.json[key], token=None).status == 200


@pytest.mark.parametrize("path", [*PUBLIC, *WITH_TOKEN])
def test_head_is_get_without_the_body(live: Live, path: str) -> None:
    live.send(["time", "a"], [[1, 1], [2, 2.5]])
    token = None if path in PUBLIC else live.token
    got, asked = (live.call(method, path, token=token) for method in ("GET", "HEAD"))
    assert (got.status, asked.status) == (200, 200)
    assert asked.body == b""
    if path not in ("/metrics", "/v1/devices/timestamp?project_id=1"):  # which differ each time
        assert asked.headers["Content-Length"] == str(len(got.body))
    assert asked.headers["Content-Type"] == got.headers["Content-Type"]


def test_a_long_answer_to_head_leaves_no_file_open(tmp_path: Path) -> None:
    with running(tmp_path, spool_bytes=100) as live:
        live.register("dev-1")
        live.send(["time", "a"], [[n, n] for n in range(100)])
        before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
        for _ in range(30):
            assert live.call("HEAD", "/v1/exports/1/all/all").status == 200
        if before:
            assert len(list(Path("/proc/self/fd").iterdir())) < before + 10


def test_head_is_guarded_as_get_is(live: Live) -> None:
    for path in WITH_TOKEN[1:]:
        assert live.call("HEAD", path, token=None).status == 401
        assert live.call("HEAD", path, token=user_token(live, 7)).status in (401, 403)
    assert live.call("HEAD", "/v1/nothing").status == 404
    answer = live.call("HEAD", "/v1/imports")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_two_requests_on_one_connection_after_head(live: Live) -> None:
    with live.raw(
        b"HEAD /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ) as sock:
        parts = b""
        while part := sock.recv(65_536):
            parts += part
    assert parts.count(b"HTTP/1.1 200") == 2
    assert parts.count(b"\r\n\r\n{}") == 1


def test_the_log_names_the_method_that_came(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "iobeam_server.access"):
        live.call("HEAD", "/v1/ping")
    assert "HEAD /v1/ping 200" in caplog.text
