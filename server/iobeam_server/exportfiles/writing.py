"""Writes export files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Optional, Union

import msgspec

from iobeam_server.errors import NotFound
from iobeam_server.exportfiles.form import FIRST, SECOND, Place
from iobeam_server.rules import texts
from iobeam_server.rules.points import Kind
from iobeam_server.rules.times import to_iso
from iobeam_server.storage.base import Point, Selection, Series
from iobeam_server.storage.store import Storage

PIECE = 500  # points written at a time: texts may be long

_Found = Iterable[tuple[Series, Iterator[Point]]]
_ENCODER = msgspec.json.Encoder()


class _Point(msgspec.Struct, gc=False):
    time: Union[int, str]
    value: Union[bool, int, float, str]


def write(
    store: Storage,
    project_id: int,
    namespace: str,
    device_id: Optional[str] = None,
    name: Optional[str] = None,
    output: str = "csv",
    iso: bool = False,
) -> Iterator[bytes]:
    """Yield the pieces of a file.

    Args:
        store: where from.
        project_id, namespace: which points.
        device_id, name: of one device, of one series; None is all.
        output: one of `FORMATS`.
        iso: times as ISO 8601 instead of microseconds.

    Raises:
        NotFound: no such project or namespace.
    """
    if store.projects.get(project_id) is None:
        raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
    namespaces = store.namespaces.find(project_id, namespace)
    if not namespaces:
        raise NotFound(f"project {project_id} has no namespace {namespace!r}")
    place = Place(namespace, namespaces[0].partitioning_field)
    found = (
        (series, store.points(series, Selection()))
        for series in store.series.find(project_id, namespace, device_id, name)
    )
    form = _as_json if output == "json" else _as_csv
    yield from form(project_id, place, found, iso)


def _as_csv(project_id: int, place: Place, found: _Found, iso: bool) -> Iterator[bytes]:
    yield _line([FIRST[0], place.divided_by, *FIRST[2:], *SECOND]).encode()
    for series, points in found:
        start = _line([project_id, series.device_id, series.name])[:-1]
        end = _line([texts.NAMES[series.kind], place.namespace])
        while chunk := list(islice(points, PIECE)):
            cells = [texts.to_text(value) for _, value in chunk]
            if series.kind is Kind.TEXT:  # always quoted: some programs then leave it as it is
                cells = ['"' + cell.replace('"', '""') + '"' for cell in cells]
            moments = _times(chunk, iso)
            yield "".join(
                [f"{start},{time},{cell},{end}" for time, cell in zip(moments, cells)]
            ).encode()


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _as_json(project_id: int, place: Place, found: _Found, iso: bool) -> Iterator[bytes]:
    encode = _ENCODER.encode
    yield b'{"namespace":%b,"partitioning_field":%b,"result":[' % tuple(map(encode, place))
    between = b"\n"
    for series, points in found:
        head = {"project_id": project_id, "device_id": series.device_id, "name": series.name}
        start = between + encode(head)[:-1] + b',"data":[\n'
        while chunk := list(islice(points, PIECE)):
            shown = [_Point(time, value) for time, (_, value) in zip(_times(chunk, iso), chunk)]
            # within JSON no line break stands as it is: those here are between points
            yield start + _ENCODER.encode_lines(shown)[:-1].replace(b"\n", b",\n")
            start = between = b",\n"
        if start == b",\n":  # a series without points is left out
            yield b"\n]}"
    yield b'\n],"timefmt":"%b"}\n' % (b"iso" if iso else b"usec")


def _times(chunk: Sequence[Point], iso: bool) -> Sequence[Union[int, str]]:
    return [to_iso(time) for time, _ in chunk] if iso else [time for time, _ in chunk]
