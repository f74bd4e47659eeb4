"""Whose clock counts: `useServerTime`, and what Date headers tell."""
from __future__ import absolute_import

import json
import pickle

from iobeam import iobeam
from iobeam.clock import elapsed
from iobeam.http import request
from tests import support
from tests.support import (FakeRequester, FakeResponse, RichResponse, mock,
                           refusal, validToken)

LOCAL = 1000.0  # s, what this machine's clock says


def serverTime(milliseconds):
    return FakeResponse(200, {"server_timestamp": milliseconds})


class ClockTest(support.TestCase):
    def setUp(self):
        self.now = LOCAL
        self.elapsed = 50.0  # s, by the clock that nobody sets
        for name, seconds in (("iobeam.utils.utils.time.time",
                               lambda: self.now),
                              ("iobeam.clock.elapsed", lambda: self.elapsed)):
            patched = mock.patch(name, seconds)
            patched.start()
            self.addCleanup(patched.stop)

    def wait(self, seconds):
        self.now += seconds
        self.elapsed += seconds

    def build(self, *script, **options):
        self.requester = FakeRequester(*script, **options)
        builder = iobeam.ClientBuilder(1, validToken(1)) \
            .setBackend(self.requester).setDeviceId("d")
        return builder

    def times(self, store):
        return [row["time"] for row in store.rows()]


class ServerTimeTest(ClockTest):
    def test_now_is_the_servers(self):
        for server in (5000000, 1, 999999, 1000000):  # ahead and behind
            client = self.build(serverTime(server)).useServerTime().build()
            store = client.createDataStore(["a"])
            store.add(None, {"a": 1})
            self.wait(2.5)
            store.addRows([(None, {"a": 1}), (7, {"a": 1})])
            self.assertEqual([server * 1000, (server + 2500) * 1000, 7000],
                             self.times(store))
            store.clear()
            self.now = LOCAL

    def test_it_is_learnt_anew_with_every_send(self):
        client = self.build(serverTime(5000000)).useServerTime().build()
        store = client.createDataStore(["a"])
        store.add(None, {"a": 1})
        self.now = 20.0  # somebody set the clock
        store.add(None, {"a": 1})
        self.assertEqual([5000000000] * 2, self.times(store))
        self.requester.script = [serverTime(5001000), FakeResponse(200, {})]
        client.send()
        store.add(None, {"a": 1})
        self.assertEqual([5001000000], self.times(store))
        self.requester.script = [FakeResponse(500), FakeResponse(200, {})]
        client.send()  # a clock that does not answer now: what is known stays
        store.add(None, {"a": 1})
        self.assertEqual([5001000000], self.times(store))

    def test_stores_that_are_not_tracked_have_the_local_clock(self):
        client = self.build(serverTime(5000000)).useServerTime().build()
        store = iobeam.DataStore(["a"])
        store.add(None, {"a": 1})
        client.addDataStore(store)
        store.add(None, {"a": 1})
        self.assertEqual([1000000000, 5000000000], self.times(store))

    def test_while_it_is_unknown_one_warning_and_the_local_clock(self):
        for answer in (FakeResponse(500), FakeResponse(404),
                       request.TimeoutError("t"), refusal(401, 1),
                       request.ConnectionError("c"), FakeResponse(200, {}),
                       serverTime("5"), serverTime(None), serverTime(True),
                       serverTime(-5), serverTime(10 ** 30),
                       FakeResponse(200, ValueError("HTML")),
                       KeyError("a double's own"), RuntimeError("deep")):
            client = self.build(answer).useServerTime().build()
            with self.warnings(count=1):
                for columns in (["a"], ["b"]):
                    store = client.createDataStore(columns)
                    store.add(None, {columns[0]: 1})
                    self.assertEqual([1000000000], self.times(store))
            client.createDataStore(["a"]).clear()
            client.createDataStore(["b"]).clear()

    def test_without_it_nobody_is_asked(self):
        client = self.build().build()
        client.createDataStore(["a"]).add(None, {"a": 1})
        client.send()
        self.assertEqual(["imports"],
                         [sent.path for sent in self.requester.requests])

    def test_halfway_between_question_and_answer(self):
        def slow(_):
            self.wait(1.5)
            return serverTime(5000000)

        client = self.build(slow).useServerTime().build()
        store = client.createDataStore(["a"])
        store.add(None, {"a": 1})
        self.assertEqual([5000750000], self.times(store))


    def test_a_question_that_took_long_is_asked_again(self):
        def answering(seconds, milliseconds):
            def answer(_):
                self.wait(seconds)
                return serverTime(milliseconds)
            return answer

        for first, second, expected in (
                (answering(8, 5008000), answering(0, 5008000), 5008000000),
                # the better of the two: 5008 s were told within 8 s, so that
                # it is 5012 s at their end, and 9 s later 5021 s
                (answering(8, 5008000), answering(9, 1), 5021000000),
                (answering(8, 5008000), FakeResponse(500), 5012000000)):
            client = self.build(first, second).useServerTime().build()
            store = client.createDataStore(["a"])
            store.add(None, {"a": 1})
            self.assertEqual([expected], self.times(store))
            store.clear()

    def test_setting_the_clock_between_two_sends_moves_nothing(self):
        self.now = LOCAL - 3 * 3600
        client = self.build(serverTime(1000000)).useServerTime().build()
        store = client.createDataStore(["a"])
        expected = []
        for seconds, step in ((1, 0), (2, 3 * 3600), (0.25, -5), (10, 0.004)):
            self.wait(seconds)
            self.now += step
            store.add(None, {"a": 1})
            expected.append((1000 + self.elapsed - 50) * 1000000)
        self.assertEqual(expected, self.times(store))

    def test_rows_that_wait_when_it_is_learnt_are_put_right(self):
        client = self.build(FakeResponse(500)).useServerTime().build()
        store, other = [client.createDataStore([name]) for name in "ab"]
        with self.warnings(count=1):
            store.add(None, {"a": 0})
            self.wait(1.5)
            self.now += 3 * 3600  # set meanwhile
            store.addRows([(None, {"a": 1}), (7, {"a": 2})])
            other.add(None, {"b": 3})
            other.add(iobeam.Timestamp(5), {"b": 4})
        self.wait(10)
        self.requester.script = [serverTime(9000000), FakeResponse(503)]
        self.assertRaises(request.Error, client.send)
        self.assertEqual([8988500000, 8990000000, 7000], self.times(store))
        self.assertEqual([8990000000, 5000], self.times(other))
        self.requester.script = [serverTime(9000000)]
        client.send()
        sent = [row for req in self.requester.requests
                if req.path == "imports" for row in req.body["sources"]["data"]]
        self.assertEqual([8988500000, 8990000000, 7000],
                         [row[0] for row in sent][-5:-2])

    def test_rows_are_sent_with_the_local_clock_if_it_stays_unknown(self):
        client = self.build(FakeResponse(500)).useServerTime().build()
        store = client.createDataStore(["a"])
        with self.warnings(count=1):
            store.add(None, {"a": 1})
        self.assertEqual(store.rows(), pickle.loads(pickle.dumps(
            store)).rows())
        self.requester.script = [FakeResponse(404)]
        client.send()
        sent = self.requester.requests[-1].body
        self.assertEqual([[1000000000, 1]], sent["sources"]["data"])
        self.assertEqual("[[1000000000, 1]]",
                         json.dumps(sent["sources"]["data"]))

    def test_only_rows_without_a_timestamp_ask_the_clock(self):
        client = self.build(serverTime(5000000)).useServerTime().build()
        store = client.createDataStore(["a"])
        with mock.patch.object(client._clock, "now", side_effect=KeyError):
            store.add(5, {"a": 1})
            self.assertRaises(KeyError, store.add, None, {"a": 1})

    def test_time_asleep_counts_where_the_system_tells_it(self):
        import time
        try:
            low = time.clock_gettime(time.CLOCK_BOOTTIME)
        except (AttributeError, OSError):  # WebAssembly has its name only
            low = None
        if low is not None:
            found = elapsed()
            self.assertLessEqual(low, found)
            self.assertLessEqual(found, time.clock_gettime(
                time.CLOCK_BOOTTIME))
        else:
            self.assertLessEqual(elapsed(), elapsed())

    def test_loading_requests_is_no_part_of_the_answers_time(self):
        out = support.runPython(self, (
            "import sys\n"
            "from iobeam import iobeam\n"
            "from iobeam.endpoints import devices\n"
            "def ask(service):\n"
            "    print('requests' in sys.modules)\n"
            "    return -1\n"
            "devices.DeviceService.getTimestamp = ask\n"
            "iobeam.ClientBuilder(1, {!r}).setBackend('http://127.0.0.1:9/v1/')"
            ".setDeviceId('dev').useServerTime().build()\n".format(
                validToken())))
        self.assertEqual(out.split(), ["True"])


