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

import base64
import collections
import contextlib
import json

from iobeam import iobeam
from iobeam.http import request
from iobeam.utils import compat, utils

__all__ = ["FakeBackend", "FakeBackendMixin", "Recorded", "Row", "installed",
           "makeToken"]

Row = collections.namedtuple("Row", "projectId deviceId time values")
Recorded = collections.namedtuple("Recorded", "method path params headers body")

LOST = "lost"  # a fault: carried out, and the answer does not arrive
_UNITS = {"sec": 1000000, "msec": 1000, "usec": 1}  # us
_FOR_EVER = 4102444800  # the year 2100, s


def makeToken(projectId=1, exp=_FOR_EVER, **claims):
    """Make a project token that the library takes; nobody signed it.

    Args:
        projectId (int): its ``pid``.
        exp (int): its end, in seconds since the epoch.
        claims: further ones.
    """
    def segment(part):
        raw = json.dumps(part, sort_keys=True).encode("ascii")
        return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")

    payload = dict({"uid": 0, "pid": projectId, "exp": exp, "pms": 7},
                   **claims)
    return str(".".join([segment({"typ": "JWT", "alg": "HS256"}),
                         segment(payload), segment({"fake": 1})]))


class FakeBackend(object):
    """Registers devices, stores rows, answers queries; fails when told to.

    It stands where a client has its requester, so what lies below is not
    there: no retries, time-outs or compression. A failure ends a `send()`
    at once, and the rows stay pending.

    Attributes:
        devices (dict): id to name of the registered ones.
        rows (list of Row): (projectId, deviceId, time in us, values) of what
            was accepted, in that order; ``values`` has no None in it.
        requests (list of Recorded): (method, path, params, headers, body).
        tokens (set or None): those accepted; None accepts any.
        knowsDevices (bool): True refuses rows of unregistered devices.
        maxValues (int or None): values that a request may hold.
    """

    baseUrl = "http://fake.invalid/v1/"

    def __init__(self):
        self.devices = collections.OrderedDict()
        self.rows = []
        self.requests = []
        self.tokens = None
        self.knowsDevices = False
        self.maxValues = None
        self._faults = []
        self._refusal = None

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
        path = req.url[len(self.baseUrl):].strip("/")
        body = json.loads(json.dumps(req.body))  # a copy, and surely JSON
        self.requests.append(Recorded(req.method, path, dict(req.params),
                                      dict(req.headers), body))
        fault = self._faults.pop(0) if self._faults else None
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, tuple):
            return _Answer(*fault)
        if fault is not None and fault != LOST:
            return _Answer(fault, {"errors": [
                {"code": fault, "message": "as told by fail()"}]}
                if fault >= 400 else {})
        answer = self._carryOut(req.method, path, req.params, req.headers,
                                body)
        if fault == LOST:
            raise request.ConnectionError("the answer was lost, as told")
        return answer

    def _carryOut(self, method, path, params, headers, body):
        if path == "tokens/project" and method == "POST":
            return _Answer(200, {"token": makeToken()})
        token = headers.get("Authorization", "")[len("Bearer "):]
        if not token or self.tokens is not None and token not in self.tokens:
            return _refusal(401, 1, "invalid token")
        if path == "tokens/project":
            return _Answer(200, {"token": makeToken(
                params.get("project_id", 1))})
        if path == "devices/timestamp":
            return _Answer(200, {"server_timestamp": int(
                utils.time.time() * 1000)})
        if path == "devices" and method == "POST":
            return self._register(body)
        if path == "imports" and method == "POST":
            return self._import(body)
        if path.startswith("exports/") and method == "GET":
            return self._export(path.split("/")[1:], params)
        return _refusal(404, 31, "no such path")

    def _register(self, body):
        deviceId = body.get("device_id") or "fake-device-{}".format(
            len(self.devices) + 1)
        name = body.get("device_name") or deviceId
        if deviceId in self.devices:
            return _refusal(422, request.ERROR_CODE_DUPLICATE_DEVICE_ID,
                            "device id already registered")
        if name in self.devices.values():
            return _refusal(422, request.ERROR_CODE_DUPLICATE_DEVICE_NAME,
                            "device name already registered")
        self.devices[deviceId] = name
        return _Answer(201, {"device_id": deviceId, "device_name": name})

    def _import(self, body):
        deviceId = body["device_id"]
        if self.knowsDevices and deviceId not in self.devices:
            return _refusal(404, request.ERROR_CODE_NOT_FOUND,
                            "device not registered")
        unit = _UNITS[body.get("timefmt", "msec")]
        if isinstance(body["sources"], dict):
            fields = body["sources"]["fields"]
            found = [dict(zip(fields, row))
                     for row in body["sources"]["data"]]
        else:
            found = [{"time": point["time"], source["name"]: point["value"]}
                     for source in body["sources"]
                     for point in source["data"]]
        rows = [Row(body["project_id"], deviceId, row["time"] * unit,
                    dict((name, value) for name, value in row.items()
                         if name != "time" and value is not None))
                for row in found]
        if self.maxValues is not None and self.maxValues < sum(
                len(row) - 1 for row in found):
            return _refusal(413, 2, "too many values")
        if self._refusal is not None:
            predicate, status, code = self._refusal
            for row in rows:
                if predicate(row):
                    return _refusal(status, code, "refused by refuseRows()")
        self.rows.extend(rows)
        return _Answer(200, {})

    def _export(self, parts, params):
        if "group_by" in params:
            return _refusal(422, 3, "FakeBackend does not aggregate")
        project, device, series = (parts + ["all", "all"])[:3]
        found = collections.OrderedDict()
        for row in sorted(self.rows, key=lambda row: row.time):
            for name, value in sorted(row.values.items()):
                if str(row.projectId) == project \
                        and device in ("all", row.deviceId) \
                        and series in ("all", name) \
                        and _isAskedFor(row.time // 1000, value, params):
                    found.setdefault((row.deviceId, name), {})[
                        row.time // 1000] = value
        return _Answer(200, {"result": [
            {"project_id": int(project), "device_id": device, "name": name,
             "data": [{"time": moment, "value": value} for moment, value
                      in sorted(points.items())[:params.get("limit")]]}
            for (device, name), points in found.items()]})


def _isAskedFor(moment, value, params):
    return (params.get("from", moment) <= moment <= params.get("to", moment)
            and ("greater_than" not in params
                 or value > params["greater_than"])
            and ("less_than" not in params or value < params["less_than"])
            and params.get("equals", value) == value)


class _FakeRequest(request.Request):
    def __init__(self, backend, method, url):
        request.Request.__init__(self, method, url, None)
        self._backend = backend

    def execute(self):
        self.resp = self._backend.answer(self)


class _Answer(object):
    """An answer with what a Request looks at."""

    def __init__(self, status, body=None):
        self.status_code = status
        self.headers = {}
        self._body = body
        self.text = body if isinstance(body, compat.TEXTS) else \
            u"" if body is None else json.dumps(body)
        self.content = self.text

    def json(self):
        if self._body is None or isinstance(self._body, compat.TEXTS):
            raise ValueError("no JSON")
        return self._body


def _refusal(status, code, message):
    return _Answer(status, {"errors": [{"code": code, "message": message}]})


@contextlib.contextmanager
def installed(backend=None):
    """Let every client that is built meanwhile talk to `backend`.

    Whatever URL the program names, and for the static calls as well. A
    requester of the program's own is left alone.

    Args:
        backend (FakeBackend or None): None makes one.

    Yields:
        FakeBackend: it.
    """
    backend = FakeBackend() if backend is None else backend

    class Redirected(request.Requester):
        def __new__(cls, *_, **__):
            return backend

    before = request.Requester, request._requesters
    request.Requester, request._requesters = Redirected, {}
    try:
        yield backend
    finally:
        request.Requester, request._requesters = before


class FakeBackendMixin(object):
    """For a `unittest.TestCase`: installs a new `self.backend` for each test."""

    def setUp(self):
        super(FakeBackendMixin, self).setUp()
        context = installed()
        self.backend = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
