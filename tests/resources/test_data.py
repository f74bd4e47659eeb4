# -*- coding: utf-8 -*-
from __future__ import absolute_import

import collections
import datetime
import decimal
import threading

from iobeam.resources import data
from iobeam.resources.data import (DataPoint, DataSeries, DataStore, TimeUnit,
                                   Timestamp)
from iobeam.utils import compat
from tests import support
from tests.support import given, mock, st

PER = {TimeUnit.SECONDS: 1000000, TimeUnit.MILLISECONDS: 1000,
       TimeUnit.MICROSECONDS: 1}
UNITS = sorted(PER, key=PER.get)
LAST = 2 ** 63 - 1

numbers = (st.floats(allow_nan=False) | st.booleans() | st.integers(-3, 3)
           | st.integers(-2 ** 63, LAST))
cells = (st.none() | st.booleans() | st.text(max_size=5)
         | st.floats(allow_nan=False, allow_infinity=False)
         | st.integers(min_value=-2 ** 63, max_value=LAST))


def sendable(text):
    """What has no lone surrogate in it."""
    try:
        text.encode("utf-8").decode("utf-8")
    except UnicodeError:
        return False
    return not any(0xd800 <= ord(found) < 0xe000 for found in text)


UNKNOWN = "^dataDict can only contain keys in this store's columns, not '?"


class TimeUnitTest(support.TestCase):
    def test_the_values_are_what_travels(self):
        self.assertEqual("msec", TimeUnit.MILLISECONDS.value)
        self.assertEqual("usec", TimeUnit.MICROSECONDS.value)
        self.assertEqual("sec", TimeUnit.SECONDS.value)
        self.assertEqual(3, len(list(TimeUnit)))


