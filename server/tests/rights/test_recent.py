from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from iobeam_server.rights import recent
from iobeam_server.rights.recent import Recent
from iobeam_server.storage.catalog import changes


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1_000_000))


def test_a_value_is_looked_up_again_after_its_time(numbers: Iterator[int]) -> None:
    clock = Clock()
    found = Recent(5.0, clock)
    assert found.get("a", lambda: next(numbers)) == 0
    clock.now += 4.9
    assert found.get("a", lambda: next(numbers)) == 0, "using it does not make it younger"
    assert found.get("b", lambda: next(numbers)) == 1
    clock.now += 0.1
    assert found.get("a", lambda: next(numbers)) == 2


def test_nothing_is_kept_for_no_time(numbers: Iterator[int]) -> None:
    found = Recent(0)
    assert [found.get("a", lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]


def test_a_change_of_this_process_counts_at_once(numbers: Iterator[int]) -> None:
    found = Recent(5.0, Clock())
    found.get("a", lambda: next(numbers))
    with pytest.raises(ZeroDivisionError), changes.noted(threading.Lock()):  # type: ignore[arg-type]
        raise ZeroDivisionError  # it may have been committed all the same
    assert found.get("a", lambda: next(numbers)) == 1


def test_what_changes_while_it_is_looked_up_is_not_kept(numbers: Iterator[int]) -> None:
    found = Recent(5.0, Clock())

    def look_up() -> int:
        with changes.noted(threading.Lock()):  # type: ignore[arg-type]
            return next(numbers)

    assert found.get("a", look_up) == 0
    assert found.get("a", lambda: next(numbers)) == 1


def test_what_cannot_be_looked_up_is_not_kept(numbers: Iterator[int]) -> None:
    found = Recent(5.0)
    with pytest.raises(ZeroDivisionError):
        found.get("a", lambda: 1 // 0)
    assert found.get("a", lambda: next(numbers)) == 0


def test_entries_are_bounded(monkeypatch: pytest.MonkeyPatch, numbers: Iterator[int]) -> None:
    monkeypatch.setattr(recent, "MOST", 3)
    found = Recent(5.0)
    for key in "abcd":
        found.get(key, lambda: next(numbers))
    assert len(found._found) == 3
    assert found.get("d", lambda: next(numbers)) == 3
    assert found.get("a", lambda: next(numbers)) == 4, "the oldest made room"


def test_many_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 5)
    found = Recent(5.0)
    wrong: list[object] = []

    def use() -> None:
        for number in range(3_000):
            key = number % 11
            value = found.get(key, lambda key=key: key)  # type: ignore[misc]
            if value != key:
                wrong.append(value)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
