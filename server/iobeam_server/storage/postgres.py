"""PostgreSQL engine: one database, any number of server processes.

Decisions that two processes could take at once are left to the database: ids,
keys, types of series. A process keeps nothing but what it can look up again.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Optional

import psycopg
import psycopg_pool

from iobeam_server.aggregates import Bucket
from iobeam_server.errors import AlreadyExists, ConfigError, ServerError, StorageUnavailable
from iobeam_server.points import Kind, Value
from iobeam_server.storage import (
    postgres_devices,
    postgres_namespaces,
    postgres_read,
    postgres_schema,
    postgres_upkeep,
    postgres_users,
)
from iobeam_server.storage.base import (
    INPUT,
    Batch,
    Device,
    Grant,
    Label,
    Namespace,
    Point,
    Project,
    Selection,
    Series,
    Storage,
    User,
)
from iobeam_server.storage.postgres_schema import CATALOG_LOCK, MIGRATION_LOCK, Connection
from iobeam_server.storage.postgres_write import INCOMING, BatchWriter
from iobeam_server.storage.upkeep import Contents, Extent, Retyped

CONNECT_TIMEOUT_S = 10  # for TCP, TLS and the password together
CONNECTION_WAIT_S = 20.0  # for one of the pool to become free, or the database to come back
RETRIES = 5  # of a transaction that lost against another one, or its connection
RETRY_PAUSE_S = 0.05  # at most, doubled each time: deadlocks take turns, they do not last
_LOST = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

_Pool = psycopg_pool.ConnectionPool[Connection]


class PostgresStorage(Storage):
    """A PostgreSQL database, shared by any number of processes.

    Args:
        url: ``postgresql://user:password@host/database``, with libpq's options.
        connections: most connections of this process, one of them for writing points.

    Raises:
        ConfigError: the database cannot be reached or used, or is not ours.
    """

    def __init__(self, url: str, connections: int = 10) -> None:
        self._migrate(url)
        self._write_lock = threading.Lock()
        self._batches = BatchWriter()
        self._pool = _pool(url, max(1, connections - 1), _prepare)
        self._writers = _pool(url, 1, _prepare_writer)
        try:
            self._pool.open(wait=True, timeout=CONNECTION_WAIT_S)
            self._writers.open(wait=True, timeout=CONNECTION_WAIT_S)
        except psycopg.Error as error:
            self.close()
            raise ConfigError(f"cannot use the database: {error}") from error

    @staticmethod
    def _migrate(url: str) -> None:
        try:
            with psycopg.connect(
                url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
            ) as connection:
                _prepare(connection)
                (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
                if encoding != "UTF8":
                    raise ConfigError(f"the database's encoding is {encoding}; it must be UTF8")
                postgres_schema.migrate(connection)
                postgres_schema.partition(connection)
        except (psycopg.Error, UnicodeError) as error:
            raise ConfigError(f"cannot use the database: {error}") from error

    def close(self) -> None:
        self._pool.close()
        self._writers.close()

    def check(self) -> None:
        self._one("SELECT count(*) FROM (SELECT FROM projects LIMIT 1) AS any_project")

    # -- keys and revocations --------------------------------------------------

    def signing_keys(self) -> Sequence[bytes]:
        rows = self._all("SELECT secret FROM signing_keys ORDER BY key_id DESC")
        return [bytes(row[0]) for row in rows]

    def revoke(self, project_id: int, device_id: Optional[str], before_s: float) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO revocations (project_id, device_id, before_s) VALUES (%s, %s, %s)"
                " ON CONFLICT (project_id, device_id) DO UPDATE SET before_s = excluded.before_s",
                (project_id, device_id or "", before_s),
            )

    def revoked_before(self, project_id: int, device_id: Optional[str]) -> float:
        row = self._one(
            "SELECT max(before_s) FROM revocations WHERE project_id = %s AND device_id IN ('', %s)",
            (project_id, device_id or ""),
        )
        return 0.0 if row is None or row[0] is None else float(row[0])

    # -- projects --------------------------------------------------------------

    def create_project(self, name: str, created: int, owner: Optional[Grant] = None) -> Project:
        with self._writing() as connection:
            made = self._insert_project(connection, name, created)
            if made is None:
                raise AlreadyExists(f"a project named {name!r} exists")
            if owner is not None:
                postgres_users.grant(connection, made.project_id, *owner)
            return made

    def create_first_project(self, name: str, created: int) -> Optional[Project]:
        with self._writing() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            if connection.execute("SELECT FROM projects LIMIT 1").fetchall():
                return None
            return self._insert_project(connection, name, created)

    @staticmethod
    def _insert_project(connection: Connection, name: str, created: int) -> Optional[Project]:
        # looked up first: an insert that does nothing would still use up an id
        row = connection.execute(
            "INSERT INTO projects (project_name, created) SELECT %s, %s"
            " WHERE NOT EXISTS (SELECT FROM projects WHERE project_name = %s)"
            " ON CONFLICT DO NOTHING RETURNING project_id",
            (name, created, name),
        ).fetchone()
        if row is None:
            return None
        labels = {"device_id:distinct": True}
        postgres_namespaces.create(connection, row[0], INPUT, "device_id", {}, labels, created)
        return Project(row[0], name, created)

    def project(self, project_id: int) -> Optional[Project]:
        row = self._one(
            "SELECT project_id, project_name, created FROM projects WHERE project_id = %s",
            (project_id,),
        )
        return row and Project(*row)

    def projects(self) -> Sequence[Project]:
        rows = self._all("SELECT project_id, project_name, created FROM projects ORDER BY 1")
        return [Project(*row) for row in rows]

    def rename_project(self, project_id: int, name: str) -> bool:
        with self._writing() as connection:
            return postgres_users.rename_project(connection, project_id, name)

    # -- users, and what they may do -------------------------------------------

    def create_user(self, user: User, password_hash: str, invite: Optional[str] = None) -> User:
        with self._writing() as connection:
            return postgres_users.create(connection, user, password_hash, invite)

    def user(self, user_id: int) -> Optional[User]:
        with self._reading() as connection:
            return postgres_users.by_id(connection, user_id)

    def credentials(self, name: str) -> Optional[tuple[User, str]]:
        with self._reading() as connection:
            return postgres_users.credentials(connection, name)

    def change_user(self, user: User) -> bool:
        with self._writing() as connection:
            return postgres_users.change(connection, user)

    def set_password(self, user_id: int, password_hash: str, changed_s: float) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE users SET password_hash = %s, tokens_after = %s WHERE user_id = %s",
                (password_hash, changed_s, user_id),
            )

    def add_invite(self, digest: str, expires: int) -> None:
        with self._writing() as connection:
            connection.execute("INSERT INTO invites VALUES (%s, %s)", (digest, expires))

    def has_invite(self, digest: str, now: int) -> bool:
        sql = "SELECT true FROM invites WHERE digest = %s AND expires > %s"
        return self._one(sql, (digest, now)) is not None

    def permissions(self, project_id: int, user_id: int) -> int:
        row = self._one(
            "SELECT permissions FROM permissions WHERE project_id = %s AND user_id = %s",
            (project_id, user_id),
        )
        return 0 if row is None else int(row[0])

    def set_permissions(self, project_id: int, user_id: int, permissions: int) -> int:
        with self._writing() as connection:
            return postgres_users.grant(connection, project_id, user_id, permissions)

    def grants(self, project_id: int) -> Sequence[Grant]:
        rows = self._all(
            "SELECT user_id, permissions FROM permissions WHERE project_id = %s ORDER BY user_id",
            (project_id,),
        )
        return [Grant(*row) for row in rows]

    def projects_of(self, user_id: int) -> Sequence[tuple[Project, int]]:
        rows = self._all(
            "SELECT project_id, project_name, created, permissions FROM permissions"
            " JOIN projects USING (project_id) WHERE user_id = %s ORDER BY project_id",
            (user_id,),
        )
        return [(Project(*row[:3]), int(row[3])) for row in rows]

    def colleagues(self, user_id: int) -> Sequence[User]:
        with self._reading() as connection:
            return postgres_users.colleagues(connection, user_id)

    # -- namespaces ------------------------------------------------------------

    def namespaces(self, project_id: int, name: Optional[str] = None) -> Sequence[Namespace]:
        with self._reading() as connection:
            return postgres_namespaces.find(connection, project_id, name)

    def create_namespace(
        self,
        project_id: int,
        name: str,
        partitioning_field: str,
        fields: Mapping[str, Kind],
        labels: Mapping[str, Label],
        created: int,
    ) -> Namespace:
        with self._writing() as connection:
            return postgres_namespaces.create(
                connection, project_id, name, partitioning_field, fields, labels, created
            )

    def change_namespace(
        self,
        project_id: int,
        namespace_id: int,
        fields: Mapping[str, Kind],
        labels: Mapping[str, Label],
        modified: int,
    ) -> None:
        with self._writing() as connection:
            postgres_namespaces.change(
                connection, project_id, namespace_id, fields, labels, modified
            )

    # -- devices ---------------------------------------------------------------

    def register_device(self, device: Device, named: bool) -> Device:
        with self._writing() as connection:
            return postgres_devices.register(connection, device, named)

    def device(self, project_id: int, device_id: str) -> Optional[Device]:
        with self._reading() as connection:
            return postgres_devices.by_id(connection, project_id, device_id)

    def device_named(self, project_id: int, name: str) -> Optional[Device]:
        with self._reading() as connection:
            return postgres_devices.by_name(connection, project_id, name)

    def devices(self, project_id: int, offset: int, count: Optional[int]) -> Sequence[Device]:
        with self._reading() as connection:
            return postgres_devices.page(connection, project_id, offset, count)

    def change_device(
        self, project_id: int, device_id: str, name: Optional[str], kind: Optional[str]
    ) -> bool:
        with self._writing() as connection:
            return postgres_devices.change(connection, project_id, device_id, name, kind)

    def delete_device(self, project_id: int, device_id: str) -> bool:
        with self._taking_away() as connection:
            return postgres_devices.delete(connection, project_id, device_id)

    # -- points ----------------------------------------------------------------

    def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        """Store many requests in one transaction; see `Storage.write`.

        Writing twice is the same as writing once, so a transaction whose connection
        was lost is repeated as well.
        """
        with self._write_lock, _translated():
            for attempt in range(RETRIES):
                try:
                    return self._write(batches)
                except (*_LOST, psycopg.OperationalError) as error:
                    if attempt == RETRIES - 1 or isinstance(error, psycopg_pool.PoolTimeout):
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
                    results.append(StorageUnavailable(f"the database refused it: {error}"))
            return results

    def _write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        try:
            with self._writers.connection() as connection, connection.transaction():
                return self._batches.write(connection, batches)
        except BaseException:
            self._batches.forget()
            raise

    def series(
        self, project_id: int, namespace: str, device_id: Optional[str], name: Optional[str]
    ) -> Sequence[Series]:
        sql = (
            "SELECT s.series_id, s.device_id, f.field_name, f.kind"
            " FROM namespaces n JOIN series s USING (namespace_id)"
            " JOIN fields f ON f.field_id = s.field_id"
            " WHERE n.project_id = %s AND n.namespace_name = %s"
        )
        values: list[object] = [project_id, namespace]
        if device_id is not None:
            sql, values = sql + " AND s.device_id = %s", [*values, device_id]
        if name is not None:
            sql, values = sql + " AND f.field_name = %s", [*values, name]
        rows = self._all(sql + " ORDER BY s.device_id, f.field_name", values)
        return [Series(row[0], row[1], row[2], Kind(row[3])) for row in rows]

    def points(self, series: Series, selection: Selection) -> Iterator[Point]:
        return chain.from_iterable(self._points(series, selection))  # no frame for each point

    def _points(self, series: Series, selection: Selection) -> Iterator[list[Point]]:
        with self._answering() as connection:
            yield from postgres_read.points(connection, series, selection)

    def buckets(
        self, series: Series, selection: Selection, width_us: Optional[int]
    ) -> Iterator[Bucket]:
        with self._answering() as connection:
            yield from postgres_read.buckets(connection, series, selection, width_us)

    def rows(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        newest: Optional[int],
    ) -> Iterator[tuple[int, int, Value]]:
        if series:
            with self._answering() as connection:
                yield from postgres_read.rows(connection, series, start, end, newest)

    def groups(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        width_us: Optional[int],
        apart: bool,
    ) -> Iterator[tuple[int, Bucket]]:
        if series:
            with self._answering() as connection:
                yield from postgres_read.groups(connection, series, start, end, width_us, apart)

    # -- upkeep ----------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        with self._reading() as connection:
            yield from postgres_upkeep.problems(connection)

    def extent(self, series_id: int) -> Optional[Extent]:
        with self._reading() as connection:
            return postgres_upkeep.extent(connection, series_id)

    def delete_points(self, series_id: int, until: int, at_most: int) -> int:
        with self._writing() as connection:
            return postgres_upkeep.delete_points(connection, series_id, until, at_most)

    def drop_series(
        self, project_id: int, namespace: str, name: str, device_id: Optional[str]
    ) -> int:
        with self._taking_away() as connection:
            return postgres_upkeep.drop_series(connection, project_id, namespace, name, device_id)

    def retype_field(
        self, project_id: int, namespace: str, name: str, kind: Kind, drop_unfit: bool
    ) -> Retyped:
        with self._taking_away() as connection:
            return postgres_upkeep.retype_field(
                connection, project_id, namespace, name, kind, drop_unfit
            )

    def backup(self, path: str) -> None:
        raise ConfigError(
            "PostgreSQL has a tool of its own: pg_dump --format=custom --file=FILE URL, and"
            " pg_restore; for a SQLite file: iobeam-server migrate URL sqlite:///FILE"
        )

    @contextlib.contextmanager
    def taking_out(self) -> Iterator[Contents]:
        with self._writing() as connection:
            yield postgres_upkeep.held_still(connection)

    @contextlib.contextmanager
    def putting_in(self) -> Iterator[Contents]:
        with self._writing() as connection:
            yield postgres_upkeep.emptied(connection)

    # -- connections -----------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _translated(), self._pool.connection() as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction; rolled back on any exception."""
        with self._reading() as connection, connection.transaction():
            yield connection

    # a cursor lives in a transaction
    _answering = _writing

    @contextlib.contextmanager
    def _taking_away(self) -> Iterator[Connection]:
        """One transaction that invalidates what the writers of all processes remember."""
        with self._writing() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (CATALOG_LOCK,))
            connection.execute("UPDATE iobeam_schema SET catalog = catalog + 1")
            yield connection

    def _one(self, sql: str, values: Sequence[object] = ()) -> Any:
        with self._reading() as connection:
            return connection.execute(sql, values).fetchone()

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._reading() as connection:
            return connection.execute(sql, values).fetchall()


def _pool(url: str, size: int, configure: Any) -> _Pool:
    return psycopg_pool.ConnectionPool(
        url,
        kwargs={"autocommit": True, "connect_timeout": CONNECT_TIMEOUT_S},
        min_size=1,
        max_size=size,
        timeout=CONNECTION_WAIT_S,
        reconnect_timeout=CONNECTION_WAIT_S,
        num_workers=1,
        configure=configure,
        check=psycopg_pool.ConnectionPool.check_connection,  # the database may have restarted
        open=False,
    )


def _prepare(connection: Connection) -> None:
    # what is read after an insert-or-nothing must be what stands there now
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED


def _prepare_writer(connection: Connection) -> None:
    _prepare(connection)
    (setting,) = connection.execute("SHOW synchronous_commit").fetchone() or ("",)
    if setting == "off":  # what has been answered 200 survives a power cut
        connection.execute("SET synchronous_commit = on")
    connection.execute(INCOMING)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's exceptions into ours."""
    try:
        yield
    except psycopg.Error as error:  # the pool's are among them
        message = f"the database cannot be used: {error}"
        raise StorageUnavailable(message, retry_after_s=5) from error
