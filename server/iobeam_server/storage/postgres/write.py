"""Upserts of the PostgreSQL engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Optional

from iobeam_server.errors import ServerError, UnknownDevice
from iobeam_server.rules.points import Column, Kind, settle
from iobeam_server.storage.base import Batch
from iobeam_server.storage.catalog import devices
from iobeam_server.storage.catalog.remembered import Remembered
from iobeam_server.storage.catalog.savepoint import Savepoint
from iobeam_server.storage.postgres.incoming import Incoming
from iobeam_server.storage.postgres.sql import CATALOG_LOCK, Connection, PostgresSql
from iobeam_server.storage.postgres.timescale import Chunks

_EXPIRE = (
    "INSERT INTO stale_hours (series_id, start) SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
    " ON CONFLICT DO NOTHING"
)

_ADD_KEYS = "INSERT INTO series_keys SELECT * FROM unnest(%s::bigint[]) ON CONFLICT DO NOTHING"

_Hour = tuple[int, int]  # series, start


class BatchWriter:
    """Writes batches in a transaction that it begins; remembers the ids it has looked up.

    What it remembers holds while `iobeam_schema.catalog` stands still: whoever
    deletes a device or a series, in any process, moves it on under the exclusive
    lock, and a transaction that writes holds the shared one. Not safe for
    threads: the owner locks.
    """

    def __init__(self) -> None:
        self._catalog = -1
        self._known = Remembered()
        self._is_spread = False
        self._chunks: Optional[Chunks] = None
        self._savepoint = Savepoint()
        self._stale: list[_Hour] = []  # hours whose summaries are not as the points from now on

    def forget(self) -> None:
        """Drop everything remembered."""
        self._known.forget()

    def write(
        self, connection: Connection, batches: Sequence[Batch]
    ) -> list[Optional[ServerError]]:
        """Write every batch that can be; what is refused leaves no trace. The caller commits.

        Series, types and registrations of a batch are settled in a savepoint of its own;
        the points of all go in by one upsert, folded (the last value of a key wins) and
        sorted, so that two processes lock rows in the same order.
        """
        self._begin(connection)
        results: list[Optional[ServerError]] = []
        points = Incoming()
        self._stale = []
        for batch in batches:
            try:
                if self._chunks is not None:
                    self._chunks.check(PostgresSql(connection), batch)
                found = self._settle(connection, batch)
            except ServerError as error:
                results.append(error)
            else:
                points.update(found)
                results.append(None)
            if self._savepoint.end(PostgresSql(connection), is_refused=results[-1] is not None):
                self.forget()  # ids made inside the savepoint went with it
        if points:
            self._upsert(connection, points)
        return results

    def _begin(self, connection: Connection) -> None:
        """Begin the transaction; look whether the catalogue is as it was."""
        self._savepoint = Savepoint()
        # one message, three statements: the last has a snapshot taken under the lock
        cursor = connection.execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED;"
            f"SELECT pg_advisory_xact_lock_shared({CATALOG_LOCK});"
            "SELECT catalog FROM iobeam_schema",
            prepare=False,
        )
        cursor.nextset()
        cursor.nextset()
        (catalog,) = cursor.fetchone() or (0,)
        if catalog != self._catalog or self._known.is_full:
            self.forget()
            sql = PostgresSql(connection)
            self._is_spread = sql.is_spread
            self._chunks = Chunks.found(sql)
            self._catalog = catalog

    def _upsert(self, connection: Connection, points: Incoming) -> None:
        if self._stale:  # in one order in all processes, as the points
            hours = sorted({*self._stale})
            connection.execute(_EXPIRE, ([one for one, _ in hours], [start for _, start in hours]))
            self._known.note_stale(hours)
        points.write(connection, self._known.newest, self._is_spread)
        self._known.note_newest(points.newest)

    def _settle(self, connection: Connection, batch: Batch) -> Incoming:
        """Return the points of a batch by their series."""
        sql = PostgresSql(connection)
        namespace_id = self._known.namespace(sql, batch.project_id, batch.namespace)
        if batch.must_exist:
            for part in batch.parts:
                self._need_device(sql, batch.project_id, part.device_id or "", batch.register)
        points = Incoming()
        for part in batch.parts:
            fields = self._settle_fields(connection, namespace_id, part.columns)
            ids = self._series_ids(
                connection, namespace_id, part.device_id or "", [f for f, _ in fields.values()]
            )
            for column in part.columns:
                field_id, kind = fields[column.name]
                series_id = ids[field_id]
                self._stale += self._known.expired(sql, series_id, column.times)
                points.add(series_id, column.times, column.values, kind)
        return points

    def _need_device(
        self, sql: PostgresSql, project_id: int, device_id: str, register: bool
    ) -> None:
        if not self._known.is_registered(sql, project_id, device_id):
            if not register:
                raise UnknownDevice.named(device_id)
            self._savepoint.begin(sql)
            devices.ensure(sql, project_id, device_id)

    def _settle_fields(
        self, connection: Connection, namespace_id: int, columns: Sequence[Column]
    ) -> dict[str, tuple[int, Kind]]:
        """Return id and kind of every field, creating those that are new.

        Another process may settle the same field meanwhile: insert or do nothing,
        then read what stands there and judge by it.
        """
        names = [column.name for column in columns]
        self._read_fields(connection, namespace_id, names)
        known = self._kinds(namespace_id, names)
        kinds = settle(columns, known)
        new = sorted(name for name in kinds if name not in known)
        if new:
            self._savepoint.begin(PostgresSql(connection))
            connection.execute(
                "UPDATE namespaces SET last_modified = %s WHERE namespace_id = %s",
                (int(time.time()), namespace_id),
            )
            connection.execute(
                "INSERT INTO fields (namespace_id, field_name, kind)"
                " SELECT %s, * FROM unnest(%s::text[], %s::smallint[]) ON CONFLICT DO NOTHING",
                (namespace_id, new, [int(kinds[name]) for name in new]),
            )
            self._read_fields(connection, namespace_id, new)
            settle(columns, self._kinds(namespace_id, kinds))
        return {name: self._known.fields[namespace_id, name] for name in kinds}

    def _kinds(self, namespace_id: int, names: Iterable[str]) -> dict[str, Kind]:
        fields = self._known.fields
        return {n: fields[namespace_id, n][1] for n in names if (namespace_id, n) in fields}

    def _read_fields(self, connection: Connection, namespace_id: int, names: list[str]) -> None:
        missing = [name for name in names if (namespace_id, name) not in self._known.fields]
        if missing:
            rows = connection.execute(
                "SELECT field_name, field_id, kind FROM fields"
                " WHERE namespace_id = %s AND field_name = ANY(%s)",
                (namespace_id, missing),
            )
            for name, field_id, kind in rows:
                self._known.fields[namespace_id, name] = (field_id, Kind(kind))

    def _series_ids(
        self, connection: Connection, namespace_id: int, device_id: str, fields: list[int]
    ) -> dict[int, int]:
        """Return the series of each field, creating those that are new."""
        self._read_series(connection, namespace_id, device_id, fields)
        new = sorted(f for f in fields if (namespace_id, device_id, f) not in self._known.series)
        if new:
            self._savepoint.begin(PostgresSql(connection))
            connection.execute(
                "INSERT INTO series (namespace_id, device_id, field_id)"
                " SELECT %s, %s, * FROM unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
                (namespace_id, device_id, new),
            )
            self._read_series(connection, namespace_id, device_id, new)
            if self._is_spread:
                made = sorted(self._known.series[namespace_id, device_id, one] for one in new)
                connection.execute(_ADD_KEYS, (made,))
        return {field: self._known.series[namespace_id, device_id, field] for field in fields}

    def _read_series(
        self, connection: Connection, namespace_id: int, device_id: str, fields: list[int]
    ) -> None:
        missing = [f for f in fields if (namespace_id, device_id, f) not in self._known.series]
        if missing:
            rows = connection.execute(
                "SELECT field_id, series_id FROM series"
                " WHERE namespace_id = %s AND device_id = %s AND field_id = ANY(%s)",
                (namespace_id, device_id, missing),
            )
            for field_id, series_id in rows:
                self._known.series[namespace_id, device_id, field_id] = series_id
