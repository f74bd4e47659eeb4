"""A suite as a user of 0.11.0 had it: doubles for the HTTP layer, old names.

Nothing here uses what came later. The double hands out one and the same
request for ever, and its answers know a status and `json()`, no more.
"""
from __future__ import absolute_import

import os
import re
import shutil
import tempfile
import unittest

from iobeam import iobeam
from iobeam.endpoints import devices, exports, imports, service, tokens
from iobeam.http import request
from iobeam.resources import data, device, query
from iobeam.utils import utils

try:
    from unittest import mock
except ImportError:
    import mock

PROJECT_ID = 1
TOKEN = "dummy"
DEVICE_ID = "test-device"
BASE_URL = "dummy.com/"
TABLE = "table"


class DummyResponse(object):
    def __init__(self, code, answer=None):
        self.status_code = code
        self._answer = answer

    def json(self):
        return self._answer


class NoneResponse(DummyResponse):
    """What requests gives, but with nothing in it."""

    headers = text = content = None


class DummyRequest(request.Request):
    """Answers like the service, from the memory of its backend."""

    Response = DummyResponse

    def __init__(self, backend):
        request.Request.__init__(self, None, None, None)
        self.backend = backend

    def execute(self):
        self.backend.executed += 1
        self.backend.sent.append((self.method, self.url, self.body))
        path = self.url[len(BASE_URL):]
        if path == "tokens/project":
            self._tokens()
        elif path == "devices/timestamp" and self.method == "GET":
            self.resp = self.Response(200, {"server_timestamp": 12345})
        elif self.headers["Authorization"] != "Bearer " + TOKEN:
            self.resp = self.Response(403, {"message": "forbidden"})
        elif path == "devices" and self.method == "POST":
            self._register()
        elif path == "imports" and self.method == "POST":
            self._import()
        elif path.startswith("exports/") and self.method == "GET":
            self.resp = self.Response(200, {"result": [], "url": path,
                                            "params": dict(self.params)})
        else:
            self.resp = self.Response(404, {"errors": [
                {"code": 32, "message": "not found"}]})

    def _refuse(self, status, code, message):
        self.resp = self.Response(status, {"errors": [
            {"code": code, "message": message}]})

    def _tokens(self):
        if self.method == "POST":
            if self.body["refresh_token"] != TOKEN:
                self.resp = self.Response(401, {"message": "refused"})
            else:
                self.resp = self.Response(200, {"token": "new-token"})
        elif self.params.get("project_id") != PROJECT_ID:
            self._refuse(403, 1, "no such project")
        else:
            self.backend.tokenParams = dict(self.params)
            self.resp = self.Response(200, {"token": TOKEN})

    def _register(self):
        body = self.body
        assert body["project_id"] == PROJECT_ID
        if body.get("device_id") in self.backend.devices:
            self._refuse(422, 150, "duplicate id")
        elif body.get("device_name") in self.backend.devices.values():
            self._refuse(422, 151, "duplicate name")
        else:
            deviceId = body.get("device_id", "generated-device-id")
            name = body.get("device_name", deviceId)
            self.backend.devices[deviceId] = name
            self.resp = self.Response(201, {"device_id": deviceId,
                                            "device_name": name})

    def _import(self):
        body = self.body
        if self.backend.failing:
            self._refuse(400, 1, "malformed")
            return
        assert type(body) is dict
        assert body["project_id"] == PROJECT_ID
        if self.params.get("fmt") is TABLE:
            sources = body["sources"]
            assert sources["fields"][0] == "time"
            for row in sources["data"]:
                assert type(row) is list
                assert len(row) == len(sources["fields"])
            self.backend.rows += len(sources["data"])
            self.backend.tables.append(sources)
        else:
            assert "fmt" not in self.params
            for source in body["sources"]:
                self.backend.rows += len(source["data"])
        self.resp = self.Response(200)


class DummyBackend(object):
    """A requester that always gives the same request."""

    Request = DummyRequest

    def __init__(self):
        self.executed = 0
        self.sent = []
        self.devices = {"taken-id": "taken-name"}
        self.failing = False
        self.rows = 0
        self.tables = []
        self.tokenParams = None
        self.request = self.Request(self)

    def makeEndpoint(self, endpoint):
        return BASE_URL + endpoint

    def get(self, url):
        self.request.method = "GET"
        self.request.url = url
        return self.request

    def post(self, url):
        self.request.method = "POST"
        self.request.url = url
        return self.request


class NoneRequest(DummyRequest):
    Response = NoneResponse


class NoneBackend(DummyBackend):
    Request = NoneRequest


class Backends(object):
    """Runs every test with both kinds of answers."""

    backend = DummyBackend


def makeClient(backend=None, deviceId=None, path=None, token=TOKEN):
    client = iobeam._Client(path, PROJECT_ID, token, backend, deviceId)
    client._checkToken = lambda: None
    return client


