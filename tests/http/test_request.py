# -*- coding: utf-8 -*-
from __future__ import absolute_import

import os

from iobeam.http import address, request
from tests import support
from tests.support import (FakeResponse, RichResponse, given, mock, refusal,
                           st)


def answered(resp):
    req = request.Request("GET", "u", None)
    req.resp = resp
    return req


class BuildingTest(support.TestCase):
    def test_a_new_one_has_empty_dicts_and_no_answer(self):
        for req in (request.Request("GET", "u", None),
                    request.Request(None, None, None)):
            for found in (req.params, req.headers, req.body):
                self.assertEqual({}, found)
                self.assertIs(dict, type(found))
            self.assertIsNone(req.resp)

    def test_two_share_nothing(self):
        one, other = (request.Request("GET", "u", None) for _ in range(2))
        one.setParam("a", 1).header("b", "2").body["c"] = 3
        self.assertEqual(({}, {}, {}), (other.params, other.headers,
                                        other.body))

    def test_setters_can_be_chained(self):
        req = request.Request("POST", "u", None)
        body = {"a": 1}
        self.assertIs(req, req.header("H", "v").token("t").setBody(body)
                      .setParam("p", True))
        self.assertEqual({"H": "v", "Authorization": "Bearer t"}, req.headers)
        self.assertEqual({"p": True}, req.params)
        self.assertIs(True, req.params["p"])
        self.assertIs(body, req.body)

    def test_the_last_setting_counts(self):
        req = request.Request("POST", "u", None)
        req.setParam("p", 1).setParam("p", 2).token("a").token("b")
        self.assertEqual(2, req.params["p"])
        self.assertEqual("Bearer b", req.headers["Authorization"])

    def test_a_body_that_is_serialised_already_is_seen_as_a_dict(self):
        class Serialised(object):
            def asDict(self):
                return {"a": 1}

        req = request.Request("POST", "u", None).setBody(Serialised())
        self.assertEqual({"a": 1}, req.body)

    def test_the_body_can_be_assigned(self):
        req = request.Request("POST", "u", None)
        req.body = {"a": 1}
        self.assertEqual({"a": 1}, req.body)

    def test_methods_are_checked_when_it_is_executed(self):
        for method in ("PUT", "DELETE", "get", "", None, 5):
            req = request.Request(method, "http://127.0.0.1:1/", None)
            self.assertRaises(ValueError, req.execute)


