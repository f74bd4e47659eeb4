"""A read ends when its deadline does, on both engines, and harms nobody who comes after it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from storage.samples import batch, device, stored

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import ClientGone, QueryTimeout, ServerError
from iobeam_server.storage.store import Storage

SOON_S = 2.0  # which is promised
WAIT_S = 60

COUNTING = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c{}) SELECT "
ENDLESS = COUNTING.format("") + "count(*) FROM c"
STREAM = COUNTING.format(" WHERE x < 100000000") + "x FROM c"
SHORT = COUNTING.format(" WHERE x < 20000") + "count(*) FROM c"


def look(store: Storage, statement: str) -> Any:
    with store.reading() as sql:
        return sql.one(statement)


def search(store: Storage, statement: str) -> Any:
    with store.searching() as sql:
        return sql.one(statement)


def fetch(store: Storage, statement: str) -> Any:
    fetched: Iterator[list[Any]] = store.fetched(statement, (), 100)  # type: ignore[attr-defined]
    return [row for rows in fetched for row in rows][-1]


def ended_by(work: Callable[[], Any], deadline: Deadline) -> float:
    """Do work that has no end; return the seconds from `cancel` to its error."""
    seen: list[Any] = []

    def run() -> None:
        with deadlines.running(deadline):
            try:
                seen.append(work())
            except ServerError as error:
                seen.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.15)  # so that it is in the middle of it, or, if not: that must not matter
    began = time.monotonic()
    deadline.cancel(ClientGone())
    said = time.monotonic() - began
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert [type(one) for one in seen] == [ClientGone]
    assert said < 0.2, "an event loop cancels, and waits for nothing"
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("way", "statement"),
    [(look, ENDLESS), (search, ENDLESS), (fetch, ENDLESS), (fetch, STREAM)],
)
def test_a_read_ends_when_its_client_has_gone(
    store: Storage, way: Callable[[Storage, str], Any], statement: str
) -> None:
    for _ in range(4):  # more than there are connections for it
        assert ended_by(lambda: way(store, statement), Deadline(None)) < SOON_S
    assert way(store, SHORT) in [(20_000,), (20_000, None)]


def test_a_read_ends_by_itself_when_its_time_is_up(store: Storage) -> None:
    began = time.monotonic()
    with deadlines.running(Deadline(0.2)), pytest.raises(QueryTimeout, match=r"after 0\.2 s"):
        fetch(store, ENDLESS)
    assert time.monotonic() - began < 0.2 + SOON_S


def test_who_is_late_does_not_begin(store: Storage) -> None:
    deadline = Deadline(None)
    deadline.cancel(ClientGone())
    with deadlines.running(deadline):
        for way in (look, search, fetch):
            with pytest.raises(ClientGone):
                way(store, ENDLESS)


def test_what_ends_one_read_never_hits_another(store: Storage) -> None:
    """Cancelled at any moment of a short statement, also just before and just after it."""
    stop = threading.Event()
    failed: list[BaseException] = []
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    def beside() -> None:
        try:
            while not stop.is_set():
                assert look(store, SHORT) == (20_000,)
                assert fetch(store, SHORT)[0] == 20_000
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=beside)
    thread.start()
    for turn in range(40):
        deadline = Deadline(None)
        timer = threading.Timer(chance.uniform(0, 0.03), deadline.cancel, [ClientGone()])
        timer.start()
        with deadlines.running(deadline):
            try:
                (fetch if turn % 2 else look)(store, SHORT)
            except ClientGone:
                assert deadline.is_over
        timer.join()
    stop.set()
    thread.join(WAIT_S)
    assert failed == [], seed


def test_what_changes_something_is_not_cut(store: Storage) -> None:
    deadline = Deadline(None)
    deadline.cancel(ClientGone())
    with deadlines.running(deadline):
        assert store.write([batch([[1, 1]])]) == [None]
        store.devices.register(device("e"), named=True)
    assert len(stored(store)) == 1
    assert store.devices.get(1, "e") is not None


def test_long_series_and_rows_are_looked_at_in_between(store: Storage) -> None:
    """What Python does with the rows ends as well: it looks at each piece of them."""
    store.write([batch([[at, at] for at in range(5_000)])])
    (series,) = store.series.find(1, "input", None, None)
    deadline = Deadline(None)
    with deadlines.running(deadline):
        rows = store.rows([series], None, None, None)
        next(rows)
        deadline.cancel(ClientGone())
        with pytest.raises(ClientGone):
            list(rows)
    assert len(list(store.rows([series], None, None, None))) == 5_000