class TestModules(unittest.TestCase):
    def test_names(self):
        for name in ("ClientBuilder", "DataStore", "DataPoint", "DataSeries",
                     "Timestamp", "TimeUnit", "QueryReq", "makeQuery",
                     "fetchDeviceToken", "__version__", "_Client"):
            self.assertTrue(hasattr(iobeam, name), name)
        self.assertTrue(iobeam.devices is devices)
        self.assertTrue(iobeam.exports is exports)
        self.assertTrue(iobeam.imports is imports)
        self.assertTrue(iobeam.tokens is tokens)
        self.assertTrue(iobeam.request is request)
        self.assertTrue(iobeam.data is data)
        self.assertTrue(iobeam.device is device)
        self.assertTrue(iobeam.query is query)
        self.assertTrue(iobeam.utils is utils)
        self.assertTrue(iobeam.QueryReq is query.Query)
        self.assertTrue(iobeam.DataStore is data.DataStore)
        self.assertTrue(iobeam.DataPoint is data.DataPoint)
        self.assertTrue(iobeam.TimeUnit is data.TimeUnit)

    def test_package(self):
        import iobeam as package
        for name in ("ClientBuilder", "DataStore", "DataPoint", "DataSeries",
                     "Timestamp", "TimeUnit", "QueryReq", "makeQuery",
                     "fetchDeviceToken", "__version__"):
            self.assertTrue(getattr(package, name) is getattr(iobeam, name))

    def test_version(self):
        self.assertTrue(re.match(r"\d+\.\d+\.\d+$", iobeam.__version__))

    def test_errors(self):
        self.assertEqual(150, request.ERROR_CODE_DUPLICATE_DEVICE_ID)
        self.assertTrue(issubclass(devices.DuplicateIdError, request.Error))
        self.assertTrue(issubclass(request.UnknownCodeError, request.Error))
        self.assertEqual("no token set.",
                         str(request.UnauthorizedError.noTokenSet()))


