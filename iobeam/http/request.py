"""Requests to the REST API: the seam that test doubles replace.

A *requester* hands out `Request` objects; a double subclasses `Request` and
overrides `execute()`. Everything that turns a request into bytes lies below,
in `iobeam.http.transport`, which is imported at the first real request.
"""
from __future__ import absolute_import

import json
import re

from iobeam import errors
from iobeam.http import address, loading
from iobeam.http.settings import Settings
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

DEFAULT_BASE_URL = address.DEFAULT_BASE_URL
baseUrl = address.baseUrl

_MIN_TOKEN = 16  # characters; what is shorter is a test's, and may be a word
_TOKEN = re.compile(  # any JSON Web Token; eyJ is the start of an object
    r"eyJ[\w+/-]{8,}={0,2}\.[\w+/-]{8,}={0,2}\.[\w+/-]{8,}={0,2}")
# The second is what nesting without end brings, RecursionError on Python 3.
# The third comes from requests 2.9 for an answer without anything in it.
_NOT_JSON = (ValueError, RuntimeError, TypeError)
_MAX_DETAILS = 500  # characters of an answer that go into a message

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
        """Set the body: a dict, or an object with ``asDict`` and ``asBytes``."""
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
        self.resp = self._channel().perform(
            self.method, self.url, self.params, self.headers, self._payload)

    def _channel(self):
        if isinstance(self.session, _LazyChannel):
            return self.session.channel()
        return loading.transport().Channel(Settings(self.session))

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
        body = self.getRawBody()
        if type(body) is bytes and body == b"{}":
            return True  # what our backend says: spares a parser
        if not (body or "").strip():
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
        baseUrl = address.stripped(baseUrl)
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

    def close(self):
        """Close the connections; the next request opens new ones."""
        self._session.close()


class _LazyChannel(object):
    """Stands for a transport channel until the first request."""

    def __init__(self, settings):
        self._settings = settings
        self._made = {}  # no lock: one that is held at an interrupt stays so

    def channel(self):
        return self._made.get(0) or self._made.setdefault(
            0, loading.transport().Channel(self._settings))

    def close(self):
        for channel in self._made.values():
            channel.close()


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


def requesterOf(backend):
    """Return the requester of a static call.

    Args:
        backend (str, requester or None): None for `baseUrl`'s default.

    Raises:
        ValueError: it is neither, or no URL.
    """
    if backend is None or isinstance(backend, compat.TEXTS):
        return getRequester(backend)
    return checkedRequester(backend)


def checkedRequester(backend):
    """Return an object that makes requests, as it is.

    Raises:
        ValueError: it lacks a method that is needed.
    """
    if not all(hasattr(backend, name)
               for name in ("makeEndpoint", "get", "post")):
        raise ValueError("backend must be a URL or a requester (makeEndpoint, "
                         "get, post), not {}".format(utils.shorten(backend)))
    return backend


def baseUrlOf(requester):
    """Return a requester's base URL (str), or None: a double may have none."""
    found = getattr(requester, "baseUrl", None)
    return found if isinstance(found, compat.TEXTS) else None  # not a mock's
