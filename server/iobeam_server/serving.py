"""waitress, bent where its defaults do not do for clients one does not know.

What differs: its own refusals have the API's error shape; a refusal reaches a
client that is still sending (lingering close); a request must arrive whole
within a total time, whatever trickles in; SIGTERM finishes what was received.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, Callable, Optional

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import (
    InternalServerError,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
)

from iobeam_server import errors
from iobeam_server.app import render
from iobeam_server.config import Config
from iobeam_server.metrics import Metrics

HALF_REQUEST_DRAIN_S = 5.0  # while stopping, what a request still being received gets
LINGER_READ_BYTES = 65_536


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.error:
            # waitress would answer 100 Continue first, and then receive what it has refused
            self.expect_continue = False
        return consumed


class _Task(WSGITask):  # type: ignore[misc]
    stays_open = False

    def build_response_header(self) -> bytes:
        if self.channel.server.is_stopping:
            self.set_close_on_finish()  # tell the client to go on elsewhere
        # waitress closes after what has no Content-Length; 204 and 304 end without one
        wish = self.request.headers.get("CONNECTION", "").lower()
        self.stays_open = self.version == "1.1" and not self.has_body and wish != "close"
        return bytes(super().build_response_header())

    def set_close_on_finish(self) -> None:
        if not self.stays_open:
            super().set_close_on_finish()


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """What waitress refuses before the application sees it, in the API's shape."""

    def execute(self) -> None:
        answer = render(_translated(self.request.error))
        self.status = f"{answer.status} {self.request.error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.extend(answer.headers.items())
        self.set_close_on_finish()
        self.content_length = len(answer.body)
        self.channel.refused = True
        # what was refused unread has neither method nor route that could be trusted
        self.channel.server.metrics.requests.labels("unread", "unread", answer.status).inc()
        self.write(answer.body)


