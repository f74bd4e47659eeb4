from __future__ import annotations

import threading

import pytest

from iobeam_server.budget import Budget
from iobeam_server.errors import TooBusy

WAIT_S = 60


def test_what_is_over_the_limit_is_refused_and_takes_nothing() -> None:
    budget = Budget(10)
    budget.take(6)
    with pytest.raises(TooBusy, match="6 bytes of the 10") as caught:
        budget.take(5)
    assert caught.value.retry_after_s == 1
    assert budget.taken == 6
    budget.take(4)
    budget.give(10)
    assert budget.taken == 0


def test_who_is_alone_gets_any_number() -> None:
    budget = Budget(10)
    budget.take(100)
    with pytest.raises(TooBusy):
        budget.take(1)
    budget.give(100)
    budget.take(1)


def test_a_share_can_be_given_back_in_parts() -> None:
    budget = Budget(10)
    budget.take(10)
    budget.give(4)
    budget.take(4)
    assert budget.taken == 10


def waiter(budget: Budget, got: list[str], wait_s: float = WAIT_S) -> threading.Thread:
    def run() -> None:
        try:
            budget.take(5, wait_s)
            got.append("share")
        except TooBusy:
            got.append("busy")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_who_waits_gets_what_is_given_back() -> None:
    budget = Budget(10, waiting=1)
    budget.take(8)
    got: list[str] = []
    thread = waiter(budget, got)
    budget.give(2)
    thread.join(0.05)
    assert thread.is_alive(), "one byte is missing"
    budget.give(1)
    thread.join(WAIT_S)
    assert (got, budget.taken) == (["share"], 10)


def test_few_may_wait_and_not_for_long() -> None:
    budget = Budget(10, waiting=1)
    budget.take(10)
    got: list[str] = []
    first = waiter(budget, got, 0.3)
    while not budget._waiting and first.is_alive():
        first.join(0.001)
    second = waiter(budget, got)
    second.join(WAIT_S)
    assert got == ["busy"], "the only place is taken"
    first.join(WAIT_S)
    assert got == ["busy"] * 2
    assert budget.taken == 10
    third = waiter(budget, got)
    budget.give(10)
    third.join(WAIT_S)
    assert got[2:] == ["share"], "the place is free again"


def test_many_threads_never_take_more_than_the_limit() -> None:
    budget = Budget(10, waiting=20)
    seen: list[int] = []

    def run() -> None:
        for _ in range(50):
            budget.take(5, WAIT_S)
            seen.append(budget.taken)
            budget.give(5)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(seen) == 300
    assert max(seen) <= 10
    assert budget.taken == 0
