"""Requests to the REST API: the seam that test doubles replace.

A *requester* hands out `Request` objects; a double subclasses `Request` and
overrides `execute()`. Everything that turns a request into bytes lies below,
in `iobeam.http.transport`, which is imported at the first real request.
"""
from __future__ import absolute_import

import json
import os
import re
import threading

from iobeam import errors
from iobeam.utils import compat, utils

__all__ = ["ConnectionError", "DEFAULT_BASE_URL", "DuplicateIdError",
           "DuplicateNameError", "ERROR_CODE_DUPLICATE_DEVICE_ID",
           "ERROR_CODE_DUPLICATE_DEVICE_NAME", "ERROR_CODE_NOT_FOUND", "Error",
           "Request", "Requester", "SendError", "Settings", "SpoolError",
           "TimeoutError", "UnauthorizedCodeError", "UnauthorizedError",
           "UnknownCodeError", "baseUrl", "getRequester"]

# The old paths of the errors. Two have the names of builtins of Python 3.
ConnectionError = errors.ConnectionError  # novm
DuplicateIdError = errors.DuplicateIdError
DuplicateNameError = errors.DuplicateNameError
Error = errors.Error
SendError = errors.SendError
SpoolError = errors.SpoolError
TimeoutError = errors.TimeoutError  # novm
UnauthorizedCodeError = errors.UnauthorizedCodeError
UnauthorizedError = errors.UnauthorizedError
UnknownCodeError = errors.UnknownCodeError

ERROR_CODE_NOT_FOUND = 32
ERROR_CODE_DUPLICATE_DEVICE_ID = 150
ERROR_CODE_DUPLICATE_DEVICE_NAME = 151

DEFAULT_BASE_URL = "https://api.iobeam.com/v1/"
_DEAD_HOSTS = ("api.iobeam.com", "api-dev.iobeam.com")
_LOOPBACK = re.compile(r"(localhost|::1|127(\.[0-9]+){3})\Z")
_MIN_TOKEN = 16  # characters; what is shorter is a test's, and may be a word
_TOKEN = re.compile(  # any JSON Web Token; eyJ is the start of an object
    r"eyJ[\w+/-]{8,}={0,2}\.[\w+/-]{8,}={0,2}\.[\w+/-]{8,}={0,2}")
_USER_INFO = re.compile("//[^/]*@")
# The second is what nesting without end brings, RecursionError on Python 3.
_NOT_JSON = (ValueError, RuntimeError)
_MAX_DETAILS = 500  # characters of an answer that go into a message

_warned = set()  # what is said once per process


class Settings(object):
    """How a requester talks; `ClientBuilder` has a method for each.

    Attributes:
        connectTimeout (float): seconds for one connection.
        readTimeout (float): seconds between two bytes of an answer.
        retries (int): repeats of one request.
        compress (bool or None): gzip bodies; None once the backend says that
            it takes them.
        session (requests.Session or None): one of the program's own.
    """

    def __init__(self):
        self.connectTimeout = 10.0
        self.readTimeout = 30.0
        self.retries = 4
        self.compress = None
        self.session = None


