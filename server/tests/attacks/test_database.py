"""A database that is slow, held by another program, or gone."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks.filling import deepen, held
from attacks.scene import SLACK, Scene, attack_for, push, serving, wait_for
from engines import Postgres, missing
from live import Answer

WAITING = 60
HELD_S = 4.0
GONE_S = 0.5 * SLACK  # for a refusal, once it is known that the database is gone
KNOWN_AFTER = 10.0  # seconds until it is known


class Asker(threading.Thread):
    """Sends one request and keeps its answer."""

    def __init__(self, scene: Scene, number: int) -> None:
        super().__init__(daemon=True)
        self.answer: Any = None
        self._scene, self._number = scene, number

    def run(self) -> None:
        number = self._number
        with contextlib.suppress(OSError, http.client.HTTPException):
            if number % 4:
                row = [[number, number]]
                self.answer = self._scene.send(["time", "held"], row, "beside")
            else:
                path = ["/v1/devices?project_id=1", "/v1/exports/1/all/held"][number // 4 % 2]
                self.answer = self._scene.call("GET", path)


def check_refusals(answers: list[Answer]) -> None:
    """Who was refused learns when to come again."""
    assert {answer.status for answer in answers} <= {200, 429, 503}
    for answer in answers:
        if answer.status != 200:
            assert answer.error["code"] == 8
            assert int(answer.headers["Retry-After"]) >= 1


def test_a_database_held_by_another_program_keeps_no_ping_waiting(
    target: str, tmp_path: Path
) -> None:
    with serving(tmp_path, target) as scene:
        with scene.bystander(imports=False):
            with held(target):
                askers = [Asker(scene, number) for number in range(WAITING)]
                for asker in askers:
                    asker.start()
                attack_for(HELD_S, lambda: None)
            for asker in askers:
                asker.join(60)
        answers = [asker.answer for asker in askers]
        assert None not in answers
        check_refusals(answers)
        stored = {n for n, answer in enumerate(answers) if n % 4 and answer.status == 200}
        found = {time for time, _ in scene.points("1/beside/held")["held"]}
        assert stored <= found
        with scene.bystander():
            pass
        scene.is_as_before()
        scene.stops()


@pytest.mark.large
def test_sigterm_ends_a_server_whose_database_is_held(target: str, tmp_path: Path) -> None:
    with serving(tmp_path, target) as scene, held(target):
        askers = [Asker(scene, 4 * number + 1) for number in range(8)]
        for asker in askers:
            asker.start()
        attack_for(0.5, lambda: None)
        scene.stops()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """One that may be stopped: the session's is everybody's."""
    if missing() is not None:
        pytest.skip(str(missing()))
    server = Postgres(durable=False)
    yield server
    server.close()


def test_a_database_that_is_gone_is_known_to_be(own_postgres: Postgres, tmp_path: Path) -> None:
    """Nobody waits for it then, and all goes on by itself when it is back."""
    with serving(tmp_path, own_postgres.url) as scene:
        with scene.bystander(imports=False):
            own_postgres.stop_at_once()
            askers = [Asker(scene, number) for number in range(WAITING)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join(60)
            answers = [asker.answer for asker in askers]
            assert None not in answers
            check_refusals(answers)
            assert 503 in {answer.status for answer in answers}
            wait_for(lambda: refused_within(scene, GONE_S), KNOWN_AFTER)
            own_postgres.start_again()
            wait_for(lambda: stored(scene), 30)
        with scene.bystander():
            pass
        scene.is_as_before()


def refused_within(scene: Scene, seconds: float) -> bool:
    began = time.monotonic()
    answers = [
        scene.send(["time", "held"], [[0, 0]], "beside"),
        scene.call("GET", "/v1/data/input"),
    ]
    return {answer.status for answer in answers} == {503} and time.monotonic() - began < 2 * seconds


def stored(scene: Scene) -> bool:
    return scene.send(["time", "held"], [[0, 0]], "beside").status == 200


@pytest.mark.large
def test_sigterm_ends_a_server_whose_database_is_gone(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    with serving(tmp_path, own_postgres.url) as scene:
        own_postgres.stop_at_once()
        askers = [Asker(scene, number) for number in range(WAITING)]
        for asker in askers:
            asker.start()
        attack_for(0.5, lambda: None)
        scene.stops()
    own_postgres.start_again()  # one that is down cannot be cleaned up


@pytest.mark.large
def test_slow_reads_leave_connections_for_those_who_send(
    tmp_path: Path, postgres: Postgres
) -> None:
    """More of them than the pool has connections, for as long as it takes."""
    with postgres.schema() as url, serving(tmp_path, url) as scene:
        deepen(scene, "deep", 400_000)
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {scene.token}\r\n\r\n"
        path = "/v1/data/input/all?where=ge(deep,0)&where=lt(deep,100000)"
        data = f"GET {path} HTTP/1.1\r\n{head}".encode() * 3
        with scene.bystander(), contextlib.ExitStack() as stack:
            for _ in range(30):
                push(stack.enter_context(scene.connect()), data)
            attack_for(HELD_S, lambda: None)
        scene.is_as_before()
