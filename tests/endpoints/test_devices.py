# -*- coding: utf-8 -*-
from __future__ import absolute_import

from iobeam.endpoints import devices
from iobeam.http import call, request
from iobeam.resources import device
from tests import support
from tests.support import FakeRequester, FakeResponse, RichResponse, refusal


def registered(status=201, **answer):
    return FakeResponse(status, dict({"device_id": "dev", "project_id": 1,
                                      "device_name": "name"}, **answer))


class RegisterTest(support.TestCase):
    def register(self, answer, *args, **kwargs):
        self.requester = FakeRequester(answer)
        return devices.DeviceService("token", self.requester).registerDevice(
            *(args or (() if kwargs else (1,))), **kwargs)

    def error(self, kind, answer, *args):
        with self.assertRaises(kind) as caught:
            self.register(answer, *args)
        return caught.exception

    def test_a_device_comes_back(self):
        found = self.register(registered())
        self.assertIsInstance(found, device.Device)
        self.assertEqual((1, "dev", "name"), (
            found.projectId, found.deviceId, found.deviceName))

    def test_the_request_holds_what_is_known_and_no_more(self):
        for args, body in (
                ((1,), {"project_id": 1}),
                ((1, "dev"), {"project_id": 1, "device_id": "dev"}),
                ((1, None, "n"), {"project_id": 1, "device_name": "n"}),
                ((1, "dev", "n"), {"project_id": 1, "device_id": "dev",
                                   "device_name": "n"})):
            self.register(registered(), *args)
            sent, = self.requester.requests
            self.assertEqual(("POST", "devices"), (sent.method, sent.path))
            self.assertEqual(body, sent.body)
            self.assertEqual("Bearer token", sent.headers["Authorization"])

    def test_the_names_of_the_arguments_are_those_of_0_11_0(self):
        self.register(registered(), projectId=1, deviceId="dev",
                      deviceName="n")
        self.assertEqual("n", self.requester.requests[0].body["device_name"])

    def test_200_is_as_good_as_201(self):
        self.assertEqual("dev", self.register(registered(200)).deviceId)

    def test_an_answer_without_a_name_is_fine(self):
        found = self.register(FakeResponse(201, {"device_id": "dev"}))
        self.assertIsNone(found.deviceName)

    def test_an_answer_without_a_valid_id_is_an_error(self):
        for answer in (FakeResponse(201, {}), FakeResponse(201, None),
                       FakeResponse(201, []), FakeResponse(201, ["dev"]),
                       FakeResponse(201, "dev"), FakeResponse(201, 5),
                       FakeResponse(201, ValueError("no JSON")),
                       registered(device_id=None), registered(device_id=""),
                       registered(device_id=5), registered(device_id=u"é"),
                       registered(device_id="a b"), registered(device_id=[]),
                       RichResponse(200, text=u"<html>é</html>")):
            error = self.error(request.Error, answer)
            self.assertNotIsInstance(error, request.UnknownCodeError)
            self.assertIn("device_id", str(error))

    def test_bad_arguments_are_refused_before_any_request(self):
        for value in (None, "1", 1.5, True):
            self.assertSays("projectId must be an int", self.register,
                            registered(), value)
        self.assertSays("projectId must be greater than 0", self.register,
                        registered(), 0)
        for value in (5, []):
            self.assertSays("deviceId must be a string", self.register,
                            registered(), 1, value)
        self.assertSays("deviceId must be more than 0 characters",
                        self.register, registered(), 1, "")
        self.assertSays("deviceId can only include a-z, A-Z, 0-9, _, :, and -",
                        self.register, registered(), 1, "a b")
        self.assertEqual([], self.requester.requests)

    def test_no_token_is_unauthorized(self):
        for token in (None, ""):
            service = devices.DeviceService(token, FakeRequester())
            for call_ in (lambda: service.registerDevice(1),
                          service.getTimestamp):
                with self.assertRaises(request.UnauthorizedError) as caught:
                    call_()
                self.assertEqual("no token set.", str(caught.exception))
            self.assertEqual([], service.requester().requests)

    def test_a_token_that_is_no_string_is_refused(self):
        self.assertSays("token must be a string", devices.DeviceService(
            5, FakeRequester()).registerDevice, 1)

    def test_the_codes_count_whatever_the_status(self):
        for status in (200, 201, 400, 403, 409, 422):
            for code, kind in ((150, devices.DuplicateIdError),
                               (151, devices.DuplicateNameError)):
                self.assertRaises(kind, devices.DeviceService(
                    "t", FakeRequester(refusal(status, code)))
                    .registerDevice, 1, "dev")

    def test_an_empty_name_is_none(self):
        self.register(registered(), 1, "dev", "")
        self.assertNotIn("device_name", self.requester.requests[0].body)

    def test_403_is_bad_credentials(self):
        for answer, words in (
                (refusal(403, 1, "the token may only read"),
                 " The backend says: the token may only read"),
                (refusal(403, 1, 7), ""), (refusal(403, 1, ""), ""),
                (FakeResponse(403, {"message": "no"}), ""),
                (FakeResponse(403), "")):
            error = self.error(request.UnauthorizedError, answer)
            self.assertEqual("Invalid credentials." + words, str(error))
            self.assertEqual(403, error.statusCode)

    def test_150_is_a_duplicate_id(self):
        for answer in (refusal(422, 150), refusal(422, "150"),
                       refusal(403, 150), refusal(409, 150),
                       FakeResponse(422, {"errors": [{"code": 3},
                                                     {"code": 150}]})):
            error = self.error(devices.DuplicateIdError, answer, 1, "dev")
            self.assertEqual("Device ID already registered.", str(error))
            self.assertEqual(answer.status_code, error.statusCode)

    def test_151_is_a_duplicate_name(self):
        for answer in (refusal(422, 151), refusal(422, u"151"),
                       FakeResponse(422, {"errors": [{}, {"code": 151}]})):
            error = self.error(devices.DuplicateNameError, answer)
            self.assertIsInstance(error, request.UnknownCodeError)
            self.assertRegex(str(error), "^Received unexpected code: 422")
        self.error(devices.DuplicateNameError, refusal(403, 151))

    def test_other_answers_are_unknown_codes(self):
        for answer in (refusal(422, 7), FakeResponse(404), FakeResponse(500),
                       FakeResponse(204), FakeResponse(302),
                       refusal(422, u"é"), refusal(422, None),
                       FakeResponse(422, {"errors": "none"}),
                       FakeResponse(422, {"errors": [150]}), lambda req: None):
            self.error(request.UnknownCodeError, answer)

    def test_401_is_unauthorized_and_an_unknown_code(self):
        error = self.error(request.UnauthorizedError, refusal(401, 1))
        self.assertIsInstance(error, request.UnknownCodeError)

    def test_150_after_an_attempt_in_doubt_is_success(self):
        def lost(req):
            call.current().inDoubt = True
            return refusal(422, 150)

        found = self.register(lost, 1, "dev", "n")
        self.assertEqual(("dev", "n"), (found.deviceId, found.deviceName))

    def test_only_a_known_id_may_be_registered_twice(self):
        allowed = []

        def look(req):
            allowed.append(call.current().repeatsUnsafe)
            return registered()

        self.register(look, 1)
        self.register(look, 1, "dev")
        self.assertEqual([False, True], allowed)

    def test_the_rule_for_repeats_ends_with_the_request(self):
        with call.Call() as running:
            self.error(request.TimeoutError, request.TimeoutError("t"))
            self.assertTrue(running.repeatsUnsafe)

    def test_what_goes_wrong_below_passes_through(self):
        for error in (request.TimeoutError("t"), request.ConnectionError("c")):
            self.assertIs(error, self.error(type(error), error))


