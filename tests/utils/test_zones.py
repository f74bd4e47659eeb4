# -*- coding: utf-8 -*-
from __future__ import absolute_import

import unittest

from iobeam.command import moments
from iobeam.utils import zones
from tests.command import tables
from tests.support import given, st


class ShownTest(tables.TableTest):
    def test_it_is_as_exact_as_the_instant(self):
        zone = zones.zoneOf("UTC")
        for usec, shown in (
                (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"),
                (1000, "1970-01-01T00:00:00.001Z"),
                (-1, "1969-12-31T23:59:59.999999Z"),
                (1613681183250000, "2021-02-18T20:46:23.250Z"),
                (253402300799999999, "9999-12-31T23:59:59.999999Z"),
                (-62135596800000000, "0001-01-01T00:00:00Z"),
                (253402300800000000, "253402300800000000 us"),
                (-2 ** 63, "-9223372036854775808 us")):
            self.assertEqual(shown, zone.shown(usec))

    def test_the_offset_is_that_of_the_instant(self):
        zone = zones.zoneOf()
        for second, shown in (
                (1616893199, "2021-03-28T01:59:59+01:00"),
                (1616893200, "2021-03-28T03:00:00+02:00"),
                (1635641999, "2021-10-31T02:59:59+02:00"),
                (1635642000, "2021-10-31T02:00:00+01:00")):
            self.assertEqual(shown, zone.shown(second * 1000000))
        for name, end in (("-04:30", "T19:30:00-04:30"),
                          ("+05:45", "T05:45:00+05:45"), ("+0000", "T00:00:00Z")):
            self.assertEqual(end, zones.zoneOf(name).shown(0)[10:])

    @given(st.integers(-62135596800, 253402300799),
           st.sampled_from([0, 1, 1000, 999999]),
           st.sampled_from([None, "UTC", "+05:45", "-09:30", "+14"]))
    def test_what_is_shown_reads_back_as_the_same(self, second, part, name):
        usec = second * 1000000 + part
        zone = zones.zoneOf(name)
        shown = zone.shown(usec)
        if not shown.endswith(" us"):  # in that zone it is another year
            self.assertEqual(usec, moments.Moments(
                "calendar", zones.zoneOf("-03:00")).usec(shown,
                                                        moments.Folds()))

    @unittest.skipIf(zones.zoneinfo is None, "names of zones need 3.9")
    def test_a_zone_by_name(self):
        zone = zones.zoneOf("Asia/Kathmandu")
        self.assertEqual("2021-02-19T02:31:23+05:45",
                         zone.shown(1613681183000000))
        # local times of then have seconds in their offset
        self.assertEqual("1847-12-01T00:00:00Z", zones.zoneOf(
            "Europe/Berlin").shown(-3852662400000000))
