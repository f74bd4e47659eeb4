"""What make installs, and what it says meanwhile."""
from __future__ import absolute_import

import os
import re
import subprocess
import sys
import unittest

from tests import installing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# as pip 20 and pip 26 say it
SAID = """\
Obtaining file:///home/ann/iobeam
  Installing build dependencies: started
  Installing build dependencies: finished with status 'done'
Collecting falcon>=4 (from iobeam-server==1.0.0)
  Downloading falcon-4.0.0-py3-none-any.whl (1.2 kB)
Collecting enum34; python_version < "3.4"
Requirement already satisfied: pip in /usr/lib/python3
Building wheels for collected packages: iobeam
Installing collected packages: falcon, iobeam
Successfully installed iobeam-1.0.0
"""


class StepsTest(unittest.TestCase):
    def test_each_step_is_a_short_line(self):
        steps = [installing.stepOf(line) for line in SAID.splitlines()]
        self.assertEqual(["what it is built with", "falcon", "enum34",
                          "building", "unpacking"], list(filter(None, steps)))

    def runPip(self, *arguments):
        pip = subprocess.Popen(
            [sys.executable, installing.__file__.replace(".pyc", ".py")] + list(arguments),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items()
                 if name != "PYTHONWARNINGS"})  # pip's own are not ours
        out, said = pip.communicate()
        return pip.returncode, out.decode("utf-8"), said.decode("utf-8")

    def test_what_pip_said_comes_when_it_fails(self):
        code, out, said = self.runPip("--no-index", "./no-such-folder")
        self.assertNotEqual(0, code)
        self.assertEqual("", out)
        self.assertIn("no-such-folder", said)

    def test_what_is_there_already_takes_no_step(self):
        self.assertEqual((0, "", ""), self.runPip("--no-index", "pip"))


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, "Makefile")),
                     "not in a checkout")
class MakefileTest(unittest.TestCase):
    def rule(self, target):
        with open(os.path.join(ROOT, "Makefile")) as makefile:
            return re.search(r"^{}:.*\n((\t.*\n)*)".format(
                re.escape(target)), makefile.read(), re.M).group(1)

    def test_demo_installs_no_test_tools(self):
        self.assertIn(".venv/installed", self.rule("demo"))
        self.assertNotIn(".venv/ready", self.rule("demo"))
        self.assertNotIn("[", re.findall("-e .*", self.rule(
            ".venv/installed"))[0].replace("$(", ""))

    def test_demo_ends_with_where_the_commands_are(self):
        end = self.rule("demo").split("iobeam-server demo\n")[-1]
        for text in ("$(CURDIR)/$(BIN)", ". .venv/bin/activate",
                     "iobeam-server serve", "demo --keep"):
            self.assertIn(text, end)

    def test_tests_find_what_the_demo_installed(self):
        self.assertIn(".venv/installed", self.rule(".venv/ready"))
