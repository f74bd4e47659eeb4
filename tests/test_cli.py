# -*- coding: utf-8 -*-
from __future__ import absolute_import

import os
import subprocess
import sys
import unittest

import iobeam as package
from iobeam import cli
from tests import loopback
from tests.command import running
from tests.support import mock


class SettingsTest(running.CliTest):
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
        self.says(1, "none: No such file", "register", "--token-file", "none")
        for encoding, mark in (("utf-8-sig", b""), ("utf-16", b""),
                               ("utf-16-be", b"\xfe\xff")):
            with open(name, "wb") as opened:
                opened.write(mark + (u"" + self.token).encode(encoding))
            self.assertEqual(0, self.run_("token", "--token-file", name)[0])
        with open(name, "wb") as opened:
            opened.write(b"\xff\x80")
        self.says(2, "no text", "token", "--token-file", name)

    def test_one_that_is_not_whole_is_2_and_asks_nothing(self):
        os.environ["IOBEAM_TOKEN"] = "eyJhbGciOi"
        for command in (("query",), ("devices",), ("register",), ("token",)):
            self.says(2, "is it whole?", *command)
            self.assertNotIn("eyJhbGciOi", self.err.getvalue())
        self.assertEqual([], self.server.requests)

    def test_it_may_come_from_the_standard_input(self):
        del os.environ["IOBEAM_TOKEN"]
        with mock.patch("sys.stdin", running.Stream(self.token + "\n")):
            self.assertEqual(0, self.run_("register", "--token", "-")[0])
        self.says(2, "from elsewhere", "send", "-", "--token", "-")

    def test_what_an_unset_variable_leaves_empty_is_2(self):
        for option in ("--device", "--backend", "--project", "--token-file",
                       "--path", "--buffer", "--time", "--device-column"):
            self.says(2, "variable of the shell", "send", "f.csv", option, "")
        for command in ("register", "query", "devices", "doctor"):
            self.says(2, "variable of the shell", command, "--device", " ")
        self.assertEqual([], self.server.requests)

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

    @unittest.skipIf(os.name == "nt", "pipes of another kind")
    def test_a_reader_that_has_seen_enough_is_no_error(self):
        file = self.write(u"time,a\n" + u"".join(
            u"{},{}\n".format(1700000000 + k, u"x" * 20000)
            for k in range(20)))
        child = subprocess.Popen(
            [sys.executable, "-m", "iobeam", "send", "--dry-run", file],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=os.path.dirname(
                os.path.dirname(os.path.abspath(__file__))))
        child.stdout.read(10)
        child.stdout.close()
        said = child.stderr.read().decode("utf-8")
        child.stderr.close()
        self.assertEqual(0, child.wait())
        self.assertNotIn("Errno", said)
        self.assertNotIn("Exception", said)

    @unittest.skipIf(os.name == "nt", "a shell as POSIX has it")
    def test_closed_streams_and_a_full_disk_end_without_a_traceback(self):
        for code, ending in ((0, "2>&-"), (None, ">&-"), (1, ">/dev/full")):
            if "full" in ending and not os.path.exists("/dev/full"):
                continue
            child = subprocess.Popen(
                '"{}" -m iobeam token {}'.format(sys.executable, ending),
                shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
            said = child.communicate()[1].decode("utf-8")
            if code is not None:
                self.assertEqual(code, child.returncode, said)
            for words in ("Traceback", "Errno", "Exception"):
                self.assertNotIn(words, said)

    def test_it_runs_as_a_module(self):
        said = subprocess.check_output(
            [sys.executable, "-m", "iobeam", "--version"],
            stderr=subprocess.STDOUT, cwd=os.path.dirname(
                os.path.dirname(os.path.abspath(__file__))))
        self.assertEqual(package.__version__, said.decode("ascii").strip())


class NoBackendTest(running.CliTest):
    def test_a_command_that_needs_one_ends_before_it_asks_for_anything(self):
        del os.environ["IOBEAM_BACKEND"]
        for name in ("IOBEAM_TOKEN", "IOBEAM_PROJECT_ID"):
            del os.environ[name]
        for command in (("register",), ("send", "nothing.csv"), ("query",),
                        ("token", "--refresh"), ("buffer", "flush"),
                        ("devices",),
                        ("send", "-", "--backend",
                         "https://api.iobeam.com/v1/")):
            with mock.patch("socket.getaddrinfo", side_effect=AssertionError):
                self.says(2, "IOBEAM_BACKEND", *command)
                self.assertIn("iobeam configure", self.err.getvalue())
            self.assertEqual(1, len(self.err.getvalue().splitlines()))
        self.assertEqual([], self.server.requests)

    def test_one_that_needs_none_does_without(self):
        del os.environ["IOBEAM_BACKEND"]
        self.assertEqual(0, self.run_("token")[0])
        self.assertEqual(0, self.run_("buffer", "ls")[0])


@unittest.skipIf(os.name == "nt", "no POSIX shell")
class MisuseTest(running.CliTest):
    def test_one_line_says_what_is_wrong_and_what_to_do(self):
        for arguments, words in (
                (["query", "--sincee", "1h"], "there is no option --sincee; "
                 "did you mean --since? see iobeam query --help"),
                (["send", "a.csv", "--delimeter=;"],
                 "--delimeter; did you mean --delimiter?"),
                (["devices", "--qqqqqq"],
                 "there is no option --qqqqqq; see iobeam devices --help"),
                (["token", self.token], "an argument too many; see iobeam"),
                (["configure", "--tokn=" + self.token], "--token"),
                (["query", "--limit", "x"], "see iobeam query --help"),
                (["buffer", "lss"], "'ls', 'flush'"), (["frob"], "'doctor'"),
                (["send"], "see iobeam send --help"),
                ([], "see iobeam --help")):
            with mock.patch("sys.stderr", running.Stream()) as said, \
                    self.assertRaises(SystemExit) as caught:
                cli.main(arguments)
            self.assertEqual(2, caught.exception.code)
            self.assertIn(words, said.getvalue())
            self.assertEqual(1, said.getvalue().count("\n"), arguments)
            self.assertNotIn(self.token, said.getvalue())


class CompletionTest(unittest.TestCase):
    """What a shell is told that has run register-python-argcomplete."""

    def offered(self, line):
        asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n",
                 "COMP_LINE": line, "COMP_POINT": str(len(line))}
        # where argcomplete writes: descriptor 8
        child = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$0" -m iobeam 8>&1 9>/dev/null >/dev/null',
             sys.executable], stdout=subprocess.PIPE,
            env=dict(os.environ, **asked))
        return [each.strip() for each in
                child.communicate()[0].decode("ascii").split("\n")]

    def test_commands_and_options(self):
        try:
            import argcomplete  # noqa: F401
        except ImportError:
            self.skipTest("argcomplete is not installed")
        for line, some in (("iobeam qu", ["query"]),
                           ("iobeam buffer ad", ["adopt"]),
                           ("iobeam send --time-f", ["--time-format"]),
                           ("iobeam devices --s", ["--silent"])):
            self.assertEqual(some, self.offered(line))

    def test_without_it_nothing_is_imported(self):
        with mock.patch.dict("os.environ"), \
                mock.patch.dict("sys.modules", argcomplete=None):
            for value in (None, "1"):
                if value:
                    os.environ["_ARGCOMPLETE"] = value
                with self.assertRaises(SystemExit) as caught, \
                        mock.patch("sys.stdout", running.Stream()), \
                        mock.patch("sys.stderr", running.Stream()):
                    cli.main(["--version"])
                self.assertEqual(0, caught.exception.code)
