# -*- coding: utf-8 -*-
from __future__ import absolute_import

import io
import json
import os
import subprocess
import sys

import iobeam as package
from iobeam import cli
from tests import loopback, support
from tests.support import mock

CSV = u"""time,temperature,place,on
1000,21.5,north,true
2000,22,,false
3000,-1e2,süd,
"""


class CliTest(support.TestCase):
    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.path = self.folder()
        patched = mock.patch.dict("os.environ")
        patched.start()
        self.addCleanup(patched.stop)
        self.token = loopback.makeToken(1)
        os.environ.update(IOBEAM_BACKEND=self.server.url,
                          IOBEAM_PROJECT_ID="1", IOBEAM_TOKEN=self.token)

    def run_(self, *args):
        """Run a command; (exit code, what it printed)."""
        made = io.BytesIO if str is bytes else io.StringIO
        self.out, self.err = made(), made()
        with mock.patch("sys.stdout", self.out), \
                mock.patch("sys.stderr", self.err):
            try:
                code = cli.main(list(args) + ["--path", self.path])
            except SystemExit as end:
                code = end.code
        printed = self.out.getvalue(), self.err.getvalue()
        for text in printed:
            self.assertNotIn(self.token, text)
            self.assertNotIn("Traceback", text)
        return code, printed[0]

    def json(self, *args):
        code, printed = self.run_(*(args + ("--json",)))
        return code, json.loads(printed)

    def says(self, code, words, *args):
        self.assertEqual(code, self.run_(*args)[0], self.err.getvalue())
        self.assertIn(words, self.err.getvalue())

    def write(self, text, name="rows.csv"):
        path = os.path.join(self.path, name)
        with io.open(path, "w", encoding="utf-8", newline="") as opened:
            opened.write(text)
        return path


class SettingsTest(CliTest):
    def test_what_is_missing_is_named(self):
        for name in ("IOBEAM_TOKEN", "IOBEAM_PROJECT_ID"):
            with mock.patch.dict("os.environ"):
                del os.environ[name]
                if name == "IOBEAM_PROJECT_ID":  # the token knows it
                    self.assertEqual(0, self.run_("register")[0])
                    os.environ["IOBEAM_TOKEN"] = loopback.makeToken(None)
                    os.remove(os.path.join(self.path, "iobeam_device_id"))
                self.says(2, name, "register")
        self.says(2, "projectId", "register", "--project", "0")
        self.says(2, "--project NUMBER", "register", "--project", "x")

    def test_a_token_may_be_in_a_file(self):
        del os.environ["IOBEAM_TOKEN"]
        name = self.write(u" {}\n".format(self.token), "token")
        self.assertEqual(0, self.run_("register", "--token-file", name)[0])
        self.says(2, "is empty", "register", "--token-file",
                  self.write(u"\n", "empty"))
        self.says(1, "none", "register", "--token-file", "none")

    def test_it_is_refused_on_the_command_line(self):
        for args in (("--token", self.token), ("--token=" + self.token,)):
            self.says(2, "does not belong on the command line", "register",
                      *args)

    def test_wrong_usage_is_2(self):
        for args in ((), ("nonsense",), ("send",), ("buffer", "eat"),
                     ("send", "f", "--unit", "years")):
            self.assertEqual(2, self.run_(*args)[0], args)

    def test_errors_are_json_if_asked_for(self):
        code, found = self.json("send", "no such file")
        self.assertEqual(1, code)
        self.assertIn("no such file", found["error"])

    def test_it_runs_as_a_module(self):
        said = subprocess.check_output(
            [sys.executable, "-m", "iobeam", "--version"],
            stderr=subprocess.STDOUT, cwd=os.path.dirname(
                os.path.dirname(os.path.abspath(__file__))))
        self.assertEqual(package.__version__, said.decode("ascii").strip())


class RegisterTest(CliTest):
    def test_the_id_is_printed_and_kept(self):
        for _ in range(2):
            self.assertEqual((0, "generated-device-0001\n"),
                             self.run_("register"))
        self.assertEqual(1, len(self.server.of("devices")))

    def test_an_id_of_ones_own(self):
        self.assertEqual((0, {"device_id": "d"}), self.json(
            "register", "--device", "d", "--name", "n"))
        self.assertEqual({"d": "n"}, self.server.devices)

    def test_a_taken_one_is_1_unless_it_may_be(self):
        self.server.devices["d"] = "d"
        self.says(1, "already registered", "register", "--device", "d")
        self.assertEqual((0, "d\n"), self.run_("register", "--device", "d",
                                               "--or-set"))


