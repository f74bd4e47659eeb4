# -*- coding: utf-8 -*-
from __future__ import absolute_import

import io
import json
import os
import stat
import sys
import unittest

from iobeam import configuration, iobeam
from tests import loopback
from tests.command import running
from tests.support import mock

VARIABLES = sorted(configuration.VARIABLES.values())


class ConfigureCase(running.CliTest):
    """No variables; a home of its own; and a backend."""

    def setUp(self):
        running.CliTest.setUp(self)
        for name in VARIABLES + ["IOBEAM_CONFIG", "XDG_CONFIG_HOME"]:
            os.environ.pop(name, None)
        self.home = self.folder()
        os.environ.update(HOME=self.home, USERPROFILE=self.home,
                          APPDATA=os.path.join(self.home, ".config"))
        self.file = os.path.join(self.home, ".config", "iobeam", "iobeam.ini")
        self.tokenFile = self.write(u"{}\n".format(self.token), "token")

    def configure(self, *args, **given):
        """Run it with a standard input, which is a terminal or not."""
        stdin = running.Stream(given.pop("stdin", ""))
        stdin.isTerminal = given.pop("isTerminal", False)
        with mock.patch("sys.stdin", stdin):
            return self.run_("configure", *args)

    def writes(self, *args, **given):
        code, printed = self.configure(*args, **given)
        self.assertEqual(0, code, self.err.getvalue())
        return printed

    def refuses(self, code, words, *args, **given):
        self.assertEqual(code, self.configure(*args, **given)[0])
        self.assertIn(words, self.err.getvalue())
        self.assertEqual(1, len(self.err.getvalue().splitlines()))

    def given(self):
        return "--backend", self.server.url, "--token-file", self.tokenFile

    def read(self):
        with io.open(self.file, encoding="utf-8") as opened:
            return opened.read()

    def known(self):
        return configuration.read()


