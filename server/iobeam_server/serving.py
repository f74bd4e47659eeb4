"""The HTTP server of one process: a listening socket, an event loop, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from typing import Any, Optional

from iobeam_server import errors
from iobeam_server.config import Config
from iobeam_server.errors import StorageUnavailable
from iobeam_server.front import tls
from iobeam_server.front.accepting import Acceptor
from iobeam_server.front.calling import Application
from iobeam_server.front.hub import Hub
from iobeam_server.front.pools import Pools
from iobeam_server.metrics import Metrics

log = logging.getLogger(__name__)

BACKLOG = 4_096  # the kernel keeps to its own limit; one too many tries again after a second
LOOK_EVERY_S = 0.25
STOP_WORK_S = 2.0  # before a drain ends: what still runs is told, so that it can be answered


class ApiServer:
    """The HTTP server of one process.

    Args:
        application: WSGI.
        config: address, limits and times.
        metrics: where it counts what the application never sees.
        listener: a socket that listens already and that other processes take connections
            from, too; None binds the one of `config`.

    Raises:
        ConfigError: the address cannot be bound, certificate or key cannot be used.
    """

    def __init__(
        self,
        application: Application,
        config: Config,
        metrics: Optional[Metrics] = None,
        listener: Optional[socket.socket] = None,
    ) -> None:
        self._config = config
        self._context = tls_context(config)
        self._shares = listener is not None
        self._listener = listener or listen(config)
        self._listener.setblocking(False)
        host, port = self._listener.getsockname()[:2]
        self.url = url_of(self._listener, config)
        """Where clients on this machine reach it, without a path."""
        self._pools = Pools(pool_sizes(config), config.wait_s)
        self._hub = Hub(
            application,
            config,
            metrics or Metrics(),
            self._pools,
            host,
            port,
            "http" if self._context is None else "https",
        )
        self._ended = threading.Event()
        self._wake: Optional[asyncio.Event] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._is_closed = False

    @property
    def port(self) -> int:
        return self._hub.port

    @property
    def is_receiving(self) -> bool:
        """Whether a request has come in part."""
        return any(connection.is_receiving for connection in list(self._hub.connections))

    def stop(self) -> None:
        """Make `run` drain and return; safe in a signal handler and from any thread."""
        self._hub.is_stopping = True  # what is answered from here on says so
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._notice)

    def _notice(self) -> None:
        if self._wake is not None:
            self._wake.set()

    def run(self) -> None:
        """Serve until `stop`, then finish what is in flight and close everything."""
        loop = asyncio.SelectorEventLoop()
        loop.set_exception_handler(_tell)
        try:
            self._loop = loop
            loop.run_until_complete(self._serve(loop))
        finally:
            self._loop = None
            self.close_all()
            loop.close()

    def close_all(self) -> None:
        """Close the listening socket and end the threads. Idempotent; `run` does it at its end."""
        if not self._is_closed:
            self._is_closed = True
            self._listener.close()
            self._pools.close()

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._wake = asyncio.Event()
        self._hub.loop = loop
        self._pools.attach(loop)
        most = connections_possible(self._config.connection_limit)
        acceptor = Acceptor(self._hub, self._listener, most, self._context, self._shares)
        acceptor.start()
        looking = loop.create_task(self._look())
        try:
            if self._hub.is_stopping:
                self._wake.set()
            await self._wake.wait()
            acceptor.stop()
            await self._drain()
        finally:
            looking.cancel()
            acceptor.stop()
            for connection in list(self._hub.connections):
                connection.close()
            await acceptor.end()
            await asyncio.sleep(0)  # transports close in the next turn

    async def _look(self) -> None:
        """Close what has taken too long."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            for connection in list(self._hub.connections):
                connection.look(now)
            for pool in self._pools:
                pool.look(now)

    async def _drain(self) -> None:
        begun = now = time.monotonic()
        is_told = False
        while self._hub.connections and now - begun < self._config.drain_s:
            for connection in list(self._hub.connections):
                connection.drain(begun)
            if not is_told and now - begun > self._config.drain_s - STOP_WORK_S:
                is_told = True
                for pool in self._pools:
                    pool.cancel_all(StorageUnavailable("the server stops", retry_after_s=5))
            await asyncio.sleep(0.05)
            now = time.monotonic()


def listen(config: Config) -> socket.socket:
    """Bind the address of the settings.

    Raises:
        ConfigError: it cannot be bound.
    """
    address = f"{config.host}:{config.port}"
    sock: Optional[socket.socket] = None
    try:
        found = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # "localhost" may give ::1 and 127.0.0.1: the one that every client tries
        family, kind, protocol, _, place = min(found, key=lambda info: info[0] != socket.AF_INET)
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        if sock is not None:
            sock.close()
        raise errors.ConfigError(f"cannot listen on {address}: {error}") from None
    return sock


def url_of(listener: socket.socket, config: Config) -> str:
    """Return where clients on this machine reach a listening socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # shown only
    scheme = "http" if config.tls_certificate is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def certificate_names(config: Config) -> list[str]:
    """Return what a server may be called with its certificate, names before addresses."""
    context = tls_context(config)
    return [] if context is None else tls.names(context, config.tls_certificate or "")


def tls_context(config: Config) -> Optional[ssl.SSLContext]:
    """Return what speaks TLS, or None where http is spoken.

    Raises:
        ConfigError: one of certificate and key is missing, or they cannot be used.
    """
    if config.tls_certificate is None and config.tls_key is None:
        return None
    if config.tls_certificate is None or config.tls_key is None:
        raise errors.ConfigError("--tls-certificate and --tls-key go together: give both")
    return tls.context(config.tls_certificate, config.tls_key)


def pool_sizes(config: Config) -> dict[str, tuple[int, int]]:
    """Return threads and places to wait of each kind of work.

    A connection has one request at a time, so as many as there are connections may wait
    where the work is short; `Config.wait_s` bounds how long.
    """
    threads = config.threads
    return {
        # they mostly wait for a commit
        "imports": (threads, config.connection_limit),
        # they compute, and one at a time does: more would only slow everything else down
        "queries": (max(2, threads // 8), 2 * threads),
        # apart: one that reads everything may take minutes
        "exports": (max(2, threads // 8), 2 * threads),
        # as many as passwords are hashed at a time; a sign-in takes some 30 ms
        "signins": (2, 64),
        "rest": (max(2, threads // 4), config.connection_limit),
        "metrics": (1, 8),
    }


def connections_possible(wanted: int) -> int:
    """Return how many connections this process may have open."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    # a quarter, if that is all there is, for database, temporary files and logs
    return max(1, min(wanted, soft - min(SPARE_DESCRIPTORS, soft // 4)))


SPARE_DESCRIPTORS = 200  # beside the connections


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a defect of ours; what goes wrong with a connection is its client's affair."""
    error = context.get("exception")
    if not isinstance(error, (OSError, EOFError)):
        log.error("%s", context.get("message"), exc_info=error)