class TestClientBuilder(Backends, unittest.TestCase):
    def setUp(self):
        self.builder = iobeam.ClientBuilder(PROJECT_ID, TOKEN)
        self.path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.path)
        self.idFile = os.path.join(self.path, "iobeam_device_id")
        patched = mock.patch("iobeam.iobeam._Client._checkToken")
        self.checkToken = patched.start()
        self.addCleanup(patched.stop)

    def onDisk(self):
        with open(self.idFile, "r") as opened:
            return opened.read()

    def write(self, deviceId):
        with open(self.idFile, "w") as opened:
            opened.write(deviceId)

    def test_constructor(self):
        self.assertEqual(PROJECT_ID, self.builder._projectId)
        self.assertEqual(TOKEN, self.builder._projectToken)
        self.assertTrue(self.builder._backend is None)

    def test_constructor_invalid(self):
        for projectId in (None, "1", 0, -1, 1.0):
            self.assertRaises(ValueError, iobeam.ClientBuilder, projectId,
                              TOKEN)
        for token in (None, "", 5, []):
            self.assertRaises(ValueError, iobeam.ClientBuilder, PROJECT_ID,
                              token)

    def test_chaining(self):
        builder = self.builder
        self.assertEqual(builder, builder.saveToDisk())
        self.assertEqual(builder, builder.saveToDisk(path="."))
        self.assertEqual(builder, builder.setDeviceId(DEVICE_ID))
        self.assertEqual(builder, builder.registerDevice())
        self.assertEqual(builder, builder.registerDevice(DEVICE_ID, "name"))
        self.assertEqual(builder, builder.registerOrSetId(DEVICE_ID))
        self.assertEqual(builder, builder.registerOrSetId(
            DEVICE_ID, deviceName="name"))
        self.assertEqual(builder, builder.setBackend("test.com"))
        self.assertTrue(builder._backend is not None)

    def test_invalid_ids(self):
        for deviceId in ("", "a b", 5, []):
            self.assertRaises(ValueError, self.builder.setDeviceId, deviceId)
            self.assertRaises(ValueError, self.builder.registerDevice,
                              deviceId)
            self.assertRaises(ValueError, self.builder.registerOrSetId,
                              deviceId)
        self.assertRaises(ValueError, self.builder.setDeviceId, None)
        self.assertRaises(ValueError, self.builder.registerOrSetId, None)

    def build(self, builder=None):
        self.dummy = self.backend()
        builder = builder or self.builder
        builder._backend = self.dummy
        return builder.build()

    def test_build_plain(self):
        client = self.build()
        self.assertEqual(PROJECT_ID, client.projectId)
        self.assertEqual(TOKEN, client.projectToken)
        self.assertTrue(client._path is None)
        self.assertFalse(client.isRegistered())
        self.assertTrue(client.getDeviceId() is None)
        self.assertEqual(0, self.dummy.executed)
        self.assertTrue(self.checkToken.called)

    def test_build_requester_by_setBackend(self):
        dummy = self.backend()
        client = self.builder.setBackend(dummy).registerDevice().build()
        self.assertEqual("generated-device-id", client.getDeviceId())
        self.assertEqual(1, dummy.executed)

    def test_build_device_id(self):
        client = self.build(self.builder.setDeviceId(DEVICE_ID))
        self.assertTrue(client.getDeviceId() is DEVICE_ID)
        self.assertTrue(client.isRegistered())
        self.assertEqual(0, self.dummy.executed)

    def test_build_register(self):
        client = self.build(self.builder.registerDevice())
        self.assertEqual("generated-device-id", client.getDeviceId())
        self.assertEqual(1, self.dummy.executed)
        self.assertEqual(("POST", "dummy.com/devices",
                          {"project_id": PROJECT_ID}), self.dummy.sent[0])

    def test_build_register_own_id(self):
        client = self.build(self.builder.registerDevice(
            deviceId=DEVICE_ID, deviceName="name"))
        self.assertEqual(DEVICE_ID, client.getDeviceId())
        self.assertEqual("name", self.dummy.devices[DEVICE_ID])

    def test_build_register_duplicate(self):
        self.assertRaises(devices.DuplicateIdError, self.build,
                          self.builder.registerDevice("taken-id"))

    def test_build_register_duplicate_name(self):
        self.assertRaises(request.UnknownCodeError, self.build,
                          self.builder.registerDevice("free", "taken-name"))

    def test_build_register_or_set(self):
        client = self.build(self.builder.registerOrSetId("taken-id"))
        self.assertEqual("taken-id", client.getDeviceId())
        self.assertEqual(1, self.dummy.executed)

    def test_disk_register(self):
        self.build(self.builder.saveToDisk(self.path).registerDevice())
        self.assertEqual("generated-device-id", self.onDisk())

    def test_disk_set(self):
        client = self.build(self.builder.saveToDisk(path=self.path)
                            .setDeviceId(DEVICE_ID))
        self.assertEqual(DEVICE_ID, self.onDisk())
        self.assertEqual(self.path, client._path)

    def test_disk_register_or_set(self):
        self.build(self.builder.saveToDisk(self.path)
                   .registerOrSetId("taken-id"))
        self.assertEqual("taken-id", self.onDisk())

    def test_disk_is_read(self):
        self.write(DEVICE_ID)
        client = self.build(self.builder.saveToDisk(self.path))
        self.assertEqual(DEVICE_ID, client.getDeviceId())

    def test_disk_makes_register_unneeded(self):
        self.write(DEVICE_ID)
        for args in ((), (DEVICE_ID,)):
            client = self.build(iobeam.ClientBuilder(PROJECT_ID, TOKEN)
                                .saveToDisk(self.path).registerDevice(*args))
            self.assertEqual(DEVICE_ID, client.getDeviceId())
            self.assertEqual(0, self.dummy.executed)

    def test_disk_is_replaced_by_another_id(self):
        self.write("old-id")
        client = self.build(self.builder.saveToDisk(self.path)
                            .registerDevice(DEVICE_ID))
        self.assertEqual(DEVICE_ID, client.getDeviceId())
        self.assertEqual(1, self.dummy.executed)
        self.assertEqual(DEVICE_ID, self.onDisk())

    def test_disk_explicit_id_goes_first(self):
        self.write("old-id")
        client = self.build(self.builder.saveToDisk(self.path)
                            .setDeviceId(DEVICE_ID))
        self.assertEqual(DEVICE_ID, client.getDeviceId())
        self.assertEqual(DEVICE_ID, self.onDisk())


