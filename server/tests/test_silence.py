"""The thread that looks for silent devices: what it does when the database does not answer."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from iobeam_server import deadlines
from iobeam_server.errors import StorageUnavailable
from iobeam_server.metrics import Metrics
from iobeam_server.silence import Watch
from iobeam_server.storage.catalog.activity import Active
from iobeam_server.storage.store import Storage

NOW = 1_700_000_000.0
LOST = Active("lost", None, None, ("a",), int((NOW - 600) * 1e6), 60_000_000, True)


class Database:
    """Projects and their devices, and how they are answered for."""

    def __init__(self) -> None:
        self.answer: Any = lambda: [LOST, LOST._replace(device_id="fine", is_silent=False)]
        self.projects = SimpleNamespace(all=lambda: [SimpleNamespace(project_id=7)])
        self.activity = SimpleNamespace(of_project=lambda project, now: self.answer())


def watching(database: Database) -> tuple[Watch, Metrics]:
    metrics = Metrics()
    return Watch(cast(Storage, database), metrics, lambda: NOW), metrics


def test_what_was_seen_last_is_shown_while_the_database_is_away() -> None:
    database = Database()
    watch, metrics = watching(database)
    try:
        watch.look()

        def away() -> Any:
            raise StorageUnavailable("away")

        database.answer = away
        shown = b'iobeam_device_silent_seconds{device="lost",project="7"} 600.0'
        assert shown in metrics.shown()
        assert b"fine" not in metrics.shown()
    finally:
        watch.close()


def test_it_ends_while_the_database_does_not_answer() -> None:
    database = Database()
    asked = []

    def hang() -> Any:
        asked.append(1)
        while True:
            deadlines.check()
            time.sleep(0.01)

    database.answer = hang
    watch, _ = watching(database)
    while not asked:
        time.sleep(0.01)
    began = time.monotonic()
    watch.close()
    assert time.monotonic() - began < 4
