# -*- coding: utf-8 -*-
from __future__ import absolute_import

from iobeam.endpoints import imports
from iobeam.http import request
from iobeam.resources.data import DataPoint, DataSeries, DataStore
from tests import support
from tests.support import (FakeRequester, FakeResponse, RichResponse, given,
                           mock, refusal, st)

ImportService = imports.ImportService


class Alike(object):
    """Quacks like a DataPoint."""

    def __init__(self, value, usec):
        self._found = {"time": usec, "value": value}

    def toDict(self):
        return self._found


def points(count, start=0):
    return [DataPoint(k, start + k) for k in range(count)]


def store(rows, columns=("a", "b")):
    made = DataStore(list(columns))
    made.addRows((k, {columns[0]: k}) for k in range(rows))
    return made


class Importing(object):
    """What importData and importBatch have in common."""

    def setUp(self):
        self.requester = FakeRequester(default=FakeResponse(200))
        self.service = ImportService("token", self.requester)

    def test_everything_taken_is_true_and_none(self):
        for answer in (FakeResponse(200), FakeResponse(200, {}),
                       FakeResponse(200, []), FakeResponse(201),
                       FakeResponse(204), FakeResponse(200, {"errors": []}),
                       RichResponse(200), RichResponse(200, {"a": 1}),
                       RichResponse(200, "text")):
            self.requester.script.append(answer)
            self.assertEqual((True, None), self.call(self.good(1)))

    def test_a_refusal_is_false_and_the_answer(self):
        for answer, said in (
                (refusal(400, 1, "m"), {"errors": [{"code": 1,
                                                    "message": "m"}]}),
                (FakeResponse(500), None), (FakeResponse(302), None),
                (FakeResponse(401, {"message": "m"}), {"message": "m"}),
                (FakeResponse(200, {"errors": [{"code": 1}]}),
                 {"errors": [{"code": 1}]}),
                (RichResponse(200, text=u"<html>portal</html>"), None)):
            self.requester.script.append(answer)
            found = self.call(self.good(1))
            self.assertEqual((False, said), found)
            self.assertIs(False, found[0])

    def test_it_stops_at_the_first_refusal(self):
        self.requester.script += [FakeResponse(200), refusal(400, 7)]
        success, extra = self.call(self.good(5000))
        self.assertFalse(success)
        self.assertEqual(7, extra["errors"][0]["code"])
        self.assertEqual(2, len(self.requester.requests))

    def test_each_request_carries_the_token(self):
        self.call(self.good(2500))
        for sent in self.requester.requests:
            self.assertEqual(("POST", "imports", "Bearer token"), (
                sent.method, sent.path, sent.headers["Authorization"]))
            self.assertEqual((1, "dev", "usec"), (
                sent.body["project_id"], sent.body["device_id"],
                sent.body["timefmt"]))

    def test_nothing_to_send_makes_no_request(self):
        self.assertEqual((True, None), self.call(self.good(0)))
        self.assertEqual([], self.requester.requests)

    def test_the_arguments_are_checked_in_order(self):
        good = self.good(1)
        for value in (None, "1", True):
            self.assertSays("projectId must be an int", self.call, None,
                            value, None, token=None)
        self.assertSays("projectId must be greater than 0", self.call, None,
                        0, None, token=None)
        with self.assertRaises(request.UnauthorizedError) as caught:
            self.call(None, 1, None, token=None)
        self.assertEqual("no token set.", str(caught.exception))
        self.assertSays("token must be more than 0 characters", self.call,
                        None, 1, None, token="")
        self.assertSays("token must be a string", self.call, None, 1, None,
                        token=5)
        for value in (None, 5):
            self.assertSays("deviceId must be a string", self.call, None, 1,
                            value)
        self.assertSays("deviceId must be more than 0 characters", self.call,
                        None, 1, "")
        self.assertSays("deviceId can only include a-z, A-Z, 0-9, _, :, and -",
                        self.call, None, 1, "a b")
        self.assertRaises(ValueError, self.call, None)
        self.call(good)
        self.assertEqual(1, len(self.requester.requests))

    def test_what_goes_wrong_below_passes_through(self):
        error = request.TimeoutError("t")
        self.requester.script.append(error)
        with self.assertRaises(request.TimeoutError) as caught:
            self.call(self.good(1))
        self.assertIs(error, caught.exception)


class ImportDataTest(Importing, support.TestCase):
    def good(self, count):
        return DataSeries("temp", points(count))

    def call(self, series, projectId=1, deviceId="dev", token="token"):
        self.service.token = token
        return self.service.importData(projectId, deviceId, series)

    def test_the_body_is_the_list_format(self):
        self.call(DataSeries("temp", [DataPoint(1, 5), DataPoint(2.5, 6)]))
        sent, = self.requester.requests
        self.assertEqual({}, sent.params)
        self.assertEqual([{"name": "temp", "data": [
            {"time": 5000, "value": 1}, {"time": 6000, "value": 2.5}]}],
            sent.body["sources"])

    def test_points_need_only_to_quack(self):
        self.call(DataSeries("temp", [Alike(1, 5)]))
        self.assertEqual([{"time": 5, "value": 1}],
                         self.requester.requests[0].body["sources"][0]["data"])

    def test_nan_travels_as_null(self):
        self.call(DataSeries("temp", [DataPoint(float("nan"), 1),
                                      Alike(float("inf"), 2)]))
        self.assertEqual(
            [{"time": 1000, "value": None}, {"time": 2, "value": None}],
            self.requester.requests[0].body["sources"][0]["data"])

    def test_a_dict_of_series_is_taken(self):
        self.call({"a": set(points(1)), "b": (p for p in points(2)), "c": []})
        sent, = self.requester.requests
        self.assertEqual({"a": 1, "b": 2}, dict(
            (found["name"], len(found["data"]))
            for found in sent.body["sources"]))

    def test_1000_points_are_one_request_and_1001_are_two(self):
        self.call(self.good(1000))
        self.assertEqual(1, len(self.requester.requests))
        self.call(self.good(1001))
        self.assertEqual(3, len(self.requester.requests))


