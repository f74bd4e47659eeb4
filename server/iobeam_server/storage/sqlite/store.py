"""SQLite engine: one file, one writing connection, a few reading ones.

WAL lets readers go on while a transaction is written; `synchronous=FULL` syncs
the log at every commit, so what was answered survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import ConfigError, ServerError, StorageDefect, StorageUnavailable
from iobeam_server.storage.base import Batch, Size
from iobeam_server.storage.catalog.sql import Sql
from iobeam_server.storage.catalog.sumsql import Statement
from iobeam_server.storage.circuit import Circuit
from iobeam_server.storage.sqlite import schema, upkeep
from iobeam_server.storage.sqlite.file import OpenedFile
from iobeam_server.storage.sqlite.read import PointsInFile
from iobeam_server.storage.sqlite.sql import SqliteSql
from iobeam_server.storage.sqlite.write import BatchWriter
from iobeam_server.storage.store import Storage
from iobeam_server.storage.upkeep import Contents, empty

IDLE_READERS = 32  # kept open between requests: one per server thread
READ_BUSY_S = 5.0  # readers wait for nobody, unless another program locks all others out
SUMMING_WAIT_S = 1.0  # for who writes; then points are added up as they are
STEPS = 500_000  # of SQLite between two looks at the deadline: some 5 to 50 ms
# what lasts, among SQLite's primary result codes: ERROR, CONSTRAINT, MISMATCH, MISUSE, RANGE
_DEFECTS = {1, 19, 20, 21, 25}
_BUSY = {5, 6}


class _Limit:
    """What SQLite asks every `STEPS`: whether to go on.

    `Connection.interrupt` would be lost where it comes just before a statement, and would hit
    the next one where it comes just after.
    """

    deadline: Optional[Deadline] = None

    def __call__(self) -> int:
        return self.deadline is not None and self.deadline.is_over


class _Reader(SqliteSql):
    """A connection that only reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.limit = _Limit()
        connection.set_progress_handler(self.limit, STEPS)


