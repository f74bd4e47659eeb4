"""Connections to PostgreSQL: how many for what, how long one waits, how a statement is ended."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

import psycopg
import psycopg_pool

from iobeam_server import deadlines
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import StorageDefect, StorageUnavailable
from iobeam_server.storage.circuit import Circuit
from iobeam_server.storage.postgres.sql import Connection

CONNECT_TIMEOUT_S = 10  # for TCP, TLS and the password together
CONNECTION_WAIT_S = 20.0  # for one of a pool to become free
LOOK_S = 1.0  # while one waits for a connection: is the database still there, and who asked?
CHECK_S = 3.0  # for a connection to say that it works
CANCEL_S = 0.5  # between two tries to end a statement
CANCELS = 3  # after which the connection is cut
SLACK_S = 1.0  # that the server's own limit is later than ours: the second line
SILENCE_S = 10  # without an answer to what was sent TCP gives up; its own limit is a quarter hour

_LIMITS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "tcp_user_timeout": SILENCE_S * 1_000,
    "keepalives_idle": SILENCE_S,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}

Pool = psycopg_pool.ConnectionPool[Connection]


class Connections:
    """The connections of one process, in three pools that do not wait for each other.

    Imports wait for `catalog` (their token) and `writers`; however long queries take, they
    have only the `readers`.

    Args:
        url: of the database.
        most: in all; at least three.
        prepare_writer: called with each new connection for writing points.
        lock_timeout_s: how long a statement waits for a lock that others hold.
    """

    def __init__(
        self,
        url: str,
        most: int,
        prepare_writer: Callable[[Connection], None],
        lock_timeout_s: float = 30.0,
    ) -> None:
        self._url = url
        self.circuit = Circuit(self._probe)
        catalog = max(1, 3 * most // 10)

        def prepare_all(connection: Connection) -> None:
            prepare(connection)
            connection.execute(f"SET lock_timeout = {int(lock_timeout_s * 1_000)}")

        def prepare_one(connection: Connection) -> None:
            prepare_all(connection)
            prepare_writer(connection)

        self.catalog = _pool(url, catalog, prepare_all)
        self.readers = _pool(url, max(1, most - 1 - catalog), prepare_all)
        self.writers = _pool(url, 1, prepare_one)

    def open(self) -> None:
        """Connect; raises psycopg.Error."""
        for pool in (self.writers, self.catalog, self.readers):
            pool.open(wait=True, timeout=CONNECTION_WAIT_S)

    def close(self) -> None:
        self.circuit.close()
        for pool in (self.readers, self.catalog, self.writers):
            pool.close()

    @contextlib.contextmanager
    def writing(self, pool: Pool) -> Iterator[Connection]:
        """A connection in a transaction, which nobody outside can end half-way."""
        with self._taken(pool, None) as connection, connection.transaction():
            yield connection

    @contextlib.contextmanager
    def writing_points(self) -> Iterator[Connection]:
        """The writer's connection; what the block begins, in its first message, is committed."""
        with self._taken(self.writers, None) as connection, _undone_on_error(connection):
            yield connection
            connection.commit()

    @contextlib.contextmanager
    def reading(self, pool: Pool) -> Iterator[Connection]:
        """A connection whose statement is cancelled when the work of this thread has to end."""
        deadline = deadlines.current.get()
        with translated(deadline), self._taken(pool, deadline) as connection:
            if deadline is None:
                yield connection
                return
            cancelling = _Cancelling(connection)
            try:
                with deadline.interrupting(cancelling.start):
                    yield connection
            finally:
                cancelling.stop()

    @contextlib.contextmanager
    def _taken(self, pool: Pool, deadline: Optional[Deadline]) -> Iterator[Connection]:
        connection = self._get(pool, deadline)
        try:
            yield connection
        finally:
            pool.putconn(connection)

    def _get(self, pool: Pool, deadline: Optional[Deadline]) -> Connection:
        ends = time.monotonic() + CONNECTION_WAIT_S
        while True:
            self.circuit.check()
            if deadline is not None:
                deadline.check()
            try:
                return pool.getconn(timeout=LOOK_S)
            except psycopg_pool.PoolTimeout as error:
                self.circuit.suspect()
                if time.monotonic() > ends:
                    raise StorageUnavailable(
                        f"all {pool.max_size} connections to the database are in use",
                        retry_after_s=5,
                    ) from error

    def _probe(self) -> None:
        """Ask by a connection of its own; those that there are may all be busy."""
        try:
            limits = {**_LIMITS, "connect_timeout": 2}
            with psycopg.connect(self._url, autocommit=True, **limits) as connection:
                check(connection)
        except psycopg.OperationalError as error:
            if not _is_full(error):
                raise


