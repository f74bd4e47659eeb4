"""PostgreSQL engine: one database, any number of server processes.

Decisions that two processes could take at once are left to the database: ids,
keys, types of series. A process keeps nothing but what it can look up again.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

import psycopg

from iobeam_server import deadlines
from iobeam_server.errors import ConfigError, ServerError, StorageDefect
from iobeam_server.storage.base import Batch, Size
from iobeam_server.storage.catalog.sumsql import Statement
from iobeam_server.storage.postgres import citus, incoming, schema, timescale, upkeep
from iobeam_server.storage.postgres.connections import (
    CONNECT_TIMEOUT_S,
    Connections,
    bounded,
    is_of_node,
    prepare,
    translated,
)
from iobeam_server.storage.postgres.read import PointsInServer
from iobeam_server.storage.postgres.sql import CATALOG_LOCK, Connection, PostgresSql
from iobeam_server.storage.postgres.write import BatchWriter
from iobeam_server.storage.store import Storage
from iobeam_server.storage.upkeep import Contents, broken, empty

RETRIES = 5  # of a transaction that lost against another one, or its connection
SUMMING_WAIT_MS = 1_000  # for writers, who wait as well; then points are added up as they are
RETRY_PAUSE_S = 0.05  # at most, doubled each time: deadlocks take turns, they do not last
_LOCKED = psycopg.errors.LockNotAvailable
_EXHAUSTED = "53"  # class of disk, memory and connections: trying again takes more of them
_LOST = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class PostgresStorage(PointsInServer, Storage):
    """A PostgreSQL database, shared by any number of processes.

    Args:
        url: ``postgresql://user:password@host/database``, with libpq's options.
        connections: most connections of this process: one writes points, three tenths look
            into the catalogue, the rest answer queries; three at least.
        lock_timeout_s: how long to wait for a lock that another transaction holds.

    Raises:
        ConfigError: the database cannot be reached or used, or is not ours.
    """

    def __init__(self, url: str, connections: int = 10, lock_timeout_s: float = 30.0) -> None:
        super().__init__()
        self._migrate(url)
        self._write_lock = threading.Lock()
        self._batches = BatchWriter()
        self._connections = Connections(url, connections, _prepare_writer, lock_timeout_s)
        try:
            self._connections.open()
        except psycopg.Error as error:
            self.close()
            raise ConfigError(f"cannot use the database: {error}") from error

    @staticmethod
    def _migrate(url: str) -> None:
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except (psycopg.Error, ValueError):  # whose text may hold any piece of the password
            raise ConfigError(
                "the URL of the database cannot be read: in its password write %40 for @, %2F for"
                " /, %3A for :, %25 for %, %23 for #, %3F for ?"
            ) from None
        try:
            with psycopg.connect(
                url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
            ) as connection:
                prepare(connection)
                (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
                if encoding != "UTF8":
                    raise ConfigError(f"the database's encoding is {encoding}; it must be UTF8")
                with connection.transaction():
                    sql = PostgresSql(connection)
                    citus.refuse_worker(sql)
                    schema.migrate(sql)
        except (psycopg.Error, ValueError) as error:
            raise ConfigError(f"cannot use the database: {error}") from error

    def close(self) -> None:
        self._connections.close()

    # -- points ----------------------------------------------------------------

    def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        """Store many requests in one transaction; see `Points.write`.

        Writing twice is the same as writing once, so a transaction whose connection
        was lost is repeated as well.
        """
        with self._write_lock, translated():
            for attempt in range(RETRIES):
                try:
                    return self._write(batches)
                except (*_LOST, psycopg.OperationalError, psycopg.InternalError) as error:
                    if attempt == RETRIES - 1 or not _is_worth_repeating(error):
                        raise
                    time.sleep(random.uniform(0, RETRY_PAUSE_S * 2**attempt))  # noqa: S311
                except psycopg.DataError:
                    if len(batches) == 1:
                        raise
                    break
            # One of them holds what the database cannot take: it must not fail its neighbours.
            results: list[Optional[ServerError]] = []
            for batch in batches:
                try:
                    results += self._write([batch])
                except psycopg.DataError as error:
                    results.append(StorageDefect(f"the database refused it: {error}"))
            return results

    def _write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        try:
            with self._connections.writing_points() as connection:
                return self._batches.write(connection, batches)
        except BaseException:
            self._batches.forget()
            raise

    def fetched(self, sql: str, values: Sequence[object], at_once: int) -> Iterator[list[Any]]:
        reading = self._connections.reading(self._connections.readers)
        with reading as connection, bounded(connection), _cursor(connection) as cursor:
            cursor.execute(sql, values)
            while rows := cursor.fetchmany(at_once):
                yield rows
                deadlines.check()

    def planned(
        self, plan: Callable[[PostgresSql], Statement], at_once: int
    ) -> Iterator[list[Any]]:
        with self.snapshot() as reader:
            sql, values = plan(reader)
            with _cursor(reader.connection) as cursor:
                cursor.execute(sql, values)
                while rows := cursor.fetchmany(at_once):
                    yield rows
                    deadlines.check()

    # -- upkeep ----------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        with self.reading() as sql:  # the files themselves are PostgreSQL's to check
            yield from broken(sql)
            lacking = citus.lacking_keys(sql) if sql.is_spread else 0
            if lacking:
                yield f"{lacking} series are not in series_keys: iobeam-server distribute adds them"
        yield from self.summaries.problems()

    def backup(self, path: str) -> None:
        raise ConfigError(
            "PostgreSQL has a tool of its own: pg_dump --format=custom --file=FILE URL, and"
            " pg_restore; for a SQLite file: iobeam-server migrate URL sqlite:///FILE"
        )

    def size(self) -> Size:
        with self.reading() as sql:
            return upkeep.size(sql)

    def compact(self, full: bool) -> None:
        with self.reading() as sql:
            upkeep.compact(sql, full)

    def divide(self, chunk_us: int) -> bool:
        with self.taking_away() as sql:  # writers look anew into what chunks there are
            return timescale.divide(sql, chunk_us)

    def distribute(self, shards: int) -> bool:
        with self.taking_away() as sql:
            return citus.distribute(sql, shards)

    def layout(self) -> Optional[str]:
        with self.reading() as sql:
            return citus.layout(sql) or timescale.layout(sql) or "plain table"

    def drop_chunk(self, before_us: int) -> Optional[int]:
        with self.taking_away() as sql:
            return timescale.drop_chunk(sql, before_us)

    @contextlib.contextmanager
    def taking_out(self) -> Iterator[Contents]:
        with self.writing() as sql:
            upkeep.hold_still(sql)
            yield upkeep.PostgresContents(sql.connection)

    @contextlib.contextmanager
    def putting_in(self) -> Iterator[Contents]:
        with self.writing() as sql:
            empty(sql)
            yield upkeep.PostgresContents(sql.connection)

    # -- connections -----------------------------------------------------------

    @contextlib.contextmanager
    def reading(self) -> Iterator[PostgresSql]:
        with self._connections.reading(self._connections.catalog) as connection:
            yield PostgresSql(connection)

    @contextlib.contextmanager
    def searching(self) -> Iterator[PostgresSql]:
        with self._connections.reading(self._connections.readers) as connection:
            yield PostgresSql(connection)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[PostgresSql]:
        reading = self._connections.reading(self._connections.readers)
        with reading as connection, bounded(connection, at_one_moment=True):
            yield PostgresSql(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[PostgresSql]:
        with translated(), self._connections.writing(self._connections.catalog) as connection:
            yield PostgresSql(connection)

    @contextlib.contextmanager
    def taking_away(self) -> Iterator[PostgresSql]:
        with self.writing() as sql:
            _keep_writers_out(sql)
            yield sql

    @contextlib.contextmanager
    def summing(self) -> Iterator[PostgresSql]:
        with translated(), self._connections.writing(self._connections.readers) as connection:
            sql = PostgresSql(connection)
            sql.execute(f"SET LOCAL lock_timeout = {SUMMING_WAIT_MS}")
            _keep_writers_out(sql)
            yield sql


def _keep_writers_out(sql: PostgresSql) -> None:
    """Wait for those who write points, and have them look up anew what they remember."""
    sql.execute("SELECT pg_advisory_xact_lock(?)", CATALOG_LOCK)
    sql.execute("UPDATE iobeam_schema SET catalog = catalog + 1")


def _is_worth_repeating(error: psycopg.Error) -> bool:
    """Say whether a transaction may succeed at once that has just failed."""
    if isinstance(error, _LOCKED):  # it was waited for as long as it may be
        return False
    if (error.sqlstate or "").startswith(_EXHAUSTED):
        return False
    return is_of_node(error) or not isinstance(error, psycopg.InternalError)


def _cursor(connection: Connection) -> psycopg.ServerCursor[tuple[Any, ...]]:
    """Return a cursor of the server's, which lives in a transaction.

    Binary: to write a double as text costs the server more than all else of a short answer.
    """
    return connection.cursor("answer", binary=True)


def _prepare_writer(connection: Connection) -> None:
    (setting,) = connection.execute("SHOW synchronous_commit").fetchone() or ("",)
    if setting == "off":  # what has been answered 200 survives a power cut
        connection.execute("SET synchronous_commit = on")
    citus.prepare_writer(connection)
    connection.execute(incoming.TABLE)
