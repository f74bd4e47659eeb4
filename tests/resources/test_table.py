# -*- coding: utf-8 -*-
"""`DataStore.addDataFrame`: what of a DataFrame gets into a store."""
from __future__ import absolute_import

import collections
import datetime
import decimal
import os
import time
import unittest

from iobeam.resources import data, values
from iobeam.resources import rows as rowqueue
from iobeam.utils import compat
from tests import support
from tests.support import given, mock, st

try:
    import pandas
except ImportError:
    pandas = None
try:
    import numpy
    import pyarrow
    pandas.ArrowDtype(pyarrow.int64())
except (ImportError, AttributeError, TypeError):
    pyarrow = None

# Units of times other than ns, and types with gaps, came with pandas 2 and 1.
HAS_UNITS = pandas is not None and pandas.__version__[:2] not in ("0.", "1.")
HAS_GAPS = pandas is not None and hasattr(pandas, "NA")
UTC = [1729989000000000, 1729992600000000]  # us: 00:30 and 01:30, 2024-10-27
YEAR = 8784  # hours of 2024


def utc(times, unit="us"):
    return pandas.to_datetime(list(times), unit=unit, utc=True)


@unittest.skipUnless(pandas, "pandas is not installed")
class TableTest(support.TestCase):
    def store(self, frame, **options):
        store = data.DataStore(options.pop("columns", ["a"]))
        with self.warnings(count=options.pop("count", 0)):
            store.addDataFrame(frame, **options)
        return store

    def times(self, times, asColumn=False):
        """What addDataFrame makes of times in the index, or in a column."""
        if asColumn:
            frame = pandas.DataFrame({"t": times})
            frame["a"] = 1
            rows = self.store(frame, timeColumn="t").rows()
        else:
            frame = pandas.DataFrame({"a": [1] * len(times)}, index=times)
            rows = self.store(frame).rows()
        return [row["time"] for row in rows]

    def cells(self, column, count=0):
        frame = pandas.DataFrame({"a": column})
        frame.index = utc(range(len(frame)))
        return [row["a"] for row in self.store(frame, count=count).rows()]

    def assertRefused(self, frame, words, **options):
        store = data.DataStore(["a", "b"])
        with self.assertRaisesRegex(ValueError, words):
            store.addDataFrame(frame, **options)
        self.assertEqual([], store.rows())

    @staticmethod
    def same(found, expected):
        """Equal, and of the same types: True is not 1, 1.0 not 1."""
        def typed(value):
            kind = type(value)
            return (int if kind in compat.INTEGERS else kind, value)

        return list(map(typed, found)) == list(map(typed, expected))


