"""From a request to bytes on a socket: the only module that imports requests.

It is imported at the first real request. Each attempt ends within the limits
of the running call (`iobeam.http.call`), also against a server that trickles
one byte a second: the connections here arm the socket's time-out anew from the
deadline before every read and write, where the time-outs of `requests` start
again at every byte.
"""
from __future__ import absolute_import

import errno
import io
import json
import os
import random
import re
import socket
import threading
import time
import zlib

import requests
from requests.packages.urllib3 import exceptions as urllib3errors

from iobeam import errors
from iobeam.http import call as calls
from iobeam.http import retry
from iobeam.utils import compat

try:
    import orjson
except ImportError:
    orjson = None

# json.dumps would make one for each request.
_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

_USER_AGENT = "iobeam python"
_COMPRESSED_FROM = 1024  # bytes; below, gzip saves less than a packet
_GZIP_LEVEL = 1  # two thirds of the size go at a tenth of the CPU of level 9
_GZIP_FORMAT = 31  # zlib's wbits for a gzip header and trailer
_MAX_ANSWER = 256 * 1024 * 1024  # bytes; an endless one must not fill the memory
_PIECE = 16384  # bytes written under one time-out
_HEADER_VALUE = re.compile("[\\x20-\\x7e\\t]*\\Z")
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
# A server that does not understand gzip may answer with any of these.
_MAYBE_COMPRESSION = (400, 413, 415, 422)


def channelOf(session):
    """Return the channel behind what a `Request` was given as its session."""
    if hasattr(session, "channel"):
        return session.channel()
    settings = _PlainSettings()
    settings.session = session
    return Channel(settings)


class _PlainSettings(object):
    connectTimeout = calls.CONNECT_SECONDS
    readTimeout = calls.READ_SECONDS
    retries = retry.DEFAULT_RETRIES
    compress = None
    session = None


