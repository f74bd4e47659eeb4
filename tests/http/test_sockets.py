"""Exchanges: interim answers, what comes in between, and what interrupts."""
from __future__ import absolute_import

import contextlib
import json
import os
import socket
import ssl
import sys
import threading
import unittest

import requests

from iobeam import iobeam
from iobeam.http import request, sessions, settings, sockets, transport
from iobeam.http import call as calls
from iobeam.utils import compat
from tests import interrupts, loopback, support
from tests.support import mock

CERTIFICATE = os.path.join(os.path.dirname(loopback.__file__), "loopback.pem")


def ok(body=b"{}"):
    return b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(body)).encode(
        "ascii") + b"\r\n\r\n" + body


class Line(object):
    """A server whose answers are written byte for byte.

    Args:
        answers (callable): ``answers(number, request)`` gives the pieces to
            send for request `number` of all; each comes on its own. A piece
            may also be a function of the socket, for what is no answer.
    """

    def __init__(self, answers, context=None):
        self.answers = answers
        self.connections = 0
        self.requests = []  # (number of the connection, body)
        self._context = context
        self._sockets = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(8)
        self.port = self._listener.getsockname()[1]
        self.url = "{}://127.0.0.1:{}/v1/".format(
            "https" if context else "http", self.port)
        self._threads = [threading.Thread(target=self._accept,
                                          args=(self._listener,))]
        self._threads[0].start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except EnvironmentError:
                return
            if self._listener is None:
                sock.close()
                return
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve,
                                      args=(sock, self.connections))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock, connection):
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            file = sock.makefile("rb")
            with contextlib.closing(file):
                while self._serveOne(sock, file, connection):
                    pass
        except EnvironmentError:
            pass
        finally:
            sock.close()

    def _serveOne(self, sock, file, connection):
        length, line = 0, file.readline()
        if not line:
            return False
        while line.strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            line = file.readline()
        body = file.read(length)
        self.requests.append((connection, body))
        for piece in self.answers(len(self.requests), body):
            if callable(piece):
                piece(sock)
            else:
                sock.sendall(piece)
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        listener, self._listener = self._listener, None
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except EnvironmentError:
            pass
        listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except EnvironmentError:
                pass
        for thread in self._threads:
            thread.join(10)


class SocketsCase(unittest.TestCase):
    def serve(self, answers, **options):
        server = Line(answers, **options)
        server.__enter__()
        self.addCleanup(server.__exit__)
        return server

    def channel(self, session=None, **given):
        made = settings.Settings(session)
        made.connectTimeout, made.readTimeout, made.retries = 2.0, 2.0, 0
        for name, value in given.items():
            setattr(made, name, value)
        channel = transport.Channel(made)
        self.addCleanup(channel.close)
        return channel

    def post(self, channel, url, number=0):
        return channel.perform("POST", url + "x", {}, {}, {"n": number})

    def numbers(self, server, count, channel=None):
        """Send `count` requests; the numbers in their answers."""
        channel = channel or self.channel()
        return [self.post(channel, server.url, number).json()["n"]
                for number in range(count)]


def echoing(*before):
    """Answers with what the request said, after `before`."""
    return lambda number, body: list(before) + [ok(body)]


