"""Upserts of the SQLite engine."""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Iterable, Sequence
from typing import Optional

from iobeam_server.errors import ServerError, UnknownDevice
from iobeam_server.rules.points import Column, Kind, settle
from iobeam_server.storage.base import Batch
from iobeam_server.storage.catalog import devices
from iobeam_server.storage.catalog.remembered import Remembered
from iobeam_server.storage.catalog.savepoint import Savepoint
from iobeam_server.storage.sqlite.sql import SqliteSql, is_minus_zero

# One statement for many rows: every step of SQLite gives the interpreter lock away and has to
# win it back from the threads that parse requests. Measured with one busy thread beside it:
# 28k rows/s with executemany, 51k with 100 rows a statement. 256 x 3 stays under the 999
# parameters of SQLite before 3.32; few numbers keep the prepared statements few, all of the
# small ones let an import of one row be one statement a column.
_ROWS = (256, 128, 64, 32, *range(16, 0, -1))
_RUN = _ROWS[0]
"""So many points of one series are written by a statement that is told of the series once."""


def _inserting(column: str, rows: Iterable[str]) -> str:
    return f"INSERT OR REPLACE INTO points (series_id, time, {column}) VALUES {','.join(rows)}"


_COLUMNS = ("int_value", "real_value", "text_value")
_INSERT = {
    column: {rows: _inserting(column, ["(?,?,?)"] * rows) for rows in _ROWS} for column in _COLUMNS
}
_INSERT_RUN = {
    column: _inserting(column, (f"(?1,?{2 * row + 2},?{2 * row + 3})" for row in range(_RUN)))
    for column in _COLUMNS
}

_MINUS_ZERO = array("d", [-0.0]).tobytes()

_Settled = tuple[int, Kind, Column]
"""Points of one series: its id, and its kind."""


