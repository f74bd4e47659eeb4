"""Run the tests of the client, and say at the end what was skipped, and why.

    python -m tests                     all of them, one after the other
    python -m tests -j 2                in two processes of their own, which
                                        are ended where a test hangs
    python -m tests --slowest 20        and the tests that took longest
    python -m tests --rerun             a few that failed are run once more
    python -m tests tests.test_auth     a package, a module, a class or a test

`python -m unittest discover` runs the same tests, and only counts what it
skips. A class of tests is the unit that a process is handed.
"""
from __future__ import absolute_import

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

from iobeam.utils import compat

try:
    import faulthandler
except ImportError:  # 2.7
    faulthandler = None

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STOP_S = 5  # that a test may take to clean up
FEW = 3  # failures that a crowded machine may be to blame for
LIMIT_S = 600  # that a test may take in a process of its own
_MARKS = {"passed": ".", "failed": "F", "skipped": "s", "unsteady": "~"}

# name of a test, a word of _MARKS, text (str), seconds
Outcome = collections.namedtuple("Outcome", "name kind text seconds")


class Collector(unittest.TestResult):
    """Tells a function of every outcome."""

    def __init__(self, tell):
        unittest.TestResult.__init__(self)
        self._tell = tell
        self._begin = compat.monotonic()

    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self._begin = compat.monotonic()
        self._said = False

    def addSuccess(self, test):
        if not self._said:
            self._say(test, "passed")

    def addExpectedFailure(self, test, err):
        self._say(test, "passed")

    def _say(self, test, kind, text=""):
        self._said = True
        self._tell(Outcome(test.id(), kind, text,
                           compat.monotonic() - self._begin))

    def addError(self, test, err):
        self._say(test, "failed", self._exc_info_to_string(err, test))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(subtest, err)

    def addSkip(self, test, reason):
        self._say(test, "skipped", reason)

    def addUnexpectedSuccess(self, test):
        self._say(test, "failed", "it passes, and was expected to fail")


# -- what there is -------------------------------------------------------------


def testsOf(suite):
    """Yield the tests of a suite and of the suites in it."""
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            for test in testsOf(one):
                yield test
        else:
            yield one


def discovered(names):
    """Return {name of a class: its tests}, in the order of unittest."""
    loader = unittest.TestLoader()
    classes = collections.OrderedDict()
    for test in testsOf(loaded(loader, name) for name in names or [""]):
        name = "{}.{}".format(type(test).__module__, type(test).__name__)
        classes.setdefault(name, []).append(test)
    return classes


def loaded(loader, name):
    """Return the suite of a package, and of what is below it, or of less."""
    folder = os.path.join(ROOT, *name.split("."))
    if os.path.isdir(folder):
        return loader.discover(folder, top_level_dir=ROOT)
    return loader.loadTestsFromName(name)


def runClass(tests, tell):
    unittest.TestSuite(tests).run(Collector(tell))


# -- other processes -------------------------------------------------------------