class SendTest(CliTest):
    def send(self, text, *args):
        return self.run_("send", self.write(text), "--device", "d", *args)

    def test_every_kind_of_cell(self):
        code, printed = self.send(CSV)
        self.assertEqual((0, "3 rows accepted, 0 refused, 0 waiting\n"),
                         (code, printed))
        self.assertEqual([
            (1000000, {"temperature": 21.5, "place": u"north", "on": True}),
            (2000000, {"temperature": 22, "place": None, "on": False}),
            (3000000, {"temperature": -100.0, "place": u"süd", "on": None})],
            [(row.time, row.values) for row in self.server.acknowledged])

    def test_times_in_every_unit(self):
        for unit, cell, time in (("sec", "5", 5000000), ("usec", "7", 7),
                                 ("sec", "1.5", 1500000), ("msec", "9", 9000)):
            self.send(u"when,a\n{},1\n".format(cell), "--time", "when",
                      "--unit", unit)
            self.assertEqual(time, self.server.acknowledged[-1].time)

    def test_without_a_time_it_is_now(self):
        self.send(u"\ufeffa\n1\n")
        row, = self.server.acknowledged
        self.assertGreater(row.time, 1.7e15)
        self.assertEqual({"a": 1}, row.values)

    def test_the_standard_input(self):
        lines = CSV.encode("utf-8") if str is bytes else CSV
        made = io.BytesIO if str is bytes else io.StringIO
        with mock.patch("sys.stdin", made(lines)):
            self.assertEqual(0, self.run_("send", "-", "--device", "d")[0])
        self.assertEqual(3, len(self.server.acknowledged))

    def test_more_rows_than_a_batch(self):
        with mock.patch.object(cli, "_BATCH_ROWS", 10):
            self.assertEqual(0, self.send(u"time,a\n" + u"".join(
                u"{0},{0}\n".format(k) for k in range(35)))[0])
        self.assertEqual([k * 1000 for k in range(35)],
                         [row.time for row in self.server.acknowledged])

    def test_what_is_wrong_in_the_file_is_named_with_its_line(self):
        for text, args, words in (
                (u"time,a\nsoon,1\n", (), "line 2: 'soon'"),
                (u"time,a\n1,1\n2\n", (), "line 3: 1 cells"),
                (u"t,a\n1,1\n", ("--time", "when"), "no column 'when'"),
                (u"time,all\n1,1\n", (), "reserved"), (u"", (), "columns"),
                (u"time\n1\n", (), "columns")):
            self.assertEqual(2, self.send(text, *args)[0])
            self.assertIn(words.replace("u'", "'"),
                          self.err.getvalue().replace("u'", "'"))

    def test_refused_rows_are_1_and_shown(self):
        self.server.refusesRow = lambda row: row.time == 2000000
        code, printed = self.send(CSV, "--json")
        self.assertEqual(1, code)
        self.assertEqual({"accepted": 2, "rejected": 1, "pending": 0},
                         json.loads(printed))
        self.assertIn('"temperature": 22', self.err.getvalue())

    def test_the_device_of_the_folder_is_used(self):
        self.run_("register")
        self.run_("send", self.write(CSV))
        self.assertEqual("generated-device-0001",
                         self.server.acknowledged[0].deviceId)


class BufferTest(CliTest):
    def test_what_cannot_be_delivered_waits_and_is_flushed(self):
        self.server.devices["d"] = "d"
        self.server.always((0, 403, {}, ""), path="imports")
        args = ("send", self.write(CSV), "--device", "d", "--buffer",
                self.path)
        with mock.patch.object(cli, "_BATCH_ROWS", 1):
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
        self.assertEqual([1000000, 2000000, 3000000],
                         [row.time for row in self.server.acknowledged])
        self.assertEqual((0, "nothing waits\n"), self.run_("buffer", "ls"))

    def test_without_one_the_way_out_is_told(self):
        self.server.always((0, 403, {}, ""), path="imports")
        code, printed = self.run_("send", self.write(CSV), "--device", "d")
        self.assertEqual(1, code)
        self.assertIn("repeat the command", printed)

    def test_refused_rows_are_listed_and_dropped(self):
        self.server.refusesRow = lambda row: row.time == 2000000
        self.run_("send", self.write(CSV), "--device", "d", "--buffer",
                  self.path)
        found, = self.json("buffer", "rejected")[1]["rejected"]
        self.assertEqual(("d", 400, 22), (found["device_id"], found["status"],
                                          found["row"]["temperature"]))
        self.says(2, "--yes", "buffer", "drop")
        self.assertEqual((0, {"dropped": 1}),
                         self.json("buffer", "drop", "--yes"))
        self.assertEqual((0, "nothing was refused\n"),
                         self.run_("buffer", "rejected"))

    def test_no_buffer_is_an_empty_one(self):
        self.assertEqual((0, {"buffer": []}), self.json("buffer", "ls"))
        self.assertEqual((0, {"dropped": 0}),
                         self.json("buffer", "drop", "--yes"))
        self.path = os.path.join(self.path, "none")
        self.says(2, "is not a folder", "buffer", "ls")


