from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from storage.samples import batch, stored

from iobeam_server import maintenance
from iobeam_server.errors import NotFound
from iobeam_server.storage.base import INPUT, Extent
from iobeam_server.storage.store import Storage


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pieces of three points, and pauses that are only noted."""
    taken: list[float] = []
    monkeypatch.setattr(maintenance, "PIECE_POINTS", 3)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=taken.append)
    monkeypatch.setattr(maintenance, "time", clock)
    return taken


def test_pruning_takes_what_is_older_from_every_project(
    store: Storage, pauses: list[float]
) -> None:
    store.projects.create("two", 0)
    store.namespaces.create(1, "other", "place", {}, {}, 0)
    rows = [[i, i] for i in range(10)]
    store.write([batch(rows), batch(rows, ("b",), namespace="other"), batch(rows, project=2)])
    assert maintenance.prune(store, 4, project_id=2) == 4
    assert len(pauses) == 2, "with pauses, for those who import"
    assert 0 < min(pauses) <= max(pauses) <= maintenance.MAX_PAUSE_S
    assert maintenance.prune(store, 8) == 8 + 8 + 4
    assert maintenance.prune(store, 8) == 0
    assert stored(store) == [(8, 8), (9, 9)]
    with pytest.raises(NotFound):
        maintenance.prune(store, 8, project_id=3)


def test_the_overview_names_and_counts_every_series(store: Storage) -> None:
    store.namespaces.create(1, "other", "place", {}, {}, 0)
    store.write([batch([[5, 1], [7, 2]], ("a",)), batch([[1, "x"]], ("b",), namespace="other")])
    store.series.delete_points(store.series.find(1, "other", None, None)[0].series_id, 9, 9)
    found = [
        (one.namespace, one.series.device_id, one.series.name, one.extent)
        for one in maintenance.overview(store)
    ]
    assert found == [(INPUT, "d", "a", Extent(2, 5, 7)), ("other", "d", "b", None)]


def test_dropping_goes_in_pieces(store: Storage, pauses: list[float]) -> None:
    store.write([batch([[i, i] for i in range(8)]), batch([[1, 1]], ("b",))])
    assert maintenance.drop_series(store, 1, INPUT, "a", None) == 8
    assert len(pauses) == 3
    assert [series.name for series in store.series.find(1, INPUT, None, None)] == ["b"]
    with pytest.raises(NotFound):
        maintenance.drop_series(store, 1, INPUT, "a", None)