class TimestampTest(support.TestCase):
    def test_milliseconds_are_the_default(self):
        found = Timestamp(5)
        self.assertEqual((5, TimeUnit.MILLISECONDS), (found._value,
                                                      found._type))
        self.assertEqual(5, found.asMilliseconds())
        self.assertEqual(5000, found.asMicroseconds())

    def test_each_unit_is_converted(self):
        for unit, msec, usec in ((TimeUnit.SECONDS, 5000, 5000000),
                                 (TimeUnit.MILLISECONDS, 5, 5000),
                                 (TimeUnit.MICROSECONDS, 0, 5)):
            for found in (Timestamp(5, unit=unit), Timestamp(5, unit)):
                self.assertIs(unit, found._type)
                self.assertEqual(msec, found.asMilliseconds())
                self.assertEqual(usec, found.asMicroseconds())

    def test_milliseconds_are_rounded_down(self):
        for usec, msec in ((999, 0), (1000, 1), (1999, 1), (-1, -1), (-1000, -1),
                           (-1001, -2)):
            self.assertEqual(msec, Timestamp(
                usec, unit=TimeUnit.MICROSECONDS).asMilliseconds())

    def test_what_is_no_int_is_refused(self):
        for value in (None, "5", 5.0, True, False, [], Timestamp(5),
                      datetime.datetime.now()):
            self.assertSays("timestamp value must be an int", Timestamp, value)

    def test_what_is_no_unit_is_refused(self):
        for unit in (None, "msec", 1, TimeUnit):
            with self.assertRaisesRegex(ValueError, "TimeUnit"):
                Timestamp(5, unit=unit)

    def test_the_range_is_64_bits_of_microseconds(self):
        for value in (-2 ** 63, LAST):
            Timestamp(value, unit=TimeUnit.MICROSECONDS)
        for value in (-2 ** 63 - 1, LAST + 1):
            with self.assertRaisesRegex(ValueError, "unit"):
                Timestamp(value, unit=TimeUnit.MICROSECONDS)
        for unit in UNITS[1:]:
            Timestamp(LAST // PER[unit], unit=unit)
            self.assertRaises(ValueError, Timestamp, LAST // PER[unit] + 1,
                              unit)

    def test_equal_is_the_same_instant(self):
        same = [Timestamp(1, unit=TimeUnit.SECONDS), Timestamp(1000),
                Timestamp(1000000, unit=TimeUnit.MICROSECONDS)]
        for one in same:
            for other in same:
                self.assertTrue(one == other)
                self.assertFalse(one != other)
                self.assertEqual(hash(one), hash(other))
        self.assertTrue(same[0] != Timestamp(1))
        self.assertFalse(same[0] == Timestamp(1))
        self.assertEqual(1, len(set(same)))

    def test_other_types_are_never_equal(self):
        for other in (1000, 1000000, None, "1000"):
            self.assertFalse(Timestamp(1000) == other)
            self.assertTrue(Timestamp(1000) != other)

    @given(st.integers(min_value=-2 ** 43, max_value=2 ** 43),
           st.sampled_from(UNITS))
    def test_any_unit_means_the_same_instant(self, value, unit):
        found = Timestamp(value, unit=unit)
        again = Timestamp(found.asMicroseconds(), unit=TimeUnit.MICROSECONDS)
        self.assertEqual(found, again)
        self.assertEqual(hash(found), hash(again))
        self.assertEqual(value * PER[unit] // 1000, found.asMilliseconds())


class DataPointTest(support.TestCase):
    def test_it_keeps_value_and_timestamp(self):
        moment = Timestamp(5)
        found = DataPoint(7, timestamp=moment)
        self.assertEqual(7, found._value)
        self.assertEqual(moment, found._timestamp)
        self.assertIsInstance(DataPoint(7, 5)._timestamp, Timestamp)

    def test_now_is_taken_from_utils_time_in_milliseconds(self):
        with mock.patch("iobeam.utils.utils.time.time",
                        return_value=1449234660.0019):
            for found in (DataPoint(1), DataPoint(1, None),
                          DataPoint(1, timestamp=None)):
                self.assertEqual(1449234660001000, found.toDict()["time"])

    def test_an_int_counts_milliseconds(self):
        self.assertEqual({"time": 5000, "value": 1}, DataPoint(1, 5).toDict())

    def test_a_timestamp_counts_as_it_says(self):
        for unit in UNITS:
            self.assertEqual(5 * PER[unit], DataPoint(
                1, Timestamp(5, unit=unit)).toDict()["time"])

    def test_a_datetime_is_taken(self):
        moment = datetime.datetime(2016, 7, 1, 1, 2, 3, 456789)
        self.assertEqual(456789, DataPoint(1, moment).toDict()["time"]
                         % 1000000)

    def test_other_timestamps_are_refused(self):
        for value in ("5", 5.0, [], {}, True, object()):
            self.assertSays("invalid type for timestamp: {}".format(
                type(value)), DataPoint, 1, value)

    def test_a_timestamp_out_of_range_is_refused(self):
        with self.assertRaisesRegex(ValueError, "unit"):
            DataPoint(1, 1449234660000000000)

    def test_numbers_are_taken(self):
        for value in (0, -1, 2 ** 40, 1.5, -0.0, True, False):
            found = DataPoint(value, 1).toDict()["value"]
            self.assertEqual(value, found)
            self.assertIs(type(value), type(found))
        self.assertEqual(1.5, DataPoint(decimal.Decimal("1.5"))._value)

    def test_what_is_no_number_is_refused(self):
        for value in (None, "1", u"1", b"1", [], {}, object(), 1j):
            self.assertSays("'value' must be a number.", DataPoint, value)

    def test_an_int_beyond_64_bits_is_refused(self):
        with self.assertRaisesRegex(ValueError, "64 bits"):
            DataPoint(2 ** 63)

    def test_its_text_names_microseconds_and_value(self):
        self.assertEqual("DataPoint{timestamp: 5000, value: 1}",
                         str(DataPoint(1, 5)))
        self.assertEqual("DataPoint{timestamp: 5, value: 1.5}", str(
            DataPoint(1.5, Timestamp(5, unit=TimeUnit.MICROSECONDS))))

    def test_equal_is_the_same_instant_and_value(self):
        one = DataPoint(1, Timestamp(1, unit=TimeUnit.SECONDS))
        self.assertTrue(one == DataPoint(1, 1000))
        self.assertFalse(one != DataPoint(1, 1000))
        self.assertEqual(hash(one), hash(DataPoint(1, 1000)))
        for other in (DataPoint(2, 1000), DataPoint(1, 1001), 1, None, "x",
                      (1000000, 1)):
            self.assertFalse(one == other)
            self.assertTrue(one != other)

    def test_true_is_not_1(self):
        for value, other in ((True, 1), (False, 0), (True, 1.0)):
            self.assertNotEqual(DataPoint(value, 5), DataPoint(other, 5))
            self.assertEqual(2, len(set([DataPoint(value, 5),
                                         DataPoint(other, 5)])))

    def test_float_values_can_be_hashed(self):
        self.assertIsInstance(hash(DataPoint(1.5, 5)), int)
        self.assertEqual(hash(DataPoint(1, 5)), hash(DataPoint(1.0, 5)))
        self.assertEqual(1, len(set([DataPoint(1.5, 5), DataPoint(1.5, 5)])))

    @given(numbers, numbers)
    def test_equal_points_have_equal_hashes(self, one, other):
        first, second = DataPoint(one, 5), DataPoint(other, 5)
        self.assertIs(first == second, not first != second)
        if first == second:
            self.assertEqual(hash(first), hash(second))
            self.assertEqual(one, other)
            self.assertEqual(isinstance(one, bool), isinstance(other, bool))


class DataSeriesTest(support.TestCase):
    def test_it_gives_back_name_and_points(self):
        points = [DataPoint(1, 5), DataPoint(2, 4)]
        series = DataSeries("temp", points)
        self.assertEqual("temp", series.getName())
        self.assertEqual(points, series.getPoints())
        self.assertEqual(2, len(series))

    def test_no_points_are_an_empty_series(self):
        for points in (None, [], (), iter([])):
            series = DataSeries("temp", points)
            self.assertEqual([], series.getPoints())
            self.assertEqual(0, len(series))

    def test_any_iterable_of_points_is_taken(self):
        points = [DataPoint(1, 5), DataPoint(2, 4)]
        for given_ in (tuple(points), iter(points), dict.fromkeys(points),
                       set(points)):
            self.assertEqual(set(points),
                             set(DataSeries("temp", given_).getPoints()))

    def test_what_cannot_be_iterated_over_is_refused(self):
        self.assertRaises(ValueError, DataSeries, "temp", 5)

    def test_bad_names_are_refused(self):
        self.assertRaises(ValueError, DataSeries, None, [])
        for name in (1, [], True):
            self.assertSays("columns must be a string", DataSeries, name, [])
        self.assertSays("columns must be more than 0 characters", DataSeries,
                        "", [])
        for name in ("time", "ALL", "Time_Offset"):
            self.assertSays("'{}' is a reserved column name".format(name),
                            DataSeries, name, [])
        with self.assertRaisesRegex(ValueError, "control"):
            DataSeries("a\nb", [])

    def test_its_text_names_name_and_length(self):
        self.assertEqual("DataSeries{name: temp, len: 0}",
                         str(DataSeries("temp", None)))
        self.assertEqual("DataSeries{name: t, len: 2}",
                         str(DataSeries("t", [DataPoint(1), DataPoint(2)])))

    def test_its_text_is_a_str_in_every_script(self):
        for shown in (str(DataSeries(u"température", [])),
                      repr(DataSeries(u"température", []))):
            self.assertIsInstance(shown, str)
            self.assertEqual(u"DataSeries{name: température, len: 0}",
                             compat.toText(shown))


class UniformSeriesTest(support.TestCase):
    def test_values_are_spread_over_both_ends(self):
        series = data.makeUniformDataSeries("temp", 0, 10, [1, 2, 3])
        self.assertIsInstance(series, DataSeries)
        self.assertEqual("temp", series.getName())
        self.assertEqual([DataPoint(1, 0), DataPoint(2, 5), DataPoint(3, 10)],
                         series.getPoints())

    def test_points_lie_at_whole_milliseconds_rounded_down(self):
        series = data.makeUniformDataSeries("temp", 0, 10, [1, 2, 3, 4])
        self.assertEqual([0, 3000, 6000, 10000], [
            point.toDict()["time"] for point in series.getPoints()])

    def test_one_value_lies_at_the_start(self):
        series = data.makeUniformDataSeries("temp", 7, 10, [1])
        self.assertEqual([DataPoint(1, 7)], series.getPoints())

    def test_no_values_give_an_empty_series(self):
        for values in ([], (), None, iter([])):
            series = data.makeUniformDataSeries("temp", 0, 10, values)
            self.assertIsInstance(series, DataSeries)
            self.assertEqual("temp", series.getName())
            self.assertEqual([], series.getPoints())

    def test_a_bad_argument_gives_none(self):
        for bad in ((None, 0, 1, [1]), ("temp", None, 1, [1]),
                    ("temp", 0, None, [1]), (None, 0, 1, None),
                    ("", 0, 1, None), ("temp", 1, 1, None),
                    ("temp", 0, 2 ** 70, None), ("temp", True, 5, None),
                    ("temp", 0.0, 1, [1]), ("temp", 0, 1.0, [1]),
                    ("temp", "0", 1, [1]), ("temp", 1, 1, [1]),
                    ("temp", 2, 1, [1]), ("temp", False, True, [1]),
                    ("", 0, 1, [1]), ("time", 0, 1, [1]), ("temp", 0, 1, 5),
                    ("temp", 0, 1, ["x"]), (5, 0, 1, [1]),
                    ("temp", 0, 2 ** 70, [1, 2])):
            self.assertIsNone(data.makeUniformDataSeries(*bad), bad)

    @given(st.integers(-10 ** 12, 10 ** 12), st.integers(1, 10 ** 12),
           st.integers(2, 40))
    def test_the_kth_of_n_points_lies_where_it_should(self, start, span, n):
        series = data.makeUniformDataSeries("temp", start, start + span,
                                            range(n))
        times = [point.toDict()["time"] // 1000 for point
                 in series.getPoints()]
        self.assertEqual([start + k * span // (n - 1) for k in range(n)],
                         times)
        self.assertEqual((start, start + span), (times[0], times[-1]))


class ColumnsTest(support.TestCase):
    def test_none_and_empty_are_refused(self):
        for columns in (None, [], (), "", {}, set()):
            self.assertSays("columns cannot be None or empty", DataStore,
                            columns)

    def test_what_is_no_list_is_refused(self):
        for columns in ("temp", u"temp", 5, {"temp": 1}, set(["temp"]), True,
                        iter(["temp"]), object()):
            self.assertSays("columns must be a list of strings", DataStore,
                            columns)

    def test_what_holds_no_strings_is_refused(self):
        for column in (None, 1, True, ["temp"], 1.5):
            self.assertSays("columns must be a string", DataStore,
                            ["temp", column])
        self.assertSays("columns must be more than 0 characters", DataStore,
                        ["temp", ""])

    def test_reserved_names_are_refused_whatever_the_case(self):
        for name in ("time", "time_offset", "all", "Time", "TIME_OFFSET",
                     "All"):
            self.assertSays("'{}' is a reserved column name".format(name),
                            DataStore, ["temp", name])

    def test_a_name_that_stands_there_twice_is_refused(self):
        with self.assertRaisesRegex(ValueError, "'temp'.* more than once"):
            DataStore(["temp", "hum", "temp"])
        with self.assertRaisesRegex(ValueError, "more than once"):
            DataStore(["temp", u"temp"])

    def test_a_name_in_two_encodings_stands_there_twice_on_2(self):
        if not compat.PY2:
            self.skipTest("Python 3 has one kind of string")
        with self.assertRaisesRegex(ValueError, "more than once"):
            DataStore([u"é", u"é".encode("utf-8")])

    def test_case_makes_two_columns(self):
        self.assertEqual(["Temp", "temp"], DataStore(["Temp", "temp"]).columns())

    def test_a_tuple_is_as_good_as_a_list(self):
        self.assertEqual(["a", "b"], DataStore(("a", "b")).columns())

    def test_1000_columns_pass_and_1001_do_not(self):
        DataStore(["c{}".format(i) for i in range(1000)])
        with self.assertRaisesRegex(ValueError, "1001"):
            DataStore(["c{}".format(i) for i in range(1001)])

    def test_columns_are_a_copy_in_both_directions(self):
        columns = ["b", "a"]
        store = DataStore(columns)
        columns.append("c")
        store.columns().append("d")
        self.assertEqual(["b", "a"], store.columns())

    def test_the_same_columns_in_any_order_are_the_same(self):
        store = DataStore(["a", "b", u"é"])
        self.assertTrue(store.hasSameColumns(["a", "b", u"é"]))
        self.assertTrue(store.hasSameColumns([u"é", "b", u"a"]))
        for other in (["a", "b"], ["a", "b", "c"], ["a", "b", u"é", "b"], [],
                      ["a", "b", 1], ["a", "b", None], ["a", "b", []],
                      ["a", "a", "b"]):
            self.assertFalse(store.hasSameColumns(other), other)

    def test_what_is_no_list_has_not_the_same_columns(self):
        store = DataStore(["a"])
        for other in ("a", None, 5, {"a": 1}, set(["a"]), iter(["a"])):
            self.assertIs(False, store.hasSameColumns(other))
        self.assertIs(True, store.hasSameColumns(["a"]))


class AddTest(support.TestCase):
    def setUp(self):
        self.store = DataStore(["temp", "hum"])

    def test_a_row_is_given_back(self):
        self.store.add(5, {"temp": 1, "hum": 2.5})
        self.assertEqual([{"time": 5000, "temp": 1, "hum": 2.5}],
                         self.store.rows())

    def test_every_kind_of_timestamp_is_taken(self):
        with mock.patch("iobeam.utils.utils.time.time", return_value=1.5):
            for moment, usec in (
                    (5, 5000), (-5, -5000), (Timestamp(5), 5000),
                    (Timestamp(5, unit=TimeUnit.SECONDS), 5000000),
                    (Timestamp(5, unit=TimeUnit.MICROSECONDS), 5),
                    (None, 1500000), (compat.INTEGERS[-1](5), 5000)):
                for values in ({"temp": 1.5, "hum": 2.5}, {"temp": 1}):
                    self.store.clear()
                    self.store.add(moment, values)
                    self.assertEqual(usec, self.store.rows()[0]["time"])

    def test_a_datetime_is_taken(self):
        self.store.add(datetime.datetime(2016, 1, 1, 0, 0, 0, 5),
                       {"temp": 1.0})
        self.assertEqual(5, self.store.rows()[0]["time"] % 1000000)

    def test_other_timestamps_are_refused(self):
        for moment in ("5", u"5", 5.0, True, False, [], {}, object(),
                       datetime.date(2016, 1, 1), decimal.Decimal(5)):
            self.assertSays("timestamp must be an int or Timestamp type",
                            self.store.add, moment, {"temp": 1.0, "hum": 1.0})
        self.assertEqual([], self.store.rows())

    def test_a_timestamp_out_of_range_is_refused_with_a_hint(self):
        for moment in (1449234660000000000, -2 ** 60, 2 ** 70):
            with self.assertRaisesRegex(ValueError, "unit=TimeUnit"):
                self.store.add(moment, {"temp": 1.0, "hum": 1.0})
        limit = LAST // 1000
        for moment in (limit, -limit):
            self.store.add(moment, {"temp": 1.0, "hum": 1.0})
        for moment in (limit + 1, -limit - 2):
            self.assertRaises(ValueError, self.store.add, moment, {"temp": 1})
        self.assertEqual(2, len(self.store.rows()))

    def test_no_values_are_refused(self):
        for values in (None, {}, collections.OrderedDict()):
            self.assertSays("dataDict cannot be None or empty", self.store.add,
                            5, values)

    def test_a_key_that_is_no_column_is_refused(self):
        for values in ({"x": 1}, {"temp": 1.0, "x": 1.0}, {"Temp": 1},
                       {"temp": 1, "hum": 2, "x": 3}, {None: 1}, {1: 1},
                       {"time": 5, "temp": 1}, {"temp ": 1}):
            with self.assertRaisesRegex(ValueError, UNKNOWN):
                self.store.add(5, values)
        self.assertEqual([], self.store.rows())

    def test_an_unknown_column_is_named_and_a_known_one_is_not(self):
        for values, named in (
                ({"humm": 1}, "'humm'"), ({"temp": 1, "humm": 2}, "'humm'"),
                ({"temp": 1, "hum": 1, 5: 2}, "5"), ({None: 2}, "None"),
                ({"a" * 500: 1}, "'" + "a" * 76 + "...")):
            self.assertSays("dataDict can only contain keys in this store's "
                            "columns, not " + named, self.store.add, 5, values)
        with self.assertRaises(ValueError) as caught:
            self.store.add(5, {"temp": 1, "x": 1, "y": 2})
        self.assertEqual(["'x'", "'y'"], sorted(
            str(caught.exception).split(", not ")[1].split(", ")))

    def test_a_dict_may_get_keys_from_another_thread_meanwhile(self):
        for kind in (dict, collections.OrderedDict):
            shared = kind()

            class Growing(float):
                def __float__(self):  # as another thread would
                    shared["hum"] = 1
                    return 1.5

            shared["temp"] = Growing(1.5)
            self.store.add(None, shared)
            self.assertEqual(2, len(shared))
            self.assertEqual(1.5, self.store.rows()[-1]["temp"])

    def test_a_dict_with_a_default_is_no_way_round_the_columns(self):
        for kind in (float, int):
            values = collections.defaultdict(kind)
            values["temp"] = values["x"] = 1.5
            with self.assertRaisesRegex(ValueError, UNKNOWN):
                self.store.add(5, values)
            self.assertEqual(["temp", "x"], sorted(values))
        counter = collections.Counter(["temp", "x"])
        self.assertRaises(ValueError, self.store.add, 5, counter)
        self.store.add(5, collections.defaultdict(float, temp=1.5))
        self.assertIsNone(self.store.rows()[0]["hum"])

    def test_times_in_another_unit_are_told_once_a_store(self):
        for moment in (1700000000, 1700000000000000, 946684800,
                       4102444800 * 1000000, Timestamp(1700000000)):
            store = DataStore(["temp"])
            with self.warnings(count=1) as messages:
                store.add(moment, {"temp": 1})
                store.add(moment, {"temp": 1.5})
                store.addRows([(moment, {"temp": 1})] * 3)
            self.assertIn("TimeUnit.SECONDS", messages[0])
            self.assertEqual(5, len(store))  # taken as what they are

    def test_times_that_may_be_meant_so_are_not_told_of(self):
        with self.warnings(count=0):
            for moment in (0, 5, -5, -10 ** 9, 86400000, 10 ** 10, 10 ** 11,
                           1700000000000, 253402300799999, 10 ** 14,
                           Timestamp(1700000000, unit=TimeUnit.SECONDS),
                           Timestamp(1700000000000000,
                                     unit=TimeUnit.MICROSECONDS)):
                self.store.add(moment, {"temp": 1})

    def test_what_is_no_dict_is_refused(self):
        for values in ([1, 2], "ab", 5, ("temp", "hum"), [("temp", 1)],
                       set(["temp"]), object(), True):
            with self.assertRaisesRegex(ValueError, "dict"):
                self.store.add(5, values)

    def test_other_mappings_are_taken(self):
        self.store.add(5, collections.OrderedDict([("hum", 2), ("temp", 1)]))
        self.assertEqual([{"time": 5000, "temp": 1, "hum": 2}],
                         self.store.rows())

    def test_columns_that_are_left_out_become_none(self):
        self.store.add(5, {"hum": 1})
        self.assertEqual([{"time": 5000, "temp": None, "hum": 1}],
                         self.store.rows())

    def test_every_kind_of_value_is_taken(self):
        for value in (1, -1, 0, 2 ** 63 - 1, -2 ** 63, 1.5, True, False, "text",
                      u"é", "", None):
            self.store.clear()
            self.store.add(5, {"temp": value, "hum": 1.5})
            found = self.store.rows()[0]["temp"]
            self.assertEqual(value, found)
            self.assertIs(type(value), type(found))

    def test_other_values_are_refused_by_column_and_type(self):
        bad = [[1], {}, (), set(), object(), 1j, bytearray(b"a")]
        if not compat.PY2:
            bad.append(b"bytes")
        for value in bad:
            for values in ({"temp": value}, {"temp": value, "hum": 1.5}):
                with self.assertRaisesRegex(
                        ValueError, "column 'temp'.*" + type(value).__name__):
                    self.store.add(5, values)
        self.assertEqual([], self.store.rows())

    def test_values_that_cannot_travel_are_refused(self):
        for value in (2 ** 63, -2 ** 63 - 1, u"\ud800"):
            for values in ({"temp": value}, {"temp": value, "hum": 1.5}):
                with self.assertRaisesRegex(ValueError, "column 'temp'"):
                    self.store.add(5, values)

    def test_what_is_not_finite_becomes_none_with_one_warning(self):
        with self.warnings(count=1) as messages:
            for value in (float("nan"), float("inf"), -float("inf"),
                          decimal.Decimal("NaN")):
                self.store.add(5, {"temp": value, "hum": 1.5})
                self.store.add(5, {"temp": value})
        self.assertIn("temp", messages[0])
        self.assertEqual([None] * 8,
                         [row["temp"] for row in self.store.rows()])

    def test_infinities_that_cancel_out_are_seen(self):
        with self.warnings(count=1):
            self.store.add(5, {"temp": float("inf"), "hum": -float("inf")})
        self.assertEqual([{"time": 5000, "temp": None, "hum": None}],
                         self.store.rows())

    def test_finite_values_with_an_infinite_sum_stay(self):
        with self.warnings(count=0):
            self.store.add(5, {"temp": 1.7e308, "hum": 1.7e308})
        self.assertEqual(1.7e308, self.store.rows()[0]["temp"])

    def test_decimals_become_floats(self):
        self.store.add(5, {"temp": decimal.Decimal("1.5")})
        self.assertIs(float, type(self.store.rows()[0]["temp"]))

    def test_the_row_is_copied(self):
        values = {"temp": 1.5, "hum": 2.5}
        self.store.add(5, values)
        values["temp"] = 9
        self.store.rows()[0]["temp"] = 9
        self.assertEqual(1.5, self.store.rows()[0]["temp"])
        self.assertEqual({"temp": 9, "hum": 2.5}, values)

    def test_a_single_column_is_checked_as_well(self):
        store = DataStore(["temp"])
        for values in ({"x": 1.5}, {"x": 1}, {"temp": 1.5, "x": 1.5}):
            with self.assertRaisesRegex(ValueError, UNKNOWN):
                store.add(5, values)
        store.add(5, {"temp": 1.5})
        store.add(6, {"temp": "a"})
        self.assertEqual([{"time": 5000, "temp": 1.5},
                          {"time": 6000, "temp": "a"}], store.rows())

    def test_unicode_keys_are_the_same_columns(self):
        self.store.add(5, {u"temp": 1.5, u"hum": 2})
        self.assertEqual(1.5, self.store.rows()[0]["temp"])

    def test_column_names_that_look_like_code_are_names(self):
        names = ["a'b", 'a"b', "a\\", "a b", "{}", "%s", "0", u"é", "class",
                 "__import__('os')", "a]", "'''"]
        store = DataStore(names)
        store.add(5, dict((name, float(i)) for i, name in enumerate(names)))
        store.add(6, dict((name, str(i)) for i, name in enumerate(names)))
        for row in store.rows():
            self.assertEqual([float(i) for i in range(len(names))],
                             [float(row[name]) for name in names])

    def test_1000_columns_can_be_filled(self):
        names = ["c{}".format(i) for i in range(1000)]
        store = DataStore(names)
        store.add(5, dict((name, float(i)) for i, name in enumerate(names)))
        store.add(5, {"c999": 1})
        self.assertEqual(999.0, store.rows()[0]["c999"])
        self.assertEqual(1, store.rows()[1]["c999"])
        self.assertEqual(2000, len(store))

    def test_many_threads_lose_no_row(self):
        def work(number):
            for k in range(500):
                self.store.add(k, {"temp": float(number), "hum": float(k)})

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = self.store.rows()
        self.assertEqual(2000, len(rows))
        for number in range(4):
            self.assertEqual([float(k) for k in range(500)], [
                row["hum"] for row in rows if row["temp"] == number])

    @given(st.lists(st.tuples(
        st.integers(-10 ** 12, 10 ** 12),
        st.dictionaries(st.sampled_from(["a", "b", "c"]), cells, min_size=1)),
        max_size=10))
    def test_what_went_in_comes_out(self, rows):
        store = DataStore(["a", "b", "c"])
        expected = []
        for moment, values in rows:
            if all(sendable(value) for value in values.values()
                   if isinstance(value, compat.text)):
                store.add(moment, values)
                expected.append(dict({"a": None, "b": None, "c": None},
                                     time=moment * 1000, **values))
        found = store.rows()
        self.assertEqual(expected, found)
        self.assertEqual(
            [sorted((key, type(value).__name__) for key, value in row.items())
             for row in expected],
            [sorted((key, type(value).__name__) for key, value in row.items())
             for row in found])

    @given(st.one_of(cells, st.floats(), st.integers(), st.binary(),
                     st.lists(cells), st.decimals()),
           st.booleans())
    def test_anything_is_stored_or_a_value_error(self, value, full):
        store = DataStore(["a", "b"])
        try:
            store.add(1, {"a": value, "b": 1.5} if full else {"a": value})
        except ValueError:
            self.assertEqual([], store.rows())
        else:
            self.assertEqual(1, len(store.rows()))


class AddRowsTest(support.TestCase):
    def setUp(self):
        self.store = DataStore(["temp", "hum"])

    def test_rows_of_any_iterable_are_added(self):
        self.store.addRows([(1, {"temp": 1}), (Timestamp(2), {"hum": 2})])
        self.store.addRows((k, {"temp": k}) for k in (3, 4))
        self.store.addRows([])
        self.assertEqual([1000, 2000, 3000, 4000],
                         [row["time"] for row in self.store.rows()])

    def test_one_bad_row_keeps_all_out_and_is_named(self):
        for bad in ((2, {}), ("2", {"temp": 1}), (2, {"x": 1}), (2,), 5, None,
                    (2, {"temp": []}), (2, None), (2, 5), (2, {"temp": 1}, 3)):
            with self.assertRaisesRegex(ValueError, "row 1: "):
                self.store.addRows([(1, {"temp": 1.5}), bad])
        self.assertEqual([], self.store.rows())

    def test_what_cannot_be_iterated_over_is_refused(self):
        for rows in (None, 5):
            self.assertRaises(ValueError, self.store.addRows, rows)

    def test_an_iterable_that_fails_adds_nothing(self):
        def failing():
            yield 1, {"temp": 1.5}
            raise KeyError("mine")

        self.assertRaises(KeyError, self.store.addRows, failing())
        self.assertEqual([], self.store.rows())

    @given(st.lists(st.tuples(st.integers(-10 ** 9, 10 ** 9),
                              st.floats(allow_nan=False))))
    def test_it_is_the_same_as_adding_one_by_one(self, pairs):
        one, other = DataStore(["a"]), DataStore(["a"])
        for moment, value in pairs:
            one.add(moment, {"a": value})
        other.addRows((moment, {"a": value}) for moment, value in pairs)
        self.assertEqual(one.rows(), other.rows())


class LookingTest(support.TestCase):
    def filled(self, count, columns=("a", "b")):
        store = DataStore(list(columns))
        for k in range(count):
            store.add(k, {columns[0]: float(k)})
        return store

    def test_the_length_counts_points(self):
        self.assertEqual(0, len(self.filled(0)))
        self.assertEqual(6, len(self.filled(3)))
        self.assertEqual(3, len(self.filled(3, ("a",))))

    def test_a_store_is_true_also_when_empty(self):
        self.assertTrue(self.filled(0))
        self.assertTrue(self.filled(1))
        self.assertIs(True, bool(self.filled(0)))

    def test_clear_drops_all_rows_and_it_can_go_on(self):
        store = self.filled(3)
        store.clear()
        self.assertEqual((0, []), (len(store), store.rows()))
        store.add(7, {"a": 1})
        self.assertEqual([7000], [row["time"] for row in store.rows()])

    def test_split_gives_stores_of_at_most_n_rows(self):
        store = self.filled(5)
        parts = store.split(2)
        self.assertEqual([2, 2, 1], [len(part.rows()) for part in parts])
        for part in parts:
            self.assertIsInstance(part, DataStore)
            self.assertEqual(store.columns(), part.columns())
        self.assertEqual(store.rows(),
                         [row for part in parts for row in part.rows()])
        self.assertEqual(5, len(store.rows()))

    def test_split_of_nothing_is_nothing(self):
        self.assertEqual([], self.filled(0).split(5))

    def test_the_parts_are_copies(self):
        store = self.filled(2)
        part, = store.split(5)
        part.add(9, {"a": 9})
        store.clear()
        self.assertEqual(3, len(part.rows()))

    def test_split_needs_an_int_above_zero(self):
        for count in (0, -1, None, "2", 1.5, True):
            self.assertRaises(ValueError, self.filled(3).split, count)

    def test_splitting_warns_of_no_column_again(self):
        with self.warnings(count=1):
            store = DataStore(["odd/for test_data"])
            store.addRows((k, {"odd/for test_data": k}) for k in range(5))
            store.split(1)

    @given(st.integers(0, 30), st.integers(1, 40))
    def test_parts_joined_give_the_rows(self, count, size):
        store = self.filled(count)
        parts = store.split(size)
        self.assertEqual(store.rows(),
                         [row for part in parts for row in part.rows()])
        self.assertEqual(-(-count // size), len(parts))
        for part in parts:
            self.assertLessEqual(len(part.rows()), size)
            self.assertGreater(len(part.rows()), 0)

    def test_its_repr_names_columns_and_rows(self):
        self.assertRegex(repr(self.filled(3)), "rows=3")
        self.assertIsInstance(repr(DataStore([u"é"])), str)
