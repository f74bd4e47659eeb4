"""Sessions whose connections keep the deadline, and the answers they bring."""
from __future__ import absolute_import

import io
import logging
import re
import ssl

from requests import adapters, structures, utils
from requests.compat import cookielib
from requests.exceptions import ConnectionError as RequestsConnectionError  # novm
from requests.exceptions import ReadTimeout, RequestException, SSLError
from requests.models import Response
from requests.packages.urllib3 import connectionpool
from requests.packages.urllib3.response import HTTPResponse

from iobeam.http import address, failures, incoming, replaced, sockets
from iobeam.http.heads import client
from iobeam.utils import compat

if compat.PY2:
    import Queue as queue  # novm
else:
    import queue  # novm

_urllib3Log = logging.getLogger(connectionpool.__name__)
_PIECE = 16384  # bytes unpacked at a time
_withoutFinalizers = {}  # class of answers to its subclass


class _Idle(queue.LifoQueue):
    """A pool's connections that wait for a request, where nobody waits for them.

    The locks of urllib3's own queue may be left held by nobody, where a signal
    handler raises something in there; urllib3 then waits for them for ever.
    """

    def get(self, block=False, timeout=None):
        try:
            return self.queue.pop()
        except IndexError:
            raise queue.Empty()  # urllib3 makes one

    def put(self, item, block=False, timeout=None):
        if len(self.queue) >= self.maxsize:
            raise queue.Full()  # urllib3 closes it
        self.queue.append(item)


class DeadlineAdapter(adapters.HTTPAdapter):
    """Gives every pool, whatever its scheme or proxy, such connections.

    The rest spares a small send what it would do again and again: to find the
    pool and the path of an address it knows, and to look for cookies.
    """

    _classes = {}

    def __init__(self):
        self._pools = {}  # address to (pool, class of its connections)
        self._paths = {}
        adapters.HTTPAdapter.__init__(self)

    def close(self):
        # first, for an interrupt below must leave none in there that is closed
        pools, self._pools = self._pools, {}
        adapters.HTTPAdapter.close(self)
        for pool, _ in pools.values():
            if pool.pool is not None:  # urllib3 2 leaves it to the collector
                pool.close()

    def _poolOf(self, url, find):
        pool, base = self._pools.get(url, (None, None))
        # a double may have replaced the class since, or have gone since
        if pool is None or type(pool).ConnectionCls is not base:
            pool = find()
            base = type(pool).ConnectionCls
            if not _isOfUrllib3(base):
                vars(pool).pop("ConnectionCls", None)
                self._pools.pop(url, None)
                return pool
            _refuseGoneThroughProxy(url, pool)
            if base not in self._classes:
                self._classes[base] = sockets.deadlineConnection(base)
            pool.ConnectionCls = self._classes[base]
            # not another one: urllib3 2 closes what is in this one in the end
            pool.pool.__class__ = _Idle
            makeRoom(self._pools)
            self._pools[url] = pool, base
        return pool

    def get_connection(self, url, proxies=None):  # requests before 2.32
        return self._poolOf(url, lambda: adapters.HTTPAdapter.get_connection(
            self, url, proxies))

    def get_connection_with_tls_context(self, request, *args, **kwargs):
        base = adapters.HTTPAdapter
        return self._poolOf(
            request.url, lambda: base.get_connection_with_tls_context(
                self, request, *args, **kwargs))

    def request_url(self, request, proxies):
        if request.url not in self._paths:
            makeRoom(self._paths)
            self._paths[request.url] = adapters.HTTPAdapter.request_url(
                self, request, proxies)
        return self._paths[request.url]

    def build_response(self, request, raw):
        if isinstance(raw, io.IOBase):
            raw.__class__ = _withoutFinalizer(type(raw))
        response = self._responseOf(request, raw.status, raw.reason,
                                    raw.headers)
        response.raw = raw
        return response

    def _responseOf(self, request, status, reason, headers):
        response = Response()
        response.status_code = status
        response.reason = reason
        response.headers = structures.CaseInsensitiveDict(headers)
        response.encoding = utils.get_encoding_from_headers(response.headers)
        response.url = request.url
        response.request = request
        response.connection = self
        return response

    def sendAgain(self, request):
        """Send on a connection that waits, and has just sent the like.

        Past `send` and urllib3, which cost more than all of the rest of a
        small send(). Who has put himself there is not passed by.

        Args:
            request (requests.PreparedRequest): its body is bytes, or None.

        Returns:
            requests.Response: read to its end. None if nothing was sent.

        Raises:
            requests.RequestException: as `send` and `readToEnd` raise it.
        """
        url = request.url
        pool, base = self._pools.get(url, (None, None))
        if (pool is None or pool.proxy is not None or url not in self._paths
                or type(pool).ConnectionCls is not base
                or _urllib3Log.isEnabledFor(logging.DEBUG)
                or not replaced.isNothingBelow(type(pool), base)):
            return None
        connection = _takeFrom(pool)
        try:
            if not isinstance(connection, self._classes[base]):
                return None
            answer = connection.again(request.method, self._paths[url],
                                      request.headers, request.body)
            return None if answer is None else self._read(request, answer)
        except BaseException as error:
            if connection is not None:
                connection.close()
            found = _asOfRequests(error)
            if found is error:
                raise
            raise found
        finally:
            _putBack(pool, connection)

    def _read(self, request, answer):
        """Return a response whose answer is read to its end."""
        if isinstance(answer, tuple):
            response = self._responseOf(request, *answer[:3])
            response._content, response._content_consumed = answer[3], True
            return response
        response = self.build_response(request, HTTPResponse(
            answer, answer.getheaders(), answer.status, answer.version,
            reason=answer.reason, preload_content=False,
            original_response=answer))
        readToEnd(response)
        return response


