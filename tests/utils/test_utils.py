# -*- coding: utf-8 -*-
from __future__ import absolute_import

import json
import logging

from iobeam.utils import compat, utils
from tests import support
from tests.support import given, makeToken, mock, st

# What wire.md's five samples decode to: (header's kid, claims).
SAMPLES = [
    (10, {"uid": 0, "pid": 7, "exp": 1449234660, "pms": 3}),
    (10, {"uid": 0, "pid": 32, "exp": 1449234660, "pms": 7}),
    (1335, {"uid": 2, "pid": 6, "exp": 1472405131, "pms": 7}),
    (7, {"uid": 0, "pid": 0, "exp": 1432159838, "pms": 3}),
]
SPELLINGS = [dict(padded=padded, standard=standard)
             for padded in (False, True) for standard in (False, True)]
NO_STRINGS = [None, 1, 1.5, True, [], ["a"], {}, object()]
DAY = 24 * 60 * 60


def at(seconds):
    return mock.patch("iobeam.utils.utils.time.time", return_value=seconds)


class ProjectIdTest(support.TestCase):
    def test_what_is_no_int_is_refused(self):
        for value in (None, "1", u"1", 1.0, True, False, [], {}):
            self.assertSays("projectId must be an int",
                            utils.checkValidProjectId, value)

    def test_zero_and_below_is_refused(self):
        for value in (0, -1, -2 ** 70):
            self.assertSays("projectId must be greater than 0",
                            utils.checkValidProjectId, value)

    def test_ints_above_zero_pass(self):
        for value in (1, 7, 2 ** 40, 2 ** 70):
            self.assertIsNone(utils.checkValidProjectId(value))

    @given(st.integers())
    def test_an_int_passes_exactly_if_it_is_above_zero(self, value):
        try:
            utils.checkValidProjectId(value)
        except ValueError:
            self.assertLessEqual(value, 0)
        else:
            self.assertGreater(value, 0)


class StringTest(support.TestCase):
    CHECKS = [("token", utils.checkValidProjectToken),
              ("deviceId", utils.checkValidDeviceId),
              ("columns", utils.checkValidSeriesName)]

    def test_what_is_no_string_is_refused(self):
        for name, check in self.CHECKS:
            for value in NO_STRINGS:
                self.assertSays(name + " must be a string", check, value)

    def test_bytes_are_no_string_on_3(self):
        for name, check in self.CHECKS:
            if compat.PY2:
                self.assertIsNone(check(b"abc"))
            else:
                self.assertSays(name + " must be a string", check, b"abc")

    def test_empty_strings_are_refused(self):
        for name, check in self.CHECKS:
            for value in ("", u""):
                self.assertSays(name + " must be more than 0 characters",
                                check, value)

    def test_str_and_unicode_pass(self):
        for _, check in self.CHECKS:
            self.assertIsNone(check("abc"))
            self.assertIsNone(check(u"abc"))


class DeviceIdTest(support.TestCase):
    CHARSET = "deviceId can only include a-z, A-Z, 0-9, _, :, and -"

    def test_other_characters_are_refused(self):
        for value in ("a b", "a.b", "a/b", "a\n", "\na", u"é", u"٣",
                      "a\x00", "device id", "a,b", " a", "+", "a%20"):
            self.assertSays(self.CHARSET, utils.checkValidDeviceId, value)

    def test_all_allowed_characters_pass(self):
        utils.checkValidDeviceId("azAZ09_:-")
        for value in "azAZ09_:-":
            utils.checkValidDeviceId(value)

    def test_a_trailing_newline_is_refused(self):
        self.assertSays(self.CHARSET, utils.checkValidDeviceId, "dev\n")

    def test_256_characters_pass_and_257_do_not(self):
        utils.checkValidDeviceId("a" * 256)
        with self.assertRaisesRegex(ValueError, "at most 256 characters"):
            utils.checkValidDeviceId("a" * 257)

    def test_words_of_the_api_are_refused(self):
        for word in ("all", "timestamp"):
            with self.assertRaisesRegex(ValueError, "'{}'".format(word)):
                utils.checkValidDeviceId(word)
        utils.checkValidDeviceId("ALL")
        utils.checkValidDeviceId("timestamps")

    @given(st.text(min_size=1, max_size=40))
    def test_any_text_passes_exactly_if_all_of_it_is_in_the_set(self, value):
        allowed = frozenset("abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:-")
        try:
            utils.checkValidDeviceId(value)
        except ValueError:
            self.assertFalse(allowed.issuperset(value)
                             and value not in ("all", "timestamp"))
        else:
            self.assertTrue(allowed.issuperset(value))