class Channel(object):
    """Connections to one backend: keep-alive, no cookies, no redirects.

    Args:
        settings (Settings): time-outs, retries, compression, own session.
    """

    def __init__(self, settings):
        self._settings = settings
        self._compress = settings.compress
        self._session = None
        self._pid = None
        self._urls = {}  # (url, parameters) to the encoded address
        self._routes = {}  # proxies and certificates by host
        self._lock = threading.Lock()

    def perform(self, method, url, params, headers, payload):
        """Carry out one request, repeats included, and return its answer.

        Args:
            method (str): "GET" or "POST".
            url (str), params (dict), headers (dict): booleans go out as
                ``true`` and ``false``.
            payload (dict, or an object with ``asText``): body of a POST.

        Returns:
            requests.Response: read to its end; the status may be any.

        Raises:
            ConnectionError, TimeoutError: no attempt brought an answer; also
                the `requests` exception of the last one.
        """
        with calls.current() as call:
            call.begin(self._settings.readTimeout)
            request = self._prepare(method, url, params, headers, payload)
            while True:
                response, error = self._attempt(call, request)
                if error is None and self._mayBeCompression(request, response):
                    self._compress = False
                    request = self._prepare(method, url, params, headers,
                                            payload)
                    continue
                if not _mayRepeat(call, response, error):
                    break
                asked = (None if response is None
                         else response.headers.get("Retry-After"))
                wait = retry.pause(call.repeated, asked, time.time(),
                                   random.random)
                call.trouble()
                if (call.repeated >= self._settings.retries
                        or wait >= call.left()):
                    break
                call.repeated += 1
                call.repeats += 1
                time.sleep(wait)
        if error is not None:
            raise error
        return response

    def close(self):
        """Close the connections; the next request opens new ones."""
        if self._session is not None and self._pid == os.getpid() \
                and self._session is not self._settings.session:
            self._session.close()

    def _open(self):
        # A forked child must not share its parent's sockets.
        if self._pid != os.getpid():
            with self._lock:
                own = self._settings.session
                if own is not None and self._pid is not None:
                    own.close()  # this process's ends of its connections
                self._session = own or _makeSession()
                self._pid = os.getpid()
        return self._session

    def _prepare(self, method, url, params, headers, payload):
        session = self._open()
        sent = {"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip, deflate"}
        body = None
        if method == "POST":
            sent["Content-Type"] = "application/json"
            body = _serialise(payload)
            if self._compress and len(body) > _COMPRESSED_FROM:
                body = _gzip(body)
                sent["Content-Encoding"] = "gzip"
            sent["Content-Length"] = str(len(body))
        sent.update(_checkedHeaders(headers))
        if session is self._settings.session:
            return session.prepare_request(requests.Request(
                method, self._address(url, params), headers=sent, data=body,
                auth=_Bearer(sent.pop("Authorization", None))))
        # What `Session.prepare_request` would do, less what costs most of a
        # small send: merging settings that this session does not have.
        request = requests.PreparedRequest()
        request.method = method
        request.url = self._address(url, params)
        request.headers = sent
        request.body = body
        request.hooks = {"response": []}
        return request

    def _address(self, url, params):
        # as text, since True would find the address made for 1
        texts = tuple(sorted(
            (name, str(value).lower() if isinstance(value, bool)
             else value if isinstance(value, compat.TEXTS) else str(value))
            for name, value in params.items()))
        found = self._urls.get((url, texts))
        if found is None:
            _makeRoom(self._urls)
            prepared = requests.PreparedRequest()
            prepared.prepare_url(url, texts)
            found = self._urls[url, texts] = prepared.url
        return found

    def _attempt(self, call, request):
        """Do it once: (response, None) or (None, error)."""
        left = call.left()
        if left <= 0:
            return None, _timedOut("the time limit of the call is over")
        call.sending = False
        call.requests += 1
        try:
            response = self._sendOnce(request, left)
        except (requests.RequestException, urllib3errors.HTTPError,
                EnvironmentError) as failure:
            if not isinstance(failure, (requests.ConnectTimeout, ValueError)):
                call.inDoubt |= call.sending or (
                    self._settings.session is not None
                    and not _isFailedConnect(failure))
            return None, _errorOf(failure, call)
        if response.status_code in retry.DOUBTFUL_STATUSES:
            call.inDoubt = True
        if "gzip" in response.headers.get("Accept-Encoding", "") \
                and self._compress is None:
            self._compress = True
        return response, None

    def _sendOnce(self, request, left):
        session = self._open()
        timeout = (min(self._settings.connectTimeout, left),
                   min(self._settings.readTimeout, left))
        for _ in range(_MAX_REDIRECTS):
            response = session.get_adapter(request.url).send(
                request, timeout=timeout, stream=True,
                **self._route(session, request.url))
            _readToEnd(response)
            target = _redirectTarget(request, response)
            if target is None:
                break
            request = request.copy()
            request.url = target
        return response

    def _route(self, session, url):
        host = compat.urlsplit(url)[:2]
        if host not in self._routes:
            route = session.merge_environment_settings(url, {}, True, None,
                                                       None)
            self._routes[host] = dict(
                (name, route[name]) for name in ("proxies", "verify", "cert"))
        return self._routes[host]

    def _mayBeCompression(self, request, response):
        return (response.status_code in _MAYBE_COMPRESSION
                and request.headers.get("Content-Encoding") == "gzip")


class _Bearer(requests.auth.AuthBase):
    """Our header or none: without it, requests would look into .netrc."""

    def __init__(self, header):
        self._header = header

    def __call__(self, request):
        if self._header is not None:
            request.headers["Authorization"] = self._header
        return request


def _mayRepeat(call, response, error):
    if error is not None:
        if isinstance(error, ValueError):  # a URL that cannot be sent to
            return False
        if _isWrongCertificate(error):  # nor will it be right in 10 s
            return False
        if isinstance(error, errors.TimeoutError) and call.resizes:
            return False
        return call.repeatsUnsafe or not call.inDoubt
    if not retry.isRetried(response.status_code):
        return False
    return call.repeatsUnsafe or response.status_code == 429