class _Cancelling:
    """Ends what a connection is at, from a thread of its own: whoever cancels must not wait.

    Tried again until the connection is given back: a cancellation that comes before the
    statement finds nothing to end. Where the server does not listen, the connection is cut.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._thread: Optional[threading.Thread] = None
        self._ended = threading.Event()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="iobeam-cancel", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when nothing more can hit the connection; a cancelled one is not used again."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._connection.close()

    def _run(self) -> None:
        for _ in range(CANCELS):
            with contextlib.suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=CANCEL_S)
            if self._ended.wait(CANCEL_S):
                return
        with contextlib.suppress(psycopg.Error, OSError):
            same = socket.socket(fileno=os.dup(self._connection.fileno()))
            with contextlib.closing(same):
                same.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def bounded(connection: Connection, at_one_moment: bool = False) -> Iterator[None]:
    """A transaction that only reads, each statement of which the server ends at the deadline.

    Args:
        connection: which has none.
        at_one_moment: all statements see the same; else each what is there when it begins.
    """
    deadline = deadlines.current.get()
    left = None if deadline is None else deadline.remaining()
    level = "REPEATABLE READ" if at_one_moment else "READ COMMITTED"
    begin = f"BEGIN ISOLATION LEVEL {level} READ ONLY"
    if left is not None:
        # one message: a setting of its own would cost a short query one more way there and back
        begin += f";SET LOCAL statement_timeout = {int((left + SLACK_S) * 1_000)}"
    connection.execute(begin, prepare=False)
    with _undone_on_error(connection):
        yield
        connection.rollback()


@contextlib.contextmanager
def _undone_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(psycopg.Error):  # never hide the first error
            connection.rollback()
        raise


def prepare(connection: Connection) -> None:
    # what is read after an insert-or-nothing must be what stands there now
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED


def check(connection: Connection) -> None:
    """Ask a connection whether it works: the database may have restarted, or hang.

    Raises:
        OperationalError: it does not, or says nothing in time; psycopg's own check would wait.
    """
    pgconn = connection.pgconn
    pgconn.send_query(b"")
    pgconn.flush()
    while pgconn.is_busy():
        if not _is_readable(pgconn.socket, CHECK_S):
            raise psycopg.OperationalError(f"the database did not answer within {CHECK_S:g} s")
        pgconn.consume_input()
    while result := pgconn.get_result():
        if result.status != psycopg.pq.ExecStatus.EMPTY_QUERY:
            raise psycopg.OperationalError("the connection is broken")


def _is_readable(descriptor: int, seconds: float) -> bool:
    if not hasattr(select, "poll"):  # Windows, where numbers do not matter to select
        return bool(select.select([descriptor], [], [], seconds)[0])
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    return bool(ready.poll(seconds * 1_000))


@contextlib.contextmanager
def translated(deadline: Optional[Deadline] = None) -> Iterator[None]:
    """Turn the driver's exceptions into ours."""
    try:
        yield
    except psycopg.Error as error:  # the pool's are among them
        if deadline is not None:
            deadline.check()  # ended early: that is why
        if not _may_pass(error):
            raise StorageDefect(f"the database refused a statement: {error}") from error
        message = f"the database cannot be used: {error}"
        raise StorageUnavailable(message, retry_after_s=5) from error


def is_of_node(error: psycopg.Error) -> bool:
    """Say whether a node of Citus failed, or was started again: it has no code of its own."""
    words = str(error)
    is_theirs = " node" in words or "failure on connection" in words
    return isinstance(error, psycopg.errors.InternalError_) and is_theirs


def _may_pass(error: psycopg.Error) -> bool:
    """Say whether the same may succeed later: connection, resources, locks, a failover, a node."""
    return is_of_node(error) or isinstance(
        error,
        (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction),
    )


def _is_full(error: psycopg.OperationalError) -> bool:
    """Say whether the server refused because of its connections: so it is there."""
    return error.sqlstate == "53300" or "connection slots" in str(error) or "too many" in str(error)


def _pool(url: str, size: int, configure: Callable[[Connection], None]) -> Pool:
    return psycopg_pool.ConnectionPool(
        url,
        kwargs={"autocommit": True, **_LIMITS},
        min_size=1,
        max_size=size,
        timeout=CONNECTION_WAIT_S,
        reconnect_timeout=LOOK_S,  # then whoever needs one tries anew, at once
        num_workers=1,
        configure=configure,
        check=check,
        open=False,
    )
