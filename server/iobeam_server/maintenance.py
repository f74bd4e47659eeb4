"""Long works on a database that is in use: in pieces, with pauses for those who import."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple, Optional

from iobeam_server.errors import NotFound
from iobeam_server.points import INT64_MAX
from iobeam_server.storage.base import Series, Storage
from iobeam_server.storage.upkeep import Extent

PIECE_POINTS = 20_000  # deleted at a time: some 50 ms with the write lock
MAX_PAUSE_S = 1.0


class Listed(NamedTuple):
    """A series, where it is, and how much it holds."""

    project_id: int
    namespace: str
    series: Series
    extent: Optional[Extent]


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Leave the database to others for as long as the block has taken.

    Without it their write lock, which they poll for, would hardly ever be free.
    """
    began = time.monotonic()
    yield
    time.sleep(min(MAX_PAUSE_S, time.monotonic() - began))


def every_series(
    store: Storage, project_id: Optional[int], namespace: Optional[str] = None
) -> Iterator[tuple[int, str, Series]]:
    """Yield project, namespace and series; None stands for all; raises NotFound."""
    projects = [p.project_id for p in store.projects()]
    if project_id is not None:
        if project_id not in projects:
            raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
        projects = [project_id]
    for project in projects:
        for found in store.namespaces(project, namespace):
            for series in store.series(project, found.namespace_name, None, None):
                yield project, found.namespace_name, series


def overview(store: Storage, project_id: Optional[int] = None) -> Iterator[Listed]:
    """Yield every series with its extent, which is counted: it reads the whole index."""
    for project, namespace, series in every_series(store, project_id):
        yield Listed(project, namespace, series, store.extent(series.series_id))


def prune(store: Storage, before_us: int, project_id: Optional[int] = None) -> int:
    """Delete the points before a time, of one project or all; returns how many."""
    return sum(
        _delete(store, series.series_id, before_us - 1)
        for _, _, series in every_series(store, project_id)
    )


def drop_series(
    store: Storage, project_id: int, namespace: str, name: str, device_id: Optional[str]
) -> int:
    """Delete a series, of one device or all; returns how many points; raises NotFound."""
    dropped = sum(
        _delete(store, series.series_id, INT64_MAX)
        for series in store.series(project_id, namespace, device_id, name)
    )
    return dropped + store.drop_series(project_id, namespace, name, device_id)


def _delete(store: Storage, series_id: int, until: int) -> int:
    deleted = 0
    while True:
        with sharing():
            found = store.delete_points(series_id, until, PIECE_POINTS)
        deleted += found
        if found < PIECE_POINTS:
            return deleted
