"""A backend in memory, for tests of programs that use the library.

    class ScriptTest(testing.FakeBackendMixin, unittest.TestCase):
        def test_it_sends_a_reading(self):
            script.main()  # builds a client, adds and sends
            self.assertEqual([{"temperature": 21.5}],
                             [row.values for row in self.backend.rows])

With pytest, ask for the fixture ``iobeamBackend``. No socket is opened: the
backend stands in the place of what makes requests.
"""
from __future__ import absolute_import

import collections
import contextlib
import json
import threading

from iobeam import iobeam
from iobeam.fake import answers, devices, exports, imports, tokens
from iobeam.fake.answers import Answer, Refusal
from iobeam.fake.tokens import makeToken
from iobeam.http import request
from iobeam.utils import compat, utils

__all__ = ["FakeBackend", "FakeBackendMixin", "Recorded", "Row", "installed",
           "makeToken"]

Row = collections.namedtuple("Row", "projectId deviceId time values")
Recorded = collections.namedtuple("Recorded", "method path params headers body")

LOST = "lost"  # a fault: carried out, and the answer does not arrive
_METHODS = {"ping": ("GET",), "tokens/project": ("GET", "POST"),
            "devices": ("GET", "POST"), "devices/timestamp": ("GET",),
            "imports": ("POST",)}


