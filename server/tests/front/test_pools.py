"""Threads by kind of work: who waits, for how long, and whose turn it is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

from iobeam_server import deadlines
from iobeam_server.errors import ClientGone, QueryTimeout, StorageUnavailable, TooBusy
from iobeam_server.front.calling import Answer
from iobeam_server.front.pools import Job, Pool, Pools

WAIT_S = 60


class Stage:
    """Pools on a loop; work that waits for a gate."""

    def __init__(self, threads: int = 1, waiting: int = 10, patience_s: float = WAIT_S) -> None:
        self.loop = asyncio.new_event_loop()
        self.pools = Pools({"work": (threads, waiting)}, patience_s)
        self.pools.attach(self.loop)
        self.gate = threading.Event()
        self.done: list[tuple[str, Optional[Exception]]] = []
        self.released: list[str] = []

    @property
    def pool(self) -> Pool:
        return self.pools["work"]

    def job(
        self,
        name: str,
        address: str = "a",
        work: Optional[Callable[[], Any]] = None,
        **more: Any,
    ) -> Job:
        def wait() -> Optional[Answer]:
            assert self.gate.wait(WAIT_S)
            return None

        return Job(
            work or wait,
            lambda answer, error: self.done.append((name, error)),
            address,
            release=lambda: self.released.append(name),
            **more,
        )

    def until(self, condition: Callable[[], bool]) -> None:
        async def turn() -> None:
            for _ in range(WAIT_S * 100):
                if condition():
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("it did not come to that")

        self.loop.run_until_complete(turn())

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.done]


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.gate.set()
    made.pools.close()
    made.loop.close()


def test_addresses_take_turns(stage: Stage) -> None:
    for name, address in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")):
        stage.pool.submit(stage.job(name, address))
    assert stage.pool.waiting == 4
    stage.gate.set()
    stage.until(lambda: len(stage.done) == 5)
    assert stage.names == ["a1", "a2", "b1", "c1", "a3"]
    assert stage.released == stage.names


def test_no_more_than_so_many_wait(stage: Stage) -> None:
    for number in range(11):
        stage.pool.submit(stage.job(str(number)))
    with pytest.raises(TooBusy) as caught:
        stage.pool.submit(stage.job("12th"))
    assert caught.value.retry_after_s


def test_who_waited_too_long_is_refused(stage: Stage) -> None:
    stage.pool.submit(stage.job("runs"))
    stage.pool.submit(stage.job("waits"))
    stage.pool.look(time.monotonic() + WAIT_S - 1)
    assert stage.done == []
    stage.pool.look(time.monotonic() + WAIT_S + 1)
    assert [(name, type(error)) for name, error in stage.done] == [("waits", TooBusy)]
    assert stage.pool.waiting == 0


def test_what_nobody_waits_for_is_not_begun(stage: Stage) -> None:
    stage.pool.submit(stage.job("runs"))
    left = stage.job("left", work=lambda: pytest.fail("it was begun"))
    stage.pool.submit(left)
    assert left.give_up(ClientGone())
    stage.gate.set()
    stage.until(lambda: stage.names == ["runs"])
    assert sorted(stage.released) == ["left", "runs"]


def test_what_runs_is_told_that_its_client_has_gone(stage: Stage) -> None:
    ended = threading.Event()

    def work() -> None:
        while True:
            try:
                deadlines.check()
            except ClientGone:
                ended.set()
                return
            time.sleep(0.001)

    job = stage.job("query", work=work)
    stage.pool.submit(job)
    assert job.give_up(ClientGone())
    assert ended.wait(WAIT_S)
    stage.until(lambda: stage.released == ["query"])
    assert stage.done == []


def test_what_changes_something_is_finished(stage: Stage) -> None:
    job = stage.job("import", is_safe=False)
    stage.pool.submit(job)
    assert not job.give_up(ClientGone())
    stage.gate.set()
    stage.until(lambda: stage.done == [("import", None)])


def test_a_query_ends_with_its_time(stage: Stage) -> None:
    interrupted = threading.Event()

    def work() -> None:
        deadline = deadlines.current.get()
        assert deadline is not None
        with deadline.interrupting(interrupted.set):
            assert interrupted.wait(WAIT_S)
        deadline.check()

    stage.pool.submit(stage.job("query", work=work, seconds=0.05))
    time.sleep(0.1)
    stage.pool.look(time.monotonic())
    stage.until(lambda: len(stage.done) == 1)
    assert isinstance(stage.done[0][1], QueryTimeout)


def test_at_the_end_what_waits_is_refused_and_what_runs_is_told(stage: Stage) -> None:
    def work() -> None:
        while True:
            deadlines.check()
            time.sleep(0.001)

    stage.pool.submit(stage.job("runs", work=work))
    stage.pool.submit(stage.job("waits"))
    stage.pool.cancel_all(StorageUnavailable("the server stops"))
    stage.until(lambda: len(stage.done) == 2)
    assert {type(error) for _, error in stage.done} == {StorageUnavailable}


def test_a_defect_of_the_work_is_handed_back(stage: Stage) -> None:
    stage.pool.submit(stage.job("bad", work=lambda: 1 / 0))
    stage.until(lambda: len(stage.done) == 1)
    assert isinstance(stage.done[0][1], ZeroDivisionError)