class WritingTest(ConfigureCase):
    def test_options_are_written_after_they_were_tried(self):
        printed = self.writes(*self.given())
        self.assertIn("takes the token: project 1", printed)
        self.assertIn("written: " + self.file, printed)
        self.assertEqual(["devices/timestamp"], [
            request.path.strip("/") for request in self.server.requests])
        self.assertEqual({"backend": self.server.url, "token": self.token,
                          "project_id": "1"}, self.known())
        self.assertEqual([os.path.basename(self.file)],
                         os.listdir(os.path.dirname(self.file)))

    @unittest.skipIf(os.name == "nt", "permissions as POSIX has them")
    def test_nobody_else_may_read_it(self):
        old = os.umask(0)
        try:
            self.writes(*self.given())
        finally:
            os.umask(old)
        for name, mode in ((self.file, 0o600),
                           (os.path.dirname(self.file), 0o700)):
            self.assertEqual(mode, stat.S_IMODE(os.stat(name).st_mode))
        os.chmod(self.file, 0o644)
        self.writes("--backend", self.server.url)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.file).st_mode))

    def test_the_token_may_come_from_the_standard_input(self):
        self.writes("--backend", self.server.url, "--token", "-",
                    stdin=self.token + "\n")
        self.assertEqual(self.token, self.known()["token"])
        self.refuses(2, "standard input is empty", "--token", "-")
        self.refuses(2, "more than a token", "--token", "-", stdin="a b")
        self.refuses(2, "invalid jwt", "--token", "-", stdin="abc")
        self.configure("--token", self.token)
        self.assertIn("command line", self.err.getvalue())

    def test_what_is_not_given_stays(self):
        self.writes(*self.given())
        other = loopback.makeToken(7)
        self.writes("--token-file", self.write(u"" + other, "other"))
        self.assertEqual({"backend": self.server.url, "token": other,
                          "project_id": "7"}, self.known())
        self.writes("--backend", "http://127.0.0.1:1/v1/", "--no-check")
        self.assertEqual({"backend": "http://127.0.0.1:1/v1/", "token": other,
                          "project_id": "7"}, self.known())
        with io.open(self.file, "a", encoding="utf-8") as opened:
            opened.write(u"more = 5\n[other]\na = süß %s\n")
        self.writes("--backend", self.server.url)
        for line in (u"more = 5", u"[other]", u"a = süß %s"):
            self.assertIn(line, self.read())
        self.assertEqual(other, self.known()["token"])

    def test_what_is_missing_is_named(self):
        self.refuses(2, "--backend URL", "--token-file", self.tokenFile)
        self.refuses(2, "--token-file FILE", "--backend", self.server.url)
        unbound = self.write(u"" + loopback.makeToken(None), "unbound")
        self.refuses(2, "--project NUMBER", "--backend", self.server.url,
                     "--token-file", unbound)
        self.writes("--backend", self.server.url, "--token-file", unbound,
                    "--project", "5")
        self.assertEqual("5", self.known()["project_id"])

    def test_what_is_wrong_is_not_written(self):
        for words, args in (
                ("not a URL", ("--backend", "127.0.0.1:4620")),
                ("of 2016", ("--backend", "https://api.iobeam.com/v1/")),
                ("project 1, not 2", ("--project", "2")),
                ("must be an int", ("--project", "x")),
                ("empty", ("--backend", "")), ("empty", ("--token-file", ""))):
            self.assertEqual(2, self.configure(*(self.given() + args))[0])
            self.assertIn(words, self.err.getvalue())
        self.assertFalse(os.path.exists(self.file))

    def test_a_backend_without_its_version_gets_it(self):
        self.writes("--backend", self.server.url[:-len("/v1/")],
                    "--token-file", self.tokenFile)
        self.assertEqual(self.server.url, self.known()["backend"])

    def test_what_does_not_work_is_not_written_unless_it_is_to_be(self):
        closed = "http://127.0.0.1:{}/v1/".format(loopback.freePort())
        args = "--backend", closed, "--token-file", self.tokenFile
        self.refuses(1, "--no-check", *args)
        self.server.script((0, 401, {}, {"errors": [{"code": 1}]}))
        self.refuses(1, "does not take the token", *self.given())
        self.refuses(1, "expired", "--backend", self.server.url,
                     "--token-file", self.write(
                         u"" + loopback.makeToken(1, -5), "expired"))
        self.assertFalse(os.path.exists(self.file))
        self.writes("--backend", self.server.url, "--token-file", self.write(
            u"" + loopback.makeToken(1, 600), "short"))
        self.writes("--no-check", *args)
        self.assertEqual(closed, self.known()["backend"])

    def test_json(self):
        code, found = self.json("configure", *self.given())
        self.assertEqual((0, {"file": self.file, "backend": self.server.url,
                              "project_id": 1, "checked": True}),
                         (code, found))

    def test_variables_that_win_are_told_of(self):
        os.environ["IOBEAM_BACKEND"] = "http://127.0.0.1:1/v1/"
        self.writes(*self.given())
        self.assertIn("IOBEAM_BACKEND is set", self.err.getvalue())

    def test_what_only_a_variable_has_is_taken_from_there(self):
        os.environ["IOBEAM_TOKEN"] = self.token
        self.writes("--backend", self.server.url)
        del os.environ["IOBEAM_TOKEN"]
        self.assertEqual(self.token, self.known()["token"])

    def test_other_places(self):
        for name, value, file in (
                ("XDG_CONFIG_HOME", os.path.join(self.home, "x"),
                 os.path.join(self.home, "x", "iobeam", "iobeam.ini")),
                ("XDG_CONFIG_HOME", "relative", self.file),
                ("IOBEAM_CONFIG", os.path.join(self.home, "own.ini"),
                 os.path.join(self.home, "own.ini")),
                ("IOBEAM_CONFIG", os.path.join("~", "tilde.ini"),
                 os.path.join(self.home, "tilde.ini"))):
            if os.name == "nt" and name != "IOBEAM_CONFIG":
                continue
            with mock.patch.dict("os.environ", {name: value}):
                self.writes(*self.given())
                self.assertTrue(os.path.exists(file), file)
                self.assertEqual(self.token, self.known()["token"])

    @unittest.skipIf(os.name == "nt", "links as POSIX has them")
    def test_a_link_stays_one(self):
        target = os.path.join(self.home, "dotfiles.ini")
        os.makedirs(os.path.dirname(self.file))
        os.symlink(target, self.file)
        self.writes(*self.given())
        self.assertTrue(os.path.islink(self.file))
        self.assertTrue(os.path.isfile(target))

    def test_what_is_no_file_is_left_alone(self):
        os.environ["IOBEAM_CONFIG"] = self.home
        self.refuses(2, self.home, *self.given())
        if os.path.exists("/dev/null"):
            os.environ["IOBEAM_CONFIG"] = "/dev/null"
            self.refuses(2, "is no file", *self.given())

    def test_half_a_file_is_never_there(self):
        self.writes(*self.given())
        before = self.read()
        with mock.patch("os.fsync", side_effect=OSError(28, "full")):
            self.refuses(1, "full", "--backend", self.server.url)
        self.assertEqual(before, self.read())
        self.assertEqual(1, len(os.listdir(os.path.dirname(self.file))))


