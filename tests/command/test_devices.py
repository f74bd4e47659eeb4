# -*- coding: utf-8 -*-
from __future__ import absolute_import

import os
import time
import unittest

from iobeam import testing
from tests.command.test_query import FakeTest
from tests.support import mock

A = 1700000000000000  # us; 2023-11-14T23:13:20+01:00
HOUR = 3600000000  # us


class DevicesTest(FakeTest):
    def setUp(self):
        FakeTest.setUp(self)
        with mock.patch("time.time", return_value=A / 1e6):
            self.register("cellar", "Keller")
            self.register("attic")
        self.add("cellar", "b", (A + 5 * HOUR + 1, 1))
        self.add("cellar", "a", (A + 3 * HOUR, 1), (A + 4 * HOUR, 2))

    def register(self, device, *name):
        self.backend._registry.add(1, device, *name)

    def at(self, hours):
        return mock.patch("time.time", return_value=A / 1e6 + hours * 3600)

    @unittest.skipUnless(hasattr(time, "tzset"), "the zone cannot be changed")
    def test_a_line_a_device(self):
        self.assertEqual((
            0, "attic\tattic\t2023-11-14T23:13:20+01:00\t-\n"
            "cellar\tKeller\t2023-11-14T23:13:20+01:00\t"
            "2023-11-15T04:13:20.000001+01:00\n"), self.run_("devices"))
        self.assertIn("\t2023-11-15T03:13:20.000001Z\n", self.run_(
            "devices", "--utc")[1])

    @unittest.skipUnless(hasattr(time, "tzset"), "the zone cannot be changed")
    def test_a_table_on_a_terminal(self):
        self.isTerminal = True
        self.assertEqual([
            "device  name    registered                 newest point",
            "------  ------  -------------------------  "
            "--------------------------------",
            "attic   attic   2023-11-14T23:13:20+01:00  -",
            "cellar  Keller  2023-11-14T23:13:20+01:00  "
            "2023-11-15T04:13:20.000001+01:00"],
            self.run_("devices")[1].splitlines())

    def test_exact_forms(self):
        self.assertEqual((0, {"devices": [
            {"device_id": "attic", "device_name": "attic", "created": A,
             "last": None},
            {"device_id": "cellar", "device_name": "Keller", "created": A,
             "last": A + 5 * HOUR + 1}]}), self.json("devices"))
        self.assertEqual((
            0, "device_id,device_name,created,last\nattic,attic,{0},\n"
            "cellar,Keller,{0},{1}\n".format(A, A + 5 * HOUR + 1)),
            self.run_("devices", "--csv"))
        self.says(2, "one of them", "devices", "--csv", "--json")

    def test_those_that_are_silent(self):
        # the one has sent at five o'clock, the other is registered since zero
        for hours, span, silent in ((0.5, "1h", []), (2, "1h", ["attic"]),
                                    (5.9, "1h", ["attic"]),
                                    (6.1, "1h", ["attic", "cellar"]),
                                    (6.1, "2h", ["attic"]),
                                    (6.1, "1d", []), (24, "1d", ["attic"])):
            with self.at(hours + 1e-6):
                code, found = self.json("devices", "--silent", span)
            self.assertEqual((1 if silent else 0, silent), (
                code, [one["device_id"] for one in found["devices"]]),
                (hours, span))
        with self.at(2):
            self.assertEqual((0, ""), self.run_(
                "devices", "--silent", "1h", "--device", "cellar"))
            self.assertEqual("", self.err.getvalue())
            self.says(1, "1 of 2 devices silent", "devices", "--silent", "1h")
        self.says(2, "w, d, h, m, s", "devices", "--silent", "1")

    def test_one_device(self):
        self.assertEqual(["cellar"], [
            one["device_id"] for one in self.json(
                "devices", "--device", "cellar")[1]["devices"]])
        self.says(1, "no device celar; there are: cellar, attic", "devices",
                  "--device", "celar")
        self.says(2, "empty", "devices", "--device", "")

    def test_none_is_said(self):
        self.backend._registry.names.clear()
        self.says(0, "no devices yet", "devices")
        self.assertEqual((0, {"devices": []}), self.json("devices"))

    def test_a_registered_one_without_points_is_no_unknown_one(self):
        self.says(1, "device attic has no points yet", "query", "--device",
                  "attic")
        self.says(1, "no device atic; there are: attic, cellar", "query",
                  "--device", "atic")

    def test_no_date_of_registration_is_no_trouble(self):
        for shown in self.backend._registry._shown.values():
            shown["created"] = "some day"
        self.assertEqual([None, None], [
            one["created"] for one in self.json("devices")[1]["devices"]])

    def test_a_device_token_sees_its_own(self):
        os.environ["IOBEAM_TOKEN"] = testing.makeToken(1, did="cellar")
        self.assertEqual(["cellar"], [one["device_id"] for one in self.json(
            "devices")[1]["devices"]])
