"""Reads export files in CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from typing import Callable, Optional, TextIO

from iobeam_server.exportfiles.form import (
    FIRST,
    SECOND,
    BadLine,
    Place,
    Run,
    check_texts,
    check_where,
    time_of,
)
from iobeam_server.rules import texts
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value

RUN_POINTS = 20_000  # of one series in memory at once
MAX_CELL_CHARS = 1_000_000  # of a line that the csv module may put together from lost quotes
MAX_NUMBER_CHARS = 32  # -2.2250738585072014e-308 has 24

_BOOLEANS = {"true": True, "false": False}


def read(file: TextIO, tell: Callable[[Place], None], max_text: int) -> Iterator[Run]:
    """Yield the points of a file; `tell` gets the place before the first, if the file says it."""
    csv.field_size_limit(MAX_CELL_CHARS)
    rows = csv.reader(_whole(file), strict=True)
    line = 0
    try:
        header = next(rows, [])
        _check(header)
        line = rows.line_num
        where: Optional[list[str]] = None
        lines: list[int] = []
        moments: list[str] = []
        cells: list[str] = []
        for row in rows:
            if len(row) != len(header):
                raise BadLine(line + 1, f"{len(row)} cells under {len(header)} headings")
            here = row[:3] + row[5:]
            if here != where or len(lines) >= RUN_POINTS:
                if where is None:
                    _tell(tell, header, here, line + 1)
                else:
                    yield _run(where, lines, moments, cells, max_text)
                    _check_namespace(where, here, line + 1)
                where, lines, moments, cells = here, [], [], []
            lines.append(line + 1)
            moments.append(row[3])
            cells.append(row[4])
            line = rows.line_num
        if where is not None:
            yield _run(where, lines, moments, cells, max_text)
    except csv.Error as error:
        raise BadLine(line + 1, str(error)) from None


def _whole(file: TextIO) -> Iterator[str]:
    """Yield lines; a file cut off, or rewritten in a way that changes texts, is refused."""
    number, line = 0, "\n"
    for number, line in enumerate(file, 1):
        if number == 1 and line.endswith("\r\n"):
            raise BadLine(1, "the line ends were changed to CRLF, and with them those in texts")
        yield line
    if not line.endswith(("\n", "\r")):
        raise BadLine(number, "the file ends amid a line: the rest of it is lost")


def _check(header: Sequence[str]) -> None:
    own = (FIRST[0], *FIRST[2:], *SECOND)
    is_own = len(header) == 1 + len(own) and (header[0], *header[2:]) == own
    if not is_own and tuple(header) != FIRST:
        raise BadLine(1, f"the headings are not {','.join((*FIRST, *SECOND))}")


def _tell(
    tell: Callable[[Place], None], header: Sequence[str], where: Sequence[str], line: int
) -> None:
    if len(header) > len(FIRST):
        if not where[4] or not header[1]:
            raise BadLine(line, "the namespace is missing")
        tell(Place(where[4], header[1]))


def _check_namespace(before: Sequence[str], here: Sequence[str], line: int) -> None:
    if before[4:] != here[4:]:
        raise BadLine(line, f"namespace {here[4]!r:.80} after {before[4]!r:.80}: one file has one")


def _run(
    where: Sequence[str], lines: list[int], moments: list[str], cells: list[str], max_text: int
) -> Run:
    project, device_id, name, *rest = where
    kind = texts.KINDS.get(rest[0]) if rest else None
    if rest and kind is None:
        raise BadLine(lines[0], f"type must be number, boolean or string, not {rest[0]!r:.40}")
    number = _integer(project)
    if number is None:
        raise BadLine(lines[0], f"project_id must be a number, not {project!r:.40}")
    check_where(number, device_id, name, lines[0])
    times = [
        time_of(moment if (time := _integer(moment)) is None else time, line)
        for moment, line in zip(moments, lines)
    ]
    return Run(number, device_id, name, kind, times, _values(cells, kind, lines, max_text), lines)


def _values(cells: list[str], kind: Optional[Kind], lines: list[int], max_text: int) -> list[Value]:
    if kind is None or kind is Kind.TEXT:
        check_texts(cells, lines, max_text)
        return cells  # type: ignore[return-value]  # texts are values
    values: list[Value] = []
    for cell, line in zip(cells, lines):
        value = value_of(cell, kind)
        if value is None:
            raise BadLine(line, f"{cell!r:.80} is no {texts.NAMES[kind]} as `export` writes it")
        values.append(value)
    return values


def value_of(cell: str, kind: Kind) -> Optional[Value]:
    """Return the value that `export` wrote so; None where it wrote no such thing."""
    if kind is Kind.TEXT:
        return cell
    if kind is Kind.BOOLEAN:
        return _BOOLEANS.get(cell)
    if len(cell) > MAX_NUMBER_CHARS:
        return None
    whole = _integer(cell)
    if whole is not None:
        return whole if INT64_MIN <= whole <= INT64_MAX else None
    try:
        real = float(cell)
    except ValueError:
        return None
    return real if repr(real) == cell and math.isfinite(real) else None


def _integer(cell: str) -> Optional[int]:
    """Return the integer that is written so; None for +1, 007, -0 and all else."""
    if len(cell) > MAX_NUMBER_CHARS:
        return None
    try:
        whole = int(cell)
    except ValueError:
        return None
    return whole if str(whole) == cell else None
