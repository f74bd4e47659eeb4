"""The points of one transaction, and the ways by which they go into their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from iobeam_server.rules.points import Kind, Value
from iobeam_server.storage.postgres.sql import Connection

FEW = 200
"""Points that go in as parameters: up to here that costs less than `COPY`, and no empty table
has to be made ready for the next transaction."""

# made once per connection: a table made per transaction would bloat the system catalogs
TABLE = (
    "CREATE TEMPORARY TABLE incoming (series_id bigint, time bigint, int_value bigint,"
    " real_value double precision, text_value text) ON COMMIT DELETE ROWS"
)

_COLUMNS = "series_id, time, int_value, real_value, text_value"
_TYPES = ("int8", "int8", "int8", "float8", "text")
_UPSERT = (
    f"INSERT INTO points ({_COLUMNS}) SELECT * FROM {{}}"
    " ON CONFLICT (series_id, time) DO UPDATE SET int_value = excluded.int_value,"
    " real_value = excluded.real_value, text_value = excluded.text_value"
)
_COPIED = _UPSERT.format("incoming ORDER BY series_id, time")
_GIVEN = _UPSERT.format(
    "unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::float8[], %s::text[])"
)

_Cursor = psycopg.Cursor[tuple[Any, ...]]


class _Piece(NamedTuple):
    """Points of one series: times strictly ascending, one value each."""

    times: Sequence[int]
    values: Sequence[Value]
    kind: Kind


class Incoming:
    """Points by their series; of two at one time of a series the later one counts."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[_Piece]] = {}

    def add(
        self, series_id: int, times: Sequence[int], values: Sequence[Value], kind: Kind
    ) -> None:
        if times:
            self._pieces.setdefault(series_id, []).append(_Piece(times, values, kind))

    def update(self, others: Incoming) -> None:
        """Add those of a later batch."""
        for series_id, pieces in others._pieces.items():
            self._pieces.setdefault(series_id, []).extend(pieces)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def newest(self) -> dict[int, int]:
        """The last time of each series."""
        return {
            one: max(piece.times[-1] for piece in pieces) for one, pieces in self._pieces.items()
        }

    def are_after(self, newest: Mapping[int, int]) -> bool:
        """Say whether all are later than the times that are given for their series."""
        return all(
            series_id in newest and min(piece.times[0] for piece in pieces) > newest[series_id]
            for series_id, pieces in self._pieces.items()
        )

    def write(self, connection: Connection, newest: Mapping[int, int], is_spread: bool) -> None:
        """Put them into the table, sorted: two processes then lock rows in the same order.

        Args:
            connection: in a transaction.
            newest: of each series that is known, the last time there likely is.
            is_spread: see `postgres.citus`: it opens connections for each way, and takes a long
                time over values in a SELECT.
        """
        with connection.cursor() as cursor:
            count = sum(len(piece.times) for one in self._pieces.values() for piece in one)
            if count <= FEW and not is_spread:
                cursor.execute(_GIVEN, [[*each] for each in zip(*self._rows())])
            elif is_spread or not self.are_after(newest) or not self._copy_new(cursor):
                self._copy(cursor, "incoming")
                cursor.execute(_COPIED)

    def _copy_new(self, cursor: _Cursor) -> bool:
        """Write points that are likely new in one go; False where one is there already."""
        cursor.execute("SAVEPOINT new_points")
        try:
            self._copy(cursor, f"points ({_COLUMNS})")
        except psycopg.errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT new_points")
            return False
        cursor.execute("RELEASE SAVEPOINT new_points")
        return True

    def _copy(self, cursor: _Cursor, table: str) -> None:
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(_TYPES)
            write = copy.write_row
            for row in self._rows():
                write(row)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of the table, sorted by its key."""
        for series_id in sorted(self._pieces):
            times, values, kind = _folded(self._pieces[series_id])
            if kind is Kind.TEXT:
                for time, value in zip(times, values):
                    yield series_id, time, None, None, value
            else:
                for time, value in zip(times, values):
                    if type(value) is float:
                        yield series_id, time, None, value, None
                    else:
                        yield series_id, time, int(value), None, None


def _folded(pieces: Sequence[_Piece]) -> _Piece:
    """Make one of the pieces of a series, whose kind is the same."""
    if len(pieces) == 1:
        return pieces[0]
    found: dict[int, Value] = {}
    for times, values, _ in pieces:
        found.update(zip(times, values))
    times = sorted(found)
    return _Piece(times, [found[time] for time in times], pieces[0].kind)
