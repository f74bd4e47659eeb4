"""Processes that are killed: what they were promised arrives all the same.

IOBEAM_KILL_ROUNDS (20) is the number of rounds of the test of one process;
that of two at once has a third of them.
"""
from __future__ import absolute_import

import collections
import os
import random
import signal
import threading
import time
import unittest

from iobeam.http import request
from tests import disk, loopback

ROUNDS = int(os.environ.get("IOBEAM_KILL_ROUNDS", "20"))
_SPAN = 1000000  # numbers of rows that a process may use

_FAULTS = ["ok"] * 6 + ["reset", "reset-after", "half-body", "html",
                        (0, 503, {}, ""), (0, 500, {}, "")]


class Process(object):
    """A child, and what it was promised."""

    def __init__(self, server, path, first, seed):
        self.first = first
        self.added = self.promised = first - 1
        self._child = disk.start("-m", "tests.kill_child", server.url, path,
                                 str(first), str(seed))
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            if not line.endswith(b"\n"):
                break
            word, number = line.split()
            if word == b"a":
                self.added = int(number)
            else:
                self.promised = int(number)
            self._ready.set()

    def killAfter(self, seconds):
        """Kill it `seconds` after its first word."""
        started = self._ready.wait(60)
        time.sleep(seconds)
        if self._child.poll() is not None:
            self._reader.join()
            raise AssertionError("the child ended by itself: " + self._child
                                 .stderr.read().decode("utf-8", "replace"))
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        self._reader.join()
        self._child.stdout.close()
        self._child.stderr.close()
        if not started:
            raise AssertionError("the child said nothing")


@unittest.skipUnless(hasattr(signal, "SIGKILL"), "POSIX only")
class KillTest(unittest.TestCase):
    def setUp(self):
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.seed = int(os.environ.get("IOBEAM_KILL_SEED", time.time()))
        self.random = random.Random(self.seed)

    def rounds(self, total, together):
        for turn in range(total):
            self.server.applied = []
            children = [Process(
                self.server, self.path, (turn * together + which) * _SPAN + 1,
                self.random.randrange(10 ** 9)) for which in range(together)]
            self.server.script(*[self.random.choice(_FAULTS)
                                 for _ in range(60)])
            # short ones in most rounds: the beginning of a file counts too
            spans = [self.random.choice([0.01, 0.05, 0.1])
                     * self.random.random() for _ in children]
            killers = [threading.Thread(target=child.killAfter, args=(span,))
                       for child, span in zip(children, spans)]
            for killer in killers:
                killer.start()
            for killer in killers:
                killer.join()
            with self.server._changed:
                self.server._scripts.clear()
            self.deliver()
            delivered = set(disk.numbers(self.server.applied))
            for child in children:
                self.check(child, delivered, turn)

    def deliver(self):
        client = disk.builder(self.server, self.path).build()
        try:
            client.send(timeout=120)
            self.assertEqual(client.pending(), 0)
            self.assertEqual(client.stats()["rejected"], 0)
            client.close()
        except request.Error as error:
            self.fail("seed {}: {}".format(self.seed, error))

    def check(self, child, delivered, turn):
        expected = set(range(child.first, child.promised + 1))
        missing = sorted(expected - delivered)
        self.assertEqual(missing, [], "round {}, seed {}: {} of {} rows are "
                         "missing".format(turn, self.seed, len(missing),
                                          len(expected)))
        invented = [n for n in delivered if child.added < n < child.first
                    + _SPAN - 1 and n >= child.first]
        self.assertEqual(invented, [])
        self.assertEqual(disk.asideFiles(self.path), [])

    def test_promised_rows_of_a_killed_process_arrive(self):
        self.rounds(ROUNDS, 1)

    def test_promised_rows_of_two_killed_processes_arrive(self):
        self.rounds(max(1, ROUNDS // 3), 2)

    def test_rows_are_sent_twice_only_if_a_process_died_in_between(self):
        # one that is not killed, beside one that is, again and again
        for turn in range(3):
            victim = Process(self.server, self.path, turn * _SPAN + 1, turn)
            victim.killAfter(0.05)
        self.server.applied = []
        self.deliver()
        counts = collections.Counter(disk.numbers(self.server.applied))
        self.assertEqual([n for n in counts if counts[n] > 1], [])


if __name__ == "__main__":
    unittest.main()
