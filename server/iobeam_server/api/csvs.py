"""CSV answers: how times and values are written, and the lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Optional, Union

from iobeam_server import texts
from iobeam_server.api import queries
from iobeam_server.points import Value

TYPE = "text/plain; charset=utf-8"
PIECE_LINES = 500  # written at a time: texts may be long, and four times more is no faster


def lines(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yield the lines of a table, some thousand at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    every = chain([header], rows)
    while piece := list(islice(every, PIECE_LINES)):
        writer.writerows(piece)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def line(cells: Sequence[object]) -> bytes:
    """Return one line."""
    return next(lines(cells, []))


_SPECIAL = re.compile('[,"\r\n]')


def quoted(text: str) -> str:
    """Return a cell as it stands in a line (RFC 4180 2.6)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def times_of(times_us: Sequence[int], timefmt: str) -> Sequence[Union[int, str]]:
    """Return what `time_of` says of each, at a fraction of its cost."""
    unit = queries.SHOWN_US.get(timefmt)
    if unit is None:
        return [time_of(time, timefmt) for time in times_us]
    return times_us if unit == 1 else [time // unit for time in times_us]


def time_of(time_us: int, timefmt: str) -> Union[int, str]:
    shown = queries.format_time(time_us, timefmt)
    return shown if isinstance(shown, int) else f"{shown['sec']}.{shown['usec']:06d}"


def value_of(value: Optional[Value]) -> str:
    """Show a gap as nothing, all else so that it reads back as the same."""
    return "" if value is None else texts.to_text(value)