class TimestampTest(support.TestCase):
    def ask(self, answer, token="token"):
        self.requester = FakeRequester(answer)
        return devices.DeviceService(token, self.requester).getTimestamp()

    def test_the_servers_milliseconds_come_back(self):
        self.assertEqual(1449234660123, self.ask(
            FakeResponse(200, {"server_timestamp": 1449234660123})))
        sent, = self.requester.requests
        self.assertEqual(("GET", "devices/timestamp", "Bearer token"), (
            sent.method, sent.path, sent.headers["Authorization"]))

    def test_any_failure_is_minus_1(self):
        good = {"server_timestamp": 5}
        for answer in (FakeResponse(201, good), FakeResponse(404, good),
                       FakeResponse(500), refusal(403, 1), FakeResponse(200),
                       FakeResponse(200, {}), FakeResponse(200, [5]),
                       FakeResponse(200, {"server_timestamp": None}),
                       FakeResponse(200, {"server_timestamp": "5"}),
                       FakeResponse(200, {"server_timestamp": True}),
                       FakeResponse(200, ValueError("HTML")),
                       lambda req: None, request.TimeoutError("t"),
                       request.ConnectionError("c"), IOError("i")):
            self.assertEqual(-1, self.ask(answer))


class ListTest(support.TestCase):
    def listed(self, *answers):
        self.requester = FakeRequester(*answers)
        return devices.DeviceService("token", self.requester).listDevices(1)

    def page(self, *ids):
        return FakeResponse(200, {"devices": [{"device_id": one}
                                              for one in ids]})

    def test_page_by_page(self):
        for answers, ids in (
                ([self.page()], ""), ([self.page("a", "b")], "ab"),
                ([self.page("a", "b", "c"), self.page("d")], "abcd"),
                # one was registered, or deleted, between two pages
                ([self.page("a", "b", "c"), self.page("c", "d")], "abcd"),
                ([self.page("a", "b", "c"), self.page()], "abc"),
                # a backend that knows no pages
                ([self.page("a", "b", "c", "d")], "abcd")):
            with support.mock.patch.object(devices.DeviceService, "PAGE", 3):
                found = self.listed(*answers)
            self.assertEqual(list(ids), [one["device_id"] for one in found])
            self.assertEqual(len(answers), len(self.requester.requests))
        self.assertEqual({"project_id": 1, "offset": 0,
                          "count": devices.DeviceService.PAGE},
                         self.paramsOf(self.page("a")))

    def paramsOf(self, answer):
        self.listed(answer)
        return self.requester.requests[0].params

    def test_what_is_no_list(self):
        for answer in (FakeResponse(200, {}), FakeResponse(200, []),
                       FakeResponse(200, {"devices": 5}),
                       FakeResponse(200, {"devices": [5]}),
                       FakeResponse(200, {"devices": [{}]})):
            with self.assertRaisesRegex(request.Error, "no list of devices"):
                self.listed(answer)
        self.assertRaises(request.UnauthorizedError, self.listed, refusal(403, 2))
        self.assertRaises(request.UnknownCodeError, self.listed, refusal(500, 1))
