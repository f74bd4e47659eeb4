"""What one send() does with rows, answers and failures, on real sockets."""
from __future__ import absolute_import

import copy
import pickle
import random
import threading
import time
import unittest

import requests

from iobeam import delivery, iobeam
from iobeam.http import request
from iobeam.outbox import RejectedRow
from iobeam.resources import rows
from tests import loopback, pace
from tests.support import TestCase, mock

NOW = "0"  # for Retry-After: repeat without a wait
BUSY = (0, 503, {"Retry-After": NOW}, "")


class DeliveryCase(TestCase):

    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)

    def build(self, device="dev", **given):
        """A client that stops at the first failure, unless told otherwise."""
        given.setdefault("retries", 0)
        batch = given.pop("batch", None)
        builder = loopback.builder(self.server, **given)
        if batch:
            builder.setBatchSize(batch)
        client = builder.setDeviceId(device).build()
        self.addCleanup(self.dispose, client)
        return client

    @staticmethod
    def dispose(client):
        client._batches[:] = []  # so that close() does not warn
        client._dataset.clear()
        client.close()

    def filled(self, count, columns=("a",), **given):
        """A client with a store of rows 0..count-1, their number as time."""
        client = self.build(**given)
        store = client.createDataStore(list(columns))
        self.fill(store, range(count))
        return client, store

    @staticmethod
    def fill(store, numbers):
        columns = store.columns()
        for number in numbers:
            store.add(number, dict.fromkeys(columns, number))

    def refused(self, client, **given):
        with self.assertRaises(request.SendError) as caught:
            client.send(**given)
        return caught.exception

    def arrived(self, device="dev"):
        """The numbers of the acknowledged rows, in order."""
        return [row.time // 1000 for row in self.server.acknowledged
                if row.deviceId == device]

    def sizes(self):
        """The number of rows of each import so far."""
        return [len(loopback.rowsOf(found.body))
                for found in self.server.imports()]


class AcceptanceTest(DeliveryCase):

    accepted = [
        (200, ""), (200, "{}"), (200, "null"), (200, "[]"), (200, '"ok"'),
        (200, "17"), (200, '{"errors": []}'), (200, '{"errors": null}'),
        (200, '{"result": 1}'), (201, ""), (201, "{}"), (204, None),
    ]
    neither = [
        (200, loopback.PAGE), (200, "ok"), (200, "{"), (200, "\xc3\x28"),
        (200, '{"errors": [{"code": 1}]}'), (200, '{"errors": ["bad"]}'),
        (200, '{"errors": {"code": 1}}'), (201, loopback.PAGE),
        (200, "[" * 100000), (202, "{}"), (203, "{}"), (205, ""), (206, "{}"),
        (301, ""), (302, "{}"), (303, ""), (304, ""), (307, ""), (308, ""),
        (400, ""), (400, "{}"), (400, loopback.PAGE), (400, '{"errors": []}'),
        (400, '[{"errors": [1]}]'), (401, ""), (403, ""), (404, ""),
        (405, ""), (409, '{"errors": [{"code": 1}]}'), (413, loopback.PAGE),
        (422, loopback.PAGE), (422, '{"message": "no"}'), (429, ""),
        (500, '{"errors": [{"code": 1}]}'), (502, ""), (503, ""), (504, ""),
        (418, ""),
    ]

    def answer(self, status, body):
        headers = {} if body is not None else {"Content-Length": None}
        self.server.script((0, status, headers, body or ""))

    def test_accepted(self):
        client, store = self.filled(0)
        for status, body in self.accepted:
            self.fill(store, [1])
            self.answer(status, body)
            self.assertIs(client.send(), True, (status, body))
            self.assertEqual((len(store), client.pending()), (0, 0))

    def test_neither_accepted_nor_refused(self):
        for status, body in self.neither:
            client, store = self.filled(1)
            # also after the refresh that a 401 calls for
            self.server.always((0, status, {}, body), path="imports")
            error = self.refused(client)
            self.server.always(None, path="imports")
            case = (status, (body or "")[:40])
            self.assertEqual((error.statusCode, error.accepted, error.pending,
                              error.rejected), (status, 0, 1, []), case)
            self.assertEqual(len(store), 1, case)
            self.assertTrue(str(error).startswith(
                "send failed. server sent: {}".format(status)), case)
            self.assertTrue(client.send())  # it was not harmed

    def test_refused(self):
        for status in (400, 413, 422):
            for body in ('{"errors": [{"code": 3}]}', '{"errors": ["bad"]}',
                         '{"errors": {"code": 3}}', '{"errors": "bad"}'):
                client, store = self.filled(1)
                self.answer(status, body)
                error = self.refused(client)
                self.assertEqual(
                    (error.statusCode, error.pending, len(error.rejected)),
                    (status, 0, 1), body)
                self.assertEqual(len(store), 0)

    def test_a_redirect_is_not_followed_and_its_target_named(self):
        client, _ = self.filled(1)
        self.server.script(loopback.step("redirect", location="/login"))
        self.assertIn("/login", str(self.refused(client)))
        self.assertEqual([found.path for found in self.server.requests],
                         ["imports"])

    def test_nothing_to_send(self):
        client, _ = self.filled(0)
        self.assertIs(client.send(), True)
        self.assertEqual(self.server.requests, [])

    def test_no_header_of_an_accepted_answer_brings_a_row_back(self):
        client, store = self.filled(0)
        for name, value in [
                ("Date", "Mon, 01 Jan 99999 00:00:00 GMT"), ("Date", "never"),
                ("Date", "Foo, 99 Bar 2016 99:99:99 GMT"), ("Date", "\xb2"),
                ("Date", "Mon, 00 Jan 0000 00:00:00 -9999"),
                ("Iobeam-Max-Values", "\xb2"), ("Iobeam-Max-Values", "-5"),
                ("Iobeam-Max-Values", "0"), ("Iobeam-Max-Values", "9" * 5000),
                ("Iobeam-Max-Values", "1e3"), ("Accept-Encoding", "\xff"),
                ("Set-Cookie", "\xff=;"), ("Location", "http://[")]:
            self.fill(store, [1])
            self.server.script(loopback.step("ok", headers={name: value}))
            self.assertTrue(client.send(), (name, value))
            self.assertEqual(client.pending(), 0)