class Request(object):
    """One request, and after `execute()` its answer.

    Setters return the request, so that calls can be chained. It may be
    executed again and again; nothing of an earlier attempt is kept but `resp`.

    Attributes:
        method (str): "GET" or "POST".
        url (str): the whole address, without the parameters.
        params, headers (dict): as they go out; booleans stay booleans here.
        body (dict): what goes out as JSON.
        resp: the answer, or None. Has ``status_code`` and ``json()``;
            ``headers``, ``text`` and ``content`` may be missing or None.
    """

    def __init__(self, method, url, session):
        self.method = method
        self.url = url
        self.session = session
        self.params = {}
        self.headers = {}
        self.resp = None
        self._payload = {}

    @property
    def body(self):
        # What comes from the disk buffer is serialised already, and mostly
        # travels without having been anything else; a double sees the dict.
        if hasattr(self._payload, "asDict"):
            return self._payload.asDict()
        return self._payload

    @body.setter
    def body(self, body):
        self._payload = body

    def header(self, name, value):
        """Set a header."""
        self.headers[name] = value
        return self

    def token(self, token):
        """Set the bearer token; white space around it is left out."""
        return self.header("Authorization", "Bearer {}".format(
            compat.toNative(token)).strip())

    def setBody(self, body):
        """Set the body: a dict, or an object with ``asDict`` and ``asText``."""
        self._payload = body
        return self

    def setParam(self, name, value):
        """Set a parameter of the URL."""
        self.params[name] = value
        return self

    def execute(self):
        """Send it and keep the answer; statuses raise nothing.

        Raises:
            ValueError: the method is neither GET nor POST.
            ConnectionError, TimeoutError: there was no answer (in time).
        """
        if self.method not in ("GET", "POST"):
            raise ValueError("method must be GET or POST, not {}".format(
                utils.shorten(self.method)))
        from iobeam.http import transport  # loads requests: costs 80 ms

        self.resp = transport.channelOf(self.session).perform(
            self.method, self.url, self.params, self.headers, self._payload)

    def getResponse(self):
        """Return the parsed JSON of the answer, or None."""
        if self.resp is None:
            return None
        try:
            return compat.parse(self.resp.json)
        except _NOT_JSON:
            return None

    def getResponseCode(self):
        """Return the status of the answer (int), or None."""
        return getattr(self.resp, "status_code", None)

    def getResponseHeader(self, name):
        """Return a header of the answer (str), or None."""
        headers = getattr(self.resp, "headers", None)
        found = headers.get(name) if hasattr(headers, "get") else None
        # a double may answer to every attribute, with an object of its own
        return found if isinstance(found, compat.TEXTS) else None

    def getApiErrors(self):
        """Return the ``errors`` of the answer: a tuple of dicts."""
        answer = self.getResponse()
        errors = answer.get("errors") if isinstance(answer, dict) else None
        if not isinstance(errors, (list, tuple)):
            return ()
        return tuple(self._hideTokens(error) for error in errors
                     if isinstance(error, dict))

    def _hideTokens(self, value):
        """What an answer holds, less every token that is echoed in there."""
        if isinstance(value, dict):
            return dict((name, self._hideTokens(one))
                        for name, one in value.items())
        if isinstance(value, (list, tuple)):
            return [self._hideTokens(one) for one in value]
        if not isinstance(value, compat.TEXTS):
            return value
        ours = [self.headers.get("Authorization", "").split(" ")[-1]]
        if isinstance(self._payload, dict):
            ours.append(self._payload.get("refresh_token") or "")
        for token in ours:
            if len(token) >= _MIN_TOKEN:
                value = value.replace(token, "[token]")
        return _TOKEN.sub("[token]", value)

    def getApiError(self):
        """Return the first of the answer's ``errors``, a dict, or None."""
        errors = self.getApiErrors()
        return errors[0] if errors else None

    def getApiErrorCode(self):
        """Return the code of the first error, or None."""
        return (self.getApiError() or {}).get("code")

    def hasApiErrorCode(self, code):
        """Tell whether any error has `code`, as a number or as digits."""
        return any(compat.text(error.get("code")) == compat.text(code)
                   for error in self.getApiErrors())

    def isAccepted(self):
        """Tell whether the answer says that the data were taken.

        200, 201 or 204, and nothing else than JSON without errors in the
        body: a captive portal answers 200 with a page of its own.
        """
        if self.getResponseCode() not in (200, 201, 204):
            return False
        if not (self.getRawBody() or "").strip():
            return not self.getApiErrors()
        try:
            answer = compat.parse(self.resp.json)
        except _NOT_JSON:
            return False
        return not (isinstance(answer, dict) and answer.get("errors"))

    def getRawBody(self):
        """Return the unparsed body of the answer, or None."""
        return (getattr(self.resp, "content", None)
                or getattr(self.resp, "text", None))

    def describeAnswer(self):
        """Return what the answer holds, shortened, for messages."""
        answer = self.getResponse()
        if answer is None:
            answer = compat.toText(getattr(self.resp, "text", None) or u"")
        shown = answer if isinstance(answer, compat.TEXTS) else \
            json.dumps(answer, sort_keys=True, default=repr)
        if self.getResponseHeader("Location"):
            shown = "redirect to Location {} (not followed) {}".format(
                self.getResponseHeader("Location"), shown)
        return str(self._hideTokens(shown).encode("ascii", "backslashreplace")
                   .decode("ascii"))[:_MAX_DETAILS]


