"""Ctrl-C at every instant of what the buffer does.

IOBEAM_INTERRUPT_STEP (7) leaves instants out; 1 tries each of them.
"""
from __future__ import absolute_import

import gc
import os
import shutil
import sqlite3
import sys
import tempfile
import unittest

from iobeam.spool import buffer as spool
from iobeam.spool import filelock, guard
from tests import disk, interrupts

STEP = int(os.environ.get("IOBEAM_INTERRUPT_STEP", "7"))
EVERYTHING = sys.maxsize
# in memory, where there is such a place: each instant has its own commits
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
URL = u"http://127.0.0.1/v1/"


class InterruptTest(unittest.TestCase):
    def setUp(self):
        self.path = tempfile.mkdtemp(prefix="iobeam-test-", dir=PLACE)
        self.addCleanup(shutil.rmtree, self.path)
        self.own = spool.Spool(self.path, baseUrl=URL)
        self.chunks = [disk.chunk(n, deviceId="ab"[n % 2]) for n in range(6)]
        self.open = None

    def each(self, work, check, least=20, begin=None):
        """Interrupt `work` at each instant, on a buffer of four chunks."""
        def start():
            for name in ("iobeam_buffer.db", "iobeam_buffer.db-journal"):
                if os.path.exists(os.path.join(self.path, name)):
                    os.remove(os.path.join(self.path, name))
            self.own = spool.Spool(self.path, baseUrl=URL)
            if begin is None:
                self.own.append(self.chunks[:4])
                self.own.oldest(1, EVERYTHING, (), 1)

        def checkAll(_, isDone):
            self.checkFree()
            check(isDone)

        found = interrupts.everyInstant(start, lambda _: work(), checkAll,
                                        STEP)
        self.assertGreater(found, least)

    def checkFree(self):
        """Nothing is open or locked, or said to be."""
        gc.collect(0)
        self.assertEqual(filelock._holds, {})
        self.assertEqual(guard._inside, {})
        self.assertFalse(self.own.isBusyHere())
        if os.path.isdir("/proc/self/fd"):
            count = len(os.listdir("/proc/self/fd"))
            if self.open is None:
                self.open = count
            self.assertEqual(count, self.open)
        connection = sqlite3.connect(self.own.file, timeout=0,
                                     isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        connection.close()
        with self.own.sender(0) as held:
            self.assertTrue(held)

    def stored(self):
        """As another process would find them."""
        return disk.stored(spool.Spool(self.path, baseUrl=URL))

    def test_append_can_be_repeated(self):
        def check(_):
            self.own.append(self.chunks[4:])
            self.assertEqual(self.stored(), list(range(6)))
            self.assertEqual(self.own.count(1), (6, 0))

        self.each(lambda: self.own.append(self.chunks[4:]), check)

    def test_first_append(self):
        def check(_):
            self.own.append(self.chunks)
            self.assertEqual(self.stored(), list(range(6)))

        self.each(lambda: self.own.append(self.chunks), check,
                  begin=lambda: None)

    def test_append_that_was_given_up_stores_nothing_or_can_be_disowned(self):
        def check(isDone):
            if not isDone:
                self.own.disown(self.chunks[4:])
                self.own.writeOwed()
            self.assertEqual(self.stored(),
                             list(range(6 if isDone else 4)))

        self.each(lambda: self.own.append(self.chunks[4:]), check)

    def test_settle_can_be_repeated(self):
        left = disk.chunk(deviceId="b")
        left.id = self.chunks[1].id
        left.rows, left.body = 1, "[9000,9]"

        def settle():
            self.own.settle(self.chunks[:2], left)

        def check(_):
            settle()
            self.assertEqual(self.stored(), [9, 2, 3])
            self.assertEqual(self.own._settled, {})
            self.assertEqual(self.own.count(1), (3, 0))

        self.each(settle, check)

    def test_settle_that_was_given_up_is_all_or_nothing(self):
        def check(_):
            seen = [row[0] // 1000 for chunk in self.own.oldest(
                1, EVERYTHING, (), 1) for row in chunk.table()]
            self.assertIn(seen, ([0], [3]))
            self.own.writeOwed()
            self.assertIn(self.stored(), ([0, 1, 2, 3], [3]))

        self.each(lambda: self.own.settle(self.chunks[:3]), check)

    def test_reading(self):
        def read():
            self.own.oldest(1, EVERYTHING, (), 1000)
            self.own.count(1), self.own.lastSeq()

        def check(_):
            found = self.own.oldest(1, EVERYTHING, (), 1000)
            self.assertEqual([chunk.id for chunk in found],
                             [chunk.id for chunk in self.chunks[0:4:2]])
            self.assertEqual(self.own.count(1), (4, 0))

        self.each(read, check)

    def test_being_the_sender(self):
        def send():
            with self.own.sender(5) as held:
                self.assertTrue(held)

        self.each(send, lambda _: None)


if __name__ == "__main__":
    unittest.main()
