# -*- coding: utf-8 -*-
"""One test for each bug that was found; each failed before its fix.

The name says what is right; the first line says what was wrong.
"""
from __future__ import absolute_import

import collections
import copy
import datetime
import pickle
import threading

from iobeam import errors, iobeam
from iobeam.endpoints import devices, imports, service, tokens
from iobeam.http import request
from iobeam.resources import data, query, values
from iobeam.utils import compat, utils
from tests import support
from tests.support import (FakeRequester, FakeResponse, OneRequestRequester,
                           RichResponse, makeToken, mock, refusal, validToken)


def client(requester, path=None):
    return iobeam._Client(path, 1, validToken(1), requester, "dev")


class ChecksTest(support.TestCase):
    def test_a_null_exp_is_no_number(self):
        # it passed for a token that never expires
        self.assertSays("invalid jwt token", utils.isExpiredToken,
                        makeToken({"pid": 1, "exp": None}))

    def test_an_odd_series_name_is_warned_about_once(self):
        # there was a warning for every point
        found = client(FakeRequester())
        with self.warnings(count=1):
            for k in range(3):
                found.addDataPoint("odd/for regressions",
                                   iobeam.DataPoint(k, k))
        found.clearSeries("odd/for regressions")

    def test_a_lock_can_be_waited_for_without_a_limit(self):
        # OverflowError on 3, and so at send() after setGiveUpAfter(1e12)
        for seconds in (1e12, float("inf")):
            self.assertTrue(compat.acquireWithin(threading.Lock(), seconds))


class ResourcesTest(support.TestCase):
    def test_a_defaultdict_is_checked_for_wrong_keys(self):
        # the default was stored in place of the value
        store = data.DataStore(["temp"])
        self.assertRaises(ValueError, store.add, 1,
                          collections.defaultdict(float, tmep=21.5))
        self.assertEqual([], store.rows())

    def test_columns_in_any_script_can_be_compared(self):
        # UnicodeEncodeError on 2.7
        self.assertTrue(data.DataStore([u"é"]).hasSameColumns([u"é"]))

    def test_a_series_in_any_script_has_a_text(self):
        # UnicodeEncodeError on 2.7
        self.assertIsInstance(str(data.DataSeries(u"é", [])), str)

    def test_one_name_in_two_encodings_is_one_column(self):
        # two columns of one name on 2.7
        self.assertRaises(ValueError, data.DataStore,
                          [u"é", u"é".encode("utf-8") if compat.PY2 else u"é"])

    def test_empty_columns_of_any_type_are_empty(self):
        # "must be a list of strings"
        self.assertSays("columns cannot be None or empty", data.DataStore,
                        set())

    def test_rows_that_are_none_are_a_value_error(self):
        # TypeError
        self.assertRaises(ValueError, data.DataStore(["a"]).addRows, None)

    def test_the_last_instant_of_the_calendar_is_converted_in_any_zone(self):
        # OverflowError
        class West(datetime.tzinfo):
            def utcoffset(self, _):
                return datetime.timedelta(hours=-1)

            def dst(self, _):
                return None

        moment = datetime.datetime.max.replace(tzinfo=West())
        self.assertEqual((2 ** 31, 999999), (
            min(2 ** 31, values.fromDatetime(moment)),
            values.fromDatetime(moment) % 1000000))

    def test_a_tzinfo_without_an_offset_means_local_time(self):
        # TypeError on 3, NotImplementedError on 2.7
        class Unknown(datetime.tzinfo):
            def utcoffset(self, _):
                return None

        moment = datetime.datetime(2016, 1, 1)
        self.assertEqual(values.fromDatetime(moment), values.fromDatetime(
            moment.replace(tzinfo=Unknown())))

    def test_a_subclass_of_str_becomes_a_plain_one(self):
        # it stayed one, and orjson refuses those
        class Name(compat.text):
            pass

        store = data.DataStore(["a"])
        store.add(1, {"a": Name(u"x")})
        self.assertIs(compat.text, type(store.rows()[0]["a"]))

    def test_a_range_reversed_within_one_millisecond_is_reversed(self):
        # the ends were compared after rounding
        self.assertRaises(ValueError, query.Query(
            1, timeUnit=data.TimeUnit.MICROSECONDS).inTimeRange, 1700, 1300)


    def test_a_store_can_be_copied_and_pickled(self):
        # TypeError: cannot pickle a lock
        client_ = client(FakeRequester())
        store = client_.createDataStore(["a", "b"])
        store.addRows([(1, {"a": 1}), (2, {"b": u"x"})])
        for made in (copy.copy(store), copy.deepcopy(store),
                     pickle.loads(pickle.dumps(store))):
            self.assertEqual(store.rows(), made.rows())
            made.add(3, {"a": 3})
            self.assertEqual(4, len(store))
            client(FakeRequester()).addDataStore(made)  # it is not tracked
        store.clear()


class BuilderTest(support.TestCase):
    def test_what_is_no_flag_session_or_name_is_refused_at_once(self):
        # True, an AttributeError in send(), and a 400 of the backend
        builder = iobeam.ClientBuilder(1, validToken(1))
        for setter, values_ in ((builder.compress, ("no", 0, None)),
                                (builder.setSession, ("x", object(), 5)),
                                (lambda name: builder.registerDevice("d", name),
                                 (5, [], True)),
                                (lambda name: builder.registerOrSetId("d", name),
                                 (5, [], True))):
            for value in values_:
                self.assertRaises(ValueError, setter, value)

    def test_what_is_no_backend_is_refused_at_build(self):
        # AttributeError at the first request
        for backend in (5, object(), [], FakeResponse(200)):
            builder = iobeam.ClientBuilder(1, validToken(1)).setBackend(backend)
            with self.assertRaisesRegex(ValueError, "URL or a requester"):
                builder.build()
            with self.assertRaisesRegex(ValueError, "URL or a requester"):
                iobeam.makeQuery("token", iobeam.QueryReq(1), backend)