INTERIM = {
    "continue": [b"HTTP/1.1 100 Continue\r\n\r\n"],
    "processing": [b"HTTP/1.1 102 Processing\r\n\r\n"],
    "early hints": [b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n"
                    b"X-More: 1\r\n\r\n"],
    "unknown ones": [b"HTTP/1.1 142 Whatever\r\n\r\n",
                     b"HTTP/1.1 199 \r\n\r\n", b"HTTP/1.1 110\r\n\r\n"],
    "many in a row": [b"HTTP/1.1 100 Continue\r\n\r\n"
                      b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"] * 30,
    "of HTTP/1.0, with bare line feeds": [b"HTTP/1.0 103 x\nA: b\n\n"],
    "in single bytes": [bytes(bytearray([byte])) for byte in bytearray(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")],
    "that looks like an answer inside": [
        b"HTTP/1.1 103 Early Hints\r\nX: HTTP/1.1 200 OK\r\n\r\n"],
}


class InterimTest(SocketsCase):
    def test_they_are_read_over(self):
        for name, before in sorted(INTERIM.items()):
            server = self.serve(echoing(*before))
            self.assertEqual([0, 1, 2], self.numbers(server, 3), name)
            self.assertEqual(1, server.connections, name)

    def test_in_one_packet_with_the_answer(self):
        for name, before in sorted(INTERIM.items()):
            server = self.serve(
                lambda number, body: [b"".join(before) + ok(body)])
            self.assertEqual([0, 1, 2], self.numbers(server, 3), name)

    def test_the_answer_may_come_much_later(self):
        received = threading.Event()
        server = self.serve(lambda number, body: [
            INTERIM["early hints"][0], lambda _: received.wait(0.05),
            ok(body)])
        self.assertEqual([0, 1, 2], self.numbers(server, 3))

    def test_rows_of_refused_requests_stay(self):
        def answers(number, body):
            yield INTERIM["early hints"][0]
            yield ok() if number != 2 else (
                b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

        server = self.serve(answers)
        client = iobeam.ClientBuilder(1, loopback.makeToken(1)).setRetries(0) \
            .setBackend(server.url).setDeviceId("dev").build()
        self.addCleanup(client.close)
        store = client.createDataStore(["a"])
        store.add(1, {"a": 1})
        self.assertTrue(client.send())
        store.add(2, {"a": 2})
        with self.assertRaises(request.SendError) as caught:
            client.send()
        self.assertEqual((0, 1, 500), (
            caught.exception.accepted, caught.exception.pending,
            caught.exception.statusCode))
        self.assertTrue(client.send())
        self.assertEqual([[1000, 1], [2000, 2], [2000, 2]], [
            json.loads(body.decode("ascii"))["sources"]["data"][0]
            for _, body in server.requests])

    def test_nothing_but_interim_answers_is_no_answer(self):
        for end in (b"", b"HTTP/1.1 103 Ea"):
            server = self.serve(lambda number, body: [
                INTERIM["early hints"][0] + end,
                lambda sock: sock.shutdown(socket.SHUT_RDWR)])
            with self.assertRaises(request.ConnectionError):
                self.post(self.channel(), server.url)

    def test_switching_protocols_ends_the_connection(self):
        server = self.serve(lambda number, body: [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"]
            if number == 1 else [ok(body)])
        channel = self.channel()
        self.assertEqual(101, self.post(channel, server.url).status_code)
        self.assertEqual([0, 1], self.numbers(server, 2, channel))
        self.assertEqual(2, server.connections)

    def test_through_tls(self):
        context = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_SERVER",
                                         ssl.PROTOCOL_SSLv23))
        context.load_cert_chain(CERTIFICATE)
        server = self.serve(echoing(*INTERIM["many in a row"]),
                            context=context)
        with mock.patch.dict("os.environ", REQUESTS_CA_BUNDLE=CERTIFICATE):
            self.assertEqual([0, 1, 2], self.numbers(server, 3))
        self.assertEqual(1, server.connections)

    def test_a_session_of_the_programs_takes_none_for_an_answer(self):
        session = requests.Session()
        self.addCleanup(session.close)
        server = self.serve(lambda number, body: (
            INTERIM["early hints"] if number == 1 else []) + [ok(body)])
        channel = self.channel(session)
        with self.assertRaises(request.ConnectionError):
            self.post(channel, server.url)
        self.assertEqual([0, 1], self.numbers(server, 2, channel))
        self.assertEqual([1, 2, 2], [number for number, _ in server.requests])


class ReuseTest(SocketsCase):
    """No connection is used again whose exchange is not over."""

    def assertNotReused(self, answers, **given):
        server = self.serve(answers)
        channel = self.channel(**given)
        self.assertEqual([0, 1, 2], self.numbers(server, 3, channel))
        self.assertEqual([1, 2, 3], [number for number, _ in server.requests])

    def test_one_that_is_over_is(self):
        server = self.serve(echoing())
        self.assertEqual([0, 1, 2], self.numbers(server, 3))
        self.assertEqual(1, server.connections)

    def test_more_behind_the_answer(self):
        for more in (b"\r\n", b"x", ok(b'{"n": 9}'), b"x" * 100000):
            self.assertNotReused(lambda number, body: [ok(body) + more])

    def test_more_behind_the_end_of_a_chunked_one(self):
        self.assertNotReused(lambda number, body: [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"
            .replace(b"%x", "{:x}".format(len(body)).encode("ascii")) + body
            + b"\r\n0\r\n\r\n" + ok(b'{"n": 9}')])

    def test_a_body_where_there_is_to_be_none(self):
        def answers(number, body):
            if number == 1:
                return [b"HTTP/1.1 204 No Content\r\n\r\n" + ok(b'{"n": 9}')]
            return [ok(body)]

        server = self.serve(answers)
        channel = self.channel()
        self.assertEqual(204, self.post(channel, server.url).status_code)
        self.assertEqual([0, 1], self.numbers(server, 2, channel))
        self.assertEqual(2, server.connections)

    def test_more_that_comes_later(self):
        sent = threading.Event()

        def late(sock):
            sock.sendall(ok(b'{"n": 9}'))
            sent.set()

        server = self.serve(lambda number, body: [ok(body), late])
        channel = self.channel()
        for number in range(3):
            sent.clear()
            self.assertEqual(
                number, self.post(channel, server.url, number).json()["n"])
            self.assertTrue(sent.wait(5))

    def test_an_answer_before_the_request_was_written(self):
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(2)
        ended = []

        def serve():
            for number in range(2):
                sock, _ = listener.accept()
                with contextlib.closing(sock):
                    sock.settimeout(5)
                    got = sock.recv(1000)
                    sock.sendall(ok(b'{"n": 5}'))  # while the rest comes
                    while got and not got.endswith(b'"}'):
                        got = sock.recv(65536)
                    ended.append(sock.recv(1))  # b"": it hung up

        thread = threading.Thread(target=serve)
        thread.start()
        channel = self.channel()
        url = "http://127.0.0.1:{}/v1/".format(listener.getsockname()[1])
        for _ in range(2):
            response = channel.perform("POST", url, {}, {},
                                       {"a": "x" * 8000000})
            self.assertEqual({"n": 5}, response.json())
        channel.close()
        thread.join(10)
        self.assertEqual([b"", b""], ended)

    def test_one_that_was_idle_for_a_minute(self):
        server = self.serve(echoing())
        channel = self.channel()
        self.numbers(server, 2, channel)
        now = compat.monotonic()
        for idle, connections in ((59, 1), (61 + 59, 2), (61 + 59 + 3, 2)):
            with mock.patch.object(compat, "monotonic", lambda: now + idle):
                self.numbers(server, 1, channel)
            self.assertEqual(connections, server.connections)

    def test_the_server_sees_it_hang_up_at_once(self):
        closed = threading.Event()

        def wait(sock):
            sock.settimeout(5)
            if sock.recv(1) == b"":
                closed.set()

        server = self.serve(lambda number, body: [ok(body) + b"x", wait])
        channel = self.channel()
        self.numbers(server, 1, channel)
        self.assertTrue(closed.wait(5))


@contextlib.contextmanager
def interruptedAt(instant, counted, opcodes):
    """Raise KeyboardInterrupt at instant `instant` within iobeam/http."""
    folder = os.path.dirname(transport.__file__)
    left = [instant]

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(folder):
            return None if event == "call" else trace
        if frame.f_code is sessions._Idle.get.__code__:
            return None  # urllib3 empties a dropped pool in a finalizer
        if opcodes:
            frame.f_trace_opcodes = True
        counted[0] += 1
        left[0] -= 1
        if left[0] == 0:
            sys.settrace(None)
            raise KeyboardInterrupt()
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


# `make test-all` tries each, as of tests/spool/test_interrupts.py
OPCODE_STEP = int(os.environ.get("IOBEAM_INTERRUPT_STEP", "7"))


class InterruptTest(SocketsCase):
    """Ctrl-C at every instant of a request: the next one gets its answer."""

    def test_a_file_that_is_half_closed_is_closed_by_the_collector(self):
        class Pipe(object):
            """A socket that an interrupt comes into when it is closed."""

            def __init__(self):
                self.interrupts = [KeyboardInterrupt]

            def makefile(self, *_):
                return self

            _sock = property(lambda self: self)

            def close(self):
                if self.interrupts:
                    raise self.interrupts.pop()

        found = sockets._AnswerFile(sockets._AnswerReader(
            Pipe(), sockets.Exchange()))
        self.assertRaises(KeyboardInterrupt, found.close)
        found.close()  # as the collector does, which shows what it raises
        self.assertTrue(found.raw.closed)

    def setUp(self):
        # of sockets that were interrupted before anybody had them
        support.ignoreWarnings(self)

    def interrupted(self, post, opcodes=False):
        """Run it once for each line, or OPCODE_STEP-th opcode; how many."""
        instant = 0
        while True:
            instant += OPCODE_STEP if opcodes else 1
            counted = [0]
            try:
                with interruptedAt(instant, counted, opcodes):
                    post(instant)
            except KeyboardInterrupt:
                pass
            if counted[0] < instant:
                return instant - 1
            self.check(instant)

    def test_at_every_line(self):
        self.each(False)

    @unittest.skipUnless(interrupts.OPCODES, "traces lines only")
    def test_at_every_opcode(self):
        self.each(True)

    def each(self, opcodes):
        server = self.serve(echoing(INTERIM["early hints"][0]))
        requester = request.Requester(server.url)
        requester.settings.retries = 0

        def post(number):
            req = requester.post(server.url + "x").setBody({"n": number})
            with calls.Call(timeout=20):
                req.execute()
            return req.getResponse()

        def check(number):
            self.assertIsNone(calls.current(None), number)
            for again in (-number, -number - 1):
                self.assertEqual({"n": again}, post(again))

        self.check = check
        post(0)  # imports and connects
        self.assertGreater(self.interrupted(post, opcodes), 100)
        # and where there is no channel yet
        lazy = requester._session

        def anew(number):
            lazy.close()
            lazy._made.clear()
            post(number)

        self.assertGreater(self.interrupted(anew), 100)
        lazy.close()


if __name__ == "__main__":
    unittest.main()
