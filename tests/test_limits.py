"""How long calls take, and what they leave behind, whatever the server does."""
from __future__ import absolute_import

import contextlib
import gc
import sys
import threading
import unittest

from iobeam.http import request
from tests import loopback, pace, support

LIMIT = 0.3  # seconds that a call may take here
SLACK = 1.0  # and what the contract grants it on top

BUSY = (0, 503, {}, "")
DAWDLERS = {
    "hang": "hang",
    "deaf": "deaf",
    "trickled body": loopback.step("trickle", interval=0.05, applied=False,
                                   headers={"Content-Length": "9999"}),
    "trickled headers": loopback.step("trickle-headers", interval=0.05,
                                      applied=False),
    "endless 503": BUSY,
    "endless 429": (0, 429, {"Retry-After": "0"}, ""),
    "late 503": (0.25, 503, {}, ""),
    "endless resets": "reset",
    "endless drops": "drop",
    "captive 408": (0, 408, {"Content-Type": "text/html"}, loopback.PAGE),
}


class LimitsCase(support.TestCase):
    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)

    def builder(self, **options):
        # read and connect time-outs that would be no help
        return loopback.builder(self.server, **options) \
            .setTimeout(9, 9).setGiveUpAfter(9)

    def client(self, rows=1, builder=None):
        client = (builder or self.builder()).setDeviceId("dev").build()
        self.addCleanup(client.close)
        client.createDataStore(["a"]).addRows(
            (k, {"a": k}) for k in range(rows))
        return client

    @contextlib.contextmanager
    def within(self, seconds=LIMIT, atLeast=0):
        with pace.Stopwatch() as watch:
            yield
        self.assertLess(watch.seconds, seconds + SLACK)
        self.assertGreaterEqual(watch.wall, atLeast)


class SendTest(LimitsCase):
    def refused(self, client, **options):
        with self.assertRaises(request.SendError) as caught:
            client.send(**options)
        self.assertEqual(client.pending(), caught.exception.pending)
        return caught.exception

    def test_it_keeps_its_time_out(self):
        for name, step in sorted(DAWDLERS.items()):
            self.server.always(step, path="imports")
            if step == "drop":
                self.server.always(step)
            # nothing else than the limit ends it
            client = self.client(3, self.builder(retries=1000))
            with self.within(), self.warnings():
                error = self.refused(client, timeout=LIMIT)
            self.assertEqual(3, error.pending, name)
            self.server.always(None)
            self.server.always(None, path="imports")
            with self.warnings():
                self.assertTrue(client.send(), name)
            client.close()

    def test_without_one_it_gives_up(self):
        for step in ("hang", "trickled headers", "endless 503"):
            self.server.always(DAWDLERS[step], path="imports")
            client = self.client(3, self.builder(retries=1000)
                                 .setGiveUpAfter(LIMIT))
            with self.within():
                self.refused(client)
            client.createDataStore(["a"]).clear()

    def test_slow_accept(self):
        self.server.acceptDelay = 30
        with self.within():
            self.refused(self.client(), timeout=LIMIT)

    @unittest.skipUnless(sys.platform.startswith("linux"), "fills a queue")
    def test_a_connection_that_never_comes_about(self):
        with loopback.blackHole() as port:
            client = self.client(builder=self.builder().setBackend(
                "http://127.0.0.1:{}/v1/".format(port)))
            with self.within():
                self.refused(client, timeout=LIMIT)

    def test_a_retry_after_within_the_limit_is_waited_for(self):
        self.server.script((0, 503, {"Retry-After": "1"}, ""))
        with self.within(1, atLeast=0.99):
            self.assertTrue(self.client().send(timeout=5))

    def test_one_beyond_it_ends_at_once(self):
        client = self.client()
        for after in ("60", "Fri, 01 Jan 2100 00:00:00 GMT", "9" * 400):
            for options, builder in (({"timeout": 30}, self.builder()),
                                     ({}, self.builder().setGiveUpAfter(30))):
                client = self.client(builder=builder)
                self.server.script((0, 503, {"Retry-After": after}, ""))
                with self.within(0):
                    error = self.refused(client, **options)
                self.assertEqual((503, 1), (error.statusCode, error.pending))
                client.createDataStore(["a"]).clear()

    def test_progress_restarts_the_wait_but_not_the_hard_limit(self):
        # each request takes a sixth of what it may be without progress
        self.server.always(loopback.step("ok", delay=LIMIT / 2),
                           path="imports")
        builder = self.builder().setBatchSize(1).setGiveUpAfter(3 * LIMIT)
        client = self.client(8, builder)
        with self.within(8 * LIMIT / 2, atLeast=8 * LIMIT / 2):
            self.assertTrue(client.send())
        client.createDataStore(["a"]).addRows(
            (k, {"a": k}) for k in range(40))
        with self.within():
            error = self.refused(client, timeout=LIMIT)
        self.assertEqual(40, error.accepted + error.pending)
        self.server.always(None, path="imports")
        client.send()

    def test_the_refresh_of_the_token_is_within_it(self):
        for step in ("hang", "trickled headers", "endless 503"):
            client = self.client(builder=self.builder(retries=1000))
            client._tokens._token = loopback.makeToken(expiresIn=60)
            self.server.always(DAWDLERS[step], path="tokens/project")
            with self.within(), self.warnings():
                try:
                    self.refused(client, timeout=LIMIT)
                except AssertionError:  # a 503 leaves the old token, and time
                    self.assertEqual("endless 503", step)

    def test_a_clock_that_does_not_answer_leaves_time_for_the_rows(self):
        client = self.client(builder=self.builder().useServerTime()
                             .setGiveUpAfter(5 * LIMIT))
        self.server.always("hang", path="devices/timestamp")
        with self.within(5 * LIMIT):
            self.assertTrue(client.send())

    def test_a_second_thread_waits_within_its_own(self):
        self.server.script("hang", path="imports")
        client = self.client(builder=self.builder(retries=0))
        thread = threading.Thread(target=self.refused, args=(client,),
                                  kwargs={"timeout": 60})
        thread.start()
        try:
            self.server.waitFor(self.server.imports)
            with self.within(LIMIT / 2):
                error = self.refused(client, timeout=LIMIT / 2)
            self.assertIsInstance(error, request.TimeoutError)
        finally:
            self.server.refuse()  # which ends the other one
            thread.join(60)
        self.assertFalse(thread.is_alive())
        self.server.listen()

    def test_with_a_buffer_as_well(self):
        for step in ("hang", "endless 503"):
            self.server.always(DAWDLERS[step], path="imports")
            folder = self.folder()
            client = self.client(
                3, self.builder(retries=1000).bufferToDisk(folder))
            # a disk that others keep busy takes its time
            with self.within(LIMIT + 2):
                self.refused(client, timeout=LIMIT)
            self.assertEqual(0, len(client.createDataStore(["a"])))