class AnswerTest(support.TestCase):
    def test_without_an_answer_all_is_none(self):
        req = answered(None)
        self.assertIsNone(req.getResponse())
        self.assertIsNone(req.getResponseCode())
        self.assertIsNone(req.getApiError())
        self.assertIsNone(req.getApiErrorCode())
        self.assertIsNone(req.getResponseHeader("Date"))
        self.assertEqual((), req.getApiErrors())
        self.assertFalse(req.hasApiErrorCode(150))
        self.assertFalse(req.isAccepted())
        self.assertEqual("", req.describeAnswer())

    def test_code_and_json_come_back(self):
        req = answered(FakeResponse(418, {"a": [1]}))
        self.assertEqual(418, req.getResponseCode())
        self.assertEqual({"a": [1]}, req.getResponse())

    def test_what_is_no_json_is_none(self):
        self.assertIsNone(answered(FakeResponse(
            200, ValueError("no JSON"))).getResponse())

    def test_the_first_error_is_the_api_error(self):
        req = answered(FakeResponse(422, {"errors": [
            {"code": 3, "message": "m"}, {"code": 4}]}))
        self.assertEqual({"code": 3, "message": "m"}, req.getApiError())
        self.assertEqual(3, req.getApiErrorCode())

    def test_odd_error_bodies_hold_no_errors(self):
        for body in (None, [], "errors", 5, {}, {"errors": None},
                     {"errors": {}}, {"errors": "many"}, {"errors": 5},
                     {"errors": []}, {"errors": [None, 5, "x", []]},
                     {"message": "m"}):
            req = answered(FakeResponse(422, body))
            self.assertEqual((), req.getApiErrors())
            self.assertIsNone(req.getApiError())
            self.assertIsNone(req.getApiErrorCode())
            self.assertFalse(req.hasApiErrorCode(None))

    def test_any_error_may_carry_the_code_as_number_or_digits(self):
        for codes in ([150], ["150"], [u"150"], [7, 150], [None, "150"]):
            self.assertTrue(answered(FakeResponse(422, {"errors": [
                {"code": code} for code in codes]})).hasApiErrorCode(150))
        for code in (151, "15", 1500, None, True, [], u"é", u"１５０"):
            self.assertFalse(answered(refusal(422, code))
                             .hasApiErrorCode(150))
        self.assertFalse(answered(FakeResponse(422, {"errors": [{}]}))
                         .hasApiErrorCode(150))

    def test_headers_come_back_if_there_are_any(self):
        self.assertEqual("x", answered(RichResponse(
            200, headers={"Date": "x"})).getResponseHeader("Date"))
        for headers in (None, {}, [], 5):
            resp = FakeResponse(200)
            resp.headers = headers
            self.assertIsNone(answered(resp).getResponseHeader("Date"))
        self.assertIsNone(answered(FakeResponse(200))
                          .getResponseHeader("Date"))

    def test_an_answer_that_is_a_mock_will_do(self):
        resp = mock.MagicMock(status_code=200)
        resp.json.return_value = {"a": 1}
        req = answered(resp)
        self.assertIsNone(req.getResponseHeader("Date"))
        self.assertTrue(req.isAccepted())
        self.assertEqual({"a": 1}, req.getResponse())
        self.assertIn("a", req.describeAnswer())

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                        lambda inner: st.lists(inner) | st.dictionaries(
                            st.sampled_from(["errors", "code", "a"]), inner)))
    def test_any_json_can_be_looked_at(self, body):
        req = answered(FakeResponse(422, body))
        req.getApiErrorCode()
        req.hasApiErrorCode(150)
        self.assertIsInstance(req.describeAnswer(), str)
        self.assertIsInstance(req.getApiErrors(), tuple)


class AcceptedTest(support.TestCase):
    def test_success_without_errors_is_accepted(self):
        for status in (200, 201, 204):
            for resp in (FakeResponse(status), FakeResponse(status, {}),
                         FakeResponse(status, ValueError("empty")),
                         FakeResponse(status, {"errors": []}),
                         FakeResponse(status, {"errors": None}),
                         RichResponse(status), RichResponse(status, {}),
                         RichResponse(status, []), RichResponse(status, "ok"),
                         RichResponse(status, 0)):
                self.assertTrue(answered(resp).isAccepted())

    def test_errors_and_pages_are_not(self):
        for status in (200, 201, 204):
            for resp in (FakeResponse(status, {"errors": [{"code": 1}]}),
                         RichResponse(status, {"errors": [{"code": 1}]}),
                         RichResponse(status, {"errors": "some"}),
                         RichResponse(status, text=u"<html></html>"),
                         RichResponse(status, text=u"OK")):
                self.assertFalse(answered(resp).isAccepted())

    def test_other_statuses_are_not(self):
        for status in (None, 0, 100, 202, 203, 206, 301, 302, 400, 500):
            self.assertFalse(answered(FakeResponse(status, {})).isAccepted())

    def test_absent_and_none_headers_text_and_content_are_fine(self):
        for names in ((), ("headers",), ("text", "content"),
                      ("headers", "text", "content")):
            resp = FakeResponse(200, {})
            for name in names:
                setattr(resp, name, None)
            self.assertTrue(answered(resp).isAccepted())


class DescribeTest(support.TestCase):
    def test_json_is_shown(self):
        self.assertEqual('{"a": 1}', answered(
            FakeResponse(400, {"a": 1})).describeAnswer())

    def test_text_is_shown_in_ascii_and_cut(self):
        shown = answered(RichResponse(400, text=u"é" + u"x" * 9999)
                         ).describeAnswer()
        self.assertTrue(shown.startswith("\\xe9xxx"))
        self.assertEqual(500, len(shown))
        self.assertIsInstance(shown, str)

    def test_a_redirect_names_where_to(self):
        self.assertIn("http://127.0.0.1/login", answered(RichResponse(
            302, headers={"Location": "http://127.0.0.1/login"}))
            .describeAnswer())

    def test_the_token_is_not_shown_though_the_answer_repeats_it(self):
        token = "secret.secret.secret"
        req = answered(RichResponse(401, text=u"bad token " + token))
        req.token(token)
        self.assertNotIn(token, req.describeAnswer())
        req = answered(refusal(401, 1, "bad token " + token))
        req.token(token)
        self.assertNotIn(token, str(request.UnknownCodeError(req))
                         + repr(req.getApiErrors()))

    def test_a_word_that_a_test_uses_as_its_token_stays(self):
        for token in ("dummy", "t", ""):
            req = answered(refusal(401, 1, "the dummy said no to it"))
            req.token(token)
            self.assertIn("the dummy said no to it", req.describeAnswer())


