"""Exchanges: interim answers, what comes in between, and what interrupts."""
from __future__ import absolute_import

import collections
import contextlib
import json
import logging
import os
import socket
import struct
import sys
import threading
import unittest

import requests

from iobeam import iobeam
from iobeam.http import (incoming, request, sessions, settings, sockets,
                         transport)
from iobeam.http import call as calls
from iobeam.utils import compat
from tests import interrupts, loopback, support
from tests.support import mock


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
        self.heads = []  # of the same ones (bytes), their headers sorted
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
        head = [line]
        while line.strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            line = file.readline()
            head.append(line)
        body = file.read(length)
        # where a dict has no order of its own, a copy of it has another one
        self.heads.append(b"".join(head[:1] + sorted(head[1:-1]) + head[-1:]))
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
        server = self.serve(echoing(*INTERIM["many in a row"]),
                            context=loopback.tlsContext())
        with mock.patch.dict("os.environ",
                             REQUESTS_CA_BUNDLE=loopback.CERTIFICATE):
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


ORDINARY = (b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: "
            b"application/json\r\nContent-Length: 8\r\n\r\n{\"n\": 1}")
CHUNKED = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"4\r\n{\"n\"\r\n4\r\n: 1}\r\n0\r\n\r\n")
GZIPPED = transport._gzip(b'{"n": 1}')


def hangUp(sock):
    sock.shutdown(socket.SHUT_RDWR)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def withLength(length, body=b"", status=b"200 OK", more=b""):
    return (b"HTTP/1.1 " + status + b"\r\n" + more + b"Content-Length: "
            + str(length).encode("ascii") + b"\r\n\r\n" + body)


# What may come as an answer, piece by piece, by a name for it.
ANSWERS = {
    "ordinary": [ORDINARY],
    "in single bytes": [ORDINARY[k:k + 1] for k in range(len(ORDINARY))],
    "head and body apart": [ORDINARY[:-8], ORDINARY[-8:]],
    "without a body": [withLength(0)],
    "as large as what is read at once": [withLength(2000, b"x" * 2000)],
    "a large one in pieces": [withLength(99999)] + [b"x" * 33333] * 3,
    "a refusal": [withLength(2, b"{}", b"400 Bad Request",
                             b"Retry-After: 7\r\n")],
    "with a header twice": [withLength(2, b"{}", more=b"A: 1\r\nA: 2\r\n")],
    "with a folded header": [withLength(2, b"{}", more=b"A: 1\r\n 2\r\n")],
    "with text that is not ASCII": [withLength(2, b"{}", b"200 \xc3\xa4",
                                               b"A: \xff\r\n")],
    "chunked": [CHUNKED],
    "compressed": [withLength(len(GZIPPED), GZIPPED,
                              more=b"Content-Encoding: gzip\r\n")],
    "said to be compressed": [withLength(
        2, b"{}", more=b"Content-Encoding: gzip\r\n")],
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "no content, of some length": [withLength(2, status=b"204 No Content"),
                                   hangUp],
    "until the end": [b"HTTP/1.1 200 OK\r\n\r\n{}", hangUp],
    "of HTTP/1.0": [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                    hangUp],
    "to be closed": [withLength(2, b"{}", more=b"Connection: close\r\n")],
    "closed, and not said so": [withLength(2, b"{}"), hangUp],
    "with more behind it": [ORDINARY + b"x"],
    "with another behind it": [ORDINARY + ORDINARY],
    "with an early hint": INTERIM["early hints"] + [ORDINARY],
    "a change of protocols": [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n"
                              b"\r\n"],
    "a length beyond measure": [withLength(10 ** 12, b"{}"), hangUp],
    "a length that is none": [withLength("-5", b"{}"), hangUp],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n", hangUp],
    "TLS": [b"\x15\x03\x01\x00\x02\x02\x46", hangUp],
    "a head without an end": [b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 99999,
                              hangUp],
    "nothing": [hangUp],
    "a reset": [reset],
    "a reset amid the head": [ORDINARY[:30], reset],
    "a reset amid the body": [ORDINARY[:-3], reset],
    "a hang": [b"HTTP/1.1 200 OK\r\n", lambda sock: sock.recv(1)],
}
ANSWERS.update(("cut after {}".format(k), [ORDINARY[:k], hangUp])
               for k in range(1, len(ORDINARY)))
ANSWERS.update(("chunked, cut after {}".format(k), [CHUNKED[:k], hangUp])
               for k in range(len(CHUNKED) - 40, len(CHUNKED) - 4))


