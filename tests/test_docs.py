"""The documentation does what it says: its snippets run, its names exist."""
from __future__ import absolute_import

import __future__
import io
import logging
import os
import re
import shutil
import tempfile
import unittest

from iobeam import cli, iobeam, testing
from tests import loopback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md"] + sorted(
    os.path.join("docs", name) for name in os.listdir(
        os.path.join(ROOT, "docs")) if name.endswith(".md"))


def readPage(name):
    with io.open(os.path.join(ROOT, name), encoding="utf-8") as opened:
        return opened.read()


def snippetsOf(name):
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", readPage(name), re.S)


class SnippetsTest(unittest.TestCase):
    """Each page is one program, run in an empty folder against a backend."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.setEnvironment("IOBEAM_BACKEND", self.server.url)
        self.setEnvironment("IOBEAM_PROJECT_ID", "1")
        self.setEnvironment("IOBEAM_TOKEN", loopback.makeToken(1))

    def setEnvironment(self, name, value):
        def restore(before=os.environ.get(name)):
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before

        self.addCleanup(restore)
        os.environ[name] = value

    def runPage(self, name, **names):
        names["print"] = lambda *_: None
        for number, snippet in enumerate(snippetsOf(name), 1):
            exec(compile(snippet, "{} snippet {}".format(name, number),
                         "exec", __future__.print_function.compiler_flag), names)
        return names

    def storedSeries(self):
        return sorted(set(field for _, field, _ in self.server.stored))

    def test_readme_is_a_program_that_stores_what_it_adds(self):
        self.runPage("README.md")
        self.assertEqual(["humidity", "temperature"], self.storedSeries())
        values = sorted(value for (_, field, _), value
                        in self.server.stored.items()
                        if field == "temperature")
        self.assertEqual([21.6, 21.7, 21.8, 21.9], values)
        self.assertTrue(os.path.exists("iobeam_device_id"))
        self.assertTrue(os.path.exists("iobeam_buffer.db"))

    def test_delivery_page_keeps_sending_after_an_error(self):
        client = iobeam.ClientBuilder(1, loopback.makeToken(1)) \
            .registerOrSetId("dev").setRetries(0).build()
        self.addCleanup(client.close)
        self.server.script((0, 503, {}, ""), path="/imports")
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        readings = [{"a": 1}, {"a": 2}]
        store = client.createDataStore(["a"])
        self.runPage("docs/delivery.md", client=client, store=store,
                     readings=readings, interval=0.002)
        self.assertEqual(0, client.pending())
        self.assertEqual([1, 2], sorted(self.server.stored.values()))

    def test_testing_page_holds_tests_that_pass(self):
        found = self.runPage(os.path.join("docs", "testing.md"))
        ran = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(
            found["ScriptTest"]).run(ran)
        self.assertEqual((2, [], []), (ran.testsRun, ran.errors, ran.failures))
        with testing.installed() as backend:
            found["test_with_pytest"](backend)

    def test_no_other_page_has_snippets_that_nothing_runs(self):
        self.assertEqual(["README.md", os.path.join("docs", "delivery.md")],
                         [name for name in PAGES if snippetsOf(name)
                          and name != os.path.join("docs", "testing.md")])


class NamesTest(unittest.TestCase):
    def test_linked_files_exist(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)\)", readPage(page)):
                path = os.path.join(ROOT, os.path.dirname(page), target)
                self.assertTrue(os.path.exists(path), (page, target))

    def test_make_targets_exist(self):
        targets = re.findall(r"^([a-z-]+):", readPage("Makefile"), re.M)
        for page in PAGES:
            for target in re.findall(r"(?:`|    )make ([a-z-]+)",
                                     readPage(page)):
                self.assertIn(target, targets, page)

    def test_the_page_of_the_command_names_what_there_is(self):
        page = readPage(os.path.join("docs", "cli.md"))
        commands = cli._parser()._subparsers._group_actions[0].choices
        self.assertEqual(set(commands), set(re.findall(
            r"^\| `iobeam ([a-z]+)", page, re.M)))
        for name in commands:
            line = "\n".join(re.findall(
                r"^\| `iobeam {} [^`]*`".format(name), page, re.M))
            for option in re.findall(r"--[a-z-]+", line):
                self.assertIn(option, commands[name]._option_string_actions)
        self.assertEqual(["drop", "flush", "ls", "rejected"], sorted(
            re.findall(r"^\| `iobeam buffer ([a-z]+)", page, re.M)))

    def test_every_setting_is_documented_and_every_documented_one_exists(self):
        settings = set(name for name in vars(iobeam.ClientBuilder)
                       if not name.startswith("_"))
        text = "".join(readPage(page) for page in PAGES + ["CHANGELOG.md"])
        for name in settings:
            self.assertIn(name, text)
        for name in re.findall(r"`\.?((?:set|use|bufferTo|saveTo)[A-Z]\w*)\(",
                               text):
            self.assertIn(name, settings)


if __name__ == "__main__":
    unittest.main()
