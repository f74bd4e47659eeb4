from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any, Optional, cast

import pytest

from iobeam_server import deadlines
from iobeam_server.errors import ServerError, StorageUnavailable, TooBusy, UnknownDevice
from iobeam_server.rules.points import Column, Kind
from iobeam_server.storage.base import Batch, Part, Points
from iobeam_server.writer import Writer

WAIT_S = 120


class GatedStore:
    """Holds every write until the gate opens, and keeps what was written."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.groups: list[Sequence[Batch]] = []
        self.failure: Optional[Exception] = None

    def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        self.entered.release()
        assert self.gate.wait(WAIT_S)
        self.groups.append(batches)
        if self.failure is not None:
            raise self.failure
        return [UnknownDevice("no") if b.parts[0].device_id == "bad" else None for b in batches]


def batch(values: int = 10, device: str = "d") -> Batch:
    column = Column("a", range(values), range(values), {Kind.NUMBER: 0})
    return Batch(1, "input", [Part(device, [column])], must_exist=True, register=False)


class Call(threading.Thread):
    def __init__(self, writer: Writer, item: Batch) -> None:
        super().__init__(daemon=True)
        self.error: Optional[BaseException] = None
        self._writer, self._item = writer, item
        self.start()

    def run(self) -> None:
        try:
            self._writer.write(self._item)
        except Exception as error:
            self.error = error

    def finish(self) -> Optional[BaseException]:
        self.join(WAIT_S)
        assert not self.is_alive()
        return self.error


def start(store: Any, group: int = 1_000, mark: int = 1_000, wait_s: float = WAIT_S) -> Writer:
    return Writer(cast(Points, store), group, mark, wait_s)


def queued(writer: Writer, values: int) -> None:
    """Wait until that many values are in the queue."""
    done = threading.Event()
    for _ in range(WAIT_S * 1_000):
        if writer._queued_values == values:
            return
        done.wait(0.001)
    raise AssertionError("the queue did not fill")


def test_requests_that_come_during_a_commit_share_the_next() -> None:
    store = GatedStore()
    writer = start(store)
    calls = [Call(writer, batch())]
    assert store.entered.acquire(timeout=WAIT_S)
    calls += [Call(writer, batch(device="bad" if i == 1 else "d")) for i in range(3)]
    queued(writer, 30)
    store.gate.set()
    errors = [call.finish() for call in calls]
    writer.close()
    assert [len(group) for group in store.groups] == [1, 3]
    assert [type(e) for e in errors].count(UnknownDevice) == 1, "the neighbours are stored"
    assert errors.count(None) == 3


def test_a_group_stays_within_its_size() -> None:
    store = GatedStore()
    writer = start(store, group=25)
    calls = [Call(writer, batch())]
    assert store.entered.acquire(timeout=WAIT_S)
    calls += [Call(writer, batch()) for _ in range(5)]
    queued(writer, 50)
    store.gate.set()
    assert [call.finish() for call in calls] == [None] * 6
    writer.close()
    assert [len(group) for group in store.groups] == [1, 2, 2, 1]


def test_above_the_high_water_mark_writes_are_refused() -> None:
    store = GatedStore()
    writer = start(store, mark=25)
    calls = [Call(writer, batch())]
    assert store.entered.acquire(timeout=WAIT_S)
    calls += [Call(writer, batch()), Call(writer, batch())]
    queued(writer, 20)
    with pytest.raises(TooBusy) as caught:
        writer.write(batch())
    assert caught.value.retry_after_s == 1
    store.gate.set()
    assert [call.finish() for call in calls] == [None] * 3
    writer.close()


def test_an_empty_queue_takes_a_batch_of_any_size() -> None:
    store = GatedStore()
    store.gate.set()
    writer = start(store, group=5, mark=5)
    writer.write(batch(100))
    writer.close()


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (StorageUnavailable("full", retry_after_s=5), StorageUnavailable),
        (OSError("x"), RuntimeError),
    ],
)
def test_a_failed_commit_reaches_everyone_and_the_writer_lives(
    failure: Exception, seen: type[Exception]
) -> None:
    store = GatedStore()
    store.gate.set()
    store.failure = failure
    writer = start(store)
    with pytest.raises(seen):
        writer.write(batch())
    store.failure = None
    writer.write(batch())
    writer.close()


def test_close_writes_what_is_queued_and_then_refuses() -> None:
    store = GatedStore()
    writer = start(store)
    calls = [Call(writer, batch())]
    assert store.entered.acquire(timeout=WAIT_S)
    calls.append(Call(writer, batch()))
    queued(writer, 10)
    closing = threading.Thread(target=writer.close)
    closing.start()
    store.gate.set()
    closing.join(WAIT_S)
    assert [call.finish() for call in calls] == [None, None]
    with pytest.raises(StorageUnavailable):
        writer.write(batch())


def test_one_that_hurries_tries_a_database_that_is_away_no_second_time() -> None:
    store = GatedStore()
    store.failure = StorageUnavailable("locked", retry_after_s=5)
    writer = start(store)
    calls = [Call(writer, batch())]
    assert store.entered.acquire(timeout=WAIT_S)
    calls.append(Call(writer, batch()))
    queued(writer, 10)
    writer.hurry()
    store.gate.set()
    errors = [call.finish() for call in calls]
    assert [type(error) for error in errors] == [StorageUnavailable] * 2
    assert "stopping" in str(errors[1])
    assert len(store.groups) == 1
    store.failure = None
    writer.write(batch())  # it has come back meanwhile
    writer.close()


def test_what_is_not_begun_in_time_is_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    store = GatedStore()
    writer = start(store, wait_s=0.1)
    begun = Call(writer, batch())
    assert store.entered.acquire(timeout=WAIT_S)
    late = [Call(writer, batch(device="late")) for _ in range(3)]
    for call in late:
        error = call.finish()
        assert isinstance(error, StorageUnavailable)
        assert (error.retry_after_s, "nothing was stored" in str(error)) == (5, True)
    assert begun.is_alive(), "it may be stored yet"
    assert (writer._queued_values, len(writer._queue)) == (0, 0)
    assert len(caplog.records) == 1, "one line until it goes on"
    store.gate.set()
    assert begun.finish() is None
    writer.write(batch())
    writer.close()
    assert [one.parts[0].device_id for group in store.groups for one in group] == ["d", "d"]


def test_nothing_is_refused_and_stored_all_the_same() -> None:
    """Taking back and beginning race for each batch."""
    stored: list[str] = []

    class Slow:
        def write(self, batches: Sequence[Batch]) -> Sequence[None]:
            threading.Event().wait(0.002)
            stored.extend(str(one.parts[0].device_id) for one in batches)
            return [None] * len(batches)

    writer = start(Slow(), group=30, wait_s=0.004)
    told: list[tuple[str, bool]] = []

    def send(sender: int) -> None:
        for number in range(60):
            name = f"{sender}-{number}"
            try:
                writer.write(batch(device=name))
                told.append((name, True))
            except StorageUnavailable:
                told.append((name, False))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    writer.close()
    assert len(told) == 600
    assert {answer for _, answer in told} == {True, False}, "both happen"
    assert sorted(stored) == sorted(name for name, answer in told if answer)


def test_what_was_written_is_not_kept() -> None:
    """The last group, up to 32 MiB, stayed in memory until the next one."""

    class Values(list[int]):
        pass

    store = GatedStore()
    store.gate.set()
    writer = start(store)
    values = Values([1])
    known = weakref.ref(values)
    column = Column("a", [1], values, {Kind.NUMBER: 0})
    writer.write(Batch(1, "input", [Part("d", [column])], must_exist=True, register=False))
    store.groups.clear()
    del column, values
    until = time.monotonic() + WAIT_S
    while known() is not None and time.monotonic() < until:
        time.sleep(0.001)
    assert known() is None
    writer.close()


def test_whoever_comes_to_a_writer_at_rest_writes_himself() -> None:
    """Two ways between threads less for an import that comes alone."""
    threads = []

    class Noting:
        def write(self, batches: Sequence[Batch]) -> Sequence[None]:
            threads.append(threading.current_thread())
            return [None] * len(batches)

    writer = start(Noting())
    writer.write(batch())
    writer.close()
    assert threads == [threading.current_thread()]


def test_the_end_of_one_request_does_not_end_the_writing_for_others() -> None:
    store = GatedStore()
    seen = []

    class Looking:
        def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
            done = store.write(batches)
            seen.append(deadlines.current.get())
            deadlines.check()
            return done

    writer = start(Looking())
    deadline = deadlines.Deadline(None)

    def first() -> None:
        with deadlines.running(deadline):
            writer.write(batch())

    thread = threading.Thread(target=first)
    thread.start()
    assert store.entered.acquire(timeout=WAIT_S)
    second = Call(writer, batch())
    queued(writer, 10)
    deadline.cancel(ServerError("the server stops"))
    store.gate.set()
    thread.join(WAIT_S)
    assert second.finish() is None
    writer.close()
    assert seen == [None, None]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_a_thread_that_is_interrupted_leaves_the_writing_to_others(
    interrupt: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    store = GatedStore()

    class Interrupted:
        is_first = True

        def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
            was_first, self.is_first = self.is_first, False
            done = store.write(batches)
            if was_first:
                raise interrupt
            return done

    writer = start(Interrupted())
    calls: list[Call] = []

    def others() -> None:
        assert store.entered.acquire(timeout=WAIT_S)
        calls.extend(Call(writer, batch()) for _ in range(3))
        queued(writer, 30)
        store.gate.set()

    helper = threading.Thread(target=others)
    helper.start()
    with pytest.raises(interrupt):
        writer.write(batch())
    helper.join(WAIT_S)
    assert [call.finish() for call in calls] == [None] * 3
    assert [len(group) for group in store.groups] == [1, 3]
    writer.close()


def test_a_batch_that_shared_the_group_of_an_interrupted_thread_is_told_so() -> None:
    store = GatedStore()
    gate = store.gate

    class Interrupted:
        def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
            done = store.write(batches)
            if len(batches) > 1:
                raise KeyboardInterrupt
            return done

    writer = start(Interrupted())
    first = Call(writer, batch())
    assert store.entered.acquire(timeout=WAIT_S)
    threading.excepthook, kept = (lambda _: None), threading.excepthook
    try:
        calls = [Call(writer, batch()) for _ in range(2)]
        queued(writer, 20)
        gate.set()
        for call in calls:
            call.join(WAIT_S)
    finally:
        threading.excepthook = kept
    assert first.finish() is None
    assert sorted(str(type(call.error)) for call in calls) == sorted(
        [str(type(None)), str(RuntimeError)]
    ), "the one who wrote has the exit itself, which no thread keeps"
    writer.write(batch())
    writer.close()