class ZoneTest(TableTest):
    ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
             "Asia/Kolkata", "Pacific/Apia", "America/St_Johns", "UTC")

    def test_the_hour_that_comes_twice(self):
        for zone in self.ZONES:
            times = utc(UTC).tz_convert(zone)
            self.assertEqual(UTC, self.times(times))
            self.assertEqual(UTC, self.times(times, asColumn=True))

    def test_a_year_in_any_zone_is_the_one_in_utc(self):
        year = pandas.date_range("2024-01-01", periods=YEAR * 2, freq="30min",
                                 tz="UTC")
        expected = [1704067200000000 + row * 1800000000
                    for row in range(YEAR * 2)]
        for zone in self.ZONES:
            self.assertEqual(expected, self.times(year.tz_convert(zone)))

    def test_times_before_the_epoch_are_rounded_down(self):
        for zone in (None, "Europe/Berlin"):
            times = utc([-1, -1000, -1001, -1999, 1999], unit="ns")
            if zone is not None:
                times = times.tz_convert(zone)
            self.assertEqual([-1, -1, -2, -2, 1], self.times(times))

    @unittest.skipUnless(HAS_UNITS, "this pandas has times in ns only")
    def test_every_unit_is_the_same_instant(self):
        for unit in ("s", "ms", "us", "ns"):
            times = utc([0, 1700000000, -5], unit="s")
            for zone in ("UTC", "Asia/Tokyo"):
                converted = times.as_unit(unit).tz_convert(zone)
                self.assertEqual(
                    [0, 1700000000000000, -5000000], self.times(converted))
                self.assertEqual([0, 1700000000000000, -5000000], self.times(
                    converted, asColumn=True))

    @unittest.skipUnless(HAS_UNITS, "this pandas has times in ns only")
    def test_what_64_bits_of_microseconds_cannot_hold_names_its_row(self):
        seconds = numpy.array([0, 2 ** 62, 5], "M8[s]")
        self.assertRefused(pandas.DataFrame(
            {"a": [1] * 3}, index=pandas.DatetimeIndex(seconds, tz="UTC")),
            "row 1: .*out of range")

    def test_no_time_names_its_row(self):
        times = utc([0, 1, 2, 3]).to_series().reset_index(drop=True)
        times[2] = pandas.NaT
        for found in (times, times.dt.tz_localize(None), times.astype(object)):
            self.assertRefused(
                pandas.DataFrame({"a": [1] * 4, "t": found}),
                "row 2: .*NaT.* is no time", timeColumn="t")
            self.assertRefused(
                pandas.DataFrame({"a": [1] * 4}, index=pandas.Index(
                    found, dtype=found.dtype)),
                "row 2: .*NaT.* is no time")

    @given(st.lists(st.integers(-2 ** 53, 2 ** 53), max_size=20))
    def test_any_instant_comes_through(self, usecs):
        self.assertEqual(usecs, self.times(
            utc(usecs).tz_convert("Europe/Berlin")))


@unittest.skipUnless(hasattr(time, "tzset"),
                     "this system cannot change its time zone")
class LocalTest(TableTest):
    """Times without a zone are local, as `datetime.timestamp` has them."""

    def setUp(self):
        before = os.environ.get("TZ")

        def restore():
            if before is None:
                os.environ.pop("TZ", None)
            else:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(restore)

    def inZone(self, zone):
        os.environ["TZ"] = zone
        time.tzset()

    def test_a_year_with_both_changes_of_the_clock(self):
        for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata",
                     "America/St_Johns", "UTC", "XXX-05:37"):
            self.inZone(zone)
            first = datetime.datetime(2024, 1, 1)
            moments = [first + datetime.timedelta(minutes=30 * row)
                       for row in range(YEAR * 2)]
            self.assertEqual([values.fromDatetime(moment)
                              for moment in moments],
                             self.times(pandas.DatetimeIndex(moments)), zone)

    def test_skipped_and_repeated_hours(self):
        self.inZone("Europe/Berlin")
        moments = [datetime.datetime(2024, month, day, hour, minute, 59, 999999)
                   for month, day in ((3, 31), (10, 27))
                   for hour in range(5) for minute in (0, 29, 59)]
        expected = [values.fromDatetime(moment) for moment in moments]
        for times in (pandas.DatetimeIndex(moments),
                      pandas.Index(moments, dtype=object)):
            self.assertEqual(expected, self.times(times))
            self.assertEqual(expected, self.times(times, asColumn=True))

    @given(st.lists(st.datetimes(datetime.datetime(1971, 1, 1),
                                 datetime.datetime(2037, 1, 1)), max_size=5))
    def test_any_local_time_is_what_add_makes_of_it(self, moments):
        self.inZone("America/New_York")
        store = data.DataStore(["a"])
        for moment in moments:
            store.add(moment, {"a": 1})
        self.assertEqual([row["time"] for row in store.rows()],
                         self.times(pandas.DatetimeIndex(moments)))

    @unittest.skipUnless(HAS_UNITS, "this pandas has times in ns only")
    def test_without_a_calendar_there_is_no_local_time(self):
        self.assertRefused(pandas.DataFrame(
            {"a": [1, 2]}, index=pandas.DatetimeIndex(
                numpy.array([0, 10 ** 12], "M8[s]"))), "row 1: .*zone")


