"""A proxy on 127.0.0.1 between a client and a real backend, that is no help.

    with proxy.Proxy(port, seed=5) as between:
        client = ...setBackend(between.url)...

For each request it picks one of `FAULTS`, the n-th of a seed always the same.
It needs nothing but the standard library, so that the backend's tests can use
it as well.
"""
from __future__ import absolute_import

import collections
import random
import socket
import struct
import threading

_WAIT = 20  # s for one read; a test that comes there has failed
_PAGE = b"<html><body>Please log in to Airport WiFi</body></html>"
_ERROR = b'{"errors":[{"code":8,"message":"from the proxy"}]}'

# a request or an answer: head with its empty line, and body
Message = collections.namedtuple("Message", "head body")


class _Gone(Exception):
    """The other side of a connection has gone."""


class Exchange(object):
    """One request on its way: what the faults are made of."""

    def __init__(self, proxy, client, request, pick):
        self.proxy = proxy
        self.client = client
        self.request = request  # None: not read yet
        self.pick = pick

    def read(self):
        """Take the request in, if that has not happened yet."""
        if self.request is None:
            self.request = self.client.read()
        return self.request

    def forward(self):
        """Let the backend carry it out and return its answer.

        On a connection of its own: an answer that is left unread by one
        fault cannot become that of another request.
        """
        self.read()
        try:
            with _Connection.to(self.proxy.target) as backend:
                backend.write(self.request.head + self.request.body)
                answer = backend.read(isAnswer=True)
        except (socket.error, _Gone):
            # it was killed, or is about to start: what a proxy says then
            return _answer(502, _PAGE, kind="text/html")
        return answer

    def reply(self, answer):
        self.client.write(answer.head + answer.body)

    def wait(self, seconds):
        self.proxy.closing.wait(seconds * self.pick.random())


# -- the faults: each returns whether the connection goes on ------------------


def _pass(exchange):
    exchange.reply(exchange.forward())
    return True


def _cutBefore(exchange):
    exchange.client.reset()


def _cutAmid(exchange):
    exchange.client.take(exchange.pick.randint(1, 200))
    exchange.client.reset()


def _cutAfter(exchange):
    exchange.read()
    exchange.client.reset()


def _closeAfter(exchange):
    exchange.read()


def _lose(exchange):
    exchange.forward()
    exchange.client.reset()


def _loseInOrder(exchange):
    exchange.forward()


def _cutAnswer(exchange):
    answer = exchange.forward()
    whole = answer.head + answer.body
    exchange.client.write(whole[:exchange.pick.randrange(1, len(whole))])
    if exchange.pick.random() < 0.5:
        exchange.client.reset()


def _delay(exchange):
    exchange.read()
    exchange.wait(0.3)
    return _pass(exchange)


def _delayAnswer(exchange):
    answer = exchange.forward()
    exchange.wait(0.3)
    exchange.reply(answer)
    return True


def _hang(exchange):
    if exchange.pick.random() < 0.5:
        exchange.forward()
    exchange.proxy.closing.wait(exchange.proxy.hangSeconds)


def _repeat(exchange):
    exchange.forward()
    return _pass(exchange)


def _repeatLater(exchange):
    """Once more behind the next request: a packet that went astray."""
    exchange.proxy.strays.append(exchange)
    return _pass(exchange)


