"""Queries that cost much, by one who may read, and that go on when nobody waits for them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import proc
from attacks.filling import deepen, widen
from attacks.scene import SLACK, Scene, attack_for, push, serving, serving_for, wait_for
from attacks.sizes import ALL, some
from engines import ENGINES

POINTS = 600_000 if ALL else 400_000
FIELDS = 100_000 if ALL else 30_000
ROWS = 501
AT_ONCE = 40
ENDS_S = 2.0 * SLACK
HOT = 0.5  # of one core: it computes
IDLE = 0.15

# Each takes long where there are many points: what the database adds up, what is added up
# here, rows, and points as they are
WHERE = "&".join("where=ge(deep,0)" for _ in range(50))
QUERIES = {
    "buckets": "/v1/data/input/deep?operator=mean&group_by=time(1s)",
    "conditions": f"/v1/data/input/deep?operator=mean&{WHERE}",
    "groups": f"/v1/data/input/deep?operator=sum&group_by=time(1ms),device_id&{WHERE}",
    "rows": f"/v1/data/input/all?{WHERE}",
    "field": "/v1/data/input/deep",
    "newest of each": f"/v1/data/input/deep?limit_by=device_id,1000000&{WHERE}",
    "export": "/v1/exports/1/all/deep",
    "export as csv": "/v1/exports/1/all/all?output=csv&timefmt=timeval",
    "export of buckets": "/v1/exports/1/all/deep?operator=max&group_by=1ms",
    "export by value": "/v1/exports/1/all/deep?greater_than=-1&less_than=100000&limit=1000000",
}


@pytest.fixture(scope="module", params=some(ENGINES, "sqlite"))
def deep(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A server with a series of many points."""
    with serving_for(request, tmp_path_factory) as scene:
        deepen(scene, "deep", POINTS)
        yield scene


def request_for(scene: Scene, path: str) -> bytes:
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {scene.token}\r\n\r\n"
    return f"GET {path} HTTP/1.1\r\n{head}".encode()


def load(scene: Scene, seconds: float = 0.3) -> float:
    """Return how much of a core the server takes, over some time."""
    before, began = proc.cpu_s(scene.child.pid), time.monotonic()
    attack_for(seconds, lambda: None)
    return (proc.cpu_s(scene.child.pid) - before) / (time.monotonic() - began)


@pytest.mark.parametrize("name", some(QUERIES, "groups", "export as csv"))
def test_long_queries_at_once_keep_nobody_out_and_end_with_their_clients(
    deep: Scene, name: str
) -> None:
    data = request_for(deep, QUERIES[name])
    with deep.bystander():
        with contextlib.ExitStack() as stack:
            for _ in range(AT_ONCE):
                push(stack.enter_context(deep.connect()), data)
            attack_for(1.0, lambda: None)
        took = wait_for(lambda: load(deep) < HOT, 20)
    assert took < ENDS_S + 0.6, took  # and the time of measuring it
    deep.is_as_before()


def test_more_than_16_fields_to_group_by_are_refused(deep: Scene) -> None:
    fields = ",".join(f"f{number}" for number in range(3_000))
    path = f"/v1/data/input/deep?operator=count&group_by={fields}"
    answer = deep.call("GET", path)
    assert (answer.status, answer.error["code"]) == (400, 1)
    assert "16" in answer.error["message"]
    data = request_for(deep, path)
    with deep.bystander(), contextlib.ExitStack() as stack:
        for _ in range(AT_ONCE):
            push(stack.enter_context(deep.connect()), data)


@pytest.mark.parametrize("form", some(["json", "csv"], "json"))
def test_wide_and_sparse_rows_are_bounded_by_their_cells(
    target: str, tmp_path: Path, form: str
) -> None:
    with serving(tmp_path, target) as scene:
        widen(scene, "wide", FIELDS, ROWS)
        with scene.bystander():
            answer = scene.call("GET", f"/v1/data/wide?output={form}")
            assert answer.status in (200, 400, 413, 422), answer.body[:300]
            if answer.status != 200:
                assert "cells" in answer.error["message"]
        assert scene.call("GET", "/v1/data/wide?limit=1").status == 200
        scene.is_as_before()


@pytest.mark.parametrize("name", some(["conditions", "groups", "rows"], "groups"))
def test_a_query_is_stopped_when_its_time_is_up(target: str, tmp_path: Path, name: str) -> None:
    with serving(tmp_path, target, query_timeout_s=1) as scene:
        deepen(scene, "deep", 3 * POINTS)
        with scene.bystander():
            began = time.monotonic()
            answer = scene.call("GET", QUERIES[name])
            took = time.monotonic() - began
        assert (answer.status, answer.error["code"]) == (422, 3), answer.body[:300]
        assert "stopped after" in answer.error["message"]
        assert took < 1 + ENDS_S, took
        scene.is_as_before()
