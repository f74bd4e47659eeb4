"""/metrics: what is counted, under which names, and who may read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from live import ALL, Live, received, running
from shapes import check_shape

from iobeam_server.errors import StorageUnavailable
from iobeam_server.rights.tokens import READ, WRITE
from iobeam_server.writer import Writer


def shown(live: Live) -> dict[str, float]:
    """Read /metrics as {name{labels}: value}."""
    answer = live.call("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_by_route_template_and_status(live: Live) -> None:
    live.call("GET", "/v1/devices/dev-1")
    live.call("GET", "/v1/devices/dev-2")
    live.call("GET", "/v1/devices/dev-3?name=hunter2")
    found = shown(live)
    route = 'method="GET",route="/v1/devices/{device_id}"'
    assert found[f'iobeam_requests_total{{{route},status="200"}}'] == 1
    assert found[f'iobeam_requests_total{{{route},status="404"}}'] == 2
    assert found[f"iobeam_request_seconds_count{{{route}}}"] == 3


def test_nothing_that_a_client_chooses_becomes_a_label(live: Live) -> None:
    for path in ("/v1/hunter2", "/hunter2?a=hunter2", "/page/hunter2"):
        live.call("GET", path)
    live.call("HUNTER2", "/v1/ping", headers={"X-Hunter2": "hunter2"})
    answer = live.call("GET", "/metrics")
    assert b"hunter2" not in answer.body.lower()
    assert shown(live)['iobeam_requests_total{method="GET",route="unknown",status="404"}'] == 2
    assert re.search(rb'method="other",route="[^"]*",status="405"', answer.body)


def test_values_commits_and_refusals_are_counted(live: Live) -> None:
    assert live.send(["time", "a", "b"], [[1, 1, 2], [2, 3, None]]).status == 200
    assert live.send(["time", "a"], [[1, "text"]]).status == 422  # nothing of it is stored
    found = shown(live)
    assert found["iobeam_values_stored_total"] == 3
    assert found["iobeam_commit_requests_total"] == 2
    assert 1 <= found["iobeam_commit_seconds_count"] <= 2
    assert found["iobeam_writer_queue_values"] == found["iobeam_writer_queue_requests"] == 0
    assert found["iobeam_writer_refusals_total"] == 0


def test_an_import_refused_as_too_much_is_counted(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer: Writer = live.backend._writer
    monkeypatch.setattr(writer, "_queue", [object()])
    monkeypatch.setattr(writer, "_queued_values", live.backend.config.high_water_values)
    assert live.send(["time", "a"], [[1, 1]]).status == 429
    found = shown(live)
    assert found["iobeam_writer_refusals_total"] == found["iobeam_writer_queue_requests"] == 1
    assert found["iobeam_writer_queue_values"] == live.backend.config.high_water_values
    route = 'method="POST",route="/v1/imports",status="429"'
    assert found[f"iobeam_requests_total{{{route}}}"] == 1


def test_what_is_refused_unread_is_counted(live: Live) -> None:
    with live.raw(b"nonsense\r\n\r\n") as sock:
        assert b"400" in received(sock)
    answer = live.call("POST", "/v1/imports", b" " * (live.backend.config.max_body_bytes + 1))
    assert answer.status == 413
    found = shown(live)
    for status in (400, 413):
        labels = f'method="unread",route="unread",status="{status}"'
        assert found[f"iobeam_requests_total{{{labels}}}"] == 1


def test_a_defect_is_counted_too(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(live.backend.store.devices, "page", fail)
    live.call("GET", "/v1/devices")
    counted = shown(live)
    assert counted['iobeam_requests_total{method="GET",route="/v1/devices",status="500"}'] == 1


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"]
)
def test_on_loopback_all_may_read_but_not_through_a_proxy(live: Live, header: str) -> None:
    assert live.call("GET", "/metrics", token=None).status == 200
    refused = live.call("GET", "/metrics", token=None, headers={header: "x"})
    assert refused.status == 401
    check_shape(refused)
    assert live.call("GET", "/metrics", headers={header: "x"}).status == 200


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost", True), ("LOCALHOST:4620", True), ("127.0.0.1", True), ("127.0.0.1:80", True),
        ("[::1]", True), ("[::1]:4620", True),
        ("evil.example", False), ("evil.example:4620", False), ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False), ("evil.example@127.0.0.1", False), ("::1", False),
        ("localhost:", False), ("localhost:4620x", False), ("127.0.0.2", False), ("", False),
        ("localhost, evil.example", False),
    ],
)  # fmt: skip
def test_on_loopback_only_names_that_mean_this_machine(
    live: Live, host: str, is_ours: bool
) -> None:
    """A page may give its own name this machine's address, and would then read the answer."""
    answer = live.call("GET", "/metrics", token=None, headers={"Host": host})
    assert answer.status == (200 if is_ours else 401) or (answer.status == 400 and not is_ours)
    with_token = live.call("GET", "/metrics", headers={"Host": host})
    assert with_token.status == (answer.status if answer.status == 400 else 200)


def test_elsewhere_it_takes_a_project_token_with_admin(tmp_path: Path) -> None:
    with running(tmp_path, host="0.0.0.0") as live:  # noqa: S104
        for token, status in ((None, 401), (live.make_token(READ | WRITE), 403)):
            answer = live.call("GET", "/metrics", token=token)
            assert answer.status == status
            check_shape(answer)
        assert live.call("GET", "/metrics", token=live.make_token(ALL)).status == 200


def test_a_transaction_that_failed_is_no_commit(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(live.backend.store, "write", fail)
    assert live.send(["time", "a"], [[1, 1]]).status == 503
    found = shown(live)
    assert found["iobeam_commit_seconds_count"] == found["iobeam_values_stored_total"] == 0
