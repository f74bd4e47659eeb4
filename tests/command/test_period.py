# -*- coding: utf-8 -*-
from __future__ import absolute_import

import argparse

from iobeam.command import period
from iobeam.utils import zones
from tests.command import tables

A = 1613681183000000  # 2021-02-18 21:46:23 in Berlin, us


class PeriodTest(tables.TableTest):
    def instant(self, text, isEnd=False, zone=None):
        return period.instant("--from", text, zones.zoneOf(zone), isEnd)

    def test_times(self):
        for text, usec in (
                ("2021-02-18T21:46:23", A), (" 2021-02-18 21:46:23 ", A),
                ("2021-02-18T20:46:23Z", A), ("2021-02-18T22:46:23+02:00", A),
                ("2021-02-18T21:46:23.000250", A + 250),
                ("2021-02-18", A - 78383000000), ("20210218", A - 78383000000),
                ("18.02.2021 21:46:23", A), ("1613681183000", A),
                ("1613681183", A), ("1613681183000250", A + 250),
                ("5", 5000), ("0", 0), ("-5", -5000), ("1234", 1234000)):
            self.assertEqual(usec, self.instant(text), text)
        self.assertEqual(A + 3600000000,
                         self.instant("2021-02-18T21:46:23", zone="UTC"))

    def test_the_hour_that_stands_twice_lies_in_the_range(self):
        text = "2021-10-31T02:30"
        self.assertEqual(1635640200000000, self.instant(text))
        self.assertEqual(1635643800000000, self.instant(text, isEnd=True))

    def test_what_is_no_time_says_so_and_what_is_one(self):
        for text, words in (
                ("yesterday", "it is no time"), ("", "it is no time"),
                ("14:30", "it is no day"), ("1h", "for --since"),
                ("02/03/2021", "order of day and month"),
                ("2021-02-30", "it is no time"), ("2030010112", "yyyymmddhh"),
                ("2021-03-28T02:30", "summer time begins"),
                ("9" * 20, "too large")):
            with self.assertRaises(ValueError) as caught:
                self.instant(text)
            said = str(caught.exception)
            self.assertIn("--from " + text, said)
            self.assertIn(words, said)
            self.assertIn("2026-01-31T12:00", said)

    def test_durations(self):
        for text, seconds in (("1s", 1), ("90s", 90), ("30m", 1800),
                              ("1h", 3600), ("7d", 604800), ("2w", 1209600),
                              (" 1 h ", 3600)):
            self.assertEqual(seconds, period.seconds(text))
            self.assertTrue(period.isSpan(text))
        for text in ("", "1", "h", "0h", "-1h", "1.5h", "1y", "1H", "1ms",
                     "1h30m"):
            with self.assertRaises(argparse.ArgumentTypeError) as caught:
                period.seconds(text)
            self.assertIn("w, d, h, m, s", str(caught.exception))
        self.assertEqual(A - 3600000000, period.before("--since", A, 3600))
        self.assertRaises(ValueError, period.before, "--since", A,
                          999999999 * 604800)