class DateTest(ClockTest):
    """1000 s after the epoch, and what a Date header says against it."""

    def sent(self, *answers):
        client = self.build(*answers).build()
        store = client.createDataStore(["a"])
        for _ in answers:
            store.add(5, {"a": 1})
            try:
                client.send()
            except request.Error:
                pass
        return client

    @staticmethod
    def dated(date, status=200, body=None):
        return RichResponse(status, body or {}, {"Date": date})

    def test_the_offset_is_told(self):
        for date, offset in (("Thu, 01 Jan 1970 00:16:40 GMT", 0),
                             ("Thu, 01 Jan 1970 00:17:40 GMT", 60),
                             ("Thu, 01 Jan 1970 00:15:40 GMT", -60),
                             ("Thu, 01 Jan 1970 00:16:45 GMT", 5),
                             ("Thu, 01 Jan 1970 01:16:45 +0100", 5)):
            with self.warnings(count=0):
                client = self.sent(self.dated(date))
            self.assertEqual(offset, client.stats()["clockOffset"], date)

    def test_beyond_a_minute_there_is_one_warning(self):
        for dates in (["Thu, 01 Jan 1970 00:17:41 GMT"],
                      ["Thu, 01 Jan 1970 00:15:39 GMT"],
                      ["Wed, 25 Nov 2026 00:00:00 GMT",
                       "Wed, 25 Nov 2026 00:00:01 GMT"]):
            with self.warnings(count=1) as messages:
                client = self.sent(*map(self.dated, dates))
            self.assertIn("clock", messages[0])
            self.assertIn(str(client.stats()["clockOffset"])[:3], messages[0])

    def test_only_accepted_answers_tell_it(self):
        date = "Wed, 25 Nov 2026 00:00:00 GMT"
        for status, body in ((500, {}), (400, {"errors": [{"code": 3}]}),
                             (401, {}), (200, {"errors": [{"code": 3}]})):
            with self.warnings() as messages:
                client = self.sent(self.dated(date, status, body))
            self.assertIsNone(client.stats()["clockOffset"])
            self.assertFalse([said for said in messages if "clock" in said])

    def test_what_is_no_date_tells_nothing(self):
        for date in ("", "soon", "Wed, 25 Nov 99999 00:00:00 GMT",
                     None, 5, u"\xe9"):
            with self.warnings(count=0):
                client = self.sent(self.dated(date))
            self.assertIsNone(client.stats()["clockOffset"], date)
