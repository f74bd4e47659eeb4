"""Schema of the SQLite engine, as the steps that lead to it.

`PRAGMA user_version` counts the steps that a file has been through. A step is
never changed once released; a new one is appended.
"""

from __future__ import annotations

import secrets
import sqlite3
import time

from iobeam_server.errors import ConfigError

KEY_BYTES = 32  # HS256 wants at least the 256 bits of its hash (RFC 7518 3.2)

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

STEPS = (_STEP_1, _STEP_2)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to the newest schema, and see that it has a signing key.

    All in one transaction: several processes may start on one file at once.

    Raises:
        ConfigError: the file was written by a newer version, or holds something else.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(STEPS):
            raise ConfigError(
                f"the database has schema {version}, this program knows {len(STEPS)}: "
                "it was written by a newer iobeam-server"
            )
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise ConfigError("the file is a database of another program")
        for step in STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        if version < len(STEPS):
            connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        if connection.execute("SELECT 1 FROM signing_keys").fetchone() is None:
            connection.execute(
                "INSERT INTO signing_keys (secret, created) VALUES (?, ?)",
                (secrets.token_bytes(KEY_BYTES), int(time.time())),
            )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
