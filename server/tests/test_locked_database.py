"""A database that another program has locked: who waits is bounded in number and time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from live import Answer, running

WAIT_S = 60
IMPORTS = 40
BUSY_S = 1.0
Call = Callable[[], Answer]


@contextlib.contextmanager
def locked(url: str, tables: str = "points") -> Iterator[None]:
    """Keep everybody else from writing, as a program beside the server would."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url[len("sqlite:///") :])) as other:
            other.isolation_level = None
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")
        return
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def at_once(calls: list[Call]) -> list[tuple[Answer, float]]:
    """Call all at the same moment; return the answers and how long they took."""
    answers: list[tuple[Answer, float]] = []

    def run(call: Call) -> None:
        began = time.monotonic()
        answer = call()
        answers.append((answer, time.monotonic() - began))

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) == len(calls)
    return answers


def eventually(call: Call) -> Answer:
    """Call until it is no longer refused for the moment."""
    until = time.monotonic() + WAIT_S
    while (answer := call()).status in (429, 503) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def test_imports_are_refused_and_leave_nothing(database: str, tmp_path: Path) -> None:
    """All threads waited for the writer, and it for the lock: ping took as long as that."""
    settings: dict[str, Any] = {"busy_timeout_s": BUSY_S, "auto_register": True}
    with running(tmp_path, database, threads=32, **settings) as live:
        live.register("dev-1")
        assert live.send(["time", "a"], [[1, 1]]).status == 200

        def sending(number: int) -> Call:
            device = f"new-{number}" if number % 2 else "dev-1"
            return lambda: live.send(["time", "late"], [[number, number]], device)

        with locked(database, "points, devices"):
            seen = []
            stop = threading.Event()

            def ping() -> None:
                while not stop.wait(0.05):
                    began = time.monotonic()
                    assert live.call("GET", "/v1/ping").status == 200
                    seen.append(time.monotonic() - began)

            watching = threading.Thread(target=ping)
            watching.start()
            answers = at_once([sending(number) for number in range(IMPORTS)])
            stop.set()
            watching.join(WAIT_S)
        assert max(seen) < 1
        assert {answer.status for answer, _ in answers} <= {429, 503}, Counter(answers)
        for answer, seconds in answers:
            assert int(answer.headers["Retry-After"]) >= 1
            assert seconds < 20 * BUSY_S
            assert answer.error["code"] == 8
        assert any("nothing was stored" in answer.error["message"] for answer, _ in answers)
        assert eventually(lambda: live.send(["time", "a"], [[2, 2]])).status == 200
        assert live.points() == {"a": [[1, 1], [2, 2]]}
        devices = live.call("GET", "/v1/devices").json["devices"]
        assert [one["device_id"] for one in devices] == ["dev-1"]
        assert eventually(sending(1)).status == 200


def test_changes_of_the_catalogue_are_refused(database: str, tmp_path: Path) -> None:
    tables = "devices, namespaces, projects"
    with running(tmp_path, database, threads=8, busy_timeout_s=BUSY_S) as live:
        live.register("dev-1")

        def registering(number: int) -> Call:
            body = {"project_id": 1, "device_id": f"new-{number}"}
            return lambda: live.call("POST", "/v1/devices", body)

        with locked(database, tables):
            answers = at_once([registering(number) for number in range(10)])
            began = time.monotonic()
            assert live.call("GET", "/v1/ping").status == 200
            assert time.monotonic() - began < 1
        for answer, seconds in answers:
            assert (answer.status, answer.error["code"]) in [(503, 8), (429, 8)]
            assert int(answer.headers["Retry-After"]) >= 1
            assert seconds < 20 * BUSY_S
        assert eventually(registering(99)).status == 201
        listed = live.call("GET", "/v1/devices").json["devices"]
        assert {one["device_id"] for one in listed} == {"dev-1", "new-99"}


def test_a_short_lock_is_waited_for(database: str, tmp_path: Path) -> None:
    with running(tmp_path, database, busy_timeout_s=WAIT_S) as live:
        live.register("dev-1")
        with locked(database):
            thread = threading.Thread(
                target=lambda: answers.append(live.send(["time", "a"], [[1, 1]]))
            )
            answers: list[Answer] = []
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join(WAIT_S)
        assert [answer.status for answer in answers] == [200]
        assert live.points() == {"a": [[1, 1]]}