class RefusalTest(DeliveryCase):

    def refuse(self, bad):
        bad = frozenset(bad)
        self.server.refusesRow = lambda row: row.time // 1000 in bad

    def test_exactly_the_bad_rows_are_refused(self):
        rng = random.Random(4)
        for count in (1, 2, 3, 7, 40, 64, 100):
            for named in (False, True):
                bad = rng.sample(range(count), min(count - 1, rng.choice(
                    [1, 1, 2, 3, 5])))
                del self.server.acknowledged[:], self.server.requests[:]
                self.refuse(bad)
                self.server.namesRow = named
                client, store = self.filled(count)
                if bad:
                    error = self.refused(client)
                    found = [one.row["time"] // 1000 for one in error.rejected]
                else:
                    found = client.send() and []
                case = (count, named, bad)
                self.assertEqual(found, sorted(bad), case)
                self.assertEqual(self.arrived(), [
                    n for n in range(count) if n not in bad], case)
                self.assertEqual((len(store), client.pending()), (0, 0))
                limit = (len(bad) + 1 if named else
                         2 * len(bad) * count.bit_length() + 1)
                self.assertLessEqual(len(self.server.imports()), limit, case)

    def test_everything_else_is_delivered_first(self):
        client, first = self.filled(2500)
        second = client.createDataStore(["b"])
        self.fill(second, range(5000, 5100))
        self.refuse([3, 1700])
        with self.warnings(1) as warned:
            error = self.refused(client)
        self.assertEqual((error.accepted, error.pending, error.statusCode),
                         (2598, 0, 400))
        self.assertIn("bad row", warned[0])
        self.assertEqual(error.apiErrors[0]["code"], 3)
        self.assertEqual(self.arrived(), [
            n for n in range(2500) if n not in (3, 1700)] +
            list(range(5000, 5100)))
        self.assertTrue(client.send())

    def test_refused_rows_are_handed_over(self):
        client, _ = self.filled(3, columns=("a", "b"))
        self.refuse([1])
        expected = RejectedRow(1, "dev", {"time": 1000, "a": 1, "b": 1},
                                      400, ({"code": 3, "message": "bad row"},))
        self.assertEqual(self.refused(client).rejected, [expected])
        self.assertEqual(client.rejected(), [expected])
        self.assertEqual(client.stats()["rejected"], 1)

    def test_the_client_remembers_the_last_10000(self):
        client, _ = self.filled(10050, columns=("a",), batch=20000)
        self.server.refusesRow = lambda row: True
        error = self.refused(client)
        self.assertEqual((len(error.rejected), error.pending), (10050, 0))
        kept = client.rejected()
        self.assertEqual(
            (len(kept), kept[0].row["a"], kept[-1].row["a"]),
            (10000, 50, 10049))

    def test_a_chunk_of_which_nothing_is_accepted_ends_after_24_requests(self):
        client, store = self.filled(1000)
        self.server.refusesRow = lambda row: True
        error = self.refused(client)
        self.assertEqual(len(self.server.imports()), 24)
        self.assertEqual((len(error.rejected), error.pending, len(store)),
                         (1000, 0, 0))

    def test_the_count_of_24_starts_anew_with_each_chunk(self):
        client, _ = self.filled(2500)
        self.refuse(range(0, 2000))
        error = self.refused(client)
        self.assertEqual((error.accepted, len(error.rejected)), (500, 2000))
        self.assertEqual(len(self.server.imports()), 49)

    def test_once_something_is_accepted_halving_goes_on(self):
        client, _ = self.filled(200)
        self.refuse(range(1, 200, 2))  # far more than 24 requests' worth
        error = self.refused(client)
        self.assertEqual(len(error.rejected), 100)
        self.assertEqual(self.arrived(), list(range(0, 200, 2)))

    def test_what_is_undecided_at_the_deadline_stays_pending(self):
        client, store = self.filled(256)
        self.refuse(range(1, 256, 2))
        plain = self.server._handle

        def handle(found):
            if len(self.server.requests) == 20:  # long before the end
                self.server.always("hang")
            return plain(found)

        self.server._handle = handle
        with pace.Stopwatch() as watch:
            error = self.refused(client, timeout=2)
        self.assertLess(watch.seconds, 3)
        self.assertIsInstance(error, request.TimeoutError)
        self.assertGreater(error.pending, 0)
        self.assertGreater(error.accepted, 0)
        self.assertEqual(
            error.pending + error.accepted + len(error.rejected), 256)
        self.server._handle = plain
        self.server.always(None)
        again = self.refused(client)
        found = [one.row["time"] // 1000 for one
                 in error.rejected + again.rejected]
        self.assertEqual(sorted(found), list(range(1, 256, 2)))
        self.assertEqual(sorted(set(self.arrived())), list(range(0, 256, 2)))

    def test_a_failure_amid_halving_leaves_the_undecided(self):
        client, store = self.filled(8)
        self.refuse([5])
        self.server.script(None, None, "reset")
        error = self.refused(client)
        self.assertEqual((error.accepted, error.pending), (4, 4))
        self.assertEqual(len(self.refused(client).rejected), 1)
        self.assertEqual(self.arrived(), [0, 1, 2, 3, 4, 6, 7])

    def test_odd_hints_are_no_hints(self):
        for row in (-1, 4, 10 ** 30, True, "2", 1.0, None, [1]):
            client, _ = self.filled(4)
            self.server.script((0, 400, {}, {"errors": [{"row": row}]}))
            self.assertTrue(client.send())  # halved, and then accepted
            self.assertEqual(self.sizes()[-3:], [4, 2, 2])

    def test_compressed_chunks_are_repeated_plain_first(self):
        self.server.refusesGzip = 400
        client = loopback.builder(self.server).compress(True) \
            .setDeviceId("dev").build()
        self.addCleanup(self.dispose, client)
        store = client.createDataStore(["a"])
        self.fill(store, range(900))
        self.assertTrue(client.send())
        self.assertEqual(
            [found.headers.get("Content-Encoding") for found
             in self.server.imports()], ["gzip", None])

    def test_one_warning_per_send(self):
        client, _ = self.filled(64)
        self.refuse(range(0, 64, 3))
        with self.warnings(1):
            self.refused(client)


class UnauthorizedTest(DeliveryCase):

    def test_one_refresh_and_one_repeat(self):
        for status in (401, 403):
            client, _ = self.filled(1)
            old = client.projectToken
            self.server.script((0, status, {}, ""), path="imports")
            self.assertTrue(client.send())
            sent = [found.headers["Authorization"] for found
                    in self.server.imports()[-2:]]
            self.assertEqual(sent[0], "Bearer " + old)
            self.assertEqual(sent[1], "Bearer " + client.projectToken)
            self.assertNotEqual(*sent)
            del self.server.requests[:]

    def test_token_expiry_in_mid_send(self):
        self.server.tokens = set()
        client, _ = self.filled(3000)
        self.server.tokens.add(client.projectToken)

        def progress(accepted, total):
            if accepted == 1000:
                self.server.tokens.clear()

        self.assertTrue(client.send(progress=progress))
        self.assertEqual(self.arrived(), list(range(3000)))
        self.assertEqual(len(self.server.of("tokens/project")), 1)
        self.assertEqual(client.stats()["refreshes"], 1)

    def test_still_refused_it_raises_after_one_repeat(self):
        for status in (401, 403):
            client, _ = self.filled(1)
            self.server.always((0, status, {}, {"errors": [{"code": 9}]}),
                               path="imports")
            error = self.refused(client)
            self.assertIsInstance(error, request.UnauthorizedError)
            self.assertEqual((error.statusCode, error.pending,
                              error.apiErrors), (status, 1, ({"code": 9},)))
            self.assertEqual([found.path for found in self.server.requests],
                             ["imports", "tokens/project", "imports"])
            del self.server.requests[:]

    def test_at_most_one_forced_refresh_in_ten_minutes(self):
        client, _ = self.filled(1)
        now = [1000.0]
        client._tokens._clock = lambda: now[0]
        self.server.always((0, 403, {}, ""), path="imports")
        for passed, refreshes in ((0, 1), (0, 1), (598, 1), (3, 2), (1, 2)):
            now[0] += passed
            self.refused(client)
            self.assertEqual(len(self.server.of("tokens/project")), refreshes)

    def test_a_refresh_that_brings_nothing_is_no_repeat(self):
        client, _ = self.filled(1)
        self.server.always((0, 401, {}, ""))
        error = self.refused(client)
        self.assertIsInstance(error, request.UnauthorizedError)
        self.assertEqual([found.path for found in self.server.requests],
                         ["imports", "tokens/project"])

    def test_a_refresh_without_answer_is_a_send_error(self):
        client, _ = self.filled(1)
        self.server.script((0, 401, {}, ""), path="imports")
        self.server.always("reset", path="tokens/project")
        error = self.refused(client)
        self.assertIsInstance(error, request.ConnectionError)
        self.assertIsInstance(error, requests.ConnectionError)
        self.assertEqual(error.pending, 1)

    def test_a_token_check_without_answer_is_a_send_error(self):
        client, _ = self.filled(
            1, token=loopback.makeToken(expiresIn=90000), read=0.3)
        client._tokens._token = loopback.makeToken(expiresIn=100)
        self.server.always("hang", path="tokens/project")
        error = self.refused(client)
        self.assertIsInstance(error, request.TimeoutError)
        self.assertIsInstance(error, requests.Timeout)
        self.assertEqual((error.pending, self.server.imports()), (1, []))


class UnknownDeviceTest(DeliveryCase):

    def setUp(self):
        DeliveryCase.setUp(self)
        self.server.knowsDevices = True

    def registered(self, **given):
        """A client whose device the backend has forgotten, with one row."""
        client = loopback.builder(self.server, retries=0) \
            .registerOrSetId("dev", "my name").build()
        self.addCleanup(self.dispose, client)
        store = client.createDataStore(["a"])
        self.fill(store, [1])
        self.server.devices.clear()
        del self.server.requests[:]
        return client

    def test_the_same_id_is_registered_once_and_the_chunk_repeated(self):
        client = self.registered()
        self.assertTrue(client.send())
        self.assertEqual(self.server.devices, {"dev": "my name"})
        self.assertEqual([found.path for found in self.server.requests],
                         ["imports", "devices", "imports"])

    def test_taken_meanwhile_counts_as_success(self):
        client = self.registered()
        self.server.devices["dev"] = "dev"
        self.server.script((0, 404, {}, {"errors": [{"code": 32}]}),
                           path="imports")
        self.assertTrue(client.send())
        self.assertEqual([found.path for found in self.server.requests],
                         ["imports", "devices", "imports"])

    def test_still_unknown_it_raises(self):
        client = self.registered()
        self.server.always((0, 404, {}, {"errors": [{"code": 32}]}),
                           path="imports")
        error = self.refused(client)
        self.assertEqual((error.statusCode, error.pending), (404, 1))
        self.assertEqual([found.path for found in self.server.requests],
                         ["imports", "devices", "imports"])

    def test_refused_registration_holds_the_device_only(self):
        client = self.registered()
        self.server.script((0, 422, {}, {"errors": [{"code": 151}]}),
                           path="devices")
        error = self.refused(client)
        self.assertEqual((error.statusCode, error.pending), (404, 1))

    def test_a_registration_without_answer_is_a_send_error(self):
        client = self.registered()
        self.server.script("reset", path="devices")
        error = self.refused(client)
        self.assertIsInstance(error, request.ConnectionError)
        self.assertEqual(error.pending, 1)

    def test_a_device_that_was_only_set_is_not_registered(self):
        client, _ = self.filled(1)
        error = self.refused(client)
        self.assertEqual((error.statusCode, error.pending), (404, 1))
        self.assertEqual(self.server.of("devices"), [])

    def test_another_404_registers_nothing(self):
        client = self.registered()
        self.server.script((0, 404, {}, ""))
        self.refused(client)
        self.assertEqual(self.server.of("devices"), [])


class ClearedTest(DeliveryCase):
    def test_a_store_cleared_amid_its_send_ends_it(self):
        client, store = self.filled(10)
        self.server.refusedValues = 5  # a proxy's 413

        def clear(parcel):
            store.clear()

        with mock.patch.object(client._outbox, "putBack", clear):
            self.assertTrue(client.send())
        self.assertEqual((client.pending(), self.arrived()), (0, []))


class RelayTest(DeliveryCase):

    def relay(self, *devices):
        """One row for each, the last device is the active one."""
        client = self.build(devices[0])
        self.store = client.createDataStore(["a"])
        for number, device in enumerate(devices):
            client.setDeviceId(device)
            self.fill(self.store, [number])
        return client

    def test_rows_belong_to_the_device_active_when_added(self):
        self.assertTrue(self.relay("x", "y", "x", "z").send())
        self.assertEqual([(row.deviceId, row.time) for row
                          in self.server.acknowledged],
                         [("x", 0), ("x", 2000), ("y", 1000), ("z", 3000)])

    def test_mixed_readings_of_many_devices_go_out_in_full_requests(self):
        devices = ["d{}".format(number % 50) for number in range(1000)]
        client = self.relay(*devices)
        self.assertTrue(client.send())
        self.assertEqual(len(self.server.imports()), 50)
        for number in range(50):
            self.assertEqual(self.arrived("d{}".format(number)),
                             list(range(number, 1000, 50)))

    def test_refused_rows_amid_mixed_ones_stand_alone(self):
        client = self.relay(*["x", "y"] * 40)
        self.server.refusesRow = lambda row: row.time // 1000 in (
            7, 30, 31, 79)
        self.assertEqual(sorted(row.row["a"] for row
                                in self.refused(client).rejected),
                         [7, 30, 31, 79])
        self.assertEqual(sorted(self.arrived("x") + self.arrived("y")),
                         [k for k in range(80) if k not in (7, 30, 31, 79)])

    def test_refused_rows_that_lie_in_blocks_amid_others(self):
        bad = (3, 16, 18, 60)
        with mock.patch.object(rows, "_BLOCK_VALUES", 2):
            client = self.relay(*["x", "x", "y"] * 25)
            self.server.refusesRow = lambda row: row.time // 1000 in bad
            error = self.refused(client)
        self.assertEqual(sorted(row.row["a"] for row in error.rejected),
                         list(bad))
        self.assertEqual((error.accepted, error.pending), (71, 0))
        # nothing of y was refused: its rows are not halved with x's
        self.assertEqual([len(loopback.rowsOf(found.body))
                          for found in self.server.imports()
                          if found.body["device_id"] == "y"], [25])

    def test_rows_from_before_belong_to_the_first_device(self):
        client = loopback.builder(self.server).build()
        self.addCleanup(self.dispose, client)
        store = client.createDataStore(["a"])
        self.fill(store, [0])
        client.addDataPoint("p", iobeam.DataPoint(7, 1))
        with self.assertRaisesRegex(request.Error, "no device id.*register"):
            client.send()
        client.setDeviceId("first")
        self.fill(store, [2])
        client.setDeviceId("second")
        self.fill(store, [3])
        self.assertTrue(client.send())
        self.assertEqual(self.arrived("first"), [0, 2, 1])
        self.assertEqual(self.arrived("second"), [3])

    def test_a_refused_device_holds_up_itself_only(self):
        for status in (401, 403, 404):
            del self.server.acknowledged[:]
            client = self.relay("x", "bad", "y", "bad", "z")
            self.server.unauthorized = {"bad": status}
            error = self.refused(client)
            self.assertEqual((error.statusCode, error.accepted, error.pending),
                             (status, 3, 2))
            self.assertEqual(isinstance(error, request.UnauthorizedError),
                             status != 404)
            self.assertEqual(
                [row.deviceId for row in self.server.acknowledged],
                ["x", "y", "z"])
            self.server.unauthorized = {}
            self.assertTrue(client.send())
            self.assertEqual(self.arrived("bad"), [1, 3])

    def test_of_several_refusals_the_first_is_raised(self):
        refused = ["d{}".format(number) for number in range(9)]
        client = self.relay(*refused)
        self.server.unauthorized = dict.fromkeys(refused, 404)
        self.server.unauthorized["d0"] = 403
        error = self.refused(client)
        self.assertEqual((error.statusCode, error.pending), (403, 9))

    def test_it_is_asked_once_per_send(self):
        client = self.relay("bad", "x", "bad", "x", "bad")
        self.server.unauthorized = {"bad": 404}
        self.refused(client)
        self.assertEqual([found.body["device_id"] for found
                          in self.server.imports()], ["bad", "x"])

    def test_other_devices_unknown_are_not_registered(self):
        client = loopback.builder(self.server).registerOrSetId("own").build()
        self.addCleanup(self.dispose, client)
        store = client.createDataStore(["a"])
        client.setDeviceId("other")
        self.fill(store, [0])
        client.setDeviceId("own")
        self.server.knowsDevices = True
        self.refused(client)
        self.assertEqual(sorted(self.server.devices), ["own"])


