# -*- coding: utf-8 -*-
from __future__ import absolute_import

import datetime
import decimal
import enum
import fractions
import time
import unittest

from iobeam.resources import data, query, values
from iobeam.utils import compat
from tests import support
from tests.support import given, mock, st

try:
    import numpy
except ImportError:
    numpy = None
try:
    import pandas
except ImportError:
    pandas = None

EPOCH = datetime.datetime(1970, 1, 1)
LAST_MSEC = (2 ** 63 - 1) // 1000


class Zone(datetime.tzinfo):
    def __init__(self, **offset):
        self._offset = datetime.timedelta(**offset)

    def utcoffset(self, _):
        return self._offset

    def dst(self, _):
        return datetime.timedelta(0)


class NoZone(datetime.tzinfo):
    """A tzinfo that does not know: such a time is naive."""

    def utcoffset(self, _):
        return None


class Scalar(object):
    """Looks like a numpy scalar."""

    shape = ()

    def __init__(self, value):
        self._value = value

    def item(self):
        return self if self._value is None else self._value


class Array(Scalar):
    shape = (1,)


def plain(value):
    return values.normalise("cell", value)


class NormaliseTest(support.TestCase):
    def test_plain_values_stay_the_same_object(self):
        for value in (None, True, False, 0, -5, 2 ** 40, 1.5, "text", u"é", ""):
            self.assertIs(value, plain(value))

    def test_the_ends_of_64_bits_pass_and_what_lies_beyond_does_not(self):
        for value in (2 ** 63 - 1, -2 ** 63):
            self.assertEqual(value, plain(value))
        for value in (2 ** 63, -2 ** 63 - 1, 10 ** 30):
            with self.assertRaisesRegex(ValueError, "cell: .* 64 bits"):
                plain(value)

    def test_what_is_not_finite_is_told_apart(self):
        for value in (float("nan"), float("inf"), -float("inf"),
                      decimal.Decimal("NaN"), decimal.Decimal("sNaN"),
                      decimal.Decimal("-Infinity"), decimal.Decimal("1E+1000"),
                      decimal.Decimal("-sNaN"), Scalar(float("nan"))):
            self.assertRaises(values.NotFinite, plain, value)

    def test_decimals_become_floats(self):
        found = plain(decimal.Decimal("21.5"))
        self.assertEqual(21.5, found)
        self.assertIs(float, type(found))

    def test_scalars_of_numpy_become_plain(self):
        for value in (1, 1.5, True, u"a"):
            self.assertIs(value, plain(Scalar(value)))
        with self.assertRaisesRegex(ValueError, "64 bits"):
            plain(Scalar(2 ** 64))

    def test_arrays_and_scalars_without_a_plain_form_are_refused(self):
        for value in (Array(5), Scalar(None), Scalar(1j), Scalar([1])):
            with self.assertRaisesRegex(ValueError, "^cell: "):
                plain(value)

    def test_subclasses_become_what_they_stand_for(self):
        class Text(compat.text):
            pass

        class Number(float):
            pass

        class Colour(enum.IntEnum):
            RED = 3

        for value, kind in ((Text(u"é"), compat.text), (Number(1.5), float),
                            (Colour.RED, int)):
            found = plain(value)
            self.assertIs(kind, type(found))
            self.assertEqual(value, found)

    def test_other_types_are_refused_by_name(self):
        for value in ([], [1], {}, (), set(), object(), 1j, lambda: 0,
                      datetime.datetime.now(), bytearray(b"a"),
                      datetime.timedelta(1), fractions.Fraction(1, 2)):
            with self.assertRaisesRegex(
                    ValueError, "^cell: .* not {}: ".format(
                        type(value).__name__)):
                plain(value)

    def test_bytes_are_text_on_2_if_they_are_utf8(self):
        if compat.PY2:
            self.assertEqual(b"\xc3\xa9", plain(b"\xc3\xa9"))
            with self.assertRaisesRegex(ValueError, "cell: .* UTF-8"):
                plain(b"\xff")
        else:
            with self.assertRaisesRegex(ValueError, "not bytes"):
                plain(b"abc")

    def test_lone_surrogates_are_refused_and_pairs_are_not(self):
        for value in (u"a\ud800", u"\udc00", u"\udc00\ud800", u"\ud800\ud800"):
            with self.assertRaisesRegex(ValueError, "^cell: .* surrogate"):
                plain(value)
        self.assertEqual(u"\U0001f600", plain(u"\U0001f600"))

    @given(st.integers() | st.floats() | st.booleans() | st.text() | st.none()
           | st.binary() | st.decimals() | st.lists(st.integers())
           | st.complex_numbers())
    def test_anything_becomes_plain_or_is_a_value_error(self, value):
        try:
            found = plain(value)
        except ValueError:
            return
        self.assertIn(type(found), compat.INTEGERS + compat.TEXTS
                      + (float, bool, type(None)))
        self.assertEqual(type(value) is bool, type(found) is bool)


