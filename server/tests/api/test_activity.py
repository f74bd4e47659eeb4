"""``/v1/activity``, on each engine, and what of it is in the metrics."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from live import Live

from iobeam_server.metrics import Metrics
from iobeam_server.rights.tokens import ADMIN, READ
from iobeam_server.silence import Watch

MINUTE = 60


@pytest.fixture
def now() -> int:
    """When this test began, not its module: minutes make a device silent."""
    return int(time.time())


def send(live: Live, device: str, newest: int, step_s: int = MINUTE, count: int = 5) -> None:
    """Send points of two series, the newest of that second."""
    rows = [[(newest - n * step_s) * 10**6, n, "x"] for n in range(count)]
    answer = live.send(["time", f"{device}-n", "word"], rows, device=device)
    assert answer.status == 200, answer.body


@pytest.fixture
def filled(live: Live, now: int) -> Live:
    """Devices that sent just now, an hour ago as usual, two hours ago unusually, never."""
    for name in ("busy", "slow", "lost", "mute"):
        body = {"project_id": 1, "device_id": name, "device_name": f"the {name} one"}
        assert live.call("POST", "/v1/devices", body).status == 201
    send(live, "busy", now - 1)
    send(live, "slow", now - 3_600, step_s=3_600)
    send(live, "lost", now - 7_200)
    return live


def ask(live: Live, path: str = "1", query: str = "", **more: Any) -> Any:
    answer = live.call("GET", f"/v1/activity/{path}?{query}", **more)
    assert answer.status == 200, answer.body
    return answer.json


def ids(found: Any) -> list[str]:
    return [one["device_id"] for one in found["devices"]]


def test_the_silent_ones_first_then_by_what_they_last_sent(filled: Live, now: int) -> None:
    found = ask(filled)
    assert ids(found) == ["lost", "busy", "slow", "dev-1", "mute"]
    assert (found["total"], found["silent"]) == (5, 1)
    assert found["devices"][0] == {
        "device_id": "lost",
        "device_name": "the lost one",
        "series": ["lost-n", "word"],
        "last": (now - 7_200) * 1_000,
        "usual_ms": 60_000,
        "silent": True,
    }
    assert found["devices"][-1]["last"] is found["devices"][-1]["usual_ms"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("silent=true", ["lost"]),
        ("silent=false&count=1", ["busy"]),
        ("offset=1&count=2", ["busy", "slow"]),
        ("find=LOST", ["lost"]),
        ("find=slow-N", ["slow"]),
        ("find=the%20", ["lost", "busy", "slow", "mute"]),
        ("find=nobody", []),
    ],
)
def test_some_of_them(filled: Live, query: str, expected: list[str]) -> None:
    assert ids(ask(filled, query=query)) == expected


def test_a_device_that_is_not_registered_has_its_data(filled: Live, now: int) -> None:
    assert filled.call("DELETE", "/v1/devices/slow").status == 204
    (one,) = ask(filled, "1/slow")["devices"]
    assert "device_name" not in one
    assert one["last"] == (now - 3_600) * 1_000


def test_points_of_the_future_say_nothing(filled: Live, now: int) -> None:
    send(filled, "lost", now + 86_400, count=1)
    assert ids(ask(filled, query="silent=true")) == ["lost"]
    send(filled, "mute", now + 86_400)
    assert ask(filled, "1/mute")["devices"][0]["last"] is None


def test_times_in_other_units(filled: Live, now: int) -> None:
    last = {unit: ask(filled, "1/lost", f"timefmt={unit}") for unit in ("sec", "usec", "timeval")}
    assert {unit: found["devices"][0]["last"] for unit, found in last.items()} == {
        "sec": now - 7_200,
        "usec": (now - 7_200) * 10**6,
        "timeval": {"sec": now - 7_200, "usec": 0},
    }


def test_a_device_token_sees_its_own_device_only(filled: Live) -> None:
    token = filled.make_token(READ, device="slow")
    assert ids(ask(filled, token=token)) == ["slow"]
    assert filled.call("GET", "/v1/activity/1/lost", token=token).status == 403


def silent_in(metrics: str) -> dict[str, float]:
    found = re.findall(
        r'iobeam_device_silent_seconds\{device="([^"]*)",project="1"\} (\S+)', metrics
    )
    return {device: float(value) for device, value in found}


def test_metrics_name_the_silent_ones_to_those_who_may_know(filled: Live, now: int) -> None:
    metrics = Metrics()
    watch = Watch(filled.backend.store, metrics, lambda: now + 60.0)
    try:
        watch.look()
        assert silent_in(metrics.shown().decode()) == {"lost": 7_260.0}
        assert silent_in(metrics.shown(1).decode()) == {"lost": 7_260.0}
        assert silent_in(metrics.shown(1, "lost").decode()) == {"lost": 7_260.0}
        assert silent_in(metrics.shown(2).decode()) == {}
        assert silent_in(metrics.shown(1, "x").decode()) == {}
    finally:
        watch.close()


def test_a_server_shows_them_by_itself(filled: Live) -> None:
    token = filled.make_token(ADMIN)
    answer = filled.call("GET", "/metrics", token=token)
    assert answer.status == 200
    assert b"# TYPE iobeam_device_silent_seconds gauge" in answer.body
