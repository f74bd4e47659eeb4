"""More work than can be done, and clients that do not read: others go on, memory stays."""

from __future__ import annotations

import contextlib
import gc
import os
import sqlite3
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Answer, Live, running

WAIT_S = 120
ROWS = 100
MIB = 1024 * 1024


@contextlib.contextmanager
def nothing_can_be_written(url: str) -> Iterator[None]:
    """Hold the points from beside the server, as a long command would."""
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(url[len("sqlite:///") :], isolation_level=None)
        statement = "BEGIN IMMEDIATE"
    else:
        import psycopg

        connection = psycopg.connect(url)
        statement = "LOCK TABLE points"
    with contextlib.closing(connection):
        connection.execute(statement)
        yield
        connection.rollback()


class Sender(threading.Thread):
    """Sends ROWS rows of one device."""

    def __init__(self, live: Live, number: int) -> None:
        super().__init__(daemon=True)
        self.answer: Answer | None = None
        self._live, self._number = live, number

    def run(self) -> None:
        rows = [[self._number * ROWS + i, i] for i in range(ROWS)]
        self.answer = self._live.send(["time", "n"], rows)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_above_the_bound_imports_are_refused_and_the_rest_is_stored_after_all(
    database: str, tmp_path: Path
) -> None:
    """One may be with the writer and two in the queue; of six, three at least are refused."""
    with running(tmp_path, database, high_water_values=2 * ROWS, group_values=ROWS) as live:
        live.register("dev-1")
        with nothing_can_be_written(database):
            senders = [Sender(live, number) for number in range(6)]
            for sender in senders:
                sender.start()
            for _ in range(WAIT_S * 100):
                refused = [sender for sender in senders if sender.answer is not None]
                if len(refused) >= 3:
                    break
                threading.Event().wait(0.01)
            assert len(refused) >= 3
            for sender in refused:
                assert sender.answer is not None
                assert (sender.answer.status, sender.answer.error["code"]) == (429, 8)
                assert int(sender.answer.headers["Retry-After"]) >= 1
        for sender in senders:
            sender.join(WAIT_S)
        stored = [s for s in senders if s.answer is not None and s.answer.status == 200]
        assert len(stored) + len([s for s in senders if s.answer and s.answer.status == 429]) == 6
        assert len(stored) >= 2
        assert len(live.points().get("n", [])) == len(stored) * ROWS


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_memory_does_not_grow_with_what_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/full.db"
    # two threads beside those that wait: each has memory of its own to reuse
    settings = {"threads": 4, "high_water_values": 20_000, "busy_timeout_s": WAIT_S}
    with running(tmp_path, url, **settings) as live:
        live.register("dev-1")
        fields = ["time", "a", "b", "c", "d"]
        rows = [[i, i / 7, i / 3, i, i * 1_000_003] for i in range(5_000)]
        with nothing_can_be_written(url):
            held = hold(live, fields, rows)
            statuses, sizes = [], []
            for _ in range(60):
                if len(statuses) == 20:  # by then everything needed has been allocated once
                    sizes.append(resident())
                    tracemalloc.start()
                statuses.append(live.send(fields, rows).status)
            gc.collect()
            kept = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            sizes.append(resident())
        for thread in held:
            thread.join(WAIT_S)
        assert statuses == [429] * 60
        # Each request is some 3 MiB of objects: four threads may hold their last. Freed
        # memory goes back to the system or not, as the fragments have it.
        assert kept < 15 * MIB
        assert sizes[1] - sizes[0] < 60 * MIB


def hold(live: Live, fields: list[str], rows: list[list[Any]]) -> list[threading.Thread]:
    """Have the writer begin one request, then fill its queue with another."""
    writer, begun = live.backend._writer, threading.Event()
    commit = writer._commit

    def tell(group: Any) -> bool:
        begun.set()
        return commit(group)

    writer._commit = tell
    threads = [threading.Thread(target=live.send, args=(fields, rows)) for _ in range(2)]
    threads[0].start()
    assert begun.wait(WAIT_S)
    threads[1].start()
    for _ in range(WAIT_S * 100):
        if writer._queued_values >= 20_000:
            return threads
        threading.Event().wait(0.01)
    raise AssertionError("the queue did not fill")


def test_clients_that_do_not_read_their_answers_do_not_keep_others_out(tmp_path: Path) -> None:
    """More of them than there are threads, each with an answer of several MiB."""
    with running(tmp_path, threads=4) as live:
        live.register("dev-1")
        names = [f"f{i}" for i in range(9)]
        for run in range(5):
            rows = [[run * 2_000 + i, *[i / 7] * 9] for i in range(2_000)]
            assert live.send(["time", *names], rows).status == 200
        request = (
            "GET /v1/exports/1/all/all?timefmt=usec HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {live.token}\r\n\r\n"
        ).encode()
        with contextlib.ExitStack() as stack:
            stalled = [stack.enter_context(live.raw(request)) for _ in range(8)]
            for sock in stalled:
                assert sock.recv(12) == b"HTTP/1.1 200"  # made, and begun to be sent
            assert live.call("GET", "/v1/ping").status == 200
            assert live.send(["time", "f0"], [[-1, 1.5]]).status == 200
            assert len(live.points("1/dev-1/f0")["f0"]) == 10_001
