"""The documentation does what it says: its snippets run, its names exist."""
from __future__ import absolute_import

import __future__
import io
import logging
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from iobeam import cli, configuration, iobeam, outbox, testing
from iobeam.http import settings
from iobeam.spool import chunk
from tests import disk, loopback, support

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md", "CONTRIBUTING.md"] + sorted(
    os.path.relpath(os.path.join(folder, name), ROOT)
    for folder, _, names in os.walk(os.path.join(ROOT, "docs"))
    for name in names if name.endswith(".md"))


def readPage(name):
    with io.open(os.path.join(ROOT, name), encoding="utf-8") as opened:
        return opened.read()


def snippetsOf(name):
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", readPage(name), re.S)


def isService(snippet):
    """Tell whether it runs until somebody ends it: a program of its own."""
    return "while True:" in snippet


class ScriptCase(unittest.TestCase):
    """Runs programs in an empty folder against a backend."""

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


class SnippetsTest(ScriptCase):
    """Each page is one program."""

    def runPage(self, name, **names):
        names["print"] = lambda *_: None
        for number, snippet in enumerate(snippetsOf(name), 1):
            if isService(snippet):
                continue
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
        self.assertEqual([21.6, 21.7, 21.8], values)
        self.assertTrue(os.path.exists("iobeam_device_id"))

    def test_delivery_page_keeps_sending_after_an_error(self):
        client = iobeam.ClientBuilder(1, loopback.makeToken(1)) \
            .registerOrSetId("dev").setRetries(0).build()
        self.addCleanup(client.close)
        self.server.script((0, 503, {}, ""), path="imports")
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        readings = [{"a": 1}, {"a": 2}]
        store = client.createDataStore(["a"])
        self.runPage("docs/delivery.md", client=client, store=store,
                     readings=readings, interval=0.002)
        self.assertEqual(0, client.pending())
        self.assertEqual([1, 2], sorted(self.server.stored.values()))

    def test_testing_page_holds_tests_that_pass(self):
        unittest.mock = support.mock  # which 2.7 has elsewhere
        found = self.runPage(os.path.join("docs", "testing.md"))
        ran = unittest.TestResult()
        for name in ("ScriptTest", "TransportTest"):
            unittest.defaultTestLoader.loadTestsFromTestCase(
                found[name]).run(ran)
        self.assertEqual((3, [], []), (ran.testsRun, ran.errors, ran.failures))
        with testing.installed() as backend:
            found["test_with_pytest"](backend)

    def test_first_page_sends_a_reading(self):
        self.runPage(os.path.join("docs", "index.md"))["client"].close()
        self.assertEqual(["humidity", "temperature"], self.storedSeries())

    def test_first_chart_is_one_of_a_minute(self):
        with support.mock.patch("time.sleep") as sleep:
            found = self.runPage(os.path.join("docs", "start",
                                              "first-chart.md"))
        found["client"].close()
        self.assertEqual(60, sleep.call_count)
        self.assertEqual(["temperature"], self.storedSeries())

    def test_notebook_goes_to_the_backend_and_back(self):
        try:
            import pandas  # noqa: F401
        except ImportError:
            self.skipTest("pandas is not installed")
        with testing.installed():
            found = self.runPage(os.path.join("docs", "start", "notebook.md"))
        found["client"].close()
        self.assertEqual(1440, len(found["found"]))
        self.assertEqual([30.5 - 1, 90.5 - 1], list(found["hourly"])[:2])

    def test_no_other_page_has_snippets_that_nothing_runs(self):
        self.assertEqual(
            ["README.md"] + [os.path.join("docs", *name.split("/")) for name in (
                "delivery.md", "index.md", "start/first-chart.md",
                "start/notebook.md", "testing.md")],
            [name for name in PAGES if snippetsOf(name)])