class OtherTimesTest(TableTest):
    def test_datetimes_of_python_in_index_and_column(self):
        zone = datetime.datetime.fromtimestamp(0, getattr(
            datetime, "timezone", mock.Mock(utc=None)).utc).tzinfo
        moments = [datetime.datetime(2024, 1, 1, tzinfo=zone),
                   datetime.datetime(1969, 12, 31, 12, 0, 0, 5, tzinfo=zone)]
        expected = [values.fromDatetime(moment) for moment in moments]
        for kind in (object, None):
            index = pandas.Index(moments, dtype=kind)
            self.assertEqual(expected, self.times(index))
            self.assertEqual(expected, self.times(index, asColumn=True))

    def test_several_zones_and_kinds_in_one_column(self):
        column = pandas.Series([
            pandas.Timestamp(5, unit="us", tz="UTC"), 7,
            pandas.Timestamp("2024-10-27 02:30", tz="Asia/Tokyo"),
            data.Timestamp(9, unit=data.TimeUnit.MICROSECONDS),
            numpy.int64(8)], dtype=object)
        self.assertEqual([5, 7000, 1729963800000000, 9, 8000],
                         self.times(column, asColumn=True))

    def test_categories(self):
        times = pandas.Series(utc([5, 5, 7])).astype("category")
        self.assertEqual([5, 5, 7], self.times(times, asColumn=True))

    @unittest.skipUnless(pyarrow, "pyarrow is not installed")
    def test_times_of_arrow(self):
        for unit in ("s", "ms", "us", "ns"):
            for zone in ("UTC", "Europe/Berlin"):
                times = pandas.Series(
                    utc([0, 1729989000, -1], unit="s"),
                    dtype=pandas.ArrowDtype(pyarrow.timestamp(unit, zone)))
                expected = [0, 1729989000000000, -1000000]
                self.assertEqual(expected, self.times(times, asColumn=True))
                self.assertEqual(expected, self.times(pandas.Index(times)))
        local = pandas.Series([datetime.datetime(2024, 6, 1)],
                              dtype=pandas.ArrowDtype(pyarrow.timestamp("us")))
        self.assertEqual(
            [values.fromDatetime(datetime.datetime(2024, 6, 1))],
            self.times(pandas.Index(local)))
        times[1] = None
        self.assertRefused(pandas.DataFrame({"a": [1] * 3, "t": times}),
                           "row 1: .*is no time", timeColumn="t")

    def test_whole_milliseconds_in_a_column(self):
        for kind in ("int64", "int32", "uint64", object) + (
                ("Int64",) if HAS_GAPS else ()):
            self.assertEqual([5000, 0, 7000], self.times(
                pandas.Series([5, 0, 7], dtype=kind), asColumn=True))
        for wrong in ([0, 2 ** 62], [0, -2 ** 62],
                      numpy.array([0, 2 ** 63], "uint64")):
            self.assertRefused(pandas.DataFrame({"a": [1, 2], "t": wrong}),
                               "row 1: .*out of range", timeColumn="t")

    def test_seconds_for_milliseconds_are_told_of(self):
        self.store(pandas.DataFrame({"a": [1, 2], "t": [5, 1700000000]}),
                   timeColumn="t", count=1)

    def test_what_is_no_time_is_refused(self):
        for wrong in (["x", "y"], [1.5, 2.0], [True, False],
                      [datetime.date(2024, 1, 1)] * 2, [None, None],
                      pandas.to_timedelta([1, 2], unit="s"),
                      pandas.period_range("2024-01", periods=2, freq="D")):
            self.assertRefused(pandas.DataFrame({"a": [1, 2], "t": wrong}),
                               "row 0: .*is no time", timeColumn="t")
        for wrong in ([5, 6], pandas.Index([5, 6], dtype=object),
                      pandas.Index([1.5, 2])):
            self.assertRefused(pandas.DataFrame({"a": [1, 2]}, index=wrong),
                               "timeColumn")
        self.assertRefused(
            pandas.DataFrame({"a": [1]}, index=pandas.MultiIndex.from_arrays(
                [["d"], utc([5])], names=["device_id", "time"])),
            "one device")