class FakeBackend(object):
    """Answers as `iobeam-server` does; fails when told to.

    Devices, imports (generation A and lists), exports and project tokens are
    there, all that the library asks for; any other path is a 404. Tokens count
    for what they say, as nobody signs them.

    It stands where a client has its requester, so what lies below is not
    there: no retries, time-outs or compression. A failure ends a `send()`
    at once, and the rows stay pending.

    Attributes:
        devices (dict): id to name of the registered ones.
        rows (list of Row): (projectId, deviceId, time in us, values) of what
            was accepted, in that order; ``values`` has no None in it. Of a
            repeated device, field and time queries answer the last.
        requests (list of Recorded): (method, path, params, headers, body).
        tokens (set or None): those accepted, and those handed out since; None
            accepts any that has not expired.
        knowsDevices (bool): True refuses rows of unregistered devices; False
            registers them, as ``iobeam-server serve --auto-register``.
        maxValues (int or None): values that a request may hold; None is no
            limit, and says none.
    """

    baseUrl = "http://fake.invalid/v1/"

    def __init__(self):
        self.rows = []
        self.requests = []
        self.tokens = None
        self.knowsDevices = False
        self.maxValues = imports.MAX_VALUES
        self._registry = devices.Registry()
        self._kinds = {}  # (project, series) to what its values are
        self._faults = []
        self._refusal = None

    @property
    def devices(self):
        return self._registry.names

    def builder(self, projectId=1):
        """Return a `ClientBuilder` with a valid token that talks to this."""
        return iobeam.ClientBuilder(
            projectId, makeToken(projectId)).setBackend(self)

    def client(self, deviceId="test-device", projectId=1):
        """Return a client of a device that is set, not registered."""
        return self.builder(projectId).setDeviceId(deviceId).build()

    def fail(self, *faults):
        """Let the next requests fail, one fault each.

        Args:
            faults: a status (int); a (status, body) tuple; an exception to be
                raised, such as ``request.TimeoutError("slow")``; "lost" for
                an answer that is lost after the request was carried out; or
                None for a request that succeeds.
        """
        for fault in faults:
            if not (fault is None or fault == LOST
                    or isinstance(fault, (int, tuple, Exception))):
                raise ValueError("a fault is a status, (status, body), an "
                                 "exception, 'lost' or None, not {}".format(
                                     utils.shorten(fault)))
        self._faults.extend(faults)

    def refuseRows(self, predicate, status=400, code=3):
        """Refuse requests that hold a row of which `predicate(row)` is true.

        Args:
            predicate (callable or None): takes a Row; None refuses nothing.
            status (int), code (int): of the answer.
        """
        self._refusal = None if predicate is None else (predicate, status,
                                                        code)

    def values(self, series, deviceId=None):
        """Return the values of a series in the order they were accepted."""
        return [row.values[series] for row in self.rows
                if series in row.values and deviceId in (None, row.deviceId)]

    # -- what a client asks of its requester ----------------------------------

    def makeEndpoint(self, path):
        return self.baseUrl + path

    def get(self, url):
        return _FakeRequest(self, "GET", url)

    def post(self, url):
        return _FakeRequest(self, "POST", url)

    def answer(self, req):
        """Carry out a request and return its answer."""
        path = req.url.split("/v1/", 1)[-1].strip("/")
        if req.method not in ("GET", "POST"):
            raise ValueError("method must be GET or POST, not {}".format(
                utils.shorten(req.method)))
        # a copy, and surely JSON
        body = json.loads(json.dumps(req.body, allow_nan=False))
        self.requests.append(Recorded(req.method, path, dict(req.params),
                                      dict(req.headers), body))
        fault = self._faults.pop(0) if self._faults else None
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, tuple):
            return Answer(*fault)
        if fault is not None and fault != LOST:
            return Answer(fault, {"errors": [
                {"code": fault, "message": "as told by fail()"}]}
                if fault >= 400 else {})
        headers = self._importHeaders() if path == "imports" else {}
        try:
            found = self._carryOut(req.method, path, answers.Params(
                req.params), req.headers, body)
            found.headers.update(headers)
        except Refusal as refused:
            found = Answer(refused.status, {"errors": [refused.error]},
                           headers)
        if fault == LOST:
            raise request.ConnectionError("the answer was lost, as told")
        return found

    def _importHeaders(self):
        found = {"Accept-Encoding": "gzip"}
        if self.maxValues is not None:
            found["Iobeam-Max-Values"] = str(self.maxValues)
        return found

    def _carryOut(self, method, path, params, headers, body):
        parts = [compat.unquotePath(part) for part in path.split("/", 3)]
        methods = _METHODS.get(path) or (
            ("GET",) if parts[0] == "exports" and len(parts) > 1
            or parts[0] == "devices" and len(parts) == 2 else ())
        if not methods:
            raise Refusal(404, answers.NOT_FOUND, "there is nothing at "
                          + utils.shorten(path))
        if method not in methods:
            raise Refusal(405, answers.WRONG_METHOD,
                          method + " is not possible here")
        if path == "ping":
            return Answer(200, {})
        if path == "tokens/project":
            return self._token(method, params, headers, body)
        claims = tokens.claimsOf(tokens.bearer(headers), self.tokens)
        tokens.checkProjectToken(claims, {
            "imports": tokens.WRITE, "exports": tokens.READ,
            "devices": tokens.WRITE if method == "POST" else 0}[parts[0]])
        if parts[0] == "imports":
            return self._import(params, claims, body)
        if parts[0] == "exports":
            return exports.answer(parts[1:], params, claims, self.rows)
        if path == "devices/timestamp":
            return self._timestamp(params)
        if method == "POST":
            return self._registry.register(body, claims)
        return self._registry.listed(params, claims) if len(parts) == 1 \
            else self._registry.one(parts[1], claims)

    def _token(self, method, params, headers, body):
        if method == "GET":
            token, claims = tokens.granted(params, tokens.userOf(
                tokens.bearer(headers), self.tokens))
        else:
            token, claims = tokens.renewed(body, self.tokens)
            if "did" in claims and not self._registry.isKnown(
                    claims["pid"], claims["did"]):
                raise Refusal(401, answers.NOT_AUTHENTICATED,
                              "the token's device is not registered")
        if self.tokens is not None:
            self.tokens.add(token)
        return Answer(200, tokens.describe(token, claims))

    def _timestamp(self, params):
        unit = params.choice("timefmt", ("sec", "msec", "usec", "timeval"),
                             "msec")
        return Answer(200, {"server_timestamp": answers.shownTime(
            int(utils.time.time() * 1000000), unit)})

    def _import(self, params, claims, body):
        isTable = params.choice("fmt", ("table", "list"), "list") == "table"
        found = imports.read(body, isTable, self.maxValues, claims)
        isKnown = self._registry.isKnown(found.projectId, found.deviceId)
        if self.knowsDevices and not isKnown:
            raise Refusal(404, answers.NOT_FOUND, "device {} is not registered"
                          .format(utils.shorten(found.deviceId)))
        kinds = imports.settle(found.columns, lambda name: self._kinds.get(
            (found.projectId, name)))
        rows = [Row(found.projectId, found.deviceId, moment, values)
                for moment, values in found.rows]
        if self._refusal is not None:
            predicate, status, code = self._refusal
            for row in rows:
                if predicate(row):
                    raise Refusal(status, code, "refused by refuseRows()")
        if not isKnown:
            self._registry.add(found.projectId, found.deviceId)
        self._kinds.update(((found.projectId, name), kind)
                           for name, kind in kinds.items())
        self.rows.extend(rows)
        return Answer(200, {})


