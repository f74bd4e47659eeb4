"""Schema of the PostgreSQL engine, as the steps that lead to it.

The table `iobeam_schema` counts the steps a database has been through; a step
is never changed once released, a new one is appended. Tables and columns are
those of the SQLite engine. Every key of the points starts with the series, so
that Citus can distribute and TimescaleDB partition them as they are. Names and
texts sort by code point (`COLLATE "C"`), as in the SQLite engine.
"""

from __future__ import annotations

from iobeam_server.errors import ConfigError
from iobeam_server.storage.catalog import keys
from iobeam_server.storage.postgres.sql import PostgresSql

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

# Tokens of 1.0.0 carry no number, which counts as 0; so does a revocation of before. New tokens
# begin at 1.
_STEP_3 = (
    "ALTER TABLE revocations ADD COLUMN number bigint NOT NULL DEFAULT 0",
    "ALTER TABLE users ADD COLUMN password_number bigint NOT NULL DEFAULT 0",
    "CREATE TABLE revision (number bigint NOT NULL PRIMARY KEY)",
    "INSERT INTO revision (number) VALUES (1)",
    """CREATE TABLE adoptions (
        number bigint NOT NULL PRIMARY KEY,
        digest text COLLATE "C" NOT NULL UNIQUE,
        project_id bigint NOT NULL REFERENCES projects,
        permissions int NOT NULL,
        device_id text COLLATE "C",  -- NULL = every device
        created bigint NOT NULL)""",
)

# See `storage.catalog.summaries`.
_STEP_4 = (
    """CREATE TABLE summaries (
        series_id bigint NOT NULL,
        width bigint NOT NULL,  -- us, of an hour or a day
        start bigint NOT NULL,  -- us
        points bigint NOT NULL,
        int_sum numeric,
        real_sum double precision,
        large_sum double precision,  -- of very large ones, in parts: see postgres.sums
        int_least bigint,
        int_greatest bigint,
        real_least double precision,
        real_greatest double precision,
        first bigint NOT NULL,  -- us
        last bigint NOT NULL,   -- us
        PRIMARY KEY (series_id, width, start))""",
    # times of which there are summaries, of whole hours
    """CREATE TABLE summed (
        series_id bigint NOT NULL,
        since bigint NOT NULL,
        until bigint NOT NULL,
        PRIMARY KEY (series_id, since))""",
    # those among them whose points have changed
    """CREATE TABLE stale_hours (
        series_id bigint NOT NULL,
        start bigint NOT NULL,
        PRIMARY KEY (series_id, start))""",
)

STEPS = (_STEP_1, _STEP_2, _STEP_3, _STEP_4)


def migrate(sql: PostgresSql) -> None:
    """Bring a database to the newest schema, and see that it has a signing key.

    One transaction, the caller's, and one process at a time: many may start at once.

    Raises:
        ConfigError: the database was written by a newer version, or holds something else.
    """
    sql.alone()
    version = _version(sql)
    if version > len(STEPS):
        raise ConfigError(
            f"the database has schema {version}, this program knows {len(STEPS)}: "
            "it was written by a newer iobeam-server"
        )
    for step in STEPS[version:]:
        for statement in step:
            sql.execute(statement)
    if version < len(STEPS):
        sql.execute("UPDATE iobeam_schema SET version = ?", len(STEPS))
    keys.make_first(sql)


def _version(sql: PostgresSql) -> int:
    """Return the schema's number; 0, with the table that counts, on an empty database."""
    ours, points = sql.one("SELECT to_regclass('iobeam_schema'), to_regclass('points')")
    if ours is None:
        if points is not None:
            raise ConfigError("the database has tables of another program; give it one of its own")
        sql.execute("CREATE TABLE iobeam_schema (version int, catalog bigint)")
        sql.execute("INSERT INTO iobeam_schema VALUES (0, 0)")
    return int(sql.one("SELECT version FROM iobeam_schema")[0])
