# -*- coding: utf-8 -*-
from __future__ import absolute_import

import gc
import os
import threading

from iobeam import iobeam, testing
from iobeam.http import request
from tests import support
from tests.support import (FakeRequester, FakeResponse, OneRequestRequester,
                           RichResponse, makeToken, mock, refusal, validToken)

TOKEN = validToken(1)


def bad(row):
    """Refuse every request that holds this value in column a."""
    def answer(req):
        for found in req.body["sources"]["data"]:
            if found[1] == row:
                return refusal(400, 3, "bad row")
        return FakeResponse(200)
    return answer


class ClientTest(support.TestCase):
    Requester = FakeRequester

    def client(self, *script, **options):
        deviceId = options.pop("deviceId", "dev")
        self.requester = self.Requester(*script, **options)
        client = iobeam._Client(None, 1, TOKEN, self.requester, deviceId)
        self.addCleanup(self.leave, client)
        return client

    def leave(self, client):
        for store in client._batches:
            store.clear()
        client.close()

    def tables(self):
        """(device, fields, rows) of the import requests."""
        return [(sent.body["device_id"], sent.body["sources"]["fields"],
                 sent.body["sources"]["data"])
                for sent in self.requester.requests if sent.path == "imports"]

    def failure(self, client, kind=request.SendError):
        with self.assertRaises(kind) as caught:
            client.send()
        self.assertIsInstance(caught.exception, request.SendError)
        self.assertRegex(str(caught.exception),
                         "^send failed. server sent: ")
        return caught.exception


class DeviceTest(ClientTest):
    def test_registering_again_does_nothing_for_the_same_device(self):
        client = self.client()
        client._checkToken = None  # not even that
        client.registerDevice()
        client.registerDevice("dev")
        client.registerDevice("dev", "name", True)
        self.assertEqual([], self.requester.requests)

    def test_another_id_is_registered(self):
        client = self.client(FakeResponse(201, {"device_id": "other"}))
        client.registerDevice("other", deviceName="n")
        self.assertEqual("other", client.getDeviceId())

    def test_a_failed_registration_leaves_the_device(self):
        for answer, kind in ((refusal(422, 150), request.DuplicateIdError),
                             (refusal(403, 1), request.UnauthorizedError),
                             (FakeResponse(500), request.UnknownCodeError)):
            client = self.client(answer)
            self.assertRaises(kind, client.registerDevice, "other")
            self.assertEqual("dev", client.getDeviceId())

    def test_without_a_device_send_names_the_way_out(self):
        client = self.client(deviceId=None)
        client.createDataStore(["a"]).add(1, {"a": 1})
        for call in (client.send, client.send):
            with self.assertRaisesRegex(request.Error,
                                        "no device id.*registerDevice"):
                call()
        client.setDeviceId("late")
        self.assertTrue(client.send())
        self.assertEqual("late", self.tables()[0][0])

    def test_rows_belong_to_the_device_of_their_time(self):
        client = self.client(deviceId=None)
        store = client.createDataStore(["a"])
        for deviceId in (None, "one", "two", "one"):
            if deviceId:
                client.setDeviceId(deviceId)
            store.add(1, {"a": deviceId})
            client.addDataPoint("p", iobeam.DataPoint(1, len(store)))
        client.send()
        found = [(device, fields[1], len(rows))
                 for device, fields, rows in self.tables()]
        self.assertEqual([("one", 3), ("two", 1)],
                         [(device, rows) for device, name, rows in found
                          if name == "a"])
        self.assertEqual([("one", 3), ("two", 1)],
                         [(device, rows) for device, name, rows in found
                          if name == "p"])

    def test_its_repr_names_project_and_device_and_no_token(self):
        shown = repr(self.client())
        self.assertIn("1", shown)
        self.assertIn("dev", shown)
        self.assertNotIn(TOKEN, shown)


