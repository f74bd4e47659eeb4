"""Series: which there are, how much they hold, what is taken out of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Optional

from iobeam_server.errors import NotFound
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind
from iobeam_server.storage.base import ALWAYS, Extent, Retyped, Series, Span
from iobeam_server.storage.catalog import summaries
from iobeam_server.storage.catalog.mending import Mending, PointRow
from iobeam_server.storage.catalog.sql import Database, Sql

PIECE_ROWS = 5_000  # of a series in memory at once, while it changes its type


class SeriesCatalog:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, project_id: int, namespace: str, device_id: Optional[str], name: Optional[str]
    ) -> Sequence[Series]:
        """Return series in the order of device and name; None stands for all."""
        statement = (
            "SELECT s.series_id, s.device_id, f.field_name, f.kind"
            " FROM namespaces n JOIN series s USING (namespace_id)"
            " JOIN fields f ON f.field_id = s.field_id"
            " WHERE n.project_id = ? AND n.namespace_name = ?"
        )
        values: list[object] = [project_id, namespace]
        for column, value in (("s.device_id", device_id), ("f.field_name", name)):
            if value is not None:
                statement += f" AND {column} = ?"
                values.append(value)
        with self._database.searching() as sql:
            rows = sql.many(f"{statement} ORDER BY s.device_id, f.field_name", *values)
        return [Series(row[0], row[1], row[2], Kind(row[3])) for row in rows]

    def extent(self, series_id: int, span: Span = ALWAYS) -> Optional[Extent]:
        """Count the points of a series, or those of a time; None when it has none."""
        with self._database.searching() as sql:
            row = sql.one(
                "SELECT count(*), min(time), max(time) FROM points"
                " WHERE series_id = ? AND time >= ? AND time <= ?",
                series_id,
                *span,
            )
        return Extent(*row) if row[0] else None

    def ends(self, series: Sequence[Series], span: Span = ALWAYS) -> Optional[Span]:
        """Return the first and the last time of some series; None where they have no points.

        Two steps of the index for each of them, however many points they have.
        """
        found: list[int] = []
        with self._database.searching() as sql:
            for one, order in itertools.product(series, ("ASC", "DESC")):
                row = sql.one(
                    "SELECT time FROM points WHERE series_id = ? AND time >= ? AND time <= ?"
                    f" ORDER BY time {order} LIMIT 1",
                    one.series_id,
                    *span,
                )
                found += [] if row is None else [row[0]]
        return Span(min(found), max(found)) if found else None

    def delete_points(
        self, series_id: int, until: int, at_most: int, since: int = INT64_MIN
    ) -> int:
        """Delete the oldest points of a time (us, both ends inclusive); returns how many.

        `at_most` keeps the transaction short, so that imports go on beside it.
        """
        with self._database.writing() as sql:
            sql.beside_writers()
            # the time of the last one is looked up: only some SQLites have DELETE .. LIMIT
            last = sql.one(
                "SELECT time FROM points WHERE series_id = ? AND time >= ?"
                " ORDER BY time LIMIT 1 OFFSET ?",
                series_id,
                since,
                at_most - 1,
            )
            until = until if last is None else min(until, last[0])
            summaries.expire(sql, series_id, since, until)
            return sql.execute(
                "DELETE FROM points WHERE series_id = ? AND time >= ? AND time <= ?",
                series_id,
                since,
                until,
            ).rowcount

    def drop(self, project_id: int, namespace: str, name: str, device_id: Optional[str]) -> int:
        """Delete a series and its points, of one device or (None) of all; returns how many.

        The field goes with its last series: the next value decides its type anew.

        Raises:
            NotFound: no such field, or none of the device.
        """
        with self._database.taking_away() as sql:
            field_id, _ = _field(sql, project_id, namespace, name)
            ids = [one for one, device in _of_field(sql, field_id) if device_id in (None, device)]
            if device_id is not None and not ids:
                raise NotFound(f"device {device_id!r} has no series {name!r}")
            dropped = 0
            for one in ids:  # one by one: with the key alone TimescaleDB and Citus find their parts
                dropped += sql.execute("DELETE FROM points WHERE series_id = ?", one).rowcount
                sql.execute("DELETE FROM series WHERE series_id = ?", one)
                summaries.discard(sql, one)
            sql.execute(
                "DELETE FROM fields WHERE field_id = ?"
                " AND NOT EXISTS (SELECT 1 FROM series WHERE field_id = ?)",
                field_id,
                field_id,
            )
            return dropped

    def try_retype(self, project_id: int, namespace: str, name: str, kind: Kind) -> Retyped:
        """Say what `retype` would do to the points there are; raises NotFound."""
        with self._database.reading() as sql:
            field_id, old = _field(sql, project_id, namespace, name)
            mending = Mending(old, kind)
            for series_id, device_id in _of_field(sql, field_id):
                for rows in _pieces(sql, series_id):
                    mending.convert(device_id, rows)
        return mending.result(drop_unfit=True)

    def retype(
        self, project_id: int, namespace: str, name: str, kind: Kind, drop_unfit: bool
    ) -> Retyped:
        """Change the type of a field and of all its points, in one transaction.

        Args:
            project_id, namespace, name: which field.
            kind: the new type.
            drop_unfit: delete values that cannot be of it.

        Raises:
            NotFound: no such field.
            Unprocessable: some values cannot be of that type; nothing was changed.
        """
        with self._database.taking_away() as sql:
            field_id, old = _field(sql, project_id, namespace, name)
            mending = Mending(old, kind)
            for series_id, device_id in _of_field(sql, field_id):
                summaries.discard(sql, series_id)
                for rows in _pieces(sql, series_id):
                    sql.rewrite(series_id, *mending.convert(device_id, rows))
            result = mending.result(drop_unfit)
            sql.execute("UPDATE fields SET kind = ? WHERE field_id = ?", int(kind), field_id)
            return result


def _pieces(sql: Sql, series_id: int) -> Iterator[list[PointRow]]:
    """Yield the points of a series, some thousand at a time."""
    start = INT64_MIN
    while start <= INT64_MAX:
        rows = sql.many(
            "SELECT time, int_value, real_value, text_value FROM points"
            " WHERE series_id = ? AND time >= ? ORDER BY time LIMIT ?",
            series_id,
            start,
            PIECE_ROWS,
        )
        yield rows
        start = rows[-1][0] + 1 if len(rows) == PIECE_ROWS else INT64_MAX + 1


def _field(sql: Sql, project_id: int, namespace: str, name: str) -> tuple[int, Kind]:
    row = sql.one(
        "SELECT field_id, kind FROM namespaces JOIN fields USING (namespace_id)"
        " WHERE project_id = ? AND namespace_name = ? AND field_name = ?",
        project_id,
        namespace,
        name,
    )
    if row is None:
        raise NotFound(f"project {project_id} has no series {name!r} in namespace {namespace!r}")
    return row[0], Kind(row[1])


def _of_field(sql: Sql, field_id: int) -> list[tuple[int, str]]:
    return sql.many(
        "SELECT series_id, device_id FROM series WHERE field_id = ? ORDER BY device_id", field_id
    )
