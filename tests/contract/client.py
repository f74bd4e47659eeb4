"""The same through the public names of the library."""
from __future__ import absolute_import

import time

from iobeam import iobeam
from iobeam.http import request
from iobeam.resources import data
from iobeam.utils import utils
from .asking import DAY, DEVICE, READ, WRITE, Asking


class ClientContract(Asking):
    def builder(self, token=None):
        return iobeam.ClientBuilder(self.project, token or self.full) \
            .setBackend(self.backend)

    def client(self, build=lambda builder: builder.setDeviceId(DEVICE),
               token=None):
        client = build(self.builder(token)).build()
        self.addCleanup(client.close)
        return client

    def query(self, series=None, unit=data.TimeUnit.MILLISECONDS, token=None,
              change=lambda query: query):
        return iobeam.makeQuery(token or self.full, change(iobeam.QueryReq(
            self.project, DEVICE, series, unit)), self.backend)

    def test_registering(self):
        made = self.client(lambda builder: builder.registerDevice())
        self.assertRegex(made.getDeviceId(), r"\A[a-zA-Z0-9_:-]{16,48}\Z")
        self.assertRaises(request.DuplicateIdError, self.client,
                          lambda builder: builder.registerDevice(DEVICE))
        self.assertRaises(request.DuplicateNameError, self.client,
                          lambda builder: builder.registerDevice("x", DEVICE))
        found = self.client(lambda builder: builder.registerOrSetId(DEVICE))
        self.assertEqual(DEVICE, found.getDeviceId())

    def test_sending_and_asking(self):
        client = self.client()
        store = client.createDataStore(["a", "b"])
        store.addRows((k, {"a": k, "b": u"\xe9"}) for k in range(2500))
        client.addDataPoint("c", iobeam.DataPoint(1.5, 7))
        self.assertTrue(client.send())
        self.assertEqual(0, client.pending())
        for change, expected in (
                (lambda query: query.limit(2), [2498, 2499]),
                (lambda query: query.fromTime(2498), [2498, 2499]),
                (lambda query: query.toTime(1), [0, 1]),
                (lambda query: query.inTimeRange(5, 6), [5, 6]),
                (lambda query: query.greaterThan(2497.5), [2498, 2499]),
                (lambda query: query.lessThan(1), [0]),
                (lambda query: query.inValueRange(3, 5), [4]),
                (lambda query: query.equals(9), [9])):
            found, = self.query("a", change=change)["result"]
            self.assertSame([{"time": k, "value": k} for k in expected],
                            found["data"])
        self.assertEqual([], self.query(
            "b", change=lambda query: query.greaterThan(1))["result"])
        self.assertEqual(["a", "b", "c"], [
            one["name"] for one in self.query()["result"]])
        found, = self.query("c", data.TimeUnit.MICROSECONDS)["result"]
        self.assertSame([{"time": 7000, "value": 1.5}], found["data"])
        found, = self.query("a", data.TimeUnit.SECONDS, change=lambda query:
                            query.groupBy("1s").operator("count"))["result"]
        self.assertSame([[0, 1000], [1, 1000], [2, 500]],
                        [[one["time"], one["value"]] for one in found["data"]])
        self.assertEqual(
            u"project_id,device_id,name,time,value\n{},{},c,7,1.5\n".format(
                self.project, DEVICE),
            self.query("c", change=lambda query: query.output("csv")))

    def test_rows_of_the_wrong_type_are_handed_back(self):
        client = self.client()
        client.createDataStore(["a"]).addRows(
            (k, {"a": "x" if k in (3, 5) else k}) for k in range(10))
        with self.assertRaises(request.SendError) as caught:
            client.send()
        self.assertEqual([3, 5], [found.row["time"] // 1000 for found
                                  in caught.exception.rejected])
        self.assertEqual((422, 3), (
            caught.exception.statusCode,
            caught.exception.rejected[0].apiErrors[0]["code"]))
        self.assertEqual(8, len(self.points()))

    def test_unknown_devices_and_tokens_without_the_right(self):
        for error, client in (
                (request.SendError, self.client(
                    lambda builder: builder.setDeviceId("new"))),
                (request.UnauthorizedError, self.client(
                    token=self.token(READ)))):
            client.createDataStore(["a"]).add(1, {"a": 1})
            self.assertRaises(error, client.send)
            self.assertEqual(1, client.pending())
            client.createDataStore(["a"]).clear()
        self.assertRaises(request.UnauthorizedError, self.query,
                          token=self.token(WRITE))
        self.assertRaises(request.UnknownCodeError, iobeam.makeQuery,
                          self.full, iobeam.QueryReq(
                              self.project, DEVICE, "a/../b").operator("sum")
                          .groupBy("999999999999w"), self.backend)

    def test_tokens(self):
        fetched = iobeam.fetchDeviceToken(
            self.userToken(), self.project, DEVICE, "5w", {"admin": False},
            self.backend)
        claims = utils.readToken(fetched)
        self.assertEqual((self.project, DEVICE, 35 * DAY, READ | WRITE),
                         tuple(claims[name] for name
                               in ("pid", "did", "dur", "pms")))
        self.client(token=str(fetched)).send()
        client = self.client(token=self.token(READ | WRITE,
                                              exp=int(time.time()) - 60))
        claims = utils.readToken(client.projectToken)
        self.assertEqual((self.project, READ | WRITE),
                         (claims["pid"], claims["pms"]))
        self.assertGreater(claims["exp"], time.time() + 29 * DAY)
        client.createDataStore(["a"]).add(1, {"a": 1})
        client.send()

    def test_the_clock(self):
        client = self.client(lambda builder: builder.setDeviceId(DEVICE)
                             .useServerTime())
        client.createDataStore(["a"]).add(None, {"a": 1})
        client.send()
        (moment, _), = self.points()
        self.assertLess(abs(moment / 1e6 - time.time()), 100)
        self.assertLess(abs(client.stats()["clockOffset"]), 100)