# Put into a service that is tried: it hurries, numbers its rows from FIRST on,
# and tells of each before and after it is added.
_WATCH = """
import itertools, os, time
from iobeam.resources import data

numbers = itertools.count(int(os.environ["FIRST"]))
add, sleep = data.DataStore.add, time.sleep

def tell(what, number):
    os.write(1, "{} {}\\n".format(what, number).encode("ascii"))

def watched(store, timestamp, values):
    number = next(numbers)
    tell("adds", number)
    add(store, 1500000000000 + number, dict.fromkeys(values, number))
    tell("added", number)

data.DataStore.add = watched
time.sleep = lambda seconds: sleep(seconds / 60000.0)
"""


@unittest.skipUnless(hasattr(os, "fork"), "signals as POSIX has them")
class ServiceTest(ScriptCase):
    """Services that are stopped by SIGTERM and started again, at random."""

    ROUNDS = int(os.environ.get("IOBEAM_STOP_ROUNDS", "6"))

    def setUp(self):
        ScriptCase.setUp(self)
        self.code = os.path.join(self.folder, "code")
        self.state = os.path.join(self.folder, "state")
        os.mkdir(self.code)
        os.mkdir(self.state)
        with open(os.path.join(self.code, "sitecustomize.py"), "w") as hook:
            hook.write(_WATCH)

    def lines(self, command, first, lines):
        """Run it until it has told so many; all of them, as (word, number)."""
        child = subprocess.Popen(
            command, cwd=self.state, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=dict(
                os.environ, FIRST=str(first), PYTHONDONTWRITEBYTECODE="1",
                PYTHONPATH=os.pathsep.join([self.code, ROOT])))
        limits = [threading.Timer(120, child.kill)]
        if sys.version_info[0] == 2:
            # its sockets' finalizers are Python, and drop what a handler raises
            limits.append(threading.Timer(30, child.terminate))
        for limit in limits:
            limit.start()
        told = [child.stdout.readline() for _ in range(lines)]
        child.terminate()
        out, said = child.communicate()
        for limit in limits:
            limit.cancel()
        self.assertEqual(0, child.returncode, said.decode("utf-8", "replace"))
        self.assertNotIn(b"Traceback", said)
        return [line.split() for line in told + out.splitlines()]

    def stops(self, command):
        """Stop and start it; every row that it added is to be kept."""
        steps = ["ok"] * 8 + [(0, 503, {}, ""), "reset", "html", "half-body",
                              loopback.step("ok", delay=0.05),
                              loopback.step("reset", applied=True)]
        kept, promised = set(), 0
        for turn in range(self.ROUNDS):
            self.server.script(*[random.choice(steps) for _ in range(60)],
                               path="imports")
            # the first one is no matter of luck: some rows there have to be
            told = self.lines(command, promised, random.choice([1, 2, 9, 40])
                              if turn else 80)
            added = [int(number) for word, number in told if word == b"added"]
            begun = [int(number) for word, number in told if word == b"adds"]
            kept = set(disk.numbersIn(self.state)).union(
                row.time // 1000 for row in self.server.applied)
            kept = set(number - 1500000000000 for number in kept)
            missing = set(range(promised)).union(added) - kept
            self.assertEqual(set(), missing)
            promised = max(begun) + 1
            if promised - 1 not in kept:  # stopped before it was added
                promised -= 1
        self.assertEqual(set(range(promised)), kept)
        return promised

    def test_readmes_service_loses_nothing_when_it_is_stopped(self):
        snippet, = filter(isService, snippetsOf("README.md"))
        script = os.path.join(self.code, "service.py")
        with open(script, "w") as written:
            written.write(snippet)
        count = self.stops([sys.executable, script])
        self.assertGreaterEqual(count, 39)

    def test_unit_of_a_device_script_loses_nothing_either(self):
        unit = readPage(os.path.join("examples", "deploy",
                                     "iobeam-device.service"))
        program, script = re.findall(r"^ExecStart=(\S+) (\S+)$", unit, re.M)[0]
        self.assertTrue(program.endswith("/python"))
        count = self.stops([sys.executable, os.path.join(
            ROOT, "examples", os.path.basename(script))])
        self.assertGreaterEqual(count, 39)


class UnitTest(ScriptCase):
    NAME = os.path.join("examples", "deploy", "iobeam-device.service")

    def setting(self, name):
        return re.findall("^{}=(.*)$".format(name), readPage(self.NAME), re.M)

    def test_it_stops_and_starts_as_the_script_needs_it(self):
        self.assertEqual(["SIGTERM"], self.setting("KillSignal"))
        self.assertEqual(["always"], self.setting("Restart"))
        # more than the systems' resolver takes for a name, with two servers
        self.assertGreater(int(self.setting("TimeoutStopSec")[0]), 20)
        self.assertEqual(["/var/lib/" + self.setting("StateDirectory")[0]],
                         self.setting("WorkingDirectory"))
        for name in ("IOBEAM_PROJECT_ID", "IOBEAM_TOKEN", "IOBEAM_BACKEND"):
            self.assertIn(name, readPage(self.NAME))

    def test_its_configuration_is_where_iobeam_configure_writes_it(self):
        found = self.setting("Environment")
        self.assertEqual(["IOBEAM_CONFIG={}/iobeam.ini".format(
            self.setting("WorkingDirectory")[0])], found)
        lines = readPage(self.NAME).replace("\\\n#", "").splitlines()
        self.assertEqual(1, len([
            line for line in lines if line.startswith("#   sudo -u {} env {} "
            .format(self.setting("User")[0], found[0]))
            and line.endswith("iobeam configure")]))

    def test_systemd_takes_it(self):
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            program = os.path.join(folder, "systemd-analyze")
            if os.path.exists(program):
                break
        else:
            self.skipTest("there is no systemd-analyze: apt-get install "
                          "systemd")
        # with a program and a user that are here
        text = readPage(self.NAME)
        for name, value in (("ExecStart", sys.executable), ("User", "root")):
            text, count = re.subn("(?m)^{}=.*$".format(name),
                                  "{}={}".format(name, value), text)
            self.assertEqual(1, count)
        unit = os.path.join(self.folder, os.path.basename(self.NAME))
        with io.open(unit, "w", encoding="utf-8") as written:
            written.write(text)
        child = subprocess.Popen([program, "verify", unit],
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        said = child.communicate()[0].decode("utf-8", "replace")
        self.assertEqual((0, []), (child.returncode, [
            line for line in said.splitlines() if "iobeam-device" in line]))


class ExamplesTest(ScriptCase):
    def run_(self, name):
        printed = []
        runpy.run_path(os.path.join(ROOT, "examples", name),
                       {"print": printed.append})
        return printed

    def test_a_relay_sends_no_more_requests_than_it_has_devices(self):
        printed = self.run_("relay.py")
        self.assertEqual(["sent 1000 rows of 50 devices"], printed)
        self.assertEqual(1000, len(self.server.stored))
        self.assertEqual(50, len(self.server.imports()))
        rows = {}
        for row in self.server.applied:
            rows.setdefault(row.deviceId, []).append(row.time)
        self.assertEqual(50, len(rows))
        for times in rows.values():  # each device's in the order they came
            self.assertEqual(sorted(times), times)

    def test_the_program_of_the_readme_sends_its_rows(self):
        self.assertEqual(1, len(self.run_("readme_example.py")))
        self.assertEqual(20, len(self.server.stored))

    def test_a_configuration_file_does_for_variables(self):
        self.setEnvironment("IOBEAM_CONFIG",
                            os.path.join(self.folder, "iobeam.ini"))
        configuration.write({"project_id": "1", "backend": self.server.url,
                             "token": os.environ["IOBEAM_TOKEN"]})
        names = sorted(configuration.VARIABLES.values())
        with support.mock.patch.dict("os.environ"):
            for name in names:
                del os.environ[name]
            self.assertEqual(1, len(self.run_("readme_example.py")))
            self.assertEqual(1, len(self.run_("relay.py")))
            os.remove("iobeam.ini")
            for name in ("readme_example.py", "relay.py"):
                with self.assertRaises(ValueError) as caught:
                    self.run_(name)
                self.assertIn("iobeam configure", str(caught.exception))
        self.assertEqual(1020, len(self.server.stored))


class InstallTest(unittest.TestCase):
    """`pip install iobeam` brings the client of 2016."""

    # A path (./server), a file (iobeam-1.0.0.whl) or an archive is none.
    WRONG = re.compile(r"iobeam(?:[_-]server)?(?:\[[^]]*\]?)?"
                       r"(?:[=<>~!]=.*)?[.,;:)]*", re.I)

    @classmethod
    def wrong(cls, text):
        """The names of ours that some call of pip would get from an index."""
        text = re.sub(r"[\"'][ ,]*\\?\n\s*u?[\"']", " ", text)  # "pip " "install"
        text = re.sub(r"\\\n", " ", text)
        found = []
        for call in re.findall(
                r"pip[x\d.]*[\"', ]+(?:install|download|wheel)\b[\"',]*"
                r"\s+([^\n`]*)", text):
            words = re.split(r"[\s\"']+", re.split("[#;&|]", call)[0])
            if "--no-index" not in words:
                found += [word for word in words
                          if cls.WRONG.match(word)
                          and cls.WRONG.match(word).end() == len(word)]
        return found

    # What is not ours, or made from what is.
    LEFT_OUT = re.compile(r"(^|/)(build|dist|node_modules|__pycache__|"
                          r"[^/]*\.egg-info|\.(?!ci|dockerignore)[^/]*)(/|$)")

    def files(self):
        """Every text of ours, but this one, which has to quote."""
        for found, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders
                          if not self.LEFT_OUT.search(name)]
            for name in names:
                path = os.path.join(found, name)
                shown = os.path.relpath(path, ROOT)
                if self.LEFT_OUT.search(shown) \
                        or os.path.basename(__file__).startswith(
                            os.path.splitext(name)[0]):
                    continue
                try:
                    with io.open(path, encoding="utf-8") as opened:
                        yield shown, opened.read()
                except (UnicodeDecodeError, EnvironmentError):
                    pass  # an image; or a file of a test that ran beside us

    def test_nobody_is_told_to_install_the_name_of_the_index(self):
        found = dict(self.files())
        for name in ("README.md", "Makefile", "setup.py", "tox.ini", ".ci/run",
                     "examples/deploy/Dockerfile", "docs/cli.md",
                     "iobeam/frames.py", "server/README.md",
                     "server/iobeam_server/storage/__init__.py"):
            if os.path.exists(os.path.join(ROOT, name)):
                self.assertIn(os.path.normpath(name), found)
        self.assertEqual({}, {
            name: self.wrong(text) for name, text in found.items()
            if self.wrong(text)})

    def test_it_is_found_however_it_is_written(self):
        for text in ("pip install iobeam", "pip3 install 'iobeam[pandas]'",
                     "pip install iobeam.", "pip install iobeam==1.0.0",
                     "python -m pip install -U --quiet iobeam-server",
                     "pip install requests iobeam", "pipx install iobeam",
                     "pip install -U 'iobeam[cli]>=1.0' tqdm\n",
                     '"pip install "\n    "iobeam[cli]"',
                     '"pip " \\\n    u"install iobeam"',
                     'run("pip", "install", "iobeam")',
                     "pip install \\\n    iobeam_server",
                     "`pip install\niobeam`"):
            self.assertEqual(1, len(self.wrong(text)), text)
        for text in ("pip install .", "pip install './server[postgres]'",
                     "`pip install .` brings iobeam", "pip install . ./server",
                     "pip install --no-index --find-links dist iobeam-server",
                     "pip install dist/iobeam-1.0.0-py2.py3-none-any.whl",
                     "pip install requests && iobeam doctor",
                     "/opt/iobeam/bin/pip install requests  # for iobeam"):
            self.assertEqual([], self.wrong(text), text)


class NamesTest(unittest.TestCase):
    def test_linked_files_exist_and_have_the_headings(self):
        for page in PAGES:
            for target, _, heading in re.findall(
                    r"\]\(([^)#:]*)(#([^)]*))?\)", readPage(page)):
                path = os.path.normpath(os.path.join(
                    ROOT, os.path.dirname(page), target)) if target \
                    else os.path.join(ROOT, page)
                self.assertTrue(os.path.exists(path), (page, target))
                if heading:
                    found = [self.anchor(line) for line in re.findall(
                        "^#+ (.*)$", readPage(path), re.M)]
                    self.assertIn(heading, found, page)

    @staticmethod
    def anchor(heading):
        """What GitHub calls a heading in a link."""
        return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

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
        self.assertEqual(["adopt", "drop", "flush", "ls", "rejected"], sorted(
            re.findall(r"^\| `iobeam buffer ([a-z]+)", page, re.M)))

    def test_the_pages_about_files_and_questions_name_options_that_exist(self):
        commands = cli._parser()._subparsers._group_actions[0].choices
        known = set(option for command in commands.values()
                    for option in command._option_string_actions)
        for page in ("load-files", "query"):
            text = "\n".join(line for line in readPage(os.path.join(
                "docs", "how-to", page + ".md")).splitlines()
                if "iobeam-server" not in line)
            found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
            self.assertTrue(found)
            self.assertEqual(set(), found - known, page)

    def test_the_page_of_settings_has_the_defaults_there_are(self):
        page = readPage(os.path.join("docs", "reference", "settings.md"))
        for words in (
                "maxBytes={}, autoFlush={})".format(
                    chunk.DEFAULT_MAX_BYTES, outbox.DEFAULT_AUTO_FLUSH),
                "setTimeout(connect={:.0f}, read={:.0f})".format(
                    settings.CONNECT_SECONDS, settings.READ_SECONDS),
                "after {:.0f} s in which".format(settings.GIVE_UP_SECONDS),
                "up to {} times".format(settings.RETRIES)):
            self.assertIn(words, page)
        for name in ["IOBEAM_CONFIG"] + list(
                configuration.VARIABLES.values()):
            self.assertIn("`{}`".format(name), page)

    def test_every_setting_is_documented_and_every_documented_one_exists(self):
        settings = set(name for name in vars(iobeam.ClientBuilder)
                       if not name.startswith("_"))
        text = "".join(readPage(page) for page in PAGES + ["CHANGELOG.md"])
        for name in settings:
            self.assertIn(name, text)
        for name in re.findall(r"`\.?((?:set|use|bufferTo|saveTo)[A-Z]\w*)\(",
                               text):
            self.assertIn(name, settings)


class ArchitectureTest(unittest.TestCase):
    """The pictures of the house show what there is, and all of it."""

    PAGE = os.path.join("docs", "architecture.md")
    PACKAGES = [("The client", "iobeam"),
                ("The server", os.path.join("server", "iobeam_server"))]

    def pictures(self):
        """(folder of the package, names in its picture)."""
        for title, folder in self.PACKAGES:
            drawn = re.findall("## {}\n.*?```\n(.*?)```".format(title),
                               readPage(self.PAGE), re.S)[0]
            yield os.path.join(ROOT, folder), set(re.findall(
                r"[a-z_/]+(?:\.py\b|/(?=\s))", drawn))

    @staticmethod
    def places(folder):
        """Modules and packages that stand in a folder."""
        for name in os.listdir(folder):
            if os.path.exists(os.path.join(folder, name, "__init__.py")):
                yield name + "/"
            elif name.endswith(".py") and not name.startswith("__"):
                yield name

    def test_the_pictures_show_what_there_is(self):
        for folder, names in self.pictures():
            self.assertEqual([], sorted(
                name for name in names
                if not os.path.exists(os.path.join(folder, name))))

    def test_the_pictures_show_every_module_and_package_of_the_top(self):
        for folder, names in self.pictures():
            self.assertGreater(len(names), 15)
            self.assertEqual([], sorted(set(self.places(folder)) - names))

    def test_files_that_the_page_names_exist(self):
        roots = [ROOT] + [folder for folder, _ in self.pictures()]
        named = [name for name in re.findall("`([^`\\s]+)`",
                                             readPage(self.PAGE))
                 if name.endswith(("/", ".py", ".pyi", ".md"))]
        self.assertGreater(len(named), 40)
        missing = [name for name in named if not any(
            os.path.exists(os.path.join(root, name)) for root in roots)]
        # one in each engine
        self.assertEqual(
            set(["read.py", "schema.py", "sums.py", "write.py"]), set(missing))


if __name__ == "__main__":
    unittest.main()
