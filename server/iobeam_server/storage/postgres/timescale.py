"""TimescaleDB, for who asks for it: the points in chunks of time.

Never switched on by being there. A query that names no time looks into every chunk: at 4500 of
them it takes half a minute, and at 7500 PostgreSQL has no locks left for it. For the same reason
an import that would open many chunks is refused: one of a lifetime of weekly readings opened
thousands, and held the only writer for minutes.
"""

from __future__ import annotations

from typing import Optional

import psycopg

from iobeam_server.errors import ConfigError, Unprocessable
from iobeam_server.rules.times import to_iso
from iobeam_server.storage.base import Batch
from iobeam_server.storage.catalog import summaries
from iobeam_server.storage.postgres.sql import PostgresSql

MAX_CHUNKS = 1_000
"""Of the points that are there when they are divided."""
MAX_NEW_CHUNKS = 100
"""That one import opens; each takes some 15 ms, while nobody else writes."""

_OURS = "hypertable_schema = current_schema() AND hypertable_name = 'points'"
_CHUNKS = f"FROM timescaledb_information.chunks WHERE {_OURS}"


class Chunks:
    """How the points are divided, for those who write them.

    Args:
        width_us: of a new chunk; they begin at its multiples.
    """

    def __init__(self, width_us: int) -> None:
        self._width_us = width_us

    @classmethod
    def found(cls, sql: PostgresSql) -> Optional[Chunks]:
        """Return those of a database; None where the points are not divided."""
        width_us = _width_us(sql)
        return None if width_us is None else cls(width_us)

    def check(self, sql: PostgresSql, batch: Batch) -> None:
        """Raise Unprocessable where a batch would open too many chunks; names where."""
        columns = [column for part in batch.parts for column in part.columns if column.times]
        if not columns:
            return
        first = min(column.times[0] for column in columns) // self._width_us
        last = max(column.times[-1] for column in columns) // self._width_us
        if last - first < MAX_NEW_CHUNKS:
            return
        # one time of each: the first
        opened = {time // self._width_us: time for one in columns for time in reversed(one.times)}
        if len(opened) <= MAX_NEW_CHUNKS:
            return
        there = sql.many(f"SELECT range_start_integer, range_end_integer {_CHUNKS}")
        new = sorted(
            time for time in opened.values() if not any(lo <= time < hi for lo, hi in there)
        )
        if len(new) > MAX_NEW_CHUNKS:
            time = new[MAX_NEW_CHUNKS]
            raise Unprocessable(
                f"the row of time {to_iso(time)} ({time} us) would open chunk "
                f"{MAX_NEW_CHUNKS + 1} of one import, {MAX_NEW_CHUNKS} at most: send less time "
                f"at once, or have longer chunks than {self._width_us // 1_000_000} s "
                "(iobeam-server hypertable --chunk)",
                field="time",
            )


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
        _install(sql)
        schema = _schema(sql)
        if _width_us(sql) is not None:
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


def layout(sql: PostgresSql) -> Optional[str]:
    """Say into what chunks the points are divided; None: they are not."""
    width_us = _width_us(sql)
    if width_us is None:
        return None
    number = sql.one(f"SELECT count(*) {_CHUNKS}")[0]
    return f"hypertable, {number} chunks, new ones of {width_us // 1_000_000} s"


def drop_chunk(sql: PostgresSql, before_us: int) -> Optional[int]:
    """See `Storage.drop_chunk`; the caller's transaction, beside which nobody writes."""
    if _width_us(sql) is None:
        return None
    end = sql.one(f"SELECT min(range_end_integer) {_CHUNKS} AND range_end_integer <= ?", before_us)[
        0
    ]
    if end is None:
        return None
    # before the first chunk's end there is no other one
    points = sql.one("SELECT count(*) FROM points WHERE time < ?", end)[0]
    summaries.expire_all(sql, end - 1)
    sql.execute(f"SELECT {_schema(sql)}.drop_chunks('points', older_than => ?::bigint)", end)
    return int(points)


def _width_us(sql: PostgresSql) -> Optional[int]:
    """Return the width of new chunks; None where the points are not divided."""
    if sql.one("SELECT to_regclass('timescaledb_information.dimensions')")[0] is None:
        return None
    found = sql.one(
        f"SELECT integer_interval FROM timescaledb_information.dimensions WHERE {_OURS}"
    )
    return None if found is None else int(found[0])


def _install(sql: PostgresSql) -> None:
    if not sql.has("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"):
        raise ConfigError(
            "this PostgreSQL has no TimescaleDB: install its package on the database's machine, "
            "and name it in shared_preload_libraries"
        )
    sql.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")


def _schema(sql: PostgresSql) -> str:
    """Return, quoted, the schema of the extension: it may lie outside of the search path."""
    found = sql.one(
        "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
        " WHERE extname = 'timescaledb'"
    )
    return str(found[0])