class _FakeRequest(request.Request):
    def __init__(self, backend, method, url):
        request.Request.__init__(self, method, url, None)
        self._backend = backend

    def execute(self):
        self.resp = self._backend.answer(self)


class _StandIn(object):
    """Puts the backend installed last where requesters are asked.

    Whatever the order in which installations end, as those of tests that run
    in threads do: the real requester is back when the last one has gone.
    """

    _SEAM = ("makeEndpoint", "get", "post")

    def __init__(self):
        self._lock = threading.Lock()
        self._stack = ()  # replaced whole, so that it can be read unlocked
        self._before = None

    def push(self, entry):
        with self._lock:
            if not self._stack:
                self._replace()
            self._stack += (entry,)
            request._requesters = {}

    def remove(self, entry):
        with self._lock:
            self._stack = tuple(one for one in self._stack if one is not entry)
            request._requesters = {}
            if not self._stack:
                self._restore()

    def _replace(self):
        """Redirect the requesters that there are, and those to be made."""
        real = request.Requester
        methods = dict((name, getattr(real, name).__func__ if compat.PY2
                        else getattr(real, name)) for name in self._SEAM)
        self._before = real, request._requesters, methods
        for name, method in methods.items():
            setattr(real, name, self._redirected(name, method))

        class Instances(type):
            def __instancecheck__(cls, found):
                return isinstance(found, real)

        def new(cls, *args, **named):
            if cls is not redirected:  # a subclass of the program's own
                return object.__new__(cls)
            return self._stack[-1][0] if self._stack else real(*args, **named)

        redirected = Instances("Requester", (real,), {"__new__": new})
        request.Requester = redirected

    def _restore(self):
        request.Requester, request._requesters, methods = self._before
        for name, method in methods.items():
            setattr(request.Requester, name, method)

    def _redirected(self, name, method):
        def redirected(requester, argument):
            stack = self._stack
            return getattr(stack[-1][0], name)(argument) if stack \
                else method(requester, argument)

        return redirected


_standIn = _StandIn()


@contextlib.contextmanager
def installed(backend=None):
    """Let every client talk to `backend` for the time being.

    Those built meanwhile, whatever URL the program names, and they stay with
    it; those built before, which go back to their own; and the static calls.
    A requester of the program's own that makes its own requests is left
    alone. Installations may be nested and may overlap: the last one counts.

    Args:
        backend (FakeBackend or None): None makes one.

    Yields:
        FakeBackend: it.
    """
    entry = [FakeBackend() if backend is None else backend]
    _standIn.push(entry)
    try:
        yield entry[0]
    finally:
        _standIn.remove(entry)


class FakeBackendMixin(object):
    """For a `unittest.TestCase`: installs a new `self.backend` for each test."""

    def setUp(self):
        super(FakeBackendMixin, self).setUp()
        context = installed()
        self.backend = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