@unittest.skipUnless(numpy, "numpy is not installed")
class NumpyTest(support.TestCase):
    """Scalars go by the kind of their type, not by what `item()` gives."""

    def test_numbers_booleans_and_texts_become_plain(self):
        for value, expected in (
                [(getattr(numpy, kind)(5), 5) for kind in (
                    "int8", "int16", "int32", "int64", "uint8", "uint16",
                    "uint32", "uint64", "intp", "longlong")]
                + [(getattr(numpy, kind)(0.5), 0.5) for kind in (
                    "float16", "float32", "float64", "longdouble")]
                + [(numpy.bool_(True), True), (numpy.bool_(False), False),
                   (numpy.str_("a"), "a"), (numpy.array(u"\xe9"), u"\xe9"),
                   (numpy.array(5), 5), (numpy.array(0.5, "f4"), 0.5),
                   (numpy.array(True), True), (numpy.ma.array(5), 5),
                   (numpy.int64(-2 ** 63), -2 ** 63),
                   (numpy.uint64(2 ** 63 - 1), 2 ** 63 - 1)]):
            found = plain(value)
            self.assertEqual(expected, found)
            self.assertIn(type(found), compat.INTEGERS + compat.TEXTS
                          + (float, bool), repr(value))
            self.assertEqual(type(expected) is bool, type(found) is bool)

    def test_what_does_not_fit_64_bits_is_refused(self):
        for value in (2 ** 63, 2 ** 64 - 1):
            for kind in (numpy.uint64, numpy.array):
                with self.assertRaisesRegex(ValueError, "cell: .*64 bits"):
                    plain(kind(value))

    def test_what_is_not_finite_or_masked_is_no_value(self):
        for kind in ("float16", "float32", "float64", "longdouble"):
            for number in ("nan", "inf", "-inf"):
                self.assertRaises(values.NotFinite, plain,
                                  getattr(numpy, kind)(number))
        for value in (numpy.ma.masked, numpy.ma.array(5, mask=True),
                      numpy.ma.array(0.5, mask=True),
                      numpy.ma.array(True, mask=True),
                      numpy.ma.array("a", mask=True) if not compat.PY2
                      else numpy.ma.masked,
                      numpy.ma.array([1.5, 2], mask=[True, False])[0]):
            self.assertRaises(values.NotFinite, plain, value)

    def test_a_masked_reading_is_none_with_one_warning_a_store(self):
        store = data.DataStore(["a", "b"])
        with self.warnings(count=1) as messages:
            store.add(1, {"a": numpy.ma.masked, "b": 1})
            store.add(2, {"a": numpy.ma.array(7, mask=True)})
        self.assertIn("'a'", messages[0])
        self.assertEqual([None, None], [row["a"] for row in store.rows()])

    def test_what_has_no_plain_form_is_refused_with_its_type(self):
        found = [(numpy.datetime64(1704067200, unit), "datetime64")
                 for unit in ("s", "ms", "us", "ns", "D", "h", "ps", "Y")]
        found += [(numpy.timedelta64(5, unit), "timedelta64")
                  for unit in ("s", "ms", "us", "ns", "D", "W", "as")]
        found += [
            (numpy.datetime64("NaT", "s"), "datetime64"),
            (numpy.timedelta64("NaT", "s"), "timedelta64"),
            (numpy.array(5, "M8[ns]"), "datetime64"),
            (numpy.complex64(1), "complex64"), (numpy.complex128(1), "complex"),
            (numpy.array(None), "object"), (numpy.array([1], object)[0:1],
                                            "object"),
            (numpy.void(b"abc"), "void"),
            (numpy.array([(1, 2)], "i4,f8")[0], "i4"),
            (numpy.ma.array([(1, 2)], "i4,i4", mask=[(1, 0)])[0], "i4"),
            (numpy.array([1]), "ndarray"), (numpy.array([]), "ndarray"),
            (numpy.array([[1.5]]), "ndarray"),
            (numpy.ma.array([1, 2], mask=[0, 1]), "MaskedArray")]
        if not compat.PY2:
            found.append((numpy.bytes_(b"a"), "bytes_"))
        for value, kind in found:
            with self.assertRaisesRegex(
                    ValueError, "^cell: a value must be a number.*" + kind):
                plain(value)

    def test_integers_are_times_and_booleans_are_not(self):
        store = data.DataStore(["a"])
        for kind in ("int8", "int64", "uint64", "uint16", "array"):
            moment = getattr(numpy, kind)(7)
            store.add(moment, {"a": 1})
            store.addRows([(moment, {"a": 1})])
            self.assertEqual(7, data.Timestamp(moment).asMilliseconds())
            self.assertEqual({"time": 7000, "value": 1},
                             data.DataPoint(1, moment).toDict())
            asked = query.Query(1).fromTime(moment).toTime(moment).limit(
                moment).getParams()
            self.assertEqual({"from": 7, "to": 7, "limit": 7}, asked)
            self.assertEqual(set([True]), set(
                type(value) in compat.INTEGERS for value in asked.values()))
        self.assertEqual([7000] * 10, [row["time"] for row in store.rows()])
        self.assertEqual(4, len(store.split(numpy.int8(3))))
        for wrong in (numpy.bool_(True), numpy.float64(5), numpy.ma.masked,
                      numpy.datetime64(5, "ms"), numpy.timedelta64(5, "ms"),
                      numpy.array([5]), numpy.ma.array(5, mask=True)):
            self.assertRaises(ValueError, store.add, wrong, {"a": 1})
            self.assertRaises(ValueError, data.Timestamp, wrong)
            self.assertRaises(ValueError, data.DataPoint, 1, wrong)
            self.assertRaises(ValueError, query.Query(1).fromTime, wrong)
            self.assertRaises(ValueError, query.Query(1).limit, wrong)

    def test_times_of_numpy_do_not_overflow(self):
        # on 2.7 an int64 is an int, and multiplies as numpy does
        store = data.DataStore(["a"])
        moment = numpy.int64(LAST_MSEC)
        store.add(moment, {"a": 1})
        self.assertEqual(LAST_MSEC * 1000, store.rows()[0]["time"])
        for wrong in (numpy.int64(LAST_MSEC + 1), numpy.uint64(2 ** 64 - 1)):
            self.assertRaises(ValueError, store.add, wrong, {"a": 1})

    def test_numbers_filter_queries(self):
        asked = query.Query(1).lessThan(numpy.float32(0.5)).greaterThan(
            numpy.int64(-3)).getParams()
        self.assertEqual({"less_than": 0.5, "greater_than": -3}, asked)
        for wrong in (numpy.bool_(True), numpy.float32("nan"),
                      numpy.ma.masked):
            self.assertRaises(ValueError, query.Query(1).lessThan, wrong)

    def test_a_masked_point_has_no_number(self):
        point = data.DataPoint(numpy.ma.array(7.5, mask=True), 1)
        self.assertNotEqual(point.toDict()["value"], point.toDict()["value"])
        self.assertEqual(7, data.DataPoint(numpy.int32(7), 1).toDict()["value"])


