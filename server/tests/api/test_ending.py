"""What one query may cost, over HTTP and on every engine: time, memory, and that it ends."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from engines import ENGINES
from live import Live, running

from iobeam_server.rules.points import Column, Kind
from iobeam_server.storage.base import INPUT, Batch, Part

SOON_S = 2.0  # which is promised
WAIT_S = 60
ENDLESS = (
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    " SELECT count(*), 0, 0, 0, 0, 0, 0, 0, 0 FROM c"
)
FIELDS = 400


class Slow:
    """A backend whose queries have no end, and how many of them are at it."""

    def __init__(self, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        self.live = live
        self._at_it = 0
        self._changed = threading.Condition()
        store: Any = live.backend.store
        fetched: Callable[..., Iterator[Any]] = store.fetched

        def endless(sql: str, values: Any, at_once: int) -> Iterator[Any]:
            self._count(1)
            try:
                yield from fetched(ENDLESS, (), at_once)
            finally:
                self._count(-1)

        monkeypatch.setattr(store, "fetched", endless)

    def _count(self, change: int) -> None:
        with self._changed:
            self._at_it += change
            self._changed.notify_all()

    def until(self, count: int, wait_s: float = WAIT_S) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._at_it == count, wait_s), self._at_it


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "sqlite":
        yield None
    else:
        with request.getfixturevalue("postgres").schema() as found:
            yield found


@pytest.fixture
def slow(url: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    with running(tmp_path, url, query_timeout_s=1.0, export_timeout_s=0.2) as live:
        live.register("dev-1")
        live.send(["time", "n", "text"], [[1, 1, "a"]])
        yield Slow(live, monkeypatch)


PATHS = [
    "/v1/data/input",
    "/v1/data/input/n?operator=mean&group_by=text",
    "/v1/data/input/n?operator=max&group_by=time(1s)",
    "/v1/exports/1",
    "/v1/exports/1/dev-1/n?operator=sum",
]


@pytest.mark.parametrize("path", PATHS)
def test_what_takes_too_long_is_refused_in_words_that_help(
    slow: Slow, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    answer = slow.live.call("GET", path)
    assert (answer.status, answer.error["code"]) == (422, 3)
    seconds = "0.2" if "exports" in path else "1"
    assert answer.error["message"].startswith(f"stopped after {seconds} s: ask for a shorter")
    assert time.monotonic() - began < 1 + SOON_S + 1
    slow.until(0)
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


def test_queries_end_when_their_clients_have_gone(
    url: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, url) as live:
        live.register("dev-1")
        live.send(["time", "n", "text"], [[1, 1, "a"]])
        slow = Slow(live, monkeypatch)
        for path in PATHS:
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.token}\r\n\r\n"
            with contextlib.closing(live.raw(head.encode())):
                slow.until(1)
            began = time.monotonic()
            slow.until(0)
            assert time.monotonic() - began < SOON_S, path
        assert live.send(["time", "n"], [[2, 2]]).status == 200
        monkeypatch.undo()
        assert live.points()["n"] == [[1, 1], [2, 2]]
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.fixture
def wide(url: Any, tmp_path: Path) -> Iterator[Live]:
    """Rows of 400 fields: the newest thousand hold one value each, the oldest five hold all."""
    with running(tmp_path, url, max_gaps=100_000, max_group_chars=20_000) as live:
        columns = [Column(f"f{at}", range(5), [at] * 5, {Kind.NUMBER: 0}) for at in range(FIELDS)]
        columns += [
            Column("few", range(100_000, 1_100_000, 1_000), range(1_000), {Kind.NUMBER: 0}),
            Column(
                "text",
                range(100_000, 200_000, 1_000),
                [f"{at}" * 300 for at in range(100)],
                {Kind.TEXT: 0},
            ),
        ]
        batch = Batch(1, INPUT, [Part("dev-1", columns)], must_exist=False, register=False)
        assert live.backend.store.write([batch]) == [None]
        yield live


def test_an_answer_that_is_empty_for_the_most_part_is_refused(wide: Live) -> None:
    for form in ("json", "csv"):
        answer = wide.call("GET", f"/v1/data/input?output={form}")
        assert (answer.status, answer.error["code"]) == (400, 1)
        assert "more than 100000 cells would be empty: 402 fields" in answer.error["message"]


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("input?limit=50", 50),
        ("input?time=0,0", 5),
        ("input/few", 1_000),
        ("input/f7", 5),
        ("input/few?operator=sum&group_by=time(1s)", 2),
        ("input/text?limit_by=text,1&limit=20", 20),
    ],
)
def test_the_ways_out_are_open(wide: Live, path: str, rows: int) -> None:
    answer = wide.call("GET", f"/v1/data/{path}")
    assert answer.status == 200, answer
    assert len(answer.json["result"][0]["values"]) == rows


@pytest.mark.parametrize(
    "query", ["few?operator=count&group_by=text", "text?limit_by=text,1", "few?limit_by=text,1"]
)
def test_groups_of_long_texts_are_bounded(wide: Live, query: str) -> None:
    answer = wide.call("GET", f"/v1/data/input/{query}")
    assert (answer.status, answer.error["code"]) == (400, 1)
    assert "more than 20000 characters" in answer.error["message"]


def test_groups_have_at_most_sixteen_fields(wide: Live) -> None:
    fields = ",".join(f"f{at}" for at in range(17))
    for names, status in ((fields, 400), (fields.rpartition(",")[0], 200)):
        path = f"/v1/data/input/few?operator=count&group_by=time(1s),{names}"
        answer = wide.call("GET", path)
        assert answer.status == status
    many = ",".join(f"f{at}" for at in range(3_000))
    answer = wide.call("GET", f"/v1/data/input/few?operator=count&group_by={many}")
    assert answer.error["message"] == "group_by names more than 16 fields"
