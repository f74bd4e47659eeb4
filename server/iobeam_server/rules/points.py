"""From the rows of a request to columns of points; rules without HTTP and without SQL.

A *column* is what one request holds for one field: times in microseconds,
ascending and distinct, and values of one kind without nulls. The work is done
by whole columns (`zip`, `map(type, ...)`), which costs about a tenth of a loop
over cells; a loop runs only to name the culprit of a request that is refused.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Union

from iobeam_server.errors import BadRequest, TypeConflict, Unprocessable
from iobeam_server.rules.names import check_name

Value = Union[bool, int, float, str]
Cell = Union[bool, int, float, str, None]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Kind(enum.IntEnum):
    """Type of a series; LONG and DOUBLE mix as NUMBER."""

    NUMBER = 1
    BOOLEAN = 2
    TEXT = 3


_KIND_OF = {int: Kind.NUMBER, float: Kind.NUMBER, bool: Kind.BOOLEAN, str: Kind.TEXT}
_KIND_NAMES = {Kind.NUMBER: "number", Kind.BOOLEAN: "boolean", Kind.TEXT: "string"}


class Column(NamedTuple):
    """Points of one field: `times` in us, strictly ascending, one value each.

    `first_rows` gives for each kind seen the first row of the request that has
    it, so that a conflict found later, beside the database, can name its row.
    """

    name: str
    times: Sequence[int]
    values: Sequence[Value]
    first_rows: Mapping[Kind, int]


def table_columns(
    fields: Sequence[str], rows: Sequence[Sequence[Cell]], unit: int, max_text: int
) -> list[Column]:
    """Turn a table into columns; duplicate fields and times fold, the last value wins.

    Args:
        fields: names, "time" among them at any place (wire notes 5.8).
        rows: one list per row, as wide as `fields`.
        unit: microseconds per unit of the times.
        max_text: characters a text value may have.
    """
    at = _time_position(fields)
    for name in fields:
        if name != "time":
            check_name(name)
    if not rows:
        return []
    width = len(fields)
    if set(map(len, rows)) != {width}:
        row = next(i for i, cells in enumerate(rows) if len(cells) != width)
        raise Unprocessable(f"row {row} has {len(rows[row])} values for {width} fields", row=row)
    cells = list(zip(*rows))
    times = _micros(cells[at], unit)
    columns = [
        _column(name, times, cells[position], max_text)
        for position, name in enumerate(fields)
        if position != at
    ]
    # looked at once: without nulls as well as with, a column's times are some of these
    return merge(columns if _is_ascending(times) else map(_folded, columns))


def series_column(
    name: str, times: Sequence[object], values: Sequence[Cell], unit: int, max_text: int
) -> Column:
    """Turn one series of the list form into a column (wire notes 5.7)."""
    check_name(name)
    return _folded(_column(name, _micros(times, unit), values, max_text))


def merge(columns: Iterable[Column]) -> list[Column]:
    """Fold columns of the same name into one; the last value of a time wins.

    Args:
        columns: each folded already.
    """
    same: dict[str, list[Column]] = {}
    for column in columns:
        same.setdefault(column.name, []).append(column)
    one_each = (_joined(parts) if len(parts) > 1 else parts[0] for parts in same.values())
    return [column for column in one_each if column.times]


def settle(columns: Sequence[Column], known: Mapping[str, Kind]) -> dict[str, Kind]:
    """Decide the kind of every column: the project's, else that of its first value.

    Raises:
        TypeConflict: names the first row, and in it the first field, that does not fit.
    """
    kinds: dict[str, Kind] = {}
    worst: tuple[int, str, Kind] | None = None
    for column in columns:
        kind = known.get(column.name)
        if kind is None:
            kind = min(column.first_rows, key=column.first_rows.__getitem__)
        kinds[column.name] = kind
        for found, row in column.first_rows.items():
            if found is not kind and (worst is None or row < worst[0]):
                worst = (row, column.name, found)
    if worst is not None:
        row, name, found = worst
        raise TypeConflict(
            f"row {row}: field {name!r} is {_KIND_NAMES[kinds[name]]} in this project, "
            f"this value is a {_KIND_NAMES[found]}",
            row=row,
            field=name,
        )
    return kinds


def _time_position(fields: Sequence[str]) -> int:
    found = [i for i, name in enumerate(fields) if name == "time"]
    if len(found) != 1:
        raise BadRequest(f'fields must hold "time" exactly once, not {len(found)} times')
    return found[0]


def _micros(times: Sequence[object], unit: int) -> list[int]:
    """Convert times to microseconds; any that is no integer or does not fit is refused."""
    if set(map(type, times)) - {int}:  # by exact type: True is an int to isinstance
        row = next(i for i, t in enumerate(times) if type(t) is not int)
        raise Unprocessable(
            f"row {row}: time must be an integer, not {times[row]!r:.40}", row=row, field="time"
        )
    micros = [t * unit for t in times]  # type: ignore[operator]  # all are int, see above
    if micros and not (min(micros) >= INT64_MIN and max(micros) <= INT64_MAX):
        row = next(i for i, t in enumerate(micros) if not INT64_MIN <= t <= INT64_MAX)
        raise Unprocessable(
            f"row {row}: time is outside the years -290308 to 294247; is the unit right?",
            row=row,
            field="time",
        )
    return micros


def _column(name: str, times: Sequence[int], cells: Sequence[Cell], max_text: int) -> Column:
    """Check the cells of one field and leave out the nulls; not folded yet."""
    types = set(map(type, cells))
    if int in types:
        _check_integers(name, cells)
    if str in types:
        _check_texts(name, cells, max_text)
    first_rows = _first_rows(cells, types)
    if type(None) in types:
        kept = [(t, cell) for t, cell in zip(times, cells) if cell is not None]
        return Column(name, [t for t, _ in kept], [cell for _, cell in kept], first_rows)
    return Column(name, times, cells, first_rows)  # type: ignore[arg-type]  # no None in it


def _first_rows(cells: Sequence[Cell], types: set[type]) -> dict[Kind, int]:
    kinds = {_KIND_OF[t] for t in types if t is not type(None)}
    if not kinds:
        return {}
    if len(kinds) == 1 and type(None) not in types:
        return {kinds.pop(): 0}
    found: dict[Kind, int] = {}
    for row, cell in enumerate(cells):
        if cell is not None:
            found.setdefault(_KIND_OF[type(cell)], row)
            if len(found) == len(kinds):
                break
    return found


def _check_integers(name: str, cells: Sequence[Cell]) -> None:
    numbers = [cell for cell in cells if type(cell) is int]
    if min(numbers) >= INT64_MIN and max(numbers) <= INT64_MAX:
        return
    for row, cell in enumerate(cells):
        if type(cell) is int and not INT64_MIN <= cell <= INT64_MAX:
            raise Unprocessable(
                f"row {row}: {name!r} is outside the 64-bit integers", row=row, field=name
            )


def _check_texts(name: str, cells: Sequence[Cell], max_text: int) -> None:
    for row, cell in enumerate(cells):
        if type(cell) is not str:
            continue
        if len(cell) > max_text:
            raise Unprocessable(
                f"row {row}: {name!r} has {len(cell)} characters, at most {max_text} are kept",
                row=row,
                field=name,
            )
        if "\0" in cell:  # PostgreSQL cannot store it; both engines answer alike
            raise Unprocessable(f"row {row}: {name!r} holds a NUL character", row=row, field=name)


def _joined(parts: Sequence[Column]) -> Column:
    """Make one of columns of the same name, all at once: pair by pair it costs a square."""
    rows: dict[Kind, int] = {}
    for part in parts:
        for kind, row in part.first_rows.items():
            rows[kind] = min(row, rows.get(kind, row))
    times = [time for part in parts for time in part.times]
    values = [value for part in parts for value in part.values]
    return _folded(Column(parts[0].name, times, values, rows))


def _is_ascending(times: Sequence[int]) -> bool:
    return all(map(operator.lt, times, times[1:]))


def _folded(column: Column) -> Column:
    if _is_ascending(column.times):
        return column
    last = dict(zip(column.times, column.values))
    ordered = sorted(last)
    return column._replace(times=ordered, values=[last[t] for t in ordered])
