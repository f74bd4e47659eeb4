# -*- coding: utf-8 -*-
from __future__ import absolute_import

import io
import os

from iobeam.command import send
from iobeam.spool.buffer import Spool
from iobeam.utils import compat
from tests import disk
from tests.command import running
from tests.support import mock

T = 1700000000000000  # us


class BufferTest(running.CliTest):
    def test_what_cannot_be_delivered_waits_and_is_flushed(self):
        self.server.devices["d"] = "d"
        self.server.always((0, 403, {}, ""), path="imports")
        args = ("send", self.write(running.CSV), "--device", "d", "--buffer",
                self.path)
        with mock.patch.object(send, "_BATCH_VALUES", 1):
            code, found = self.json(*args)
        self.assertEqual((1, 0, 3), (code, found["accepted"],
                                     found["pending"]))
        found = self.json("buffer", "ls")[1]["buffer"]
        self.assertEqual([(1, "d", 3)], [
            (line["project_id"], line["device_id"], line["rows"])
            for line in found])
        self.says(1, "403", "buffer", "flush", "--device", "d")
        self.server.always(None, path="imports")
        self.assertEqual(
            (0, {"accepted": 3, "pending": 0}),
            self.json("buffer", "flush", "--device", "d"))
        self.assertEqual([T + 1000000, T + 2000000, T + 3000000],
                         [row.time for row in self.server.acknowledged])
        self.assertEqual((0, "nothing waits\n"), self.run_("buffer", "ls"))

    def test_without_one_the_way_out_is_told(self):
        self.server.always((0, 403, {}, ""), path="imports")
        code, printed = self.run_("send", self.write(running.CSV), "--device", "d")
        self.assertEqual(1, code)
        self.assertIn("repeat the command", printed)

    def test_refused_rows_are_listed_and_dropped(self):
        self.server.refusesRow = lambda row: row.time == T + 2000000
        self.run_("send", self.write(running.CSV), "--device", "d", "--buffer",
                  self.path)
        found, = self.json("buffer", "rejected")[1]["rejected"]
        self.assertEqual(("d", 400, 22), (found["device_id"], found["status"],
                                          found["row"]["temperature"]))
        self.says(2, "--yes", "buffer", "drop")
        self.assertEqual((0, {"dropped": 1}),
                         self.json("buffer", "drop", "--yes"))
        self.assertEqual((0, "nothing was refused\n"),
                         self.run_("buffer", "rejected"))

    def test_rows_for_another_backend_are_told_and_adopted(self):
        other = u"http://127.0.0.1:9/v1/"
        Spool(self.path, baseUrl=other).append([disk.chunk(
            1000, 2000, deviceId="d")])
        found, = self.json("buffer", "ls")[1]["buffer"]
        self.assertEqual(other, found["backend"])
        self.assertIn(other, self.run_("buffer", "ls")[1])
        self.server.devices["d"] = "d"
        code, printed = self.run_("buffer", "flush", "--device", "d")
        self.assertEqual(0, code)
        self.assertIn("0 rows accepted", printed)
        self.assertIn("2 rows for " + other, printed)
        self.says(2, "2 rows for " + other, "buffer", "adopt")
        self.assertEqual((0, {
            "adopted": 2, "backend": self.server.url,
            "from": [{"backend": other, "rows": 2}]}),
            self.json("buffer", "adopt", "--yes"))
        self.assertEqual((0, "nothing waits for another backend\n"),
                         self.run_("buffer", "adopt"))
        self.assertEqual(
            (0, {"accepted": 2, "pending": 0}),
            self.json("buffer", "flush", "--device", "d"))

    def test_adopting_asks_on_a_terminal(self):
        Spool(self.path, baseUrl=u"http://127.0.0.1:9/v1/").append(
            [disk.chunk(1)])
        for said, code in (("", 1), ("n\n", 1), ("y\n", 0)):
            terminal = io.StringIO(compat.toText(said))
            terminal.isatty = lambda: True
            with mock.patch("sys.stdin", terminal):
                self.assertEqual(code, self.run_("buffer", "adopt")[0])

    def test_no_buffer_is_an_empty_one(self):
        self.assertEqual((0, {"buffer": []}), self.json("buffer", "ls"))
        self.assertEqual((0, {"dropped": 0}),
                         self.json("buffer", "drop", "--yes"))
        self.path = os.path.join(self.path, "none")
        self.says(2, "is not a folder", "buffer", "ls")
