# -*- coding: utf-8 -*-
from __future__ import absolute_import

from iobeam.endpoints import tokens
from iobeam.http import request
from tests import support
from tests.support import FakeRequester, FakeResponse, given, refusal, st

REFUSALS = [refusal(status, 1) for status in (400, 401, 403, 404, 422, 500)] + [
    FakeResponse(204), FakeResponse(401, {"message": "m"}), FakeResponse(500),
    lambda req: None]


class GetProjectTokenTest(support.TestCase):
    def get(self, *args, **kwargs):
        self.requester = FakeRequester(kwargs.pop(
            "answer", FakeResponse(200, {"token": "new"})))
        return tokens.TokenService(self.requester).getProjectToken(
            *args, **kwargs)

    def test_the_token_of_the_answer_comes_back_as_it_is(self):
        for token in ("new", u"new", "", 5, None, ["new"]):
            self.assertEqual(token, self.get("user", 1, answer=FakeResponse(
                200, {"token": token})))
        for answer in (FakeResponse(200, {}), FakeResponse(200, []),
                       FakeResponse(200), FakeResponse(200, ValueError("h"))):
            self.assertIsNone(self.get("user", 1, answer=answer))

    def test_201_is_as_good_as_200(self):
        self.assertEqual("new", self.get("user", 1, answer=FakeResponse(
            201, {"token": "new"})))

    def test_the_request_holds_the_project_and_no_more(self):
        self.get("user", 7)
        sent, = self.requester.requests
        self.assertEqual(("GET", "tokens/project"), (sent.method, sent.path))
        self.assertEqual({"project_id": 7}, sent.params)
        self.assertEqual("Bearer user", sent.headers["Authorization"])

    def test_duration_and_options_become_parameters(self):
        options = {"read": True, "write": False, "admin": False,
                   "refreshable": True, "device_id": "dev",
                   "include_user": False}
        self.get("user", 7, duration="5w", options=options)
        self.assertEqual(dict(options, project_id=7, duration="5w"),
                         self.requester.requests[0].params)
        self.assertNotIn("project_id", options)

    def test_booleans_stay_booleans(self):
        self.get("user", 7, None, {"read": True, "write": False})
        params = self.requester.requests[0].params
        self.assertIs(True, params["read"])
        self.assertIs(False, params["write"])

    def test_unknown_options_and_named_arguments_are_refused(self):
        for name in ("project_id", "duration", "reed", "", u"é", 5):
            with self.assertRaisesRegex(ValueError, "options"):
                self.get("user", 7, options={name: 1})
        self.assertEqual([], self.requester.requests)

    def test_options_that_are_no_dict_are_refused(self):
        for options in ([], "read", 5, ["read"], True, ()):
            with self.assertRaisesRegex(ValueError, "dict"):
                self.get("user", 7, options=options)

    def test_durations_are_a_number_and_a_unit(self):
        for duration in ("1w", "10d", "24h", "5m", "3600s", u"5w"):
            self.get("user", 7, duration=duration)
            self.assertEqual(duration,
                             self.requester.requests[0].params["duration"])
        for duration in ("", "w", "0w", "05w", "-1w", "1.5w", "5", "5W", "5y",
                         "5w ", "5w\n", " 5w", "5w5", 5, [], True, u"٣w"):
            with self.assertRaisesRegex(ValueError, "duration"):
                self.get("user", 7, duration=duration)

    @given(st.text(max_size=6))
    def test_any_duration_passes_exactly_if_it_is_one(self, duration):
        number, unit = duration[:-1], duration[-1:]
        good = (unit in tuple("wdhms") and number != ""
                and frozenset("0123456789").issuperset(number)
                and number[0] != "0")
        try:
            self.get("user", 1, duration=duration)
        except ValueError:
            self.assertFalse(good)
        else:
            self.assertTrue(good)

    def test_no_user_token_is_unauthorized(self):
        with self.assertRaises(request.UnauthorizedError) as caught:
            self.get(None, 7)
        self.assertEqual("no token set.", str(caught.exception))

    def test_bad_arguments_are_refused(self):
        self.assertSays("token must be more than 0 characters", self.get, "",
                        7)
        self.assertSays("token must be a string", self.get, 5, 7)
        for value in (None, "7", True):
            self.assertSays("projectId must be an int", self.get, "user",
                            value)
        self.assertSays("projectId must be greater than 0", self.get, "user",
                        0)
        self.assertEqual([], self.requester.requests)

    def test_refusals_raise(self):
        for answer in REFUSALS:
            with self.assertRaises(request.UnknownCodeError) as caught:
                self.get("user", 7, answer=answer)
            self.assertEqual(
                getattr(answer, "status_code", None) in (401, 403),
                isinstance(caught.exception, request.UnauthorizedError))

    def test_the_body_of_an_answer_is_never_shown(self):
        for answer in (FakeResponse(500, {"token": "secret"}),
                       refusal(422, u"é", message="secret")):
            with self.assertRaises(request.UnknownCodeError) as caught:
                self.get("user", 7, answer=answer)
            self.assertNotIn("secret", str(caught.exception))


class RefreshTokenTest(support.TestCase):
    def refresh(self, token="old", answer=FakeResponse(200, {"token": "new"})):
        self.requester = FakeRequester(answer)
        return tokens.TokenService(self.requester).refreshToken(token)

    def test_the_old_one_goes_out_in_the_body_and_nowhere_else(self):
        self.assertEqual("new", self.refresh())
        sent, = self.requester.requests
        self.assertEqual(("POST", "tokens/project"), (sent.method, sent.path))
        self.assertEqual({"refresh_token": "old"}, sent.body)
        self.assertNotIn("Authorization", sent.headers)
        self.assertEqual({}, sent.params)

    def test_201_is_as_good_as_200(self):
        self.assertEqual("new", self.refresh(answer=FakeResponse(
            201, {"token": "new"})))

    def test_whatever_token_the_answer_holds_comes_back(self):
        for token in ("new", "", 5, None):
            self.assertEqual(token, self.refresh(answer=FakeResponse(
                200, {"token": token})))
        self.assertIsNone(self.refresh(answer=FakeResponse(200, {})))

    def test_a_refusal_raises(self):
        for answer in REFUSALS:
            self.assertRaises(request.UnknownCodeError, self.refresh,
                              answer=answer)

    def test_what_is_no_token_is_refused(self):
        for token in (None, 5, []):
            self.assertSays("token must be a string", self.refresh, token)
        self.assertSays("token must be more than 0 characters", self.refresh,
                        "")