class DoubtTest(DeliveryCase):

    def test_what_may_have_arrived_is_counted(self):
        for step, doubtful in [
                ("reset", 1), ("close", 1), ("reset-amid", 1),
                ("half-headers", 1), ("half-body", 1), ("garbage", 1),
                ("html", 1), ("hang", 1), ("deaf", 1),
                ((0, 200, {"content-length": "7"}, "{}"), 1),  # two of them
                ((0, 502, {}, ""), 1), ((0, 504, {}, ""), 1),
                ((0, 500, {}, ""), 0), ((0, 503, {}, ""), 0),
                ((0, 429, {}, ""), 0), ((0, 400, {}, ""), 0),
                ((0, 302, {}, ""), 0)]:
            # only these are not to be waited for
            read = 0.3 if step in ("hang", "deaf") else 20
            client, _ = self.filled(1, read=read)
            self.server.script(step)
            self.assertEqual(self.refused(client).inDoubt, doubtful, step)

    def test_failed_connects_leave_no_doubt(self):
        client, _ = self.filled(3)
        self.server.refuse()
        self.assertEqual(self.refused(client).inDoubt, 0)

    def test_only_the_rows_of_the_attempt(self):
        client, store = self.filled(2500)
        self.server.script(None, "reset")
        error = self.refused(client)
        self.assertEqual((error.accepted, error.pending, error.inDoubt),
                         (1000, 1500, 1000))

    def test_doubt_stays_until_it_is_settled(self):
        client, store = self.filled(5)
        self.server.script("reset")
        self.refused(client)
        self.server.refuse()
        self.fill(store, [7])
        self.assertEqual(self.refused(client).inDoubt, 5)
        self.server.listen()
        self.server.script((0, 503, {}, ""))
        self.assertEqual(self.refused(client).inDoubt, 5)
        self.assertTrue(client.send())
        self.fill(store, [8])
        self.server.refuse()
        self.assertEqual(self.refused(client).inDoubt, 0)

    def test_another_devices_rows_settle_no_doubt(self):
        client, store = self.filled(5)
        self.server.script("reset")
        self.refused(client)
        client.setDeviceId("other")
        self.fill(store, range(20))
        self.server.unauthorized = {"dev": 404}
        error = self.refused(client)
        self.assertEqual((error.accepted, error.pending, error.inDoubt),
                         (20, 5, 5))

    def test_a_smaller_repeat_settles_its_part(self):
        client, _ = self.filled(1000, read=1, retries=1)
        self.server.script("hang", None, "hang", (0, 503, {}, ""))
        error = self.refused(client)
        self.assertEqual(self.sizes()[:2], [1000, 500])
        self.assertEqual((error.accepted, error.pending, error.inDoubt),
                         (500, 500, 500))

    def test_repeated_rows_are_stored_once(self):
        client, _ = self.filled(100, retries=3)
        self.server.script(loopback.step("reset", applied=True),
                           loopback.step("half-body", applied=True))
        self.assertTrue(client.send())
        self.assertEqual(len(self.server.stored), 100)
        self.assertEqual(self.arrived(), list(range(100)))
        self.assertEqual(len(self.server.applied), 300)


