"""What any requester must do, as mix-ins: the fake and the real one inherit them.

A subclass gives `requester(*answers)`, each a (status, body) where the body is
anything that JSON can carry, or text that is no JSON; and `recorded()`: what
came in, as objects with `method`, `path`, `params`, `headers` and `body`.
"""
from __future__ import absolute_import

from iobeam.endpoints import devices, exports, imports, tokens
from iobeam.http import request
from iobeam.resources import data, query
from tests import support


class RequesterContract(object):
    """Requests go out as they were built, answers come back as they were."""

    def ask(self, *answers, **options):
        requester = self.requester(*(answers or [(200, {"a": 1})]))
        make = getattr(requester, options.pop("method", "get"))
        return make(requester.makeEndpoint(options.pop("path", "some/path")))

    def test_the_path_stands_behind_the_base(self):
        requester = self.requester()
        self.assertTrue(requester.makeEndpoint("a/b").endswith("/v1/a/b"))

    def test_requests_are_requests(self):
        for method in ("get", "post"):
            req = self.ask(method=method)
            self.assertIsInstance(req, request.Request)
            self.assertEqual(method.upper(), req.method)
            self.assertIsNone(req.resp)

    def test_method_path_parameters_headers_and_body_arrive(self):
        self.ask(method="post").setBody({"k": [1, None, u"\xe9"]}).setParam(
            "fmt", "table").token("t0ken").header("X-Mine", "5").execute()
        self.ask().setParam("limit", 5).setParam("b", True).execute()
        post, get = self.recorded()[-2:]
        self.assertEqual(("POST", "some/path"), (post.method, post.path))
        self.assertEqual({"k": [1, None, u"\xe9"]}, post.body)
        self.assertEqual({"fmt": "table"}, self.texts(post))
        self.assertEqual("Bearer t0ken", post.headers["Authorization"])
        self.assertEqual("5", post.headers["X-Mine"])
        self.assertEqual(("GET", "some/path"), (get.method, get.path))
        self.assertEqual({"limit": "5", "b": "true"}, self.texts(get))

    @staticmethod
    def texts(recorded):
        return dict((name, str(value).lower() if value in (True, False)
                     else str(value))
                    for name, value in recorded.params.items())

    def test_status_and_json_come_back(self):
        for status in (200, 201, 400, 401, 403, 404, 413, 422):
            req = self.ask((status, {"a": [1, u"\xe9"]}))
            req.execute()
            self.assertEqual(status, req.getResponseCode())
            self.assertEqual({"a": [1, u"\xe9"]}, req.getResponse())

    def test_errors_come_back(self):
        req = self.ask((422, {"errors": [{"code": 150, "message": "m"},
                                         {"code": 7}]}))
        req.execute()
        self.assertEqual({"code": 150, "message": "m"}, req.getApiError())
        self.assertEqual(150, req.getApiErrorCode())
        self.assertTrue(req.hasApiErrorCode(7))
        self.assertFalse(req.isAccepted())

    def test_what_is_no_json_is_none_and_not_accepted(self):
        req = self.ask((200, u"<html>portal</html>"), method="post")
        req.execute()
        self.assertEqual(200, req.getResponseCode())
        self.assertIsNone(req.getResponse())
        self.assertFalse(req.isAccepted())

    def test_an_empty_body_is_accepted(self):
        for status in (200, 201, 204):
            req = self.ask((status, None), method="post")
            req.execute()
            self.assertTrue(req.isAccepted())
            self.assertIsNone(req.getResponse())

    def test_a_request_can_be_executed_again(self):
        req = self.ask((422, {"errors": [{"code": 1}]}), (200, {}),
                       method="post").setBody({"a": 1}).token("t")
        req.execute()
        self.assertEqual(422, req.getResponseCode())
        req.execute()
        self.assertEqual(200, req.getResponseCode())
        self.assertTrue(req.isAccepted())
        one, other = self.recorded()[-2:]
        self.assertEqual((one.body, one.path), (other.body, other.path))


class ServicesContract(object):
    """Every service does its work through any requester."""

    def test_registering(self):
        service = devices.DeviceService("t", self.requester(
            (201, {"device_id": "dev", "device_name": "n"}),
            (422, {"errors": [{"code": 150, "message": "m"}]}),
            (403, {"message": "m"})))
        self.assertEqual("dev", service.registerDevice(1, "dev").deviceId)
        self.assertRaises(devices.DuplicateIdError, service.registerDevice, 1,
                          "dev")
        self.assertRaises(request.UnauthorizedError, service.registerDevice, 1)
        self.assertEqual({"project_id": 1, "device_id": "dev"},
                         self.recorded()[-3].body)

    def test_the_time(self):
        service = devices.DeviceService("t", self.requester(
            (200, {"server_timestamp": 5}), (404, None), (200, u"<html>")))
        self.assertEqual([5, -1, -1],
                         [service.getTimestamp() for _ in range(3)])

    def test_importing(self):
        service = imports.ImportService("t", self.requester(
            (200, None), (200, None), (400, {"errors": [{"code": 3}]})))
        store = data.DataStore(["a"])
        store.add(5, {"a": u"\xe9"})
        self.assertEqual((True, None), service.importBatch(1, "dev", store))
        self.assertEqual((True, None), service.importData(
            1, "dev", data.DataSeries("a", [data.DataPoint(1.5, 5)])))
        self.assertEqual((False, {"errors": [{"code": 3}]}),
                         service.importBatch(1, "dev", store))
        table, series, _ = self.recorded()[-3:]
        self.assertEqual("table", table.params["fmt"])
        self.assertEqual({"fields": ["time", "a"], "data": [[5000, u"\xe9"]]},
                         table.body["sources"])
        self.assertEqual([{"name": "a", "data": [{"time": 5000,
                                                  "value": 1.5}]}],
                         series.body["sources"])

    def test_querying(self):
        service = exports.ExportService("t", self.requester(
            (200, {"result": []}), (403, None)))
        qry = query.Query(1, "dev", "a/b").limit(5)
        self.assertEqual({"result": []}, service.getData(qry))
        self.assertRaises(request.UnauthorizedError, service.getData, qry)
        sent = self.recorded()[-2]
        self.assertEqual("5", str(sent.params["limit"]))

    def test_tokens(self):
        service = tokens.TokenService(self.requester(
            (200, {"token": "one"}), (200, {"token": "two"}), (401, None)))
        self.assertEqual("one", service.getProjectToken("user", 1))
        self.assertEqual("two", service.refreshToken("one"))
        self.assertRaises(request.UnknownCodeError, service.refreshToken, "x")
        got, refreshed, _ = self.recorded()[-3:]
        self.assertEqual("1", str(got.params["project_id"]))
        self.assertEqual({"refresh_token": "one"}, refreshed.body)
        self.assertNotIn("Authorization", refreshed.headers)


class FakeMixin(object):
    """Runs a contract on the fake of `tests.support`."""

    Requester = support.FakeRequester

    def requester(self, *answers):
        made = self.Requester(*[self.answer(*found) for found in answers])
        self._made = getattr(self, "_made", []) + [made]
        return made

    @staticmethod
    def answer(status, body):
        if isinstance(body, type(u"")):
            return support.RichResponse(status, text=body)
        return support.FakeResponse(status, body)

    def recorded(self):
        return [sent for made in self._made for sent in made.requests]


class OneRequestMixin(FakeMixin):
    """Runs a contract on the fake that has one request for ever."""

    Requester = support.OneRequestRequester
