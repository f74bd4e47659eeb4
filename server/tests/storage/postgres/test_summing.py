"""Who asks for sums keeps nobody from writing, and no token from being looked up."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from engines import missing
from storage.samples import cells

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

from iobeam_server.storage.base import INPUT, Selection
from iobeam_server.storage.catalog import summaries
from iobeam_server.storage.postgres.sql import CATALOG_LOCK
from iobeam_server.storage.postgres.store import PostgresStorage

DAY_US = 86_400_000_000
POINTS = 200  # of the first microseconds of 1970


@pytest.fixture
def filled(first: PostgresStorage, monkeypatch: pytest.MonkeyPatch) -> PostgresStorage:
    monkeypatch.setattr(summaries, "DIRECT_POINTS", 20)
    first.write([cells("d", list(range(POINTS)))])
    return first


def count(store: PostgresStorage) -> int:
    (series,) = store.series.find(1, INPUT, None, None)
    return sum(bucket.points for bucket in store.buckets(series, Selection(), DAY_US))


def test_while_an_import_is_under_way_the_points_are_added_up_as_they_are(
    filled: PostgresStorage, beside: Any
) -> None:
    """The store has one connection for queries and one for tokens."""
    answers: list[int] = []
    longest = 0.0
    beside.execute("SELECT pg_advisory_lock_shared(%s)", (CATALOG_LOCK,))
    asking = [threading.Thread(target=lambda: answers.append(count(filled))) for _ in range(3)]
    for thread in asking:
        thread.start()
    while any(thread.is_alive() for thread in asking):
        began = time.monotonic()
        assert filled.projects.get(1) is not None
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.01)
    assert answers == [POINTS] * 3
    assert longest < 0.9  # not as long as somebody waits for the import
    assert beside.execute("SELECT count(*) FROM summed").fetchone() == (0,)
    beside.execute("SELECT pg_advisory_unlock_shared(%s)", (CATALOG_LOCK,))
    assert count(filled) == POINTS
    assert beside.execute("SELECT count(*) FROM summed").fetchone() == (1,)
