"""Checking, pruning, mending and moving in PostgreSQL; the caller holds the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Optional

from iobeam_server.errors import AlreadyExists, NotFound
from iobeam_server.points import INT64_MIN, Kind
from iobeam_server.storage.postgres_schema import MIGRATION_LOCK, Connection
from iobeam_server.storage.upkeep import (
    CHECKS,
    IN_USE,
    PIECE_ROWS,
    TABLES,
    Contents,
    Extent,
    Mending,
    Retyped,
    Table,
    columns_of,
)

_IDENTITIES = ("signing_keys", "projects", "users", "namespaces", "fields", "series")


def problems(connection: Connection) -> Iterator[str]:
    """See `Upkeep.problems`; the files themselves are PostgreSQL's to check."""
    for words, sql in CHECKS:
        for row in connection.execute(sql):
            yield words.format(*row)


def extent(connection: Connection, series_id: int) -> Optional[Extent]:
    row = connection.execute(
        "SELECT count(*), min(time), max(time) FROM points WHERE series_id = %s", (series_id,)
    ).fetchone()
    return Extent(*row) if row and row[0] else None


def delete_points(connection: Connection, series_id: int, until: int, at_most: int) -> int:
    """See `Upkeep.delete_points`."""
    return connection.execute(
        "DELETE FROM points WHERE series_id = %(id)s AND time <= least(%(until)s, ("
        " SELECT time FROM points WHERE series_id = %(id)s ORDER BY time LIMIT 1 OFFSET %(skip)s))",
        {"id": series_id, "until": until, "skip": at_most - 1},
    ).rowcount


def drop_series(
    connection: Connection, project_id: int, namespace: str, name: str, device_id: Optional[str]
) -> int:
    """See `Upkeep.drop_series`."""
    field_id, _ = _field(connection, project_id, namespace, name)
    rows = connection.execute(
        "SELECT series_id FROM series WHERE field_id = %s AND device_id = coalesce(%s, device_id)",
        (field_id, device_id),
    )
    ids = [row[0] for row in rows]
    if device_id is not None and not ids:
        raise NotFound(f"device {device_id!r} has no series {name!r}")
    dropped = 0
    for one in ids:  # one by one: with the key alone TimescaleDB and Citus find their parts
        dropped += connection.execute("DELETE FROM points WHERE series_id = %s", (one,)).rowcount
        connection.execute("DELETE FROM series WHERE series_id = %s", (one,))
    connection.execute(
        "DELETE FROM fields WHERE field_id = %(id)s"
        " AND NOT EXISTS (SELECT FROM series WHERE field_id = %(id)s)",
        {"id": field_id},
    )
    return dropped


def retype_field(
    connection: Connection,
    project_id: int,
    namespace: str,
    name: str,
    kind: Kind,
    drop_unfit: bool,
) -> Retyped:
    """See `Upkeep.retype_field`."""
    field_id, old = _field(connection, project_id, namespace, name)
    mending = Mending(kind)
    series = connection.execute(
        "SELECT series_id, device_id FROM series WHERE field_id = %s ORDER BY device_id",
        (field_id,),
    ).fetchall()
    for series_id, device_id in series:
        start = INT64_MIN
        while rows := connection.execute(
            "SELECT time, int_value, real_value, text_value FROM points"
            " WHERE series_id = %s AND time >= %s ORDER BY time LIMIT %s",
            (series_id, start, PIECE_ROWS),
        ).fetchall():
            done = mending.convert(device_id, rows, old)
            kept = [(time, *columns_of(kind, value)) for time, value in done if value is not None]
            connection.execute(
                "UPDATE points SET int_value = new.i, real_value = new.r, text_value = new.t"
                " FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::text[])"
                " AS new (time, i, r, t)"
                " WHERE points.series_id = %s AND points.time = new.time",
                (*([row[at] for row in kept] for at in range(4)), series_id),
            )
            connection.execute(
                "DELETE FROM points WHERE series_id = %s AND time = ANY(%s::bigint[])",
                (series_id, [time for time, value in done if value is None]),
            )
            if len(rows) < PIECE_ROWS:
                break
            start = rows[-1][0] + 1
    result = mending.result(drop_unfit)
    connection.execute("UPDATE fields SET kind = %s WHERE field_id = %s", (int(kind), field_id))
    return result


def _field(connection: Connection, project_id: int, namespace: str, name: str) -> tuple[int, Kind]:
    row = connection.execute(
        "SELECT field_id, kind FROM namespaces JOIN fields USING (namespace_id)"
        " WHERE project_id = %s AND namespace_name = %s AND field_name = %s",
        (project_id, namespace, name),
    ).fetchone()
    if row is None:
        raise NotFound(f"project {project_id} has no series {name!r} in namespace {namespace!r}")
    return row[0], Kind(row[1])


class PostgresContents(Contents):
    """The rows of a database, within the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        columns, key = ", ".join(table.columns), ", ".join(table.key)
        with self._connection.cursor(f"all_{table.name}") as cursor:
            cursor.itersize = PIECE_ROWS
            yield from cursor.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}")

    def put(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
        columns = ", ".join(table.columns)
        shape = self._connection.execute(f"SELECT {columns} FROM {table.name} LIMIT 0").description
        assert shape is not None
        cursor = self._connection.cursor()
        with cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([column.type_code for column in shape])
            for row in rows:
                copy.write_row(row)
        if table.name in _IDENTITIES:  # COPY takes ids as they are, and leaves the counter alone
            self._connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{table.key[0]}'),"
                f" max({table.key[0]})) FROM {table.name} HAVING count(*) > 0"
            )
        return cursor.rowcount


def held_still(connection: Connection) -> PostgresContents:
    """Return everything as of one moment, with who writes waiting."""
    names = ", ".join(table.name for table in TABLES)
    # before the first query: the snapshot is taken then, and must not be older than the locks
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute(f"LOCK TABLE {names} IN SHARE MODE")
    return PostgresContents(connection)


def emptied(connection: Connection) -> PostgresContents:
    """Return the contents of a database that is not in use, without its signing key."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    for table in IN_USE:
        if connection.execute(f"SELECT FROM {table} LIMIT 1").fetchall():
            raise AlreadyExists(f"the database to fill has {table} already; take an empty one")
    connection.execute("DELETE FROM signing_keys")
    return PostgresContents(connection)
