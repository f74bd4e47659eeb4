# -*- coding: utf-8 -*-
from __future__ import absolute_import

import datetime
import decimal
import enum
import time
import unittest

from iobeam.resources import values
from iobeam.utils import compat
from tests import support
from tests.support import given, st

EPOCH = datetime.datetime(1970, 1, 1)


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
                      Scalar(float("nan"))):
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
                      datetime.datetime.now(), bytearray(b"a")):
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

    @given(st.datetimes(), st.integers(min_value=-1439, max_value=1439))
    def test_an_aware_one_is_exact(self, moment, minutes):
        since = moment - EPOCH
        usec = ((since.days * 86400 + since.seconds) * 1000000
                + since.microseconds - minutes * 60000000)
        self.assertEqual(usec, values.fromDatetime(
            moment.replace(tzinfo=Zone(minutes=minutes))))