class Requester(object):
    """Makes the requests of one client.

    Args:
        baseUrl (str): address of the API up to and with the version; a slash
            at its end is optional.
        settings (Settings or None): None for the defaults.
    """

    def __init__(self, baseUrl=DEFAULT_BASE_URL, settings=None):
        self.baseUrl = baseUrl if baseUrl.endswith("/") else baseUrl + "/"
        self.settings = settings or Settings()
        self._session = _LazyChannel(self.settings)

    def makeEndpoint(self, path):
        """Return the address of `path` (str, relative) of the API."""
        return self.baseUrl + path

    def get(self, url):
        """Return a new GET request."""
        return Request("GET", url, self._session)

    def post(self, url):
        """Return a new POST request."""
        return Request("POST", url, self._session)


class _LazyChannel(object):
    """Stands for a transport channel until the first request."""

    def __init__(self, settings):
        self._settings = settings
        self._channel = None
        self._lock = threading.Lock()

    def channel(self):
        from iobeam.http import transport

        with self._lock:
            if self._channel is None:
                self._channel = transport.Channel(self._settings)
        return self._channel

    def close(self):
        if self._channel is not None:
            self._channel.close()


_requesters = {}


def getRequester(url=None):
    """Return the shared requester of a base URL, for the static calls.

    Args:
        url (str or None): None for `baseUrl`'s default.

    Raises:
        ValueError: the URL has no http(s) scheme or no host.
    """
    url = baseUrl(url)
    return _requesters.setdefault(url, Requester(url))


def baseUrl(url=None):
    """Return the base URL to use, checked and with a slash at its end.

    That is `url`, else the environment's ``IOBEAM_BACKEND``, else the address
    of the service of 2016. As that is gone, ``IOBEAM_BACKEND`` also replaces
    its address where a script still names it, with one warning.

    Raises:
        ValueError: the URL has no http(s) scheme or no host.
    """
    own = os.environ.get("IOBEAM_BACKEND") or None
    if url is None:
        url = own or DEFAULT_BASE_URL
    elif own and _hostOf(url) in _DEAD_HOSTS:
        _warnOnce("IOBEAM_BACKEND replaces %s, which is gone, by %s",
                  _shown(url), _shown(own))
        url = own
    host = _hostOf(url)
    if host is None:
        raise ValueError(
            "backend {} is not a URL such as http://127.0.0.1:4620/v1/ (http "
            "or https, and a host)".format(utils.shorten(_shown(url))))
    if not compat.urlsplit(url).path.strip("/"):
        _warnOnce("%s has no path: the API is under its version, %s/v1/",
                  _shown(url), _shown(url).rstrip("/"))
    if url.lower().startswith("http:") and not _LOOPBACK.match(host):
        _warnOnce("%s: plain http, the token and the data can be read on the "
                  "way; use https", _shown(url))
    return url if url.endswith("/") else url + "/"


def _shown(url):
    """An address without the password that may be in it."""
    return _USER_INFO.sub("//", url) if isinstance(url, compat.TEXTS) else url


def _hostOf(url):
    try:
        parts = compat.urlsplit(url)
        port = parts.port  # ValueError if it is no number
        written = parts.netloc.rpartition("@")[2].rpartition("]")[2]
        if port is None and written.partition(":")[2]:
            return None  # 2.7 has no ValueError for one above 65535
    except (AttributeError, TypeError, ValueError):
        return None
    if parts.scheme.lower() not in ("http", "https"):
        return None
    return parts.hostname or None


def _warnOnce(message, *args):
    if (message, args) not in _warned:
        _warned.add((message, args))
        utils.getLogger().warning(message, *args)