def _serialise(payload):
    if hasattr(payload, "asText"):
        return payload.asText().encode("utf-8")
    if orjson is not None:
        try:
            return orjson.dumps(payload)
        except TypeError:
            pass  # what only the standard library takes, such as subclasses
    return _encoder.encode(payload).encode("utf-8")


def _gzip(body):
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    return packer.compress(body) + packer.flush()


def _checkedHeaders(headers):
    for name, value in headers.items():
        # What http.client says of such values shows them, and this may be a
        # token. RFC 9110, 5.5.
        if not _HEADER_VALUE.match(value):
            raise ValueError("header {} holds a line break, or what is not "
                             "ASCII".format(name))
    return headers


def _redirectTarget(request, response):
    """Where a GET goes on: only to another path of the same server."""
    if request.method != "GET" or response.status_code not in _REDIRECTS:
        return None
    location = response.headers.get("Location")
    if not location:
        return None
    target = requests.compat.urljoin(request.url, location)
    same = compat.urlsplit(target)[:2] == compat.urlsplit(request.url)[:2]
    return target if same else None


def _readToEnd(response):
    """Read the whole answer, so that the connection can be used again.

    Raises:
        requests.ConnectionError: it ended before its Content-Length, which
            requests up to 2.31 takes for a whole answer.
    """
    try:
        announced = response.headers.get("Content-Length", "")
        if not re.match(r"[0-9]{1,18}\Z", announced):
            announced = None
        elif int(announced) > _MAX_ANSWER:  # http.client would make room for it
            raise requests.ConnectionError("the answer is to be {} bytes long, "
                                           "which is more than {}".format(
                                               announced, _MAX_ANSWER))
        # What `response.content` does, less a generator and a second read.
        try:
            response._content = (
                _readDecoded(response.raw)
                if "Content-Encoding" in response.headers
                else response.raw.read(decode_content=True))
        except (MemoryError, OverflowError, ValueError) as error:
            # of chunks that are said to be larger than memory
            raise requests.ConnectionError("the answer cannot be read: {}: {}"
                                           .format(type(error).__name__,
                                                   error))
        response._content_consumed = True
        if (announced and response.status_code not in (204, 304)
                and response.raw.tell() < int(announced)):
            raise requests.ConnectionError("the answer ended after {} of {} "
                                           "bytes".format(response.raw.tell(),
                                                          announced))
    except BaseException:
        response.close()
        raise


def _readDecoded(raw):
    """Read a compressed answer piece by piece: a small one may hold a lot."""
    parts, size = [], 0
    for part in raw.stream(_PIECE, decode_content=True):
        size += len(part)
        if size > _MAX_ANSWER:
            raise requests.ConnectionError("the answer is longer than {} bytes"
                                           .format(_MAX_ANSWER))
        parts.append(part)
    return b"".join(parts)


def _isWrongCertificate(error):
    return isinstance(error, requests.exceptions.SSLError) and any(
        words in str(error) for words in (
            "CERTIFICATE_VERIFY_FAILED", "certificate verify failed",
            "doesn't match", "not valid for"))


def _isFailedConnect(failure):
    reason = getattr(failure.args[0] if failure.args else None, "reason", None)
    return isinstance(reason, (urllib3errors.NewConnectionError,
                               urllib3errors.ConnectTimeoutError))


def _timedOut(message):
    return errors.combine(errors.TimeoutError, requests.Timeout)(message)


