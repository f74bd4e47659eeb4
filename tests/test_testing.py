from __future__ import absolute_import

import io
import os
import subprocess
import sys
import threading
import unittest

from iobeam import cli, iobeam, testing
from iobeam.endpoints import devices, tokens
from iobeam.http import request
from iobeam.utils import utils
from tests import loopback, support

try:
    import pytest
except ImportError:
    pytest = None


def script(values=(21.5,), url="https://api.example.org/v1/"):
    """A program as users have them."""
    client = iobeam.ClientBuilder(1, testing.makeToken(1)) \
        .setBackend(url).registerOrSetId("greenhouse-1").build()
    store = client.createDataStore(["temperature", "humidity"])
    for k, value in enumerate(values):
        store.add(k, {"temperature": value})
    client.send()
    return client


class MixinTest(testing.FakeBackendMixin, support.TestCase):
    def test_a_script_talks_to_it_whatever_it_names(self):
        for url in ("https://api.example.org/v1/", "http://127.0.0.1:1/v1/"):
            script(url=url)
        self.assertEqual([testing.Row(1, "greenhouse-1", 0,
                                      {"temperature": 21.5})] * 2,
                         self.backend.rows)
        self.assertEqual({"greenhouse-1": "greenhouse-1"}, self.backend.devices)
        self.assertEqual([21.5, 21.5], self.backend.values("temperature"))
        self.assertEqual([], self.backend.values("humidity"))

    def test_static_calls_as_well(self):
        script([1, 2.5, 3])
        token = testing.makeToken(1)
        for qry, times in (
                (iobeam.QueryReq(1), [0, 1, 2]),
                (iobeam.QueryReq(1, "other"), []),
                (iobeam.QueryReq(1, "greenhouse-1", "temperature"), [0, 1, 2]),
                (iobeam.QueryReq(1).fromTime(1), [1, 2]),
                (iobeam.QueryReq(1).toTime(1), [0, 1]),
                (iobeam.QueryReq(1).limit(2), [1, 2]),
                (iobeam.QueryReq(1).greaterThan(1), [1, 2]),
                (iobeam.QueryReq(1).lessThan(3), [0, 1]),
                (iobeam.QueryReq(1).equals(2.5), [1])):
            result = iobeam.makeQuery(token, qry)["result"]
            self.assertEqual(times, [point["time"] for series in result
                                     for point in series["data"]])
        self.assertRaises(request.UnauthorizedError, iobeam.makeQuery, token,
                          iobeam.QueryReq(2))
        self.assertIsInstance(
            iobeam.fetchDeviceToken("user", 1, "dev"), str)
        self.assertIsInstance(iobeam.fetchDeviceToken(
            testing.makeToken(0, uid=1), 1, "dev"), str)

    def test_every_test_has_a_new_one(self):
        self.assertEqual([], self.backend.requests)


