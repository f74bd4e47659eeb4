"""One connection: a request at a time, from its bytes to the last byte of its answer."""

from __future__ import annotations

import asyncio
import enum
import socket
import time
from typing import Any, Callable, Optional, Union

from iobeam_server.app import Route, render
from iobeam_server.budget import Budget
from iobeam_server.errors import BadRequest, ClientGone, HeaderTooLarge, TooBusy, TooLarge
from iobeam_server.front import answers, calling, head
from iobeam_server.front.calling import Answer
from iobeam_server.front.head import Chunked, Head
from iobeam_server.front.hub import Hub
from iobeam_server.front.pools import Job, asker

SMALL_BODY_BYTES = 64 * 1024
"""A body up to this is received before anybody has judged the token: one way to a thread less
for nearly every import. What all of them may take is bounded (`Hub.unjudged`)."""
CHUNK_STEP_BYTES = 1024 * 1024  # steps in which a body of unknown length takes of the budget
PIECE_BYTES = 256 * 1024
"""Of a long answer: no more is read from its file before the client has taken it."""
GONE_GRACE_S = 1.0
"""A client that sends no more is taken for gone after this: some only close their half."""
HALF_REQUEST_DRAIN_S = 5.0  # while stopping, what a request still being received gets
SLOW_AFTER_S = 3.0
"""A body that has been coming for longer may have to make room for others' bodies; a full-size
one takes 2 s at 60 Mbit/s, and keeps its place as long as others are slower. One of which
nothing has come for longer has to make room for a new connection, too."""
UNREAD_DRAIN_S = 3.0  # while stopping, what a client gets to take a piece of its answer
_NEVER = float("inf")
_SAFE = ("GET", "HEAD", "OPTIONS")  # nothing is lost where their work is ended half-way
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_CLOSED_BY_PEER = (7, 8)  # TCP_CLOSE, TCP_CLOSE_WAIT of Linux


class State(enum.Enum):
    """What the connection waits for."""

    HEAD = "the head of a request, or its first byte"
    BODY = "the rest of a body"
    WORK = "the application"
    SEND = "the client, to take the answer"
    LINGER = "the client, to stop sending"
    CLOSED = "nothing"


