"""Long works on a database that is in use: in pieces, with pauses for those who import."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, NamedTuple, Optional

from iobeam_server import deadlines
from iobeam_server.errors import NotFound
from iobeam_server.rules.times import to_iso
from iobeam_server.storage.base import ALWAYS, Extent, Series, Span
from iobeam_server.storage.store import Storage

PIECE_POINTS = 20_000  # deleted at a time: some 50 ms with the write lock
MAX_PAUSE_S = 1.0

Tell = Callable[[int], None]
"""Is told how many points a piece had, as soon as they are deleted."""


def tell_nobody(points: int) -> None:
    pass


class Listed(NamedTuple):
    """A series, where it is, and how much it holds."""

    project_id: int
    namespace: str
    series: Series
    extent: Optional[Extent]


class Amount(NamedTuple):
    """How much is concerned."""

    extents: Sequence[Extent]
    """Of the series that have any points."""

    @property
    def points(self) -> int:
        return sum(extent.points for extent in self.extents)

    def __str__(self) -> str:
        if not self.extents:
            return "0 points"
        first = to_iso(min(extent.first for extent in self.extents))
        last = to_iso(max(extent.last for extent in self.extents))
        return f"{self.points} points of {len(self.extents)} series, from {first} to {last}"


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
    projects = [p.project_id for p in store.projects.all()]
    if project_id is not None:
        if project_id not in projects:
            raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
        projects = [project_id]
    for project in projects:
        for found in store.namespaces.find(project, namespace):
            for series in store.series.find(project, found.namespace_name, None, None):
                yield project, found.namespace_name, series


def overview(store: Storage, project_id: Optional[int] = None) -> Iterator[Listed]:
    """Yield every series with its extent, which is counted: it reads the whole index."""
    for project, namespace, series in every_series(store, project_id):
        yield Listed(project, namespace, series, store.series.extent(series.series_id))


def prune(
    store: Storage, before_us: int, project_id: Optional[int] = None, tell: Tell = tell_nobody
) -> int:
    """Delete the points before a time, of one project or all; returns how many."""
    deleted = 0 if project_id is not None else _drop_chunks(store, before_us, tell)
    every = (series for _, _, series in every_series(store, project_id))
    return deleted + delete_points(store, every, Span(ALWAYS.first, before_us - 1), tell)


def of_name(
    store: Storage, project_id: int, namespace: str, name: str, device_id: Optional[str]
) -> list[Series]:
    """Return the series of a name, of one device or all; raises NotFound where there is none."""
    if store.projects.get(project_id) is None:
        raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
    found = list(store.series.find(project_id, namespace, device_id, name))
    if not found:
        whose = "" if device_id is None else f" of device {device_id!r}"
        raise NotFound(
            f"project {project_id} has no series {name!r}{whose} in namespace {namespace!r}; "
            f"see iobeam-server series list --project {project_id}"
        )
    return found


def check_field(store: Storage, project_id: int, namespace: str, name: str) -> None:
    """Raise NotFound where a namespace has no such series."""
    found = store.namespaces.find(project_id, namespace)
    if not found or name not in found[0].fields:
        of_name(store, project_id, namespace, name, None)


def amount(store: Storage, series: Iterable[Series], span: Span = ALWAYS) -> Amount:
    """Count the points that these series have in a time."""
    found = [store.series.extent(one.series_id, span) for one in series]
    return Amount([extent for extent in found if extent is not None])


def delete_points(
    store: Storage, series: Iterable[Series], span: Span, tell: Tell = tell_nobody
) -> int:
    """Delete the points that these series have in a time, in pieces; returns how many."""
    return sum(_delete(store, one.series_id, span, tell) for one in series)


def drop_series(
    store: Storage,
    project_id: int,
    namespace: str,
    name: str,
    device_id: Optional[str],
    tell: Tell = tell_nobody,
) -> int:
    """Delete a series, of one device or all; returns how many points; raises NotFound."""
    series = store.series.find(project_id, namespace, device_id, name)
    dropped = delete_points(store, series, ALWAYS, tell)
    return dropped + store.series.drop(project_id, namespace, name, device_id)


def _drop_chunks(store: Storage, before_us: int, tell: Tell) -> int:
    """Drop what is stored apart and wholly before a time: at once, and with its room."""
    deleted = 0
    while True:
        deadlines.check()
        with sharing():
            found = store.drop_chunk(before_us)
            tell(found or 0)
        if found is None:
            return deleted
        deleted += found


def _delete(store: Storage, series_id: int, span: Span, tell: Tell) -> int:
    deleted = 0
    while True:
        deadlines.check()
        with sharing():
            found = store.series.delete_points(series_id, span.last, PIECE_POINTS, span.first)
            tell(found)
        deleted += found
        if found < PIECE_POINTS:
            return deleted
