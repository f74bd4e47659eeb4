"""New connections: taken as long as there is room, which those silent longest make."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import sys
import time
from collections.abc import Iterable
from typing import Any, Optional

from iobeam_server.front.connection import Connection
from iobeam_server.front.hub import Hub

log = logging.getLogger(__name__)

AT_ONCE = 64  # connections taken before others have their turn
HANDSHAKE_S = 10.0  # of TLS
TLS_END_S = 2.0  # what the other side gets to say goodbye
FULL_PAUSE_S = 0.5  # where the machine has no descriptor or memory for another one
TELL_EVERY_S = 10.0
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Takes connections from a listening socket.

    Args:
        hub: where they are kept.
        listener: not blocking.
        most: connections in all.
        context: speaks TLS, or None.
        shares: other processes take connections from the socket, too.
    """

    def __init__(
        self,
        hub: Hub,
        listener: socket.socket,
        most: int,
        context: Optional[ssl.SSLContext],
        shares: bool = False,
    ) -> None:
        self._hub = hub
        self._listener = listener
        self._most = most
        self._most_of_one = max(1, min(hub.config.connections_per_address, most))
        self._context = context
        self._at_once = 1 if shares else AT_ONCE  # or one process would take them all
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = 0  # to make room, since that was last told
        self._told = -TELL_EVERY_S

    def start(self) -> None:
        self._hub.loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """Refuse new connections from here on."""
        if self._listener.fileno() >= 0:
            self._hub.loop.remove_reader(self._listener)
            self._listener.close()

    async def end(self) -> None:
        """Give up handshakes."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(self._at_once):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._wait_for_room(error)
                return
            self._take(sock, address)

    def _wait_for_room(self, error: OSError) -> None:
        """The listener stays readable: looking again at once would be a busy loop."""
        log.error("no new connection can be taken: %s", error)
        self._close_one(self._hub.connections)
        self._hub.loop.remove_reader(self._listener)
        self._hub.loop.call_later(FULL_PAUSE_S, self._look_again)

    def _look_again(self) -> None:
        if not self._hub.is_stopping and self._listener.fileno() >= 0:
            self.start()

    def _take(self, sock: socket.socket, address: Any) -> None:
        sock.setblocking(False)
        name, port = str(address[0]), int(address[1])
        same = self._hub.by_address.get(name, ())
        if len(same) >= self._most_of_one:
            has_room = self._close_one(same)
        else:
            has_room = len(self._hub.connections) < self._most or self._close_one(
                self._hub.connections
            )
        if not has_room:
            sock.close()
            return
        connection = Connection(self._hub, name, port)
        self._hub.add(connection)
        task = self._hub.loop.create_task(self._connect(connection, sock))
        connection.connecting = task
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            connection.connecting = None
            if task.cancelled() or task.exception() is not None:
                sock.close()  # it may not even have begun
                self._hub.forget(connection)

        task.add_done_callback(ended)

    def _close_one(self, candidates: Iterable[Connection]) -> bool:
        """Close the one that has been silent longest; one with a request only if all have."""
        silent = (
            next((one for one in candidates if one.is_idle), None)
            or next((one for one in candidates if one.is_waiting), None)
            or next((one for one in candidates if one.is_receiving), None)
        )
        if silent is None:
            return False
        silent.close()
        self._hub.forget(silent)
        self._closed += 1
        now = time.monotonic()
        if now - self._told > TELL_EVERY_S:
            log.warning("%d connections closed to make room for new ones", self._closed)
            self._closed, self._told = 0, now
        return True

    async def _connect(self, connection: Connection, sock: socket.socket) -> None:
        """Give a connection its transport, through the handshake if there is one."""
        times: dict[str, float] = {}
        if self._context is not None:
            times["ssl_handshake_timeout"] = HANDSHAKE_S
            if sys.version_info >= (3, 11):
                times["ssl_shutdown_timeout"] = TLS_END_S
        await self._hub.loop.connect_accepted_socket(
            lambda: connection, sock, ssl=self._context, **times
        )
