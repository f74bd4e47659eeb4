# -*- coding: utf-8 -*-
from __future__ import absolute_import

import json
import os
import signal
import subprocess
import sys
import unittest

from iobeam.spool.buffer import Spool
from tests import loopback, support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
LIMIT_S = 30
T = 1700000000


@unittest.skipIf(os.name == "nt", "signals of another kind")
class PipeTest(support.TestCase):
    """``sensor | iobeam send -``: real processes, pipes and signals."""

    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.path = self.folder()
        # nohup may have started the tests
        self.addCleanup(signal.signal, signal.SIGHUP,
                        signal.signal(signal.SIGHUP, signal.SIG_DFL))

    def start(self, *args):
        environment = dict(
            os.environ, IOBEAM_BACKEND=self.server.url, PYTHONPATH=ROOT,
            IOBEAM_PROJECT_ID="1", IOBEAM_TOKEN=loopback.makeToken(1))
        environment.pop("PYTHONWARNINGS", None)
        child = subprocess.Popen(
            [sys.executable, "-m", "iobeam", "send", "-", "--device", "d",
             "--json"] + list(args), cwd=self.path, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        if child.poll() is None:
            child.kill()
            child.communicate()
        for stream in child.stdout, child.stderr, child.stdin:
            stream.close()

    def say(self, child, text):
        child.stdin.write(text.encode("utf-8"))
        child.stdin.flush()

    def finish(self, child, number=None):
        """(exit code, the object, what was said) at the end of a child."""
        if number is None:
            out, errors = child.communicate()
        else:
            child.send_signal(number)
            out = child.stdout.read()
            errors = child.stderr.read()
            child.wait()
        self.assertNotIn(b"Traceback", errors)
        return child.returncode, json.loads(out.decode("utf-8")), \
            errors.decode("utf-8")

    def until(self, condition, seconds=LIMIT_S):
        self.server.waitFor(condition, seconds)

    def times(self):
        return [row.time // 1000000 - T for row in self.server.acknowledged]

    def test_rows_go_out_one_by_one(self):
        child = self.start()
        self.say(child, u"time,a\n")
        for k in range(3):
            self.say(child, u"{},{}\n".format(T + k, k))
            self.until(lambda: len(self.times()) == k + 1)
        code, found, _ = self.finish(child)
        self.assertEqual((0, {"accepted": 3, "pending": 0, "rejected": 0}),
                         (code, found))

    def test_a_header_may_come_long_before_its_rows(self):
        child = self.start()
        self.say(child, u'"X","Y"\n"TIMESTAMP","a"\n"TS","C"\n')
        with self.assertRaises(AssertionError):
            self.until(self.times, seconds=1.5)
        self.say(child, u'"2021-02-18 21:46:23",5\n')
        self.until(self.times)
        self.assertEqual(0, self.finish(child)[0])

    def test_at_a_signal_all_that_was_read_has_been_sent(self):
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
            del self.server.acknowledged[:]
            child = self.start()
            self.say(child, u"time,a\n" + u"".join(
                u"{},{}\n".format(T + k, k) for k in range(1000)))
            self.until(self.times)
            self.say(child, u"{},5\n{},6".format(T + 1000, T + 1001))
            code, found, _ = self.finish(child, number)
            self.assertEqual((0, 1002), (code, found["accepted"]))
            self.assertEqual(list(range(1002)), self.times())

    def test_nohup_keeps_it_running(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            child = self.start()
        finally:
            signal.signal(signal.SIGHUP, before)
        self.say(child, u"time,a\n{},1\n".format(T))
        self.until(self.times)
        child.send_signal(signal.SIGHUP)
        self.say(child, u"{},2\n".format(T + 1))
        self.until(lambda: len(self.times()) == 2)
        self.assertEqual(0, self.finish(child)[0])

    def test_without_a_backend_rows_are_on_disk_within_a_second(self):
        self.server.always((0, 503, {}, ""), path="imports")
        child = self.start("--buffer", self.path)
        self.say(child, u"time,a\n{},1\n".format(T))
        for rows in 1, 2:
            self.until(lambda: sum(
                line[3] for line in Spool(self.path).summary()) == rows)
            if rows == 1:
                self.say(child, u"{},2\n".format(T + 1))
        child.kill()
        child.wait()
        self.assertEqual(2, Spool(self.path).summary()[0][3])

    def test_without_either_a_second_signal_ends_it(self):
        self.server.always((0, 503, {}, ""), path="imports")
        child = self.start()
        self.say(child, u"time,a\n{},1\n".format(T))
        self.until(lambda: self.server.of("imports"))
        child.send_signal(signal.SIGINT)
        self.until(lambda: len(self.server.of("imports")) > 1)
        code, found, said = self.finish(child, signal.SIGTERM)
        self.assertEqual((1, 0, 1, "interrupted"), (
            code, found["accepted"], found["pending"], found["error"]))

    def test_a_later_cell_of_another_kind_makes_a_bad_row(self):
        child = self.start()
        self.say(child, u"time,a,b\n{},1,\n".format(T))
        self.until(self.times)
        child.stdin.write(u"{0},x,\n{1},2,true\n{2},3,5\nsoon,1,\n".format(
            T + 1, T + 2, T + 3).encode("ascii") + b"1700000009,\xff,\n")
        code, found, _ = self.finish(child)
        self.assertEqual((1, 2, 4), (code, found["accepted"],
                                     found["rejected"]))
        with open(os.path.join(self.path, "stdin.rejected.csv")) as opened:
            lines = opened.read().splitlines()
        self.assertEqual(["line", "3", "5", "6", "7"],
                         [line.split(",")[0] for line in lines])
        self.assertIn('b: ""5"" is neither true nor false', lines[2])

    def test_rows_that_a_text_tells_apart_are_put_aside(self):
        child = self.start()
        self.say(child, u"time,symbol,v\n{},A,1\n".format(T))
        self.until(self.times)
        # B's come later, in order, and so do not overwrite A's
        self.say(child, u"".join(u"{},{},{}\n".format(T + k, symbol, k)
                                 for symbol in "AB" for k in range(1, 4)))
        self.say(child, u"{0},A,9\n{0},,8\n".format(T + 2))  # the last counts
        code, found, said = self.finish(child)
        self.assertEqual((1, 6, 3), (code, found["accepted"],
                                     found["rejected"]))
        self.assertIn("2 rows had the time of one before", said)
        with open(os.path.join(self.path, "stdin.rejected.csv")) as opened:
            lines = opened.read().splitlines()
        self.assertEqual(["line", "6", "7", "8"],
                         [line.split(",")[0] for line in lines])
        self.assertIn("which column symbol may tell apart", lines[1])

    def test_a_dry_run(self):
        child = self.start("--dry-run")
        self.say(child, u"time,a\n{},1\n{},2\n".format(T + 5, T))
        code, found, _ = self.finish(child)
        self.assertEqual((0, {
            "columns": ["a"], "timeColumn": "time", "rows": 2,
            "first": T * 1000, "last": (T + 5) * 1000}), (code, found))
        self.assertEqual([], self.server.requests)

    def test_comments_that_come_later(self):
        child = self.start()
        self.say(child, u"time,a\n{},1\n".format(T))
        self.until(self.times)
        self.say(child, u"# battery changed\n{},2\n".format(T + 1))
        self.assertEqual(0, self.finish(child)[0])
        self.assertEqual([0, 1], self.times())

    def test_a_header_alone_is_no_error(self):
        code, found, said = self.finish_(u"time,a\n")
        self.assertEqual((0, 0), (code, found["accepted"]))
        self.assertIn("no rows", said)

    def test_doubts_are_refused_at_once(self):
        for text, words in ((u"date,v\n03/04/2021,1\n", "--time-format"),
                            (u"v,w\n1,2\n" * 10, "--time now"), (u"", "empty")):
            code, found, said = self.finish_(text)
            self.assertEqual(2, code)
            self.assertIn(words, found["error"])
        self.assertEqual([], self.server.of("imports"))

    def finish_(self, text):
        child = self.start()
        self.say(child, text)
        return self.finish(child)

    def test_a_row_of_several_lines_and_of_several_pieces(self):
        child = self.start()
        self.say(child, u"time,a\r\n{},x\r".format(T))
        self.until(self.times)
        for piece in (u"\n{},\"y".format(T + 1), u"\nz\"", u"\r\n{}".format(
                T + 2), u",w\r\n"):
            self.say(child, piece)
        self.assertEqual(0, self.finish(child)[0])
        self.assertEqual([u"x", u"y\nz", u"w"], [
            row.values["a"] for row in self.server.acknowledged])