class SeriesNameTest(support.TestCase):
    def test_reserved_names_are_refused_whatever_the_case(self):
        for name in ("time", "TIME", "Time", "time_offset", "Time_Offset",
                     "all", "ALL", "aLL", u"time"):
            self.assertSays("'{}' is a reserved column name".format(name),
                            utils.checkValidSeriesName, name)

    def test_names_that_contain_reserved_ones_pass(self):
        for name in ("times", "timestamp", "time_", "overall", "time offset"):
            utils.checkValidSeriesName(name)

    def test_control_characters_are_refused(self):
        for name in ("a\nb", "a\n", "\ta", "a\x00", u"a\x7f", u"a\x85b"):
            with self.assertRaisesRegex(ValueError, "control characters"):
                utils.checkValidSeriesName(name)

    def test_other_scripts_pass(self):
        with self.warnings(count=0):
            for name in (u"température", u"温度", u"\U0001f321", "a-b.c:d"):
                utils.checkValidSeriesName(name)

    def test_white_space_around_and_slashes_pass_with_one_warning(self):
        for name in (" spaced for test_utils", "spaced for test_utils ",
                     "slashed/for/test_utils"):
            with self.warnings(count=1) as messages:
                utils.checkValidSeriesName(name)
                utils.checkValidSeriesName(name)
            self.assertIn(repr(name), messages[0])

    def test_a_lone_surrogate_is_refused(self):
        with self.assertRaisesRegex(ValueError, "surrogate"):
            utils.checkValidSeriesName(u"a\ud800")
        utils.checkValidSeriesName(u"a\U0001f600")

    def test_str_that_is_not_utf8_is_refused_on_2(self):
        if not compat.PY2:
            self.skipTest("bytes are no string on Python 3")
        with self.assertRaisesRegex(ValueError, "not valid UTF-8"):
            utils.checkValidSeriesName(b"a\xff")

    @given(st.text(min_size=1, max_size=20))
    def test_what_passes_can_travel(self, name):
        try:
            utils.checkValidSeriesName(name)
        except ValueError:
            return
        self.assertEqual(
            name, json.loads(json.dumps(name).encode("utf-8").decode("utf-8")))
        self.assertNotIn(name.lower(), ("time", "time_offset", "all"))