class StoresTest(ClientTest):
    def test_the_same_columns_give_the_tracked_store(self):
        client = self.client()
        store = client.createDataStore(["a", u"é"])
        self.assertIs(store, client.createDataStore([u"é", "a"]))
        self.assertIs(store, client.createDataStore((u"é", "a")))
        self.assertIsNot(store, client.createDataStore(["a"]))

    def test_bad_columns_are_refused(self):
        client = self.client()
        for columns in (None, []):
            self.assertSays("columns cannot be None or empty",
                            client.createDataStore, columns)
        self.assertSays("columns must be a list of strings",
                        client.createDataStore, "a")
        self.assertSays("'All' is a reserved column name",
                        client.createDataStore, ["All"])
        self.assertRaises(ValueError, client.createDataStore, ["a", []])

    def test_a_store_of_the_programs_own_is_sent(self):
        client = self.client()
        store = iobeam.DataStore(["a"])
        store.add(1, {"a": 1})
        client.addDataStore(store)
        client.addDataStore(store)
        self.assertEqual([store], client._batches)
        self.assertTrue(client.send())
        self.assertEqual([("dev", ["time", "a"], [[1000, 1]])], self.tables())

    def test_none_is_a_warning_and_other_types_are_refused(self):
        client = self.client()
        with self.warnings(count=1):
            client.addDataStore(None)
        for value in (5, "a", [], iobeam.DataSeries("a", [])):
            self.assertRaises(ValueError, client.addDataStore, value)
        self.assertEqual([], client._batches)

    def test_a_store_has_one_open_client(self):
        one, other = self.client(), self.client()
        store = one.createDataStore(["a"])
        self.assertRaises(ValueError, other.addDataStore, store)
        one.close()
        other.addDataStore(store)

    def test_a_collected_client_lets_its_stores_go(self):
        client = iobeam._Client(None, 1, TOKEN, FakeRequester(), "dev")
        store = client.createDataStore(["a"])
        del client
        gc.collect()
        self.client().addDataStore(store)


class PointsTest(ClientTest):
    def test_bad_names_are_refused(self):
        client = self.client()
        point = iobeam.DataPoint(1)
        for name in (None, 5):
            self.assertSays("columns must be a string", client.addDataPoint,
                            name, point)
        self.assertSays("columns must be more than 0 characters",
                        client.addDataPoint, "", point)
        self.assertSays("'time' is a reserved column name",
                        client.addDataPoint, "time", point)
        self.assertRaises(ValueError, client.addDataPoint, "a\n", point)
        self.assertEqual({}, client._dataset)

    def test_what_is_no_point_is_a_warning(self):
        client = self.client()
        for value in (None, 5, "x", {}):
            with self.warnings(count=1):
                client.addDataPoint("a", value)
        self.assertEqual({}, client._dataset)

    def test_what_is_no_series_is_refused(self):
        client = self.client()
        for value in (None, 5, "x", [], iobeam.DataPoint(1)):
            self.assertRaises(ValueError, client.addDataSeries, value)

    def test_an_empty_series_is_a_warning(self):
        client = self.client()
        for series in (iobeam.DataSeries("a", []),
                       iobeam.DataSeries(u"é", None)):
            with self.warnings(count=1):
                client.addDataSeries(series)
        self.assertEqual({}, client._dataset)

    def test_points_go_out_as_tables_in_their_order(self):
        client = self.client()
        client.addDataSeries(iobeam.DataSeries("b", [
            iobeam.DataPoint(value, 9 - value) for value in range(3)]))
        client.addDataPoint("a", iobeam.DataPoint(True, 5))
        client.addDataPoint("b", iobeam.DataPoint(0, 9))
        self.assertEqual(4, client.pending())
        self.assertTrue(client.send())
        self.assertEqual([
            ("dev", ["time", "b"], [[9000, 0], [8000, 1], [7000, 2]]),
            ("dev", ["time", "a"], [[5000, True]])], self.tables())
        self.assertEqual({}, client._dataset)
        self.assertEqual(0, client.pending())

    def test_points_survive_a_failed_send(self):
        client = self.client(FakeResponse(500))
        client.addDataPoint("a", iobeam.DataPoint(1, 5))
        self.failure(client)
        client.addDataPoint("a", iobeam.DataPoint(2, 4))
        self.assertEqual(2, client.pending())
        self.assertTrue(client.send())
        self.assertEqual([[5000, 1], [4000, 2]],
                         sum([rows for _, _, rows in self.tables()[1:]], []))

    def test_clearing_a_series_drops_what_is_pending(self):
        client = self.client(FakeResponse(500))
        client.addDataPoint("a", iobeam.DataPoint(1, 5))
        client.addDataPoint("b", iobeam.DataPoint(1, 5))
        self.failure(client)
        client.addDataPoint("a", iobeam.DataPoint(2, 6))
        client.clearSeries("a")
        client.clearSeries("unknown")
        self.assertEqual(1, client.pending())

    def test_nan_goes_out_as_null(self):
        client = self.client()
        client.addDataPoint("a", iobeam.DataPoint(float("nan"), 5))
        with self.warnings(count=1):
            client.send()
        self.assertEqual([[5000, None]], self.tables()[0][2])