class OrderTest(DeliveryCase):

    def test_rows_leave_in_the_order_they_were_added(self):
        client, store = self.filled(0, columns=("a", "b"), batch=50)
        numbers = list(range(300))
        random.Random(1).shuffle(numbers)
        self.fill(store, numbers)
        self.server.script(None, (0, 500, {}, ""), None, "html")
        for _ in range(2):
            self.refused(client)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), numbers)

    def test_rows_added_meanwhile_go_with_the_next_call(self):
        client, store = self.filled(2000)
        totals = []

        def progress(accepted, total):
            totals.append((accepted, total))
            self.fill(store, [5000 + accepted])

        self.assertTrue(client.send(progress=progress))
        self.assertEqual(totals, [(1000, 2000), (2000, 2000)])
        self.assertEqual((client.pending(), self.sizes()), (2, [1000, 1000]))
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(2000)) + [6000, 7000])

    def test_a_thread_that_adds_does_not_keep_send_from_ending(self):
        client, store = self.filled(1)
        stop = threading.Event()

        def add():
            number = 0
            while not stop.wait(0.0002):
                for _ in range(20):
                    number += 1
                    store.add(number, {"a": number})

        thread = threading.Thread(target=add)
        thread.start()
        try:
            for _ in range(3):
                self.assertTrue(client.send(timeout=60))
        finally:
            stop.set()
            thread.join()
        self.assertTrue(client.send())
        arrived = self.arrived()
        self.assertEqual(arrived[1:], list(range(1, len(arrived))))

    def test_two_threads_send_no_row_twice_and_each_waits(self):
        client, _ = self.filled(5000)
        results = []
        threads = [threading.Thread(
            target=lambda: results.append(client.send())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(results, [True] * 4)
        self.assertEqual(self.arrived(), list(range(5000)))
        self.assertEqual(self.sizes(), [1000] * 5)

    def test_a_thread_that_waits_does_so_inside_its_own_limit(self):
        client, _ = self.filled(1)
        self.server.script("hang")
        first = threading.Thread(target=self.refused, args=(client,),
                                 kwargs={"timeout": 60})
        first.start()
        self.server.waitFor(lambda: self.server.imports())
        with pace.Stopwatch() as watch:
            error = self.refused(client, timeout=0.3)
        self.assertLess(watch.seconds, 1.2)
        self.assertIsInstance(error, request.TimeoutError)
        self.assertEqual(error.pending, 1)
        self.server.refuse()  # which ends the first one
        first.join(60)
        self.assertFalse(first.is_alive())
        self.server.listen()

    def test_points_survive_failed_sends_in_order_and_merge(self):
        client = self.build()
        for number in (3, 1, 2, 1):
            client.addDataPoint("p", iobeam.DataPoint(number, number))
        client.addDataSeries(iobeam.DataSeries("q", [
            iobeam.DataPoint(9, 9), iobeam.DataPoint(9, 9)]))
        self.server.script((0, 500, {}, ""))
        self.assertEqual(self.refused(client).pending, 4)
        client.addDataPoint("p", iobeam.DataPoint(4, 4))
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), [3, 1, 2, 4, 9])

    def test_points_that_are_added_again_after_a_failure_merge_too(self):
        client = self.build()
        for _ in range(2):
            for number in (1, 2):
                client.addDataPoint("p", iobeam.DataPoint(number, number))
            self.server.script((0, 500, {}, ""))
            self.refused(client)
        self.assertTrue(client.send())
        self.assertEqual(sorted(set(self.arrived())), [1, 2])

    def test_clear_drops_what_is_pending(self):
        client, store = self.filled(3)
        client.addDataPoint("p", iobeam.DataPoint(1, 1))
        client.addDataPoint("q", iobeam.DataPoint(2, 2))
        self.server.script((0, 500, {}, ""))
        self.refused(client)
        store.clear()
        client.clearSeries("p")
        self.assertEqual(client.pending(), 1)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), [2])

    def test_clearing_amid_a_send_sends_no_more_of_it(self):
        client, store = self.filled(3000)
        self.assertTrue(client.send(progress=lambda *_: store.clear()))
        self.assertEqual(self.arrived(), list(range(1000)))
        self.fill(store, [1])
        self.assertTrue(client.send())
        self.assertEqual(client.pending(), 0)


