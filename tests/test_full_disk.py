"""A disk that is full or read-only: nothing is lost, nothing stops.

Where the tests run as root on Linux the disk is a tmpfs of some pages; the
limit on the size of files (RLIMIT_FSIZE) stands for it everywhere else.
"""
from __future__ import absolute_import

import os
import subprocess
import unittest

from iobeam.http import request
from tests import disk, loopback

try:
    import resource
except ImportError:  # Windows
    resource = None

_KB = 1024


class SmallDisk(object):
    """A file system of `size` bytes; a context manager."""

    def __init__(self, size=192 * _KB):
        self._size = size
        self._folder = disk.folder()

    def __enter__(self):
        self.path = self._folder.__enter__()
        try:
            _mount("-t", "tmpfs", "-o", "size={},mode=700".format(self._size),
                   "tmpfs", self.path)
        except (OSError, subprocess.CalledProcessError):
            self._folder.__exit__(None, None, None)
            raise unittest.SkipTest(
                "only root on Linux can mount a small disk; the tests of "
                "RLIMIT_FSIZE stand for it")
        return self

    def __exit__(self, *_):
        subprocess.check_call(["umount", "-l", self.path])
        self._folder.__exit__(None, None, None)

    @property
    def ballast(self):
        return os.path.join(self.path, "ballast")

    def fill(self):
        """Leave no byte free."""
        with open(self.ballast, "ab", 0) as opened:
            for size in (4096, 1):
                try:
                    while True:
                        opened.write(b"x" * size)
                except EnvironmentError:
                    pass

    def free(self):
        os.remove(self.ballast)

    def allowWrites(self, allowed):
        _mount("-o", "remount,{}".format("rw" if allowed else "ro"), self.path)


def _mount(*arguments):
    with open(os.devnull, "w") as quiet:
        subprocess.check_call(("mount",) + arguments, stderr=quiet)


class Case(unittest.TestCase):
    def setUp(self):
        server = loopback.Loopback()
        self.server = server.__enter__()
        self.addCleanup(server.close)
        log = disk.Records()
        self.log = log.__enter__()
        self.addCleanup(log.__exit__)
        small = SmallDisk()
        self.disk = small.__enter__()
        self.addCleanup(small.__exit__)

    def client(self):
        client = disk.builder(self.server, self.disk.path).build()
        self.addCleanup(self.end, client)
        return client, client.createDataStore(["v"])

    @staticmethod
    def end(client):
        client._isOpen = False
        client._outbox.close()
        client._requester.close()

    def arrived(self):
        return disk.numbers(self.server.applied)

    def flushUntilFull(self, client, store):
        """Add and flush until the disk takes no more; rows in all."""
        for number in range(1000):
            disk.fill(store, 100, start=number * 100)
            try:
                client.flush()
            except request.SpoolError as error:
                self.assertIn("full", str(error))
                return (number + 1) * 100
        raise AssertionError("the small disk is not small")


class FullDiskTest(Case):
    def test_what_does_not_fit_stays_in_memory_and_all_arrives_in_order(self):
        client, store = self.client()
        total = self.flushUntilFull(client, store)
        self.assertGreaterEqual(len(store), 100)
        self.assertEqual(client.pending(), total)
        disk.fill(store, 50, start=total)
        self.assertEqual(client.pending(), total + 50)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(total + 50)))
        self.assertEqual(client.pending(), 0)
        self.assertEqual(client.stats()["dropped"], 0)

    def test_failing_send_warns_once_and_keeps_everything(self):
        client, store = self.client()
        disk.fill(store, 100)
        client.flush()
        self.disk.fill()
        self.server.refuse()
        disk.fill(store, 20, start=100)
        for _ in range(3):
            with self.assertRaises(request.SendError) as raised:
                client.send()
            self.assertEqual(raised.exception.pending, 120)
        self.assertEqual(len(self.log.warnings("kept in memory")), 1)
        self.disk.free()
        client.flush()
        self.assertEqual(len(store), 0)
        self.server.listen()
        later, _ = self.client()
        self.assertTrue(later.send())
        self.assertEqual(self.arrived(), list(range(120)))

    def test_accepted_chunks_that_cannot_be_deleted_are_not_sent_again(self):
        client, store = self.client()
        disk.fill(store, 1200)
        client.flush()
        self.disk.fill()
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(1200)))
        self.assertEqual(client.pending(), 0)
        disk.fill(store, 3, start=1200)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(1203)))
        self.disk.free()
        client.close()
        later, _ = self.client()
        self.assertEqual(later.pending(), 0)
        self.assertTrue(later.send())
        self.assertEqual(self.arrived(), list(range(1203)))

    def test_close_raises_and_the_client_can_still_send(self):
        client, store = self.client()
        self.disk.fill()
        disk.fill(store, 10)
        self.assertRaises(request.SpoolError, client.close)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(10)))
        client.close()

    def test_new_client_on_a_full_disk(self):
        self.disk.fill()
        client, store = self.client()
        disk.fill(store, 10)
        self.assertRaises(request.SpoolError, client.flush)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(10)))

    def test_refused_rows_are_handed_over_though_the_disk_is_full(self):
        client, store = self.client()
        disk.fill(store, 10)
        client.flush()
        self.disk.fill()
        self.server.refusesRow = lambda row: row.time == 3000
        with self.assertRaises(request.SendError) as raised:
            client.send()
        refused, = raised.exception.rejected
        self.assertEqual(refused.row, {"time": 3000, "v": 3})
        self.assertEqual([one.row for one in client.rejected()],
                         [refused.row])
        self.assertEqual(client.pending(), 0)
        self.disk.free()
        client.close()
        later, _ = self.client()
        self.assertEqual([one.row for one in later.rejected()],
                         [refused.row])


class ReadOnlyTest(Case):
    def test_buffer_that_becomes_read_only(self):
        client, store = self.client()
        disk.fill(store, 10)
        client.flush()
        self.disk.allowWrites(False)
        disk.fill(store, 5, start=10)
        self.assertRaises(request.SpoolError, client.flush)
        self.assertTrue(client.send())
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(15)))
        self.assertRaises(request.SpoolError, self.add, client, store)
        self.disk.allowWrites(True)
        client.close()

    @staticmethod
    def add(client, store):
        disk.fill(store, 1, start=15)
        client.flush()


_LIMITED = """
import resource, signal, sys
from iobeam.http import request
from tests import disk

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
client = disk.builder(sys.argv[1], sys.argv[2]).build()
store = client.createDataStore(["v"])
added = failed = 0
for _ in range(60):
    disk.fill(store, 50, start=added)
    added += 50
    try:
        client.flush()
    except request.SpoolError:
        failed += 1
assert client.pending() == added
assert client.send() is True
disk.fill(store, 10, start=added)
assert client.send() is True
print("{} {}".format(added + 10, failed))
"""


@unittest.skipIf(resource is None, "no RLIMIT_FSIZE on this system")
class LimitedFilesTest(unittest.TestCase):
    def test_file_that_must_not_grow_any_more(self):
        with loopback.Loopback() as server, disk.folder() as path:
            said = disk.run("-c", _LIMITED, server.url, path)
            added, failed = map(int, said.split())
            self.assertGreater(failed, 0)
            self.assertLess(failed, 60)
            self.assertEqual(disk.numbers(server.applied), list(range(added)))
            later = disk.builder(server, path).build()
            self.assertTrue(later.send())
            self.assertEqual(disk.numbers(server.applied), list(range(added)))
            later.close()


if __name__ == "__main__":
    unittest.main()
