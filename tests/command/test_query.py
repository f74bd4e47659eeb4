# -*- coding: utf-8 -*-
from __future__ import absolute_import

import csv
import io
import json
import os
import subprocess
import sys
import time
import unittest

from iobeam import testing
from iobeam.command import points
from iobeam.utils import compat
from tests.command import running
from tests.support import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
A = 1700000000000000  # us; 2023-11-14T23:13:20+01:00
VALUES = {"temperature": [21.5, 22, -1e-7, 2 ** 63 - 1, 0.1 + 0.2],
          "place": [u"süd", u"a,b\n\"c\"", u"", u"true", u"\x1b[1m"],
          "on": [True, False, True, True, False]}


class FakeTest(running.CliTest):
    """The backend is the fake, and this machine in Berlin."""

    def setUp(self):
        running.CliTest.setUp(self)
        self.backend = testing.FakeBackend()
        installed = testing.installed(self.backend)
        installed.__enter__()
        self.addCleanup(installed.__exit__, None, None, None)
        if hasattr(time, "tzset"):
            os.environ["TZ"] = "Europe/Berlin"
            time.tzset()

    def add(self, device, name, *found):
        self.backend.rows += [testing.Row(1, device, usec, {name: value})
                              for usec, value in found]

    def addAll(self):
        for name, values in VALUES.items():
            self.add("cellar", name, *[(A + k, value) for k, value
                                       in enumerate(values)])

    def params(self):
        return self.backend.requests[-1].params

    def finds(self, *args):
        code, printed = self.run_("query", *args)
        self.assertEqual(0, code, self.err.getvalue())
        return compat.toText(printed)

    def findsNothing(self, words, *args):
        self.assertEqual((1, ""), self.run_("query", *args))
        self.assertIn(words, self.err.getvalue())
        self.assertEqual(1, len(self.err.getvalue().splitlines()))


@unittest.skipUnless(hasattr(time, "tzset"), "the zone cannot be changed")
class FormsTest(FakeTest):
    def test_lines_with_tabs(self):
        self.add("d", "a", (A, 21.5), (A + 1, u"süd\t\x9b"),
                 (A + 250000, True))
        self.assertEqual(
            u"d\ta\t2023-11-14T23:13:20+01:00\t21.5\n"
            u"d\ta\t2023-11-14T23:13:20.000001+01:00\t\"süd\\t\\u009b\"\n"
            u"d\ta\t2023-11-14T23:13:20.250+01:00\ttrue\n", self.finds())

    def test_zones(self):
        self.add("d", "a", (A, 5))
        for args, shown in ((("--utc",), "2023-11-14T22:13:20Z"),
                            (("--tz", "+05:45"), "2023-11-15T03:58:20+05:45")):
            self.assertEqual(u"d\ta\t{}\t5\n".format(shown), self.finds(*args))
        self.says(2, "--tz Mars", "query", "--tz", "Mars")

    def test_a_table_on_a_terminal(self):
        self.isTerminal = True
        self.add("cellar", "a", (A, 21.5), (A + 10 ** 6, -100.25))
        self.add("cellar", "place", (A, u"\x1b[31m"))
        self.assertEqual(
            u"device  series  time                            value\n"
            u"------  ------  -------------------------  ----------\n"
            u"cellar  a       2023-11-14T23:13:20+01:00       21.5\n"
            u"cellar  a       2023-11-14T23:13:21+01:00     -100.25\n"
            u"cellar  place   2023-11-14T23:13:20+01:00  \\u001b[31m\n",
            self.finds())
        self.findsNothing("no series b", "--series", "b")

    def test_a_long_table_comes_in_parts(self):
        self.isTerminal = True
        with mock.patch("iobeam.command.forms._FIRST_ROWS", 3):
            self.add("d", "a", *[(A + k, k) for k in range(2)])
            self.add("e", "a", *[(A + k, k) for k in range(2)])
            self.add("f", "a", *[(A + k, k) for k in range(2)])
            lines = self.finds().splitlines()
        self.assertEqual(8, len(lines))
        self.assertEqual(1, len([line for line in lines if "device" in line]))


