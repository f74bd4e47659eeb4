"""Moving a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from iobeam_server.storage.base import Size
from iobeam_server.storage.postgres import citus
from iobeam_server.storage.postgres.sql import Connection, PostgresSql
from iobeam_server.storage.upkeep import DERIVED, PIECE_ROWS, TABLES, Contents, Table

_IDENTITIES = ("signing_keys", "projects", "users", "namespaces", "fields", "series")


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
        sql = PostgresSql(self._connection)
        if table.name == "series" and sql.is_spread:
            citus.add_keys(sql)
        return cursor.rowcount


# the tables here, and the chunks that TimescaleDB makes of them
_OURS = "FROM pg_stat_user_tables WHERE schemaname IN (current_schema(), '_timescaledb_internal')"


def size(sql: PostgresSql) -> Size:
    """See `Storage.size`; what is unused is PostgreSQL's estimate of dead rows."""
    total, unused = sql.one(
        "SELECT coalesce(sum(size), 0)::bigint,"
        " coalesce(sum(size * dead / greatest(dead + live, 1)), 0)::bigint FROM (SELECT"
        " pg_total_relation_size(relid)::numeric AS size, n_dead_tup AS dead, n_live_tup AS live"
        f" {_OURS}) AS found"
    )
    return Size(total + citus.size(sql), unused)


def compact(sql: PostgresSql, full: bool) -> None:
    """See `Storage.compact`; no transaction may be open."""
    names = ", ".join([*(table.name for table in TABLES), *DERIVED])
    sql.execute(f"VACUUM ({'FULL, ' if full else ''}ANALYZE) {names}")


def hold_still(sql: PostgresSql) -> None:
    """Read everything as of one moment, and let who writes wait."""
    names = ", ".join(table.name for table in TABLES)
    # before the first query: the snapshot is taken then, and must not be older than the locks
    sql.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    sql.execute(f"LOCK TABLE {names} IN SHARE MODE")
