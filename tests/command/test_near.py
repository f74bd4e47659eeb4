# -*- coding: utf-8 -*-
from __future__ import absolute_import

import unittest

from iobeam.command import near


class NearTest(unittest.TestCase):
    def test_the_most_similar_come_first(self):
        self.assertEqual(u"temperature, humidity, load", near.names(
            "temperatur", ["load", "humidity", "temperature", "load"]))
        self.assertEqual(u"cellar-2, attic", near.names(
            "CELLAR-1", ["attic", "cellar-2"]))

    def test_many_are_counted(self):
        self.assertEqual(u"s00, s01, s02, s03, s04, s05, s06, s07, s08, s09 "
                         u"and 2 more", near.names("x", [
                             "s{:02d}".format(k) for k in range(12)]))
        self.assertEqual(u"none", near.names(u"x", []))

    def test_names_of_any_script(self):
        self.assertEqual(u"wärme, kälte", near.names(
            "w\xc3\xa4rm" if str is bytes else u"wärm", [u"kälte", u"wärme"]))