class RequesterTest(support.TestCase):
    def test_the_slash_at_the_end_is_optional(self):
        for url in ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/"):
            self.assertEqual("http://127.0.0.1:1/v1/devices",
                             request.Requester(url).makeEndpoint("devices"))
            self.assertEqual("http://127.0.0.1:1/v1/devices", request.Requester(
                baseUrl=url).makeEndpoint("devices"))

    def test_the_default_is_the_service_of_2016(self):
        self.assertEqual("https://api.iobeam.com/v1/x",
                         request.Requester().makeEndpoint("x"))

    def test_it_hands_out_new_requests(self):
        requester = request.Requester("http://127.0.0.1:1/v1/")
        for method, make in (("GET", requester.get), ("POST", requester.post)):
            one, other = make("u"), make("u")
            self.assertIsInstance(one, request.Request)
            self.assertIsNot(one, other)
            self.assertEqual((method, "u"), (one.method, one.url))


class GetRequesterTest(support.TestCase):
    def setUp(self):
        patched = mock.patch.dict("os.environ")
        patched.start()
        self.addCleanup(patched.stop)
        os.environ.pop("IOBEAM_BACKEND", None)

    def test_there_is_one_for_each_base_url(self):
        one = request.getRequester("http://127.0.0.1:1/v1/")
        self.assertIs(one, request.getRequester("http://127.0.0.1:1/v1"))
        self.assertIs(one, request.getRequester(url="http://127.0.0.1:1/v1/"))
        self.assertIsNot(one, request.getRequester("http://127.0.0.1:2/v1/"))
        self.assertIs(request.getRequester(), request.getRequester(None))

    def test_it_is_a_requester(self):
        self.assertIsInstance(request.getRequester(), request.Requester)

    def test_bad_urls_are_refused(self):
        for url in ("test.com", "", 5):
            self.assertRaises(ValueError, request.getRequester, url)