class ValuesTest(TableTest):
    def test_numbers_of_every_width(self):
        for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16",
                     "uint32", "uint64"):
            self.assertTrue(self.same(
                self.cells(numpy.array([0, 100], kind)), [0, 100]), kind)
        for kind in ("float16", "float32", "float64", "longdouble"):
            self.assertTrue(self.same(
                self.cells(numpy.array([0.5, -2], kind)), [0.5, -2.0]), kind)
        self.assertTrue(self.same(self.cells([True, False]), [True, False]))

    def test_whole_numbers_stay_exact(self):
        big = [2 ** 53 + 1, -2 ** 63, 2 ** 63 - 1]
        self.assertEqual(big, self.cells(big))
        self.assertEqual(big + [None], self.cells(
            pandas.Series(big + [None], dtype=object)))
        if HAS_GAPS:
            self.assertEqual(big + [None], self.cells(
                pandas.array(big + [None], dtype="Int64")))

    def test_gaps_of_every_kind_pass_without_a_word(self):
        missing = [None, float("nan"), numpy.float64("nan"),
                   numpy.float32("nan"), pandas.NaT]
        if HAS_GAPS:
            missing.append(pandas.NA)
        self.assertEqual([None] * len(missing) + ["x"], self.cells(
            pandas.Series(missing + ["x"], dtype=object)))
        for kind in ("float16", "float32", "float64"):
            self.assertEqual([None, 1.5, None], self.cells(
                numpy.array([float("nan"), 1.5, float("nan")], kind)))
        self.assertEqual([None, None], self.cells([pandas.NaT, pandas.NaT]))
        self.assertEqual(["x", None, "x"], self.cells(
            pandas.Series(["x", None, "x"]).astype("category")))

    @unittest.skipUnless(HAS_GAPS, "this pandas has no NA")
    def test_types_with_gaps(self):
        for column, expected in (
                (pandas.array([5, None], dtype="Int64"), [5, None]),
                (pandas.array([5, None], dtype="UInt8"), [5, None]),
                (pandas.array([True, None], dtype="boolean"), [True, None]),
                (pandas.array([u"é", None], dtype="string"), [u"é", None])):
            self.assertTrue(self.same(self.cells(column), expected))

    @unittest.skipUnless(pyarrow, "pyarrow is not installed")
    def test_columns_of_arrow(self):
        for kind, cells in ((pyarrow.int64(), [2 ** 53 + 1, None]),
                            (pyarrow.float64(), [0.5, None]),
                            (pyarrow.bool_(), [True, None]),
                            (pyarrow.string(), ["x", None])):
            self.assertTrue(self.same(self.cells(pandas.Series(
                cells, dtype=pandas.ArrowDtype(kind))), cells), kind)

    def test_infinities_are_none_with_one_warning(self):
        for column in (numpy.array([1.5, float("inf"), -float("inf")]),
                       numpy.array([1.5, float("inf"), 2], "float16"),
                       pandas.Series([1.5, float("inf"), "x"], dtype=object),
                       numpy.array([1.5, float("inf"), 1], "longdouble")):
            found = self.cells(column, count=1)
            self.assertEqual((1.5, None), tuple(found[:2]))

    def test_mixed_columns_follow_the_rules_of_add(self):
        cells = [1, 2.5, True, "x", u"é", None, numpy.int8(3),
                 numpy.bool_(True), decimal.Decimal("0.5"), numpy.float32(0.5)]
        expected = [1, 2.5, True, "x", u"é", None, 3, True, 0.5, 0.5]
        self.assertTrue(self.same(
            self.cells(pandas.Series(cells, dtype=object)), expected))
        for wrong in ([1], {}, b"\xff", 1j, object(), 2 ** 63, u"\ud800x",
                      datetime.datetime.now(), pandas.Timestamp(5),
                      numpy.datetime64(5, "s"), numpy.array([1, 2])):
            column = pandas.Series([1, None, 2], dtype=object)
            column[1] = wrong
            frame = pandas.DataFrame({"a": [1] * 3, "b": column})
            frame.index = utc([1, 2, 3])
            self.assertRefused(frame, "row 1: column '?u?'?b")

    def test_what_cannot_be_stored_names_row_and_column(self):
        for column in (numpy.array([0, 2 ** 63], "uint64"),
                       pandas.to_datetime([pandas.NaT, "2024-01-01"]),
                       pandas.to_timedelta([pandas.NaT, 5], unit="s"),
                       numpy.array([0, 1j])):
            frame = pandas.DataFrame({"a": [1, 2], "b": column})
            frame.index = utc([1, 2])
            words = "row [01]: column '?u?'?b"
            self.assertRefused(frame, words)

    def test_nothing_is_added_of_a_frame_that_has_one_bad_cell(self):
        frame = pandas.DataFrame({"a": range(1000)}, index=utc(range(1000)))
        frame["b"] = pandas.Series([1] * 999 + [[]], dtype=object).values
        self.assertRefused(frame, "row 999: column")


