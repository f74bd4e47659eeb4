"""Storage: one interface, its engines, and the URL that chooses among them."""

from __future__ import annotations

import os
from typing import Optional

from iobeam_server import files
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.storage.store import Storage
from iobeam_server.storage.urls import path_of, scrubbed, shown


def open_storage(url: str, config: Config, create: bool = True) -> Storage:
    """Open the database a URL names, creating or migrating its schema.

    Args:
        url: ``sqlite:///data.db`` (relative), ``sqlite:////var/lib/data.db`` (absolute),
            ``postgresql://user:password@host/database`` with any options of libpq.
        config: for time limits.
        create: make a SQLite file that is not there; False refuses.

    Raises:
        ConfigError: the URL is none of these, or the database cannot be used.
    """
    try:
        return _opened(url, config, create)
    except ConfigError as error:  # libpq repeats what it cannot read, password and all
        raise ConfigError(scrubbed(error.message, url)) from None


def _opened(url: str, config: Config, create: bool) -> Storage:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(
            f"database {shown(url)!r} is not a URL; write sqlite:///path/to/file.db "
            "or postgresql://host/database"
        )
    if scheme == "sqlite":
        if not rest.startswith("/") or rest.strip("/") in ("", ":memory:"):
            raise ConfigError(
                f"database {shown(url)!r} names no file; write sqlite:///path/to/file.db"
            )
        if not create and not _is_there(rest[1:]):
            raise ConfigError(
                f"there is no database file {os.path.abspath(rest[1:])}, or it is empty; "
                "name the right one: --database URL, or IOBEAM_SERVER_DATABASE"
            )
        from iobeam_server.storage.sqlite.store import SqliteStorage

        return SqliteStorage(rest[1:], busy_timeout_s=config.busy_timeout_s)
    if scheme in ("postgresql", "postgres"):
        try:
            from iobeam_server.storage.postgres.store import PostgresStorage
        except ImportError as error:
            raise ConfigError(
                f"PostgreSQL needs a driver ({error}): from the checkout, "
                "pip install './server[postgres]'"
            ) from None
        return PostgresStorage(url, config.database_connections, config.busy_timeout_s)
    raise ConfigError(
        f"database {shown(url)!r}: write sqlite:///path/to/file.db or postgresql://host/database"
    )


def _is_there(path: str) -> bool:
    return os.path.exists(path) and not (os.path.isfile(path) and os.path.getsize(path) == 0)


def temporary_folder(store: Storage, url: str, config: Config) -> Optional[str]:
    """Make the folder for passing files, and tell the engine.

    Returns:
        The one that is asked for; else one beside a SQLite file, whose disk is meant for
        much, while /tmp is often memory; else None, the system's.

    Raises:
        ConfigError: it cannot be used.
    """
    path = config.temporary_folder
    if path is None:
        file = path_of(url)
        if file is None:
            return None
        path = f"{file}.tmp"
    path = files.make_temporary_folder(path)
    store.use_temporary_folder(path)
    return path