def work():
    """Be one: read the names of tests of a class, a line each, and tell."""
    out = os.fdopen(os.dup(1), "w")
    if os.name != "nt":
        import fcntl
        fcntl.fcntl(out.fileno(), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    os.dup2(2, 1)  # what a test prints is not an outcome
    if faulthandler:
        faulthandler.enable()  # SIGABRT has it say where it is

    def tell(outcome):
        out.write(json.dumps(outcome) + "\n")
        out.flush()

    try:
        for line in iter(sys.stdin.readline, ""):
            runClass(unittest.TestLoader().loadTestsFromNames(
                json.loads(line)), tell)
            tell(None)
    except KeyboardInterrupt:
        sys.exit(130)


class Worker(threading.Thread):
    """Has a process of its own run classes until there are none left."""

    def __init__(self, classes, tell):
        threading.Thread.__init__(self)
        self.daemon = True
        self._classes, self._tell = classes, tell
        self._process = None
        self._since = None  # when it began to wait for the process

    def run(self):
        while True:
            try:
                name, tests = self._classes.popleft()
            except IndexError:
                break
            if self._process is None:
                self._process = self._start()
            untold = self._handOver([test.id() for test in tests])
            if untold is not None:
                code = self._process.wait()
                self._process = None
                self._tell(Outcome(name, "failed", "the process that ran it "
                                   "ended with {}{}".format(code, untold), 0))
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait()

    @staticmethod
    def _start():
        flags = ["-W" + option for option in sys.warnoptions]
        return subprocess.Popen(
            [sys.executable] + flags + ["-m", "tests", "--work"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            universal_newlines=True)

    def interrupt(self):
        self._classes.clear()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def _handOver(self, names):
        """Run a class; where the process did not live to its end, say amid what.

        Returns:
            str, or None if it did.
        """
        untold = list(names)
        try:
            self._process.stdin.write(json.dumps(names) + "\n")
            self._process.stdin.flush()
        except EnvironmentError:
            return ""
        while True:
            line = self._nextLine()
            if not line:
                return "".join(", amid " + name for name in untold[:1])
            outcome = json.loads(line)
            if outcome is None:
                return None
            self._tell(Outcome(*outcome))
            if outcome[0] in untold:
                untold.remove(outcome[0])

    def endIfSilent(self, limit):
        """End the process if it has told nothing for `limit` seconds."""
        since = self._since
        if since is not None and compat.monotonic() - since > limit:
            self._since = None
            self._process.send_signal(signal.SIGABRT)

    def _nextLine(self):
        self._since = compat.monotonic()
        line = self._process.stdout.readline()
        self._since = None
        return line


def inProcesses(classes, count, tell, limit):
    """Run what can be found by its name in `count` processes, the rest here."""
    named, rest = collections.deque(), []
    for name, tests in classes.items():
        # unittest makes classes of its own for a module that cannot be loaded
        if name.startswith("tests."):
            named.append((name, tests))
        else:
            rest.append(tests)
    workers = [Worker(named, tell) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        for tests in rest:
            runClass(tests, tell)
        for worker in workers:
            while worker.is_alive():
                worker.join(1)  # without a limit, 2.7 hears of no Ctrl-C
                for each in workers:
                    each.endIfSilent(limit)
    except KeyboardInterrupt:
        for worker in workers:
            worker.interrupt()
        for worker in workers:
            worker.join(STOP_S)
        raise


def run(classes, count, tell, limit):
    if count > 0:
        inProcesses(classes, count, tell, limit)
    else:
        for tests in classes.values():
            runClass(tests, tell)


def rerun(report, count, limit):
    """Run what failed once more, if it is little, and tell the report."""
    names = set(one.name.split(" ")[0] for one in report.of("failed"))
    # What could not be loaded has a name of unittest's.
    if 0 < len(names) <= FEW and all(
            name.startswith("tests.") for name in names):
        second = Report(sys.stderr)
        run(discovered(sorted(names)), count, second.tell, limit)
        report.forgive(names - set(one.name.split(" ")[0]
                                   for one in second.of("failed")))


# -- the report --------------------------------------------------------------------


class Report(object):
    """Prints outcomes as they come, and their sum."""

    def __init__(self, out):
        self._out = out
        self._lock = threading.Lock()
        self._begin = compat.monotonic()
        self.outcomes = []

    def tell(self, outcome):
        with self._lock:
            self.outcomes.append(outcome)
            ended = len(self.outcomes) % 70 == 0
            self._write(_MARKS[outcome.kind] + ("\n" if ended else ""))

    def _write(self, text):
        if isinstance(text, type(u"")) and str is bytes:
            text = text.encode("utf-8", "replace")
        self._out.write(text)
        self._out.flush()

    def forgive(self, names):
        """Take failures of these tests for passed; close() still names them."""
        self.outcomes = [
            one._replace(kind="unsteady")
            if one.kind == "failed" and one.name.split(" ")[0] in names
            else one for one in self.outcomes]

    def of(self, kind):
        return [one for one in self.outcomes if one.kind == kind]

    def close(self, slowest=0):
        """Print the sum; return whether all is well."""
        sys.stdout.flush()  # the sum stands below all that tests print
        failed, skipped = self.of("failed"), self.of("skipped")
        unsteady = self.of("unsteady")
        lines = [""]
        for title, found in (("PASSED AT THE SECOND TRY: ", unsteady),
                             ("FAIL: ", failed)):
            for one in found:
                lines += ["=" * 70, title + one.name, "-" * 70, one.text]
        for one in sorted(self.outcomes, key=lambda one: -one.seconds)[
                :slowest]:
            lines.append("{:6.2f} s  {}".format(one.seconds, one.name))
        reasons = collections.Counter(one.text for one in skipped)
        lines += ["Skipped {}: {}".format(count, reason)
                  for reason, count in sorted(reasons.items())]
        ran = len(self.outcomes)
        lines += ["Ran {} test{} in {:.1f} s".format(
            ran, "" if ran == 1 else "s", compat.monotonic() - self._begin)]
        lines.append("{} passed, {} failed, {} skipped".format(
            len(self.of("passed")) + len(unsteady), len(failed), len(skipped)))
        self._write("\n".join(lines) + "\n")
        return ran > 0 and not failed


def main():
    parser = argparse.ArgumentParser(prog="python -m tests")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="of a package, a module, a class or a test")
    parser.add_argument("-j", type=int, default=0, metavar="N",
                        help="processes of their own (0: all runs in this)")
    parser.add_argument("--limit", type=float, default=LIMIT_S,
                        metavar="SECONDS", help="end such a process where a "
                        "test takes longer ({})".format(LIMIT_S))
    parser.add_argument("--slowest", type=int, default=0, metavar="N",
                        help="print the tests that took longest")
    parser.add_argument("--rerun", action="store_true",
                        help="run what failed once more, up to {}, and name "
                        "what passes then".format(FEW))
    parser.add_argument("--work", action="store_true",
                        help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work()
    report = Report(sys.stderr)
    try:
        run(discovered(given.names), given.j, report.tell, given.limit)
        if given.rerun:
            rerun(report, given.j, given.limit)
    except KeyboardInterrupt:
        report.close(given.slowest)
        sys.exit("interrupted")
    return 0 if report.close(given.slowest) else 1


if __name__ == "__main__":
    sys.exit(main())
