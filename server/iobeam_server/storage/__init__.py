"""Storage: one interface, its engines, and the URL that chooses among them."""

from __future__ import annotations

from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.storage.base import Storage


def open_storage(url: str, config: Config) -> Storage:
    """Open the database a URL names, creating or migrating its schema.

    Args:
        url: ``sqlite:///data.db`` (relative), ``sqlite:////var/lib/data.db`` (absolute).
        config: for time limits.

    Raises:
        ConfigError: the URL is none of these, or the file cannot be used.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(f"database {url!r} is not a URL; write sqlite:///path/to/file.db")
    if scheme == "sqlite":
        if not rest.startswith("/") or rest.strip("/") in ("", ":memory:"):
            raise ConfigError(f"database {url!r} names no file; write sqlite:///path/to/file.db")
        from iobeam_server.storage.sqlite import SqliteStorage

        return SqliteStorage(rest[1:], busy_timeout_s=config.busy_timeout_s)
    raise ConfigError(f"database {shown(url)!r}: this version stores in sqlite:///path only")


def shown(url: str) -> str:
    """Return a URL that may be printed: without user name and password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
