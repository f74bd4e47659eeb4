"""Lists: a table on a terminal, lines with tabs in a pipe, JSON where it is asked for."""

from __future__ import annotations

import datetime
import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional, Union

import click

from iobeam_server.commands.common import F
from iobeam_server.rules import times

# Controls, and what turns the direction of writing.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_GAP = "  "


class At(NamedTuple):
    """An instant."""

    us: int
    """Since 1970."""


Cell = Union[str, int, At, None]


class Column(NamedTuple):
    """What stands under a heading."""

    key: str
    """Its name in JSON."""
    heading: str
    absent: str = "-"
    """What a person sees where there is nothing; null in JSON."""


def json_option(command: F) -> F:
    """Give a command ``--json``."""
    option = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object, its times in microseconds since 1970.",
    )
    return option(command)


def show(
    name: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    as_json: bool,
    in_lines: Optional[int] = None,
    nothing: Optional[str] = None,
) -> None:
    """Print a list.

    On a terminal it is a table with headings and times in this machine's zone. Elsewhere a
    program reads it, since version 1.0.0: a line for each row, tabs between, no heading, times
    in microseconds. An empty list is said on stderr.

    Args:
        name: what is listed; the only key of the JSON object.
        columns: as many as a row has cells.
        rows: may be longer than memory should hold: only a table needs all of them.
        as_json: whether that was asked for.
        in_lines: how many of the columns, the first ones, are in lines; None is all.
        nothing: what is said of an empty list; None is "no" and its name.
    """
    if as_json:
        keys = [column.key for column in columns]
        listed = [dict(zip(keys, map(_exact, row))) for row in rows]
        click.echo(json.dumps({name: listed}, ensure_ascii=False))
        return
    is_empty = True
    if sys.stdout is not None and sys.stdout.isatty():
        for line in table(columns, rows):
            is_empty = False
            click.echo(line)
    else:
        for row in rows:
            is_empty = False
            click.echo("\t".join(map(_plain, columns[:in_lines], row)))
    if is_empty:
        click.echo(nothing or f"no {name}", err=True)


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> list[str]:
    """Return the lines of a table, its headings first; none where there are no rows."""
    given = list(rows)
    if not given:
        return []
    shown = [list(map(_shown, columns, row)) for row in given]
    headings = [column.heading for column in columns]
    widths = [max(map(len, cells)) for cells in zip(headings, *shown)]
    numbers = [all(isinstance(cell, int) for cell in cells) for cells in zip(*given)]
    rules = ["-" * width for width in widths]
    return [
        _GAP.join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(cells, widths, numbers)
        ).rstrip()
        for cells in (headings, rules, *shown)
    ]


def local(us: int) -> str:
    """Return an instant in ISO 8601, in this machine's zone with its offset, Z for UTC.

    Without a fraction, or with three or six digits of one: as exact as it is. What Python's
    calendar does not have is in UTC.
    """
    exact = "microseconds" if us % 1_000 else "milliseconds" if us % 1_000_000 else "seconds"
    try:
        moment = (_EPOCH + datetime.timedelta(microseconds=us)).astimezone()
        shown = moment.isoformat(timespec=exact)
        return shown.replace("+00:00", "Z") if moment.tzname() == "UTC" else shown
    except (OverflowError, ValueError, OSError):
        return times.to_iso(us)


def harmless(text: str) -> str:
    """Escape what could steer a terminal, or end a line or a cell, as JSON does."""
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _exact(cell: Cell) -> Union[str, int, None]:
    return cell.us if isinstance(cell, At) else cell


def _plain(column: Column, cell: Cell) -> str:
    return column.absent if cell is None else harmless(str(_exact(cell)))


def _shown(column: Column, cell: Cell) -> str:
    return local(cell.us) if isinstance(cell, At) else _plain(column, cell)