@unittest.skipUnless(pandas, "pandas is not installed")
class PandasTest(support.TestCase):
    @unittest.skipUnless(hasattr(pandas, "NA"), "this pandas has no NA")
    def test_na_is_none_without_a_word(self):
        with self.warnings(count=0):
            store = data.DataStore(["a", "b"])
            store.add(1, {"a": pandas.NA, "b": 2})
        self.assertEqual([{"time": 1000, "a": None, "b": 2}], store.rows())

    def test_times_and_durations_are_no_values(self):
        for value in (pandas.Timestamp(5, unit="ms"), pandas.NaT,
                      pandas.Timedelta(5, unit="ms")):
            self.assertRaises(ValueError, plain, value)

    def test_nat_is_no_time(self):
        store = data.DataStore(["a"])
        self.assertRaises(ValueError, store.add, pandas.NaT, {"a": 1})
        self.assertRaises(ValueError, data.DataPoint, 1, pandas.NaT)

    @unittest.skipUnless(hasattr(pandas, "Timestamp") and hasattr(
        pandas.Timestamp, "as_unit"), "this pandas has times in ns only")
    def test_years_that_python_does_not_know(self):
        store = data.DataStore(["a"])
        far = pandas.Timestamp(numpy.datetime64("20000-01-01", "s"))
        with self.assertRaisesRegex(ValueError, "no local time"):
            store.add(far, {"a": 1})  # was stored as 1972
        store.add(far.tz_localize("UTC"), {"a": 1})
        self.assertEqual(568971820800000000, store.rows()[0]["time"])

    def test_times_before_the_epoch_are_rounded_down(self):
        store = data.DataStore(["a"])
        store.add(pandas.Timestamp(-1, unit="ns", tz="UTC"), {"a": 1})
        self.assertEqual(-1, store.rows()[0]["time"])


