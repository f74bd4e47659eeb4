"""How the tests themselves are run: what is told, and what is left running."""
from __future__ import absolute_import

import os
import shutil
import signal
import subprocess
import sys
import unittest

from tests import disk, support

_CASES = """
import os, sys, unittest

class GoodTest(unittest.TestCase):
    def test_passes(self):
        print("no outcome")

class OddTest(unittest.TestCase):
    def test_fails(self):
        self.fail("for a reason")

    @unittest.skip("a good reason")
    def test_is_skipped(self):
        pass

@unittest.skip("a good reason")
class SkippedTest(unittest.TestCase):
    def test_is_skipped_as_well(self):
        pass
"""
_DEADLY = """
class DeadlyTest(unittest.TestCase):
    def test_ends_its_process(self):
        os._exit(3)

class LaterTest(unittest.TestCase):
    def test_runs_all_the_same(self):
        pass
"""
_UNSTEADY = """
import os, unittest

class UnsteadyTest(unittest.TestCase):
    def test_passes_late(self):
        with open("tests/tried", "r+") as tried:
            if not tried.read():
                tried.write("once")
                self.fail("no time for this")

    def test_passes(self):
        pass
"""
_MANY = """
import unittest

class BadTest(unittest.TestCase):
    def test_1(self):
        self.fail()

    test_2 = test_3 = test_4 = test_1
"""
_HANGING = """
import time

class HangingTest(unittest.TestCase):
    def test_passes(self):
        pass

    def test_waits_for_ever(self):
        time.sleep(600)
"""
_INTERRUPTED = """
import unittest

class InterruptedTest(unittest.TestCase):
    def test_is_cut_short(self):
        raise KeyboardInterrupt()
"""
_BROKEN = "import nothing_of_that_name\n"


