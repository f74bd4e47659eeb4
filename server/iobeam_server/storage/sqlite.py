"""SQLite engine: one file, one writing connection, a few reading ones.

WAL lets readers go on while a transaction is written; `synchronous=FULL` syncs
the log at every commit, so what was answered survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Optional

from iobeam_server.aggregates import Bucket
from iobeam_server.errors import (
    AlreadyExists,
    ConfigError,
    ServerError,
    StorageUnavailable,
)
from iobeam_server.points import Kind, Value
from iobeam_server.storage import (
    sqlite_devices,
    sqlite_namespaces,
    sqlite_read,
    sqlite_schema,
    sqlite_upkeep,
    sqlite_users,
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
from iobeam_server.storage.sqlite_write import BatchWriter
from iobeam_server.storage.upkeep import Contents, Extent, Retyped

IDLE_READERS = 32  # kept open between requests: one per server thread


class SqliteStorage(Storage):
    """A database in one file, which several processes may have open.

    Args:
        path: of the file; made, with mode 0600, when absent (it holds the signing keys).
        busy_timeout_s: how long to wait for another process's write lock.

    Raises:
        ConfigError: the file cannot be opened, or is no database of ours.
    """

    def __init__(self, path: str, busy_timeout_s: float = 30.0) -> None:
        self._path = os.path.abspath(path)
        self._busy_timeout_s = busy_timeout_s
        self._closed = False
        self._write_lock = threading.Lock()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._writer = self._open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"cannot use database file {self._path}: {error}") from error
        try:
            sqlite_schema.migrate(self._writer)
        except sqlite3.Error as error:
            self._writer.close()
            raise ConfigError(f"cannot use database file {self._path}: {error}") from error
        except ConfigError as error:
            self._writer.close()
            raise ConfigError(f"{self._path}: {error}") from None
        self._batches = BatchWriter(self._writer)

    def close(self) -> None:
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            self._drop_idle()
            self._writer.close()

    def check(self) -> None:
        with self._reading() as connection:
            connection.execute("SELECT 1 FROM projects").fetchone()

    # -- keys and revocations --------------------------------------------------

    def signing_keys(self) -> Sequence[bytes]:
        rows = self._all("SELECT secret FROM signing_keys ORDER BY key_id DESC")
        return [bytes(row[0]) for row in rows]

    def revoke(self, project_id: int, device_id: Optional[str], before_s: float) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO revocations (project_id, device_id, before_s)"
                " VALUES (?, ?, ?)",
                (project_id, device_id or "", before_s),
            )

    def revoked_before(self, project_id: int, device_id: Optional[str]) -> float:
        row = self._one(
            "SELECT max(before_s) FROM revocations WHERE project_id = ? AND device_id IN ('', ?)",
            (project_id, device_id or ""),
        )
        return 0.0 if row is None or row[0] is None else float(row[0])

    # -- projects --------------------------------------------------------------

    def create_project(self, name: str, created: int, owner: Optional[Grant] = None) -> Project:
        with self._writing() as connection:
            if connection.execute(
                "SELECT 1 FROM projects WHERE project_name = ?", (name,)
            ).fetchone():
                raise AlreadyExists(f"a project named {name!r} exists")
            made = self._insert_project(connection, name, created)
            if owner is not None:
                sqlite_users.grant(connection, made.project_id, *owner)
            return made

    def create_first_project(self, name: str, created: int) -> Optional[Project]:
        with self._writing() as connection:
            if connection.execute("SELECT 1 FROM projects").fetchone():
                return None
            return self._insert_project(connection, name, created)

    @staticmethod
    def _insert_project(connection: sqlite3.Connection, name: str, created: int) -> Project:
        project_id = connection.execute(
            "INSERT INTO projects (project_name, created) VALUES (?, ?)", (name, created)
        ).lastrowid
        assert project_id is not None
        labels = {"device_id:distinct": True}
        sqlite_namespaces.create(connection, project_id, INPUT, "device_id", {}, labels, created)
        return Project(project_id, name, created)

    def project(self, project_id: int) -> Optional[Project]:
        row = self._one(
            "SELECT project_id, project_name, created FROM projects WHERE project_id = ?",
            (project_id,),
        )
        return row and Project(*row)

    def projects(self) -> Sequence[Project]:
        rows = self._all("SELECT project_id, project_name, created FROM projects ORDER BY 1")
        return [Project(*row) for row in rows]

    def rename_project(self, project_id: int, name: str) -> bool:
        with self._writing() as connection:
            return sqlite_users.rename_project(connection, project_id, name)

    # -- users, and what they may do -------------------------------------------

    def create_user(self, user: User, password_hash: str, invite: Optional[str] = None) -> User:
        with self._writing() as connection:
            return sqlite_users.create(connection, user, password_hash, invite)

    def user(self, user_id: int) -> Optional[User]:
        with self._reading() as connection:
            return sqlite_users.by_id(connection, user_id)

    def credentials(self, name: str) -> Optional[tuple[User, str]]:
        with self._reading() as connection:
            return sqlite_users.credentials(connection, name)

    def change_user(self, user: User) -> bool:
        with self._writing() as connection:
            return sqlite_users.change(connection, user)

    def set_password(self, user_id: int, password_hash: str, changed_s: float) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE users SET password_hash = ?, tokens_after = ? WHERE user_id = ?",
                (password_hash, changed_s, user_id),
            )

    def add_invite(self, digest: str, expires: int) -> None:
        with self._writing() as connection:
            connection.execute("INSERT INTO invites VALUES (?, ?)", (digest, expires))

    def has_invite(self, digest: str, now: int) -> bool:
        sql = "SELECT 1 FROM invites WHERE digest = ? AND expires > ?"
        return self._one(sql, (digest, now)) is not None

    def permissions(self, project_id: int, user_id: int) -> int:
        row = self._one(
            "SELECT permissions FROM permissions WHERE project_id = ? AND user_id = ?",
            (project_id, user_id),
        )
        return 0 if row is None else int(row[0])

    def set_permissions(self, project_id: int, user_id: int, permissions: int) -> int:
        with self._writing() as connection:
            return sqlite_users.grant(connection, project_id, user_id, permissions)

    def grants(self, project_id: int) -> Sequence[Grant]:
        rows = self._all(
            "SELECT user_id, permissions FROM permissions WHERE project_id = ? ORDER BY user_id",
            (project_id,),
        )
        return [Grant(*row) for row in rows]

    def projects_of(self, user_id: int) -> Sequence[tuple[Project, int]]:
        rows = self._all(
            "SELECT project_id, project_name, created, permissions FROM permissions"
            " JOIN projects USING (project_id) WHERE user_id = ? ORDER BY project_id",
            (user_id,),
        )
        return [(Project(*row[:3]), int(row[3])) for row in rows]

    def colleagues(self, user_id: int) -> Sequence[User]:
        with self._reading() as connection:
            return sqlite_users.colleagues(connection, user_id)

    # -- namespaces ------------------------------------------------------------

    def namespaces(self, project_id: int, name: Optional[str] = None) -> Sequence[Namespace]:
        with self._reading() as connection:
            return sqlite_namespaces.find(connection, project_id, name)

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
            return sqlite_namespaces.create(
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
            sqlite_namespaces.change(connection, project_id, namespace_id, fields, labels, modified)

    # -- devices ---------------------------------------------------------------

    def register_device(self, device: Device, named: bool) -> Device:
        with self._writing() as connection:
            return sqlite_devices.register(connection, device, named)

    def device(self, project_id: int, device_id: str) -> Optional[Device]:
        with self._reading() as connection:
            return sqlite_devices.by_id(connection, project_id, device_id)

    def device_named(self, project_id: int, name: str) -> Optional[Device]:
        with self._reading() as connection:
            return sqlite_devices.by_name(connection, project_id, name)

    def devices(self, project_id: int, offset: int, count: Optional[int]) -> Sequence[Device]:
        with self._reading() as connection:
            return sqlite_devices.page(connection, project_id, offset, count)

    def change_device(
        self, project_id: int, device_id: str, name: Optional[str], kind: Optional[str]
    ) -> bool:
        with self._writing() as connection:
            return sqlite_devices.change(connection, project_id, device_id, name, kind)

    def delete_device(self, project_id: int, device_id: str) -> bool:
        with self._writing() as connection:
            return sqlite_devices.delete(connection, project_id, device_id)

    # -- points ----------------------------------------------------------------

    def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        with self._writing(forget=False):
            return self._batches.write(batches)

    def series(
        self, project_id: int, namespace: str, device_id: Optional[str], name: Optional[str]
    ) -> Sequence[Series]:
        sql = (
            "SELECT s.series_id, s.device_id, f.field_name, f.kind"
            " FROM namespaces n JOIN series s USING (namespace_id)"
            " JOIN fields f ON f.field_id = s.field_id"
            " WHERE n.project_id = ? AND n.namespace_name = ?"
        )
        values: list[object] = [project_id, namespace]
        if device_id is not None:
            sql, values = sql + " AND s.device_id = ?", [*values, device_id]
        if name is not None:
            sql, values = sql + " AND f.field_name = ?", [*values, name]
        rows = self._all(sql + " ORDER BY s.device_id, f.field_name", values)
        return [Series(row[0], row[1], row[2], Kind(row[3])) for row in rows]

    def points(self, series: Series, selection: Selection) -> Iterator[Point]:
        return chain.from_iterable(self._points(series, selection))  # no frame for each point

    def _points(self, series: Series, selection: Selection) -> Iterator[list[Point]]:
        with self._reading() as connection:
            yield from sqlite_read.points(connection, series, selection)

    def buckets(
        self, series: Series, selection: Selection, width_us: Optional[int]
    ) -> Iterator[Bucket]:
        with self._reading() as connection:
            yield from sqlite_read.buckets(connection, series, selection, width_us)

    def rows(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        newest: Optional[int],
    ) -> Iterator[tuple[int, int, Value]]:
        if series:
            with self._reading() as connection:
                yield from sqlite_read.rows(connection, series, start, end, newest)

    def groups(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        width_us: Optional[int],
        apart: bool,
    ) -> Iterator[tuple[int, Bucket]]:
        if series:
            with self._reading() as connection:
                yield from sqlite_read.groups(connection, series, start, end, width_us, apart)

    # -- upkeep ----------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        with self._reading() as connection:
            yield from sqlite_upkeep.problems(connection)

    def extent(self, series_id: int) -> Optional[Extent]:
        with self._reading() as connection:
            return sqlite_upkeep.extent(connection, series_id)

    def delete_points(self, series_id: int, until: int, at_most: int) -> int:
        with self._writing() as connection:
            return sqlite_upkeep.delete_points(connection, series_id, until, at_most)

    def drop_series(
        self, project_id: int, namespace: str, name: str, device_id: Optional[str]
    ) -> int:
        with self._writing() as connection:
            return sqlite_upkeep.drop_series(connection, project_id, namespace, name, device_id)

    def retype_field(
        self, project_id: int, namespace: str, name: str, kind: Kind, drop_unfit: bool
    ) -> Retyped:
        with self._writing() as connection:
            return sqlite_upkeep.retype_field(
                connection, project_id, namespace, name, kind, drop_unfit
            )

    def backup(self, path: str) -> None:
        with self._reading() as connection:
            sqlite_upkeep.backup(connection, path)

    @contextlib.contextmanager
    def taking_out(self) -> Iterator[Contents]:
        with self._writing() as connection:
            yield sqlite_upkeep.SqliteContents(connection)

    @contextlib.contextmanager
    def putting_in(self) -> Iterator[Contents]:
        with self._writing() as connection:
            yield sqlite_upkeep.emptied(connection)

    # -- connections -----------------------------------------------------------

    def _open(self, read_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_s,
            isolation_level=None,  # transactions are opened by name, below
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

    @contextlib.contextmanager
    def _writing(self, forget: bool = True) -> Iterator[sqlite3.Connection]:
        """One durable transaction on the writing connection; rolled back on any exception.

        `forget` drops what the batch writer remembers of devices and series: its own
        connection's changes do not show in `PRAGMA data_version`.
        """
        with self._write_lock, _translated():
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            if forget:
                self._batches.forget()
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._batches.forget()
                with contextlib.suppress(sqlite3.Error):  # never hide the first error
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _translated():
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._open(read_only=True)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if self._closed or self._idle.qsize() >= IDLE_READERS:
                connection.close()
            else:
                self._idle.put(connection)

    def _drop_idle(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _one(self, sql: str, values: Sequence[object] = ()) -> Any:
        with self._reading() as connection:
            return connection.execute(sql, values).fetchone()

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._reading() as connection:
            return connection.execute(sql, values).fetchall()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's exceptions into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # full, locked, read-only, corrupt, I/O error; or closed under our feet while shutting down
        message = f"the database cannot be used: {error}"
        raise StorageUnavailable(message, retry_after_s=5) from error