class RangeTest(support.TestCase):
    def test_64_bits_of_microseconds_pass(self):
        for usec in (-2 ** 63, 0, 2 ** 63 - 1):
            self.assertEqual(usec, values.checkRange(usec, usec))

    def test_what_lies_beyond_is_refused_with_a_hint_at_the_unit(self):
        for usec in (-2 ** 63 - 1, 2 ** 63):
            with self.assertRaisesRegex(ValueError,
                                        "42 is out of range.*unit=TimeUnit"):
                values.checkRange(usec, 42)


class DatetimeTest(support.TestCase):
    def test_an_aware_one_is_converted(self):
        for zone, usec in ((Zone(), 1000005), (Zone(hours=2), -7198999995),
                           (Zone(hours=-5, minutes=30), 16201000005)):
            self.assertEqual(usec, values.fromDatetime(
                datetime.datetime(1970, 1, 1, 0, 0, 1, 5, zone)))

    def test_the_ends_of_the_calendar_pass_in_any_zone(self):
        day = 86400 * 1000000
        for moment in (datetime.datetime.min, datetime.datetime.max):
            usec = ((moment - EPOCH).days * 86400
                    + (moment - EPOCH).seconds) * 1000000 + moment.microsecond
            for hours in (-23, 0, 23):
                self.assertEqual(
                    usec - hours * day // 24, values.fromDatetime(
                        moment.replace(tzinfo=Zone(hours=hours))))

    def test_a_naive_one_is_local_time(self):
        for moment in (datetime.datetime(2016, 7, 1, 12, 30, 5, 123456),
                       datetime.datetime(2016, 1, 1), datetime.datetime.now()):
            seconds = int(time.mktime(moment.timetuple()))
            for tzinfo in (None, NoZone()):
                self.assertEqual(
                    seconds * 1000000 + moment.microsecond,
                    values.fromDatetime(moment.replace(tzinfo=tzinfo)))

    def test_a_naive_one_before_1970_is_local_time(self):
        moment = datetime.datetime(1969, 12, 31, 0, 0, 0, 250000)
        self.assertEqual(
            int(time.mktime(moment.timetuple())) * 1000000 + 250000,
            values.fromDatetime(moment))

    def test_a_naive_one_is_converted_or_is_a_value_error(self):
        for moment in (datetime.datetime.min, datetime.datetime.max):
            try:
                self.assertIsInstance(values.fromDatetime(moment),
                                      compat.INTEGERS)
            except ValueError:
                pass

    @unittest.skipUnless(hasattr(time, "tzset"),
                         "this system cannot change its time zone")
    def test_a_naive_one_in_another_zone(self):
        import os
        before = os.environ.get("TZ")

        def restore():
            if before is None:
                os.environ.pop("TZ", None)
            else:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(restore)
        os.environ["TZ"] = "XXX-05:30"
        time.tzset()
        self.assertEqual(-19800 * 1000000, values.fromDatetime(EPOCH))

    @unittest.skipUnless(hasattr(time, "tzset"),
                         "this system cannot change its time zone")
    def test_the_first_of_two_and_none_of_a_skipped_hour(self):
        import os
        self.addCleanup(time.tzset)
        with mock.patch.dict(os.environ, {"TZ": "Europe/Berlin"}):
            time.tzset()
            for _ in range(2):  # mktime remembers what it was asked before
                for month, day, hour, usec in (
                        (10, 27, 1, 1729985400), (10, 27, 2, 1729989000),
                        (10, 27, 3, 1729996200), (10, 27, 2, 1729989000),
                        (3, 31, 1, 1711845000), (3, 31, 2, 1711848600),
                        (3, 31, 3, 1711848600)):
                    moment = datetime.datetime(2024, month, day, hour, 30)
                    self.assertEqual(usec * 1000000,
                                     values.fromDatetime(moment))
                    wall = (moment - EPOCH).days * 86400 \
                        + (moment - EPOCH).seconds
                    self.assertEqual(usec, values._localSeconds(wall))

    @given(st.datetimes(), st.integers(min_value=-1439, max_value=1439))
    def test_an_aware_one_is_exact(self, moment, minutes):
        since = moment - EPOCH
        usec = ((since.days * 86400 + since.seconds) * 1000000
                + since.microseconds - minutes * 60000000)
        self.assertEqual(usec, values.fromDatetime(
            moment.replace(tzinfo=Zone(minutes=minutes))))
