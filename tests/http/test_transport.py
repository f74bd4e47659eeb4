# coding: utf-8
from __future__ import absolute_import

import contextlib
import io
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import unittest
import zlib

import requests
from requests import adapters

from iobeam.http import call as calls
from iobeam.http import incoming, request, sessions, sockets, transport
from iobeam.utils import compat
from tests import loopback, pace
from tests.support import mock, useQuickJson

TOKEN = "secret-token-b7f3"
BIG = {"rows": [[i, i * 0.5] for i in range(400)]}  # over 1 kB
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY",
            "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE", "NETRC", "HOME")


def settings(**given):
    made = request.Settings()
    made.connectTimeout, made.readTimeout, made.retries = 20.0, 20.0, 0
    for name, value in given.items():
        setattr(made, name, value)
    return made


@contextlib.contextmanager
def environment(**values):
    """Set variables, and unset every other one that requests looks at."""
    before = dict((name, os.environ.pop(name, None)) for name in _PROXIES)
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class TransportCase(unittest.TestCase):

    def setUp(self):
        self.server = self.enter(loopback.Loopback())
        self.enter(environment())

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def channel(self, **given):
        made = transport.Channel(settings(**given))
        self.addCleanup(made.close)
        return made

    def post(self, channel=None, body=None, path="echo", url=None, params=None,
             token=TOKEN):
        headers = {"Authorization": "Bearer " + token} if token else {}
        return (channel or self.channel()).perform(
            "POST", (url or self.server.url) + path, params or {}, headers,
            {"a": 1} if body is None else body)

    def get(self, channel=None, path="ping", params=None, url=None):
        return (channel or self.channel()).perform(
            "GET", (url or self.server.url) + path, params or {},
            {"Authorization": "Bearer " + TOKEN}, {})

    def fails(self, what, *args, **kwargs):
        """Run it and return the library's error and how long it took."""
        with pace.Stopwatch() as watch:
            with self.assertRaises(request.Error) as caught:
                what(*args, **kwargs)
        return caught.exception, watch