class ExactTest(FakeTest):
    """Nothing is lost on the way through CSV and JSON."""

    def test_json(self):
        self.addAll()
        code, found = self.json("query")
        self.assertEqual((0, "usec"), (code, found["timefmt"]))
        self.assertEqual(
            dict((name, [(A + k, value) for k, value in enumerate(values)])
                 for name, values in VALUES.items()),
            dict((one["name"], [(point["time"], point["value"])
                                for point in one["data"]])
                 for one in found["result"]))
        for one in found["result"]:
            self.assertEqual((1, "cellar"),
                             (one["project_id"], one["device_id"]))
            for point in one["data"]:
                self.assertIs(int, type(point["time"]))
        self.assertEqual(1, len(self.out.getvalue().splitlines()))

    def test_csv(self):
        self.addAll()
        printed = self.finds("--csv")
        read = list(csv.reader(io.StringIO(printed) if str is not bytes
                               else io.BytesIO(printed.encode("utf-8"))))
        self.assertEqual(["project_id", "device_id", "name", "time", "value"],
                         read[0])
        cells = dict(((line[2], int(line[3])), compat.toText(line[4]))
                     for line in read[1:])
        self.assertEqual(15, len(cells))
        for k in range(5):
            self.assertEqual(VALUES["place"][k], cells["place", A + k])
            self.assertEqual(u"true" if VALUES["on"][k] else u"false",
                             cells["on", A + k])
            self.assertEqual(VALUES["temperature"][k], json.loads(
                cells["temperature", A + k]))
        self.assertEqual(u"9223372036854775807", cells["temperature", A + 3])

    def test_csv_goes_back_through_send(self):
        self.addAll()
        before = self.finds("--csv")
        file = self.write(before, "all.csv")
        self.backend.rows = []
        self.assertEqual(0, self.run_("send", file)[0])
        self.assertEqual(sorted(before.splitlines()),
                         sorted(self.finds("--csv").splitlines()))

    def test_many_pieces_are_one_answer(self):
        for k in range(50):
            self.add("d", "a", (A + k * 10 ** 6, k))
        self.add("e", "a", (A, 5))
        with mock.patch.object(points, "FIRST", 5), \
                mock.patch.object(points, "PIECE", 7):
            found = self.json("query")[1]
            self.assertEqual([50, 1], [len(one["data"]) for one
                                       in found["result"]])
            self.assertEqual(52, len(self.finds("--csv").splitlines()))
            self.assertEqual(51, len(self.finds().splitlines()))
            self.assertEqual(
                [(A + k * 10 ** 6, k) for k in range(30, 50)],
                [(point["time"], point["value"]) for point in self.json(
                    "query", "--device", "d", "--limit", "20")[1]
                 ["result"][0]["data"]])

    def test_of_an_answer_that_breaks_off_no_json_is_made(self):
        for k in range(50):
            self.add("d", "a", (A + k * 10 ** 6, k))
        with mock.patch.object(points, "FIRST", 5), \
                mock.patch.object(points, "PIECE", 7):
            self.add("c", "a", (A, 5))
            self.backend.fail(None, None, 503)
            code, printed = self.run_("query", "--json")
        self.assertEqual(1, code)
        self.assertIn("not complete", self.err.getvalue())
        self.assertRaises(ValueError, json.loads, printed)
        self.assertNotIn("error", printed)
        self.backend.fail(503)
        code, found = self.json("query")  # before anything is printed
        self.assertEqual(1, code)
        self.assertIn("503", found["error"])


