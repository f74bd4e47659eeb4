"""TimescaleDB, for who asks for it: the points in chunks of time.

Never switched on by being there. A query that names no time looks into every chunk: at 4500 of
them it takes half a minute, and at 7500 PostgreSQL has no locks left for it.
"""

from __future__ import annotations

import psycopg

from iobeam_server.errors import ConfigError
from iobeam_server.storage.postgres.sql import PostgresSql

MAX_CHUNKS = 1_000
"""Of the points that are there when they are divided."""


def divide(sql: PostgresSql, chunk_us: int) -> bool:
    """Make the points a hypertable; the caller's transaction, in which imports wait.

    Args:
        sql: of the database.
        chunk_us: width of a chunk. Where the points are divided already it is that of new ones.

    Returns:
        False where they were divided already.

    Raises:
        ConfigError: TimescaleDB is not there or does not do it, or it would be too many chunks.
    """
    sql.alone()
    try:
        schema = _schema(sql)
        if _is_divided(sql):
            sql.execute(f"SELECT {schema}.set_chunk_time_interval('points', ?::bigint)", chunk_us)
            return False
        sql.execute("LOCK TABLE points IN ACCESS EXCLUSIVE MODE")
        chunks = sql.one("SELECT count(DISTINCT time / ?) FROM points", chunk_us)[0]
        if chunks > MAX_CHUNKS:
            raise ConfigError(
                f"the points reach over {chunks} chunks, {MAX_CHUNKS} at most are quick to "
                "query: take longer ones (--chunk)"
            )
        # integer times need the width of a chunk in their own unit
        sql.execute(
            f"SELECT {schema}.create_hypertable('points', 'time', chunk_time_interval =>"
            " ?::bigint, create_default_indexes => false, migrate_data => true)",
            chunk_us,
        )
    except psycopg.Error as error:
        raise ConfigError(f"TimescaleDB cannot be used: {error}") from error
    return True


def _schema(sql: PostgresSql) -> str:
    """Return, quoted, the schema of the extension, which is installed if it can be."""
    if not sql.has("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"):
        raise ConfigError(
            "this PostgreSQL has no TimescaleDB: install its package on the database's machine, "
            "and name it in shared_preload_libraries"
        )
    sql.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    # it may lie outside of the search path
    found = sql.one(
        "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
        " WHERE extname = 'timescaledb'"
    )
    return str(found[0])


def _is_divided(sql: PostgresSql) -> bool:
    return sql.has(
        "SELECT 1 FROM timescaledb_information.hypertables"
        " WHERE hypertable_schema = current_schema() AND hypertable_name = 'points'"
    )
