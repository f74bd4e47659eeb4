# -*- coding: utf-8 -*-
from __future__ import absolute_import

import unittest

from iobeam.command import tables


class TableTest(unittest.TestCase):
    def test_numbers_stand_point_under_point(self):
        table = tables.Table(["name", "value"])
        self.assertEqual([
            u"name           value",
            u"-----------  -------",
            u"süd           21.5",
            u"a             -3",
            u"much longer  100.125",
            u"power          1e+20",
            u"gap          -",
            u"flag         true"], table.lines([
                [u"süd", 21.5], ["a", -3], ["much longer", 100.125],
                ["power", 1e20], ["gap", None], ["flag", True]]))

    def test_headings_come_once_and_columns_only_grow(self):
        table = tables.Table(["a", "b"])
        self.assertEqual([u"a   b", u"--  -", u"xx  5"],
                         table.lines([["xx", 5]]))
        self.assertEqual([u"xxxx  50", u"y      5"],
                         table.lines([["xxxx", 50], ["y", 5]]))
        self.assertEqual([u"name", u"----"], tables.Table(["name"]).lines([]))

    def test_nothing_steers_the_terminal(self):
        line = tables.Table(["a"]).lines([[u"\x1b]0;x\x07 \x9b1m\n"]])[2]
        self.assertEqual(u"\\u001b]0;x\\u0007 \\u009b1m\\u000a", line)
