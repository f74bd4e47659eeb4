"""Who is next, and who has to go, where more ask than threads are there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Optional

import pytest

from iobeam_server.errors import TooBusy
from iobeam_server.front.calling import Answer
from iobeam_server.front.pools import Job, Pool, asker

WAITING = 6


class Desk:
    """A pool of one thread, which is held until its job may go on."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.refused: list[str] = []
        self._go = threading.Semaphore(0)
        self._handed = threading.Semaphore(0)
        self._back: list[Job] = []
        self.pool = Pool("test", 1, WAITING, 10.0, self._hand_back)

    def _hand_back(self, pool: Pool, job: Job) -> None:
        self._back.append(job)
        self._handed.release()

    def ask(self, address: str, name: str) -> None:
        def work() -> Optional[Answer]:
            self._go.acquire()
            return None

        def done(answer: Optional[Answer], error: Optional[Exception]) -> None:
            (self.order if error is None else self.refused).append(name)

        self.pool.submit(Job(work, done, address))

    def serve(self, count: int) -> None:
        for _ in range(count):
            self._go.release()
            assert self._handed.acquire(timeout=60)
            self.pool.collect(self._back.pop())


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.ask("somebody", "first")
    yield made
    made.serve(1 + made.pool.waiting)
    made.pool.close(0)


def test_addresses_take_turns(desk: Desk) -> None:
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        desk.ask(name[0], name)
    desk.serve(7)
    assert desk.order == ["first", "a1", "b1", "c1", "a2", "b2", "a3"]
    desk.ask("somebody", "last")


def test_one_that_fills_all_places_keeps_nobody_out(desk: Desk) -> None:
    for number in range(WAITING):
        desk.ask("guesser", f"g{number}")
    with pytest.raises(TooBusy):
        desk.ask("guesser", "more")
    for name in ("ann", "bob"):
        desk.ask(name, name)
    assert desk.refused == ["g5", "g4"], "the newest of it make room"
    assert desk.pool.waiting == WAITING
    desk.serve(4)
    assert desk.order == ["first", "g0", "ann", "bob"]


def test_where_everybody_waits_for_one_thing_nobody_is_sent_away(desk: Desk) -> None:
    for number in range(WAITING):
        desk.ask(f"address {number}", str(number))
    with pytest.raises(TooBusy):
        desk.ask("one more", "x")
    assert desk.refused == []


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.9", "192.0.2.7"),  # says who likes to
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.9", "198.51.100.9"),
        ("::1", "198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", " , ", "127.0.0.1"),
        ("127.0.0.1", "unknown", "unknown"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", None, "2001:db8:1:3::/64"),
        ("fe80::1%eth0", None, "fe80::/64"),
        ("::ffff:192.0.2.7", None, "192.0.2.7"),
        ("127.0.0.1", "[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("127.0.0.1", "a:b", "a:b"),
    ],
)
def test_whose_turn_it_is(peer: str, forwarded: Optional[str], expected: str) -> None:
    assert asker(peer, forwarded) == expected
