from __future__ import absolute_import

import datetime
import subprocess
import sys
import unittest

from iobeam import frames, iobeam
from tests import support

try:
    import pandas
except ImportError:
    pandas = None



@unittest.skipUnless(pandas, "pandas is not installed")
class AddTest(support.TestCase):
    def rows(self, frame, columns=("a", "b"), **options):
        store = iobeam.DataStore(list(columns))
        with self.warnings(count=0):
            store.addDataFrame(frame, **options)
        return store.rows()

    def test_times_of_the_index(self):
        frame = pandas.DataFrame(
            {"a": [1, 2], "b": [1.5, None]},
            index=pandas.to_datetime([1000, 2000], unit="ms", utc=True))
        self.assertEqual([{"time": 1000000, "a": 1, "b": 1.5},
                          {"time": 2000000, "a": 2, "b": None}],
                         self.rows(frame))

    def test_times_of_a_column(self):
        for times in ([1000, 2000],
                      pandas.to_datetime([1000, 2000], unit="ms", utc=True),
                      pandas.to_datetime([1000, 2000], unit="ms", utc=True)
                      .tz_convert("Asia/Tokyo")):
            frame = pandas.DataFrame({"t": times, "a": [True, False]})
            self.assertEqual([1000000, 2000000], [
                row["time"] for row in self.rows(frame, timeColumn="t")])

    def test_times_without_a_zone_are_local_as_everywhere(self):
        naive = datetime.datetime(2020, 6, 1, 12, 0, 0, 5)
        store = iobeam.DataStore(["a"])
        store.add(naive, {"a": 1})
        store.add(pandas.Timestamp(naive), {"a": 1})  # was UTC
        frame = pandas.DataFrame({"a": [1]}, index=pandas.to_datetime([naive]))
        store.addDataFrame(frame)
        self.assertEqual(1, len(set(row["time"] for row in store.rows())))

    def test_nanoseconds_are_rounded_down(self):
        frame = pandas.DataFrame({"a": [1, 2]}, index=pandas.to_datetime(
            [1999, -1], unit="ns", utc=True))
        self.assertEqual([1, -1], [row["time"] for row in self.rows(frame)])

    def test_every_kind_of_cell(self):
        frame = pandas.DataFrame({
            "t": [1, 2], "int": pandas.array([5, None], dtype="Int64"),
            "text": ["x", None], "small": pandas.array([1.5, 2], "float32"),
            "flag": pandas.array([True, None], dtype="boolean"),
            "mixed": [1, "y"], "when": [pandas.NaT, pandas.NaT]})
        first, second = self.rows(frame, [
            "int", "text", "small", "flag", "mixed", "when"], timeColumn="t")
        self.assertEqual({"time": 1000, "int": 5, "text": "x", "small": 1.5,
                          "flag": True, "mixed": 1, "when": None}, first)
        self.assertEqual({"time": 2000, "int": None, "text": None, "small": 2,
                          "flag": None, "mixed": "y", "when": None}, second)

    def test_nothing_is_added_if_a_row_cannot_be(self):
        index = pandas.to_datetime([1, 2], unit="ms", utc=True)
        for frame, options, words in (
                (pandas.DataFrame({"a": [1, [2]]}, index=index), {}, "row 1"),
                (pandas.DataFrame({"c": [1, 2]}, index=index), {}, "columns"),
                (pandas.DataFrame({"a": [1, 2]}), {}, "timeColumn"),
                (pandas.DataFrame({"a": [1, 2]}), {"timeColumn": "t"}, "'t'"),
                (pandas.DataFrame({"a": [1], "t": ["x"]}),
                 {"timeColumn": "t"}, "is no time"),
                (pandas.DataFrame({"a": [1], "t": [1.5]}),
                 {"timeColumn": "t"}, "is no time"),
                (pandas.DataFrame({"a": [1], "t": [pandas.NaT]}),
                 {"timeColumn": "t"}, "row 0")):
            store = iobeam.DataStore(["a", "b"])
            with self.assertRaisesRegex(ValueError, words):
                store.addDataFrame(frame, **options)
            self.assertEqual(0, len(store))

    def test_an_empty_one_adds_nothing(self):
        self.assertEqual([], self.rows(pandas.DataFrame(
            {"a": []}, index=pandas.to_datetime([]))))


@unittest.skipUnless(pandas, "pandas is not installed")
class FrameTest(support.TestCase):
    def test_devices_and_series(self):
        found = frames.toDataFrame({"result": [
            {"device_id": "d2", "name": "a",
             "data": [{"time": 2000, "value": 2}]},
            {"device_id": "d1", "name": "b",
             "data": [{"time": 2000, "value": "x"}]},
            {"device_id": "d1", "name": "a",
             "data": [{"time": 2000, "value": 1.5},
                      {"time": 1000, "value": 1}]}]})
        self.assertEqual(["a", "b"], list(found.columns))
        self.assertEqual(["device_id", "time"], list(found.index.names))
        first = found.loc["d1"]
        self.assertEqual([1, 1.5], first["a"].tolist())
        self.assertEqual("x", first["b"].iloc[1])
        self.assertEqual(
            [1000, 2000], [moment.timestamp() * 1000 for moment
                           in first.index])
        self.assertTrue(pandas.isna(found.loc["d2"]["b"].iloc[0]))

    def test_there_and_back(self):
        frame = frames.toDataFrame({"timefmt": "usec", "result": [
            {"device_id": "d", "name": "a",
             "data": [{"time": 1234567, "value": 2.5}]}]})
        store = iobeam.DataStore(["a"])
        store.addDataFrame(frame.loc["d"])
        self.assertEqual([{"time": 1234567, "a": 2.5}], store.rows())

    def test_no_points_are_an_empty_one(self):
        self.assertEqual(0, len(frames.toDataFrame({"result": []})))

    def test_what_is_no_answer_is_refused(self):
        for result in (None, [], {}, "a,b", {"result": None}):
            self.assertRaises(ValueError, frames.toDataFrame, result)


class WithoutTest(support.TestCase):
    def test_what_is_no_frame_is_refused(self):
        for df in (None, {}, [], "df", 5):
            self.assertRaises(ValueError,
                              iobeam.DataStore(["a"]).addDataFrame, df)

    def test_it_is_imported_when_it_is_used(self):
        subprocess.check_call([sys.executable, "-c", "import sys\n"
                               "from iobeam import frames, iobeam\n"
                               "sys.exit('pandas' in sys.modules)"])