class ColumnsTest(TableTest):
    def test_a_column_that_stands_there_twice_is_named(self):
        frame = pandas.DataFrame([[1, 2, 3]], columns=["a", "b", "a"],
                                 index=utc([5]))
        self.assertRefused(frame, "'a'.*more than once")
        frame.columns = ["t", "a", "t"]
        self.assertRefused(frame, "'t'.*more than once", timeColumn="t")

    def test_a_column_that_the_store_has_not_is_named(self):
        for name in ("c", 5, ("a", "b")):
            frame = pandas.DataFrame({"a": [1]}, index=utc([5]))
            frame[name] = 1
            self.assertRefused(frame, "this store's columns, not .*{}".format(
                "a" if name == ("a", "b") else name))

    def test_columns_that_are_left_out_are_none(self):
        store = self.store(pandas.DataFrame({"b": [1]}, index=utc([5])),
                           columns=["a", "b", "c"])
        self.assertEqual([{"time": 5, "a": None, "b": 1, "c": None}],
                         store.rows())
        self.assertRefused(pandas.DataFrame(index=utc([5])), "no column")

    def test_an_empty_one_adds_nothing(self):
        for index in (utc([]), pandas.DatetimeIndex([]),
                      pandas.Index([], dtype=object)):
            self.assertEqual([], self.times(index))

    def test_rows_enter_in_one_step(self):
        store = data.DataStore(["a", "b"])
        frame = pandas.DataFrame({"b": [1, 2], "a": [3, 4]}, index=utc([5, 6]))
        with mock.patch.object(store, "_extend") as extend:
            store.addDataFrame(frame)
        extend.assert_called_once_with([5, 3, 1, 6, 4, 2], False)

    @given(st.lists(st.tuples(
        st.integers(-2 ** 53, 2 ** 53), st.floats(allow_infinity=False)
        | st.none(), st.integers(-2 ** 63, 2 ** 63 - 1) | st.none(),
        st.text(max_size=3).filter(
            lambda text: not any(0xd800 <= ord(c) < 0xe000 for c in text))
        | st.booleans() | st.none()), max_size=8))
    def test_a_frame_is_the_rows_that_it_was_made_of(self, rows):
        frame = pandas.DataFrame(collections.OrderedDict(
            (name, pandas.Series([row[place] for row in rows], dtype=kind))
            for place, name, kind in ((1, "a", "float64"), (2, "b", object),
                                      (3, "c", object))))
        frame.index = utc([row[0] for row in rows])
        store = self.store(frame, columns=["c", "b", "a"])
        self.assertEqual(
            [(row[0], None if row[1] is None or row[1] != row[1] else row[1],
              row[2], row[3]) for row in rows],
            [(row["time"], row["a"], row["b"], row["c"])
             for row in store.rows()])


