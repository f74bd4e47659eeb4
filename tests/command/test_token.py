# -*- coding: utf-8 -*-
from __future__ import absolute_import

import os

from tests import loopback
from tests.command import running


class TokenTest(running.CliTest):
    def test_it_tells_what_it_says_and_not_the_token(self):
        code, found = self.json("token")
        self.assertEqual((0, 1, 7, 30), (
            code, found["project_id"], found["permissions"],
            round(found["days_left"])))
        os.environ["IOBEAM_TOKEN"] = loopback.makeToken(1, None)
        self.assertIn("expires: never", self.run_("token")[1])

    def test_a_refreshed_one_is_printed_last(self):
        new = loopback.makeToken(1)
        self.server.mint = lambda: new
        code, printed = self.run_("token", "--refresh")
        self.assertEqual((0, new), (code, printed.split("\n")[-2]))
        self.server.script((0, 401, {}, ""))
        self.says(1, "401", "token", "--refresh")

    def test_garbage_is_2(self):
        os.environ["IOBEAM_TOKEN"] = "garbage"
        self.says(2, "invalid jwt token", "token")