def _asOfRequests(failure):
    """What `requests` raises in the place of a failure; else itself."""
    if isinstance(failure, RequestException) or not isinstance(
            failure, (EnvironmentError, client.HTTPException)):
        return failure
    if failures.isTimeOut(failure):
        return ReadTimeout(failure)
    if isinstance(failure, ssl.SSLError):
        return SSLError(failure)
    return RequestsConnectionError(failure)


def _takeFrom(pool):
    """Return the connection that was used last, if one waits; else None."""
    try:
        return pool.pool.get()
    except (AttributeError, queue.Empty):  # it is closed, or all are in use
        return None


def _putBack(pool, connection):
    try:
        pool.pool.put(connection)
    except (AttributeError, queue.Full):
        if connection is not None:
            connection.close()


def _withoutFinalizer(base):
    """Return a subclass of a class of files that are not closed as they go.

    io's finalizer asks whether a file is closed; urllib3's answers in Python,
    and what a signal handler raises in there is dropped without a word: a
    program that is told to end by SIGTERM or Ctrl-C would go on.
    """
    if base not in _withoutFinalizers:
        # built-in and without effect: no signal handler runs in there
        _withoutFinalizers[base] = type(base.__name__, (base,),
                                        {"__del__": dict})
    return _withoutFinalizers[base]


class _Session(replaced.Session):
    """Keeps no cookies and follows no redirect, whoever calls it."""

    def resolve_redirects(self, *_, **__):
        return iter(())


def _leaveAsIs(prepared):
    return prepared


def makeSession():
    """Return a session whose connections keep the deadline."""
    session = _Session()
    # An auth of its own, though it adds nothing: else requests would put that
    # of .netrc in the token's place, where somebody makes it prepare requests.
    session.auth = _leaveAsIs
    session.cookies.set_policy(cookielib.DefaultCookiePolicy(
        allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter())
    return session


def makeRoom(cache):
    """Empty a cache by address: for a program that asks for many things."""
    if len(cache) > 100:
        cache.clear()


def _isOfUrllib3(connectionClass):
    return connectionClass.__module__.endswith((
        "urllib3.connection", "urllib3.contrib.socks"))


def _refuseGoneThroughProxy(url, pool):
    """A proxy for plain http serves all addresses on one connection."""
    if address.isGone(url) and not address.isGoneHost(pool.host) \
            and url.lower().startswith("http:"):
        raise RequestsConnectionError(failures.GoneError(
            pool, address.goneWords()[0]))


def guard(adapter, request, route):
    """Let the adapter of a program's own session not reach that domain."""
    if not isinstance(adapter, adapters.HTTPAdapter):
        return
    if hasattr(adapter, "get_connection_with_tls_context"):
        pool = adapter.get_connection_with_tls_context(
            request, route["verify"], proxies=route["proxies"],
            cert=route["cert"])
    else:
        pool = adapter.get_connection(request.url, route["proxies"])
    if _isOfUrllib3(pool.ConnectionCls):
        _refuseGoneThroughProxy(request.url, pool)
        pool.ConnectionCls = _refusing(pool.ConnectionCls)


def _refusing(base):
    class RefusingConnection(base):
        def connect(self):
            raise failures.GoneError(self, address.goneWords()[0])

    return RefusingConnection


def readToEnd(response):
    """Read the whole answer, so that the connection can be used again.

    Raises:
        requests.ConnectionError: it ended before its Content-Length, which
            requests up to 2.31 takes for a whole answer.
    """
    try:
        announced = response.headers.get("Content-Length", "")
        if not re.match(r"[0-9]{1,18}\Z", announced):
            announced = None
        elif int(announced) > incoming.MAX_ANSWER:
            # http.client would make room for it
            raise RequestsConnectionError("the answer is to be {} bytes long, "
                                          "which is more than {}".format(
                                              announced, incoming.MAX_ANSWER))
        # What `response.content` does, less a generator and a second read.
        try:
            response._content = (
                _readDecoded(response.raw)
                if "Content-Encoding" in response.headers
                else response.raw.read(decode_content=True)) or b""
        except (MemoryError, OverflowError, ValueError) as error:
            # of chunks that are said to be larger than memory
            raise RequestsConnectionError("the answer cannot be read: {}: {}"
                                          .format(type(error).__name__, error))
        response._content_consumed = True
        if (announced and response.status_code not in (204, 304)
                and response.raw.tell() < int(announced)):
            raise RequestsConnectionError("the answer ended after {} of {} "
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
        if size > incoming.MAX_ANSWER:
            raise RequestsConnectionError("the answer is longer than {} bytes"
                                          .format(incoming.MAX_ANSWER))
        parts.append(part)
    return b"".join(parts)
