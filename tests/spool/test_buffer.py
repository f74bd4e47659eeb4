"""`iobeam.spool.buffer`: a durable queue in one file."""
from __future__ import absolute_import

import os
import random
import sqlite3
import stat
import sys
import threading
import time
import unittest

from iobeam.errors import SpoolError
from iobeam.outbox import RejectedRow
from iobeam.spool import buffer as spool
from iobeam.spool import repair, spoolfile
from tests import disk
from tests.support import mock

try:
    import hypothesis
    from hypothesis import strategies
except ImportError:
    hypothesis = None

EVERYTHING = sys.maxsize


class Case(unittest.TestCase):
    def setUp(self):
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)
        self.spool = spool.Spool(self.path)

    def oldest(self, maxValues=1000, last=EVERYTHING, skipped=(), projectId=1):
        return self.spool.oldest(projectId, last, skipped, maxValues)

    def listing(self):
        return disk.contents(self.path)

    def refused(self, number, size=0):
        return RejectedRow(1, disk.DEVICE,
                           {"time": number * 1000, "v": "x" * size}, 400, ())


class QueueTest(Case):
    def test_empty_without_file(self):
        self.assertEqual(self.oldest(), [])
        self.assertEqual(self.spool.count(1), (0, 0))
        self.assertEqual(self.spool.lastSeq(), 0)
        self.assertFalse(os.path.exists(self.spool.file))

    def test_first_in_first_out(self):
        for number in range(5):
            self.spool.append([disk.chunk(number)])
        self.assertEqual(disk.stored(self.spool), [0, 1, 2, 3, 4])

    def test_adjacent_chunks_are_joined_up_to_the_limit(self):
        self.spool.append([disk.chunk(0, 1), disk.chunk(2), disk.chunk(3, 4)])
        self.assertEqual([c.rows for c in self.oldest(3)], [2, 1])
        self.assertEqual([c.rows for c in self.oldest(4)], [2, 1])
        self.assertEqual([c.rows for c in self.oldest(5)], [2, 1, 2])

    def test_first_chunk_comes_though_it_is_above_the_limit(self):
        self.spool.append([disk.chunk(0, 1), disk.chunk(2)])
        self.assertEqual([c.rows for c in self.oldest(1)], [2])

    def test_other_columns_and_devices_are_not_joined(self):
        self.spool.append([disk.chunk(0), disk.chunk(1, columns=("w",)),
                           disk.chunk(2, columns=("w",), deviceId="b"),
                           disk.chunk(3, columns=("w",), deviceId="b")])
        lengths = []
        while True:
            found = self.oldest()
            if not found:
                break
            lengths.append(len(found))
            self.spool.settle(found)
        self.assertEqual(lengths, [1, 1, 2])

    def test_skipped_devices_stay(self):
        self.spool.append([disk.chunk(0), disk.chunk(1, deviceId="b"),
                           disk.chunk(2)])
        self.assertEqual([c.deviceId for c in self.oldest(skipped=("dev",))],
                         ["b"])
        self.assertEqual([c.rows for c in self.oldest(skipped=("b",))], [1, 1])

    def test_last_is_the_end(self):
        last, _ = self.spool.append([disk.chunk(0)])
        self.spool.append([disk.chunk(1)])
        self.assertEqual(self.spool.lastSeq(), last + 1)
        self.assertEqual([c.rows for c in self.oldest(last=last)], [1])

    def test_places_are_not_used_again(self):
        last, _ = self.spool.append([disk.chunk(0)])
        self.spool.settle(self.oldest())
        self.assertEqual(self.spool.append([disk.chunk(1)])[0], last + 1)

    def test_other_projects_are_counted_and_left(self):
        self.spool.append([disk.chunk(0, 1), disk.chunk(2, projectId=2)])
        self.assertEqual(self.spool.count(1), (2, 1))
        self.assertEqual(self.spool.count(2), (1, 2))
        self.spool.settle(self.oldest())
        self.assertEqual(self.oldest(), [])
        self.assertEqual(self.spool.count(1), (0, 1))
        self.assertEqual(disk.stored(self.spool, 2), [2])

    def test_repeated_append_stores_once(self):
        chunk = disk.chunk(0)
        self.spool.append([chunk])
        self.spool.append([chunk, disk.chunk(1)])
        self.assertEqual(disk.stored(self.spool), [0, 1])

    def test_left_rows_replace_their_chunk(self):
        self.spool.append([disk.chunk(0, 1, 2), disk.chunk(3)])
        chunk = self.oldest(3)[0]
        left = disk.chunk(1, 2)
        left.id = chunk.id
        self.spool.settle([chunk], left)
        self.assertEqual(disk.stored(self.spool), [1, 2, 3])
        self.assertEqual(self.spool.count(1), (3, 0))
        self.assertEqual(disk.stored(spool.Spool(self.path)), [1, 2, 3])

    def test_emptiness_is_noticed_within_one_tick_of_the_clock(self):
        other = spool.Spool(self.path)
        for number in range(30):
            self.spool.append([disk.chunk(number)])
            self.assertNotEqual(self.spool.lastSeq(), 0)
            self.assertNotEqual(other.lastSeq(), 0)
            self.spool.settle(self.oldest())
            self.assertEqual(self.spool.lastSeq(), 0)
            self.assertEqual(other.lastSeq(), 0)

    def test_empty_buffer_is_not_opened_again_and_again(self):
        self.spool.append([disk.chunk(0)])
        self.spool.settle(self.oldest())
        os.utime(self.spool.file, (1e9, 1e9))
        self.assertEqual(self.spool.lastSeq(), 0)
        self.spool._read = None  # would be called
        self.assertEqual(self.spool.lastSeq(), 0)
        self.assertEqual(self.oldest(), [])

    def test_whoever_reads_opens_the_file_once(self):
        self.spool.append([disk.chunk(0)])
        for look in (self.oldest, self.spool.lastSeq,
                     lambda: self.spool.count(1)):
            with mock.patch.object(spoolfile, "connect",
                                   wraps=spoolfile.connect) as connect:
                self.assertTrue(look())
            self.assertEqual(connect.call_count, 1)

    @unittest.skipIf(hypothesis is None, "hypothesis is not installed")
    def test_what_goes_in_comes_out(self):
        cell = strategies.one_of(
            strategies.none(), strategies.booleans(),
            strategies.integers(-2 ** 63, 2 ** 63 - 1),
            strategies.floats(allow_nan=False, allow_infinity=False),
            strategies.text(strategies.characters(
                blacklist_categories=("Cs",)), max_size=20))
        tables = strategies.lists(strategies.lists(
            strategies.tuples(cell, cell), min_size=1, max_size=5), max_size=5)

        @hypothesis.settings(max_examples=40, deadline=None)
        @hypothesis.given(tables, strategies.integers(1, 20))
        def check(tables, maxValues):
            given = [[[place] + list(row) for place, row in enumerate(table)]
                     for table in tables]
            for table in given:
                self.spool.append([disk.chunkOf(
                    1, "d", (u"\xfc", u"b"), table)])
            found = []
            while True:
                chunks = self.oldest(maxValues)
                if not chunks:
                    break
                self.assertEqual(chunks[0].columns, (u"\xfc", u"b"))
                if len(chunks) > 1:
                    self.assertLessEqual(2 * sum(c.rows for c in chunks),
                                         maxValues)
                found.extend(row for c in chunks for row in c.table())
                self.spool.settle(chunks)
            self.assertEqual(repr(found), repr([row for table in given
                                                for row in table]))

        check()