def _translated(error: Any) -> Exception:
    if isinstance(error, RequestEntityTooLarge):
        return errors.TooLarge("the body is too large; send fewer rows at a time")
    if isinstance(error, RequestHeaderFieldsTooLarge):
        return errors.HeaderTooLarge("request line and headers are too large")
    if isinstance(error, InternalServerError):
        return RuntimeError(error.body)
    return errors.BadRequest(f"the request is not proper HTTP: {error.body}")


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection.

    `since` is when the request being received began (the connection, for the first
    one), None between requests. All of it runs in the main thread, except
    `refused`, which a task sets before it closes.
    """

    parser_class = _Parser
    task_class = _Task
    error_task_class = _ErrorTask

    refused = False
    close_when_flushed = False
    lingers_until: Optional[float] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.since: Optional[float] = time.monotonic()

    def received(self, data: bytes) -> bool:
        went_on: bool = super().received(data)
        if self.request is None:
            self.since = None
        elif self.since is None:
            self.since = time.monotonic()
        return went_on

    @property
    def is_answering(self) -> bool:
        return bool(self.requests or self.total_outbufs_len or self.close_when_flushed)

    def readable(self) -> bool:
        if self.lingers_until is not None:
            return not self.will_close
        if self.server.is_stopping and self.request is None:
            return False  # else a busy client's next request would always be in flight
        return bool(super().readable())

    def writable(self) -> bool:
        if self.lingers_until is not None:
            return bool(self.will_close)
        return bool(super().writable())

    def handle_read(self) -> None:
        if self.lingers_until is None:
            super().handle_read()
            return
        try:
            self.recv(LINGER_READ_BYTES)  # thrown away; closes the channel at the end of stream
        except OSError:
            self.handle_close()
            return
        if time.monotonic() > self.lingers_until:
            self.will_close = True

    def handle_write(self) -> None:
        if not (self.refused and self.close_when_flushed):
            super().handle_write()
            return
        if self.total_outbufs_len:
            self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif not self.total_outbufs_len:
            self.close_when_flushed = False
            self._linger()

    def _linger(self) -> None:
        """Say that no more comes, and read on: closing now would reset the connection,
        and the client, still sending, would never see the answer."""
        self.lingers_until = time.monotonic() + self.server.linger_s
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True


class ApiServer(TcpWSGIServer):  # type: ignore[misc]
    """The HTTP server of one process.

    Args:
        application: WSGI.
        config: address, limits and times.
        metrics: where it counts what the application never sees.

    Raises:
        ConfigError: the address cannot be bound.
    """

    channel_class = _Channel

    def __init__(
        self, application: Callable[..., Any], config: Config, metrics: Optional[Metrics] = None
    ) -> None:
        self.metrics = metrics or Metrics()
        self.linger_s = config.linger_s
        self._config = config
        self.is_stopping = False
        self._has_ended = False
        self._ending = threading.RLock()  # a signal handler may run while its thread holds it
        address = f"{config.host}:{config.port}"
        try:
            adj = Adjustments(
                host=config.host,
                port=config.port,
                threads=config.threads,
                connection_limit=config.connection_limit,
                channel_timeout=config.idle_timeout_s,
                cleanup_interval=1,
                max_request_body_size=config.max_body_bytes + 1,  # refuses from this size on
                max_request_header_size=config.max_header_bytes,
                recv_bytes=65_536,
                asyncore_use_poll=True,  # select() stops at 1024 descriptors
                # believed for nothing but that there is a proxy (`/metrics`)
                clear_untrusted_proxy_headers=False,
                ident="iobeam-server",
                log_socket_errors=False,
            )
        except ValueError as error:
            raise errors.ConfigError(f"cannot listen on {address}: {error}") from None
        # "localhost" may give ::1 and 127.0.0.1: the one that every client tries
        addresses: list[Any] = adj.listen
        listen = min(addresses, key=lambda info: info[0] != socket.AF_INET)
        dispatcher = ThreadedTaskDispatcher()
        try:
            super().__init__(application, {}, dispatcher=dispatcher, adj=adj, sockinfo=listen)
        except (OSError, OverflowError) as error:
            with contextlib.suppress(AttributeError, OSError):  # as far as it had come
                self.trigger.close()
                self.socket.close()
            raise errors.ConfigError(f"cannot listen on {address}: {error}") from None
        dispatcher.set_thread_count(adj.threads)

    @property
    def url(self) -> str:
        """Where clients reach it, without a path."""
        host: str = self.effective_host
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host) or host  # noqa: S104  # shown only
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def port(self) -> int:
        return int(self.effective_port)

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        moment = time.monotonic()
        for channel in list(self.active_channels.values()):
            is_late = (
                channel.since is not None
                and not channel.requests
                and moment - channel.since > self._config.request_timeout_s
            )
            has_lingered = channel.lingers_until is not None and moment > channel.lingers_until
            if is_late or has_lingered:
                channel.will_close = True

    def stop(self) -> None:
        """Make `run` drain and return; safe in a signal handler and from any thread."""
        self.is_stopping = True
        self.pull_trigger()

    def pull_trigger(self) -> None:
        """Wake the main loop; once it has ended, the pipe's number may be another file's."""
        with self._ending:
            if not self._has_ended:
                super().pull_trigger()

    def run(self) -> None:
        """Serve until `stop`, then finish what is in flight and close everything."""
        try:
            while not self.is_stopping:
                self._turn(1.0)
            self._drain()
        finally:
            self.close_all()

    def close_all(self) -> None:
        """Close every socket and end the threads. Idempotent; `run` does it at its end."""
        if self._has_ended:
            return
        self.task_dispatcher.shutdown()
        with self._ending:
            self._has_ended = True
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        wasyncore.close_all(self._map)

    def _turn(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, map=self._map, use_poll=True, count=1)

    def _drain(self) -> None:
        self.accepting = False
        wasyncore.dispatcher.close(self)  # new connections are refused from here on
        begun = time.monotonic()
        while self.active_channels and time.monotonic() - begun < self._config.drain_s:
            for channel in list(self.active_channels.values()):
                receives = channel.request is not None
                in_time = time.monotonic() - begun < HALF_REQUEST_DRAIN_S
                if not channel.is_answering and not (receives and in_time):
                    channel.handle_close()
            if self.active_channels:
                self._turn(0.1)
