"""A whole backend in this process: database, writer, application, HTTP server."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import Callable, NamedTuple, Optional

import msgspec

from iobeam_server import memory, workers
from iobeam_server.app import create_app
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.metrics import Metrics
from iobeam_server.rights import keyring
from iobeam_server.rights.tokens import READ, WRITE
from iobeam_server.serving import (
    SPARE_DESCRIPTORS,
    ApiServer,
    certificate_names,
    listen,
    tls_context,
    url_of,
)
from iobeam_server.silence import Watch
from iobeam_server.storage import open_storage, temporary_folder
from iobeam_server.storage.base import Project
from iobeam_server.storage.store import Storage
from iobeam_server.storage.urls import path_of
from iobeam_server.writer import Writer

FIRST_PROJECT = "default"
# While a thread computes, SQLite waits for the interpreter lock at every statement; 5 ms, the
# default, cost 35-50 % of the writer's rows per second with one busy thread beside it.
SWITCH_INTERVAL_S = 0.0005
KILL_AFTER_S = 10.0  # beyond the time that requests in flight get


class FirstStart(NamedTuple):
    """What the first start on a database made."""

    project: Project
    token: str


class Backend:
    """Owns the parts and their order of closing. Use as a context manager.

    Args:
        url: of the database.
        config: the settings.
        listener: a socket that listens already, see `ApiServer`.

    Raises:
        ConfigError: database or address cannot be used.
    """

    def __init__(self, url: str, config: Config, listener: Optional[socket.socket] = None) -> None:
        with contextlib.ExitStack() as undo:
            self.store = open_storage(url, config)
            undo.callback(self.store.close)
            folder = temporary_folder(self.store, url, config)
            config = msgspec.structs.replace(config, temporary_folder=folder)
            self.config = config
            metrics = Metrics()
            self._writer = Writer(
                self.store,
                config.group_values,
                config.high_water_values,
                # a turn at the lock for the group before, and one for its own
                2 * config.busy_timeout_s,
                metrics,
            )
            undo.callback(self._writer.close)
            undo.callback(Watch(self.store, metrics).close)
            self.app = create_app(self.store, self._writer, config, metrics=metrics)
            self.server = ApiServer(self.app, config, metrics, listener)
            self.url = self.server.url
            undo.callback(self.server.close_all)
            # last: a token made before the address turned out to be taken would never be shown
            self.first_start = first_project(self.store, config)
            self.project_id = least_project(self.store)
            self._undo = undo.pop_all()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def names(self) -> list[str]:
        """What its certificate calls it, names before addresses."""
        return certificate_names(self.config)

    @property
    def layout(self) -> Optional[str]:
        """See `Storage.layout`; asked by who shows it, not at the start of each worker."""
        return self.store.layout()

    def run(self) -> None:
        """Serve in this thread until `stop`; finishes the requests in flight."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        memory.keep_little()
        _raise_descriptor_limit(self.config.connection_limit + SPARE_DESCRIPTORS)
        self.server.run()

    def start(self) -> threading.Thread:
        """Serve in a thread of its own."""
        thread = threading.Thread(target=self.run, name="iobeam-http", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Make `run` return; safe in a signal handler."""
        self._writer.hurry()
        self.server.stop()

    def close(self) -> None:
        """Close sockets, writer and database, in this order; after `run` has returned."""
        self._undo.close()


class Workers:
    """A backend in several processes over one database and one listening socket.

    Args:
        url: of the database.
        config: the settings.
        count: of processes.

    Raises:
        ConfigError: database or address cannot be used, or the database takes one process only.
    """

    def __init__(self, url: str, config: Config, count: int) -> None:
        if path_of(url) is not None:
            raise ConfigError(
                f"--workers {count} needs PostgreSQL: one process alone may serve a SQLite file; "
                "leave --workers out, or move the data with iobeam-server migrate"
            )
        self._workers = workers.Workers(count, self._work, config.drain_s + KILL_AFTER_S)
        self._database = url
        self.config = config
        tls_context(config)  # what is wrong is told here, once
        self._listener = listen(config)
        self.url = url_of(self._listener, config)
        with contextlib.closing(open_storage(url, config)) as store:
            self.first_start = first_project(store, config)
            self.project_id = least_project(store)
            self.layout = store.layout()

    @property
    def names(self) -> list[str]:
        """What their certificate calls them, names before addresses."""
        return certificate_names(self.config)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; return when all processes have ended."""
        with self._listener:
            self._workers.run(on_stop=self._listener.close)

    def _work(self, until: Callable[[Callable[[], None]], None]) -> None:
        with Backend(self._database, self.config, self._listener) as backend:
            until(backend.stop)
            backend.run()


def first_project(store: Storage, config: Config) -> Optional[FirstStart]:
    """Create project 1 and its first token on an empty database."""
    project = store.projects.create_first(FIRST_PROJECT, int(time.time()))
    if project is None:
        return None
    token = keyring.issue_token(
        store, project.project_id, READ | WRITE, config.token_life_s, None, True, config
    )
    return FirstStart(project, token)


def least_project(store: Storage) -> int:
    """Return the least id of a project: that of an old script may be the only one."""
    return store.projects.all()[0].project_id  # in the order of ids


def _raise_descriptor_limit(wanted: int) -> None:
    """Lift the soft limit on open files towards what the connections need."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, target), hard))