class ProgressTest(DeliveryCase):

    def test_any_exception_passes_with_accepted_rows_gone(self):
        for kind in (KeyError, KeyboardInterrupt, SystemExit, GeneratorExit):
            client, store = self.filled(2500)
            del self.server.acknowledged[:]

            def progress(accepted, total):
                raise kind()

            with self.assertRaises(kind):
                client.send(progress=progress)
            self.assertEqual((client.pending(), self.arrived()),
                             (1500, list(range(1000))))
            done = []
            thread = threading.Thread(target=lambda: done.append(client.send()))
            thread.start()  # the lock is free for others as well
            thread.join(60)
            self.assertEqual((done, self.arrived()),
                             ([True], list(range(2500))))

    def test_send_within_it_is_an_error(self):
        client, _ = self.filled(2000)
        caught = []

        def progress(*_):
            try:
                client.send()
            except request.Error as error:
                caught.append(type(error))

        self.assertTrue(client.send(progress=progress))
        self.assertEqual(caught, [request.Error] * 2)

    def test_it_hears_of_refusals_too(self):
        client, _ = self.filled(4)
        self.server.refusesRow = lambda row: row.time == 1000
        told = []
        self.refused(client, progress=lambda *said: told.append(said))
        self.assertEqual(told[-1], (3, 4))
        self.assertEqual(len(told), len(self.server.imports()))