class ExpiredTokenTest(support.TestCase):
    def test_the_constant_is_one_day_in_milliseconds(self):
        self.assertEqual(DAY * 1000, utils.EXPIRY_FUDGE)

    def test_a_token_counts_as_expired_from_one_day_before(self):
        token = makeToken({"exp": 1449234660})
        for moment, expired in ((1449234660 - DAY - 1, False),
                                (1449234660 - DAY - 0.001, False),
                                (1449234660 - DAY, True),
                                (1449234660, True), (1449234660 + 1, True),
                                (0, False)):
            with at(moment):
                self.assertIs(expired, utils.isExpiredToken(token), moment)

    def test_the_clock_is_read_through_the_module(self):
        token = makeToken({"exp": 1449234660})
        with mock.patch.object(utils, "time") as time:
            time.time.return_value = 0
            self.assertFalse(utils.isExpiredToken(token))
            time.time.return_value = 2000000000
            self.assertTrue(utils.isExpiredToken(token))

    def test_a_token_without_exp_never_expires(self):
        with at(2 ** 40):
            self.assertFalse(utils.isExpiredToken(makeToken({"pid": 1})))

    def test_every_sample_shape_is_read_in_every_spelling(self):
        for kid, claims in SAMPLES:
            for spelling in SPELLINGS:
                token = makeToken(claims, {"typ": "JWT", "alg": "HS256",
                                           "kid": kid}, **spelling)
                self.assertEqual(claims, utils.readToken(token))
                with at(claims["exp"] - DAY):
                    self.assertTrue(utils.isExpiredToken(token))
                with at(claims["exp"] - DAY - 1):
                    self.assertFalse(utils.isExpiredToken(token))

    def test_the_standard_alphabet_is_read(self):
        # both spellings of the two characters that differ
        claims = {"exp": 1449234660, "n": u"~~~???>>>"}
        token = makeToken(claims, {"kid": 10}, padded=True, standard=True)
        self.assertRegex(token.split(".")[1], "[+/]")
        self.assertEqual(claims, utils.readToken(token))
        token = makeToken(claims, {"kid": 10})
        self.assertRegex(token.split(".")[1], "[-_]")
        self.assertEqual(claims, utils.readToken(token))

    def test_any_header_will_do(self):
        claims = {"exp": 1449234660, "pid": 7}
        for header in ({"typ": "JWT", "alg": "HS256"},
                       {"typ": "JWT", "alg": "HS256", "kid": "ten"},
                       {"typ": "JWT", "alg": "HS256", "kid": 10},
                       {"typ": "JWT", "alg": "RS256"}, {"alg": "none"},
                       {"alg": "HS256", "crit": ["exp"]}, {"kid": None}):
            self.assertEqual(claims, utils.readToken(makeToken(claims, header)))

    def test_claims_that_could_be_verified_are_not(self):
        claims = {"exp": 1, "aud": "someone", "nbf": 2 ** 40, "iat": "soon",
                  "iss": 5, "sub": 7, "jti": 9}
        self.assertEqual(claims, utils.readToken(makeToken(claims)))

    def test_white_space_around_is_ignored(self):
        token = makeToken({"exp": 5})
        for spaced in (" " + token, token + "\n", u"\t{} \r\n".format(token)):
            self.assertEqual({"exp": 5}, utils.readToken(spaced))

    def test_unicode_tokens_are_read(self):
        self.assertEqual({"exp": 5}, utils.readToken(
            u"" + makeToken({"exp": 5}, {"kid": 1}, padded=True)))

    def test_no_string_and_empty_are_named(self):
        for value in NO_STRINGS:
            self.assertSays("token must be a string", utils.isExpiredToken,
                            value)
        self.assertSays("token must be more than 0 characters",
                        utils.isExpiredToken, "")

    def test_garbage_is_no_token(self):
        payload = support.segment({"exp": 5})
        for token in ("dummy", "a.b", "a.b.c", "...", "..", " ", "\n", "a.b.c.d",
                      "a.e30=.c.d", u"é.é.é", payload, payload * 2,
                      "." + payload, "a.{}".format(payload),
                      "a.{}.c.d".format(payload)):
            self.assertSays("invalid jwt token", utils.isExpiredToken, token)

    def test_a_payload_that_is_no_object_is_no_token(self):
        for claims in ([], [1], "text", 5, None, True):
            for header in (None, {"kid": 1}):
                self.assertSays("invalid jwt token", utils.readToken,
                                makeToken(claims, header))

    def test_exp_must_be_a_number(self):
        for exp in ("1449234660", "soon", [], {}, True, False, None,
                    float("nan"), float("inf"), -float("inf"), 10 ** 400):
            for header in (None, {"kid": 1}):
                self.assertSays("invalid jwt token", utils.readToken,
                                makeToken({"exp": exp}, header))

    def test_exp_may_be_a_fraction(self):
        with at(1449234660 - DAY):
            self.assertFalse(utils.isExpiredToken(
                makeToken({"exp": 1449234660.5})))

    def test_the_message_never_holds_the_token(self):
        with self.assertRaises(ValueError) as caught:
            utils.readToken("secretsecretsecret")
        self.assertNotIn("secret", str(caught.exception))

    @given(st.text(max_size=60))
    def test_any_text_is_read_or_refused(self, text):
        try:
            found = utils.readToken(text)
        except ValueError:
            return
        self.assertIsInstance(found, dict)

    @given(st.dictionaries(st.text(max_size=5), st.integers() | st.text()),
           st.integers(min_value=0, max_value=2 ** 40), st.booleans(),
           st.booleans(), st.integers() | st.text(max_size=5) | st.none())
    def test_any_claims_come_back(self, claims, exp, padded, standard, kid):
        claims = dict(claims, exp=exp)
        for name in ("iat", "nbf"):  # PyJWT of old looks at them for form
            claims.pop(name, None)
        token = makeToken(claims, {"typ": "JWT", "alg": "HS256", "kid": kid},
                          padded=padded, standard=standard)
        self.assertEqual(claims, utils.readToken(token))


class SmallThingsTest(support.TestCase):
    def test_the_logger_is_the_librarys_and_has_no_level(self):
        self.assertIs(logging.getLogger("iobeam"), utils.getLogger())
        self.assertEqual(logging.NOTSET, utils.getLogger().level)
        self.assertTrue(any(isinstance(handler, logging.NullHandler)
                            for handler in utils.getLogger().handlers))

    def test_the_version_of_python_is_told(self):
        self.assertIs(not compat.PY2, utils.IS_PY3)

    def test_the_module_time_can_be_patched_here(self):
        import time
        self.assertIs(time, utils.time)

    def test_long_values_are_cut(self):
        self.assertEqual("'abc'", utils.shorten("abc"))
        shown = utils.shorten("a" * 1000)
        self.assertEqual(80, len(shown))
        self.assertTrue(shown.endswith("..."))

    def test_no_value_breaks_the_message_that_shows_it(self):
        class Broken(object):
            def __repr__(self):
                raise RuntimeError("no")

        for value, shown in ((10 ** 5000, "an int of 16610 bits"),
                             (-10 ** 5000, "an int of 16610 bits"),
                             (Broken(), "<Broken without a repr>"),
                             ([Broken()], "<list without a repr>"),
                             (10 ** 25, repr(10 ** 25))):
            self.assertEqual(shown, utils.shorten(value))
        self.assertLessEqual(len(utils.shorten([10 ** 5000])), 80)
