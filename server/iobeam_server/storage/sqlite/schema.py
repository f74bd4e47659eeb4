"""Schema of the SQLite engine, as the steps that lead to it.

`PRAGMA user_version` counts the steps that a file has been through. A step is
never changed once released; a new one is appended.
"""

from __future__ import annotations

import sqlite3

from iobeam_server.errors import ConfigError
from iobeam_server.storage.catalog import keys
from iobeam_server.storage.sqlite.sql import SqliteSql

LEAST_SQLITE = (3, 24)  # of June 2018: ON CONFLICT DO UPDATE and DO NOTHING

_STEP_1 = (
    """CREATE TABLE signing_keys (
        key_id INTEGER PRIMARY KEY AUTOINCREMENT,
        secret BLOB NOT NULL,
        created INTEGER NOT NULL)""",
    """CREATE TABLE revocations (
        project_id INTEGER NOT NULL,
        device_id TEXT NOT NULL,  -- '' = every token of the project
        before_s REAL NOT NULL,
        PRIMARY KEY (project_id, device_id)) WITHOUT ROWID""",
    # AUTOINCREMENT: an id is never given twice, so an old token never fits a new project
    """CREATE TABLE projects (
        project_id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_name TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL)""",
    """CREATE TABLE devices (
        project_id INTEGER NOT NULL REFERENCES projects,
        device_id TEXT NOT NULL,
        device_name TEXT NOT NULL,
        device_type TEXT,
        created INTEGER NOT NULL,
        PRIMARY KEY (project_id, device_id),
        UNIQUE (project_id, device_name)) WITHOUT ROWID""",
    """CREATE TABLE namespaces (
        namespace_id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES projects,
        namespace_name TEXT NOT NULL,
        partitioning_field TEXT NOT NULL,
        labels TEXT NOT NULL,  -- JSON object
        created INTEGER NOT NULL,
        last_modified INTEGER NOT NULL,
        UNIQUE (project_id, namespace_name))""",
    # the kind of a field holds for the project, whatever device sends it
    """CREATE TABLE fields (
        field_id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace_id INTEGER NOT NULL REFERENCES namespaces,
        field_name TEXT NOT NULL,
        kind INTEGER NOT NULL,  -- 1 number, 2 boolean, 3 text
        UNIQUE (namespace_id, field_name))""",
    # data outlive a registration, so this refers to no device
    """CREATE TABLE series (
        series_id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace_id INTEGER NOT NULL REFERENCES namespaces,
        device_id TEXT NOT NULL,  -- '' = under no device
        field_id INTEGER NOT NULL REFERENCES fields,
        UNIQUE (namespace_id, device_id, field_id))""",
    # WITHOUT ROWID: the primary key is the table, a time range of a series is one run of pages
    """CREATE TABLE points (
        series_id INTEGER NOT NULL,
        time INTEGER NOT NULL,  -- us since the epoch
        int_value INTEGER,      -- integers and booleans, exact
        real_value REAL,
        text_value TEXT,
        PRIMARY KEY (series_id, time)) WITHOUT ROWID""",
    """CREATE VIEW iobeam_points
        (project_id, namespace, device_id, series, time, value, text_value) AS
        SELECT n.project_id, n.namespace_name, s.device_id, f.field_name, p.time,
               CAST(coalesce(p.int_value, p.real_value) AS REAL), p.text_value
        FROM namespaces n
        JOIN series s USING (namespace_id)
        JOIN fields f ON f.field_id = s.field_id
        JOIN points p USING (series_id)""",
)

_STEP_2 = (
    """CREATE TABLE users (
        user_id INTEGER PRIMARY KEY AUTOINCREMENT,
        username TEXT NOT NULL,
        email TEXT NOT NULL,
        first_name TEXT,
        last_name TEXT,
        company_name TEXT,
        url TEXT,
        created INTEGER NOT NULL,
        tokens_after REAL NOT NULL,
        password_hash TEXT NOT NULL)""",
    # user names and e-mails together: either signs in, so no name may be somebody's e-mail
    """CREATE TABLE user_names (
        name_key TEXT PRIMARY KEY,  -- case folded
        user_id INTEGER NOT NULL REFERENCES users) WITHOUT ROWID""",
    """CREATE TABLE permissions (
        project_id INTEGER NOT NULL REFERENCES projects,
        user_id INTEGER NOT NULL REFERENCES users,
        permissions INTEGER NOT NULL,
        PRIMARY KEY (project_id, user_id)) WITHOUT ROWID""",
    "CREATE INDEX permissions_of_user ON permissions (user_id)",
    """CREATE TABLE invites (
        digest TEXT PRIMARY KEY,
        expires INTEGER NOT NULL) WITHOUT ROWID""",
)

# Tokens of 1.0.0 carry no number, which counts as 0; so does a revocation of before. New tokens
# begin at 1.
_STEP_3 = (
    "ALTER TABLE revocations ADD COLUMN number INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE users ADD COLUMN password_number INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE revision (number INTEGER NOT NULL PRIMARY KEY)",
    "INSERT INTO revision (number) VALUES (1)",
    """CREATE TABLE adoptions (
        number INTEGER NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        project_id INTEGER NOT NULL REFERENCES projects,
        permissions INTEGER NOT NULL,
        device_id TEXT,  -- NULL = every device
        created INTEGER NOT NULL)""",
)

# See `storage.catalog.summaries`. Sums of integers in halves, which cannot overflow; the least
# and the greatest have no type, so that an integer stays one.
_STEP_4 = (
    """CREATE TABLE summaries (
        series_id INTEGER NOT NULL,
        width INTEGER NOT NULL,  -- us, of an hour or a day
        start INTEGER NOT NULL,  -- us
        points INTEGER NOT NULL,
        int_high INTEGER,
        int_low INTEGER,
        real_sum REAL,
        least,
        greatest,
        first INTEGER NOT NULL,  -- us
        last INTEGER NOT NULL,   -- us
        PRIMARY KEY (series_id, width, start)) WITHOUT ROWID""",
    # times of which there are summaries, of whole hours
    """CREATE TABLE summed (
        series_id INTEGER NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (series_id, since)) WITHOUT ROWID""",
    # those among them whose points have changed
    """CREATE TABLE stale_hours (
        series_id INTEGER NOT NULL,
        start INTEGER NOT NULL,
        PRIMARY KEY (series_id, start)) WITHOUT ROWID""",
)

STEPS = (_STEP_1, _STEP_2, _STEP_3, _STEP_4)


def migrate(sql: SqliteSql) -> None:
    """Bring a file to the newest schema, and see that it has a signing key.

    All in one transaction: several processes may start on one file at once.

    Raises:
        ConfigError: SQLite is too old, the file was written by a newer version of this
            program, or holds something else.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise ConfigError(
            f"this Python has SQLite {sqlite3.sqlite_version}, {least} or newer is needed; "
            "take a newer Python, or PostgreSQL"
        )
    sql.execute("BEGIN IMMEDIATE")
    try:
        version = sql.one("PRAGMA user_version")[0]
        if version > len(STEPS):
            raise ConfigError(
                f"the database has schema {version}, this program knows {len(STEPS)}: "
                "it was written by a newer iobeam-server"
            )
        if version == 0 and sql.has("SELECT 1 FROM sqlite_master"):
            raise ConfigError("the file is a database of another program")
        for step in STEPS[version:]:
            for statement in step:
                sql.execute(statement)
        if version < len(STEPS):
            sql.execute(f"PRAGMA user_version = {len(STEPS)}")
        keys.make_first(sql)
    except BaseException:
        sql.execute("ROLLBACK")
        raise
    sql.execute("COMMIT")