class SendErrorTest(DeliveryCase):

    def failing(self, step, **given):
        client, _ = self.filled(2, **given)
        self.server.script(step)
        return self.refused(client)

    def test_it_is_its_cause_as_well(self):
        error = self.failing("reset")
        self.assertIsInstance(error, request.ConnectionError)
        self.assertIsInstance(error, requests.ConnectionError)
        self.assertNotIsInstance(error, request.TimeoutError)
        error = self.failing("hang", read=0.2)
        self.assertIsInstance(error, request.TimeoutError)
        self.assertIsInstance(error, requests.Timeout)
        error = self.failing((0, 503, {}, ""))
        self.assertNotIsInstance(error, (
            request.ConnectionError, request.TimeoutError,
            requests.RequestException, request.UnauthorizedError))

    def test_it_pickles_and_copies(self):
        errors = [self.failing("reset"), self.failing("hang", read=0.2),
                  self.failing((0, 503, {}, {"errors": [{"code": 4}]})),
                  self.failing((0, 404, {}, ""))]
        self.server.always((0, 401, {}, ""), path="imports")
        errors.append(self.refused(self.filled(1)[0]))
        self.assertIsInstance(errors[-1], request.UnauthorizedError)
        self.server.always(None, path="imports")
        self.server.always((0, 400, {}, {"errors": [{"code": 3}]}))
        client, _ = self.filled(1)
        errors.append(self.refused(client))
        for error in errors:
            twins = [copy.copy(error), copy.deepcopy(error)] + [
                pickle.loads(pickle.dumps(error, protocol))
                for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
            for twin in twins:
                self.assertIs(type(twin), type(error))
                for name in ("args", "accepted", "pending", "rejected",
                             "inDoubt", "statusCode", "apiErrors"):
                    self.assertEqual(getattr(twin, name), getattr(error, name))
                self.assertEqual(str(twin), str(error))

    def test_it_names_the_status_and_begins_as_ever(self):
        for step, said in [((0, 503, {}, "busy"), "503 busy"),
                           ("html", "200 <html>"), ("reset", "no answer: ")]:
            self.assertTrue(str(self.failing(step)).startswith(
                "send failed. server sent: " + said))

    def test_the_cause_of_a_doubles_own_exception(self):
        for kind in (requests.Timeout, requests.ConnectionError, OSError,
                     IOError):
            client, _ = self.filled(1)

            def fail(*_):
                raise kind("broken")

            client._importService.postTable = fail
            error = self.refused(client)
            self.assertIsInstance(error, kind)
            self.assertIn("broken", str(error))
            self.assertEqual(error.pending, 1)


class RetryTest(DeliveryCase):

    def test_retried_statuses_are_repeated_up_to_the_limit(self):
        for status in (408, 425, 429, 500, 502, 503, 504):
            for retries in (0, 2):
                del self.server.requests[:]
                client, _ = self.filled(1, retries=retries)
                self.server.script(*[(0, status, {"Retry-After": NOW}, "")] * 3)
                error = self.refused(client)
                self.assertEqual((error.statusCode, len(self.server.requests)),
                                 (status, 1 + retries))
                self.server._scripts.clear()

    def test_other_statuses_are_not(self):
        for status in (302, 400, 402, 404, 405, 409, 410, 501, 505, 507):
            del self.server.requests[:]
            client, _ = self.filled(1, retries=4)
            self.server.script((0, status, {}, ""))
            self.assertEqual(self.refused(client).statusCode, status)
            self.assertEqual(len(self.server.requests), 1, status)

    def test_repeats_are_counted_over_all_kinds_of_failure(self):
        client, _ = self.filled(1, retries=3, read=0.2)
        self.server.script(BUSY, "hang", BUSY, "reset", BUSY, "hang", BUSY)
        self.refused(client)
        self.assertEqual(len(self.server.imports()), 4)
        self.assertEqual(client.stats()["retries"], 3)
        self.assertEqual(client.stats()["requests"], 4)

    def test_the_count_starts_anew_with_each_chunk(self):
        client, _ = self.filled(3000, retries=2)
        self.server.script(BUSY, BUSY, None, BUSY, BUSY, None, BUSY, BUSY)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(3000)))

    def test_a_retry_after_beyond_the_limit_ends_at_once(self):
        client, _ = self.filled(1, retries=4)
        self.server.script((0, 429, {"Retry-After": "3000"}, ""))
        with pace.Stopwatch() as watch:
            self.assertEqual(self.refused(client).statusCode, 429)
        self.assertLess(watch.seconds, 0.5)