class RequestsTest(support.TestCase):
    def test_a_mocked_header_is_none(self):
        # send() failed while it read the Date
        answer = mock.Mock(status_code=200)
        answer.json.return_value = {}
        found = client(FakeRequester(lambda req: answer))
        found.createDataStore(["a"]).add(1, {"a": 1})
        self.assertTrue(found.send())

    def test_an_error_code_in_any_script_is_another_code(self):
        # UnicodeEncodeError on 2.7
        with self.assertRaises(request.UnknownCodeError):
            devices.DeviceService("t", FakeRequester(
                refusal(422, u"é"))).registerDevice(1)
        with self.assertRaises(request.UnknownCodeError):
            tokens.TokenService(FakeRequester(
                refusal(422, u"é"))).refreshToken("t")

    def test_what_is_only_like_a_request_makes_an_error(self):
        # AttributeError
        alike = mock.Mock(spec=["getResponseCode", "getResponse"])
        alike.getResponseCode.return_value = 418
        self.assertEqual(418, errors.UnknownCodeError(alike).statusCode)

    def test_a_port_out_of_range_is_no_address(self):
        # it passed on 2.7
        self.assertRaises(ValueError, request.baseUrl,
                          "http://127.0.0.1:99999/v1/")

    def test_a_name_that_begins_with_127_is_another_machine(self):
        # no warning of plain http
        with self.warnings(count=1):
            request.baseUrl("http://127.0.0.1.regressions.example/v1/")

    def test_a_service_has_its_requester_at_once(self):
        # None until the first use
        self.assertIs(request.getRequester(),
                      service.EndpointService("t")._requester)

    def test_a_batch_of_no_store_is_a_value_error(self):
        # AttributeError
        self.assertRaises(ValueError, imports.ImportService(
            "t", FakeRequester()).importBatch, 1, "dev", [])

    def test_a_word_of_an_answer_is_shown_though_it_is_the_token(self):
        # "dummy" became "[token]" in every message
        req = FakeRequester(refusal(401, 1, "no dummy")).get("u")
        req.token("dummy").execute()
        self.assertIn("no dummy", req.describeAnswer())


class ClientTest(support.TestCase):
    def filled(self, *script):
        self.requester = OneRequestRequester(*script)
        found = client(self.requester)
        found.createDataStore(["a"]).add(1, {"a": 1})
        return found

    def test_a_refused_refresh_does_not_hide_the_refusal(self):
        # with a double that has one request for ever, the status was the
        # refresh's
        found = self.filled(FakeResponse(403, {"message": "not yours"}),
                            FakeResponse(401))
        with self.warnings(count=1), self.assertRaises(
                request.SendError) as caught:
            found.send()
        self.assertEqual(403, caught.exception.statusCode)
        self.assertIn("not yours", str(caught.exception))

    def test_a_device_that_is_assigned_is_used(self):
        # "no device id is set"
        requester = FakeRequester()
        found = iobeam._Client(None, 1, validToken(1), requester)
        found._activeDevice = iobeam.device.Device(1, "assigned")
        found.createDataStore(["a"]).add(1, {"a": 1})
        self.assertTrue(found.send())
        self.assertEqual("assigned", requester.requests[0].body["device_id"])

    def test_stores_that_are_put_into_the_list_are_sent(self):
        # they were never, or without a device
        for replace in (False, True):
            requester = FakeRequester()
            found = client(requester)
            store = iobeam.DataStore(["a"])
            store.add(1, {"a": 1})
            if replace:
                found._batches = [store]
            else:
                found._batches.append(store)
            self.assertTrue(found.send())
            self.assertEqual(1, len(requester.requests))

    def test_a_mocked_requester_can_be_saved_to_disk(self):
        # TypeError: its baseUrl went into the state file
        found = client(mock.MagicMock(), self.folder())
        self.assertEqual("dev", found.getDeviceId())

    def test_a_refresh_amid_a_send_that_gets_no_answer_is_a_send_error(self):
        # it was the bare network error, without counts
        found = self.filled(FakeResponse(401), request.TimeoutError("t"))
        with self.assertRaises(request.SendError) as caught:
            found.send()
        self.assertIsInstance(caught.exception, request.TimeoutError)
        self.assertEqual(1, caught.exception.pending)
        self.assertTrue(found.send())

    def test_one_row_is_not_sent_again_for_a_proxys_413(self):
        # it was, until the size could not be halved any more
        found = self.filled(RichResponse(413, text=u"<html>too large</html>"))
        self.assertRaises(request.SendError, found.send)
        self.assertEqual(1, len(self.requester.requests))
        self.assertTrue(found.send())

    def test_a_date_in_the_far_future_breaks_nothing(self):
        # ValueError or OverflowError out of send()
        found = self.filled(RichResponse(200, {}, {
            "Date": "Fri, 31 Dec 99999 23:59:59 GMT"}))
        self.assertTrue(found.send())