class BaseUrlTest(support.TestCase):
    def setUp(self):
        patched = mock.patch.dict("os.environ")
        patched.start()
        self.addCleanup(patched.stop)
        os.environ.pop("IOBEAM_BACKEND", None)
        warned = mock.patch.object(address, "_warned", set())
        warned.start()
        self.addCleanup(warned.stop)

    def test_the_default_is_the_service_of_2016(self):
        self.assertEqual("https://api.iobeam.com/v1/", request.baseUrl())

    def test_the_environment_replaces_the_default(self):
        for own in ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"):
            os.environ["IOBEAM_BACKEND"] = own
            self.assertEqual("http://127.0.0.1:9/v1/", request.baseUrl())

    def test_what_a_script_names_goes_before_the_environment(self):
        os.environ["IOBEAM_BACKEND"] = "http://127.0.0.1:9/v1/"
        self.assertEqual("http://127.0.0.1:8/v1/",
                         request.baseUrl("http://127.0.0.1:8/v1"))

    def test_the_dead_service_is_replaced_with_one_warning(self):
        os.environ["IOBEAM_BACKEND"] = "http://127.0.0.1:9/v1/"
        for url in ("https://api.iobeam.com/v1/", "http://API.iobeam.com/v1",
                    "https://api-dev.iobeam.com:443/v1/"):
            with self.warnings(count=1) as messages:
                for _ in range(2):
                    self.assertEqual("http://127.0.0.1:9/v1/",
                                     request.baseUrl(url))
            self.assertIn("IOBEAM_BACKEND", messages[0])

    def test_without_the_environment_it_is_not(self):
        self.assertEqual("https://api-dev.iobeam.com/v1/",
                         request.baseUrl("https://api-dev.iobeam.com/v1"))

    def test_an_empty_variable_counts_as_none(self):
        os.environ["IOBEAM_BACKEND"] = ""
        self.assertEqual("https://api.iobeam.com/v1/", request.baseUrl())

    def test_scheme_and_host_are_needed(self):
        for url in ("test.com", "", "test.com/v1/", "ftp://host/v1/",
                    "http://", "http:///v1/", "https:host", "//host/v1/",
                    "http://host:port/v1/", "http://host:99999/v1/",
                    "http://[::1]:99999/v1/", 5, []):
            with self.assertRaises(ValueError):
                request.baseUrl(url)
        os.environ["IOBEAM_BACKEND"] = "127.0.0.1:9"
        with self.assertRaisesRegex(ValueError, "127.0.0.1:9"):
            request.baseUrl()

    def test_what_no_eye_sees_around_it_is_taken_away(self):
        for before, after in (("", "\r"), ("\t ", "\r\n"), (u"\ufeff", ""),
                              (u"\xa0", u"\u200b\u2028"), ("\0", "\x1f"),
                              (u"\u3000\ufeff ", u"\u00ad")):
            for url in ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"):
                for odd in (before + url + after,
                            (before + url + after).encode("utf-8")
                            if str is bytes else before + url + after):
                    self.assertEqual("http://127.0.0.1:9/v1/",
                                     request.baseUrl(odd))
                    self.assertEqual("http://127.0.0.1:9/v1/x", request
                                     .Requester(odd).makeEndpoint("x"))
            if "\0" not in before:
                os.environ["IOBEAM_BACKEND"] = str("\t http://127.0.0.1:9/v1\r")
                self.assertEqual("http://127.0.0.1:9/v1/", request.baseUrl())
        os.environ["IOBEAM_BACKEND"] = " \r\n"
        self.assertEqual("https://api.iobeam.com/v1/", request.baseUrl())

    def test_inside_it_is_refused(self):
        for odd in ("\r", "\n", "\t", " ", u"\ufeff", u"\xa0", u"\u200b", "\0",
                    "\x7f", "\\"):
            for url in (u"http://127.0.0.1:9/v{}1/", u"http://127.0.0.1{}:9/v1/",
                        u"http://host{}name/v1/"):
                self.assertRaises(ValueError, request.baseUrl,
                                  url.format(odd))

    def test_a_query_or_a_fragment_is_refused(self):
        for end, word in (("?a=1", "query"), ("?", "query"),
                          ("#top", "fragment"), ("#", "fragment"),
                          ("?a#b", "query")):
            for path in ("/v1/", "/v1", ""):
                with self.assertRaisesRegex(ValueError, word):
                    request.baseUrl("http://127.0.0.1:9" + path + end)

    def test_the_whole_domain_of_the_dead_service_is_gone(self):
        for url in ("https://api.iobeam.com./v1/", "http://iobeam.com/v1/",
                    "https://u:p@API-DEV.iobeam.com:99/"):
            self.assertTrue(address.isGone(url), url)
        for url in ("https://iobeam.com.example/", "https://myiobeam.com/",
                    "http://127.0.0.1/api.iobeam.com/", "nonsense", None):
            self.assertFalse(address.isGone(url), url)

    def test_plain_http_to_another_machine_warns_once(self):
        with self.warnings(count=1) as messages:
            for _ in range(3):
                request.baseUrl("http://backend.example/v1/")
        self.assertIn("https", messages[0])

    def test_plain_http_to_this_machine_and_https_do_not(self):
        with self.warnings(count=0):
            for url in ("http://127.0.0.1:9/v1/", "http://localhost/v1/",
                        "http://[::1]:9/v1/", "http://127.9.9.9/v1/",
                        "https://backend.example/v1/"):
                request.baseUrl(url)

    def test_a_url_without_a_path_warns_once(self):
        with self.warnings(count=1) as messages:
            for _ in range(2):
                self.assertEqual("http://127.0.0.1:9/",
                                 request.baseUrl("http://127.0.0.1:9"))
        self.assertIn("v1", messages[0])

    def test_127_in_a_name_is_not_this_machine(self):
        with self.warnings(count=1):
            request.baseUrl("http://127.0.0.1.example/v1/")
