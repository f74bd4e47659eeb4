"""How the contract of a backend asks, and how it judges.

Mix-ins for a TestCase whose `connect` gives

* ``requester``: what makes requests, and ``backend``: what `setBackend` takes;
* ``project``, ``otherProject``: projects without devices and points;
* ``token(permissions=7, project=None, device=None, **claims)``: makes one;
* ``userToken()``: of a user with every right in ``project``.

Rows of unregistered devices are refused; DEVICE is registered in ``project``.
"""
from __future__ import absolute_import

from iobeam.utils import compat

READ, WRITE, ADMIN = 1, 2, 4  # what a token permits
DEVICE = "greenhouse-1"
NOW = 1700000000123456  # us
DAY = 86400  # s
DATE = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} \+0000\Z"


def typed(value):
    """A value that differs from 1 for 1.0 and True; texts are texts."""
    if isinstance(value, dict):
        return dict((typed(key), typed(one)) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return [typed(one) for one in value]
    if isinstance(value, compat.TEXTS):
        return compat.toText(value)
    kind = "int" if compat.isInteger(value) else type(value).__name__
    return (kind, value)


class Asking(object):
    """How the contracts ask, and what they expect."""

    def setUp(self):
        super(Asking, self).setUp()
        self.connect()
        self.full = self.token()
        self.register(device_id=DEVICE)

    def ask(self, method, path, body=None, token="", headers=(), **params):
        """Execute a request; a token of "" is the full one, None is none."""
        make = getattr(self.requester, method.lower())
        req = make(self.requester.makeEndpoint(path))
        if token is not None:
            req.token(token or self.full)
        if body is not None:
            req.setBody(body)
        for name, value in dict(headers).items():
            req.header(name, value)
        for name, value in params.items():
            req.setParam(name.rstrip("_"), value)
        req.execute()
        return req

    def register(self, token="", **body):
        body.setdefault("project_id", self.project)
        return self.ask("POST", "devices", body, token)

    def table(self, data, fields=("a",), timefmt="usec", token="", **more):
        body = dict({"project_id": self.project, "device_id": DEVICE,
                     "sources": {"fields": ["time"] + list(fields),
                                 "data": data}, "timefmt": timefmt}, **more)
        return self.ask("POST", "imports", body, token, fmt="table")

    def series(self, data, name="a", timefmt="usec", token="", **more):
        points = [{"time": moment, "value": value} for moment, value in data]
        body = dict({"project_id": self.project, "device_id": DEVICE,
                     "sources": [{"name": name, "data": points}],
                     "timefmt": timefmt}, **more)
        return self.ask("POST", "imports", body, token)

    def export(self, series="all", device="all", token="", **params):
        req = self.ask("GET", "exports/{}/{}/{}".format(
            self.project, device, series), token=token, **params)
        self.assertAnswers(200, req)
        return req.getResponse()

    def points(self, series="a", **params):
        """[time, value] of one series, times in us unless told otherwise."""
        params.setdefault("timefmt", "usec")
        found = self.export(series, **params)["result"]
        self.assertLessEqual(len(found), 1)
        return [[point["time"], point["value"]] for one in found
                for point in one["data"]]

    def store(self, *args, **named):
        req = self.table(*args, **named)
        self.assertAnswers(200, req)
        return req

    def assertAnswers(self, status, req):
        if req.getResponseCode() != status:
            self.fail("{} instead of {}: {}".format(
                req.getResponseCode(), status, req.describeAnswer()))

    def assertSame(self, expected, found):
        self.assertEqual(typed(expected), typed(found))

    def assertRefused(self, status, code, req, **more):
        """An API error: status and code, row and field if any, a message."""
        self.assertAnswers(status, req)
        error, = req.getResponse()["errors"]
        self.assertIsInstance(error.pop("message"), compat.TEXTS)
        self.assertSame(dict(more, code=code), error)