class AskingTest(ConfigureCase):
    def asks(self, answers, tokens, *args):
        tokens = list(tokens)
        with mock.patch("getpass.getpass",
                        lambda *_: tokens.pop(0)) as self.getpass:
            found = self.configure(*args, stdin=answers, isTerminal=True)
        self.assertEqual([], tokens)
        return found

    def test_all_are_asked_for(self):
        code, _ = self.asks(self.server.url + "\n", [self.token])
        self.assertEqual(0, code, self.err.getvalue())
        self.assertEqual(self.token, self.known()["token"])
        self.assertIn("Backend [http://127.0.0.1:4620/v1/]: ",
                      self.err.getvalue())

    def test_nothing_as_an_answer_keeps_what_there_is(self):
        self.writes(*self.given())
        before = self.read()
        self.assertEqual(0, self.asks("\n", [""])[0])
        self.assertEqual(before, self.read())

    def test_a_wrong_answer_is_asked_for_again(self):
        code, _ = self.asks("nonsense\n{}\n".format(self.server.url),
                            ["", "abc", self.token])
        self.assertEqual(0, code)
        for words in ("not a URL", "more than 0", "invalid jwt"):
            self.assertIn(words, self.err.getvalue())

    def test_only_what_is_missing_is_asked_for_beside_options(self):
        self.assertEqual(0, self.asks("", [self.token], "--backend",
                                      self.server.url)[0])
        self.assertEqual(0, self.asks("", [], "--project", "1")[0])

    def test_no_answer_writes_nothing(self):
        self.assertEqual(2, self.asks("", [])[0])
        self.assertIn("nothing was written", self.err.getvalue())
        with mock.patch("getpass.getpass", side_effect=EOFError):
            self.assertEqual(2, self.configure(
                "--backend", self.server.url, isTerminal=True)[0])
        self.assertIn("nothing was written", self.err.getvalue())
        self.assertFalse(os.path.exists(self.file))


class ShowTest(ConfigureCase):
    def test_the_token_is_not_shown(self):
        self.writes(*self.given())
        code, printed = self.configure("--show")
        self.assertEqual(0, code)
        self.assertIn("**** (project 1", printed)
        self.assertIn(self.server.url, printed)
        for part in self.token.split("."):
            self.assertNotIn(part, printed)

    def test_where_each_comes_from(self):
        self.writes(*self.given())
        os.environ["IOBEAM_BACKEND"] = "http://u:secret@127.0.0.1:1/v1/"
        code, found = self.json("configure", "--show")
        self.assertEqual(("IOBEAM_BACKEND", "file", "file", self.file), (
            found["backend"]["from"], found["token"]["from"],
            found["project_id"]["from"], found["file"]))
        self.assertNotIn("secret", json.dumps(found))
        self.assertIn("the file has another", self.configure("--show")[1])

    def test_what_is_not_set_is_1(self):
        code, printed = self.configure("--show")
        self.assertEqual(1, code)
        self.assertEqual(3, printed.count("not set"))
        self.assertEqual(1, self.json("configure", "--show")[0])