class Connection(asyncio.BufferedProtocol):
    """The protocol of one connection; all of it in the thread of the loop.

    `until` is the moment at which it is closed unless something happens.
    """

    def __init__(self, hub: Hub, address: str, port: int) -> None:
        self.address = address
        self.state = State.HEAD
        self._hub = hub
        self._port = port
        self._begun = time.monotonic()  # of the request, or of the wait for it
        self.until = self._begun + hub.header_timeout_s
        self.connecting: Optional[asyncio.Task[None]] = None
        self._transport: Optional[asyncio.Transport] = None
        self._held: Union[bytes, bytearray] = b""  # received and not looked at
        self._reads = True
        self._writes = True
        self._has_ended = False  # the client sends no more
        self._closes = False  # after the present answer
        self._lingers = False  # and reads on then
        self._head: Optional[Head] = None
        self._route: Optional[Route] = None
        self._body: Union[bytearray, Chunked, None] = None
        self._budget: Optional[Budget] = None
        self._taken = 0  # of the budget
        self._heard = self._begun  # when something of the body came
        self._job: Optional[Job] = None
        self._file: Any = None
        self._rest = memoryview(b"")  # of an answer

    @property
    def is_idle(self) -> bool:
        """Whether nothing is done for it now, and no welcome body is coming."""
        if self._is_welcome:
            return time.monotonic() - self._heard > SLOW_AFTER_S
        return self.state is not State.WORK

    @property
    def _is_welcome(self) -> bool:
        """Whether a body is coming whose token does."""
        return self.state is State.BODY and self._budget is self._hub.bodies

    @property
    def is_waiting(self) -> bool:
        """Whether its request waits for a thread."""
        return self._job is not None and self._job.deadline is None

    @property
    def is_receiving(self) -> bool:
        """Whether a request has come in part."""
        return self.state is State.BODY or (self.state is State.HEAD and bool(self._held))

    # -- what the loop calls ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)
        if self.state is State.CLOSED:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._hub.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._hub.buffer[:nbytes])
        if self.state is State.HEAD:
            self._take(data)
        elif self.state is State.BODY:
            self._receive(data)
        elif self.state is not State.LINGER:  # thrown away there
            self._held = data if not self._held else bytes(self._held) + data
            self._pause()

    def eof_received(self) -> bool:
        self._has_ended = True
        if self.state is State.WORK:
            self.until = min(self.until, time.monotonic() + GONE_GRACE_S)
        # a half that is closed ends https altogether
        return self.state in (State.WORK, State.SEND) and not self._hub.is_tls

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.state = State.CLOSED
        if self._job is not None:
            self._job.give_up(ClientGone())
            self._job = None
        self.release()
        self._hub.forget(self)
        if self._transport is not None:
            self._transport.close()  # that of TLS wants to be told, up to Python 3.10

    def pause_writing(self) -> None:
        self._writes = False

    def resume_writing(self) -> None:
        self._writes = True
        # Not here: a transport that is closed amid this call tells twice that it was (CPython
        # 3.9 to 3.13).
        self._hub.loop.call_soon(self._on_taken)

    def _on_taken(self) -> None:
        """The client has taken what was written."""
        if self.state is State.SEND:
            self._progress()
            self._pump()

    # -- a request comes ----------------------------------------------------------------

    def _take(self, data: Union[bytes, bytearray]) -> None:
        """Look for the end of a head."""
        held = self._held
        if not held:
            self._begun = time.monotonic()
            self.until = self._begun + self._hub.header_timeout_s
            data = data.lstrip(b"\r\n")  # empty lines before a request are nobody's mistake
            start = 0
            if data and data[0] not in head.BEGINNINGS:
                # A TLS handshake, for one: it has no line end, and both sides would wait for
                # the other until the request times out.
                self.close()
                return
        else:
            start = max(0, len(held) - len(head.END))
            held = held if isinstance(held, bytearray) else bytearray(held)
            held += data
            data = held
        end = data.find(head.END, start)
        if (len(data) if end < 0 else end) > self._hub.config.max_header_bytes:
            self._held = b""
            self._refuse(HeaderTooLarge("request line and headers are too large"))
        elif end < 0:
            self._held = data
        else:
            end += len(head.END)
            self._held = b""
            self._begin(bytes(data[:end]), bytes(data[end:]))

    def _begin(self, data: bytes, rest: bytes) -> None:
        """A whole head is there: what is to become of its body?"""
        try:
            asked = self._head = head.parse(data)
        except (BadRequest, HeaderTooLarge) as error:
            self._refuse(error)
            return
        self._closes = not asked.keeps_alive
        route = self._route = self._hub.application.route(asked.method, asked.path)
        length = asked.length
        self.until = self._begun + self._hub.config.request_timeout_s
        if length == 0:
            self._held = rest
            self._work(b"")
        elif not route.is_known:
            self._closes = self._lingers = True
            self._work(b"")
        elif length is not None and length > route.max_body_bytes:
            self._refuse(TooLarge(f"the body is larger than {route.max_body_bytes} bytes"))
        elif length is None:
            self._begin_chunks(Chunked(route.max_body_bytes), rest)
        elif (
            length <= SMALL_BODY_BYTES
            and not asked.expects_continue
            and self._fits_unjudged(length)
        ):
            self.state = State.BODY
            self._body = bytearray()
            self._receive(rest)
        else:
            self._held = rest
            self._judge()

    def _begin_chunks(self, body: Chunked, rest: bytes) -> None:
        """What came with the head is looked at; for more one has to be welcome."""
        try:
            body.feed(rest)
        except (BadRequest, TooLarge) as error:
            self._refuse(error)
            return
        self._body = body
        if body.is_complete:
            self._end_chunks(body)
        else:
            self._judge()

    def _judge(self) -> None:
        """Receive no more before token and permission are known to do."""
        self._pause()
        hub = self._hub
        request = self._environ(b"")

        def judge() -> Optional[Answer]:
            is_welcome = hub.application.judge(request)
            return None if is_welcome else calling.call(hub.application, request)

        self._submit(Job(judge, self._judged, self._asker()))

    def _judged(self, answer: Optional[Answer], error: Optional[Exception]) -> None:
        self._job = None
        if self._has_gone(answer):
            return
        if error is not None:
            self._refuse(error)
        elif answer is not None:
            self._closes = self._lingers = True
            self._send(answer)
        else:
            self._welcome()

    def _welcome(self) -> None:
        assert self._head is not None
        length = self._head.length
        wanted = CHUNK_STEP_BYTES if length is None else length
        try:
            self._take_of_bodies(wanted)
        except TooBusy as busy:
            self._refuse(busy)
            return
        if self._head.expects_continue and not self._held:
            self._write(_CONTINUE)
        self.state = State.BODY
        self.until = self._begun + self._hub.config.request_timeout_s
        self._heard = time.monotonic()  # many may have come while it was judged
        self._hub.moved(self)
        if self._body is None:
            self._body = bytearray()
        rest, self._held = bytes(self._held), b""
        if rest:
            self._receive(rest)
        if self.state is State.BODY:
            self._resume()

    def _receive(self, data: bytes) -> None:
        """Take a part of the body."""
        self._heard = time.monotonic()
        body = self._body
        assert self._head is not None
        if isinstance(body, Chunked):
            self._receive_chunks(body, data)
            return
        assert body is not None
        length = self._head.length or 0
        if not body and len(data) >= length:
            self._body, self._held = None, data[length:]
            self._work(data[:length])
            return
        missing = length - len(body)
        body += data[:missing]
        if len(body) == length:
            self._body, self._held = None, data[missing:]
            self._work(bytes(body))
        else:
            self._hub.moved(self)  # an upload is not silent; its time is bounded all the same

    def _receive_chunks(self, body: Chunked, data: bytes) -> None:
        try:
            body.feed(data)
            if len(body.body) > self._taken:
                self._take_of_bodies(CHUNK_STEP_BYTES)
        except (BadRequest, TooLarge, TooBusy) as error:
            self._refuse(error)
            return
        if body.is_complete:
            self._end_chunks(body)
        else:
            self._hub.moved(self)

    def _end_chunks(self, body: Chunked) -> None:
        self._body = None
        if body.has_more:  # not known where it begins
            self._closes = self._lingers = True
        self._work(bytes(body.body))

    # -- it is answered -----------------------------------------------------------------

    def _work(self, body: bytes) -> None:
        """Call the application with the whole request."""
        assert self._head is not None
        assert self._route is not None
        if self._held:
            self._pause()
        hub = self._hub
        request = self._environ(body)
        if self._route.pool == "none":
            self.state = State.WORK
            self._send(calling.call(hub.application, request))
            return
        seconds = self._route.seconds
        self._submit(
            Job(
                lambda: calling.call(hub.application, request),
                self._worked,
                self._asker(),
                seconds,
                is_safe=self._head.method in _SAFE,
                release=self._budget_release(),
            )
        )

    def _environ(self, body: bytes) -> dict[str, Any]:
        assert self._head is not None
        return calling.environ(self._head, body, self.address, self._port, self._hub.surroundings)

    def _asker(self) -> str:
        assert self._head is not None
        return asker(self.address, self._head.headers.get("HTTP_X_FORWARDED_FOR"))

    def _submit(self, job: Job) -> None:
        assert self._route is not None
        pool = self._route.pool
        self.state = State.WORK
        self.until = _NEVER
        if self._has_ended:
            self.until = time.monotonic() + GONE_GRACE_S
        try:
            self._hub.pools["rest" if pool == "none" else pool].submit(job)
            self._job = job
        except TooBusy as error:
            job.finish(error)

    def _worked(self, answer: Optional[Answer], error: Optional[Exception]) -> None:
        self._job = None
        if self._has_gone(answer):
            return
        if answer is None:
            answer = self._rendered(error or RuntimeError("no answer"))
        self._send(answer)

    def _has_gone(self, answer: Optional[Answer]) -> bool:
        """Tell whether nobody is there to be answered."""
        if self.state is not State.CLOSED:
            return False
        if answer is not None and answer.file is not None:
            answer.file.close()
        return True

    def _rendered(self, error: Exception) -> Answer:
        """Return the answer to what the application does not see."""
        made = render(error)
        # what was refused unread has neither method nor route that could be trusted
        self._hub.metrics.requests.labels("unread", "unread", made.status).inc()
        headers = [("Content-Type", "application/json"), *made.headers.items()]
        return Answer(calling.status_line(made.status), headers, made.body)

    def _refuse(self, error: Exception) -> None:
        """Answer, and take nothing more from the client than what it is sending."""
        self._closes = self._lingers = True
        self._send(self._rendered(error))

    def _send(self, answer: Answer) -> None:
        asked = self._head
        self._body = None
        self._budget_release()()
        self._closes = self._closes or self._hub.is_stopping or self._has_ended
        is_bare = not answer.has_body or (asked is not None and asked.method == "HEAD")
        in_memory = answer.file is None and not (is_bare and answer.has_body)
        made = answers.head(
            answer,
            "1.1" if asked is None else asked.version,
            len(answer.body) if in_memory else None,
            not self._closes,
        )
        self.state = State.SEND
        self._file = answer.file
        body = b"" if is_bare else answer.body
        if is_bare and self._file is not None:
            self._close_file()
        self._progress()
        if len(body) <= PIECE_BYTES:
            self._write(made + body)
        else:
            self._write(made)
            self._rest = memoryview(body)
        self._pump()

    def _pump(self) -> None:
        """Write as much as the client takes."""
        while self._writes and self.state is State.SEND:
            if self._file is not None:
                piece = self._file.read(PIECE_BYTES)
            else:
                piece, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
            if not piece:
                self._sent()
                return
            self._write(piece)

    def _write(self, data: Union[bytes, memoryview]) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def _progress(self) -> None:
        allowed = UNREAD_DRAIN_S if self._hub.is_stopping else self._hub.config.answer_timeout_s
        self.until = time.monotonic() + allowed
        self._hub.moved(self)

    def _sent(self) -> None:
        """The whole answer has left this process."""
        self._close_file()
        self._head = self._route = None
        if self._closes:
            if self._lingers or self._held:
                self._linger()
            else:
                self.close()
            return
        self.state = State.HEAD
        self._begun = time.monotonic()
        self.until = self._begun + self._hub.config.idle_timeout_s
        self._hub.moved(self)
        if self._held:
            self._hub.later(self)
        else:
            self._resume()

    def go_on(self) -> None:
        """Look at what was received before its turn."""
        if self.state is not State.HEAD:
            return
        data, self._held = self._held, b""
        if data:
            self._take(data)
        if self.state in (State.HEAD, State.BODY):
            self._resume()

    # -- its end ------------------------------------------------------------------------

    def _linger(self) -> None:
        """Say that no more comes, and read on: closing now would reset the connection,
        and the client, still sending, would never see the answer (RFC 9112 9.6)."""
        assert self._transport is not None
        if self._has_ended:
            self.close()
            return
        self.state = State.LINGER
        self._held = b""
        self.until = time.monotonic() + self._hub.config.linger_s
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._resume()

    def close(self) -> None:
        """Close at once; what the client has not taken is lost."""
        self.state = State.CLOSED
        if self._transport is not None:
            if self._hub.is_tls or not self._writes:
                self._transport.abort()
            else:
                self._transport.close()
        elif self.connecting is not None:
            self.connecting.cancel()

    def look(self, now: float) -> None:
        """Close what has taken too long; notice a client that has gone."""
        is_deaf = self.state is State.WORK and not self._reads and not self._has_ended
        if is_deaf and self._peer_has_closed():
            self.eof_received()
        if now < self.until:
            return
        if self.state is not State.WORK:
            self.close()
        elif self._job is not None and self._job.give_up(ClientGone()):
            self._job = None
            self.close()
        else:
            self.until = _NEVER  # it changes something: it is finished, whoever waits

    def drain(self, now: float) -> None:
        """The server stops: finish what has begun, within short times."""
        if self.is_receiving:
            self.until = min(self.until, now + HALF_REQUEST_DRAIN_S)
        elif self.state is State.HEAD:
            self.close()
        elif self.state is State.SEND:
            self.until = min(self.until, now + UNREAD_DRAIN_S)

    def _peer_has_closed(self) -> bool:
        """Tell whether the client has gone, while nothing is read from it."""
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        if _TCP_INFO is None or sock is None:
            return False
        try:
            return sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] in _CLOSED_BY_PEER
        except OSError:
            return True

    # -- small things -------------------------------------------------------------------

    def _pause(self) -> None:
        if self._reads and self._transport is not None and not self._transport.is_closing():
            self._reads = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reads and self._transport is not None and not self._transport.is_closing():
            self._reads = True
            self._transport.resume_reading()

    def _take_of_bodies(self, size: int) -> None:
        self._hub.take_of_bodies(size)
        self._budget = self._hub.bodies
        self._taken += size

    def _fits_unjudged(self, size: int) -> bool:
        try:
            self._hub.unjudged.take(size)
        except TooBusy:
            return False
        self._budget, self._taken = self._hub.unjudged, size
        return True

    def is_slow(self, now: float) -> bool:
        """Tell whether a welcome body has been coming for long enough to judge its rate."""
        return self._is_welcome and now - self._begun > SLOW_AFTER_S

    def body_rate(self, now: float) -> float:
        """Return bytes per second of the body that is coming."""
        body = self._body.body if isinstance(self._body, Chunked) else self._body
        return len(body or b"") / (now - self._begun)

    def _budget_release(self) -> Callable[[], None]:
        """Hand over what gives the body's bytes back: its job has them from now on."""
        budget, taken = self._budget, self._taken
        self._budget, self._taken = None, 0
        return lambda: None if budget is None else budget.give(taken)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def release(self) -> None:
        """Let go of what is held for the client."""
        self._budget_release()()
        self._close_file()
        self._body, self._held, self._rest = None, b"", memoryview(b"")
