"""Points of a project as CSV or JSON, in the shape of ``/v1/exports``, times in us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from iobeam_server.api.exports import Found, as_csv, as_json
from iobeam_server.errors import NotFound
from iobeam_server.storage.base import Selection, Storage

FORMATS = {"csv": as_csv, "json": as_json}
TIMEFMT = "usec"


def export(
    store: Storage,
    project_id: int,
    namespace: str,
    device_id: Optional[str],
    name: Optional[str],
    output: str,
) -> Iterator[bytes]:
    """Yield the pieces of an export, in bounded memory.

    Args:
        store: where from.
        project_id, namespace: which points.
        device_id, name: of one device, of one series; None is all.
        output: one of `FORMATS`.

    Raises:
        NotFound: no such project or namespace.
    """
    if store.project(project_id) is None:
        raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
    if not store.namespaces(project_id, namespace):
        raise NotFound(f"project {project_id} has no namespace {namespace!r}")

    def found() -> Found:
        for series in store.series(project_id, namespace, device_id, name):
            yield series, store.points(series, Selection())

    yield from FORMATS[output](project_id, TIMEFMT, found())
    if output == "json":
        yield b"\n"
