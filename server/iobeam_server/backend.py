"""A whole backend in this process: database, writer, application, HTTP server."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import NamedTuple, Optional

from iobeam_server import keyring
from iobeam_server.app import create_app
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, NotFound
from iobeam_server.metrics import Metrics
from iobeam_server.serving import ApiServer
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import Project, Storage
from iobeam_server.tokens import READ, WRITE, TokenSigner
from iobeam_server.writer import Writer

FIRST_PROJECT = "default"
# While a thread computes, SQLite waits for the interpreter lock at every statement; 5 ms, the
# default, cost 35-50 % of the writer's rows per second with one busy thread beside it.
SWITCH_INTERVAL_S = 0.0005
SPARE_DESCRIPTORS = 200  # beside the connections: database, temporary files, logs


class FirstStart(NamedTuple):
    """What the first start on a database made."""

    project: Project
    token: str


class Backend:
    """Owns the parts and their order of closing. Use as a context manager.

    Args:
        url: of the database.
        config: the settings.

    Raises:
        ConfigError: database or address cannot be used.
    """

    def __init__(self, url: str, config: Config) -> None:
        self.config = config
        with contextlib.ExitStack() as undo:
            self.store = open_storage(url, config)
            undo.callback(self.store.close)
            metrics = Metrics()
            self._writer = Writer(
                self.store, config.group_values, config.high_water_values, metrics
            )
            undo.callback(self._writer.close)
            self.app = create_app(self.store, self._writer, config, metrics=metrics)
            self.server = ApiServer(self.app, config, metrics)
            undo.callback(self.server.close_all)
            # last: a token made before the address turned out to be taken would never be shown
            self.first_start = first_project(self.store, config)
            self._undo = undo.pop_all()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(self) -> None:
        """Serve in this thread until `stop`; finishes the requests in flight."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        _raise_descriptor_limit(self.config.connection_limit + SPARE_DESCRIPTORS)
        self.server.run()

    def start(self) -> threading.Thread:
        """Serve in a thread of its own."""
        thread = threading.Thread(target=self.run, name="iobeam-http", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Make `run` return; safe in a signal handler."""
        self.server.stop()

    def close(self) -> None:
        """Close sockets, writer and database, in this order; after `run` has returned."""
        self._undo.close()


def first_project(store: Storage, config: Config) -> Optional[FirstStart]:
    """Create project 1 and its first token on an empty database."""
    signer = TokenSigner(keyring.signing_keys(store, config))
    project = store.create_first_project(FIRST_PROJECT, int(time.time()))
    if project is None:
        return None
    token, _ = signer.issue(project.project_id, READ | WRITE, config.token_life_s)
    return FirstStart(project, token)


def issue_token(
    store: Storage,
    project_id: int,
    permissions: int,
    life_s: int,
    device_id: Optional[str],
    refreshable: bool,
    config: Optional[Config] = None,
) -> str:
    """Return a new token; raises NotFound when there is no such project."""
    if store.project(project_id) is None:
        raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
    keys = keyring.signing_keys(store, config or Config())
    token, _ = TokenSigner(keys).issue(
        project_id, permissions, life_s, device_id=device_id, refreshable=refreshable
    )
    return token


def write_secret(path: str, secret: str) -> str:
    """Write a secret to a file that only its owner reads; returns the absolute path."""
    path = os.path.abspath(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # O_EXCL below: never into a file or link that somebody put there
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    return path


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