class ImportBatchTest(Importing, support.TestCase):
    def good(self, count):
        return store(count)

    def call(self, rows, projectId=1, deviceId="dev", token="token"):
        self.service.token = token
        return self.service.importBatch(projectId, deviceId, rows)

    def test_the_body_is_the_table_format(self):
        self.call(store(2))
        sent, = self.requester.requests
        self.assertEqual({"project_id": 1, "device_id": "dev",
                          "timefmt": "usec", "sources": {
                              "fields": ["time", "a", "b"],
                              "data": [[0, 0, None], [1000, 1, None]]}},
                         sent.body)

    def test_the_parameter_is_the_literal_of_every_module(self):
        self.call(store(1))
        value = self.requester.requests[0].params["fmt"]
        self.assertIs(value, "".join(["ta", "ble"]) and _literal())
        self.assertIs(str, type(value))

    def test_the_store_keeps_its_rows(self):
        rows = store(3)
        self.call(rows)
        self.assertEqual(6, len(rows))

    def test_what_is_no_store_is_refused(self):
        for value in ([], {}, "store", 5, DataSeries("a", [])):
            with self.assertRaisesRegex(ValueError, "DataStore"):
                self.call(value)

    def test_a_store_of_a_subclass_is_taken(self):
        class Mine(DataStore):
            pass

        rows = Mine(["a"])
        rows.add(1, {"a": 1})
        self.assertEqual((True, None), self.call(rows))

    def test_rows_times_columns_stay_within_the_limit(self):
        for rows, columns, requests in ((500, 2, 1), (501, 2, 2), (333, 3, 1),
                                        (334, 3, 2), (1, 1000, 1),
                                        (2, 1000, 2), (3, 600, 3)):
            del self.requester.requests[:]
            self.call(store(rows, ["c{}".format(i) for i in range(columns)]))
            self.assertEqual(requests, len(self.requester.requests))
            for sent in self.requester.requests:
                self.assertLessEqual(
                    len(sent.body["sources"]["data"]) * columns, 1000)


def _literal():
    return "table"


class ChunksTest(support.TestCase):
    def test_the_limit_is_1000_values(self):
        self.assertEqual(1000, ImportService._BATCH_SIZE)

    def test_the_limit_can_be_set_on_the_class(self):
        with mock.patch.object(ImportService, "_BATCH_SIZE", 10):
            self.assertEqual(3, len(ImportService._makeListOfReqs(
                1, "dev", DataSeries("a", points(25)))))
            self.assertEqual(5, len(ImportService._makeListOfBatchReqs(
                1, "dev", store(25))))

    def test_the_makers_are_static(self):
        found = ImportService._makeRequest(1, "dev", {"a": points(1)})
        self.assertEqual(
            {"project_id": 1, "device_id": "dev", "timefmt": "usec",
             "sources": [{"name": "a", "data": [{"time": 0, "value": 0}]}]},
            found)
        found = ImportService("t")._makeBatchRequest(1, "dev", store(1, ["a"]))
        self.assertEqual(
            {"project_id": 1, "device_id": "dev", "timefmt": "usec",
             "sources": {"fields": ["time", "a"], "data": [[0, 0]]}}, found)

    def test_empty_ones_give_no_request(self):
        for series in (DataSeries("a", []), {}, {"a": []}, {"a": iter([])}):
            self.assertEqual([], ImportService._makeListOfReqs(1, "dev",
                                                               series))
        self.assertEqual([], ImportService._makeListOfBatchReqs(
            1, "dev", store(0)))

    def test_a_request_of_rows_that_are_text_is_the_same_one(self):
        import json
        columns = ("a", u"é")
        rows = [[1, 2.5, u"ü"], [2, None, True]]
        for encode in (json.dumps,
                       lambda row: json.dumps(row).encode("ascii")):
            self.assertEqual(
                imports.tableBody(7, "dev", columns, rows),
                json.loads(imports.tableBytes(7, "dev", columns, [
                    encode(row) for row in rows]).decode("utf-8")))

    @given(st.integers(0, 60), st.integers(1, 7), st.integers(1, 20))
    def test_tables_joined_give_the_rows_each_within_the_limit(
            self, rows, columns, limit):
        made = store(rows, ["c{}".format(i) for i in range(columns)])
        with mock.patch.object(ImportService, "_BATCH_SIZE", limit):
            bodies = ImportService._makeListOfBatchReqs(1, "dev", made)
        tables = [body["sources"]["data"] for body in bodies]
        self.assertEqual(made._table(), sum(tables, []))
        for table in tables:
            self.assertGreater(len(table), 0)
            self.assertTrue(len(table) * columns <= limit or len(table) == 1)

    @given(st.lists(st.integers(0, 30), max_size=5), st.integers(1, 20))
    def test_lists_joined_give_the_points_each_within_the_limit(
            self, sizes, limit):
        dataset = dict(("s{}".format(i), points(size))
                       for i, size in enumerate(sizes))
        with mock.patch.object(ImportService, "_BATCH_SIZE", limit):
            bodies = ImportService._makeListOfReqs(1, "dev", dataset)
        found = dict((name, []) for name in dataset)
        for body in bodies:
            count = sum(len(source["data"]) for source in body["sources"])
            self.assertTrue(0 < count <= limit)
            for source in body["sources"]:
                found[source["name"]] += source["data"]
        self.assertEqual(dict((name, [point.toDict() for point in series])
                              for name, series in dataset.items()), found)
