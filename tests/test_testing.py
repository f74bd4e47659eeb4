from __future__ import absolute_import

import os
import subprocess
import sys
import unittest

from iobeam import iobeam, testing
from iobeam.http import request
from tests import support

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
                (iobeam.QueryReq(2), []),
                (iobeam.QueryReq(1, "greenhouse-1", "temperature"), [0, 1, 2]),
                (iobeam.QueryReq(1).fromTime(1), [1, 2]),
                (iobeam.QueryReq(1).toTime(1), [0, 1]),
                (iobeam.QueryReq(1).limit(2), [0, 1]),
                (iobeam.QueryReq(1).greaterThan(1), [1, 2]),
                (iobeam.QueryReq(1).lessThan(3), [0, 1]),
                (iobeam.QueryReq(1).equals(2.5), [1])):
            result = iobeam.makeQuery(token, qry)["result"]
            self.assertEqual(times, [point["time"] for series in result
                                     for point in series["data"]])
        self.assertRaises(request.UnknownCodeError, iobeam.makeQuery, token,
                          iobeam.QueryReq(1).groupBy("1h").operator("mean"))
        self.assertIsInstance(
            iobeam.fetchDeviceToken("user", 1, "dev"), str)

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
