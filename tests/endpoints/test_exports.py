from __future__ import absolute_import

from iobeam.endpoints import exports
from iobeam.http import request
from iobeam.resources import query
from tests import support
from tests.support import FakeRequester, FakeResponse, RichResponse, refusal

ANSWER = {"result": [{"project_id": 1, "device_id": "dev", "name": "temp",
                      "data": [{"time": 1, "value": 2}]}], "timefmt": "msec"}


class GetDataTest(support.TestCase):
    def get(self, answer, qry=None, token="token"):
        self.requester = FakeRequester(answer)
        return exports.ExportService(token, self.requester).getData(
            qry or query.Query(1, "dev", "temp"))

    def test_the_answer_comes_back_as_it_is(self):
        self.assertEqual(ANSWER, self.get(FakeResponse(200, ANSWER)))

    def test_the_request_holds_path_parameters_and_token(self):
        self.get(FakeResponse(200, ANSWER),
                 query.Query(1, "dev").limit(5).fromTime(6).lessThan(1.5))
        sent, = self.requester.requests
        self.assertEqual(("GET", "exports/1/dev/all"), (sent.method,
                                                        sent.path))
        self.assertEqual({"limit": 5, "from": 6, "less_than": 1.5},
                         sent.params)
        self.assertEqual({"Authorization": "Bearer token"}, sent.headers)

    def test_no_query_is_refused(self):
        for qry in (None, "", 5, {}):
            with self.assertRaises(ValueError):
                exports.ExportService("token", FakeRequester()).getData(qry)

    def test_no_token_is_unauthorized(self):
        for token in (None, ""):
            with self.assertRaises(request.UnauthorizedError):
                self.get(FakeResponse(200, ANSWER), token=token)
            self.assertSays("no token set.", self.get,
                            FakeResponse(200, ANSWER), token=token)
        self.assertSays("token must be a string", self.get,
                        FakeResponse(200, ANSWER), token=5)
        self.assertEqual([], self.requester.requests)

    def test_a_grouping_without_operator_makes_no_request(self):
        self.assertRaises(ValueError, self.get, FakeResponse(200, ANSWER),
                          query.Query(1).groupBy("1h"))
        self.assertEqual([], self.requester.requests)

    def test_401_and_403_are_unauthorized(self):
        for status in (401, 403):
            for answer in (refusal(status, 1), FakeResponse(status)):
                with self.assertRaises(request.UnauthorizedError) as caught:
                    self.get(answer)
                self.assertEqual(status, caught.exception.statusCode)

    def test_other_statuses_are_unknown_codes(self):
        for status in (201, 204, 302, 400, 404, 422, 500):
            with self.assertRaises(request.UnknownCodeError) as caught:
                self.get(refusal(status, 9, "why"))
            self.assertNotIsInstance(caught.exception,
                                     request.UnauthorizedError)
            self.assertEqual(9, caught.exception.apiErrors[0]["code"])

    def test_200_without_an_answer_is_an_unknown_code(self):
        # a page was None, and errors were data
        page = RichResponse(200, headers={"Content-Type": "text/html"},
                            text=u"<html>Please log in</html>")
        for answer in (page, RichResponse(200, text=u"garbage"),
                       refusal(200, 3)):
            with self.assertRaises(request.UnknownCodeError) as caught:
                self.get(answer)
            self.assertEqual(200, caught.exception.statusCode)
        self.assertRaises(request.UnknownCodeError, self.get, page,
                          query.Query(1).output("csv"))

    def test_csv_comes_back_as_text(self):
        self.assertEqual(u"project_id,time\n1,2\n", self.get(
            RichResponse(200, text=u"project_id,time\n1,2\n"),
            query.Query(1).output("csv")))
        self.assertEqual({"output": "csv"}, self.requester.requests[0].params)