class BatchSizeTest(DeliveryCase):

    def test_1000_values_until_told_otherwise(self):
        client, _ = self.filled(3000, columns=("a", "b", "c"))
        self.assertTrue(client.send())
        self.assertEqual(self.sizes(), [333] * 9 + [3])

    def test_what_the_backend_advertises_is_used_from_then_on(self):
        for advertised, second in ((2500, 2500), (20000, 20000),
                                   (99999, 20000), (500, 500)):
            del self.server.requests[:]
            self.server.maxValues = advertised
            client, _ = self.filled(6000, columns=("a", "b", "c", "d"))
            self.assertTrue(client.send())
            self.assertEqual(self.sizes()[0], 250)
            self.assertEqual(sum(self.sizes()), 6000)
            rows = second // 4
            # blocks of rows in memory end earlier now and then
            self.assertLessEqual(max(self.sizes()[1:]), rows)
            self.assertLessEqual(len(self.sizes()), 3 + 6000 // rows)

    def test_a_batch_size_that_was_set_stays(self):
        self.server.maxValues = 20000
        client, _ = self.filled(300, batch=100)
        self.assertTrue(client.send())
        self.assertEqual(self.sizes(), [100] * 3)

    def test_a_row_wider_than_the_limit_goes_alone(self):
        client, _ = self.filled(2, columns=["c%d" % n for n in range(80)],
                                batch=50)
        self.assertTrue(client.send())
        self.assertEqual(self.sizes(), [1, 1])

    def test_a_proxys_413_halves_and_acceptances_double(self):
        self.server.refusedValues = 300
        client, _ = self.filled(1000)
        self.assertTrue(client.send())
        self.assertEqual(self.sizes()[:4], [1000, 500, 250, 500])
        self.assertEqual(self.arrived(), list(range(1000)))

    def test_a_413_of_the_api_halves_too_and_loses_nothing(self):
        self.server.refusedValues, self.server.refusedByApi = 300, True
        client, _ = self.filled(3000)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(3000)))
        self.assertLess(len(self.sizes()), 30)

    def test_50_values_are_the_floor(self):
        self.server.refusedValues = 0
        client, _ = self.filled(1000)
        error = self.refused(client)
        self.assertEqual(self.sizes(), [1000, 500, 250, 125, 62, 50])
        self.assertEqual((error.statusCode, error.pending), (413, 1000))

    def test_one_row_is_not_repeated_for_a_413(self):
        self.server.refusedValues = 0
        client, _ = self.filled(1)
        self.refused(client)
        self.assertEqual(self.sizes(), [1])

    def test_time_outs_halve_it_and_the_next_send_begins_small(self):
        client, _ = self.filled(1000, read=1, retries=1)
        self.server.script("hang", "hang")
        self.refused(client)
        self.assertTrue(client.send())
        self.assertEqual(self.sizes(), [1000, 500, 250, 500, 250])

    def test_a_slow_link_never_livelocks(self):
        # 2 ms a value: 1000 never arrive within the time-out, 125 do
        slow = self.server._handle

        def handle(found):
            time.sleep(0.002 * sum(len(row.values) for row
                                   in loopback.rowsOf(found.body)))
            return slow(found)

        self.server._handle = handle
        client, _ = self.filled(1000, read=1, retries=4)
        sent = False
        for _ in range(4):
            try:
                sent = client.send(timeout=6)
                break
            except request.SendError as error:
                self.assertIsInstance(error, request.TimeoutError)
        self.assertTrue(sent)
        self.assertEqual(sorted(set(self.arrived())), list(range(1000)))

    def test_the_rules_alone(self):
        size = delivery.BatchSize(None, 1000)
        for advertised in (None, "", "0", "-1", "many", "1e3", u"\xb2", "0x9"):
            size.learn(advertised)
            self.assertEqual(size.values, 1000)
        size.learn("8000")
        self.assertEqual(size.values, 8000)
        self.assertTrue(size.shrink())
        size.learn("8000")  # says nothing new
        self.assertEqual(size.values, 4000)
        size.learn("2000")
        self.assertEqual(size.values, 2000)
        for _ in range(9):
            size.shrink()
        self.assertEqual((size.values, size.shrink()), (50, False))
        for _ in range(9):
            size.grow()
        self.assertEqual(size.values, 2000)
        small = delivery.BatchSize(20, 1000)
        self.assertEqual((small.shrink(), small.values), (False, 20))


if __name__ == "__main__":
    unittest.main()