def _errorOf(failure, call):
    """The library's error for a failed attempt; also the requests' one."""
    timed = isinstance(failure, requests.Timeout) or "timed out" in str(failure)
    kind = type(failure)
    if isinstance(failure, urllib3errors.ProtocolError):  # amid the answer
        kind = requests.exceptions.ChunkedEncodingError
    elif isinstance(failure, urllib3errors.DecodeError):
        kind = requests.exceptions.ContentDecodingError
    elif not isinstance(failure, requests.RequestException):
        kind = requests.ConnectionError
    if not timed:
        bases = (errors.ConnectionError, kind)
    elif issubclass(kind, requests.Timeout):
        bases = (errors.TimeoutError, kind)
    else:
        bases = (errors.TimeoutError, requests.ReadTimeout)
    if isinstance(failure, requests.ConnectTimeout):
        bases = (errors.ConnectionError,) + bases
    elif issubclass(kind, requests.exceptions.ChunkedEncodingError):
        bases += (requests.ConnectionError,)  # the connection broke off
    error = errors.combine(*bases)("{}: {}".format(
        type(failure).__name__, failure))
    error.request = error.response = None  # they would hold the token
    error.isFromTransport = True
    return error


# -- connections that keep a deadline --------------------------------------


class _DeadlineReader(io.RawIOBase):
    """The reading side of a socket, armed from the deadline at each read."""

    def __init__(self, sock):
        # the file keeps the socket open for as long as the answer is read
        self._file = sock.makefile("rb", 0)
        self._socket = self._file._sock if compat.PY2 else sock
        self._tail = b""
        self._count = 0
        self.sawHeaders = self.sawEnd = False

    def readable(self):
        return True

    def readinto(self, buffer):
        while True:
            self._socket.settimeout(_stepSeconds())
            try:
                count = self._socket.recv_into(buffer)
            except EnvironmentError as error:
                if error.errno == errno.EINTR:  # before Python 3.5
                    continue
                raise
            break
        self._count += count
        if self._count > _MAX_ANSWER:
            raise socket.error(errno.EMSGSIZE, "the answer is longer than {} "
                               "bytes".format(_MAX_ANSWER))
        if count == 0:
            self.sawEnd = True
        elif not self.sawHeaders:
            self._tail += bytes(bytearray(buffer[:count]))
            self.sawHeaders = (b"\n\r\n" in self._tail
                               or b"\n\n" in self._tail)
            self._tail = self._tail[-3:]
        return count

    def close(self):
        self._file.close()
        io.RawIOBase.close(self)


class _DeadlineSocket(object):
    """Stands for a socket where an HTTP response asks it for a file."""

    def __init__(self, sock):
        self._sock = sock
        self.reader = None

    def makefile(self, *_, **__):
        self.reader = _DeadlineReader(self._sock)
        return io.BufferedReader(self.reader)


def _stepSeconds():
    """Seconds that the next read or write may take."""
    call = calls.current(None)
    if call is None:  # the end of an answer that is read outside of a call
        return calls.READ_SECONDS
    seconds = min(call.stepSeconds, call.left())
    if seconds <= 0:
        raise socket.timeout("timed out")
    return seconds


def _deadlineResponse(base):
    """A subclass of an HTTP response class that reads within the deadline."""

    class DeadlineResponse(base):
        def __init__(self, sock, *args, **kwargs):
            sock = self._deadlineSocket = _DeadlineSocket(sock)
            base.__init__(self, sock, *args, **kwargs)

        def begin(self):
            base.begin(self)
            reader = self._deadlineSocket.reader
            if reader.sawEnd and not reader.sawHeaders:
                # http.client takes an end amid the headers for their end
                self.close()
                raise socket.error(errno.ECONNRESET,
                                   "the answer ended amid its headers")

    return DeadlineResponse