class TestClient(Backends, unittest.TestCase):
    def setUp(self):
        self.dummy = self.backend()
        self.client = makeClient(self.dummy, DEVICE_ID)

    def test_constructor(self):
        client = iobeam._Client(None, PROJECT_ID, TOKEN, self.dummy)
        self.assertEqual(PROJECT_ID, client.projectId)
        self.assertEqual(TOKEN, client.projectToken)
        self.assertTrue(client._path is None)
        self.assertTrue(client._activeDevice is None)
        self.assertEqual({}, client._dataset)
        self.assertEqual([], client._batches)
        self.assertFalse(client.isRegistered())

    def test_constructor_without_backend(self):
        client = iobeam._Client(None, PROJECT_ID, TOKEN, None)
        self.assertEqual(PROJECT_ID, client.projectId)
        client = iobeam._Client(None, PROJECT_ID, TOKEN, None, DEVICE_ID)
        self.assertTrue(DEVICE_ID is client.getDeviceId())

    def test_constructor_device(self):
        client = iobeam._Client(None, PROJECT_ID, TOKEN, self.dummy,
                                deviceId=DEVICE_ID)
        self.assertTrue(client.getDeviceId() is DEVICE_ID)
        self.assertEqual(DEVICE_ID, client._activeDevice.deviceId)
        self.assertEqual(PROJECT_ID, client._activeDevice.projectId)
        self.assertTrue(client.isRegistered())

    def test_constructor_invalid(self):
        for projectId in (None, 0, "1"):
            self.assertRaises(ValueError, iobeam._Client, None, projectId,
                              TOKEN, self.dummy)
        for token in (None, "", 5):
            self.assertRaises(ValueError, iobeam._Client, None, PROJECT_ID,
                              token, self.dummy)

    def test_setDeviceId(self):
        other = "".join(["other", "-id"])
        self.client.setDeviceId(other)
        self.assertTrue(self.client.getDeviceId() is other)
        for deviceId in (None, "", "a b", 5):
            self.assertRaises(ValueError, self.client.setDeviceId, deviceId)
        self.assertTrue(self.client.getDeviceId() is other)

    def test_registerDevice(self):
        client = makeClient(self.dummy)
        client.registerDevice()
        self.assertEqual("generated-device-id", client.getDeviceId())
        client.registerDevice()
        client.registerDevice("generated-device-id")
        self.assertEqual(1, self.dummy.executed)
        client.registerDevice(deviceId="other", deviceName="name")
        self.assertEqual("other", client.getDeviceId())
        self.assertEqual(2, self.dummy.executed)

    def test_registerDevice_duplicate(self):
        client = makeClient(self.dummy)
        self.assertRaises(devices.DuplicateIdError, client.registerDevice,
                          "taken-id")
        self.assertFalse(client.isRegistered())
        client.registerDevice("taken-id", setOnDupe=True)
        self.assertEqual("taken-id", client.getDeviceId())
        self.assertTrue(client._activeDevice.projectId == PROJECT_ID)

    def test_registerDevice_wrong_token(self):
        client = makeClient(self.dummy, token="wrong")
        with self.assertRaises(request.UnauthorizedError) as caught:
            client.registerDevice()
        self.assertEqual("Invalid credentials.", str(caught.exception))

    def test_registerDevice_does_nothing_before_the_token(self):
        # a real _checkToken would fail on this token
        client = iobeam._Client(None, PROJECT_ID, TOKEN, self.dummy, DEVICE_ID)
        client.registerDevice()
        client.registerDevice(DEVICE_ID)
        self.assertEqual(0, self.dummy.executed)
        self.assertRaises(ValueError, client.registerDevice, "other")

    def test_addDataPoint(self):
        points = [iobeam.DataPoint(k, k) for k in range(3)]
        for point in points:
            self.client.addDataPoint("series", point)
        self.assertTrue("series" in self.client._dataset)
        self.assertFalse("other" in self.client._dataset)
        self.assertEqual(1, len(self.client._dataset))
        self.assertEqual(3, len(self.client._dataset["series"]))
        for point in points:
            self.assertTrue(point in self.client._dataset["series"])

    def test_addDataPoint_equal(self):
        for _ in range(2):
            self.client.addDataPoint("series", iobeam.DataPoint(1, 5))
        self.assertEqual(1, len(self.client._dataset["series"]))

    def test_addDataPoint_invalid(self):
        for name in (None, "", 5):
            self.assertRaises(ValueError, self.client.addDataPoint, name,
                              iobeam.DataPoint(1))
        for point in (None, 5, "point"):
            self.client.addDataPoint("series", point)
        self.assertFalse("series" in self.client._dataset)
        self.assertEqual(0, len(self.client._dataset))

    def test_addDataSeries(self):
        points = [iobeam.DataPoint(k, k) for k in range(3)]
        self.client.addDataSeries(iobeam.DataSeries("series", points))
        self.client.addDataSeries(iobeam.DataSeries("series", points[:1]))
        self.assertEqual(3, len(self.client._dataset["series"]))

    def test_addDataSeries_invalid(self):
        for series in (None, 5, "series", [], iobeam.DataPoint(1)):
            self.assertRaises(ValueError, self.client.addDataSeries, series)
        self.client.addDataSeries(iobeam.DataSeries("series", []))
        self.client.addDataSeries(iobeam.DataSeries("series", None))
        self.assertEqual(0, len(self.client._dataset))

    def test_clearSeries(self):
        self.client.addDataPoint("a", iobeam.DataPoint(1))
        self.client.addDataPoint("b", iobeam.DataPoint(1))
        self.client.clearSeries("a")
        self.client.clearSeries("unknown")
        self.assertFalse("a" in self.client._dataset)
        self.assertTrue("b" in self.client._dataset)

    def test_createDataStore(self):
        store = self.client.createDataStore(["a", "b"])
        self.assertTrue(isinstance(store, iobeam.DataStore))
        self.assertEqual(["a", "b"], store.columns())
        self.assertTrue(store in self.client._batches)
        self.assertEqual(1, len(self.client._batches))

    def test_createDataStore_same(self):
        store = self.client.createDataStore(["a", "b"])
        self.assertTrue(store is self.client.createDataStore(["a", "b"]))
        self.assertTrue(store is self.client.createDataStore(["b", "a"]))
        self.assertFalse(store is self.client.createDataStore(["a"]))
        self.assertFalse(store is self.client.createDataStore(["a", "b", "c"]))
        self.assertEqual(3, len(self.client._batches))

    def test_createDataStore_invalid(self):
        for columns in (None, [], "a", [1], ["time"], ["ALL"], [""]):
            self.assertRaises(ValueError, self.client.createDataStore, columns)
        self.assertEqual(0, len(self.client._batches))

    def test_addDataStore(self):
        store = iobeam.DataStore(["a"])
        self.client.addDataStore(store)
        self.assertTrue(self.client._batches[0] is store)
        self.client.addDataStore(None)
        for wrong in (5, "store", [], {}):
            self.assertRaises(ValueError, self.client.addDataStore, wrong)
        self.assertEqual(1, len(self.client._batches))

    def test_convertDataSetToBatches(self):
        points = dict((name, [iobeam.DataPoint(k, k) for k in range(count)])
                      for name, count in (("a", 1), ("b", 2)))
        for name in ("a", "b"):
            for point in points[name]:
                self.client.addDataPoint(name, point)
        batches = self.client._convertDataSetToBatches()
        self.assertEqual(0, len(self.client._dataset))
        self.assertEqual([], self.client._batches)
        self.assertEqual(2, len(batches))
        found = dict((store.columns()[0], store) for store in batches)
        for name in ("a", "b"):
            self.assertEqual([name], found[name].columns())
            self.assertEqual(len(points[name]), len(found[name]))
            self.assertEqual(
                sorted((p.toDict()["time"], p.toDict()["value"])
                       for p in points[name]),
                sorted((row["time"], row[name])
                       for row in found[name].rows()))

    def test_convertDataSetToBatches_set_by_hand(self):
        self.client._dataset["a"] = set([iobeam.DataPoint(1, 5)])
        self.client._dataset["b"] = [iobeam.DataPoint(2, 6)]
        batches = self.client._convertDataSetToBatches()
        self.assertEqual({}, self.client._dataset)
        self.assertEqual([["a"], ["b"]],
                         sorted(store.columns() for store in batches))
        self.assertEqual([], self.client._batches)

    def test_convertDataSetToBatches_replaced(self):
        self.client._dataset = {"a": set([iobeam.DataPoint(1, 5)])}
        self.client.addDataPoint("b", iobeam.DataPoint(1, 5))
        self.assertEqual(["a", "b"], sorted(self.client._dataset))
        self.assertTrue(self.client.send())
        self.assertEqual({}, self.client._dataset)
        self.assertEqual(2, self.dummy.rows)

    def test_batches_hold_what_the_script_tracks_only(self):
        store = self.client.createDataStore(["a", "b"])
        for failing in (False, True):
            self.dummy.failing = failing
            self.client.addDataPoint("a", iobeam.DataPoint(1, 5))
            self.assertEqual([store], self.client._batches)
            if failing:
                self.assertRaises(Exception, self.client.send)
            else:
                self.client.send()
            self.assertEqual([store], self.client._batches)
            self.assertEqual(0, len(self.client._dataset))

    def test_convertDataSetToBatches_nothing(self):
        self.assertEqual([], self.client._convertDataSetToBatches())
        self.assertEqual([], self.client._batches)

    def test_send_nothing(self):
        self.assertTrue(self.client.send() is True)
        self.assertEqual(0, self.dummy.executed)

    def test_send_store(self):
        store = self.client.createDataStore(["a", "b"])
        store.add(iobeam.Timestamp(5), {"a": 1, "b": 2.5})
        store.add(6, {"b": "text"})
        self.assertTrue(self.client.send() is True)
        self.assertEqual(1, self.dummy.executed)
        self.assertEqual({"fields": ["time", "a", "b"],
                          "data": [[5000, 1, 2.5], [6000, None, "text"]]},
                         self.dummy.tables[0])
        self.assertEqual(0, len(store))
        self.assertTrue(store in self.client._batches)
        self.assertTrue(self.client.send())
        self.assertEqual(1, self.dummy.executed)

    def test_send_body(self):
        store = self.client.createDataStore(["a"])
        store.add(5, {"a": 1})
        self.client.send()
        self.assertEqual(
            ("POST", "dummy.com/imports", {
                "project_id": PROJECT_ID, "device_id": DEVICE_ID,
                "timefmt": "usec",
                "sources": {"fields": ["time", "a"], "data": [[5000, 1]]}}),
            self.dummy.sent[0])
        self.assertTrue(self.dummy.request.params["fmt"] is TABLE)

    def test_send_points(self):
        for k in range(3):
            self.client.addDataPoint("series", iobeam.DataPoint(k, k))
        self.assertTrue(self.client.send())
        self.assertEqual(3, self.dummy.rows)
        self.assertEqual(["time", "series"], self.dummy.tables[0]["fields"])
        self.assertEqual(0, len(self.client._dataset))

    def test_send_large(self):
        store = self.client.createDataStore(["a", "b"])
        for k in range(1250):
            store.add(k, {"a": k, "b": k})
        self.assertTrue(self.client.send())
        self.assertEqual(3, self.dummy.executed)
        self.assertEqual([500, 500, 250],
                         [len(table["data"]) for table in self.dummy.tables])

    def test_send_failing(self):
        self.dummy.failing = True
        store = self.client.createDataStore(["a"])
        store.add(5, {"a": 1})
        with self.assertRaises(Exception) as caught:
            self.client.send()
        self.assertTrue(str(caught.exception).startswith(
            "send failed. server sent: "))
        self.assertTrue("malformed" in str(caught.exception))

    def test_send_wrong_token(self):
        client = makeClient(self.dummy, DEVICE_ID, token="wrong")
        client.createDataStore(["a"]).add(5, {"a": 1})
        with self.assertRaises(request.UnauthorizedError) as caught:
            client.send()
        self.assertTrue(str(caught.exception).startswith(
            "send failed. server sent: "))
        self.assertTrue("forbidden" in str(caught.exception),
                        str(caught.exception))
        self.assertEqual(403, caught.exception.statusCode)
        self.assertEqual(1, len(client._batches[0]))

    def test_send_without_device(self):
        client = makeClient(self.dummy)
        client.createDataStore(["a"]).add(5, {"a": 1})
        self.assertRaises(Exception, client.send)
        client.setDeviceId(DEVICE_ID)
        self.assertTrue(client.send())
        self.assertEqual(1, self.dummy.rows)

    def test_send_device_set_by_hand(self):
        client = makeClient(self.dummy)
        client._activeDevice = device.Device(PROJECT_ID, "by-hand")
        client.createDataStore(["a"]).add(5, {"a": 1})
        client.addDataPoint("b", iobeam.DataPoint(1))
        self.assertTrue(client.isRegistered())
        self.assertEqual("by-hand", client.getDeviceId())
        self.assertTrue(client.send())
        self.assertEqual(2, self.dummy.rows)
        self.assertEqual("by-hand", self.dummy.sent[0][2]["device_id"])

    def test_send_store_added_by_hand(self):
        store = iobeam.DataStore(["a"])
        store.add(5, {"a": 1})
        self.client._batches.append(store)
        self.assertTrue(self.client.send())
        self.assertEqual(1, self.dummy.rows)
        self.assertEqual(0, len(store))

    def test_send_stores_replaced_by_hand(self):
        store = iobeam.DataStore(["a"])
        store.add(5, {"a": 1})
        self.client.createDataStore(["b"])
        self.client._batches = [store]
        self.assertTrue(self.client.send())
        self.assertEqual(1, self.dummy.rows)
        self.client._batches = []
        store.add(6, {"a": 1})
        self.assertTrue(self.client.send())
        self.assertEqual(1, self.dummy.rows)

    def test_send_checks_the_token(self):
        self.client._checkToken = mock.Mock()
        self.client.send()
        self.client._checkToken.assert_called_once_with()

    def test_send_token_error_passes(self):
        def fail():
            raise KeyError("mine")

        self.client._checkToken = fail
        self.assertRaises(KeyError, self.client.send)
        self.client._checkToken = lambda: None
        self.assertTrue(self.client.send())

    def test_checkToken_replaced_on_class(self):
        before = iobeam._Client._checkToken
        iobeam._Client._checkToken = lambda self: None
        try:
            client = iobeam._Client(None, PROJECT_ID, TOKEN, self.dummy)
            client.registerDevice("own-id")
            client.addDataPoint("a", iobeam.DataPoint(1))
            self.assertTrue(client.send())
        finally:
            iobeam._Client._checkToken = before
        self.assertEqual(1, self.dummy.rows)

    def test_two_clients_share_nothing(self):
        other = makeClient(self.dummy, "other-id")
        self.client.addDataPoint("a", iobeam.DataPoint(1))
        self.client.createDataStore(["b"])
        self.assertEqual({}, other._dataset)
        self.assertEqual([], other._batches)