class AskingTest(FakeTest):
    def test_what_is_asked_for(self):
        self.add("d", "a", (A, 5))
        self.finds("--device", "d", "--series", "a", "--limit", "7",
                   "--from", "2023-11-14T22:13:20Z", "--to", "1700000000000")
        self.assertEqual("exports/1/d/a", self.backend.requests[-1].path)
        self.assertEqual({"from": A // 1000, "to": A // 1000, "limit": 7,
                          "timefmt": "usec"}, self.params())

    def test_since(self):
        self.add("d", "a", (A, 5))
        with mock.patch("time.time", return_value=A / 1e6 + 10.5):
            self.finds("--since", "1m")
            self.assertEqual(A // 1000 + 10000 - 60000, self.params()["from"])
            self.findsNothing("nothing from", "--since", "5s")
        self.finds("--since", "2023-11-14")
        for text in ("yesterday", "1x", "90"):
            self.says(2, "--since " + text, "query", "--since", text)
            self.assertIn("7d", self.err.getvalue())
        self.says(2, "not allowed with", "query", "--since", "1h", "--from",
                  "5")

    def test_groups(self):
        self.add("d", "a", (A, 5), (A + 1, 10))
        self.finds("--group-by", "1h")
        self.assertEqual(("1h", "mean"), (self.params()["group_by"],
                                          self.params()["operator"]))
        found = self.json("query", "--group-by", "1h", "--operator", "max")[1]
        self.assertEqual([{"time": A // 3600000000 * 3600000000, "value": 10}],
                         found["result"][0]["data"])
        found = self.json("query", "--operator", "count")[1]
        self.assertEqual(2, found["result"][0]["data"][0]["value"])

    def test_what_is_wrong_is_2_and_asks_nothing(self):
        for words, args in (
                ("operator", ("--group-by", "1h", "--operator", "median")),
                ("interval", ("--group-by", "1y")), ("limit", ("--limit", "0")),
                ("--limit", ("--limit", "x")), ("--from x", ("--from", "x")),
                ("--to 1h", ("--to", "1h")),
                ("reversed", ("--from", "5", "--to", "4")),
                ("empty", ("--series", "")), ("empty", ("--device", " ")),
                ("one of them", ("--csv", "--json")),
                ("seconds", ("--timeout", "0")),
                ("seconds", ("--timeout", "nan"))):
            self.says(2, words, "query", *args)
            self.assertNotIn("Traceback", self.err.getvalue())
        self.assertEqual([], self.backend.requests)

    def test_a_refusal_is_1(self):
        for status, words in ((401, "new token"), (403, "token that may"),
                              (404, "/v1/"), (503, "503")):
            self.backend.fail((status, {"errors": [
                {"code": 2, "message": u"no\xefn" if status == 403 else "no"}]}))
            self.says(1, "({})".format(status), "query")
            self.assertIn(words, self.err.getvalue())
            self.assertEqual(1, len(self.err.getvalue().splitlines()))
        self.backend.fail((502, "<html>\nBad\nGateway"))
        self.says(1, "502", "query")
        self.assertEqual(1, len(self.err.getvalue().splitlines()))


class ProgressTest(FakeTest):
    """Long works show a line that counts, where there is no tqdm."""

    def shows(self, words, *args):
        with mock.patch.dict("sys.modules", tqdm=None), \
                mock.patch("iobeam.progress._SHORT_SECONDS", 0), \
                mock.patch("iobeam.progress._STEP_SECONDS", 0):
            self.assertEqual(0, self.run_(*args)[0], self.err.getvalue())
        self.assertIn(words, self.err.getvalue())

    def test_of_a_query_into_a_file(self):
        self.isTerminal = True
        for k in range(50):
            self.add("d", "a", (A + k * 10 ** 6, k))
        self.assertEqual(0, self.run_("query")[0])
        self.assertNotIn("\r", self.err.getvalue())  # the answer is the sign
        self.isPiped = True
        self.shows("reading: 50 rows", "query", "--csv", "--device", "d")

    @unittest.skipIf(os.name == "nt", "terminals as POSIX has them")
    def test_the_bar_also_on_a_terminal_that_has_no_size(self):
        try:
            import tqdm  # noqa: F401
        except ImportError:
            self.skipTest("tqdm is not installed")
        import pty

        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        code = (
            "from iobeam import progress; progress._SHORT_SECONDS = 0\n"
            "from iobeam.command import common\n"
            "import time\n"
            "class Options: json = False\n"
            "with common.counting(Options) as advance:\n"
            "    time.sleep(0.2)\n"
            "    advance(1234)\n")
        try:
            subprocess.check_call([sys.executable, "-c", code], cwd=ROOT,
                                  stderr=theirs)
        finally:
            os.close(theirs)
        self.assertIn(b"1234 rows", os.read(ours, 10000))

    def test_of_a_buffer(self):
        self.isTerminal = True
        client = self.backend.builder().saveToDisk(self.path) \
            .registerDevice("d").bufferToDisk(self.path).build()
        client.createDataStore(["a"]).addRows(
            [(k, {"a": k}) for k in range(2000)])
        client.flush()
        client.close()
        self.shows("sending: 2,000 of 2,000 rows", "buffer", "flush")


class NothingTest(FakeTest):
    def setUp(self):
        FakeTest.setUp(self)
        self.add("cellar", "temperature", (A, 5))
        self.add("cellar", "humidity", (A, 5))
        self.add("attic", "load", (A, 5))

    def test_a_name_that_is_not_there(self):
        self.findsNothing("no series temperatur; there are: temperature, "
                          "humidity, load", "--series", "temperatur")
        self.backend.devices.update(cellar="cellar", attic="attic")
        self.findsNothing("no device celar; there are: cellar, attic",
                          "--device", "celar")
        self.findsNothing("no series temperature of device attic; there are: "
                          "load", "--device", "attic", "--series",
                          "temperature")

    @unittest.skipUnless(hasattr(time, "tzset"), "the zone cannot be changed")
    def test_a_time_without_points(self):
        self.findsNothing(
            "nothing from 2023-11-15T00:00:00+01:00 to 2023-11-16T00:00:00"
            "+01:00; the newest point is of 2023-11-14T23:13:20+01:00",
            "--device", "attic", "--from", "2023-11-15", "--to", "2023-11-16")

    def test_what_cannot_be_computed(self):
        self.backend.rows = []
        self.add("d", "text", (A, u"x"))
        self.findsNothing("nothing that can be computed so", "--group-by",
                          "1h")

    def test_a_project_without_points(self):
        self.backend.rows = []
        self.findsNothing("no points yet")

    def test_csv_and_json_are_whole_all_the_same(self):
        args = "--series", "temperatur"
        code, found = self.json("query", *args)
        self.assertEqual((1, {"result": [], "timefmt": "usec"}), (code, found))
        self.assertIn("temperature", self.err.getvalue())
        self.assertEqual((1, "project_id,device_id,name,time,value\n"),
                         self.run_("query", "--csv", *args))


class ProcessTest(running.CliTest):
    """Against a server on loopback."""

    def test_the_time_is_limited(self):
        self.server.script("hang", "hang", "hang", "hang", "hang")
        began = time.time()
        self.says(1, "no answer", "query", "--timeout", "0.3")
        self.assertLess(time.time() - began, 20)

    def test_a_slow_answer_may_take_as_long_as_is_said(self):
        with mock.patch("iobeam.http.settings.READ_SECONDS", 0.2):
            self.server.script((1, 200, {}, {"result": []}))
            self.says(1, "no points yet", "query", "--timeout", "60")
        self.assertEqual(2, len(self.server.requests))

    @unittest.skipIf(os.name == "nt", "pipes of another kind")
    def test_a_reader_that_has_seen_enough_is_no_error(self):
        for name in ("d", "e"):
            for k in range(3000):
                self.server.stored[name, "temperature", k * 1000] = k
        for args in ((), ("--csv",), ("--json",)):
            child = subprocess.Popen(
                (sys.executable, "-m", "iobeam", "query") + args,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
            self.assertEqual(10, len(child.stdout.read(10)))
            child.stdout.close()
            said = child.stderr.read()
            child.stderr.close()
            self.assertEqual((0, b""), (child.wait(), said))


if __name__ == "__main__":
    unittest.main()
