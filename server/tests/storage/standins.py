"""Stand-ins for Citus 13: its names and argument types, in the schema of one test.

A shard is a row in a table here, and the points stay where they are: what Citus makes of a
statement is seen on a real one only (`IOBEAM_TEST_POSTGRES`). `storage.statements` holds every
statement to what it is known to refuse.
"""

from __future__ import annotations

import contextlib
from typing import Any

COORDINATOR = 0
WORKERS = (1, 2)

CITUS = (
    "CREATE TABLE pg_dist_local_group (groupid int)",
    "INSERT INTO pg_dist_local_group VALUES (0)",
    "CREATE TABLE pg_dist_node (groupid int, nodename text, nodeport int)",
    "INSERT INTO pg_dist_node VALUES (0, 'hub', 5432), (1, 'east', 5432), (2, 'west', 5433)",
    "CREATE TABLE pg_dist_partition (logicalrelid regclass, beside text)",
    "CREATE TABLE pg_dist_shard (logicalrelid regclass, shardid bigint)",
    "CREATE TABLE pg_dist_placement (shardid bigint, groupid int)",
    "CREATE TABLE truncated (relation regclass)",
    """CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text,
        distribution_type text DEFAULT 'hash', colocate_with text DEFAULT 'default')
    RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        ASSERT distribution_column = 'series_id' AND distribution_type = 'hash';
        INSERT INTO pg_dist_partition VALUES (table_name, colocate_with);
        INSERT INTO pg_dist_shard SELECT table_name, table_name::oid::bigint * 1000 + n
            FROM generate_series(1, current_setting('citus.shard_count')::int) AS n;
        INSERT INTO pg_dist_placement SELECT shardid, 1 + shardid % 2
            FROM pg_dist_shard WHERE logicalrelid = table_name;
    END $$""",
    """CREATE FUNCTION truncate_local_data_after_distributing_table(function_name regclass)
    RETURNS void LANGUAGE sql AS 'INSERT INTO truncated VALUES (function_name)'""",
    """CREATE FUNCTION citus_total_relation_size(logicalrelid regclass,
        fail_on_error boolean DEFAULT true) RETURNS bigint LANGUAGE sql AS 'SELECT 1000000'""",
)


def install_citus(connection: Any) -> None:
    """Make them in the schema that a connection uses."""
    for statement in CITUS:
        connection.execute(statement)


def is_real(connection: Any) -> bool:
    """Say whether a database has Citus itself: then nothing stands in for it."""
    found = connection.execute("SELECT to_regclass('pg_catalog.pg_dist_partition')").fetchone()
    return bool(found[0] is not None)


def distributed(url: str) -> None:
    """Make an empty database whose points are spread, as far as the stand-ins go."""
    import psycopg

    from iobeam_server.storage.postgres.store import PostgresStorage

    with psycopg.connect(url, autocommit=True) as connection:
        if not is_real(connection):
            install_citus(connection)
    with contextlib.closing(PostgresStorage(url, connections=3)) as store:
        assert store.distribute(8)
