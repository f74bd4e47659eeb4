# -*- coding: utf-8 -*-
from __future__ import absolute_import

import os

from tests import loopback
from tests.command import running


class RegisterTest(running.CliTest):
    def test_the_id_is_printed_and_kept(self):
        for _ in range(2):
            self.assertEqual((0, "generated-device-0001\n"),
                             self.run_("register"))
        self.assertEqual(1, len(self.server.of("devices")))

    def test_an_id_of_ones_own(self):
        self.assertEqual((0, {"device_id": "d"}), self.json(
            "register", "--device", "d", "--name", "n"))
        self.assertEqual({"d": "n"}, self.server.devices)

    def test_the_one_of_the_folder_is_registered_on_a_new_backend(self):
        self.run_("register", "--device", "d", "--name", "n")
        with loopback.Loopback() as other:
            os.environ["IOBEAM_BACKEND"] = other.url
            self.assertEqual((0, "d\n"), self.run_("register"))
            self.assertEqual({}, other.devices)  # it is on disk: none asked
            for _ in range(2):
                self.assertEqual((0, "d\n"), self.run_(
                    "register", "--or-set", "--name", "n"))
                self.assertEqual({"d": "n"}, other.devices)
            self.assertEqual((0, "e\n"), self.run_(
                "register", "--or-set", "--device", "e"))
        with open(os.path.join(self.path, "iobeam_device_id")) as opened:
            self.assertEqual("e", opened.read())

    def test_without_one_the_backend_chooses(self):
        self.assertEqual((0, "generated-device-0001\n"),
                         self.run_("register", "--or-set"))

    def test_an_unset_variable_is_2(self):
        self.says(2, "empty", "register", "--device", "")
        self.says(2, "empty", "register", "--name", " ")

    def test_a_taken_one_is_1_unless_it_may_be(self):
        self.server.devices["d"] = "d"
        self.says(1, "already registered", "register", "--device", "d")
        self.assertEqual((0, "d\n"), self.run_("register", "--device", "d",
                                               "--or-set"))