class BackendTest(support.TestCase):
    def setUp(self):
        self.backend = testing.FakeBackend()
        self.client = self.backend.client()
        self.store = self.client.createDataStore(["a"])

    def test_it_goes_when_the_block_ends(self):
        before = request.Requester
        with testing.installed() as backend:
            self.assertIs(backend, request.getRequester("http://x/v1/"))
        self.assertIs(before, request.Requester)
        self.assertIsNot(backend, request.getRequester("http://127.0.0.1/v1/"))

    def test_clients_built_before_talk_to_it_meanwhile(self):
        with loopback.Loopback() as server:
            client = iobeam.ClientBuilder(1, testing.makeToken(1)) \
                .setBackend(server.url).setDeviceId("dev").build()
            shared = request.getRequester(server.url)
            store = client.createDataStore(["a"])
            store.add(1, {"a": 1})
            with testing.installed() as outer:
                client.send()
                store.add(2, {"a": 2})
                with testing.installed() as inner:
                    client.send()
                    shared.get(shared.makeEndpoint("ping")).execute()
                store.add(3, {"a": 3})
                client.send()
                self.assertIsInstance(client._requester, request.Requester)
            store.add(4, {"a": 4})
            client.send()
            client.close()
            self.assertEqual([1, 3], outer.values("a"))
            self.assertEqual([2], inner.values("a"))
            self.assertEqual(["imports", "ping"],
                             [sent.path for sent in inner.requests])
            self.assertEqual([4], [row.values["a"] for row in server.applied])

    def test_clients_built_meanwhile_stay_with_it(self):
        with testing.installed() as backend:
            client = iobeam.ClientBuilder(1, testing.makeToken(1)) \
                .setBackend("http://127.0.0.1:1/v1/").setDeviceId("d").build()
        client.createDataStore(["a"]).add(1, {"a": 1})
        client.send()
        self.assertEqual([1], backend.values("a"))

    def test_requesters_of_the_programs_own_are_left_alone(self):
        own, before = support.FakeRequester(), testing.FakeBackend()
        with testing.installed() as backend:
            class Own(request.Requester):
                def get(self, url):
                    return "its own: " + url

            self.assertEqual("its own: x", Own("http://x/v1/").get("x"))
            for requester in (own, before):
                client = iobeam.ClientBuilder(1, testing.makeToken(1)) \
                    .setBackend(requester).setDeviceId("dev").build()
                client.createDataStore(["a"]).add(1, {"a": 1})
                client.send()
        self.assertEqual([], backend.requests)
        self.assertEqual((1, 1), (len(own.requests), len(before.requests)))

    def test_all_is_as_before_in_whatever_order_installations_end(self):
        before = (request.Requester, request._requesters) + tuple(
            request.Requester.__dict__[name]
            for name in ("makeEndpoint", "get", "post"))
        contexts = [testing.installed() for _ in range(3)]
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
            contexts = [testing.installed() for _ in range(3)]
            backends = [context.__enter__() for context in contexts]
            left = [0, 1, 2]
            for number in order:
                self.assertIs(backends[left[-1]],
                              request.getRequester("http://x/v1/"))
                left.remove(number)
                contexts[number].__exit__(None, None, None)
            self.assertEqual(before, (request.Requester, request._requesters)
                             + tuple(request.Requester.__dict__[name] for name
                                     in ("makeEndpoint", "get", "post")))
        with self.assertRaises(ZeroDivisionError):
            with testing.installed():
                raise ZeroDivisionError()
        self.assertIs(before[0], request.Requester)

    def test_threads_may_install_their_own(self):
        before = request.Requester
        errors = []

        def work():
            for _ in range(50):
                try:
                    with testing.installed():
                        script(url="http://127.0.0.1:1/v1/")
                except request.SendError as error:
                    if not isinstance(error, request.UnauthorizedError):
                        errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], errors)
        self.assertIs(before, request.Requester)

    def test_a_command_talks_to_it(self):
        token = testing.makeToken(1)
        with testing.installed() as backend:
            script()
            with support.mock.patch.dict(os.environ, {
                    "IOBEAM_TOKEN": token, "IOBEAM_PROJECT_ID": "1",
                    "IOBEAM_BACKEND": "http://127.0.0.1:1/v1/"}):
                said = io.StringIO() if str is not bytes else io.BytesIO()
                with support.mock.patch("sys.stdout", said):
                    self.assertEqual(0, cli.main(["query", "--json"]))
        self.assertIn("21.5", said.getvalue())
        self.assertEqual("exports/1/all/all", backend.requests[-1].path)

    def test_what_a_test_puts_into_devices_is_registered(self):
        self.backend.knowsDevices = True
        self.backend.devices["test-device"] = "its name"
        self.store.add(1, {"a": 1})
        self.client.send()
        for projectId in (1, 2):
            with self.assertRaises(request.DuplicateIdError):
                self.backend.builder(projectId).registerDevice(
                    "test-device").build()
        del self.backend.devices["test-device"]
        self.backend.builder().registerDevice("test-device").build()

    def test_unregistered_devices_are_registered_by_their_rows(self):
        self.store.add(1, {"a": 1})
        self.client.send()
        self.assertEqual({"test-device": "test-device"},
                         dict(self.backend.devices))

    def test_what_no_requester_sends(self):
        for change in (lambda req: setattr(req, "method", "PUT"),
                       lambda req: req.setBody({"v": float("nan")})):
            req = self.backend.post(self.backend.makeEndpoint("imports"))
            change(req)
            self.assertRaises(ValueError, req.execute)
        self.assertEqual([], self.backend.requests)

    def test_headers_are_found_in_any_case(self):
        req = self.backend.get(self.backend.makeEndpoint("ping"))
        req.execute()
        for name in ("Content-Type", "content-type"):
            self.assertEqual("application/json", req.getResponseHeader(name))
        self.assertIn("DATE", req.resp.headers)
        self.assertIsNone(req.getResponseHeader("Retry-After"))

    def test_a_refresh_stays_in_its_project(self):
        expired = testing.makeToken(7, exp=1, pms=3)
        client = iobeam.ClientBuilder(7, expired).setBackend(self.backend) \
            .setDeviceId("dev").build()
        claims = utils.readToken(client.projectToken)
        self.assertEqual((7, 3), (claims["pid"], claims["pms"]))

    def test_tokens_handed_out_join_those_accepted(self):
        old = testing.makeToken(1, exp=1000, jti="1")
        self.backend.tokens = set(["opaque", "user"])
        self.assertRaises(request.UnauthorizedError, iobeam.fetchDeviceToken,
                          "another", 1, "dev", backend=self.backend)
        given = iobeam.fetchDeviceToken("user", 1, "dev", backend=self.backend)
        self.assertEqual(set(["opaque", "user", given]), self.backend.tokens)
        devices.DeviceService("opaque", self.backend).registerDevice(1, "dev")
        service = tokens.TokenService(self.backend)
        self.assertRaises(request.UnauthorizedError, service.refreshToken, old)
        self.assertIn(service.refreshToken(given), self.backend.tokens)

    def test_failures_leave_the_rows_pending(self):
        for fault in (500, 503, 302, 404, (200, "<html>log in</html>"),
                      (418, {"errors": [{"code": 9}]}),
                      request.TimeoutError("slow"),
                      request.ConnectionError("gone")):
            self.store.add(1, {"a": 1})
            self.backend.fail(fault)
            with self.assertRaises(request.SendError) as caught:
                self.client.send()
            self.assertEqual(1, caught.exception.pending)
            self.assertEqual([], self.backend.rows)
            self.store.clear()

    def test_a_lost_answer_was_carried_out(self):
        self.store.add(1, {"a": 1})
        self.backend.fail(None, "lost")
        self.client.send()
        self.store.add(2, {"a": 2})
        self.assertRaises(request.ConnectionError, self.client.send)
        self.client.send()
        self.assertEqual([1, 2, 2], self.backend.values("a"))

    def test_what_is_no_fault_is_refused(self):
        for fault in ("losst", 5.5, [500]):
            self.assertRaises(ValueError, self.backend.fail, fault)

    def test_rows_are_refused_one_by_one(self):
        self.store.addRows((k, {"a": k}) for k in range(20))
        self.backend.refuseRows(lambda row: row.values["a"] in (3, 7))
        with self.assertRaises(request.SendError) as caught:
            self.client.send()
        self.assertEqual([3, 7], [found.row["a"] for found
                                  in caught.exception.rejected])
        self.assertEqual(18, len(self.backend.rows))
        self.backend.refuseRows(None)
        self.store.add(3, {"a": 3})
        self.client.send()

    def test_tokens_are_checked_if_told_so(self):
        self.backend.tokens = set()
        self.store.add(1, {"a": 1})
        self.assertRaises(request.UnauthorizedError, self.client.send)
        self.backend.tokens.add(self.client.projectToken)
        self.client.send()

    def test_unknown_devices_are_refused_if_told_so(self):
        self.backend.knowsDevices = True
        self.store.add(1, {"a": 1})
        with self.assertRaises(request.SendError) as caught:
            self.client.send()
        self.assertEqual(404, caught.exception.statusCode)
        client = self.backend.builder().registerDevice("new").build()
        client.createDataStore(["b"]).add(1, {"b": 1})
        client.send()
        self.assertEqual(["new"], list(self.backend.devices))

    def test_too_many_values_are_refused_if_told_so(self):
        self.backend.maxValues = 100
        self.store.addRows((k, {"a": k}) for k in range(1000))
        self.client.send()
        self.assertEqual(list(range(1000)), self.backend.values("a"))

    def test_requests_are_recorded(self):
        self.store.add(1, {"a": 1})
        self.client.send()
        sent, = self.backend.requests
        self.assertEqual(("POST", "imports", {"fmt": "table"}),
                         (sent.method, sent.path, sent.params))
        self.assertEqual([[1000, 1]], sent.body["sources"]["data"])
        self.assertEqual("Bearer " + self.client.projectToken,
                         sent.headers["Authorization"])


@unittest.skipUnless(pytest, "pytest is not installed")
class PytestTest(support.TestCase):
    TEST = (u"import sys\n"
            u"def test_unused():\n"
            u"    assert not [n for n in sys.modules if n == 'iobeam'"
            u" or n.startswith('iobeam.')]\n"
            u"def test_used(iobeamBackend):\n"
            u"    client = iobeamBackend.client()\n"
            u"    client.createDataStore(['a']).add(1, {'a': 1})\n"
            u"    client.send()\n"
            u"    assert iobeamBackend.values('a') == [1]\n")

    def test_the_fixture_costs_nothing_when_unused(self):
        folder = self.folder()
        with open(os.path.join(folder, "test_it.py"), "w") as opened:
            opened.write(str(self.TEST))
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        ran = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             "-p", "pytest_iobeam", folder], cwd=folder,
            env=dict(os.environ, PYTHONPATH=root,
                     PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = ran.communicate()[0].decode("utf-8", "replace")
        self.assertEqual(0, ran.returncode, said)
        self.assertIn("2 passed", said)
