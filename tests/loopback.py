"""A backend on 127.0.0.1 that misbehaves as it is told.

    with loopback.Loopback() as server:
        server.script("hang", (0, 503, {"Retry-After": "1"}, ""))
        client = iobeam.ClientBuilder(1, loopback.makeToken()) \\
            .setBackend(server.url).registerOrSetId("dev").build()

Every request takes the next step of the script; after the last one, and where
a step says "ok", a small correct backend answers. A step is one of

* ``(delay, status, headers, body)``: this answer, after `delay` seconds; the
  body is bytes, text, or anything that JSON can carry;
* the name of a fault (`FAULTS`), or `step(name, option=..)`;
* "ok", or None.

What came in is in `requests`; what was stored in `stored`, `applied` and
`acknowledged`. All attributes may be changed while it runs.
"""
from __future__ import absolute_import

import base64
import collections
import contextlib
import email.utils
import itertools
import json
import os
import socket
import ssl
import struct
import threading
import time
import zlib

try:
    from urllib.parse import parse_qsl, unquote, urlsplit
except ImportError:
    from urllib import unquote
    from urlparse import parse_qsl, urlsplit

FAULTS = {
    "drop": "reset at once, before the request has been read",
    "reset": "read the request, then reset the connection",
    "close": "read the request, then close the connection in order",
    "reset-amid": "reset in the middle of the answer",
    "reset-after": "answer, then reset the connection",
    "hang": "read the request and never answer",
    "deaf": "read the headers and never the body",
    "trickle": "answer with one byte of the body every `interval` seconds",
    "trickle-headers": "the same from the first byte of the status line on",
    "half-headers": "end in order amid the headers",
    "half-body": "end in order amid the body",
    "html": "200 with the page of a captive portal",
    "redirect": "`status` (302) with `location`",
    "garbage": "bytes that are no HTTP",
}
CERTIFICATE = os.path.join(os.path.dirname(__file__), "loopback.pem")
PAGE = "<html><body>Please log in to Airport WiFi</body></html>"

Step = collections.namedtuple("Step", "name options")
Row = collections.namedtuple("Row", "deviceId time values")
Recorded = collections.namedtuple(
    "Recorded", "method path params headers body raw connection")


def step(name, **options):
    """Make a step of a script.

    Args:
        name (str): one of `FAULTS`, or "ok".
        applied (bool): the backend carries the request out before the fault:
            its answer is what gets lost. Always so for "ok", "trickle",
            "trickle-headers" and "reset-after".
        delay (float): seconds before the fault.
        until (threading.Event): waits for it before the fault.
        interval (float): seconds between two bytes of a trickle.
        status (int), location (str): of a redirect.
        headers (dict): added to the answer.
    """
    if name not in FAULTS and name != "ok":
        raise ValueError("no fault {!r}".format(name))
    return Step(name, options)


def tlsContext():
    """Make what a server speaks TLS by, with the certificate of `CERTIFICATE`."""
    context = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_SERVER",
                                     ssl.PROTOCOL_SSLv23))
    context.load_cert_chain(CERTIFICATE)
    return context


_serial = itertools.count(1)


def makeToken(projectId=1, expiresIn=30 * 86400, header=None, **claims):
    """Make a project token, different from every other one.

    Args:
        projectId (int or None): its ``pid``; None leaves it out.
        expiresIn (float or None): seconds from now; None leaves ``exp`` out.
        header (dict or None): the JOSE header.
        claims: added to the payload.
    """
    payload = dict({"uid": 0, "pms": 7, "jti": "t{}".format(next(_serial))},
                   **claims)
    if projectId is not None:
        payload["pid"] = projectId
    if expiresIn is not None:
        payload.setdefault("exp", int(time.time() + expiresIn))
    return joinToken(header or {"typ": "JWT", "alg": "HS256"}, payload)


def joinToken(header, payload, padded=False):
    """Encode a token; `padded` as the service of 2016 did."""
    parts = [base64.urlsafe_b64encode(json.dumps(part, sort_keys=True)
                                      .encode("ascii")).decode("ascii")
             for part in (header, payload)]
    parts.append(base64.urlsafe_b64encode(b"s" * 32).decode("ascii"))
    return str(".".join(part if padded else part.rstrip("=")
                        for part in parts))


