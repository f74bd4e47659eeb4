# -*- coding: utf-8 -*-
from __future__ import absolute_import

import argparse
import io
import json
import os
import signal
import unittest

from iobeam.command import common, consignment, send
from tests.command import running
from tests.support import mock

T = 1700000000000000  # us


class SendTest(running.CliTest):
    def send(self, text, *args):
        return self.run_("send", self.write(text), "--device", "d", *args)

    def test_every_kind_of_cell(self):
        code, printed = self.send(running.CSV)
        self.assertEqual((0, "3 rows accepted, 0 refused, 0 waiting\n"),
                         (code, printed))
        self.assertEqual([
            (T + 1000000, {"temperature": 21.5, "place": u"north", "on": True}),
            (T + 2000000, {"temperature": 22, "place": None, "on": False}),
            (T + 3000000, {"temperature": -100.0, "place": u"süd", "on": None})],
            [(row.time, row.values) for row in self.server.acknowledged])

    def test_times_in_every_unit(self):
        for unit, cell, time in (("sec", "5", 5000000), ("usec", "7", 7),
                                 ("sec", "1.5", 1500000), ("msec", "9", 9000)):
            self.send(u"when,a\n{},1\n".format(cell), "--time", "when",
                      "--time-format", unit)
            self.assertEqual(time, self.server.acknowledged[-1].time)

    def test_now_has_to_be_asked_for(self):
        self.assertEqual(2, self.send(u"\ufeffa\n1\n")[0])
        self.assertIn("--time now", self.err.getvalue())
        self.assertEqual([], self.server.requests)
        self.send(u"\ufeffa\n1\n", "--time", "now")
        row, = self.server.acknowledged
        self.assertGreater(row.time, 1.7e15)
        self.assertEqual({"a": 1}, row.values)

    def test_rows_of_now_are_not_one(self):
        self.send(u"a\n" + u"1\n" * 500, "--time", "now")
        self.assertEqual(500, len(set(
            row.time for row in self.server.acknowledged)))

    def test_a_device_that_is_not_used_is_told(self):
        self.send(u"time,device_id,a\n1700000000,x,1\n")
        self.assertIn("--device d is not used", self.err.getvalue())
        self.assertEqual("x", self.server.acknowledged[0].deviceId)

    def test_many_devices(self):
        self.assertEqual(0, self.send(u"time,device_id,a\n" + u"".join(
            u"{},x{},1\n".format(1700000000 + k, k % 7)
            for k in range(21)))[0])
        with mock.patch.object(consignment, "_MAX_CLIENTS", 3):
            code, found = self.json("send", self.write(
                u"time,device_id,a\n" + u"".join(u"{},x{},1\n".format(
                    1700000100 + k, k % 7) for k in range(21))))
        self.assertEqual((0, 21), (code, found["accepted"]))
        self.assertEqual(42, len(self.server.acknowledged))

    def test_the_standard_input(self):
        lines = running.CSV.encode("utf-8") if str is bytes else running.CSV
        made = io.BytesIO if str is bytes else io.StringIO
        with mock.patch("sys.stdin", made(lines)):
            self.assertEqual(0, self.run_("send", "-", "--device", "d")[0])
        self.assertEqual(3, len(self.server.acknowledged))

    def test_more_rows_than_a_batch(self):
        with mock.patch.object(send, "_BATCH_VALUES", 10):
            self.assertEqual(0, self.send(u"time,a\n" + u"".join(
                u"{0},{0}\n".format(T // 1000 + k) for k in range(35)))[0])
        self.assertEqual([T + k * 1000 for k in range(35)],
                         [row.time for row in self.server.acknowledged])

    def test_what_is_wrong_in_the_file_is_named(self):
        for text, args, words in (
                (u"time,a\nsoon,1\n", (), '"soon"'),
                (u"t,a\n1,1\n", ("--time", "when"), "when names no column"),
                (u"time,all\n1700000000,1\n", (), "reserved"),
                (u"", (), "empty"),
                (u"time\n1700000000\n", (), "no columns of values")):
            self.assertEqual(2, self.send(text, *args)[0])
            self.assertIn(words, self.err.getvalue())
            self.assertEqual([], self.server.of("imports"))

    def test_refused_rows_are_1_and_shown(self):
        self.server.refusesRow = lambda row: row.time == T + 2000000
        code, printed = self.send(running.CSV, "--json")
        self.assertEqual(1, code)
        self.assertEqual({"accepted": 2, "rejected": 1, "pending": 0},
                         json.loads(printed))
        self.assertIn('"temperature": 22', self.err.getvalue())

    def test_the_device_of_the_folder_is_used(self):
        self.run_("register")
        self.run_("send", self.write(running.CSV))
        self.assertEqual("generated-device-0001",
                         self.server.acknowledged[0].deviceId)

    def test_a_backend_that_fails_is_told_with_the_counts(self):
        self.server.script((0, 200, {}, ""), path="imports")
        self.server.always((0, 403, {}, ""), path="imports")
        rows = u"time,a\n" + u"".join(u"{},1\n".format(T // 1000000 + k)
                                      for k in range(12000))
        with mock.patch.object(send, "_BATCH_VALUES", 5000):
            code, found = self.json("send", self.write(rows), "--device", "d")
        self.assertEqual(1, code)
        self.assertIn("403", found["error"])
        self.assertNotIn("flush()", self.err.getvalue())
        self.assertGreater(found["pending"], 0)

    def test_bad_rows_are_left_out_and_written_beside(self):
        text = (u"time,a\n1700000000,1\nsoon,2\n1700000001,3,4\n"
                u"1700000002,\"x,\"\"y\"\n")
        code, found = self.json("send", self.write(text), "--device", "d")
        self.assertEqual((1, {"accepted": 2, "rejected": 2, "pending": 0}),
                         (code, found))
        with io.open(os.path.join(self.path, "rows.csv.rejected.csv"),
                     encoding="utf-8") as opened:
            self.assertEqual(
                u'line,reason,time,a\n'
                u'3,"""soon"" is no number since 1970",soon,2\n'
                u'4,"3 cells, where the header has 2",1700000001,3,4\n',
                opened.read())

    def test_what_it_understood_and_the_device(self):
        self.send(u"time;t\n2021-02-18T20:46:23Z;21,5\n")
        for words in ("semicolons", "decimal comma", 'time in "time"',
                      "2021-02-18T20:46:23Z", "t (number)", "device d"):
            self.assertIn(words, self.err.getvalue())

    def test_an_empty_device_is_2(self):
        self.says(2, "is empty", "send", self.write(running.CSV), "--device",
                  "")
        self.assertEqual([], self.server.requests)

    def test_devices_of_a_column(self):
        text = u"time,place,a\n1700000000,x,1\n1700000000,y,2\n"
        self.says(2, "--device-column place", "send", self.write(text),
                  "--device", "d")
        self.assertEqual(0, self.send(text, "--device-column", "place")[0])
        self.assertEqual([("x", {"a": 1}), ("y", {"a": 2})], sorted(
            (row.deviceId, row.values) for row in self.server.acknowledged))

    def test_several_files_and_a_doubt_in_one(self):
        good = self.write(running.CSV)
        bad = self.write(u"date,v\n03/04/2021,1\n", "doubt.csv")
        self.says(2, "--time-format", "send", good, bad, "--device", "d")
        self.assertEqual([], self.server.of("imports"))
        other = self.write(u"time,x\n1700000009,1\n", "other.csv")
        self.assertEqual((0, {"accepted": 4, "rejected": 0, "pending": 0}),
                         self.json("send", good, other, "--device", "d"))

    def test_a_dry_run_needs_no_backend(self):
        for name in ("IOBEAM_BACKEND", "IOBEAM_TOKEN", "IOBEAM_PROJECT_ID"):
            del os.environ[name]
        self.assertEqual((0, {
            "columns": ["temperature", "place", "on"], "timeColumn": "time",
            "rows": 3, "first": T // 1000 + 1000, "last": T // 1000 + 3000}),
            self.json("send", self.write(running.CSV), "--dry-run"))
        code, printed = self.run_("send", self.write(running.CSV),
                                  "--dry-run")
        self.assertEqual(0, code)
        self.assertIn("2023-11-14T22:13:21Z\ttemperature=21.5", printed)
        self.assertIn("3 rows would go", printed)
        code, found = self.json("send", self.write(
            u"time,a\n1700000000,1\nsoon,2\n"), "--dry-run")
        self.assertEqual((1, 1), (code, found["rows"]))
        self.assertFalse(os.path.exists(os.path.join(
            self.path, "rows.csv.rejected.csv")))

    def test_a_header_alone_is_no_error(self):
        self.assertEqual((0, {"accepted": 0, "rejected": 0, "pending": 0}),
                         self.json("send", self.write(u"time,a\n")))
        self.assertIn("no rows", self.err.getvalue())

    def test_more_columns_than_a_store_takes(self):
        names = [u"c{}".format(k) for k in range(1200)]
        self.assertEqual((0, {"accepted": 1, "rejected": 0, "pending": 0}),
                         self.json("send", self.write(
                             u"time,{}\n1700000000,{}\n".format(
                                 u",".join(names), u",".join(
                                     map(str, range(1200))))),
                                   "--device", "d"))
        self.assertEqual(1200, sum(len(row.values)
                                   for row in self.server.acknowledged))

    def test_wrong_options_are_2(self):
        file = self.write(running.CSV)
        for args, words in (
                (("--time-format", "years"), "msec"), (("--tz", "no/where"),
                 "no/where"), (("--delimiter", ",,"), "one character"),
                (("--decimal", ";"), "--decimal"), (("--skip", "x"), "x"),
                (("--type", "a"), "number"), (("--columns", "nope"), "nope"),
                (("--type", "nope=number"), "nope"),
                (("--encoding", "nonsense"), "nonsense"),):
            self.says(2, words, "send", file, "--device", "d", *args)
        self.says(2, "alone", "send", file, "-", "--device", "d")
        self.assertEqual([], self.server.requests)

    def test_a_file_that_is_none(self):
        self.says(1, "nope.csv", "send", os.path.join(self.path, "nope.csv"),
                  "--device", "d")
        self.says(1, "directory", "send", self.path, "--device", "d")

    @unittest.skipIf(os.name == "nt", "signals of another kind")
    def test_ctrl_c_tells_what_was_sent_and_how_to_go_on(self):
        calls = []
        original = consignment.Consignment.sendOne

        def sendOne(self, client, timeout=None):
            done = original(self, client, timeout)
            calls.append(done)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return done

        rows = u"time,a\n" + u"".join(u"{},1\n".format(T // 1000000 + k)
                                      for k in range(8000))
        with mock.patch.object(consignment.Consignment, "sendOne", sendOne), \
                mock.patch.object(send, "_BATCH_VALUES", 2000):
            code, printed = self.send(rows)
        self.assertEqual(1, code)
        self.assertIn("5999 rows accepted", printed)
        self.assertIn("repeat the command", printed)
        self.assertIn("interrupted", self.err.getvalue())

    def test_a_line_counts_on_a_terminal(self):
        options = argparse.Namespace(json=False)
        made = io.BytesIO if str is bytes else io.StringIO
        for isTerminal in True, False:
            terminal = made()
            terminal.isatty = lambda: isTerminal
            with mock.patch("sys.stderr", terminal), \
                    mock.patch.dict("sys.modules", tqdm=None), \
                    mock.patch("iobeam.progress._SHORT_SECONDS", -1), \
                    common.counting(options, 10) as advance:
                advance(5)
            self.assertEqual(isTerminal, "sending: 5 of 10 rows"
                             in terminal.getvalue())
