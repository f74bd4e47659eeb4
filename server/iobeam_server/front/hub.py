"""What all connections of a server share."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from iobeam_server.budget import Budget
from iobeam_server.config import Config
from iobeam_server.errors import TooBusy
from iobeam_server.front import calling
from iobeam_server.front.calling import Application
from iobeam_server.front.pools import Pools
from iobeam_server.metrics import Metrics

if TYPE_CHECKING:
    from iobeam_server.front.connection import Connection

READ_BYTES = 64 * 1024
"""Read at once from a connection; so much may wait of one that sends ahead."""
UNJUDGED_SHARE = 0.25  # of the bytes for bodies
AHEAD_AT_ONCE = 4
"""Requests that were sent ahead are begun in turns of so many, half a ms; else two hundred who
send thousands of pings each would be a quarter of a second before everybody else's."""


class Hub:
    """Settings, threads, budgets, and the list of connections, those silent longest first.

    Args:
        application: what answers.
        config: limits and times.
        metrics: where it counts what the application never sees.
        pools: the threads.
        host, port, scheme: where it listens, and how.
    """

    def __init__(
        self,
        application: Application,
        config: Config,
        metrics: Metrics,
        pools: Pools,
        host: str,
        port: int,
        scheme: str,
    ) -> None:
        self.application = application
        self.config = config
        self.metrics = metrics
        self.pools = pools
        self.port = port
        self.scheme = scheme
        self.surroundings = calling.surroundings(host, port, scheme)
        self.header_timeout_s = min(config.header_timeout_s, config.request_timeout_s)
        self.is_stopping = False
        self.loop: asyncio.AbstractEventLoop
        # of the reading of one connection, which is over before that of another begins
        self.buffer = memoryview(bytearray(READ_BYTES))
        unjudged = int(config.received_bytes * UNJUDGED_SHARE)
        self.unjudged = Budget(unjudged)
        """For small bodies that are received before the token is judged."""
        self.bodies = Budget(config.received_bytes - unjudged)
        """For bodies that are welcome."""
        self._backlog: deque[Connection] = deque()
        self.connections: OrderedDict[Connection, None] = OrderedDict()
        self.by_address: dict[str, OrderedDict[Connection, None]] = {}

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    def add(self, connection: Connection) -> None:
        self.connections[connection] = None
        self.by_address.setdefault(connection.address, OrderedDict())[connection] = None

    def moved(self, connection: Connection) -> None:
        """Note that something came of a connection."""
        if connection in self.connections:
            self.connections.move_to_end(connection)
            self.by_address[connection.address].move_to_end(connection)

    def later(self, connection: Connection) -> None:
        """Have a connection go on with what it sent ahead, after those that did not."""
        self._backlog.append(connection)
        if len(self._backlog) == 1:
            self.loop.call_soon(self._work_off)

    def _work_off(self) -> None:
        for _ in range(min(AHEAD_AT_ONCE, len(self._backlog))):
            self._backlog.popleft().go_on()
        if self._backlog:
            self.loop.call_soon(self._work_off)

    def take_of_bodies(self, size: int) -> None:
        """Take bytes for a body; who sends his slowest makes room for who has just come.

        Raises:
            TooBusy: there is no room, and nobody is slow.
        """
        while True:
            try:
                self.bodies.take(size)
                return
            except TooBusy:
                now = time.monotonic()
                slow = [one for one in self.connections if one.is_slow(now)]
                if not slow:
                    raise
                slowest = min(slow, key=lambda one: one.body_rate(now))
                slowest.close()
                slowest.release()

    def forget(self, connection: Connection) -> None:
        if connection in self.connections:
            del self.connections[connection]
            same = self.by_address[connection.address]
            del same[connection]
            if not same:
                del self.by_address[connection.address]
