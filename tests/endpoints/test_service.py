from __future__ import absolute_import

import os

from iobeam.endpoints import devices, exports, imports, service, tokens
from iobeam.http import request
from tests import support
from tests.support import FakeRequester, mock, refusal

SERVICES = [service.EndpointService, devices.DeviceService,
            imports.ImportService, exports.ExportService]


class EndpointServiceTest(support.TestCase):
    def test_nothing_is_checked_at_construction(self):
        for kind in SERVICES:
            for token in (None, "", 5, "dummy", object()):
                self.assertIs(token, kind(token).token)

    def test_the_token_service_has_no_token(self):
        self.assertIsNone(tokens.TokenService().token)
        self.assertIsNone(tokens.TokenService(FakeRequester()).token)

    def test_the_requester_is_the_given_one(self):
        requester = FakeRequester()
        for made in [kind("t", requester) for kind in SERVICES] + [
                kind("t", requester=requester) for kind in SERVICES] + [
                tokens.TokenService(requester),
                tokens.TokenService(requester=requester)]:
            self.assertIs(requester, made.requester())
            self.assertIs(requester, made._requester)
            self.assertEqual("http://127.0.0.1:1/v1/devices",
                             made.makeEndpoint("devices"))

    def test_without_one_it_is_the_shared_one(self):
        with mock.patch.dict("os.environ"):
            os.environ.pop("IOBEAM_BACKEND", None)
            for made in [kind("t") for kind in SERVICES] + [
                    tokens.TokenService()]:
                self.assertIs(request.getRequester(), made._requester)
                self.assertIs(request.getRequester(), made.requester())
                self.assertEqual("https://api.iobeam.com/v1/devices",
                                 made.makeEndpoint("devices"))

    def test_the_requester_can_be_replaced(self):
        made = service.EndpointService("t", FakeRequester())
        made._requester = other = FakeRequester()
        self.assertIs(other, made.requester())

    def test_the_environment_is_read_at_use(self):
        made = service.EndpointService("t")
        with mock.patch.dict("os.environ",
                             IOBEAM_BACKEND="http://127.0.0.1:2/v1"):
            self.assertEqual("http://127.0.0.1:2/v1/x", made.makeEndpoint("x"))


class RaiseUnknownCodeErrorTest(support.TestCase):
    def raised(self, answer):
        req = FakeRequester(answer).get("u")
        req.execute()
        with self.assertRaises(request.UnknownCodeError) as caught:
            service.EndpointService("t").raiseUnknownCodeError(req)
        return caught.exception

    def test_the_message_names_code_and_details(self):
        for status in (200, 400, 404, 422, 500):
            error = self.raised(refusal(status, 7, "why"))
            self.assertRegex(str(error), "^Received unexpected code: {}\n"
                                         "Details: .*why".format(status))
            self.assertEqual(status, error.statusCode)
            self.assertEqual(7, error.apiErrors[0]["code"])
            self.assertNotIsInstance(error, request.UnauthorizedError)

    def test_401_and_403_are_unauthorized_as_well(self):
        for status in (401, 403):
            error = self.raised(support.FakeResponse(status, {"message": "m"}))
            self.assertIsInstance(error, request.UnauthorizedError)
            self.assertEqual(status, error.statusCode)