class SendTest(ClientTest):
    def filled(self, rows, *script, **options):
        client = self.client(*script, **options)
        self.store = client.createDataStore(["a"])
        self.store.addRows((k, {"a": k}) for k in range(rows))
        return client

    def sent(self):
        return [row[1] for _, _, rows in self.tables() for row in rows]

    def test_nothing_to_send_is_true_without_a_request(self):
        self.assertIs(True, self.client().send())
        self.assertEqual([], self.requester.requests)

    def test_what_was_accepted_is_gone(self):
        client = self.filled(3)
        self.assertIs(True, client.send())
        self.assertEqual(0, len(self.store))
        self.assertTrue(client.send())
        self.assertEqual([0, 1, 2], self.sent())

    def test_a_request_holds_at_most_1000_values(self):
        client = self.filled(2001)
        client.send()
        self.assertEqual([1000, 1000, 1],
                         [len(rows) for _, _, rows in self.tables()])
        self.assertEqual(list(range(2001)), self.sent())

    def test_every_good_answer_is_success(self):
        for answer in (FakeResponse(200), FakeResponse(201), FakeResponse(204),
                       FakeResponse(200, {"errors": []}), RichResponse(200)):
            self.assertIs(True, self.filled(1, answer).send())

    def test_other_answers_keep_the_rows(self):
        for answer in (FakeResponse(500), FakeResponse(302), FakeResponse(400),
                       FakeResponse(413), FakeResponse(422, {"message": "m"}),
                       RichResponse(200, text=u"<html>portal</html>"),
                       FakeResponse(200, {"errors": [{"code": 1}]}),
                       lambda req: None):
            client = self.filled(3, default=answer)
            error = self.failure(client)
            self.assertEqual((0, 3, []), (error.accepted, error.pending,
                                          error.rejected))
            self.assertEqual(3, len(self.store))
            self.assertIn(str(getattr(answer, "status_code", None)),
                          str(error))
            self.assertEqual(getattr(answer, "status_code", None),
                             error.statusCode)

    def test_what_was_accepted_before_a_failure_is_gone(self):
        client = self.filled(2500, FakeResponse(200), FakeResponse(500))
        error = self.failure(client)
        self.assertEqual((1000, 1500), (error.accepted, error.pending))
        self.assertTrue(client.send())
        self.assertEqual(1500, len(self.sent()) - 2000)

    def test_no_answer_is_also_its_cause(self):
        for kind in (request.ConnectionError, request.TimeoutError):
            error = self.failure(self.filled(1, kind("gone")), kind)
            self.assertIsInstance(error, request.Error)
            self.assertEqual(1, error.pending)
            self.assertIn("gone", str(error))

    def test_a_foreign_exception_passes_and_the_lock_is_free(self):
        client = self.filled(1, KeyError("mine"))
        self.assertRaises(KeyError, client.send)
        self.assertTrue(client.send())

    def test_refused_rows_are_handed_over_and_the_others_go(self):
        for wrong in (0, 3, 9):
            client = self.filled(10, default=bad(wrong))
            with self.warnings(count=1):
                error = self.failure(client)
            self.assertEqual((9, 0), (error.accepted, error.pending))
            row, = error.rejected
            self.assertEqual((1, "dev", {"time": wrong * 1000, "a": wrong},
                              400), row[:4])
            self.assertEqual("bad row", row.apiErrors[0]["message"])
            self.assertEqual([row], client.rejected())
            self.assertTrue(client.send())

    def test_a_named_row_is_taken_out_at_once(self):
        client = self.filled(5, refusal(422, 3, row=2), FakeResponse(200))
        with self.warnings(count=1):
            error = self.failure(client)
        self.assertEqual([2], [row.row["a"] for row in error.rejected])
        self.assertEqual([[0, 1, 2, 3, 4], [0, 1, 3, 4]], [
            [row[1] for row in rows] for _, _, rows in self.tables()])

    def test_an_unauthorized_device_is_an_unauthorized_error(self):
        for status in (401, 403):
            client = self.filled(2, default=FakeResponse(status))
            with self.warnings(count=1):  # the refresh is refused as well
                error = self.failure(client, request.UnauthorizedError)
            self.assertEqual(status, error.statusCode)
            self.assertEqual(2, error.pending)

    def test_after_a_401_the_token_is_renewed_once(self):
        new = validToken(1, uid=5)
        client = self.filled(1, FakeResponse(401),
                             FakeResponse(200, {"token": new}),
                             FakeResponse(200))
        self.assertTrue(client.send())
        self.assertEqual(new, client.projectToken)
        self.assertEqual("Bearer " + new, self.requester.requests[-1].headers[
            "Authorization"])

    def test_the_token_is_checked_at_send(self):
        client = self.filled(1)
        client._checkToken = mock.Mock()
        client.send()
        client._checkToken.assert_called_once_with()

    def test_an_expired_token_without_answer_is_a_send_error(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        self.requester = FakeRequester(request.TimeoutError("t"))
        client = iobeam._Client(None, 1, old, self.requester, "dev")
        self.addCleanup(self.leave, client)
        client.createDataStore(["a"]).add(1, {"a": 1})
        self.assertEqual(1, self.failure(client, request.TimeoutError).pending)

    def test_no_error_holds_the_token(self):
        for answer in (FakeResponse(403, {"message": TOKEN}),
                       FakeResponse(500, {"errors": [{"message": TOKEN}]})):
            client = self.filled(1, answer, default=FakeResponse(401))
            with self.warnings() as messages:
                error = self.failure(client)
            for shown in [str(error), repr(error.apiErrors), repr(error)] + \
                    messages:
                self.assertNotIn(TOKEN, shown)

    def test_rows_added_meanwhile_go_with_the_next_call(self):
        client = self.filled(1, lambda req: self.store.add(9, {"a": 9})
                             or FakeResponse(200))
        self.assertTrue(client.send())
        self.assertEqual([0], self.sent())
        self.assertEqual(1, client.pending())
        client.send()
        self.assertEqual([0, 9], self.sent())

    def test_two_threads_send_each_row_once(self):
        client = self.filled(3000)
        threads = [threading.Thread(target=client.send) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(list(range(3000)), self.sent())

    def test_progress_is_told_after_each_request(self):
        client = self.filled(2500)
        told = []
        client.send(progress=lambda *counts: told.append(counts))
        self.assertEqual([(1000, 2500), (2000, 2500), (2500, 2500)], told)

    def test_an_exception_of_progress_passes_with_accepted_rows_gone(self):
        client = self.filled(2500)

        def stop(accepted, total):
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, client.send, progress=stop)
        self.assertEqual(1500, len(self.store))
        self.assertTrue(client.send())
        self.assertEqual(list(range(2500)), self.sent())

    def test_send_within_progress_is_an_error(self):
        client = self.filled(1)
        with self.assertRaisesRegex(request.Error, "progress"):
            client.send(progress=lambda *_: client.send())

    def test_bad_arguments_are_refused(self):
        client = self.filled(1)
        for value in (0, -1, "5", True, float("nan")):
            self.assertRaises(ValueError, client.send, value)
        self.assertRaises(ValueError, client.send, progress=5)
        self.assertEqual([], self.requester.requests)

    def test_counters_tell_what_happened(self):
        client = self.filled(3, FakeResponse(500))
        self.failure(client)
        client.send()
        stats = client.stats()
        self.assertEqual((3, 3, 0, 0, 0, 0), tuple(stats[name] for name in (
            "added", "accepted", "pending", "rejected", "dropped",
            "refreshes")))
        self.assertRegex(stats["lastError"], "^send failed")

    def test_the_backends_limit_is_learnt(self):
        client = self.filled(3500, RichResponse(
            200, {}, {"Iobeam-Max-Values": "2000"}))
        client.send()
        self.assertEqual([1000, 2000, 500],
                         [len(rows) for _, _, rows in self.tables()])

    def test_a_wrong_clock_is_told_once(self):
        answer = RichResponse(200, {}, {
            "Date": "Tue, 01 Jan 2030 00:00:00 GMT"})
        with mock.patch("iobeam.utils.utils.time.time",
                        return_value=1893456000 - 600.0):
            client = self.filled(1500, default=answer)
            with self.warnings(count=1):
                client.send()
        self.assertEqual(600, client.stats()["clockOffset"])


class SendThroughOneRequestTest(SendTest):
    """The same with a double that hands out one request for ever."""

    Requester = OneRequestRequester


class CloseTest(ClientTest):
    def test_rows_that_are_left_are_told(self):
        client = self.client()
        client.createDataStore(["a"]).add(1, {"a": 1})
        client.addDataPoint("b", iobeam.DataPoint(1))
        with self.warnings(count=1) as messages:
            client.close()
            client.close()
        self.assertIn("2 rows", messages[0])
        self.assertEqual([], self.requester.requests)

    def test_a_closed_client_takes_and_sends_nothing(self):
        client = self.client()
        client.close()
        for call in (client.send, client.flush,
                     lambda: client.createDataStore(["a"]),
                     lambda: client.addDataPoint("a", iobeam.DataPoint(1))):
            self.assertRaises(request.Error, call)

    def test_a_with_block_ends_with_send_and_close(self):
        with self.client() as client:
            client.createDataStore(["a"]).add(1, {"a": 1})
        self.assertEqual(1, len(self.tables()))
        self.assertRaises(request.Error, client.send)

    def test_after_an_exception_it_is_only_closed(self):
        with self.warnings(count=1), self.assertRaises(KeyError):
            with self.client() as client:
                client.createDataStore(["a"]).add(1, {"a": 1})
                raise KeyError("mine")
        self.assertEqual([], self.requester.requests)

    def test_flush_needs_a_buffer(self):
        with self.assertRaisesRegex(request.Error, "bufferToDisk"):
            self.client().flush()


class BufferTest(ClientTest):
    def test_what_was_flushed_is_sent_by_the_next_client(self):
        path = self.folder()
        for rows, script in ((2, [FakeResponse(500)]), (0, [])):
            self.requester = FakeRequester(*script)
            client = iobeam.ClientBuilder(1, TOKEN).setBackend(
                self.requester).setDeviceId("dev").bufferToDisk(path).build()
            if rows:
                store = client.createDataStore(["a"])
                store.addRows((k, {"a": k}) for k in range(rows))
                client.flush()
                self.assertEqual((0, 2), (len(store), client.pending()))
                self.assertEqual(2, self.failure(client).pending)
            else:
                self.assertTrue(client.send())
            client.close()
        self.assertEqual([("dev", ["time", "a"], [[0, 0], [1000, 1]])],
                         self.tables())
        self.assertTrue(os.path.exists(os.path.join(path,
                                                    "iobeam_buffer.db")))


class QueryTest(support.TestCase):
    def test_a_client_asks_with_its_own_token_and_backend(self):
        with testing.installed() as backend:
            client = iobeam.ClientBuilder(1, testing.makeToken(1)) \
                .setBackend("http://somewhere.else/v1/").setDeviceId("d").build()
            client.createDataStore(["a"]).add(5, {"a": 1})
            client.send()
            found = client.makeQuery(iobeam.QueryReq(1, "d", "a"))
            self.assertEqual([{"time": 5, "value": 1}],
                             found["result"][0]["data"])
            backend.fail(403)
            self.assertRaises(request.UnauthorizedError, client.makeQuery,
                              iobeam.QueryReq(1))
            client.close()
            with self.assertRaisesRegex(request.Error, "closed"):
                client.makeQuery(iobeam.QueryReq(1))


class StaticTest(support.TestCase):
    def test_a_query_goes_through_the_given_requester(self):
        requester = FakeRequester(default=FakeResponse(200, {"result": []}))
        qry = iobeam.QueryReq(1, "dev")
        self.assertEqual({"result": []}, iobeam.makeQuery("t", qry, requester))
        self.assertEqual({"result": []}, iobeam._Client.query(
            "t", qry, backend=requester))
        self.assertEqual(["exports/1/dev/all"] * 2,
                         [sent.path for sent in requester.requests])

    def test_a_refused_query_raises(self):
        for status, kind in ((401, request.UnauthorizedError),
                             (403, request.UnauthorizedError),
                             (404, request.UnknownCodeError),
                             (500, request.UnknownCodeError)):
            self.assertRaises(kind, iobeam.makeQuery, "t", iobeam.QueryReq(1),
                              FakeRequester(refusal(status, 1)))

    def test_a_bad_url_is_refused(self):
        self.assertRaises(ValueError, iobeam.makeQuery, "t",
                          iobeam.QueryReq(1), "test.com")
        self.assertRaises(ValueError, iobeam._Client.fetchToken, "u", 1,
                          backend="test.com")

    def test_a_device_token_is_for_the_device(self):
        requester = FakeRequester(default=FakeResponse(200, {"token": "new"}))
        options = {"read": True}
        self.assertEqual("new", iobeam.fetchDeviceToken(
            "user", 1, "dev", duration="5w", options=options,
            backend=requester))
        self.assertEqual({"project_id": 1, "device_id": "dev", "read": True,
                          "duration": "5w"}, requester.requests[0].params)
        self.assertEqual({"read": True}, options)

    def test_options_cannot_overwrite_named_arguments(self):
        for name in ("device_id", "project_id", "duration"):
            self.assertRaises(ValueError, iobeam.fetchDeviceToken, "user", 1,
                              "dev", None, {name: "x"}, FakeRequester())

    def test_bad_arguments_are_refused(self):
        self.assertSays("deviceId must be a string", iobeam.fetchDeviceToken,
                        "user", 1, None, backend=FakeRequester())
        self.assertSays("projectId must be an int", iobeam.fetchDeviceToken,
                        "user", None, "dev", backend=FakeRequester())
        for options in ([], "read", 5):
            self.assertRaises(ValueError, iobeam.fetchDeviceToken, "user", 1,
                              "dev", None, options, FakeRequester())
        with self.assertRaises(request.UnauthorizedError):
            iobeam.fetchDeviceToken(None, 1, "dev", backend=FakeRequester())