def _interim(exchange):
    answer = exchange.forward()
    for _ in range(exchange.pick.randint(1, 3)):
        exchange.client.write(exchange.pick.choice([
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 102 Processing\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"]))
        exchange.wait(0.1)
    exchange.reply(answer)
    return True


def _status(exchange):
    """A passing failure of the proxy's own, without or with the request."""
    if exchange.pick.random() < 0.3:
        exchange.forward()
    exchange.read()
    headers = exchange.pick.choice([b"", b"", b"Retry-After: 0\r\n",
                                    b"Retry-After: 1\r\n"])
    body, kind = exchange.pick.choice([(b"", "text/plain"),
                                       (_PAGE, "text/html"),
                                       (_ERROR, "application/json")])
    exchange.reply(_answer(exchange.pick.choice([429, 503, 502, 504, 408, 500]),
                           body, headers, kind))
    return exchange.pick.random() < 0.7


def _portal(exchange):
    """200 with a page that says nothing of the request."""
    if exchange.pick.random() < 0.3:
        exchange.forward()
    exchange.read()
    exchange.reply(_answer(200, _PAGE, kind="text/html"))
    return exchange.pick.random() < 0.5


def _trickle(exchange):
    answer = exchange.forward()
    whole = answer.head + answer.body
    for start in range(0, len(whole), 3):
        exchange.client.write(whole[start:start + 3])
        exchange.proxy.closing.wait(0.001)
    return True


def _closeIdle(exchange):
    _pass(exchange)
    exchange.wait(0.1)  # the client may be sending again by now


def _halfClose(exchange):
    """Say no more, but go on listening: the next request is read in vain."""
    _pass(exchange)
    exchange.client.shutdown()
    exchange.wait(0.2)


FAULTS = collections.OrderedDict([  # name to (weight, what it does)
    ("pass", (18, _pass)), ("cut-before", (1, _cutBefore)),
    ("cut-amid", (1, _cutAmid)), ("cut-after", (1, _cutAfter)),
    ("close-after", (1, _closeAfter)), ("lose", (2, _lose)),
    ("lose-in-order", (1, _loseInOrder)), ("cut-answer", (2, _cutAnswer)),
    ("delay", (2, _delay)), ("delay-answer", (1, _delayAnswer)),
    ("hang", (1, _hang)), ("repeat", (2, _repeat)),
    ("repeat-later", (2, _repeatLater)), ("interim", (2, _interim)),
    ("status", (4, _status)), ("portal", (2, _portal)),
    ("trickle", (1, _trickle)), ("close-idle", (2, _closeIdle)),
    ("half-close", (1, _halfClose))])
_BAG = [name for name, (weight, _) in FAULTS.items() for _ in range(weight)]


class Proxy(object):
    """Stands between clients and `target` until it is closed.

    Attributes:
        target (int): the port of the backend; may change, as a backend that
            starts anew has another one.
        isCalm (bool): True passes everything on.
        script (list of str): faults to come before those of the seed.
        counts (dict): how often each fault was used.
        hangSeconds (float): for how long the fault "hang" lasts.
    """

    def __init__(self, target, seed=0):
        self.target = target
        self.seed = seed
        self.isCalm = False
        self.script = []
        self.counts = collections.Counter()
        self.hangSeconds = 2.0
        self.strays = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._underway = 0  # exchanges
        self._serial = 0
        self._open = set()
        self._threads = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.url = "http://127.0.0.1:{}/v1/".format(
            self._listener.getsockname()[1])
        self._start(self._accept)

    def restart(self, seed):
        """Begin anew with the first fault of a seed."""
        with self._lock:
            self.seed, self._serial = seed, 0
            self.counts.clear()

    def waitForQuiet(self):
        """Wait until nothing is on its way any more, from the dead either."""
        with self._lock:
            self.strays = []
            while self._underway:
                self._changed.wait(_WAIT)

    def close(self):
        self.closing.set()
        # wakes accept(), which closing alone does not everywhere
        try:
            socket.create_connection(self._listener.getsockname(), 1).close()
        except socket.error:
            pass
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(_WAIT)
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, function, *args):
        thread = threading.Thread(target=function, args=args)
        thread.daemon = True
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive()
                             or one.ident is None] + [thread]
        thread.start()

    def _accept(self):
        while True:
            sock, _ = self._listener.accept()
            if self.closing.is_set():
                return sock.close()
            self._start(self._serve, _Connection(sock))

    def _serve(self, client):
        with self._lock:
            self._open.add(client)
        try:
            with client:
                while client.waitForBytes() and not self.closing.is_set():
                    if not self._exchange(client):
                        return
        except (socket.error, _Gone):
            pass
        finally:
            with self._lock:
                self._open.discard(client)

    def faultOf(self, number):
        """Return the fault for the n-th request, and what picks its details."""
        pick = random.Random(self.seed * 1000003 + number)
        return pick.choice(_BAG), pick

    def _exchange(self, client):
        with self._lock:
            self._serial += 1
            name, pick = self.faultOf(self._serial)
            if self.isCalm:
                name = "pass"
            if self.script:
                name = self.script.pop(0)
            self.counts[name] += 1
            strays, self.strays = self.strays, []
            self._underway += 1
        try:
            goesOn = FAULTS[name][1](Exchange(self, client, None, pick))
            for stray in strays:
                stray.forward()
            return goesOn
        finally:
            with self._lock:
                self._underway -= 1
                self._changed.notify_all()


class _Connection(object):
    """A socket, read by whole messages."""

    def __init__(self, sock):
        sock.settimeout(_WAIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._left = b""

    @classmethod
    def to(cls, port):
        return cls(socket.create_connection(("127.0.0.1", port), _WAIT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def waitForBytes(self):
        """Wait for a request; return whether there is one."""
        self._left = self._left or self._sock.recv(1)
        return bool(self._left)

    def take(self, size):
        """Read so many bytes, or what comes at once."""
        self._left += self._sock.recv(size)

    def read(self, isAnswer=False):
        while b"\r\n\r\n" not in self._left:
            self._more()
        head, self._left = self._left.split(b"\r\n\r\n", 1)
        size = 0
        for line in head.split(b"\r\n")[1:]:
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                size = int(value)
        while len(self._left) < size:
            self._more()
        body, self._left = self._left[:size], self._left[size:]
        return Message(head + b"\r\n\r\n", body)

    def write(self, content):
        self._sock.sendall(content)

    def reset(self):
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))

    def shutdown(self, how=socket.SHUT_WR):
        try:
            self._sock.shutdown(how)
        except socket.error:
            pass  # the client was first

    def _more(self):
        content = self._sock.recv(65536)
        if not content:
            raise _Gone()
        self._left += content


def _answer(status, body, headers=b"", kind="application/json"):
    head = "HTTP/1.1 {} Proxied\r\nContent-Type: {}\r\nContent-Length: {}\r\n" \
        .format(status, kind, len(body)).encode("ascii")
    return Message(head + headers + b"\r\n", body)