class QueryTest(CliTest):
    def setUp(self):
        CliTest.setUp(self)
        self.run_("send", self.write(CSV), "--device", "d")

    def test_a_line_a_point(self):
        self.assertEqual(
            (0, "d\ttemperature\t1000\t21.5\nd\ttemperature\t2000\t22\n"
                "d\ttemperature\t3000\t-100.0\n"),
            self.run_("query", "--device", "d", "--series", "temperature"))

    def test_json_is_the_answer(self):
        found = self.json("query", "--series", "place", "--from", "5",
                          "--limit", "7")[1]
        self.assertEqual("place", found["result"][0]["name"])
        self.assertEqual({"from": "5", "limit": "7"},
                         self.server.requests[-1].params)

    def test_groups_and_csv(self):
        self.server.script((0, 200, {}, "a,b\n1,2\n"))
        self.assertEqual((0, "a,b\n1,2\n"), self.run_(
            "query", "--group-by", "1h", "--csv"))
        self.assertEqual({"group_by": "1h", "operator": "mean",
                          "output": "csv"}, self.server.requests[-1].params)

    def test_a_refusal_is_1_and_bad_arguments_are_2(self):
        self.server.script((0, 403, {}, {"errors": [{"code": 2}]}))
        self.says(1, "403", "query")
        self.says(2, "operator", "query", "--group-by", "1h", "--operator",
                  "median")
        self.says(2, "limit", "query", "--limit", "0")


class TokenTest(CliTest):
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


class DoctorTest(CliTest):
    def failed(self, *args):
        code, found = self.json("doctor", *args)
        failed = [check for check in found["checks"] if not check["ok"]]
        self.assertEqual(1 if failed else 0, code)
        return [check["name"] for check in failed], failed

    def test_all_is_well(self):
        self.assertEqual([], self.failed()[0])
        code, printed = self.run_("doctor")
        self.assertEqual(0, code)
        for name in ("backend", "name", "answer", "token", "device", "buffer"):
            self.assertIn("ok   {}: ".format(name), printed)

    def test_each_trouble_comes_with_advice(self):
        expired = loopback.makeToken(1, -5)
        for name, change, words in (
                ("answer", lambda: self.server.script((0, 401, {}, "")),
                 "new one"),
                ("answer", lambda: self.server.script((0, 404, {}, "")),
                 "/v1/"),
                ("answer", lambda: self.server.script("html"), "/v1/"),
                ("answer", lambda: setattr(self.server, "skew", 3600),
                 "useServerTime"),
                ("token", lambda: os.environ.update(IOBEAM_TOKEN=expired),
                 "--refresh"),
                ("token", lambda: os.environ.update(IOBEAM_PROJECT_ID="2"),
                 "IOBEAM_PROJECT_ID"),
                ("device", lambda: os.mkdir(os.path.join(
                    self.path, "iobeam_device_id")), ""),
                ("backend", lambda: os.environ.pop("IOBEAM_BACKEND"),
                 "iobeam-server serve")):
            with mock.patch.dict("os.environ"):
                change()
                names, failed = self.failed()
            self.assertEqual([name], names)
            self.assertIn(words, failed[0]["advice"] or "")
            self.server.skew = 0.0
            if name == "device":
                os.rmdir(os.path.join(self.path, "iobeam_device_id"))

    def test_nobody_listens(self):
        url = "http://127.0.0.1:{}/v1/".format(loopback.freePort())
        names, failed = self.failed("--backend", url)
        self.assertEqual(["answer"], names)
        self.assertIn("does it run", failed[0]["advice"])

    def test_no_name_no_url_no_token(self):
        self.assertEqual(["name"], self.failed(
            "--backend", "http://nowhere.invalid/v1/")[0])
        self.assertEqual(["backend", "device"], self.failed(
            "--backend", "nonsense")[0])
        del os.environ["IOBEAM_TOKEN"]
        self.assertEqual(["answer", "token", "device"], self.failed()[0])