class FileTest(Case):
    def mode(self, name):
        return stat.S_IMODE(os.stat(os.path.join(self.path, name)).st_mode)

    @unittest.skipIf(os.name == "nt", "POSIX modes")
    def test_nobody_else_may_read(self):
        old = os.umask(0)
        try:
            self.spool.append([disk.chunk(0)])
            with disk.opened(self.spool) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("DELETE FROM chunks")
                self.assertIn("iobeam_buffer.db-journal",
                              os.listdir(self.path))
                modes = [self.mode(name) for name in os.listdir(self.path)]
                connection.execute("ROLLBACK")
        finally:
            os.umask(old)
        self.assertEqual(set(modes), set([0o600]))

    def test_schema_has_a_version(self):
        self.spool.append([disk.chunk(0)])
        with disk.opened(self.spool) as connection:
            self.assertEqual(connection.execute(
                "PRAGMA user_version").fetchone(), (2,))
            self.assertEqual(connection.execute(
                "PRAGMA journal_mode").fetchone(), ("truncate",))
            self.assertEqual(connection.execute(
                "PRAGMA synchronous").fetchone(), (2,))

    def test_size_of_an_empty_file_is_as_counted(self):
        self.spool.append([])
        self.assertEqual(os.path.getsize(self.spool.file),
                         spoolfile.EMPTY_PAGES * spoolfile.PAGE_BYTES)

    def test_file_of_a_newer_version_is_refused_and_left_alone(self):
        self.spool.append([disk.chunk(0)])
        with disk.opened(self.spool) as connection:
            connection.execute("PRAGMA user_version = 3")
        before = self.listing()
        with self.assertRaises(SpoolError) as raised:
            self.spool.append([disk.chunk(1)])
        self.assertIn("newer", str(raised.exception))
        self.assertRaises(SpoolError, self.oldest)
        self.assertEqual(self.listing(), before)

    def test_reading_changes_nothing(self):
        self.spool.append([disk.chunk(0)])
        before = self.listing()
        self.oldest(), self.spool.count(1), self.spool.lastSeq()
        self.spool.rejectedRows(1, 10)
        self.assertEqual(self.listing(), before)

    def test_locked_file_is_an_error_and_not_corrupt(self):
        self.spool.append([disk.chunk(0)])
        old, spoolfile.BUSY_SECONDS = spoolfile.BUSY_SECONDS, 0.05
        try:
            with disk.opened(self.spool) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                self.assertRaises(SpoolError, self.spool.append,
                                  [disk.chunk(1)])
                self.assertRaises(SpoolError, self.oldest)
                error = sqlite3.DatabaseError("file is not a database")
                self.assertRaises(SpoolError, repair.mend, self.spool.file,
                                  error, False)
                connection.execute("ROLLBACK")
        finally:
            spoolfile.BUSY_SECONDS = old
        self.assertEqual(disk.stored(self.spool), [0])
        self.assertEqual(disk.asideFiles(self.path), [])

    def test_file_that_is_removed_is_made_anew(self):
        self.spool.append([disk.chunk(0)])
        os.remove(self.spool.file)
        self.spool.append([disk.chunk(1)])
        self.assertEqual(disk.stored(self.spool), [1])

    def test_two_threads_create_one_file(self):
        # a descriptor that one closes must not free the locks of the other
        failures = []

        def add(number):
            try:
                own = spool.Spool(self.path)
                for _ in range(5):
                    own.append([disk.chunk(number)])
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(sorted(disk.stored(self.spool)),
                         sorted(list(range(4)) * 5))


