"""A database that is away: one asks, all know, and it comes back by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from iobeam_server.errors import StorageAway
from iobeam_server.storage import circuit
from iobeam_server.storage.circuit import Circuit

WAIT_S = 30


class Database:
    """What is asked; counts how often, and how many ask at once."""

    def __init__(self) -> None:
        self.is_away = False
        self.asked = 0
        self.answered_again = threading.Event()
        self._inside = threading.Lock()

    def probe(self) -> None:
        assert self._inside.acquire(blocking=False), "one asks at a time"
        try:
            self.asked += 1
            if self.is_away:
                raise OSError("connection\n  refused")
            self.answered_again.set()
        finally:
            self._inside.release()


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def found(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Circuit]:
    monkeypatch.setattr(circuit, "PAUSE_S", 0.01)
    monkeypatch.setattr(circuit, "LONGEST_PAUSE_S", 0.02)
    made = Circuit(database.probe)
    yield made
    made.close()


def test_a_suspicion_that_is_wrong_changes_nothing(found: Circuit, database: Database) -> None:
    for _ in range(5):
        found.suspect()
        found.check()
    assert database.asked == 1, "an answer is believed for a while"


def test_it_is_asked_once_by_whom_ever_suspects_and_then_by_one_thread(
    found: Circuit, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.is_away = True
    refused: list[StorageAway] = []

    def suspect() -> None:
        try:
            found.suspect()
        except StorageAway as error:
            refused.append(error)

    threads = [threading.Thread(target=suspect) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(refused) == 20
    assert all(error.retry_after_s == 5 for error in refused)
    with pytest.raises(StorageAway, match=r"the database is away: connection refused$"):
        found.check()
    database.answered_again.clear()
    database.is_away = False
    assert database.answered_again.wait(WAIT_S)
    for _ in range(WAIT_S * 100):
        try:
            found.check()
            break
        except StorageAway:
            threading.Event().wait(0.01)
    found.check()
    said = [record for record in caplog.records if record.name == circuit.__name__]
    assert [record.levelno for record in said] == [logging.ERROR, logging.WARNING]


def test_after_its_end_nobody_asks(found: Circuit, database: Database) -> None:
    database.is_away = True
    with pytest.raises(StorageAway):
        found.suspect()
    found.close()
    for thread in threading.enumerate():
        if thread.name == "iobeam-circuit":
            thread.join(WAIT_S)
    asked = database.asked
    with pytest.raises(StorageAway):
        found.check()
    assert database.asked == asked
