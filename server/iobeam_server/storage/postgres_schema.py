"""Schema of the PostgreSQL engine, as the steps that lead to it.

The table `iobeam_schema` counts the steps a database has been through; a step
is never changed once released, a new one is appended. Tables and columns are
those of the SQLite engine. Every key of the points starts with the series, so
that Citus can distribute and TimescaleDB partition them as they are. Names and
texts sort by code point (`COLLATE "C"`), as in the SQLite engine.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

import psycopg

from iobeam_server.errors import ConfigError

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]

KEY_BYTES = 32  # HS256 wants at least the 256 bits of its hash (RFC 7518 3.2)

# Advisory locks hold for the database, whoever uses it: numbers that nobody else picks by chance.
MIGRATION_LOCK = 4_620_710_001
CATALOG_LOCK = 4_620_710_002
"""Shared by those who write points, exclusive for those who take away what a writer remembers."""

CHUNK_US = 7 * 86_400 * 1_000_000  # of a TimescaleDB hypertable: a week

_STEP_1 = (
    """CREATE TABLE signing_keys (
        key_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        secret bytea NOT NULL,
        created bigint NOT NULL)""",
    """CREATE TABLE revocations (
        project_id bigint NOT NULL,
        device_id text COLLATE "C" NOT NULL,  -- '' = every token of the project
        before_s double precision NOT NULL,
        PRIMARY KEY (project_id, device_id))""",
    """CREATE TABLE projects (
        project_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        project_name text COLLATE "C" NOT NULL UNIQUE,
        created bigint NOT NULL)""",
    """CREATE TABLE devices (
        project_id bigint NOT NULL REFERENCES projects,
        device_id text COLLATE "C" NOT NULL,
        device_name text COLLATE "C" NOT NULL,
        device_type text COLLATE "C",
        created bigint NOT NULL,
        PRIMARY KEY (project_id, device_id),
        UNIQUE (project_id, device_name))""",
    """CREATE TABLE namespaces (
        namespace_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        project_id bigint NOT NULL REFERENCES projects,
        namespace_name text COLLATE "C" NOT NULL,
        partitioning_field text COLLATE "C" NOT NULL,
        labels text NOT NULL,  -- JSON object
        created bigint NOT NULL,
        last_modified bigint NOT NULL,
        UNIQUE (project_id, namespace_name))""",
    # the kind of a field holds for the project, whatever device sends it
    """CREATE TABLE fields (
        field_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace_id bigint NOT NULL REFERENCES namespaces,
        field_name text COLLATE "C" NOT NULL,
        kind smallint NOT NULL,  -- 1 number, 2 boolean, 3 text
        UNIQUE (namespace_id, field_name))""",
    # data outlive a registration, so this refers to no device
    """CREATE TABLE series (
        series_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace_id bigint NOT NULL REFERENCES namespaces,
        device_id text COLLATE "C" NOT NULL,  -- '' = under no device
        field_id bigint NOT NULL REFERENCES fields,
        UNIQUE (namespace_id, device_id, field_id))""",
    # no reference to series: a look-up per point, for a key that nobody can get wrong
    """CREATE TABLE points (
        series_id bigint NOT NULL,
        time bigint NOT NULL,  -- us since the epoch
        int_value bigint,      -- integers and booleans, exact
        real_value double precision,
        text_value text COLLATE "C",
        PRIMARY KEY (series_id, time))""",
    """CREATE VIEW iobeam_points
        (project_id, namespace, device_id, series, time, value, text_value) AS
        SELECT n.project_id, n.namespace_name, s.device_id, f.field_name, p.time,
               coalesce(p.int_value, p.real_value), p.text_value
        FROM namespaces n
        JOIN series s USING (namespace_id)
        JOIN fields f ON f.field_id = s.field_id
        JOIN points p USING (series_id)""",
)

_STEP_2 = (
    """CREATE TABLE users (
        user_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        username text COLLATE "C" NOT NULL,
        email text COLLATE "C" NOT NULL,
        first_name text,
        last_name text,
        company_name text,
        url text,
        created bigint NOT NULL,
        tokens_after double precision NOT NULL,
        password_hash text NOT NULL)""",
    # user names and e-mails together: either signs in, so no name may be somebody's e-mail
    """CREATE TABLE user_names (
        name_key text COLLATE "C" PRIMARY KEY,  -- case folded
        user_id bigint NOT NULL REFERENCES users)""",
    "CREATE INDEX names_of_user ON user_names (user_id)",
    """CREATE TABLE permissions (
        project_id bigint NOT NULL REFERENCES projects,
        user_id bigint NOT NULL REFERENCES users,
        permissions int NOT NULL,
        PRIMARY KEY (project_id, user_id))""",
    "CREATE INDEX permissions_of_user ON permissions (user_id)",
    """CREATE TABLE invites (
        digest text COLLATE "C" PRIMARY KEY,
        expires bigint NOT NULL)""",
)

STEPS = (_STEP_1, _STEP_2)


def migrate(connection: Connection) -> None:
    """Bring a database to the newest schema, and see that it has a signing key.

    One transaction under an advisory lock: many processes may start at once.

    Raises:
        ConfigError: the database was written by a newer version, or holds something else.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        version = _version(connection)
        if version > len(STEPS):
            raise ConfigError(
                f"the database has schema {version}, this program knows {len(STEPS)}: "
                "it was written by a newer iobeam-server"
            )
        for step in STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        if version < len(STEPS):
            connection.execute("UPDATE iobeam_schema SET version = %s", (len(STEPS),))
        connection.execute(
            "INSERT INTO signing_keys (secret, created) SELECT %s, %s"
            " WHERE NOT EXISTS (SELECT FROM signing_keys)",
            (secrets.token_bytes(KEY_BYTES), int(time.time())),
        )