class SqliteStorage(PointsInFile, Storage):
    """A database in one file, which several processes may have open.

    Args:
        path: of the file; made, with mode 0600, when absent (it holds the signing keys).
        busy_timeout_s: how long to wait for the write lock of another process, or thread.

    Raises:
        ConfigError: the file cannot be opened, or is no database of ours.
    """

    def __init__(self, path: str, busy_timeout_s: float = 30.0) -> None:
        super().__init__()
        self._path = os.path.abspath(path)
        self._busy_timeout_s = busy_timeout_s
        self._closed = False
        self._temporary_folder: Optional[str] = None
        self._write_lock = threading.Lock()
        self._idle: queue.LifoQueue[_Reader] = queue.LifoQueue()
        self._circuit = Circuit(self._probe)
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._writer = SqliteSql(self._open())
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"cannot use database file {self._path}: {error}") from error
        try:
            schema.migrate(self._writer)
        except (sqlite3.Error, ConfigError) as error:
            self._writer.connection.close()
            if isinstance(error, ConfigError):
                raise ConfigError(f"{self._path}: {error}") from None
            raise ConfigError(f"cannot use database file {self._path}: {error}") from error
        self._batches = BatchWriter(self._writer)
        self._file = OpenedFile(self._path)

    def close(self) -> None:
        self._circuit.close()
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            self._drop_idle()
            self._writer.connection.close()
            self._file.close()

    def use_temporary_folder(self, path: str) -> None:
        # of the whole process; a SQLite built without it stays with the system's
        quoted = path.replace("'", "''")
        self._writer.execute(f"PRAGMA temp_store_directory = '{quoted}'")
        self._temporary_folder = path

    # -- points ----------------------------------------------------------------

    def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        with self._transaction():
            return self._batches.write(batches)

    def fetched(self, sql: str, values: Sequence[Any], at_once: int) -> Iterator[list[Any]]:
        with self.reading() as reader:
            cursor = reader.connection.execute(sql, values)
            while rows := cursor.fetchmany(at_once):
                yield rows
                deadlines.check()

    def planned(self, plan: Callable[[Sql], Statement], at_once: int) -> Iterator[list[Any]]:
        with self.snapshot() as reader:
            sql, values = plan(reader)
            cursor = reader.execute(sql, *values)
            while rows := cursor.fetchmany(at_once):
                yield rows
                deadlines.check()

    # -- upkeep ----------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        with self.reading() as sql:
            yield from upkeep.problems(sql)
        yield from self.summaries.problems()

    def backup(self, path: str) -> None:
        with self.reading() as sql:
            upkeep.backup(sql.connection, path)

    def size(self) -> Size:
        with self.reading() as sql:
            return upkeep.size(sql, self._path)

    def compact(self, full: bool) -> None:
        with self._write_lock, _translated():
            self._drop_idle()  # one that reads an older state keeps the file from shrinking
            folder = self._temporary_folder or tempfile.gettempdir()
            upkeep.compact(self._writer.connection, self._path, folder)

    def divide(self, chunk_us: int) -> bool:
        raise ConfigError("a SQLite file has no chunks; TimescaleDB is an extension of PostgreSQL")

    def distribute(self, shards: int) -> bool:
        raise ConfigError(
            "a SQLite file has no shards; Citus is an extension of PostgreSQL, to which "
            "iobeam-server migrate moves the data"
        )

    def layout(self) -> Optional[str]:
        return None

    def drop_chunk(self, before_us: int) -> Optional[int]:
        return None

    @contextlib.contextmanager
    def taking_out(self) -> Iterator[Contents]:
        with self.writing() as sql:
            yield upkeep.SqliteContents(sql.connection)

    @contextlib.contextmanager
    def putting_in(self) -> Iterator[Contents]:
        with self.writing() as sql:
            empty(sql)
            yield upkeep.SqliteContents(sql.connection)

    # -- connections -----------------------------------------------------------

    @contextlib.contextmanager
    def reading(self) -> Iterator[SqliteSql]:
        self._file.check()
        deadline = deadlines.current.get()
        with _translated(deadline):
            try:
                sql = self._idle.get_nowait()
            except queue.Empty:
                sql = _Reader(self._open(read_only=True))
            sql.limit.deadline = deadline
            try:
                yield sql
            except BaseException:
                sql.connection.close()
                raise
            sql.limit.deadline = None
            if self._closed or self._idle.qsize() >= IDLE_READERS:
                sql.connection.close()
            else:
                self._idle.put(sql)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SqliteSql]:
        with self.reading() as sql:  # one that ends with an error is closed
            sql.execute("BEGIN")
            yield sql
            sql.execute("COMMIT")

    @contextlib.contextmanager
    def writing(self) -> Iterator[SqliteSql]:
        with self._transaction() as sql:
            # its own connection's changes do not show in PRAGMA data_version
            self._batches.forget()
            yield sql

    taking_away = writing

    @contextlib.contextmanager
    def summing(self) -> Iterator[SqliteSql]:
        with self._transaction(SUMMING_WAIT_S) as sql:
            self._batches.forget()
            yield sql

    @contextlib.contextmanager
    def _transaction(self, wait_s: Optional[float] = None) -> Iterator[SqliteSql]:
        """A transaction that writes; None waits for others as long as they may take."""
        self._circuit.check()
        most_s = self._busy_timeout_s if wait_s is None else wait_s
        # another thread may have this store's lock while it waits itself
        if not self._write_lock.acquire(timeout=most_s):
            raise StorageUnavailable(
                f"others have been writing to the database for {most_s:g} s", retry_after_s=5
            )
        try:
            with _translated():
                self._file.check(now=True)
                sql = self._writer
                self._begin(sql, wait_s)
                try:
                    yield sql
                    sql.execute("COMMIT")
                except BaseException:
                    self._batches.forget()
                    with contextlib.suppress(sqlite3.Error):  # never hide the first error
                        sql.execute("ROLLBACK")
                    raise
        finally:
            self._write_lock.release()

    def _begin(self, sql: SqliteSql, wait_s: Optional[float]) -> None:
        """Take the file's lock, which another process may hold for as long as it likes."""
        self._circuit.check()  # who had this store's lock may have found out
        if wait_s is not None:
            sql.execute(f"PRAGMA busy_timeout = {int(wait_s * 1_000)}")
        try:
            sql.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if wait_s is None and _code(error) in _BUSY:
                self._circuit.suspect()
            raise
        finally:
            if wait_s is not None:
                sql.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout_s * 1_000)}")

    def _probe(self) -> None:
        """Ask whether the file can be written to."""
        with contextlib.closing(self._open(read_only=True, busy_timeout_s=0)) as connection:
            connection.execute("PRAGMA query_only = OFF")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")

    def _open(
        self, read_only: bool = False, busy_timeout_s: Optional[float] = None
    ) -> sqlite3.Connection:
        if busy_timeout_s is None:
            busy_timeout_s = min(self._busy_timeout_s, READ_BUSY_S if read_only else 2**31)
        connection = sqlite3.connect(
            self._path,
            timeout=busy_timeout_s,
            isolation_level=None,  # transactions are opened by name, above
            check_same_thread=False,  # guarded by the lock or by being taken out of the queue
            cached_statements=256,
        )
        try:
            if read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _drop_idle(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().connection.close()


class _translated:  # a context manager, at a third of what a generator costs
    """Turn the driver's exceptions into ours; the deadline is of who reads."""

    __slots__ = ("_deadline",)

    def __init__(self, deadline: Optional[Deadline] = None) -> None:
        self._deadline = deadline

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if not isinstance(error, sqlite3.DatabaseError):
            return
        if self._deadline is not None:
            self._deadline.check()  # ended early: that is why
        if _code(error) in _DEFECTS:
            raise StorageDefect(f"the database refused a statement: {error}") from error
        # full, locked, read-only, corrupt, I/O error; or closed under our feet while shutting down
        message = f"the database cannot be used: {error}"
        raise StorageUnavailable(message, retry_after_s=5) from error


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 for what the driver itself refuses."""
    code = getattr(error, "sqlite_errorcode", None)  # from Python 3.11 on
    if code is not None:
        return int(code) & 0xFF
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return 19
    if "locked" in text:
        return 5
    return 1 if text.startswith(("no such ", "near ", "wrong number ", "incomplete ")) else 0