class RunnerTest(support.TestCase):
    """A copy of the runner, on tests of which it is known how they end."""

    def setUp(self):
        self.root = self.folder()
        os.mkdir(os.path.join(self.root, "tests"))
        shutil.copy(os.path.join(disk.ROOT, "tests", "__main__.py"),
                    os.path.join(self.root, "tests"))
        self.write("__init__.py", "")
        self.write("test_some.py", _CASES)

    def write(self, name, text):
        with open(os.path.join(self.root, "tests", name), "w") as opened:
            opened.write(text)

    def run_(self, *arguments):
        environment = dict(os.environ, PYTHONPATH=disk.ROOT,
                           PYTHONDONTWRITEBYTECODE="1")
        child = subprocess.Popen(
            [sys.executable, "-m", "tests"] + list(arguments), cwd=self.root,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = child.communicate()[0].decode("utf-8", "replace")
        return child.returncode, said

    def test_what_failed_can_be_run_once_more_and_is_named_all_the_same(self):
        self.write("test_some.py", _UNSTEADY)
        for arguments in ((), ("-j", "1"), ("-j", "2")):
            self.write("tried", "")
            code, said = self.run_("--rerun", *arguments)
            self.assertEqual(0, code, said)
            self.assertIn("PASSED AT THE SECOND TRY: "
                          "tests.test_some.UnsteadyTest.test_passes_late",
                          said)
            self.assertIn("no time for this", said)
            self.assertEqual("2 passed, 0 failed, 0 skipped",
                             said.splitlines()[-1])
            self.write("tried", "")
            self.assertEqual(1, self.run_(*arguments)[0])

    def test_what_fails_twice_or_in_numbers_has_failed(self):
        for code, count in ((_CASES, 1), (_BROKEN, 1), (_MANY, 4)):
            self.write("test_some.py", code)
            for arguments in ((), ("-j", "1"), ("-j", "2")):
                ended, said = self.run_("--rerun", *arguments)
                self.assertEqual(1, ended, said)
                self.assertIn(" {} failed,".format(count),
                              said.splitlines()[-1])
                self.assertNotIn("SECOND TRY", said)

    def test_what_failed_and_why_what_was_skipped_is_said_at_the_end(self):
        for arguments in ((), ("-j", "2"), ("--slowest", "1", "-j", "3")):
            code, said = self.run_(*arguments)
            self.assertEqual(1, code, said)
            self.assertIn("FAIL: tests.test_some.OddTest.test_fails", said)
            self.assertIn("for a reason", said)
            self.assertEqual(["Skipped 2: a good reason"],
                             [line for line in said.splitlines()
                              if line.startswith("Skipped")], said)
            self.assertEqual("1 passed, 1 failed, 2 skipped",
                             said.splitlines()[-1])

    def test_all_is_well_only_if_something_ran(self):
        self.assertEqual(0, self.run_("tests.test_some.GoodTest")[0])
        self.write("test_some.py", "")
        self.assertEqual(1, self.run_()[0])

    def test_what_cannot_be_loaded_fails(self):
        self.write("test_broken.py", _BROKEN)
        for arguments in ((), ("-j", "1"), ("-j", "2")):
            code, said = self.run_(*arguments)
            self.assertEqual(1, code)
            self.assertIn("nothing_of_that_name", said)
            self.assertEqual("1 passed, 2 failed, 2 skipped",
                             said.splitlines()[-1])

    def test_what_hangs_is_ended_and_named_and_the_rest_runs(self):
        self.write("test_some.py", _CASES + _HANGING)
        for count in ("1", "2"):
            code, said = self.run_("-j", count, "--limit", "2")
            self.assertEqual(1, code)
            self.assertIn(
                "ended with {}, amid tests.test_some.HangingTest."
                "test_waits_for_ever".format(-signal.SIGABRT), said)
            if sys.version_info[0] > 2:  # 2.7 has nothing to say where
                self.assertIn("in test_waits_for_ever", said)
            self.assertEqual("2 passed, 2 failed, 2 skipped",
                             said.splitlines()[-1])

    def test_what_was_interrupted_has_not_passed(self):
        self.write("test_some.py", _INTERRUPTED)
        code, said = self.run_()
        self.assertEqual(1, code)
        self.assertIn("0 passed, 0 failed, 0 skipped", said)

    def test_a_process_that_dies_fails_its_class_and_no_other(self):
        self.write("test_some.py", _CASES + _DEADLY)
        code, said = self.run_("-j", "2")
        self.assertEqual(1, code)
        self.assertIn("FAIL: tests.test_some.DeadlyTest", said)
        self.assertIn("ended with 3", said)
        self.assertEqual("2 passed, 2 failed, 2 skipped",
                         said.splitlines()[-1])


_LEAVES = """
import os, subprocess, sys, time
code = "import os, time; os.setsid(); print(os.getpid()); time.sleep(600)"
middle = ("import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
          "sys.argv[1]])")
# its parent ends at once, and it has a session of its own
parent = subprocess.Popen([sys.executable, "-c", middle, code],
                          stdout=subprocess.PIPE)
orphan = parent.stdout.readline().decode("ascii")
parent.wait()
"""


@unittest.skipUnless(sys.platform.startswith("linux"),
                     "only Linux hands orphans to a guard")
class GuardTest(support.TestCase):
    def start(self, then):
        child = disk.start(os.path.join("tests", "guard.py"), "-c",
                           _LEAVES + then)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        return child, int(child.stdout.readline())

    def isAlive(self, process):
        try:
            os.kill(process, 0)
        except EnvironmentError:
            return False
        return True

    def test_orphans_end_with_the_child_and_are_named(self):
        child, orphan = self.start("print(orphan)\nsys.exit(7)")
        self.assertEqual(7, child.wait())
        self.assertFalse(self.isAlive(orphan))
        self.assertIn(b"os.setsid()", child.stderr.read())

    def test_orphans_end_with_an_interrupt(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            child, orphan = self.start(
                "try:\n    print(orphan)\n    time.sleep(600)\n"
                "except KeyboardInterrupt: print('cleaned up')")
            self.assertTrue(self.isAlive(orphan))
            child.send_signal(number)
            self.assertEqual(128 + number, child.wait())
            self.assertFalse(self.isAlive(orphan))
            self.assertEqual(b"cleaned up", child.stdout.read().strip())


if __name__ == "__main__":
    unittest.main()