def _version(connection: Connection) -> int:
    """Return the schema's number; 0, with the table that counts, on an empty database."""
    row = connection.execute("SELECT to_regclass('iobeam_schema'), to_regclass('points')")
    ours, points = row.fetchone() or (None, None)
    if ours is None:
        if points is not None:
            raise ConfigError("the database has tables of another program; give it one of its own")
        connection.execute("CREATE TABLE iobeam_schema (version int, catalog bigint)")
        connection.execute("INSERT INTO iobeam_schema VALUES (0, 0)")
    (version,) = connection.execute("SELECT version FROM iobeam_schema").fetchone() or (0,)
    return int(version)


def partition(connection: Connection) -> bool:
    """Make the points a TimescaleDB hypertable where that is offered and they are still empty.

    Returns:
        Whether it was done now. What stands in the way (no right to create the
        extension, library not preloaded) is logged: plain tables do as well.
    """
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            offered = connection.execute(
                "SELECT installed_version FROM pg_available_extensions WHERE name = 'timescaledb'"
            ).fetchone()
            if offered is None:
                return False
            if offered[0] is None:
                connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            return make_hypertable(connection)
    except psycopg.Error as error:
        log.warning("TimescaleDB is there, but cannot be used: %s", error)
        return False


def make_hypertable(connection: Connection) -> bool:
    """Partition the points by time, unless they are already, or hold anything."""
    done = connection.execute(
        "SELECT EXISTS (SELECT FROM timescaledb_information.hypertables"
        " WHERE hypertable_schema = current_schema() AND hypertable_name = 'points')"
        " OR EXISTS (SELECT FROM points)"
    ).fetchone()
    if done is None or done[0]:
        return False
    # integer times need the width of a chunk in their own unit
    connection.execute(
        "SELECT create_hypertable('points', 'time', chunk_time_interval => %s::bigint,"
        " create_default_indexes => false)",
        (CHUNK_US,),
    )
    return True