class TestToken(Backends, unittest.TestCase):
    # uid 0, pid 1, exp 1449234660, pms 3; kid 10, as the service made them
    SAMPLE = ("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6MTB9."
              "eyJ1aWQiOjAsInBpZCI6MSwiZXhwIjoxNDQ5MjM0NjYwLCJwbXMiOjN9."
              "c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmE=")
    EXPIRY = 1449234660

    def check(self, now, answer):
        dummy = self.backend()
        client = iobeam._Client(None, PROJECT_ID, self.SAMPLE, dummy)

        def execute():
            dummy.executed += 1
            dummy.request.resp = answer

        dummy.request.execute = execute
        with mock.patch("iobeam.utils.utils.time.time", return_value=now):
            client._checkToken()
        self.executed = dummy.executed
        return client.projectToken

    def test_isExpiredToken(self):
        for now, expired in ((self.EXPIRY + 1, True),
                             (self.EXPIRY - 3600, True),
                             (self.EXPIRY - 25 * 3600, False), (0, False)):
            with mock.patch.object(utils.time, "time", return_value=now):
                self.assertEqual(expired, utils.isExpiredToken(self.SAMPLE))

    def test_isExpiredToken_time_replaced(self):
        before = utils.time.time
        utils.time.time = lambda: 0
        try:
            self.assertFalse(utils.isExpiredToken(self.SAMPLE))
        finally:
            utils.time.time = before
        self.assertTrue(utils.isExpiredToken(self.SAMPLE))

    def test_isExpiredToken_invalid(self):
        for token in (None, "", "dummy", 5):
            self.assertRaises(ValueError, utils.isExpiredToken, token)

    def test_good(self):
        self.assertEqual(self.SAMPLE, self.check(0, None))
        self.assertEqual(0, self.executed)

    def test_expired(self):
        new = self.SAMPLE.replace("kid", "kid")[:-1] + "B"
        self.assertEqual(new, self.check(
            self.EXPIRY - 3600, DummyResponse(200, {"token": new})))
        self.assertEqual(1, self.executed)

    def test_expired_and_refused(self):
        self.assertEqual(self.SAMPLE, self.check(
            self.EXPIRY + 1, DummyResponse(401, {"message": "refused"})))
        self.assertEqual(1, self.executed)