class _Inserts:
    """Writes the points of one batch.

    Args:
        connection: amid a transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rests: dict[str, list[object]] = {}

    def add(
        self, column: str, series_id: int, times: Sequence[int], values: Sequence[object]
    ) -> None:
        """Write points of a series; those that make no whole run wait for `finish`."""
        end = len(times) - len(times) % _RUN
        for at in range(0, end, _RUN):
            run: list[object] = [series_id] * (1 + 2 * _RUN)
            run[1::2] = times[at : at + _RUN]
            run[2::2] = values[at : at + _RUN]
            self._connection.execute(_INSERT_RUN[column], run)
        rest: list[object] = [series_id] * (3 * (len(times) - end))
        rest[1::3] = times[end:]
        rest[2::3] = values[end:]
        self._rests.setdefault(column, []).extend(rest)

    def finish(self) -> None:
        """Write what waits, of all series together: all there is of an import of one row."""
        for column, flat in self._rests.items():
            at, left = 0, len(flat) // 3
            for rows in _ROWS:
                while left >= rows:
                    self._connection.execute(_INSERT[column][rows], flat[at : at + 3 * rows])
                    at, left = at + 3 * rows, left - rows


class BatchWriter:
    """Writes batches on one connection; remembers the ids it has looked up.

    What it remembers holds as long as `PRAGMA data_version` stands still, which
    moves when another connection commits; for its own connection's other
    changes the owner calls `forget`. Not safe for threads: the owner locks.
    """

    def __init__(self, sql: SqliteSql) -> None:
        self._sql = sql
        self._connection = sql.connection
        self._version = -1
        self._known = Remembered()
        self._savepoint = Savepoint()

    def forget(self) -> None:
        """Drop everything remembered."""
        self._known.forget()

    def write(self, batches: Sequence[Batch]) -> list[Optional[ServerError]]:
        """Write inside the caller's transaction every batch that can be.

        What is refused leaves no trace: series, types and registrations of a batch are settled
        in a savepoint of its own, if it needs new ones. Its points come after that: while there
        is a savepoint, SQLite copies each page before it changes.
        """
        self._savepoint = Savepoint()
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or self._known.is_full:
            self.forget()
            self._version = version
        results: list[Optional[ServerError]] = []
        for batch in batches:
            settled: list[_Settled] = []
            try:
                settled = self._settle(batch)
                results.append(None)
            except ServerError as error:
                results.append(error)
            if self._savepoint.end(self._sql, is_refused=results[-1] is not None):
                self.forget()  # ids made inside the savepoint went with it
            self._insert(settled)
        return results

    def _settle(self, batch: Batch) -> list[_Settled]:
        """Return the points of a batch by their series."""
        namespace_id = self._known.namespace(self._sql, batch.project_id, batch.namespace)
        if batch.must_exist:
            for part in batch.parts:
                self._need_device(batch.project_id, part.device_id or "", batch.register)
        settled: list[_Settled] = []
        for part in batch.parts:
            fields = self._settle_fields(namespace_id, part.columns)
            for column in part.columns:
                field_id, kind = fields[column.name]
                series_id = self._series_id(namespace_id, part.device_id or "", field_id)
                settled.append((series_id, kind, column))
        return settled

    def _insert(self, settled: Iterable[_Settled]) -> None:
        inserts = _Inserts(self._connection)
        zeros: list[tuple[int, int]] = []
        stale: list[tuple[int, int]] = []
        for series_id, kind, column in settled:
            times, values = column.times, column.values
            stale += self._known.expired(self._sql, series_id, times)
            types = set(map(type, values))
            if kind is Kind.TEXT:
                inserts.add("text_value", series_id, times, values)
            elif kind is Kind.BOOLEAN:
                inserts.add("int_value", series_id, times, list(map(int, values)))
            elif float not in types:
                inserts.add("int_value", series_id, times, values)
            elif int not in types:
                inserts.add("real_value", series_id, times, values)
            else:
                for stored, found in (("int_value", int), ("real_value", float)):
                    pairs = [pair for pair in zip(times, values) if type(pair[1]) is found]
                    inserts.add(stored, series_id, *zip(*pairs))
            if float in types and 0.0 in values:  # rare, or at least quick to see
                zeros += _minus_zeros(series_id, column)
        if stale:
            self._connection.executemany(
                "INSERT OR IGNORE INTO stale_hours (series_id, start) VALUES (?, ?)", stale
            )
            self._known.note_stale(stale)
        inserts.finish()
        if zeros:
            self._connection.executemany(
                "UPDATE points SET int_value = 0 WHERE series_id = ? AND time = ?", zeros
            )

    def _need_device(self, project_id: int, device_id: str, register: bool) -> None:
        if not self._known.is_registered(self._sql, project_id, device_id):
            if not register:
                raise UnknownDevice.named(device_id)
            self._savepoint.begin(self._sql)
            devices.ensure(self._sql, project_id, device_id)

    def _settle_fields(
        self, namespace_id: int, columns: Sequence[Column]
    ) -> dict[str, tuple[int, Kind]]:
        """Return id and kind of every field, creating those that are new."""
        known = {column.name: self._field(namespace_id, column.name) for column in columns}
        kinds = settle(columns, {name: found[1] for name, found in known.items() if found})
        settled: dict[str, tuple[int, Kind]] = {}
        if None in known.values():
            self._savepoint.begin(self._sql)
            self._connection.execute(
                "UPDATE namespaces SET last_modified = ? WHERE namespace_id = ?",
                (int(time.time()), namespace_id),
            )
        for name, kind in kinds.items():
            found = known[name]
            if found is None:
                field_id = self._connection.execute(
                    "INSERT INTO fields (namespace_id, field_name, kind) VALUES (?, ?, ?)",
                    (namespace_id, name, int(kind)),
                ).lastrowid
                assert field_id is not None
                found = self._known.fields[namespace_id, name] = (field_id, kind)
            settled[name] = found
        return settled

    def _field(self, namespace_id: int, name: str) -> Optional[tuple[int, Kind]]:
        found = self._known.fields.get((namespace_id, name))
        if found is None:
            row = self._connection.execute(
                "SELECT field_id, kind FROM fields WHERE namespace_id = ? AND field_name = ?",
                (namespace_id, name),
            ).fetchone()
            if row is not None:
                found = self._known.fields[namespace_id, name] = (int(row[0]), Kind(row[1]))
        return found

    def _series_id(self, namespace_id: int, device_id: str, field_id: int) -> int:
        key = (namespace_id, device_id, field_id)
        found = self._known.series.get(key)
        if found is None:
            row = self._connection.execute(
                "SELECT series_id FROM series"
                " WHERE namespace_id = ? AND device_id = ? AND field_id = ?",
                key,
            ).fetchone()
            if row is None:
                self._savepoint.begin(self._sql)
                found = self._connection.execute(
                    "INSERT INTO series (namespace_id, device_id, field_id) VALUES (?, ?, ?)", key
                ).lastrowid
                assert found is not None
            else:
                found = int(row[0])
            self._known.series[key] = found
        return found


def _minus_zeros(series_id: int, column: Column) -> list[tuple[int, int]]:
    """Return where a column has -0.0: see `sql.columns`."""
    if _MINUS_ZERO not in array("d", column.values).tobytes():  # type: ignore[type-var]
        return []  # a tenth of the time of looking at each
    pairs = zip(column.times, column.values)
    return [(series_id, time) for time, value in pairs if is_minus_zero(value)]