class PackedTest(TableTest):
    """Plain frames are packed as they come in; nobody must see a difference."""

    @given(st.lists(st.tuples(
        st.integers(-92 * 10 ** 14, 92 * 10 ** 14),  # some beyond 2**53
        st.floats(allow_infinity=False, width=32),
        st.floats(allow_infinity=False)), max_size=8), st.booleans())
    def test_rows_are_what_add_makes_of_them(self, rows, isLocal):
        times = pandas.to_datetime([row[0] // 1000 for row in rows], unit="ms",
                                   utc=None if isLocal else True)
        frame = pandas.DataFrame(collections.OrderedDict((
            ("b", numpy.array([row[2] for row in rows], "float64")),
            ("a", numpy.array([row[1] for row in rows], "float32")))), times)
        store, model = self.store(frame, columns=["a", "b"]), data.DataStore(
            ["a", "b"])
        for moment, (_, a, b) in zip(times, rows):
            model.add(moment.to_pydatetime(), {
                "a": None if a != a else a, "b": None if b != b else b})
        for found, expected in zip(store.rows(), model.rows()):
            self.assertTrue(self.same(found.values(), expected.values()),
                            (found, expected))
        self.assertEqual(len(store), len(model))

    def test_ends_of_what_a_double_can_say(self):
        last = 2 ** 53 - 1
        for usecs in ([last, -last], [last + 1, 5], [-last - 1, 5]):
            frame = pandas.DataFrame({"a": [0.5, -0.0]}, index=utc(usecs))
            rows = self.store(frame).rows()
            self.assertTrue(self.same([row["time"] for row in rows], usecs))
            self.assertEqual(["0.5", "-0.0"], [repr(row["a"]) for row in rows])


class ClientTest(TableTest):
    def setUp(self):
        from iobeam import testing
        self.backend = testing.FakeBackend()

    def client(self):
        client = self.backend.builder().setDeviceId("d").build()
        self.addCleanup(client.close)
        return client

    def frame(self, count, first=0):
        return pandas.DataFrame(
            {"a": numpy.arange(first, first + count) / 2.0},
            index=utc(numpy.arange(first, first + count) * 1000000))

    def arrived(self):
        return [(row.time, row.values["a"]) for row in self.backend.rows]

    def test_a_long_one_is_packed_and_sent_in_its_place(self):
        client = self.client()
        store = client.createDataStore(["a"])
        with mock.patch.object(rowqueue, "UNPACKED_CELLS", 100):
            store.add(0, {"a": 0.0})
            store.addDataFrame(self.frame(500, 1))
            store.add(501 * 1000, {"a": 250.5})
            self.assertEqual([False, True], [
                block.isPacked for block in store.queue.blocks()])
            self.assertEqual((502, 502), (len(store), client.pending()))
            client.send()
        self.assertEqual([(number * 1000000, number / 2.0)
                          for number in range(502)], self.arrived())

    def test_without_a_device_it_waits_as_cells(self):
        client = self.backend.builder().build()
        self.addCleanup(client.close)
        store = client.createDataStore(["a"])
        with mock.patch.object(rowqueue, "UNPACKED_CELLS", 100):
            store.addDataFrame(self.frame(500))
            self.assertEqual([], store.queue.blocks())
            client.setDeviceId("d")
            client.send()
        self.assertEqual([(number * 1000000, number / 2.0)
                          for number in range(500)], self.arrived())

    def test_amid_another_call_it_is_added_all_the_same(self):
        client = self.client()
        store = client.createDataStore(["a"])
        with mock.patch.object(rowqueue, "UNPACKED_CELLS", 100):
            with store.queue.tracker.gate as entered:
                self.assertTrue(entered)
                store.addDataFrame(self.frame(500))
            self.assertEqual(500, len(store))
            client.send()
        self.assertEqual(500, len(self.arrived()))

    def test_a_large_one_fills_the_disk_buffer_as_add_does(self):
        client = self.backend.builder().setDeviceId("d").bufferToDisk(
            self.folder(), autoFlush=100).build()
        self.addCleanup(client.close)
        store = client.createDataStore(["a"])
        store.addDataFrame(pandas.DataFrame({"a": range(250)},
                                            index=utc(range(250))))
        self.assertEqual((0, 250), (len(store), client.pending()))