class WireTest(TransportCase):

    def test_what_goes_out(self):
        self.post(params={"fmt": "table", "yes": True, "no": False})
        sent = self.server.requests[0]
        self.assertEqual((sent.method, sent.path, sent.body),
                         ("POST", "echo", {"a": 1}))
        self.assertEqual(sent.params,
                         {"fmt": "table", "yes": "true", "no": "false"})
        self.assertEqual(sent.headers["User-Agent"], "iobeam python")
        self.assertEqual(sent.headers["Content-Type"], "application/json")
        self.assertEqual(sent.headers["Authorization"], "Bearer " + TOKEN)
        self.assertEqual(sent.headers["Content-Length"], str(len(sent.raw)))
        self.assertNotIn("Transfer-Encoding", sent.headers)
        self.assertNotIn("Cookie", sent.headers)
        self.assertEqual(sent.raw, b'{"a":1}')

    def test_who_has_http_client_print_sees_the_head_of_the_answer(self):
        client = sys.modules["httplib" if compat.PY2 else "http.client"]
        printed = io.BytesIO() if compat.PY2 else io.StringIO()
        with mock.patch.object(client.HTTPConnection, "debuglevel", 1), \
                mock.patch.object(sys, "stdout", printed):
            self.post()
        self.assertIn("reply: 'HTTP/1.1 ", printed.getvalue())
        self.assertIn("header: Content-Length", printed.getvalue())

    def test_true_and_1_are_two_addresses(self):
        channel = self.channel()
        for value in (1, True, "1", False, 0):
            self.get(channel, params={"v": value})
        self.assertEqual([found.params["v"] for found in self.server.requests],
                         ["1", "true", "1", "false", "0"])

    def test_parameters_are_encoded(self):
        self.get(params={"q": u"\xe4&b=c d"})
        self.assertEqual(list(self.server.requests[0].params), ["q"])

    def test_many_addresses_from_many_threads(self):
        channel = self.channel()
        failures = []

        def look():
            try:
                for number in range(4000):
                    channel._address("http://127.0.0.1/", {"n": number % 150})
            except Exception as error:  # whatever it is, the test reports it
                failures.append(error)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_orjson_and_json_mean_the_same(self):
        body = {"t": [1479953045123456, -2 ** 63, 2 ** 63 - 1, 0.1, 1e300,
                      -0.0, True, False, None, u"\xfc\u2028\U0001f600\"\\\n"]}
        texts = []
        for isQuick in (True, False):
            useQuickJson(self, isQuick)
            self.post(body=body)
            texts.append(self.server.requests[-1].raw)
            self.assertEqual(self.server.requests[-1].body, body)
        self.assertEqual(*map(json.loads, [t.decode("utf-8") for t in texts]))

    def test_a_subclass_that_orjson_refuses_goes_out_all_the_same(self):
        class Odd(dict):
            pass

        self.post(body=Odd(a=Odd(b=2)))
        self.assertEqual(self.server.requests[0].body, {"a": {"b": 2}})

    def test_cookies_are_never_sent_back(self):
        self.server.cookie = "session=1; Path=/"
        session = self.enter(contextlib.closing(requests.Session()))
        for channel in (self.channel(), self.channel(session=session)):
            for _ in range(3):
                self.post(channel)
                self.get(channel)
        self.assertEqual(len(self.server.requests), 12)
        self.assertFalse([found for found in self.server.requests
                          if "Cookie" in found.headers])

    def test_a_post_never_follows_a_redirect(self):
        for status in (301, 302, 303, 307, 308):
            self.server.script(loopback.step("redirect", status=status))
            self.assertEqual(self.post().status_code, status)
        self.assertEqual([found.path for found in self.server.requests],
                         ["echo"] * 5)

    def test_a_get_follows_a_redirect_on_the_same_server_only(self):
        other = self.enter(loopback.Loopback())
        channel = self.channel()
        self.server.script(loopback.step("redirect", location="/v1/other"))
        self.get(channel)
        self.assertEqual([found.path for found in self.server.requests],
                         ["ping", "other"])
        self.server.script(loopback.step("redirect", location=other.url))
        self.assertEqual(self.get(channel).status_code, 302)
        self.assertEqual(other.requests, [])

    def test_a_get_does_not_follow_redirects_in_a_circle(self):
        self.server.always(loopback.step("redirect", location="/v1/ping"))
        self.assertEqual(self.get().status_code, 302)
        self.assertLess(len(self.server.requests), 10)

    @staticmethod
    def watched(name):
        """Stand between, as programs that count requests do."""
        if name is None:
            return mock.patch.object(requests, "post", requests.post)
        original = getattr(requests.Session, name)
        return mock.patch.object(
            requests.Session, name,
            lambda session, *args, **kwargs: original(session, *args,
                                                      **kwargs))

    def test_netrc_is_never_used(self):
        home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, home)
        file = os.path.join(home, ".netrc")
        with open(file, "w") as opened:
            opened.write("machine 127.0.0.1 login me password pw\n")
        os.chmod(file, 0o600)
        session = self.enter(contextlib.closing(requests.Session()))
        with environment(HOME=home, NETRC=file):
            for name in (None, "post", "request", "send"):  # looked at, too
                with self.watched(name):
                    for channel in (self.channel(),
                                    self.channel(session=session)):
                        self.post(channel)
                        self.post(channel, path="tokens/project", token=None)
        self.assertEqual(
            [found.headers.get("Authorization") for found
             in self.server.requests],
            ["Bearer " + TOKEN, None, "Bearer " + TOKEN, None] * 4)

    def test_environment_proxies_are_used(self):
        proxy = self.enter(loopback.Loopback())
        with environment(http_proxy=proxy.url):
            self.post(url="http://backend.invalid/v1/")
        self.assertEqual(proxy.requests[0].path, "echo")
        self.assertEqual(proxy.requests[0].headers["Host"], "backend.invalid")
        with environment(http_proxy=proxy.url, no_proxy="127.0.0.1"):
            self.post()
        self.assertEqual((len(proxy.requests), len(self.server.requests)),
                         (1, 1))

    def test_an_own_session_and_its_adapters_are_used(self):
        seen = []

        class Adapter(requests.adapters.HTTPAdapter):
            def send(self, sent, **kwargs):
                seen.append(sent.url)
                return requests.adapters.HTTPAdapter.send(self, sent, **kwargs)

        session = self.enter(contextlib.closing(requests.Session()))
        session.mount("http://", Adapter())
        session.headers["X-Gateway"] = "7"
        channel = self.channel(session=session)
        self.post(channel)
        self.assertEqual(seen, [self.server.url + "echo"])
        sent = self.server.requests[0]
        self.assertEqual(sent.headers["X-Gateway"], "7")
        self.assertEqual(sent.headers["Authorization"], "Bearer " + TOKEN)
        channel.close()  # the session is the program's
        self.post(self.channel(session=session))

    def test_one_connection_for_many_requests(self):
        channel = self.channel()
        for _ in range(10):
            self.post(channel)
            self.get(channel)
        for status in (400, 404, 503):
            self.server.script((0, status, {}, "x" * 5000))
            self.post(channel)
        self.post(channel, body=BIG)
        self.assertEqual(self.server.connections, 1)

    def test_two_channels_share_nothing(self):
        self.post(self.channel())
        self.post(self.channel())
        self.assertEqual(self.server.connections, 2)

    @unittest.skipUnless(hasattr(os, "fork"), "no fork")
    def test_a_forked_child_opens_its_own_connection(self):
        # an own session as well: its child wrote into the parent's socket
        session = self.enter(contextlib.closing(requests.Session()))
        for channel, expected in ((self.channel(), [1, 2, 1]),
                                  (self.channel(session=session), [3, 4, 3])):
            del self.server.requests[:]
            self.post(channel)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = self.post(channel).status_code != 404
                finally:
                    os._exit(code)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.post(channel)
            self.assertEqual(expected, [found.connection for found
                                        in self.server.requests])

    def test_a_session_that_another_thread_has_begun_meanwhile_is_taken(self):
        channel, make, others = self.channel(), sessions.makeSession, []

        def makeLate():
            if not others:
                others.append(None)
                others.append(channel._open())
            return make()

        with mock.patch.object(sessions, "makeSession", makeLate):
            self.assertIs(channel._open(), others[1])

    def test_as_many_wait_for_their_next_request_as_requests_keeps(self):
        channel = self.channel()
        count = adapters.DEFAULT_POOLSIZE + 2
        for total in (count, count + 2):
            gone = threading.Event()
            self.server.script(*[loopback.step("ok", until=gone)] * count)
            before = len(self.server.requests)
            threads = [threading.Thread(target=self.get, args=(channel,))
                       for _ in range(count)]
            for thread in threads:
                thread.start()
            self.server.waitFor(
                lambda: len(self.server.requests) == before + count)
            gone.set()
            for thread in threads:
                thread.join()
            self.assertEqual(total, self.server.connections)

    def test_closed_channels_leave_no_socket(self):
        self.post()  # what stays open after the first request stays for good
        with loopback.noLeaks(self):
            with loopback.Loopback() as server:
                for number in range(30):
                    channel = transport.Channel(settings())
                    if number % 3 == 0:
                        server.script(("reset", "half-body", "half-headers")[
                            number // 3 % 3])
                        self.fails(self.post, channel, url=server.url)
                    self.post(channel, url=server.url)
                    channel.close()


class GzipTest(TransportCase):

    def encodings(self):
        return [found.headers.get("Content-Encoding") for found
                in self.server.requests]

    def test_only_once_it_is_advertised_and_only_over_1_kb(self):
        channel = self.channel()
        self.post(channel, body=BIG)
        self.server.gzip = True
        self.post(channel, body=BIG)
        self.post(channel, body=BIG)
        self.post(channel)
        self.assertEqual(self.encodings(), [None, None, "gzip", None])
        self.assertEqual(self.server.requests[2].body, BIG)

    def test_a_weight_of_0_is_no_advertisement_and_ends_one(self):
        channel = self.channel()
        for header in ("gzip;q=0", "gzip", None, "identity", "x-gzip", "*"):
            self.server.script((0, 200, {} if header is None else {
                "Accept-Encoding": header}, ""))
            self.post(channel, body=BIG)
        self.post(channel, body=BIG)
        self.assertEqual([None, None, "gzip", "gzip", None, "gzip", "gzip"],
                         self.encodings())

    def test_the_limit_is_1024_bytes(self):
        channel = self.channel(compress=True)
        for length in (1018, 1019):
            self.post(channel, body={"a": "x" * (length - 2)})
        self.assertEqual([len(zlib.decompress(found.raw, 31)) if
                          found.raw[:1] == b"\x1f" else len(found.raw)
                          for found in self.server.requests], [1024, 1025])
        self.assertEqual(self.encodings(), [None, "gzip"])

    def test_level_1(self):
        self.post(self.channel(compress=True), body=BIG)
        raw = self.server.requests[0].raw
        text = zlib.decompress(raw, 31)
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        self.assertEqual(raw, packer.compress(text) + packer.flush())

    def test_switched_off(self):
        self.server.gzip = True
        channel = self.channel(compress=False)
        self.post(channel, body=BIG)
        self.post(channel, body=BIG)
        self.assertEqual(self.encodings(), [None, None])

    def test_refused_it_is_repeated_once_and_stays_off(self):
        for status in (400, 413, 415, 422):
            del self.server.requests[:]
            self.server.gzip = True
            channel = self.channel(compress=True)
            self.server.script((0, status, {}, {"errors": [{"code": 1}]}),
                               (0, 200, {}, ""))
            self.assertEqual(self.post(channel, body=BIG).status_code, 200)
            self.post(channel, body=BIG)
            self.assertEqual(self.encodings(), ["gzip", None, None])
            self.assertEqual([found.body for found in self.server.requests],
                             [BIG] * 3)

    def test_the_refusal_of_the_repeat_stands(self):
        self.server.always((0, 400, {}, {"errors": [{"code": 1}]}))
        self.assertEqual(
            self.post(self.channel(compress=True), body=BIG).status_code, 400)
        self.assertEqual(self.encodings(), ["gzip", None])

    def test_text_of_unicode_tokens_does_not_meet_the_compressed_body(self):
        # Python 2 would decode the body as ASCII
        self.post(self.channel(compress=True), body=BIG, token=u"abc",
                  url=u"" + self.server.url, params={u"fmt": u"table"})
        self.assertEqual(self.server.requests[0].body, BIG)


class FailureTest(TransportCase):

    def test_a_cut_answer_is_no_answer(self):
        for fault in ("drop", "reset", "close", "reset-amid", "half-headers",
                      "half-body", "garbage"):
            with calls.Call() as call:
                self.server.script(loopback.step(fault))
                error, _ = self.fails(self.post)
            self.assertIsInstance(error, request.ConnectionError, fault)
            self.assertIsInstance(error, requests.ConnectionError, fault)
            self.assertNotIsInstance(error, request.TimeoutError, fault)
            if fault != "drop":  # its reset may come before the first byte
                self.assertTrue(call.inDoubt, fault)

    def test_every_cut_of_an_answer_is_no_answer(self):
        body = b'{"n": 1}'
        whole = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 8\r\n\r\n" + body)
        with rawServer(lambda n: whole[:n]) as url:
            channel = self.channel()
            for _ in range(len(whole)):
                self.fails(self.post, channel, url=url)
            self.assertEqual(self.post(channel, url=url).content, body)

    def test_every_cut_of_a_chunked_answer_is_no_answer(self):
        whole = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"4\r\n{\"n\"\r\n4\r\n: 1}\r\n0\r\n\r\n")
        with rawServer(lambda n: whole[:n]) as url:
            channel = self.channel()
            for _ in range(len(whole) - 4):  # behind the 0, all is there
                self.fails(self.post, channel, url=url)

    def test_strange_headers_are_no_crash(self):
        for headers in ({"Retry-After": "\xb2"}, {"Date": "\xb2"},
                        {"Content-Encoding": "gzip"},
                        {"Content-Type": "text/html; charset=nonsense"},
                        {"Location": "http://[::1"},
                        {"Set-Cookie": "=;;=\xff; expires=never"}):
            self.server.script((0, 503, headers, "x"), (0, 200, headers, "x"))
            for what in (self.post, self.get):
                try:
                    what(self.channel())
                except request.Error:
                    pass  # but nothing else

    def test_a_refused_port_is_not_in_doubt(self):
        self.server.refuse()
        with calls.Call() as call:
            error, watch = self.fails(self.post)
        self.assertIsInstance(error, requests.ConnectionError)
        self.assertFalse(call.inDoubt)
        self.assertLess(watch.seconds, 1)

    def test_refused_through_an_own_session_is_not_in_doubt_either(self):
        self.server.refuse()
        session = self.enter(contextlib.closing(requests.Session()))
        with calls.Call() as call:
            self.fails(self.post, self.channel(session=session))
        self.assertFalse(call.inDoubt)
        self.server.listen()
        self.server.script("reset")
        with calls.Call() as call:
            self.fails(self.post, self.channel(session=session))
        self.assertTrue(call.inDoubt)

    def test_a_time_out_is_both_errors(self):
        self.server.script("hang")
        error, watch = self.fails(self.post, self.channel(readTimeout=0.3))
        self.assertIsInstance(error, request.TimeoutError)
        self.assertIsInstance(error, requests.ReadTimeout)
        self.assertLess(watch.seconds, 1.3)

    @unittest.skipUnless(sys.platform.startswith("linux"), "fills a queue")
    def test_a_connect_time_out_is_both_errors_and_not_in_doubt(self):
        port = self.enter(loopback.blackHole())
        with calls.Call() as call:
            error, watch = self.fails(
                self.post, self.channel(connectTimeout=0.3),
                url="http://127.0.0.1:{}/v1/".format(port))
        self.assertIsInstance(error, request.TimeoutError)
        self.assertIsInstance(error, request.ConnectionError)
        self.assertIsInstance(error, requests.ConnectTimeout)
        self.assertFalse(call.inDoubt)
        self.assertLess(watch.seconds, 1.3)

    def test_retries_are_counted_across_kinds_of_failure(self):
        self.server.always((0, 503, {"Retry-After": "0"}, ""))
        for retries in (0, 1, 4):
            del self.server.requests[:]
            response = self.post(self.channel(retries=retries))
            self.assertEqual(response.status_code, 503)
            self.assertEqual(len(self.server.requests), 1 + retries)

    def test_trouble_is_told_before_every_wait(self):
        self.server.script((0, 503, {"Retry-After": "0"}, ""), "reset")
        told = []
        with calls.Call() as call:
            call.onTrouble = lambda: told.append(len(self.server.requests))
            self.post(self.channel(retries=4))
        self.assertEqual(told, [1, 2])

    def test_a_wait_beyond_the_limit_ends_at_once(self):
        for after in ("3600", "Fri, 01 Jan 2100 00:00:00 GMT"):
            self.server.script((0, 429, {"Retry-After": after}, ""))
            with pace.Stopwatch() as watch, calls.Call(timeout=60):
                response = self.post(self.channel(retries=4))
            self.assertEqual(response.status_code, 429)
            self.assertLess(watch.seconds, 1)

    def test_a_date_in_retry_after_is_the_servers(self):
        for hours in (-1, 1):
            self.server.script((0, 503, {
                "Date": "Thu, 26 Nov 2026 0{}:00:00 GMT".format(2 + hours),
                "Retry-After": "Thu, 26 Nov 2026 0{}:00:03 GMT".format(
                    2 + hours)}, ""))
            with mock.patch("time.sleep") as slept:
                self.post(self.channel(retries=1))
            self.assertEqual([mock.call(3.0)], slept.call_args_list)

    def test_retry_after_is_kept(self):
        self.server.script((0, 503, {"Retry-After": "1"}, ""))
        with pace.Stopwatch() as watch:
            response = self.post(self.channel(retries=1))
        self.assertEqual(response.status_code, 404)
        self.assertGreaterEqual(watch.wall, 0.99)

    def test_unsafe_requests_are_repeated_only_if_none_can_have_arrived(self):
        cases = [("reset", 1), ((0, 503, {"Retry-After": "0"}, ""), 1),
                 ((0, 502, {"Retry-After": "0"}, ""), 1),
                 ((0, 429, {"Retry-After": "0"}, ""), 2)]
        for step, attempts in cases:
            del self.server.requests[:]
            self.server.script(step)
            with calls.Call() as call:
                call.repeatsUnsafe = False
                try:
                    self.post(self.channel(retries=4))
                except request.Error:
                    pass
            self.assertEqual((step, len(self.server.requests)),
                             (step, attempts))


class DeadlineTest(TransportCase):
    """However the server dawdles, the call is over within limit + 1 s."""

    limit = 0.7

    def within(self, channel=None, body=None, url=None):
        with calls.Call(timeout=self.limit):
            error, watch = self.fails(
                self.post, channel or self.channel(retries=4, readTimeout=9.0),
                body=body, url=url)
        self.assertIsInstance(error, request.TimeoutError)
        self.assertLess(watch.seconds, self.limit + 1)
        self.assertGreater(watch.wall, self.limit - 0.2)

    def test_hang(self):
        self.server.script("hang")
        self.within()

    def test_trickled_body(self):
        self.server.script(loopback.step("trickle", interval=0.05,
                                         headers={"Content-Length": "9999"}),
                           (0, 200, {}, "x" * 999))
        self.server.always(loopback.step(
            "trickle-headers", interval=0.05,
            headers={"X-Filler": "x" * 999}))
        self.within()

    def test_trickled_headers(self):
        self.server.always(loopback.step("trickle-headers", interval=0.05))
        self.within()

    def test_trickled_through_tls(self):
        server = self.enter(tlsServer())
        server.always(loopback.step("trickle-headers", interval=0.05))
        with environment(REQUESTS_CA_BUNDLE=loopback.CERTIFICATE):
            self.within(url=server.url)

    def test_endless_informational_answers(self):
        def endless(_):
            while True:
                yield b"HTTP/1.1 100 Continue\r\n\r\n"

        with rawServer(endless) as url:
            self.within(url=url)

    def test_lengths_that_cannot_be_are_no_answer_and_no_crash(self):
        # MemoryError, OverflowError and ValueError came out of send()
        heads = [b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc"
                 for size in (b"FFFFFFFFFFFF", b"F" * 20, b"F" * 5000, b"zz",
                              b"-5", b"")]
        heads += [b"Content-Length: " + length + b"\r\n\r\nabc"
                  for length in (b"9" * 12, b"9" * 30, b"9" * 5000, b"-5",
                                 b"zz", b"+5", b"3, 9")]
        with rawServer(lambda number: b"HTTP/1.1 200 OK\r\n"
                       + heads[number]) as url:
            for head in heads:
                try:
                    with calls.Call(timeout=60):
                        response = self.post(url=url)
                except request.ConnectionError:
                    continue
                self.assertEqual(b"abc", response.content, head)

    def test_a_small_answer_that_holds_a_lot_does_not_fill_the_memory(self):
        bomb = transport._gzip(b" " * 30000000)
        self.assertLess(len(bomb), 200000)
        self.server.script((0, 200, {"Content-Encoding": "gzip"}, bomb))
        before = incoming.MAX_ANSWER
        incoming.MAX_ANSWER = 3000000
        try:
            error, _ = self.fails(self.post)
        finally:
            incoming.MAX_ANSWER = before
        self.assertIn("longer than 3000000", str(error))

    def test_compressed_answers_are_read(self):
        text = b'{"a": [' + b"1, " * 60000 + b"2]}"
        packed = transport._gzip(text)
        chunks = b"".join(
            b"%x\r\n" % len(packed[k:k + 99]) + packed[k:k + 99] + b"\r\n"
            for k in range(0, len(packed), 99)) + b"0\r\n\r\n"
        channel = self.channel()
        for _ in range(2):
            self.server.script((0, 200, {"Content-Encoding": "gzip"}, packed))
            self.assertEqual(text, self.post(channel).content)
        self.assertEqual(1, self.server.connections)
        for body in (chunks, chunks[:-60]):
            with rawServer(lambda _: b"HTTP/1.1 200 OK\r\nContent-Encoding: "
                           b"gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
                           + body) as url:
                if body == chunks:
                    self.assertEqual(text, self.post(url=url).content)
                else:
                    self.fails(self.post, url=url)
        for broken in (b"no gzip", packed[:20] + b"x" * 20 + packed[40:]):
            self.server.script((0, 200, {"Content-Encoding": "gzip"}, broken))
            self.fails(self.post)

    def test_an_endless_answer_does_not_fill_the_memory(self):
        sent = []

        def endless(number):
            head = (b"Content-Length: 99999999999\r\n\r\n",
                    b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n")
            yield b"HTTP/1.1 200 OK\r\n" + head[number]
            while True:
                sent.append(number)
                yield b"8000\r\n" + b" " * 0x8000 + b"\r\n"

        before = incoming.MAX_ANSWER
        incoming.MAX_ANSWER = 3000000
        try:
            with rawServer(endless) as url:
                for _ in range(3):
                    with calls.Call(timeout=60):
                        error, watch = self.fails(self.post, url=url)
                    self.assertIsInstance(error, request.ConnectionError)
                    self.assertLess(watch.seconds, 5)
        finally:
            incoming.MAX_ANSWER = before
        self.assertLess(len(sent) * 0x8000, 3 * 12000000)

    def test_slow_accept(self):
        self.server.acceptDelay = 30
        self.within()

    def test_a_server_that_does_not_read_a_large_body(self):
        self.server.always("deaf")
        self.within(body={"a": "x" * 20000000})

    def test_a_tls_handshake_that_hangs(self):
        self.server.acceptDelay = 30
        url = self.server.url.replace("http:", "https:")
        with calls.Call(timeout=self.limit):
            error, watch = self.fails(
                self.post, self.channel(retries=4), url=url)
        self.assertLess(watch.seconds, self.limit + 1)

    @unittest.skipUnless(sys.platform.startswith("linux"), "fills a queue")
    def test_a_proxy_that_does_not_answer(self):
        self.server.always("trickle-headers")
        with environment(https_proxy=self.server.url):
            with calls.Call(timeout=self.limit):
                _, watch = self.fails(self.post, self.channel(retries=4),
                                        url="https://backend.invalid/v1/")
        self.assertLess(watch.seconds, self.limit + 1)

    @unittest.skipUnless(sys.platform.startswith("linux"), "fills a queue")
    def test_two_dead_addresses_share_the_time(self):
        port = self.enter(loopback.blackHole())
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        with addresses([dead, dead]):
            _, watch = self.fails(
                self.post, self.channel(connectTimeout=1.0),
                url="http://two.invalid:{}/v1/".format(port))
        self.assertLess(watch.seconds, 1.5)

    @unittest.skipUnless(sys.platform.startswith("linux"), "fills a queue")
    def test_a_living_address_behind_a_dead_one_is_reached(self):
        port = self.enter(loopback.blackHole())
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        alive = (socket.AF_INET, socket.SOCK_STREAM, 6, "",
                 ("127.0.0.1", self.server.port))
        with addresses([dead, alive]):
            response = self.post(self.channel(connectTimeout=1.0),
                                 url="http://two.invalid:1/v1/")
        self.assertEqual(response.status_code, 404)

    @unittest.skipUnless(socket.has_ipv6, "no IPv6")
    def test_ipv6(self):
        try:
            server = self.enter(loopback.Loopback(host="::1"))
        except EnvironmentError:
            self.skipTest("no ::1 here")
        self.assertEqual(self.post(url=server.url).status_code, 404)

    def test_fast_answers_need_no_thread(self):
        channel = self.channel()
        self.post(channel)
        before = threading.active_count()
        started = []
        own = threading.Thread.start

        def start(thread):
            if not thread.name.startswith("loopback"):
                started.append(thread)
            own(thread)

        threading.Thread.start = start
        try:
            self.post(channel)
        finally:
            threading.Thread.start = own
        self.assertEqual((started, threading.active_count()), ([], before))


class TlsTest(TransportCase):

    def test_a_known_authority(self):
        server = self.enter(tlsServer())
        with environment(REQUESTS_CA_BUNDLE=loopback.CERTIFICATE):
            channel = self.channel()
            for _ in range(3):
                self.assertEqual(
                    self.post(channel, url=server.url).status_code, 404)
        self.assertEqual(server.connections, 1)

    def test_an_unknown_one_is_not_tried_again(self):
        server = self.enter(tlsServer())
        error, watch = self.fails(self.post, self.channel(retries=4),
                                    url=server.url)
        self.assertIsInstance(error, requests.exceptions.SSLError)
        self.assertIsInstance(error, request.ConnectionError)
        self.assertLess(watch.seconds, 1)
        self.assertEqual((server.connections, server.requests), (1, []))

    def test_plain_http_where_tls_is_expected(self):
        # the double waits for the rest of what is no request, as small servers do
        error, _ = self.fails(
            self.post, self.channel(retries=4, connectTimeout=2.0, readTimeout=2.0),
            url=self.server.url.replace("http:", "https:"))
        self.assertIsInstance(error, request.ConnectionError)
        self.assertIsInstance(error, requests.exceptions.SSLError)
        self.assertIn("speaks http, not https", str(error))
        # the one that asked, behind the one that failed, and no repeats
        self.assertEqual(2, self.server.connections)

    def test_tls_where_plain_http_is_expected(self):
        for alert in (b"\x15\x03\x01\x00\x02\x02\x16", b"\x16\x03\x03"):
            answered = []
            with rawServer(lambda number: answered.append(number) or alert) \
                    as url:
                error, _ = self.fails(self.post, self.channel(retries=4),
                                      url=url)
            self.assertIn("speaks https, not http", str(error))
            self.assertEqual(1, len(answered))

    def test_looking_for_tls(self):
        server = self.enter(tlsServer())
        plain = server.url.replace("https:", "http:")
        self.assertTrue(sockets.speaksTls(plain, 5))
        self.assertFalse(sockets.speaksHttp(plain, 5))
        self.assertFalse(sockets.speaksTls(self.server.url, 5))
        self.assertTrue(sockets.speaksHttp(self.server.url, 5))
        nobody = "http://127.0.0.1:{}/".format(loopback.freePort())
        self.assertFalse(sockets.speaksTls(nobody, 5))
        self.assertFalse(sockets.speaksHttp(nobody, 5))


class SecrecyTest(TransportCase):
    """No failure shows the token."""

    def test_neither_errors_nor_the_log(self):
        log = self.enter(everythingLogged())
        shown = []
        echo = {"errors": [{"code": 1, "message": "bad Bearer " + TOKEN}]}
        steps = sorted(set(loopback.FAULTS) - set(["deaf"])) + [
            (0, status, {"Location": "/" + TOKEN}, echo)
            for status in (200, 302, 400, 401, 403, 404, 413, 422, 500, 503)
        ] + [(0, 500, {}, "<pre>Authorization: Bearer " + TOKEN + "</pre>")]
        requester = request.Requester(self.server.url,
                                      settings(readTimeout=0.2))
        self.addCleanup(requester._session.close)
        for step in steps:
            self.server.script(step)
            req = requester.post(self.server.url + "echo").token(TOKEN)
            try:
                with calls.Call(timeout=0.3):
                    req.execute()
                shown += [req.describeAnswer(), req.getApiErrors(),
                          req.getApiError(), request.UnknownCodeError(req)]
            except request.Error as error:
                shown += [error, error.args, sorted(vars(error).items())]
        for url in ("http://127.0.0.1:1/v1/", "http://no.invalid/v1/",
                    "https://127.0.0.1:{}/".format(self.server.port)):
            shown.append(self.fails(self.post, self.channel(
                connectTimeout=1.0, readTimeout=1.0), url=url)[0])
        for odd in (u"\xe9", "\r\nX-Header: 1", u"\u20ac", "\0"):
            with self.assertRaises(ValueError) as caught:
                self.post(token=TOKEN + odd)
            shown.append(caught.exception)
        text = "\n".join(map(repr, shown)) + "\n".join(
            str(one) if isinstance(one, Exception) else "" for one in shown)
        self.assertNotIn(TOKEN, text + "\n".join(log))
        self.assertIn("[token]", text)


@contextlib.contextmanager
def everythingLogged():
    """Yield the growing list of every line logged at any level."""
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record) + repr(record.args))

    handler, root = Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextlib.contextmanager
def addresses(found):
    """Let every name have these addresses."""
    own = socket.getaddrinfo
    socket.getaddrinfo = lambda *args, **kwargs: found
    try:
        yield
    finally:
        socket.getaddrinfo = own


def tlsServer():
    return loopback.Loopback(ssl=loopback.tlsContext())


@contextlib.contextmanager
def rawServer(answer):
    """Answer connection n with ``answer(n)``: bytes, or an iterator of them."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)

    def serve():
        number = 0
        while True:
            try:
                sock, _ = listener.accept()
            except EnvironmentError:
                return
            try:
                if closing:
                    return
                sock.settimeout(5)
                while b"\r\n\r\n" not in sock.recv(65536):
                    pass
                given = answer(number)
                for part in [given] if isinstance(given, bytes) else given:
                    sock.sendall(part)
                    if closing:
                        break
            except EnvironmentError:
                pass
            finally:
                sock.close()
            number += 1

    closing = []
    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield "http://127.0.0.1:{}/v1/".format(port)
    finally:
        closing.append(True)
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except EnvironmentError:
            pass
        thread.join(60)
        listener.close()


if __name__ == "__main__":
    unittest.main()