def _deadlineConnection(base):
    """A subclass of a urllib3 connection class that keeps the deadline."""

    class DeadlineConnection(base):
        response_class = _deadlineResponse(base.response_class)

        _head = None

        def send(self, data, *args):
            # The headers wait for the body, so that a small request leaves in
            # one packet and one system call.
            if data.startswith(b"POST ") and data.endswith(b"\r\n\r\n"):
                self._head = data
            else:
                self._transmit((self._head or b"") + data)

        def getresponse(self, *args, **kwargs):
            if self._head is not None:  # there was no body
                self._transmit(self._head)
            return base.getresponse(self, *args, **kwargs)

        def _transmit(self, data):
            self._head = None
            if self.sock is None:
                self.connect()
            call = calls.current(None)
            if call is not None:
                call.sending = True
                call.bytes += len(data)
            for start in range(0, max(1, len(data)), _PIECE):
                self.sock.settimeout(_stepSeconds())
                base.send(self, data[start:start + _PIECE])

    def connectWithin(self):
        """Connect to the first address that answers, all in one span.

        urllib3 gives each address the whole time-out, so that a name with an
        IPv6 and an IPv4 address takes twice the limit.
        """
        end = compat.monotonic() + (self.timeout or calls.CONNECT_SECONDS)
        failure = None
        # requests 2.9 leaves the brackets of an IPv6 address
        host = getattr(self, "_dns_host", self.host).strip("[]")
        try:
            addresses = socket.getaddrinfo(host, self.port, socket.AF_UNSPEC,
                                           socket.SOCK_STREAM)
        except (socket.error, UnicodeError) as error:
            addresses, failure = [], error
        for number, (family, kind, protocol, _, address) in enumerate(
                addresses):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                left = max(0.001, end - compat.monotonic())
                # a dead address must leave time for those after it
                sock.settimeout(left / (len(addresses) - number))
                if self.source_address:
                    sock.bind(self.source_address)
                sock.connect(address)
                sock.settimeout(max(0.001, end - compat.monotonic()))
                return sock
            except socket.error as error:
                failure = error
                sock.close()
        if isinstance(failure, socket.timeout):
            raise urllib3errors.ConnectTimeoutError(
                self, "connection to {} timed out".format(host))
        raise urllib3errors.NewConnectionError(
            self, "failed to connect to {}: {}".format(host, failure))

    if base.__module__.endswith("urllib3.connection"):  # and no SOCKS proxy
        DeadlineConnection._new_conn = connectWithin
    return DeadlineConnection


class _DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Gives every pool, whatever its scheme or proxy, such connections.

    The rest spares a small send what it would do again and again: to find the
    pool and the path of an address it knows, and to look for cookies.
    """

    _classes = {}

    def __init__(self):
        self._pools = {}
        self._paths = {}
        requests.adapters.HTTPAdapter.__init__(self)

    def close(self):
        requests.adapters.HTTPAdapter.close(self)
        for pool in self._pools.values():
            if pool.pool is not None:  # urllib3 2 leaves it to the collector
                pool.close()
        self._pools.clear()

    def _poolOf(self, url, find):
        pool = self._pools.get(url)
        if pool is None:
            _makeRoom(self._pools)
            pool = self._pools[url] = find()
            base = pool.ConnectionCls
            if base not in self._classes.values():
                if base not in self._classes:
                    self._classes[base] = _deadlineConnection(base)
                pool.ConnectionCls = self._classes[base]
        return pool

    def get_connection(self, url, proxies=None):  # requests before 2.32
        return self._poolOf(url, lambda: requests.adapters.HTTPAdapter
                            .get_connection(self, url, proxies))

    def get_connection_with_tls_context(self, request, *args, **kwargs):
        base = requests.adapters.HTTPAdapter
        return self._poolOf(
            request.url, lambda: base.get_connection_with_tls_context(
                self, request, *args, **kwargs))

    def request_url(self, request, proxies):
        if request.url not in self._paths:
            _makeRoom(self._paths)
            self._paths[request.url] = \
                requests.adapters.HTTPAdapter.request_url(
                    self, request, proxies)
        return self._paths[request.url]

    def build_response(self, request, raw):
        response = requests.Response()
        response.status_code = raw.status
        response.reason = raw.reason
        response.headers = requests.structures.CaseInsensitiveDict(raw.headers)
        response.encoding = requests.utils.get_encoding_from_headers(
            response.headers)
        response.raw = raw
        response.url = request.url
        response.request = request
        response.connection = self
        return response


def _makeRoom(cache):
    """Empty a cache by address: for a program that asks for many things."""
    if len(cache) > 100:
        cache.clear()


def _makeSession():
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _DeadlineAdapter())
    return session