class UsingTest(ConfigureCase):
    """Commands and scripts take what stands in the file."""

    def setUp(self):
        ConfigureCase.setUp(self)
        self.writes(*self.given())
        self.server.requests[:] = []

    def test_commands_need_no_variables(self):
        self.assertEqual(0, self.run_("register", "--device", "d")[0])
        self.assertEqual(0, self.run_("send", self.write(running.CSV))[0])
        self.assertEqual(0, self.run_("query", "--device", "d")[0])
        self.assertEqual(0, self.run_("devices")[0])
        self.assertEqual(0, self.run_("token")[0])
        self.assertEqual(0, self.run_("token", "--refresh")[0])
        self.assertEqual(0, self.run_("doctor")[0])
        self.assertEqual(0, self.run_("buffer", "flush")[0])

    def test_variables_win_and_options_win_over_those(self):
        with loopback.Loopback() as second, loopback.Loopback() as third:
            os.environ["IOBEAM_BACKEND"] = second.url
            self.run_("devices")
            self.assertEqual([0, 2], [len(self.server.requests),
                                      len(second.requests)])
            self.run_("devices", "--backend", third.url)
            self.assertEqual([0, 2, 2], [len(self.server.requests), len(
                second.requests), len(third.requests)])
        os.environ["IOBEAM_TOKEN"] = loopback.makeToken(9)
        del os.environ["IOBEAM_BACKEND"]
        self.run_("query")  # a token of another project brings that with it
        self.assertEqual("exports/9/all/all",
                         self.server.requests[-1].path.strip("/"))

    def test_scripts_need_no_variables_either(self):
        client = iobeam.ClientBuilder.fromEnvironment() \
            .registerOrSetId("d").build()
        self.addCleanup(client.close)
        store = client.createDataStore(["a"])
        store.add(5, {"a": 1})
        client.send()
        self.assertEqual({("d", "a", 5000): 1}, self.server.stored)
        found = client.makeQuery(iobeam.QueryReq(client.projectId))
        self.assertEqual("a", found["result"][0]["name"])

    def test_a_variable_wins_in_scripts(self):
        with loopback.Loopback() as second:
            os.environ["IOBEAM_BACKEND"] = second.url
            iobeam.ClientBuilder.fromEnvironment().registerDevice().build() \
                .close()
            self.assertEqual(1, len(second.requests))

    def test_what_neither_has_is_named_with_both(self):
        os.remove(self.file)
        with self.assertRaises(ValueError) as caught:
            iobeam.ClientBuilder.fromEnvironment()
        said = str(caught.exception)
        for words in VARIABLES + ["iobeam.ini", "iobeam configure"]:
            self.assertIn(words, said)
        os.environ.update(IOBEAM_PROJECT_ID="1", IOBEAM_TOKEN=self.token)
        with self.assertRaisesRegex(ValueError, "^IOBEAM_BACKEND is not set"):
            iobeam.ClientBuilder.fromEnvironment()

    def test_a_file_that_cannot_be_read_is_named(self):
        with io.open(self.file, "w", encoding="utf-8") as opened:
            opened.write(u"token = {}\n".format(self.token))
        with self.assertRaises(ValueError) as caught:
            iobeam.ClientBuilder.fromEnvironment()
        self.assertIn(self.file, str(caught.exception))
        self.assertNotIn(self.token, str(caught.exception))
        self.says(2, self.file, "query")
        with mock.patch("io.open", side_effect=IOError(13, "Permission denied")):
            with self.assertRaisesRegex(ValueError, "Permission denied"):
                iobeam.ClientBuilder.fromEnvironment()

    def test_a_mark_of_windows_and_white_space_do_no_harm(self):
        text = self.read().replace("\n", " \r\n")
        with io.open(self.file, "w", encoding="utf-8-sig",
                     newline="") as opened:
            opened.write(text)
        self.assertEqual(self.token, self.known()["token"])

    def test_importing_the_library_reads_no_parser(self):
        from tests.test_structure import ROOT
        import subprocess
        self.assertEqual(b"[]", subprocess.check_output(
            [sys.executable, "-c", "import sys; from iobeam import iobeam; "
             "print([m for m in ('configparser', 'ConfigParser', "
             "'iobeam.configuration') if m in sys.modules])"],
            cwd=ROOT).strip())


if __name__ == "__main__":
    unittest.main()