class OtherCallsTest(LimitsCase):
    def test_build_gives_up(self):
        for path, builder in (
                ("devices", self.builder().registerDevice("dev")),
                ("tokens/project", self.builder(
                    token=loopback.makeToken(expiresIn=60))
                    .setDeviceId("dev"))):
            for step in ("hang", "trickled headers"):
                self.server.always(DAWDLERS[step], path=path)
                with self.within():
                    self.assertRaises(
                        request.TimeoutError,
                        builder.setGiveUpAfter(LIMIT).build)

    def test_a_clock_that_does_not_answer_fails_no_build(self):
        self.server.always("hang", path="devices/timestamp")
        with self.within(), self.warnings():
            self.builder().useServerTime().setGiveUpAfter(LIMIT) \
                .setDeviceId("dev").build().close()

    def test_flush_and_close_never_touch_the_network(self):
        self.server.acceptDelay = 30
        client = self.client(3, self.builder().bufferToDisk(self.folder()))
        with self.within(4):  # of the disk; the network would need 9
            client.flush()
            client.close()
        self.assertEqual(0, self.server.connections)


class ThriftTest(LimitsCase):
    def test_a_row_needs_no_thread(self):
        started = []
        own = threading.Thread.start

        def start(thread):
            if not thread.name.startswith("loopback"):
                started.append(thread)
            own(thread)

        client = self.client()
        client.send()
        store = client.createDataStore(["a"])
        threading.Thread.start = start
        try:
            for options in ({}, {"timeout": 5}):
                store.add(1, {"a": 1})
                client.send(**options)
        finally:
            threading.Thread.start = own
        self.assertEqual([], started)

    def test_many_rows_one_after_the_other_use_one_connection(self):
        client = self.client()
        store = client.createDataStore(["a"])
        for k in range(20):
            client.send()
            store.add(k, {"a": k})
        client.send()
        self.assertEqual((1, 21), (self.server.connections,
                                   len(self.server.imports())))

    def test_a_hundred_clients_leave_nothing(self):
        folder = self.folder()
        self.client().send()  # what is made once
        with loopback.noLeaks(self):
            for k in range(100):
                builder = self.builder().setDeviceId("dev")
                if k % 2:
                    builder.bufferToDisk(folder)
                with builder.build() as client:
                    client.createDataStore(["a"]).add(k, {"a": k})
            self._settle()

    def test_nor_do_those_that_nobody_closes(self):
        self.client().send()
        with loopback.noLeaks(self):
            for k in range(50):
                client = self.builder().setDeviceId("dev").build()
                client.createDataStore(["a"]).add(k, {"a": k})
                client.send()
            del client
            self._settle()

    def _settle(self):
        """Wait until the server has seen the connections go."""
        gc.collect()
        names = ["loopback-_serve"]
        self.server.waitFor(lambda: len(
            [thread for thread in threading.enumerate()
             if thread.name in names]) <= 1)