class TestStatics(Backends, unittest.TestCase):
    def test_query(self):
        dummy = self.backend()
        qry = iobeam.QueryReq(PROJECT_ID, DEVICE_ID).limit(5)
        for found in (iobeam._Client.query(TOKEN, qry, dummy),
                      iobeam._Client.query(TOKEN, qry, backend=dummy),
                      iobeam.makeQuery(TOKEN, qry, dummy),
                      iobeam.makeQuery(TOKEN, qry, backend=dummy)):
            self.assertEqual("exports/1/test-device/all", found["url"])
            self.assertEqual({"limit": 5}, found["params"])

    def test_query_invalid(self):
        qry = iobeam.QueryReq(PROJECT_ID)
        self.assertRaises(ValueError, iobeam.makeQuery, TOKEN, None,
                          self.backend())
        self.assertRaises(request.UnauthorizedError, iobeam.makeQuery, None,
                          qry, self.backend())
        self.assertRaises(ValueError, iobeam.makeQuery, "", qry,
                          self.backend())

    def test_makeQuery_calls_query(self):
        calls = []
        before = iobeam._Client.__dict__["query"]
        iobeam._Client.query = staticmethod(
            lambda token, qry, backend: calls.append((token, qry, backend)))
        try:
            iobeam.makeQuery("t", "q")
            iobeam.makeQuery("t", "q", "b")
            iobeam.makeQuery("t", "q", backend="b")
        finally:
            iobeam._Client.query = before
        self.assertEqual([("t", "q", None), ("t", "q", "b"), ("t", "q", "b")],
                         calls)

    def test_fetchToken(self):
        dummy = self.backend()
        self.assertEqual(TOKEN, iobeam._Client.fetchToken(
            "user", PROJECT_ID, backend=dummy))
        self.assertEqual({"project_id": PROJECT_ID}, dummy.tokenParams)
        iobeam._Client.fetchToken("user", PROJECT_ID, "5w", {"read": True},
                                  dummy)
        self.assertTrue(dummy.tokenParams["read"] is True)
        self.assertEqual("5w", dummy.tokenParams["duration"])

    def test_fetchDeviceToken(self):
        dummy = self.backend()
        self.assertEqual(TOKEN, iobeam.fetchDeviceToken(
            "user", PROJECT_ID, DEVICE_ID, backend=dummy))
        self.assertEqual({"project_id": PROJECT_ID, "device_id": DEVICE_ID},
                         dummy.tokenParams)
        options = {"write": True}
        iobeam.fetchDeviceToken("user", PROJECT_ID, DEVICE_ID, duration="1d",
                                options=options, backend=dummy)
        self.assertEqual(DEVICE_ID, dummy.tokenParams["device_id"])
        self.assertEqual("1d", dummy.tokenParams["duration"])
        self.assertEqual({"write": True}, options)

    def test_fetchDeviceToken_invalid(self):
        for deviceId in (None, "", "a b", 5):
            self.assertRaises(ValueError, iobeam.fetchDeviceToken, "user",
                              PROJECT_ID, deviceId, backend=self.backend())
        for options in (5, [], "read"):
            self.assertRaises(ValueError, iobeam.fetchDeviceToken, "user",
                              PROJECT_ID, DEVICE_ID, None, options,
                              self.backend())


