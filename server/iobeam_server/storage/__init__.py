"""Storage: one interface, its engines, and the URL that chooses among them."""

from __future__ import annotations

import os

from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.storage.base import Storage


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
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(f"database {url!r} is not a URL; write sqlite:///path/to/file.db")
    if scheme == "sqlite":
        if not rest.startswith("/") or rest.strip("/") in ("", ":memory:"):
            raise ConfigError(f"database {url!r} names no file; write sqlite:///path/to/file.db")
        if not create and not os.path.exists(rest[1:]):
            raise ConfigError(f"there is no database file {os.path.abspath(rest[1:])}")
        from iobeam_server.storage.sqlite import SqliteStorage

        return SqliteStorage(rest[1:], busy_timeout_s=config.busy_timeout_s)
    if scheme in ("postgresql", "postgres"):
        try:
            from iobeam_server.storage.postgres import PostgresStorage
        except ImportError as error:
            raise ConfigError(
                f"PostgreSQL needs a driver ({error}): pip install 'iobeam-server[postgres]'"
            ) from None
        try:
            return PostgresStorage(url, connections=config.database_connections)
        except ConfigError as error:  # libpq repeats a URL it cannot read, password and all
            raise ConfigError(error.message.replace(url, shown(url))) from None
    raise ConfigError(
        f"database {shown(url)!r}: write sqlite:///path/to/file.db or postgresql://host/database"
    )


def shown(url: str) -> str:
    """Return a URL that may be printed: without user name, password and options."""
    scheme, separator, rest = url.partition("://")
    if scheme != "sqlite":
        rest = rest.partition("?")[0]  # libpq takes a password there, too
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
