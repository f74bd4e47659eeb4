"""From a request to its answer: bodies, repeats, and what a failure means.

Imported at the first real request, since it loads `requests`. The sockets
below it are those of `iobeam.http.sockets`.
"""
from __future__ import absolute_import

import os
import random
import re
import time
import zlib

import requests
from requests.packages.urllib3 import exceptions as urllib3errors

from iobeam import errors
from iobeam.http import address, failures, replaced, retry, sessions, sockets
from iobeam.http import call as calls
from iobeam.utils import compat, quickjson, utils

quickjson.load()

_USER_AGENT = "iobeam python"
_COMPRESSED_FROM = 1024  # bytes; below, gzip saves less than a packet
_GZIP_LEVEL = 1  # two thirds of the size go at a tenth of the CPU of level 9
_GZIP_FORMAT = 31  # zlib's wbits for a gzip header and trailer
_HEADER_VALUE = re.compile("[\\x20-\\x7e\\t]*\\Z")
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_PROBE_SECONDS = 2.0  # for a server to show that it speaks plain http
# A server that does not understand gzip may answer with any of these.
_MAYBE_COMPRESSION = (400, 413, 415, 422)


class Channel(object):
    """Connections to one backend: keep-alive, no cookies, no redirects.

    Args:
        settings (Settings): time-outs, retries, compression, own session.
    """

    def __init__(self, settings):
        self._settings = settings
        self._compress = settings.compress
        self._refusesGzip = False
        # By process, since a forked child must not share its parent's sockets,
        # and by how many interrupts there were. No lock: one that is held at
        # an interrupt stays so.
        self._sessions = {}
        self._interrupts = 0
        self._other = None, None  # `requests.Session` as replaced, and one
        self._urls = {}  # (url, parameters) to the encoded address
        self._routes = {}  # proxies and certificates by address
        self._hasAnswers = False  # so this is the right address

    def perform(self, method, url, params, headers, payload):
        """Carry out one request, repeats included, and return its answer.

        Args:
            method (str): "GET" or "POST".
            url (str), params (dict), headers (dict): booleans go out as
                ``true`` and ``false``.
            payload (dict, or an object with ``asBytes``): body of a POST.

        Returns:
            requests.Response: read to its end; the status may be any. Or
            whatever somebody gave who has replaced a part of `requests`.

        Raises:
            ConnectionError, TimeoutError: no attempt brought an answer; also
                the `requests` exception of the last one.
        """
        call = calls.current()
        with call:
            call.begin(self._settings.readTimeout)
            order = _Order(method, url, self._address(url, params), params,
                           headers, payload, self._compress)
            while True:
                response, error = self._attempt(call, order)
                if error is None and _mayBeCompression(order, response):
                    self._compress, self._refusesGzip = False, True
                    order = order.uncompressed()
                    continue
                if not _mayRepeat(call, response, error):
                    break
                wait = retry.pause(
                    call.repeated, headerOf(response, "Retry-After"),
                    retry.moment(headerOf(response, "Date"), time.time()),
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
        session = self._sessions.get((os.getpid(), self._interrupts))
        if session is not None and session is not self._settings.session:
            session.close()

    def _open(self):
        key = os.getpid(), self._interrupts
        return self._sessions.get(key) or self._renew(key)

    def _renew(self, key):
        """Begin with a session whose connections are all known to be idle."""
        own = self._settings.session
        fresh = own or sessions.makeSession()
        for old, session in list(self._sessions.items()):
            if old == key:
                continue  # another thread has begun with one meanwhile
            self._sessions.pop(old, None)
            if old[0] != key[0]:
                if own is not None:
                    own.close()  # this process's ends of its connections
                continue
            for adapter in getattr(session, "adapters", {}).values():
                adapter.close()
        return self._sessions.setdefault(key, fresh)

    def _address(self, url, params):
        # as text, since True would find the address made for 1
        texts = tuple(sorted(
            (name, str(value).lower() if isinstance(value, bool)
             else value if isinstance(value, compat.TEXTS) else str(value))
            for name, value in params.items()))
        found = self._urls.get((url, texts))
        if found is None:
            sessions.makeRoom(self._urls)
            prepared = requests.PreparedRequest()
            prepared.prepare_url(url, texts)
            found = self._urls[url, texts] = prepared.url
        return found

    def _attempt(self, call, order):
        """Do it once: (response, None) or (None, error)."""
        left = call.left()
        if left <= 0:
            return None, failures.timedOut("the time limit of the call is "
                                           "over")
        call.sending = False
        call.exchange = None
        call.requests += 1
        try:
            response = self._sendOnce(call, order, left)
        except (requests.RequestException, urllib3errors.HTTPError,
                EnvironmentError) as failure:
            if call.exchange is not None:
                call.exchange.abandon()
            return None, self._errorOf(failure, call, order)
        except BaseException:
            self._interrupts += 1
            if call.exchange is not None:
                call.exchange.abandon()
            raise
        if getattr(response, "status_code", None) in retry.DOUBTFUL_STATUSES:
            call.inDoubt = True
        self._learnCompression(headerOf(response, "Accept-Encoding"))
        return response, None

    def _errorOf(self, failure, call, order):
        # whoever stands between does not say how far it came
        call.inDoubt |= call.sending or (
            call.exchange is None and not isinstance(failure, ValueError)
            and not failures.isFailedConnect(failure)
            and (self._settings.session is not None
                 or not replaced.isNothing()))
        url = order.url
        proxies = self._routes.get(url, {}).get("proxies")
        proxy = requests.utils.select_proxy(url, proxies) if proxies else None
        knows = self._settings.session is not None or proxy is not None \
            or self._hasAnswers
        return failures.errorOf(
            failure, url, proxy, call.sending, None if knows else
            lambda: call.left() > 0 and sockets.speaksHttp(
                url, min(_PROBE_SECONDS, call.left())))

    def _learnCompression(self, header):
        if header is not None and self._settings.compress is None \
                and not self._refusesGzip:
            self._compress = retry.takesGzip(header) or None

    def _sendOnce(self, call, order, left):
        session = self._open()
        timeout = (min(self._settings.connectTimeout, left),
                   min(self._settings.readTimeout, left))
        if session is not self._settings.session and replaced.isNothing():
            return self._sendShort(call, session, order.prepared(), timeout)
        mine = session is self._settings.session
        parts = replaced.namesOf(session) if mine else replaced.names()
        if mine and address.isGone(order.url):
            self._guard(session, order)
        try:
            if replaced.isCalledByName(parts):
                response = self._callByName(session, parts, order, timeout)
            elif parts:
                response = session.send(
                    order.preparedBy(session), timeout=timeout, stream=True,
                    allow_redirects=False, **self._route(session, order.url))
            else:
                return self._sendShort(call, session,
                                       order.preparedBy(session), timeout)
        except requests.TooManyRedirects as failure:
            if failure.response is None:
                raise
            response = failure.response
        return self._finish(call, response)

    def _sendShort(self, call, session, request, timeout):
        """Send past `Session.send`, which costs a third of a small send."""
        for _ in range(_MAX_REDIRECTS):
            adapter = session.get_adapter(request.url)
            response = adapter.sendAgain(request) if isinstance(
                adapter, sessions.DeadlineAdapter) else None
            if response is None:
                response = adapter.send(
                    request, timeout=timeout, stream=True,
                    **self._route(session, request.url))
            self._finish(call, response)
            target = _redirectTarget(request, response)
            if target is None:
                break
            request = request.copy()
            request.url = target
        return response

    def _callByName(self, session, parts, order, timeout):
        """Call what a program calls itself, and has replaced."""
        mine = session is self._settings.session
        if not mine and "Session" in parts:
            if self._other[0] is not requests.Session:
                self._other = requests.Session, requests.Session()
            session = self._other[1]
        elif not mine and not parts & replaced.OF_SESSIONS:
            session = requests
        url, given = order.arguments()
        if isinstance(session, replaced.Session) and (
                mine or "Session" in parts):
            # not one of ours, whose connections keep the limits themselves
            given.update(timeout=timeout, allow_redirects=False, stream=True)
            if not session.auth:
                given["auth"] = _Bearer(given["headers"].get("Authorization"))
        return getattr(session, order.method.lower())(url, **given)

    def _finish(self, call, response):
        """Read the answer; the exchange is over, or its connection goes."""
        if isinstance(response, requests.Response) \
                and response._content is False \
                and hasattr(response.raw, "stream"):  # urllib3 made it
            sessions.readToEnd(response)
            if 100 <= response.status_code < 200 and call.exchange is None:
                # the answer itself is still to come, on that connection
                if hasattr(response, "connection"):
                    response.connection.close()
                raise requests.ConnectionError(
                    "the answer ended with an interim one, {}".format(
                        response.status_code))
        if call.exchange is not None:
            call.exchange.finish()
        self._hasAnswers = True
        return response

    def _route(self, session, url):
        route = self._routes.get(url)
        if route is None:
            sessions.makeRoom(self._routes)
            found = session.merge_environment_settings(url, {}, True, None,
                                                       None)
            route = self._routes[url] = dict(
                (name, found[name]) for name in ("proxies", "verify", "cert"))
        return route

    def _guard(self, session, order):
        if hasattr(session, "merge_environment_settings"):
            sessions.guard(session.get_adapter(order.url), order.prepared(),
                           self._route(session, order.url))


class _Order(object):
    """One request in the forms that it may go out in."""

    def __init__(self, method, url, address_, params, headers, payload,
                 compress):
        self.method, self.url = method, address_
        self._plainUrl, self._params = url, params
        self._payload = payload
        self._prepared = None
        self._given = _checkedHeaders(headers)
        sent = {"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip, deflate"}
        self._body = None
        if method == "POST":
            sent["Content-Type"] = "application/json"
            self._body = _serialise(payload)
            if compress and len(self._body) > _COMPRESSED_FROM:
                self._body = _gzip(self._body)
                sent["Content-Encoding"] = "gzip"
            sent["Content-Length"] = str(len(self._body))
        sent.update(headers)
        self._headers = sent
        self.isCompressed = "Content-Encoding" in sent

    def uncompressed(self):
        return _Order(self.method, self._plainUrl, self.url, self._params,
                      self._given, self._payload, False)

    def prepared(self):
        """What `Session.prepare_request` would do for a session of our own,
        less what costs most of a small send: merging settings that this
        session does not have."""
        if self._prepared is None:
            request = requests.PreparedRequest()
            request.method = self.method
            request.url = self.url
            request.headers = self._headers
            request.body = self._body
            request.hooks = {"response": []}
            self._prepared = request
        return self._prepared

    def preparedBy(self, session):
        """As a session with settings, or a double, has to see it."""
        headers = dict(self._headers)
        auth = None
        if not session.auth:  # else it is for the program to decide
            auth = _Bearer(headers.pop("Authorization", None))
        return session.prepare_request(requests.Request(
            self.method, self.url, headers=headers, data=self._body,
            auth=auth))

    def arguments(self):
        """The arguments that `requests.Session.post` or `get` got from
        version 0.11.0 of this library, and doubles of it expect."""
        given = {"params": dict(
            (name, str(value).lower() if isinstance(value, bool) else value)
            for name, value in self._params.items()),
            "headers": dict({"User-Agent": _USER_AGENT,
                             "Connection": "keep-alive"}, **self._given)}
        if self.method == "POST" and self.isCompressed:
            given["headers"].update({"Content-Encoding": "gzip",
                                     "Content-Type": "application/json"})
            given["data"] = self._body
        elif self.method == "POST":
            given["json"] = (self._payload.asDict() if hasattr(
                self._payload, "asDict") else self._payload)
        return self._plainUrl, given


def headerOf(response, name):
    """Return a header of an answer as text, or None, whatever the answer."""
    headers = getattr(response, "headers", None)
    found = headers.get(name) if hasattr(headers, "get") else None
    return found if isinstance(found, compat.TEXTS) else None


def _mayBeCompression(order, response):
    return order.isCompressed and getattr(
        response, "status_code", None) in _MAYBE_COMPRESSION


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
        if isinstance(error, ValueError) and not call.sending:
            return False  # a URL that cannot be sent to
        if getattr(error, "isFinal", False):  # nor will it be right in 10 s
            return False
        if isinstance(error, errors.TimeoutError) and call.resizes:
            return False
        return call.repeatsUnsafe or not call.inDoubt
    status = getattr(response, "status_code", None)
    if not retry.isRetried(status):
        return False
    return call.repeatsUnsafe or status == 429


def _serialise(payload):
    if hasattr(payload, "asBytes"):
        return payload.asBytes()
    if quickjson.dumps is not None:
        try:
            return quickjson.dumps(payload)
        except TypeError:
            pass  # what only the standard library takes, such as subclasses
    return utils.toJson(payload).encode("utf-8")


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
    location = headerOf(response, "Location")
    if not location:
        return None
    target = requests.compat.urljoin(request.url, location)
    same = compat.urlsplit(target)[:2] == compat.urlsplit(request.url)[:2]
    return target if same else None
