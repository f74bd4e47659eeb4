"""Deadlines: time, a word from another thread, what is attached."""

from __future__ import annotations

import threading

import pytest

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import ClientGone, QueryTimeout


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_runs_out() -> None:
    clock = Clock()
    deadline = Deadline(30, clock)
    deadline.check()
    clock.now += 29.5
    assert deadline.remaining() == 0.5
    assert not deadline.is_over
    clock.now += 1
    assert deadline.remaining() == 0
    assert deadline.is_over
    with pytest.raises(QueryTimeout, match="stopped after 30 s: ask for a shorter range"):
        deadline.check()


def test_without_a_time_only_a_word_ends_it() -> None:
    deadline = Deadline(None)
    assert deadline.remaining() is None
    deadline.check()
    deadline.cancel(ClientGone())
    with pytest.raises(ClientGone):
        deadline.check()


def test_the_first_word_counts_and_interrupts_once() -> None:
    deadline, heard = Deadline(None), []
    with deadline.interrupting(lambda: heard.append(1)):
        deadline.cancel(ClientGone())
        deadline.cancel(QueryTimeout.after(1))
        assert heard == [1]
    with pytest.raises(ClientGone):
        deadline.check()


def test_a_block_that_begins_too_late_is_interrupted_at_once() -> None:
    deadline, heard = Deadline(None), []
    deadline.cancel(ClientGone())
    with deadline.interrupting(lambda: heard.append(1)):
        assert heard == [1]


def test_nothing_is_interrupted_after_its_block() -> None:
    deadline, heard = Deadline(None), []
    with deadline.interrupting(lambda: heard.append("inner")):
        pass
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117
        with deadline.interrupting(lambda: heard.append("failed")):
            raise ZeroDivisionError
    deadline.cancel(ClientGone())
    assert heard == []


def test_a_block_does_not_end_while_it_is_interrupted() -> None:
    deadline = Deadline(None)
    inside, begun, go_on = threading.Event(), threading.Event(), threading.Event()
    order = []

    def interrupt() -> None:
        begun.set()
        go_on.wait(10)
        order.append("interrupted")

    def work() -> None:
        with deadline.interrupting(interrupt):
            inside.set()
            begun.wait(10)
        order.append("ended")

    threads = [
        threading.Thread(target=work),
        threading.Thread(target=deadline.cancel, args=[ClientGone()]),
    ]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["interrupted", "ended"]


def test_the_current_one_is_that_of_the_block() -> None:
    outer, inner = Deadline(None), Deadline(None)
    inner.cancel(ClientGone())
    deadlines.check()
    with deadlines.running(outer):
        with deadlines.running(inner):
            assert deadlines.current.get() is inner
            with pytest.raises(ClientGone):
                deadlines.check()
        with deadlines.running(None):
            assert deadlines.current.get() is None
        assert deadlines.current.get() is outer
        deadlines.check()
    assert deadlines.current.get() is None


def test_threads_have_their_own() -> None:
    seen = []
    with deadlines.running(Deadline(1)):
        thread = threading.Thread(target=lambda: seen.append(deadlines.current.get()))
        thread.start()
        thread.join()
    assert seen == [None]