class SettlingTest(Case):
    """Accepted chunks that cannot be deleted."""

    def failing(self, commands=("COMMIT",)):
        """Make the file unwritable, for the duration of a with."""
        return _Blocked(self.spool)

    def test_remembered_and_not_given_again(self):
        self.spool.append([disk.chunk(0), disk.chunk(1, columns=("w",))])
        with disk.Records() as log, self.failing():
            self.spool.settle(self.oldest())
            self.assertEqual(len(log.warnings("accepted rows stay")), 1)
            self.assertEqual(self.spool.count(1), (1, 0))
            self.assertEqual([c.columns for c in self.oldest()], [("w",)])
        self.spool.writeOwed()
        self.assertEqual(disk.stored(spool.Spool(self.path)), [1])
        self.assertEqual(self.spool._settled, {})

    def test_deleted_with_the_next_write(self):
        self.spool.append([disk.chunk(0)])
        with self.failing():
            self.spool.settle(self.oldest())
        self.spool.append([disk.chunk(1)])
        self.assertEqual(disk.stored(spool.Spool(self.path)), [1])

    def test_rows_left_of_a_chunk_are_remembered(self):
        self.spool.append([disk.chunk(0, 1, 2)])
        chunk = self.oldest()[0]
        left = disk.chunk(1, 2)
        left.id, left.seq = chunk.id, chunk.seq
        with self.failing():
            self.spool.settle([chunk], left)
            self.assertEqual(disk.stored(self.spool), [1, 2])
            self.assertEqual(self.spool.count(1), (2, 0))
            self.assertEqual(self.spool.count(2), (0, 2))
            self.spool.settle(self.oldest())
            self.assertEqual(self.oldest(), [])
        self.spool.writeOwed()
        self.assertEqual(self.spool.lastSeq(), 0)

    def test_refused_rows_are_remembered(self):
        self.spool.append([disk.chunk(0)])
        with self.failing():
            self.spool.settle(self.oldest(), None, [self.refused(0)])
            self.assertEqual(len(self.spool.rejectedRows(1, 10)), 1)
        self.spool.writeOwed()
        found = spool.Spool(self.path).rejectedRows(1, 10)
        self.assertEqual([row["time"] for _, row, __, ___ in found], [0])
        self.assertEqual(self.spool._refused, [])

    def test_child_of_a_fork_does_not_bring_back_what_was_left(self):
        self.spool.append([disk.chunk(0, 1, 2)])
        chunk = self.oldest()[0]
        left = disk.chunk(1, 2)
        left.id = chunk.id
        with self.failing():
            self.spool.settle([chunk], left)
        self.spool.forget()
        self.spool.append([])
        self.assertEqual(disk.stored(self.spool), [0, 1, 2])


