"""Citus, for who asks for it: the points spread over many machines, by their series.

Only the points, and the keys of the series beside them. All else stays with the coordinator, to
which every server process connects: a new series would else need a commit on all nodes. Nodes
and their standbys are Citus' own to keep.

What this asks of the statements on points: each names its series, none reaches from a local
table or a function into points one row at a time. Newest points of many series are looked up
from `series_keys`, which lies in shards of the same series as the points.
"""

from __future__ import annotations

from typing import Optional

import psycopg

from iobeam_server.errors import ConfigError
from iobeam_server.storage.postgres.sql import Connection, PostgresSql

CACHED_CONNECTIONS = 64
"""Of a writer to each worker. Citus keeps one: each upsert then opens one for each other shard,
and small imports are ten times slower."""

HOW_TO_GET_IT = (
    "this database has no Citus: install its package on every node, name it first in "
    "shared_preload_libraries, and CREATE EXTENSION citus in this database"
)


def distribute(sql: PostgresSql, shards: int) -> bool:
    """Spread the points over the workers; the caller's transaction, beside which nobody writes.

    May be repeated: what is there stays, and missing keys of series are added.

    Args:
        sql: of the coordinator.
        shards: how many, on all workers together; of what is spread already it stays as it is.

    Returns:
        False where they were spread already.

    Raises:
        ConfigError: Citus is not there, refuses, or this is not the coordinator.
    """
    sql.alone()
    if not _has_citus(sql):
        raise ConfigError(HOW_TO_GET_IT)
    refuse_worker(sql)
    try:
        is_new = not _is_spread(sql, "points")
        sql.execute("CREATE TABLE IF NOT EXISTS series_keys (series_id bigint PRIMARY KEY)")
        add_keys(sql)
        sql.execute(f"SET LOCAL citus.shard_count = {int(shards)}")
        for table, beside in (("points", "none"), ("series_keys", "points")):
            if not _is_spread(sql, table):
                sql.execute(
                    "SELECT create_distributed_table(?::regclass, 'series_id', colocate_with => ?)",
                    table,
                    beside,
                )
                # copied to the shards; what is left here would never be seen again
                sql.execute(
                    "SELECT truncate_local_data_after_distributing_table(?::regclass)", table
                )
    except psycopg.Error as error:
        raise ConfigError(f"Citus cannot be used: {error}") from error
    return is_new


def add_keys(sql: PostgresSql) -> None:
    """Add the keys of series that lack."""
    sql.execute("INSERT INTO series_keys SELECT series_id FROM series ON CONFLICT DO NOTHING")


def lacking_keys(sql: PostgresSql) -> int:
    """Return how many series lack their key; the newest points of them are not found."""
    # fetched first: local and distributed tables do not join in every version
    row = sql.one(
        "WITH found AS MATERIALIZED (SELECT series_id FROM series_keys)"
        " SELECT count(*) FROM series WHERE series_id NOT IN (SELECT series_id FROM found)"
    )
    return int(row[0])


def refuse_worker(sql: PostgresSql) -> None:
    """Raise ConfigError at a node that is not the coordinator, which it names if it can."""
    if sql.one("SELECT to_regclass('pg_dist_local_group')")[0] is None:
        return
    group = sql.one("SELECT groupid FROM pg_dist_local_group")
    if group is None or group[0] == 0:
        return
    coordinator = sql.one("SELECT nodename, nodeport FROM pg_dist_node WHERE groupid = 0")
    where = "" if coordinator is None else f", {coordinator[0]}:{coordinator[1]}"
    raise ConfigError(
        f"this database is on a worker of Citus: give the URL of the coordinator{where}; "
        "everything goes through it"
    )


def layout(sql: PostgresSql) -> Optional[str]:
    """Say in how many shards the points are, and where; None: they are not spread."""
    if not _is_spread(sql, "points"):
        return None
    shards, workers, is_here = sql.one(
        "SELECT count(DISTINCT shardid), count(DISTINCT groupid) FILTER (WHERE groupid <> 0),"
        " count(*) FILTER (WHERE groupid = 0) > 0"
        " FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)"
        " WHERE logicalrelid = 'points'::regclass"
    )
    places = [f"{workers} worker{'' if workers == 1 else 's'}"] if workers else []
    places += ["the coordinator"] if is_here else []
    return f"{shards} shard{'' if shards == 1 else 's'} on {' and '.join(places)}"


def size(sql: PostgresSql) -> int:
    """Return the bytes that the shards take; 0 where there are none."""
    if not _is_spread(sql, "points"):
        return 0
    row = sql.one(
        "SELECT citus_total_relation_size('points') + citus_total_relation_size('series_keys')"
    )
    return int(row[0])


def prepare_writer(connection: Connection) -> None:
    """Have a connection that writes keep those to the workers, where Citus is loaded."""
    found = connection.execute("SELECT current_setting('citus.max_cached_conns_per_worker', true)")
    if found.fetchone() != (None,):
        connection.execute(f"SET citus.max_cached_conns_per_worker = {CACHED_CONNECTIONS}")


def _has_citus(sql: PostgresSql) -> bool:
    return sql.one("SELECT to_regclass('pg_dist_partition')")[0] is not None


def _is_spread(sql: PostgresSql, table: str) -> bool:
    return _has_citus(sql) and sql.has(
        "SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass(?)", table
    )