class TestServices(Backends, unittest.TestCase):
    def setUp(self):
        self.dummy = self.backend()

    def test_endpoint_service(self):
        found = service.EndpointService(TOKEN, requester=self.dummy)
        self.assertEqual(TOKEN, found.token)
        self.assertTrue(found._requester is self.dummy)
        self.assertTrue(found.requester() is self.dummy)
        self.assertEqual("dummy.com/test", found.makeEndpoint("test"))
        self.assertTrue(service.EndpointService(None)._requester
                        is request.getRequester())

    def test_devices(self):
        found = devices.DeviceService(TOKEN, requester=self.dummy)
        registered = found.registerDevice(PROJECT_ID, deviceId="own")
        self.assertTrue(isinstance(registered, device.Device))
        self.assertEqual("own", registered.deviceId)
        self.assertEqual(12345, found.getTimestamp())
        self.assertRaises(devices.DuplicateIdError, found.registerDevice,
                          PROJECT_ID, "own")
        self.assertRaises(request.UnauthorizedError, devices.DeviceService(
            "wrong", requester=self.dummy).registerDevice, PROJECT_ID)
        self.assertRaises(request.UnauthorizedError, devices.DeviceService(
            None, requester=self.dummy).registerDevice, PROJECT_ID)

    def test_imports(self):
        found = imports.ImportService(TOKEN, requester=self.dummy)
        series = iobeam.DataSeries("a", [iobeam.DataPoint(1),
                                         iobeam.DataPoint(2)])
        self.assertEqual((True, None), found.importData(
            PROJECT_ID, DEVICE_ID, series))
        store = iobeam.DataStore(["a"])
        store.add(1, {"a": 1})
        self.assertEqual((True, None), found.importBatch(
            PROJECT_ID, DEVICE_ID, store))
        self.assertEqual(3, self.dummy.rows)
        self.dummy.failing = True
        success, extra = found.importBatch(PROJECT_ID, DEVICE_ID, store)
        self.assertTrue(success is False)
        self.assertEqual("malformed", extra["errors"][0]["message"])

    def test_imports_limit_patched(self):
        store = iobeam.DataStore(["a"])
        for k in range(25):
            store.add(k, {"a": k})
        before = imports.ImportService._BATCH_SIZE
        imports.ImportService._BATCH_SIZE = 10
        try:
            client = makeClient(self.dummy, DEVICE_ID)
            client.addDataStore(store)
            self.assertTrue(client.send())
        finally:
            imports.ImportService._BATCH_SIZE = before
        self.assertEqual([10, 10, 5],
                         [len(table["data"]) for table in self.dummy.tables])

    def test_tokens(self):
        found = tokens.TokenService(requester=self.dummy)
        self.assertTrue(found.token is None)
        self.assertEqual("new-token", found.refreshToken(TOKEN))
        self.assertRaises(request.UnknownCodeError, found.refreshToken,
                          "wrong")
        self.assertEqual(TOKEN, found.getProjectToken("user", PROJECT_ID))
        self.assertRaises(request.Error, found.getProjectToken, "user", 99)

    def test_exports(self):
        found = exports.ExportService(TOKEN, requester=self.dummy)
        self.assertEqual([], found.getData(query.Query(PROJECT_ID))["result"])

    def test_mock_requester(self):
        # a user in a hurry: mocks all the way down
        requester = mock.MagicMock()
        req = request.Request("POST", "u", None)
        req.execute = lambda: None
        req.resp = mock.MagicMock(status_code=200)
        req.resp.json.return_value = {}
        requester.post.return_value = requester.get.return_value = req
        client = makeClient(requester, DEVICE_ID)
        client.addDataPoint("a", iobeam.DataPoint(1))
        client.createDataStore(["b"]).add(1, {"b": 1})
        self.assertTrue(client.send())
        self.assertEqual(2, requester.post.call_count)

    def test_mock_requester_and_disk(self):
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path)
        client = makeClient(mock.MagicMock(), DEVICE_ID, path)
        with open(os.path.join(path, "iobeam_device_id")) as opened:
            self.assertEqual(DEVICE_ID, opened.read())
        self.assertEqual(path, client._path)


def _withNone(case):
    return type(case.__name__ + "WithNone", (case,), {"backend": NoneBackend,
                                                      "__module__": __name__})


TestClientBuilderWithNone = _withNone(TestClientBuilder)
TestClientWithNone = _withNone(TestClient)
TestTokenWithNone = _withNone(TestToken)
TestStaticsWithNone = _withNone(TestStatics)
TestServicesWithNone = _withNone(TestServices)


if __name__ == "__main__":
    unittest.main()
