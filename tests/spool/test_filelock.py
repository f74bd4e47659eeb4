"""`iobeam.spool.filelock`: one sender at a time, whatever becomes of its file."""
from __future__ import absolute_import

import collections
import errno
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
import unittest

from iobeam.spool import buffer as spool
from iobeam.spool import filelock
from tests import disk, loopback

ROWS = 40
NOBODY = 65534  # the user, where the tests run as root
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
# who knows the lock of versions up to 1.0.0 only
OLD = ("import fcntl, sys\n"
       "opened = open(sys.argv[1], 'r+')\n"
       "try:\n"
       "    fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
       "except (IOError, OSError):\n"
       "    sys.exit('taken')\n"
       "print('held')\n"
       "sys.stdout.flush()\n"
       "sys.stdin.read()\n")


class Case(unittest.TestCase):
    def setUp(self):
        self.path = tempfile.mkdtemp(prefix="iobeam-test-")
        self.addCleanup(shutil.rmtree, self.path)
        self.lock = os.path.join(self.path, "iobeam_buffer.lock")
        self.children = []
        self.addCleanup(self.end)

    def start(self, *arguments):
        child = disk.start("-m", "tests.lock_child", *arguments, stdin=-1)
        self.children.append(child)
        return child

    def end(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            for stream in (child.stdin, child.stdout, child.stderr):
                stream.close()
            child.wait()

    def held(self, seconds=0):
        """Whether another than the one that has the lock gets it."""
        with spool.Spool(self.path).sender(seconds) as held:
            return held


@unittest.skipIf(filelock.fcntl is None, "POSIX locks")
class TwoSendersTest(Case):
    """Each row is on the wire once."""

    def setUp(self):
        Case.setUp(self)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        spool.Spool(self.path).append([disk.chunk(n) for n in range(ROWS)])
        self.user = []
        self.isOver = False

    def check(self, cleaner=None):
        children = [self.start("send", self.server.url, self.path, *self.user)
                    for _ in range(2)]
        for child in children:
            self.assertEqual(child.stdout.readline().strip(), b"ready")
        if cleaner is not None:
            thread = threading.Thread(target=self.clean, args=(cleaner,))
            thread.start()
            self.addCleanup(thread.join)
        for child in children:
            child.stdin.write(b"\n")
            child.stdin.flush()
        counts = []
        for child in children:
            out, errors = child.stdout.read(), child.stderr.read()
            self.assertEqual(child.wait(), 0, errors)
            accepted, pending = out.split()
            self.assertEqual(pending, b"0")
            counts.append(int(accepted))
        self.isOver = True
        self.assertEqual(sum(counts), ROWS)
        sent = collections.Counter(
            row.time // 1000 for row in self.server.applied
            if row.deviceId == disk.DEVICE)
        self.assertEqual(set(sent.values()), set([1]))
        self.assertEqual(len(sent), ROWS)

    def clean(self, cleaner):
        while not self.isOver:
            try:
                cleaner()
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
            time.sleep(0.002)

    def test_untouched(self):
        self.check()

    def test_lock_file_is_removed_in_mid_send(self):
        self.check(lambda: os.remove(self.lock))

    def test_lock_file_is_replaced_in_mid_send(self):
        def replace():
            with open(self.lock + ".other", "w"):
                pass
            os.rename(self.lock + ".other", self.lock)

        self.check(replace)

    def test_lock_file_is_a_folder(self):
        os.remove(self.lock)
        os.mkdir(self.lock)
        self.check()

    def test_lock_file_that_may_not_be_opened(self):
        self.give()
        os.chmod(self.lock, 0)
        if IS_ROOT:
            os.chown(self.lock, 0, 0)
        self.check()
        # mended, for the older versions' sake
        self.assertEqual(stat.S_IMODE(os.stat(self.lock).st_mode), 0o600)

    @unittest.skipUnless(IS_ROOT, "takes two users: run as root")
    def test_root_s_lock_file_in_a_sticky_folder(self):
        self.give()
        os.chown(self.path, 0, 0)
        os.chmod(self.path, 0o1777)
        os.chown(self.lock, 0, 0)
        self.check()
        self.assertEqual(os.stat(self.lock).st_uid, 0)

    def give(self):
        """Where the tests run as root, make everything another user's."""
        if not IS_ROOT:
            return
        self.user = [str(NOBODY)]
        os.chown(self.path, NOBODY, NOBODY)
        for name in os.listdir(self.path):
            os.chown(os.path.join(self.path, name), NOBODY, NOBODY)


@unittest.skipIf(filelock.fcntl is None, "POSIX locks")
class OldVersionTest(Case):
    def test_waits_for_one_of_1_0_0(self):
        spool.Spool(self.path)
        child = disk.start("-c", OLD, self.lock, stdin=-1)
        self.children.append(child)
        self.assertEqual(child.stdout.readline().strip(), b"held")
        self.assertFalse(self.held())
        child.kill()
        self.assertTrue(self.held(10))

    def test_one_of_1_0_0_waits(self):
        with spool.Spool(self.path).sender(0):
            child = disk.start("-c", OLD, self.lock, stdin=-1)
            self.children.append(child)
            self.assertIn(b"taken", child.stderr.read())


@unittest.skipUnless(hasattr(os, "fork"), "POSIX only")
class FinalizerTest(Case):
    """Where a signal handler's exit would be dropped."""

    def test_there_is_none_once_the_lock_was_given_back(self):
        lock = filelock.locked(os.path.join(self.path, "lock"), 0)
        self.assertTrue(hasattr(lock, "__del__"))
        with lock as held:
            self.assertTrue(held)
        self.assertFalse(hasattr(lock, "__del__"))
        self.assertEqual(filelock._holds, {})


class ForkTest(Case):
    def test_free_when_the_parent_lets_go_or_dies(self):
        for kills in (False, True):
            child = self.start("fork", self.path)
            self.assertEqual(child.stdout.readline().strip(), b"held")
            self.assertFalse(self.held())
            if kills:
                child.send_signal(signal.SIGKILL)
            else:
                child.stdin.write(b"\n")
                child.stdin.flush()
                self.assertEqual(child.stdout.readline().strip(), b"free")
            self.assertTrue(self.held(10))
            self.end()

    def test_child_does_not_free_the_parent_s(self):
        with spool.Spool(self.path).sender(0) as held:
            self.assertTrue(held)
            child = os.fork()
            if not child:
                try:
                    sys.exit()
                except SystemExit:
                    filelock._leaveToParent()
                os._exit(0)
            os.waitpid(child, 0)
            self.assertEqual(disk.run(
                "-c", "import sys\n"
                "from iobeam.spool import buffer\n"
                "with buffer.Spool(sys.argv[1]).sender(0) as held:\n"
                "    print(held)\n", self.path).strip(), "False")
        self.assertTrue(self.held())


class ThreadTest(Case):
    def test_the_same_thread_does_not_wait_for_itself(self):
        with spool.Spool(self.path).sender(0):
            began = time.time()
            self.assertFalse(self.held(60))
            self.assertLess(time.time() - began, 30)
        self.assertTrue(self.held())

    def test_no_descriptor_is_left_open(self):
        before = len(os.listdir("/proc/self/fd")) \
            if os.path.isdir("/proc/self/fd") else None
        for _ in range(20):
            with spool.Spool(self.path).sender(0):
                self.assertFalse(self.held())
        if before is not None:
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(filelock._holds, {})

    def test_one_at_a_time(self):
        amid, most = [], []

        def work():
            amid.append(1)
            most.append(len(amid))
            time.sleep(0.001)
            amid.pop()

        threads = [threading.Thread(target=lambda: [
            filelock.alone(self.lock, work) for _ in range(10)])
            for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(most, [1] * 40)


@unittest.skipIf(filelock.fcntl is None, "POSIX locks")
class WithoutFolderTest(Case):
    """Where the folder cannot be locked, the file must do."""

    def locked(self, seconds=0):
        return filelock.locked(self.lock, seconds)

    def test_replaced_file_is_noticed(self):
        with self.locked() as held:
            self.assertTrue(held)
        taken = filelock.fcntl.lockf

        def lockf(*arguments):
            os.remove(self.lock)
            filelock.fcntl.lockf = taken
            return taken(*arguments)

        filelock.fcntl.lockf = lockf
        self.addCleanup(setattr, filelock.fcntl, "lockf", taken)
        with self.locked() as held:
            self.assertFalse(held)
        with self.locked(1) as held:
            self.assertTrue(held)
            self.assertTrue(os.path.exists(self.lock))

    def test_said_once_where_nothing_can_be_locked(self):
        os.mkdir(self.lock)
        with disk.Records() as log:
            for _ in range(3):
                with self.locked() as held:
                    self.assertTrue(held)
        self.assertEqual(len(log.warnings(self.lock)), 1)


if __name__ == "__main__":
    unittest.main()