class AgainTest(SocketsCase):
    """The short way, once a connection has sent the like, does what requests
    and urllib3 do on the long one."""

    maxDiff = None
    longMessage = True  # on 2.7

    def setUp(self):
        self.short = []  # what came back the short way
        self.isOff = False
        send = sessions.DeadlineAdapter.sendAgain

        def sendAgain(adapter, request):
            found = None if self.isOff else send(adapter, request)
            self.short.append(found)
            return found

        patched = mock.patch.object(sessions.DeadlineAdapter, "sendAgain",
                                    sendAgain)
        patched.start()
        self.addCleanup(patched.stop)

    def outcome(self, pieces):
        """What comes of a second request that is answered so, and a third."""
        answered = threading.Event()

        def answers(number, body):
            try:
                for piece in pieces if number == 2 else [ok(body)]:
                    yield piece
            finally:
                if number == 2:
                    answered.set()

        server = self.serve(answers)
        channel = self.channel(readTimeout=0.3)
        self.numbers(server, 1, channel)
        with calls.Call() as call:
            try:
                answer = self.post(channel, server.url, 1)
                found = (answer.status_code, answer.reason, answer.content,
                         sorted((name.lower(), " ".join(value.split())) for
                                name, value in answer.headers.items()),
                         answer.encoding)
            except request.Error as error:
                found = (type(error).__mro__, type(error.cause),
                         str(error).replace(str(server.port), "PORT"),
                         error.isFinal)
        self.assertTrue(answered.wait(10))
        self.assertEqual([0, 1, 2], self.numbers(server, 3, channel))
        return (found, call.inDoubt, call.sending, call.bytes,
                server.connections, len(server.requests), [
                    head.replace(str(server.port).encode("ascii"), b"PORT")
                    for head in server.heads])

    def test_every_answer_comes_to_the_same(self):
        for name, pieces in sorted(ANSWERS.items()):
            self.isOff = True
            expected = self.outcome(pieces)
            self.isOff = False
            del self.short[:]
            self.assertEqual(expected, self.outcome(pieces), name)
            if isinstance(expected[0][0], int):
                self.assertIsNotNone(self.short[1], name)  # not for nothing

    def test_through_tls(self):
        server = self.serve(echoing(), context=loopback.tlsContext())
        with mock.patch.dict("os.environ",
                             REQUESTS_CA_BUNDLE=loopback.CERTIFICATE):
            self.assertEqual([0, 1, 2], self.numbers(server, 3))
        self.assertEqual(1, server.connections)
        self.assertEqual([None], self.short[:1])
        self.assertNotIn(None, self.short[1:])

    def test_what_goes_out_is_the_same_but_for_its_length(self):
        server = self.serve(echoing())
        channel = self.channel()
        for number in (1, 2, 345678):
            channel.perform("POST", server.url + "x", {"b": True},
                            {"Authorization": "Bearer t"}, {"n": number})
        self.assertNotIn(None, self.short[1:])
        self.assertEqual(server.heads[0], server.heads[1])
        self.assertEqual(server.heads[0].replace(b"Length: 7", b"Length: 12"),
                         server.heads[2])

    def test_another_address_goes_the_long_way(self):
        server = self.serve(echoing())
        channel = self.channel()
        for method, path in (("POST", "x"), ("POST", "y"), ("POST", "x"),
                             ("GET", "x"), ("GET", "x")):
            channel.perform(method, server.url + path, {}, {}, {"n": 1})
        self.assertEqual([False] * 4 + [True],
                         [found is not None for found in self.short])
        self.assertEqual([b"POST /v1/x", b"POST /v1/y", b"POST /v1/x",
                          b"GET /v1/x ", b"GET /v1/x "],
                         [head[:10] for head in server.heads])
        self.assertEqual(1, server.connections)

    def test_a_header_that_is_out_of_the_ordinary_goes_the_long_way(self):
        server = self.serve(echoing())
        channel = self.channel()
        for value in ("a", "b", "c\td", "e", "f"):
            channel.perform("POST", server.url + "x", {}, {"X-A": value},
                            {"n": 1})
        self.assertEqual([False, True, False, True, True],
                         [found is not None for found in self.short])
        self.assertIn(b"X-A: c\td\r\n", server.heads[2])
        for head in server.heads:
            self.assertEqual(1, head.count(b"X-A: "))
            self.assertEqual(1, head.count(b"Host: "))
        self.assertEqual(server.heads[0].replace(b"X-A: a", b"X-A: f"),
                         server.heads[4])

    def test_a_host_of_ones_own_goes_the_long_way(self):
        server = self.serve(echoing())
        channel = self.channel()
        for _ in range(3):
            channel.perform("POST", server.url + "x", {}, {"Host": "a.b"},
                            {"n": 1})
        self.assertEqual(server.heads[:1] * 3, server.heads)
        self.assertEqual(1, server.heads[0].count(b"Host: a.b\r\n"))

    def test_a_host_of_ones_own_is_not_repeated_wherever_it_stands(self):
        # where a dict has no order of its own, the host's line may be any
        server = self.serve(echoing())
        own, other = ("hOST", "a.b"), ("Content-Length", "2")
        for headers in ([own, other], [other, own]):
            connection = sockets.deadlineConnection(
                requests.packages.urllib3.connection.HTTPConnection)(
                    "127.0.0.1", server.port, timeout=10)
            self.addCleanup(connection.close)
            for given, isAgain in ((headers, False), ([other], False),
                                   (headers, False), ([other], False),
                                   ([other], True)):
                found = connection.again(
                    "POST", "/x", collections.OrderedDict(given), b"{}")
                self.assertEqual(isAgain, found is not None)
                if found is None:
                    with calls.Call() as call:
                        connection.request("POST", "/x", b"{}",
                                           collections.OrderedDict(given))
                        answer = connection.getresponse()
                        self.assertEqual(b"{}", answer.data if hasattr(
                            answer, "data") else answer.read())
                        call.exchange.finish()
            heads = [head.lower().replace(b"accept-encoding: identity\r\n", b"")
                     for head in server.heads[-5:]]
            for head in heads:
                self.assertEqual(1, head.count(b"host: "))
            self.assertIn(b"host: a.b\r\n", heads[0])
            self.assertIn(b"host: 127.0.0.1:", heads[1])
            self.assertEqual(heads[:2] * 2, heads[:4])
            self.assertIn(b"host: 127.0.0.1:", heads[4])

    def test_many_threads(self):
        server = self.serve(echoing())
        channel = self.channel()
        self.numbers(server, 1, channel)
        wrong = []

        def work(first):
            for number in range(first, first + 50):
                answer = self.post(channel, server.url, number).json()
                if answer != {"n": number}:
                    wrong.append((number, answer))

        threads = [threading.Thread(target=work, args=(1000 * k,))
                   for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual([], wrong)
        self.assertEqual(401, len(server.requests))
        self.assertLessEqual(server.connections, 9)
        self.assertGreater(len([1 for one in self.short if one]), 300)

    def test_closed_meanwhile(self):
        channel = self.channel()
        server = self.serve(lambda number, body: [
            lambda _: channel.close() if number == 2 else None, ok(body)])
        self.assertEqual([0, 1, 2], self.numbers(server, 3, channel))
        channel.close()

    def test_who_traces_urllib3_or_http_client_is_not_passed_by(self):
        pools = sys.modules[sessions.connectionpool.__name__]
        client = sys.modules["httplib" if compat.PY2 else "http.client"]
        server = self.serve(echoing())
        channel = self.channel()
        self.numbers(server, 2, channel)
        for owner, name in ((pools.HTTPConnectionPool, "urlopen"),
                            (client.HTTPConnection, "putrequest"),
                            (client.HTTPConnection, "endheaders"),
                            (client.HTTPConnection, "getresponse")):
            seen = []
            real = getattr(owner, name)

            def traced(*args, **kwargs):
                seen.append(name)
                return real(*args, **kwargs)

            with mock.patch.object(owner, name, traced):
                self.numbers(server, 2, channel)
            self.assertEqual([name] * 2, seen)
            self.numbers(server, 2, channel)
            self.assertEqual([name] * 2, seen)

    def test_the_log_of_urllib3_misses_none(self):
        server = self.serve(echoing())
        channel = self.channel()
        self.numbers(server, 2, channel)
        log = logging.getLogger(sessions.connectionpool.__name__)
        shown = []
        handler = logging.Handler()
        handler.emit = lambda record: shown.append(record.getMessage())
        before = log.level
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        try:
            self.numbers(server, 2, channel)
        finally:
            log.removeHandler(handler)
            log.setLevel(before)
        self.assertEqual(2, len([text for text in shown if "/v1/x" in text]))


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

        found = incoming.fileOf(Pipe(), sockets.Exchange())
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