class _Patience(object):
    """Waits for locked files for `seconds` only."""

    def __init__(self, seconds):
        self._seconds = seconds

    def __enter__(self):
        self._old = spoolfile.BUSY_SECONDS
        spoolfile.BUSY_SECONDS = self._seconds

    def __exit__(self, *_):
        spoolfile.BUSY_SECONDS = self._old


class _Blocked(_Patience):
    """Keeps another connection's write lock, and the patience short."""

    def __init__(self, buffer):
        _Patience.__init__(self, 0.01)
        self._buffer = buffer

    def __enter__(self):
        _Patience.__enter__(self)
        self._connection = sqlite3.connect(self._buffer.file,
                                           isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self._connection.execute("ROLLBACK")
        self._connection.close()
        _Patience.__exit__(self)


class BusyTest(Case):
    """A signal handler or a finalizer amid a transaction of its own thread."""

    def inside(self, look, fails=None):
        """What `look` returns amid a commit."""
        seen = []

        def work(_):
            seen.append(look())
            if fails is not None:
                raise fails

        try:
            self.spool._write(work)
        except SpoolError:
            pass
        return seen[0]

    def test_seen_by_every_spool_of_the_folder(self):
        link = self.path + "-link"
        os.symlink(self.path, link)
        self.addCleanup(os.remove, link)
        for other in (self.spool, spool.Spool(self.path), spool.Spool(link)):
            self.assertFalse(other.isBusyHere())
            self.assertTrue(self.inside(other.isBusyHere))
            self.assertTrue(self.spool._read(lambda _: other.isBusyHere()))
            self.assertFalse(other.isBusyHere())

    def test_other_folders_and_threads_are_not(self):
        with disk.folder() as path:
            self.assertFalse(self.inside(spool.Spool(path).isBusyHere))
        seen = []

        def look():
            thread = threading.Thread(
                target=lambda: seen.append(self.spool.isBusyHere()))
            thread.start()
            thread.join()

        self.inside(look)
        self.assertEqual(seen, [False])

    def test_over_after_an_error(self):
        for error in (sqlite3.OperationalError("disk I/O error"),
                      IOError("no"), SpoolError("no")):
            self.assertTrue(self.inside(self.spool.isBusyHere, error))
            self.assertFalse(self.spool.isBusyHere())

    @unittest.skipUnless(hasattr(os, "fork"), "POSIX only")
    def test_not_in_a_forked_child(self):
        def fork():
            child = os.fork()
            if not child:
                os._exit(7 if self.spool.isBusyHere() else 0)
            return os.waitpid(child, 0)[1]

        self.assertEqual(self.inside(fork), 0)

    def test_what_is_asked_all_the_same_does_not_wait_for_itself(self):
        self.spool.append([disk.chunk(0)])
        other = spool.Spool(self.path)

        def look():
            self.assertEqual(other.count(1), (1, 0))
            self.assertRaises(SpoolError, other.append, [disk.chunk(1)])
            return time.time()

        began = time.time()
        self.assertLess(self.inside(look) - began,
                        spoolfile.BUSY_SECONDS / 2)
        self.assertEqual(disk.stored(self.spool), [0])

    def test_cursor_of_an_interrupted_call_keeps_no_lock(self):
        self.spool.append([disk.chunk(n) for n in range(50)])

        def work(connection):
            for _ in connection.execute("SELECT * FROM chunks"):
                raise KeyboardInterrupt

        try:
            self.spool._read(work)
        except KeyboardInterrupt:  # whose traceback holds the cursor
            with _Patience(0.01):
                self.spool.append([disk.chunk(50)])
        self.assertEqual(len(disk.stored(self.spool)), 51)


class LimitTest(Case):
    """maxBytes."""

    def check(self, maxBytes, sizes, together=1):
        """Append chunks of so many rows; what is stored is the newest."""
        own = spool.Spool(self.path, maxBytes)
        number, dropped, chunks = 0, 0, []
        for size in sizes:
            chunks.append(disk.chunk(*range(number, number + size)))
            number += size
            if len(chunks) == together:
                dropped += own.append(chunks)[1]
                chunks = []
                self.assertLess(os.path.getsize(own.file), 2 * maxBytes)
        dropped += own.append(chunks)[1]
        self.assertLess(os.path.getsize(own.file), 2 * maxBytes)
        self.assertEqual(disk.stored(own), list(range(dropped, number)))
        return number, dropped

    def test_oldest_go_and_are_counted(self):
        number, dropped = self.check(50000, [100] * 100)
        kept = (number - dropped) * len("[99000,99],")
        self.assertGreater(kept, 20000)
        self.assertLess(kept, 60000)

    def test_chunks_of_one_row(self):
        self.check(20000, [1] * 400)

    def test_many_sizes(self):
        pick = random.Random(1)
        for maxBytes in (10000, 40000, 300000):
            self.path = os.path.join(self.path, "deeper")
            os.mkdir(self.path)
            self.check(maxBytes, [pick.choice([1, 3, 30, 45, 90, 250])
                                  for _ in range(150)],
                       pick.choice([1, 2, 7]))

    def test_chunks_just_above_half_a_page(self):
        for size in (32, 33, 34, 35, 36, 37, 38):
            self.path = os.path.join(self.path, "deeper")
            os.mkdir(self.path)
            self.check(40000, [size] * 120, 60)

    def test_more_at_once_than_fits(self):
        number, dropped = self.check(20000, [50] * 200, 200)
        self.assertGreater(dropped, 0)
        self.assertLess(dropped, number)

    def test_nothing_goes_below_the_limit(self):
        self.assertEqual(self.check(1000000, [100] * 100)[1], 0)

    def test_protected_chunks_stay(self):
        own = spool.Spool(self.path, 20000)
        first = disk.chunk(*range(100))
        own.append([first])
        for number in range(100, 4000, 100):
            own.append([disk.chunk(*range(number, number + 100))], [first.id])
        self.assertEqual(disk.stored(own)[:100], list(range(100)))
        self.assertLess(len(disk.stored(own)), 3900)

    def test_said_once_per_episode(self):
        own = spool.Spool(self.path, 20000)
        with disk.Records() as log:
            for _ in range(2):
                for number in range(0, 6000, 100):
                    own.append([disk.chunk(*range(number, number + 100))])
                while own.oldest(1, EVERYTHING, (), 1000):
                    own.settle(own.oldest(1, EVERYTHING, (), 1000))
                own.append([disk.chunk(1)])
        self.assertEqual(len(log.warnings("is full")), 2)

    def test_nothing_is_counted_that_was_not_committed(self):
        own = spool.Spool(self.path, 20000)
        own.append([disk.chunk(*range(1000))])
        before = disk.stored(own)
        with disk.Records() as log, _Blocked(own):
            self.assertRaises(SpoolError, own.append,
                              [disk.chunk(*range(1000, 3000))])
        self.assertEqual(log.messages, [])
        self.assertEqual(disk.stored(own), before)

    def test_refused_rows_share_the_limit(self):
        own = spool.Spool(self.path, 50000)
        for number in range(300):
            own.settle([], None, [self.refused(number, 500)])
        found = own.rejectedRows(1, 1000)
        self.assertLess(os.path.getsize(own.file), 100000)
        self.assertEqual(found[-1][1]["time"], 299000)
        self.assertGreater(len(found), 30)
        for number in range(100):  # pending ones push them out
            own.append([disk.chunk(*range(100))])
        self.assertEqual(own.rejectedRows(1, 1000), [])
        self.assertLess(os.path.getsize(own.file), 100000)

    def test_refused_rows_push_out_no_pending_ones(self):
        own = spool.Spool(self.path, 20000)
        own.append([disk.chunk(*range(1000))])
        for number in range(100):
            own.settle([], None, [self.refused(number, 500)])
        self.assertEqual(disk.stored(own), list(range(1000)))
        self.assertLess(os.path.getsize(own.file), 40000)

    def test_two_processes_share_the_limit(self):
        script = (
            "import sys\n"
            "from iobeam.spool import buffer\n"
            "from tests import disk\n"
            "own = buffer.Spool(sys.argv[1], 50000)\n"
            "print(sum(own.append([disk.chunk(*range(40))])[1]"
            " for _ in range(100)))\n")
        children = [disk.start("-c", script, self.path) for _ in range(2)]
        dropped = [int(child.communicate()[0]) for child in children]
        left = len(disk.stored(spool.Spool(self.path)))
        self.assertEqual(sum(dropped) + left, 8000)
        self.assertLess(os.path.getsize(self.spool.file), 100000)


class SenderTest(Case):
    def test_lock_file_is_there_from_the_start(self):
        self.assertEqual(os.listdir(self.path), ["iobeam_buffer.lock"])

    def test_one_sender_among_threads(self):
        other = spool.Spool(self.path)
        with self.spool.sender(1) as held:
            self.assertTrue(held)
            with other.sender(0.05) as held:
                self.assertFalse(held)
        with other.sender(0) as held:
            self.assertTrue(held)

    def test_one_sender_among_processes(self):
        script = ("import sys\n"
                  "from iobeam.spool import buffer\n"
                  "with buffer.Spool(sys.argv[1]).sender(0.05) as held:\n"
                  "    print(held)\n")
        with self.spool.sender(0):
            # another client on the same path must not free the lock
            spool.Spool(self.path)
            self.assertEqual(disk.run("-c", script, self.path).strip(),
                             "False")
        self.assertEqual(disk.run("-c", script, self.path).strip(), "True")

    def test_death_frees_the_lock(self):
        script = ("import sys\n"
                  "from iobeam.spool import buffer\n"
                  "with buffer.Spool(sys.argv[1]).sender(0) as held:\n"
                  "    print(held)\n"
                  "    sys.stdin.read()\n")
        child = disk.start("-c", script, self.path, stdin=-1)
        try:
            self.assertEqual(child.stdout.readline().strip(), b"True")
            with self.spool.sender(0.01) as held:
                self.assertFalse(held)
        finally:
            child.kill()
            child.communicate()
        with self.spool.sender(5) as held:
            self.assertTrue(held)


if __name__ == "__main__":
    unittest.main()
