"""Points and rows as JSON and CSV, in answers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Callable, NamedTuple, Optional, TypeVar, Union

import msgspec

from iobeam_server.rules import texts
from iobeam_server.rules.points import Kind, Value
from iobeam_server.rules.tables import Table
from iobeam_server.rules.times import to_iso
from iobeam_server.rules.units import FORMATS_US, ISO, format_time
from iobeam_server.storage.base import Series

PIECE = 500  # points or rows written at a time; four times more is no faster
PIECE_TEXTS = 50  # where they are texts: each may have 64 KiB, six times that in JSON
PIECE_CELLS = 20_000  # of rows with many fields

Shown = tuple[int, Optional[Value]]
"""A point, or what an operator says of a bucket: time in us, value."""
Found = Iterator[tuple[Series, Iterator[Shown]]]

_T = TypeVar("_T")
_SPECIAL = re.compile('[,"\r\n]')


class Summarized(NamedTuple):
    """What there is to say of a bucket; its time in us."""

    time: int
    points: int
    least: Optional[Value]
    mean: Optional[Value]
    greatest: Optional[Value]


class _Summary(
    msgspec.Struct, gc=False, rename={"points": "count", "least": "min", "greatest": "max"}
):
    time: Union[int, dict[str, int]]
    points: int
    least: Optional[Value]
    mean: Optional[Value]
    greatest: Optional[Value]


class _Point(msgspec.Struct, gc=False):
    time: Union[int, dict[str, int]]
    value: Optional[Value]


def as_json(project_id: int, timefmt: str, found: Found) -> Iterator[bytes]:
    """Yield the pieces of series in JSON; those without points are left out."""
    yield from _series_as_json(project_id, found, lambda chunk: _as_points(chunk, timefmt))
    yield b',"timefmt":' + msgspec.json.encode(timefmt) + b"}"


def summaries_as_json(
    project_id: int,
    timefmt: str,
    width_us: Optional[int],
    found: Iterator[tuple[Series, Iterator[Summarized]]],
) -> Iterator[bytes]:
    """Yield the pieces of summaries in JSON; series without points are left out."""

    def shown(chunk: list[Summarized]) -> list[_Summary]:
        return [_Summary(format_time(one.time, timefmt), *one[1:]) for one in chunk]

    yield from _series_as_json(project_id, found, shown)
    width = None if width_us is None else width_us / 1_000
    rest = {"timefmt": timefmt, "width_ms": int(width) if width and width % 1 == 0 else width}
    yield b"," + msgspec.json.encode(rest)[1:]


def _series_as_json(
    project_id: int,
    found: Iterator[tuple[Series, Iterator[_T]]],
    shown: Callable[[list[_T]], Sequence[object]],
) -> Iterator[bytes]:
    yield b'{"result":['
    is_first_series = True
    for series, points in found:
        is_first = True
        while chunk := list(islice(points, _at_once(series))):
            if is_first:
                head = {
                    "project_id": project_id,
                    "device_id": series.device_id,
                    "name": series.name,
                }
                yield b"" if is_first_series else b","
                yield msgspec.json.encode(head)[:-1] + b',"data":['
                is_first_series = False
            else:
                yield b","
            is_first = False
            yield msgspec.json.encode(shown(chunk))[1:-1]
        if not is_first:
            yield b"]}"
    yield b"]"


def _as_points(chunk: list[Shown], timefmt: str) -> list[_Point]:
    unit = FORMATS_US.get(timefmt)
    if unit is None:
        return [_Point(format_time(time, timefmt), value) for time, value in chunk]
    return [_Point(time // unit, value) for time, value in chunk]  # no call for each point


def as_csv(project_id: int, timefmt: str, found: Found) -> Iterator[bytes]:
    """Yield the lines of series in CSV, many at a time."""
    yield _line(["project_id", "device_id", "name", "time", "value"])
    for series, points in found:
        start = _line([project_id, series.device_id, series.name])[:-1].decode()
        while chunk := list(islice(points, _at_once(series))):
            values = [_cell(value) for _, value in chunk]
            if series.kind is Kind.TEXT:
                values = [_quoted(value) for value in values]
            times = _times([time for time, _ in chunk], timefmt)
            yield "".join(
                [f"{start},{time},{value}\n" for time, value in zip(times, values)]
            ).encode()


def table_as_json(table: Table, timefmt: str) -> Iterator[bytes]:
    """Yield the pieces of a table in JSON; one without rows is no table."""
    is_first = True
    unit = FORMATS_US.get(timefmt)
    at_once = _rows_at_once(table)
    while piece := list(islice(table.rows, at_once)):
        if is_first:
            yield b'{"result":[{"fields":' + msgspec.json.encode(table.columns) + b',"values":['
        else:
            yield b","
        is_first = False
        if unit is None:
            shown = [(format_time(time, timefmt), *cells) for time, cells in piece]
        else:
            shown = [(time // unit, *cells) for time, cells in piece]  # no call for each row
        yield msgspec.json.encode(shown)[1:-1]
    yield b'{"result":[]}' if is_first else b"]}]}"


def table_as_csv(namespace: str, table: Table, timefmt: str) -> Iterator[bytes]:
    """Yield the lines of a table in CSV.

    GO takes what follows the dot of a heading, and needs one in every column but the first.
    """
    header = ["time", *(f"{namespace}.{name}" for name in table.columns[1:])]
    rows = ([_time(time, timefmt), *map(_cell, cells)] for time, cells in table.rows)
    return _lines(header, rows, _rows_at_once(table))


def _at_once(series: Series) -> int:
    return PIECE_TEXTS if series.kind is Kind.TEXT else PIECE


def _rows_at_once(table: Table) -> int:
    width = len(table.columns)
    return max(1, min(PIECE, (PIECE_TEXTS if table.has_texts else PIECE_CELLS) // width))


def _lines(
    header: Sequence[object], rows: Iterable[Sequence[object]], at_once: int
) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    every = chain([header], rows)
    while piece := list(islice(every, at_once)):
        writer.writerows(piece)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _line(cells: Sequence[object]) -> bytes:
    return next(_lines(cells, [], 1))


def _quoted(text: str) -> str:
    """Return a cell as it stands in a line (RFC 4180 2.6)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _times(times_us: Sequence[int], timefmt: str) -> Sequence[Union[int, str]]:
    """Return what `_time` says of each, at a fraction of its cost."""
    if timefmt == ISO:
        return [to_iso(time) for time in times_us]
    unit = FORMATS_US.get(timefmt)
    if unit is None:
        return [_time(time, timefmt) for time in times_us]
    return times_us if unit == 1 else [time // unit for time in times_us]


def _time(time_us: int, timefmt: str) -> Union[int, str]:
    shown = format_time(time_us, timefmt)
    return shown if isinstance(shown, int) else f"{shown['sec']}.{shown['usec']:06d}"


def _cell(value: Optional[Value]) -> str:
    """Show a gap as nothing, all else so that it reads back as the same."""
    return "" if value is None else texts.to_text(value)