class Loopback(object):
    """The server; a context manager.

    Attributes:
        requests (list of Recorded): every request that was read whole, in
            order; `body` is parsed JSON, `connection` numbers the socket.
        connections (int): accepted sockets.
        stored (dict): (device, field, time in us) to value.
        applied (list of Row): rows in the order they were stored, repeats
            included.
        acknowledged (list of Row): those of them whose answer went out whole.
        devices (dict): id to name of registered devices.
        tokens (set or None): accepted tokens; None accepts any.
        mint (callable): makes a new token, for ``tokens/project``.
        knowsDevices (bool): imports of unregistered devices are 404/32.
        unauthorized (dict): device id to a status that its imports get.
        refusesRow (callable or None): takes a Row; True refuses its request,
            with `refusedStatus`, and its number if `namesRow`.
        refusedValues (int or None): requests of more values get a 413, an API
            error if `refusedByApi`, else a proxy's page.
        maxValues (int or None): sent as ``Iobeam-Max-Values``.
        gzip (bool): advertised with ``Accept-Encoding``.
        refusesGzip (int or None): status for compressed bodies.
        skew (float): seconds its clock is ahead.
        cookie (str or None): sent as ``Set-Cookie``.
        acceptDelay (float): seconds before a connection is served.
    """

    def __init__(self, host="127.0.0.1", ssl=None):
        self.host = host
        self.requests = []
        self.connections = 0
        self.stored = {}
        self.applied = []
        self.acknowledged = []
        self.devices = {}
        self.tokens = None
        self.mint = makeToken
        self.knowsDevices = False
        self.unauthorized = {}
        self.refusesRow = None
        self.refusedStatus = 400
        self.namesRow = False
        self.refusedValues = None
        self.refusedByApi = False
        self.maxValues = None
        self.gzip = False
        self.refusesGzip = None
        self.skew = 0.0
        self.cookie = None
        self.acceptDelay = 0.0
        self._scripts = collections.OrderedDict()  # path to steps
        self._always = {}  # path to the step after them
        self._ssl = ssl
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._sockets = set()
        self._threads = []
        self._listener = None
        self.port = 0
        self.listen()

    # -- for the test -----------------------------------------------------

    @property
    def url(self):
        """The base URL."""
        host = "[{}]".format(self.host) if ":" in self.host else self.host
        return "{}://{}:{}/v1/".format("https" if self._ssl else "http", host,
                                       self.port)

    def script(self, *steps, **where):
        """Append steps; ``path="imports"`` for requests of that path only."""
        with self._changed:
            self._scripts.setdefault(_known(where.get("path")), []).extend(
                map(_asStep, steps))

    def always(self, step, path=None):
        """Set what follows the script; None for the correct backend again."""
        with self._changed:
            self._always[_known(path)] = (None if step is None
                                          else _asStep(step))

    def imports(self):
        """Return the import requests so far."""
        return self.of("imports")

    def of(self, path, method=None):
        """Return the requests of a path (str, without the version) so far."""
        with self._changed:
            return [found for found in self.requests
                    if found.path.strip("/") == path
                    and method in (None, found.method)]

    def waitFor(self, condition, seconds=60.0):
        """Wait until `condition()` holds; AssertionError after `seconds`."""
        limit = time.time() + seconds
        with self._changed:
            while not condition():
                if time.time() >= limit:
                    raise AssertionError("waited {} s in vain; so far {}".format(
                        seconds, [(r.method, r.path) for r in self.requests]))
                self._changed.wait(0.05)

    def refuse(self):
        """Close the port: connections are refused until `listen()`."""
        self._stopAccepting()
        self._hangUp()

    def listen(self):
        """Open the port (again)."""
        if self._listener is not None:
            return
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.host, self.port))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def close(self):
        """Close every socket and end every thread. May be called again."""
        self._closing.set()
        self._stopAccepting()
        self._hangUp()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread of the server does not end"
        self._threads = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- connections ------------------------------------------------------

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args,
                                  name="loopback-{}".format(target.__name__))
        thread.daemon = True
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _stopAccepting(self):
        listener, self._listener = self._listener, None
        if listener is None:
            return
        try:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept() on Linux
        except EnvironmentError:
            pass
        with contextlib.closing(socket.socket(listener.family)) as waker:
            waker.settimeout(1)
            try:
                waker.connect(listener.getsockname()[:2])
            except EnvironmentError:
                pass
        listener.close()

    def _hangUp(self):
        with self._changed:
            sockets, self._sockets = self._sockets, set()
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except EnvironmentError:
                pass

    def _accept(self, listener):
        while self._listener is listener:
            try:
                sock, _ = listener.accept()
            except EnvironmentError:
                return
            if self._listener is not listener:
                sock.close()
                return
            with self._changed:
                self.connections += 1
                number = self.connections
                self._sockets.add(sock)
                self._changed.notify_all()
            self._start(self._serve, sock, number)

    def _serve(self, sock, number):
        try:
            if self.acceptDelay and self._closing.wait(self.acceptDelay):
                return
            if self._ssl is not None:
                raw, sock = sock, self._ssl.wrap_socket(sock, server_side=True)
                with self._changed:
                    self._sockets.discard(raw)
                    self._sockets.add(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.closing(sock.makefile("rb", -1)) as file:
                while self._serveOne(sock, file, number):
                    pass
        except (EnvironmentError, _HungUp):
            pass
        finally:
            with self._changed:
                self._sockets.discard(sock)
            sock.close()

    def _serveOne(self, sock, file, number):
        """Answer one request; return whether the connection stays open."""
        with self._changed:
            if self._peek(None).name == "drop":
                self._next(None)
                return self._end(sock, True)
        line = _readLine(file).split()
        if len(line) < 3:
            return False
        method, target = line[0], line[1]
        headers = _Headers()
        while True:
            header = _readLine(file)
            if not header.strip():
                break
            name, _, value = header.partition(":")
            headers[name.strip()] = value.strip()
        parts = urlsplit(target)
        path = unquote(parts.path)
        path = path[len("/v1/"):] if path.startswith("/v1/") else path
        with self._changed:
            taken = self._next(path.strip("/"))
        if taken.name == "deaf":
            return self._hang()
        if taken.name == "drop":  # the connection is an old one
            return self._end(sock, True)
        raw = _readBody(file, headers)
        request = Recorded(method, path, dict(parse_qsl(parts.query)), headers,
                           _parse(raw, headers), raw, number)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return self._answer(sock, request, taken)

    def _peek(self, path):
        for key in (path, None):
            if self._scripts.get(key):
                return self._scripts[key][0]
            if self._always.get(key) is not None:
                return self._always[key]
        return _OK

    def _next(self, path):
        for key in (path, None):
            if self._scripts.get(key):
                return self._scripts[key].pop(0)
            if self._always.get(key) is not None:
                return self._always[key]
        return _OK

    # -- answers ----------------------------------------------------------

    def _answer(self, sock, request, taken):
        name, options = taken
        if self._closing.wait(options.get("delay", 0)):
            return False
        if "until" in options and not options["until"].wait(60):
            return False
        applies = options.get("applied", name == "ok" or (
            name.startswith("trickle") or name == "reset-after"))
        rows, answer = [], (200, {}, "{}")
        if applies:
            with self._changed:
                answer = self._handle(request)
                rows = answer[3:] and answer[3] or []
                self._changed.notify_all()
        status, headers, body = answer[:3]
        if name == "scripted":
            status, headers, body = options["answer"]
        elif name == "html":
            status, headers, body = 200, {"Content-Type": "text/html"}, PAGE
        elif name == "redirect":
            status = options.get("status", 302)
            headers = {"Location": options.get("location", "/v1/elsewhere")}
        headers = dict(headers, **options.get("headers", {}))
        head, content = self._wire(status, headers, body)
        if name == "hang":
            return self._hang()
        if name in ("reset", "close"):
            return self._end(sock, name == "reset")
        if name == "garbage":
            sock.sendall(b"\x00\xff\x00 what?\r\n\r\n")
            return self._end(sock, False)
        if name == "half-headers":
            sock.sendall(head[:len(head) // 2])
            return self._end(sock, False)
        if name in ("half-body", "reset-amid"):
            sock.sendall(head + content[:len(content) // 2])
            return self._end(sock, name == "reset-amid")
        if name == "trickle-headers":
            self._trickle(sock, head + content, options)
        elif name == "trickle":
            sock.sendall(head)
            self._trickle(sock, content, options)
        else:
            if rows and name == "ok":
                # before the client can know, so that a test that looks at
                # once after send() finds them
                self._acknowledge(rows)
                rows = []
            sock.sendall(head + content)
        if rows and name.startswith("trickle"):
            # Not for other faults: a page is no acceptance, and a reset can
            # take the answer away before the client has read it.
            self._acknowledge(rows)
        if name == "reset-after":
            return self._end(sock, True)
        return (request.headers.get("Connection", "").lower() != "close"
                and headers.get("Connection", "").lower() != "close")

    def _acknowledge(self, rows):
        with self._changed:
            self.acknowledged.extend(rows)
            self._changed.notify_all()

    def _wire(self, status, headers, body):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if not isinstance(body, bytes):
            body = body.encode("utf-8")
        sent = collections.OrderedDict([
            ("Date", email.utils.formatdate(time.time() + self.skew,
                                            usegmt=True)),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body)))])
        if self.maxValues is not None:
            sent["Iobeam-Max-Values"] = str(self.maxValues)
        if self.gzip:
            sent["Accept-Encoding"] = "gzip"
        if self.cookie is not None:
            sent["Set-Cookie"] = self.cookie
        sent.update(headers)
        lines = ["HTTP/1.1 {} Scripted".format(status)] + [
            "{}: {}".format(name, value) for name, value in sent.items()
            if value is not None]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head if str is bytes else head.encode("latin-1"), body

    def _trickle(self, sock, content, options):
        for start in range(len(content)):
            sock.sendall(content[start:start + 1])
            if self._closing.wait(options.get("interval", 0.1)):
                raise _HungUp()

    def _hang(self):
        self._closing.wait()
        return False

    @staticmethod
    def _end(sock, reset):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        else:
            sock.shutdown(socket.SHUT_WR)
        return False

    # -- the correct backend ------------------------------------------------

    def _handle(self, request):
        """(status, headers, body) and, for an import, its rows."""
        path = request.path.strip("/")
        body = request.body if isinstance(request.body, dict) else {}
        if path == "tokens/project" and request.method == "POST":
            return self._newToken()
        if self.tokens is not None and request.headers.get(
                "Authorization", "")[len("Bearer "):] not in self.tokens:
            return _failure(401, 1, "invalid token")
        if path == "tokens/project":
            return self._newToken()
        if path == "devices/timestamp":
            now = int((time.time() + self.skew) * 1000)
            return 200, {}, {"server_timestamp": now}
        if path == "devices" and request.method == "GET":
            return 200, {}, {"devices": [
                {"project_id": 1, "device_id": device, "device_name": name,
                 "created": "2016-01-01 00:00:00 +0000"}
                for device, name in sorted(self.devices.items())]}
        if path == "devices":
            return self._register(body)
        if path == "imports":
            return self._import(request, body)
        if path.startswith("exports/"):
            return self._export(path.split("/")[1:])
        return _failure(404, 32, "no such path")

    def _newToken(self):
        token = self.mint()
        if self.tokens is not None:
            self.tokens.add(token)
        return 200, {}, {"token": token, "project_id": 1,
                         "expires": "2030-01-01 00:00:00 +0000"}

    def _register(self, body):
        deviceId = body.get("device_id") or "generated-device-{:04}".format(
            len(self.devices) + 1)
        if deviceId in self.devices:
            return _failure(422, 150, "device id already registered")
        self.devices[deviceId] = body.get("device_name") or deviceId
        return 201, {}, {"device_id": deviceId,
                         "device_name": self.devices[deviceId],
                         "project_id": body.get("project_id"),
                         "created": "2016-01-01 00:00:00 +0000"}

    def _import(self, request, body):
        if self.refusesGzip and "Content-Encoding" in request.headers:
            return _failure(self.refusesGzip, 1, "not JSON")
        deviceId = body.get("device_id")
        if deviceId in self.unauthorized:
            return _failure(self.unauthorized[deviceId], 2, "not yours")
        if self.knowsDevices and deviceId not in self.devices:
            return _failure(404, 32, "no such device")
        rows = rowsOf(body)
        values = sum(len(row.values) for row in rows)
        if self.refusedValues is not None and values > self.refusedValues:
            if self.refusedByApi:
                return _failure(413, 2, "too many values")
            return 413, {"Content-Type": "text/html"}, PAGE
        for number, row in enumerate(rows):
            if self.refusesRow is not None and self.refusesRow(row):
                return _failure(self.refusedStatus, 3, "bad row",
                                **({"row": number} if self.namesRow else {}))
        for row in rows:
            for field, value in row.values.items():
                if value is not None:
                    self.stored[deviceId, field, row.time] = value
        self.applied.extend(rows)
        return 200, {}, "{}", rows

    def _export(self, parts):
        wanted = [None if part == "all" else part for part in parts[1:]] + [
            None, None]
        series = collections.OrderedDict()
        for (device, field, moment), value in sorted(self.stored.items()):
            if wanted[0] in (None, device) and wanted[1] in (None, field):
                series.setdefault((device, field), []).append(
                    {"time": moment // 1000, "value": value})
        return 200, {}, {"timefmt": "msec", "result": [
            {"project_id": int(parts[0]), "device_id": device, "name": field,
             "data": points} for (device, field), points in series.items()]}


def rowsOf(body):
    """Return the rows of an import's body, table or list format."""
    sources = body.get("sources") or {}
    deviceId = body.get("device_id")
    unit = {"sec": 1000000, "usec": 1}.get(body.get("timefmt"), 1000)
    if isinstance(sources, dict):
        fields = sources.get("fields", [])
        found = [dict(zip(fields, row)) for row in sources.get("data", [])]
        return [Row(deviceId, row.pop("time") * unit, row) for row in found]
    return [Row(deviceId, point["time"] * unit, {one["name"]: point["value"]})
            for one in sources for point in one["data"]]


class _HungUp(Exception):
    pass


class _Headers(dict):
    """Headers by lower-case name, looked up in any case."""

    def __setitem__(self, name, value):
        dict.__setitem__(self, name.lower(), value)

    def __getitem__(self, name):
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name):
        return dict.__contains__(self, name.lower())

    def get(self, name, default=None):
        return dict.get(self, name.lower(), default)


_OK = Step("ok", {})


def _known(path):
    if path is not None and path.startswith("/"):
        raise ValueError("path={!r} is no request's; they begin after /v1/"
                         .format(path))
    return path


def _asStep(given):
    if given is None:
        return _OK
    if isinstance(given, Step):
        return given
    if isinstance(given, tuple):
        delay, status, headers, body = given
        return Step("scripted", {"delay": delay,
                                 "answer": (status, headers or {}, body)})
    return step(given)


def _failure(status, code, message, **more):
    return status, {}, {"errors": [dict(more, code=code, message=message)]}


def _readLine(file):
    line = file.readline(65537)
    if not line.endswith(b"\n"):
        raise _HungUp()
    return line if str is bytes else line.decode("latin-1")


def _readBody(file, headers):
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        parts = []
        while True:
            size = int(_readLine(file).split(";")[0], 16)
            parts.append(_readExactly(file, size))
            _readLine(file)
            if size == 0:
                return b"".join(parts)
    return _readExactly(file, int(headers.get("Content-Length", 0)))


def _readExactly(file, size):
    content = file.read(size)
    if len(content) < size:
        raise _HungUp()
    return content


def _parse(raw, headers):
    if headers.get("Content-Encoding") == "gzip":
        raw = zlib.decompress(raw, 31)
    try:
        return json.loads(raw.decode("utf-8"))
    except ValueError:
        return None


def builder(server, projectId=1, token=None, retries=None, read=20):
    """Return a ClientBuilder for the server; of short patience with `read`."""
    from iobeam import iobeam

    found = iobeam.ClientBuilder(projectId, token or makeToken(projectId)) \
        .setBackend(server.url).setTimeout(20, read).setGiveUpAfter(60)
    return found if retries is None else found.setRetries(retries)


# -- a port whose connections never come about --------------------------------


@contextlib.contextmanager
def blackHole(host="127.0.0.1"):
    """Yield a port at which a connect gets no answer at all (on Linux)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    fillers = []
    try:
        listener.bind((host, 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(16):  # the queue of those not yet accepted is full soon
            filler = socket.socket(family, socket.SOCK_STREAM)
            fillers.append(filler)
            filler.settimeout(0.1)
            try:
                filler.connect(address)
            except socket.timeout:
                break
        yield address[1]
    finally:
        for sock in fillers + [listener]:
            sock.close()


def freePort():
    """Return a port at which nobody listens."""
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def noLeaks(test):
    """Check that no thread and, on Linux, no descriptor is left behind."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    # a server's thread hears a moment later that its client has gone
    limit = time.time() + 60
    while time.time() < limit and (set(threading.enumerate()) - threads
                                   or _descriptors() > descriptors):
        time.sleep(0.01)
    test.assertEqual(set(threading.enumerate()) - threads, set())
    # fewer: what an earlier client left was still to be closed at the beginning
    test.assertLessEqual(_descriptors(), descriptors)


def _descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir(
        "/proc/self/fd") else 0
