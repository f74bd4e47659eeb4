from __future__ import absolute_import

import datetime
import subprocess
import sys
import unittest

from iobeam import frames, iobeam, testing
from tests import support
from tests.support import given, st

try:
    import pandas
except ImportError:
    pandas = None
else:
    EPOCH = pandas.Timestamp(0, tz="UTC")


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

    @unittest.skipUnless(hasattr(pandas, "NA"), "this pandas has no NA")
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

    def answer(self, series, **more):
        """An answer with {(device, name): [(time, value)]}."""
        return dict(more, result=[
            {"project_id": 1, "device_id": device, "name": name, "data": [
                {"time": moment, "value": value} for moment, value in points]}
            for (device, name), points in series])

    def test_points_of_one_time_name_the_unit_to_ask_for(self):
        # 1000 points 100 us apart were 100 rows
        points = [(row // 10, row) for row in range(1000)]
        for unit in ({}, {"timefmt": "msec"}, {"timefmt": "sec"}):
            with self.assertRaisesRegex(
                    ValueError, "'a'.*'d'.*timeUnit=TimeUnit.MICROSECONDS"):
                frames.toDataFrame(self.answer([(("d", "a"), points)], **unit))
        found = frames.toDataFrame(self.answer(
            [(("d", "a"), [(row * 100, row) for row in range(1000)])],
            timefmt="usec"))
        self.assertEqual(list(range(1000)), found["a"].tolist())
        backend = testing.FakeBackend()
        with backend.client("d") as client:
            client.createDataStore(["a"]).addRows(
                (iobeam.Timestamp(10 ** 15 + row * 100,
                                  unit=iobeam.TimeUnit.MICROSECONDS),
                 {"a": row}) for row in range(1000))
        for unit, rows in ((iobeam.TimeUnit.MILLISECONDS, None),
                           (iobeam.TimeUnit.SECONDS, None),
                           (iobeam.TimeUnit.MICROSECONDS, 1000)):
            answer = iobeam.makeQuery(testing.makeToken(), iobeam.QueryReq(
                1, timeUnit=unit), backend)
            if rows is None:
                self.assertRaises(ValueError, frames.toDataFrame, answer)
            else:
                self.assertEqual(rows, len(frames.toDataFrame(answer)))
        # two series, or two devices, may have one time in common
        self.assertEqual(2, len(frames.toDataFrame(self.answer(
            [(("d", "a"), [(5, 1)]), (("d", "b"), [(5, 1)]),
             (("e", "a"), [(5, 1)])]))))

    def test_every_unit_of_time(self):
        expected = pandas.Timestamp(-1500000, unit="us", tz="UTC")
        for unit, moment in (("usec", -1500000), ("msec", -1500),
                             ("timeval", {"sec": -2, "usec": 500000}),
                             ("TIMEVAL", {"sec": -2, "usec": 500000})):
            found = frames.toDataFrame(self.answer(
                [(("d", "a"), [(moment, 1)])], timefmt=unit))
            self.assertEqual([expected], list(found.loc["d"].index), unit)
        found = frames.toDataFrame(self.answer([(("d", "a"), [(-2, 1)])],
                                               timefmt="sec"))
        self.assertEqual([pandas.Timestamp(-2, unit="s", tz="UTC")],
                         list(found.loc["d"].index))
        with self.assertRaisesRegex(ValueError, "timefmt 'weeks'"):
            frames.toDataFrame(self.answer([], timefmt="weeks"))

    def test_no_value_is_changed(self):
        big = 2 ** 53 + 1
        for values in ([1, 2, 3], [big, -2 ** 63, 2 ** 63 - 1], [1.5, 2.0, 3.5],
                       [1.5, 2, 3], [1.5, big, 2], [True, False, True],
                       [True, 1, 0], [True, 1.5, "x"], ["x", "y", ""],
                       ["x", 1, big]):
            points = list(enumerate(values))
            for others in ([], [(("d", "b"), [(7, 1)])],
                           [(("c", "b"), [(1, 1)]), (("c", "a"), points[1:])]):
                found = frames.toDataFrame(self.answer(
                    [(("d", "a"), points)] + others))
                cells = found.loc["d"]["a"].tolist()
                self.assertEqual(values, cells[:3])
                self.assertEqual(
                    [isinstance(value, bool) for value in values],
                    [isinstance(value, bool) for value in cells[:3]])
                self.assertTrue(pandas.isna(cells[3:]).all())

    def test_types_of_columns(self):
        for values, withoutGaps, withGaps in (
                ([1, 2 ** 53 + 1], "int64", "Int64"),
                ([1.5, 2], "float64", "float64"),
                ([True, False], "bool", "object"),
                ([True, "x"], "object", "object")):
            points = list(enumerate(values))
            for others, kind in (([], withoutGaps),
                                 ([(("d", "b"), [(9, 1)])], withGaps)):
                found = frames.toDataFrame(self.answer(
                    [(("d", "a"), points)] + others))
                self.assertEqual(kind, str(found["a"].dtype), values)

    def test_none_of_an_answer_is_a_gap(self):
        for values in ([1, None], [1.5, None], [True, None], ["x", None],
                       [None, None]):
            found = frames.toDataFrame(self.answer(
                [(("d", "a"), list(enumerate(values)))]))["a"]
            self.assertEqual([value is None for value in values],
                             found.isna().tolist())

    def test_rows_of_devices_ascend_whatever_the_order(self):
        found = frames.toDataFrame(self.answer(
            [(("z", "b"), [(3, 30), (1, 10)]), (("a", "b"), [(2, 20)]),
             (("z", "a"), [(2, 2)]), (("z", "b"), [(0, 5)])]))
        self.assertEqual([("a", 2), ("z", 0), ("z", 1), ("z", 2), ("z", 3)],
                         [(device, moment.timestamp() * 1000)
                          for device, moment in found.index])
        self.assertEqual([20, 5, 10, None, 30],
                         [None if pandas.isna(cell) else cell
                          for cell in found["b"]])
        self.assertTrue(found.index.is_monotonic_increasing)

    def test_there_and_back(self):
        frame = frames.toDataFrame({"timefmt": "usec", "result": [
            {"device_id": "d", "name": "a",
             "data": [{"time": 1234567, "value": 2.5}]}]})
        store = iobeam.DataStore(["a"])
        store.addDataFrame(frame.loc["d"])
        self.assertEqual([{"time": 1234567, "a": 2.5}], store.rows())
        with self.assertRaisesRegex(ValueError, "one device"):
            store.addDataFrame(frame)

    @given(st.dictionaries(
        st.integers(-2 ** 40, 2 ** 51),
        st.tuples(st.integers(-2 ** 63, 2 ** 63 - 1) | st.none(),
                  st.floats(allow_nan=False, allow_infinity=False) | st.none(),
                  st.booleans() | st.none(), st.text(u"ab\xe9 ", max_size=3)),
        max_size=8))
    def test_what_was_sent_comes_back(self, rows):
        backend = testing.FakeBackend()
        with backend.client("d") as client:
            client.createDataStore(list("abcd")).addRows(
                (iobeam.Timestamp(moment, unit=iobeam.TimeUnit.MICROSECONDS),
                 dict(zip("abcd", row))) for moment, row in rows.items())
        found = frames.toDataFrame(iobeam.makeQuery(
            testing.makeToken(), iobeam.QueryReq(
                1, timeUnit=iobeam.TimeUnit.MICROSECONDS), backend))
        expected = sorted((moment, row) for moment, row in rows.items())
        self.assertEqual(expected, [
            ((moment - EPOCH) // pandas.Timedelta(1, unit="us"), tuple(
                None if pandas.isna(cell) else cell for cell in
                (found[name].iloc[row] if name in found else None
                 for name in "abcd")))
            for row, (_, moment) in enumerate(found.index)])
        store = iobeam.DataStore(list("abcd"))
        if rows:
            store.addDataFrame(found.loc["d"])
        self.assertEqual(expected, [
            (row["time"], tuple(row[name] for name in "abcd"))
            for row in store.rows()])

    def test_no_points_are_an_empty_one(self):
        found = frames.toDataFrame({"result": []})
        self.assertEqual(0, len(found))
        self.assertEqual(["device_id", "time"], list(found.index.names))

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
