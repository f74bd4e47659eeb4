"""Memory, disk buffer and client together: what is promised about rows."""
from __future__ import absolute_import

import contextlib
import errno
import gc
import logging
import os
import sqlite3
import stat
import threading
import time
import unittest

from iobeam import iobeam
from iobeam.http import request
from iobeam.spool import buffer as spool
from iobeam.spool import filelock
from iobeam.spool import spoolfile
from tests import disk, loopback, pace, support


class Case(unittest.TestCase):
    def setUp(self):
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)

    def client(self, path=True, **options):
        client = disk.builder(self.server, self.path if path is True else path,
                              **options).build()
        self.addCleanup(self.end, client)
        return client

    @staticmethod
    def end(client):
        """Let go of a client whatever state it is in."""
        client._isOpen = False
        client._outbox.close()
        client._requester.close()

    def onDisk(self, projectId=1):
        """The numbers of the rows that a power cut would leave."""
        buffer = spool.Spool(self.path)
        return disk.stored(buffer, projectId) if os.path.exists(
            buffer.file) else []

    def arrived(self):
        return disk.numbers(self.server.acknowledged)

    def listing(self):
        return disk.contents(self.path)


class PromiseTest(Case):
    def test_flushed_rows_are_on_disk_and_not_in_the_store(self):
        client = self.client()
        store = client.createDataStore(["v"])
        disk.fill(store, 5)
        client.flush()
        self.assertEqual(self.onDisk(), [0, 1, 2, 3, 4])
        self.assertEqual(len(store), 0)
        self.assertEqual(store.rows(), [])
        self.assertEqual(client.pending(), 5)
        self.assertEqual(self.server.requests, [])
        client.send()
        self.assertEqual(self.arrived(), [0, 1, 2, 3, 4])
        self.assertEqual(self.onDisk(), [])
        self.assertEqual(client.pending(), 0)

    def test_new_client_delivers_what_another_left_oldest_first(self):
        first = self.client()
        disk.fill(first.createDataStore(["v"]), 3)
        first.close()
        second = self.client()
        disk.fill(second.createDataStore(["v"]), 3, 3)
        self.assertEqual(second.pending(), 6)
        self.assertTrue(second.send())
        self.assertEqual(self.arrived(), list(range(6)))

    def test_small_chunks_share_a_request(self):
        client = self.client()
        store = client.createDataStore(["v"])
        for number in range(10):
            disk.fill(store, 1, number)
            client.flush()
        client.send()
        self.assertEqual(len(self.server.imports()), 1)
        self.assertEqual(self.arrived(), list(range(10)))

    def test_points_are_flushed_too(self):
        client = self.client()
        client.addDataPoint("v", iobeam.DataPoint(7, 7))
        client.flush()
        self.assertEqual(self.onDisk(), [7])
        self.assertEqual(client.pending(), 1)

    def test_send_that_goes_well_writes_nothing(self):
        client = self.client()
        store = client.createDataStore(["v"])
        before = self.listing()
        for number in range(3):
            disk.fill(store, 2000, number * 2000)
            client.send()
        self.assertEqual(self.listing(), before)
        client.close()
        self.assertEqual(self.listing(), before)

    def test_send_that_goes_well_writes_nothing_to_a_used_buffer(self):
        client = self.client()
        store = client.createDataStore(["v"])
        disk.fill(store, 1)
        client.flush()
        client.send()
        before = self.listing()
        disk.fill(store, 10)
        client.send()
        self.assertEqual(self.listing(), before)

    def test_committed_before_any_wait(self):
        client = disk.builder(self.server, self.path).setRetries(3).build()
        self.addCleanup(self.end, client)
        disk.fill(client.createDataStore(["v"]), 2500)
        seen = []
        sleep, answers = time.sleep, []

        def watched(seconds):
            if threading.current_thread() is caller:
                seen.append(len(self.onDisk()))
            sleep(seconds)

        caller = threading.current_thread()
        answers += ["ok", (0, 503, {}, ""), "reset", (0, 429, {}, "")]
        self.server.script(*answers)
        time.sleep = watched
        try:
            client.send()
        finally:
            time.sleep = sleep
        self.assertEqual(seen[:3], [1500, 1500, 1500])
        self.assertEqual(self.arrived(), list(range(2500)))
        self.assertEqual(self.onDisk(), [])

    def test_whatever_ends_a_send_leaves_the_rows_on_disk(self):
        answers = {
            "503": (0, 503, {}, ""), "404": (0, 404, {}, {"errors": [
                {"code": 32, "message": "no"}]}),
            "401": (0, 401, {}, ""), "500": (0, 500, {}, ""),
            "reset": "reset", "html": "html", "redirect": "redirect",
            "half": "half-body", "odd": (0, 418, {}, "")}
        for name, answer in sorted(answers.items()):
            client = self.client()
            self.server.always(answer)
            disk.fill(client.createDataStore(["v"]), 1)
            client.addDataPoint("w", iobeam.DataPoint(1, 1))
            with self.assertRaises(request.SendError) as raised:
                client.send()
            self.assertEqual(raised.exception.pending, 2, name)
            self.assertEqual(sorted(self.onDisk()), [0, 1], name)
            self.server.always(None)
            client.send()
            self.end(client)

    def test_exception_of_progress_leaves_the_rest_on_disk(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 2500)

        def progress(accepted, total):
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, client.send, progress=progress)
        self.assertEqual(self.onDisk(), list(range(1000, 2500)))
        client.send()
        self.assertEqual(self.arrived(), list(range(2500)))

    def test_send_that_waits_in_vain_for_another_leaves_the_rows_on_disk(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 1)
        client.addDataPoint("w", iobeam.DataPoint(1, 1))
        with support.heldElsewhere(client._sending):
            with self.assertRaises(request.SendError) as raised:
                client.send(timeout=0.05)
        self.assertIsInstance(raised.exception, request.TimeoutError)
        self.assertEqual(sorted(self.onDisk()), [0, 1])
        client.createDataStore(["v"]).add(2, {"v": 2})
        client.addDataPoint("w", iobeam.DataPoint(3, 3))
        with spool.Spool(self.path).sender(0):
            self.assertRaises(request.TimeoutError, client.send, timeout=0.05)
        self.assertEqual(sorted(self.onDisk()), [0, 1, 2, 3])

    def test_flush_needs_a_buffer_and_a_device(self):
        self.assertRaises(request.Error, self.client(path=None).flush)
        client = self.client(device=None)
        client.createDataStore(["v"]).add(1, {"v": 1})
        self.assertRaises(request.Error, client.flush)
        client.setDeviceId("dev")
        client.flush()
        self.assertEqual(self.onDisk(), [1])

    def test_flush_does_not_wait_for_a_sender(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 1)
        with spool.Spool(self.path).sender(0), \
                support.heldElsewhere(client._sending):
            with pace.Stopwatch() as watch:
                client.flush()
        self.assertLess(watch.seconds, 4)  # of the disk
        self.assertEqual(self.onDisk(), [0])

    def test_flush_needs_no_network_and_no_requests(self):
        printed = disk.run("-c", (
            "import sys\n"
            "from iobeam import iobeam\n"
            "import socket\n"
            "socket.socket = socket.create_connection = None\n"
            "client = iobeam.ClientBuilder(1, {!r}).setDeviceId('dev')"
            ".bufferToDisk(sys.argv[1])\n"
            "client = iobeam._Client(None, 1, 'x', None, 'dev',"
            " options=client._options)\n"
            "client.createDataStore(['v']).add(1, {{'v': 1}})\n"
            "client.flush(); client.createDataStore(['v']).add(2, {{'v': 2}})\n"
            "client.close()\n"
            "print([name for name in sys.modules if 'requests' in name"
            " or 'urllib3' in name])\n").format(loopback.makeToken()),
            self.path)
        self.assertEqual(printed.strip(), "[]")
        self.assertEqual(self.onDisk(), [1, 2])

    def test_other_projects_rows_are_left_to_them(self):
        other = self.client(projectId=2)
        disk.fill(other.createDataStore(["v"]), 2)
        other.close()
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 3)
        client.flush()
        self.assertEqual(client.pending(), 3)
        client.send()
        self.assertEqual(len(self.arrived()), 3)
        self.assertEqual(self.onDisk(2), [0, 1])
        self.client(projectId=2).send()
        self.assertEqual([found.body["project_id"] for found in
                          self.server.imports()], [1, 2])

    def test_other_devices_rows_keep_their_device(self):
        first = self.client(device="a")
        disk.fill(first.createDataStore(["v"]), 2)
        first.close()
        second = self.client(device="b")
        disk.fill(second.createDataStore(["v"]), 2, 2)
        second.send()
        self.assertEqual([(row.deviceId, row.time) for row in
                          self.server.acknowledged],
                         [("a", 0), ("a", 1000), ("b", 2000), ("b", 3000)])


class LimitsTest(Case):
    def counted(self, client):
        found = client.stats()
        self.assertEqual(found["added"], found["accepted"] + found["pending"]
                         + found["rejected"] + found["dropped"])
        return found

    def test_auto_flush_is_exact_over_stores(self):
        client = self.client(autoFlush=100)
        stores = [client.createDataStore([name]) for name in "vwxyz"]
        added = 0
        for turn in range(7):
            for number, store in enumerate(stores):
                for _ in range(3 * number + turn):
                    name = store.columns()[0]
                    store.add(added, {name: 1})
                    added += 1
                    memory = sum(len(one) for one in stores)
                    self.assertEqual(memory, added % 100)
                    if added % 100 == 0:
                        self.assertEqual(len(self.onDisk()), added)

    def test_auto_flush_of_many_rows_at_once(self):
        client = self.client(autoFlush=10)
        store = client.createDataStore(["v"])
        store.addRows((number, {"v": 1}) for number in range(25))
        self.assertEqual(len(self.onDisk()), 25)

    def test_auto_flush_without_a_device_waits_for_it(self):
        client = self.client(device=None, autoFlush=10)
        store = client.createDataStore(["v"])
        disk.fill(store, 30)
        self.assertEqual(len(store), 30)
        client.setDeviceId("dev")
        disk.fill(store, 1, 30)
        self.assertEqual(len(self.onDisk()), 31)

    def test_auto_flush_of_points(self):
        client = self.client(autoFlush=10)
        for number in range(10):
            client.addDataPoint("v", iobeam.DataPoint(number, number))
        self.assertEqual(len(self.onDisk()), 10)

    def test_auto_flush_counts_points_and_rows_together(self):
        client = self.client(autoFlush=10)
        store = client.createDataStore(["v"])
        for number in range(6):
            client.addDataPoint("w", iobeam.DataPoint(number, number))
        disk.fill(store, 5)
        self.assertLess(client.pending() - len(self.onDisk()), 10)

    def test_dropped_rows_are_counted(self):
        client = self.client(maxBytes=20000)
        store = client.createDataStore(["v"])
        with disk.Records() as log:
            for start in range(0, 5000, 100):
                disk.fill(store, 100, start)
                client.flush()
        self.assertEqual(len(log.warnings("full")), 1)
        found = self.counted(client)
        self.assertGreater(found["dropped"], 0)
        client.send()
        self.assertEqual(self.arrived(), list(range(found["dropped"], 5000)))
        self.assertEqual(self.counted(client)["pending"], 0)

    def test_dropped_rows_are_counted_when_a_send_fails(self):
        client = self.client(maxBytes=20000)
        disk.fill(client.createDataStore(["v"]), 5000)
        self.server.always((0, 503, {}, ""))
        with self.assertRaises(request.SendError) as raised:
            client.send()
        found = self.counted(client)
        self.assertEqual(raised.exception.pending, found["pending"])
        self.server.always(None)
        client.send()
        # what was on its way has not been dropped
        self.assertEqual(self.arrived()[:1000], list(range(1000)))
        self.assertEqual(len(self.arrived()), self.counted(client)["accepted"])

    def test_counts_stay_after_close(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 3)
        client.send()
        client.close()
        self.assertEqual(self.counted(client)["accepted"], 3)


class InFlightTest(Case):
    """What other threads do while a request is on its way."""

    def during(self, client, action, answer="ok", rows=1500, until=True):
        """Send, and do something between the first request and its answer.

        With `until` False the answer may come before its end, as an action
        needs that waits for the sender.
        """
        store = client.createDataStore(["v"])
        disk.fill(store, rows)
        acted = threading.Event()
        self.server.script(loopback.step(answer, until=acted) if until
                           else loopback.step(answer, delay=0.3))
        failures = []

        def send():
            try:
                client.send()
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        self.server.waitFor(lambda: self.server.requests)
        try:
            action(store)
        finally:
            acted.set()
        thread.join(60)
        self.assertFalse(thread.is_alive())
        return failures

    def test_flushed_rows_are_deleted_exactly_once(self):
        client = self.client()
        onDisk = []

        def flush(store):
            disk.fill(store, 10, 1500)
            client.flush()
            onDisk.extend(self.onDisk())

        self.assertEqual(self.during(client, flush), [])
        self.assertEqual(onDisk, list(range(1510)))
        self.assertEqual(self.arrived(), list(range(1500)))
        self.assertEqual(self.onDisk(), list(range(1500, 1510)))
        client.send()
        self.assertEqual(self.arrived(), list(range(1510)))
        self.assertEqual(client.pending(), 0)

    def test_flushed_rows_stay_if_the_answer_is_lost(self):
        client = self.client()
        failures = self.during(client, lambda store: client.flush(), "reset")
        self.assertEqual(failures[0].pending, 1500)
        self.assertEqual(failures[0].inDoubt, 1000)
        self.assertEqual(self.onDisk(), list(range(1500)))
        client.send()
        self.assertEqual(self.arrived(), list(range(1500)))

    def test_second_sender_waits_and_sends_the_rest(self):
        client = self.client()

        def send(store):
            disk.fill(store, 10, 1500)
            client.send()

        self.assertEqual(self.during(client, send, until=False), [])
        self.assertEqual(self.arrived(), list(range(1510)))

    def test_close_commits_and_the_answer_counts(self):
        client = self.client()
        failures = self.during(client, lambda store: client.close(),
                               until=False)
        arrived, left = self.arrived(), self.onDisk()
        self.assertEqual(sorted(set(arrived + left)), list(range(1500)))
        if failures:
            self.assertIsInstance(failures[0], request.Error)

    def test_cleared_rows_do_not_come_back(self):
        client = self.client()
        self.during(client, lambda store: (store.clear(), client.flush()))
        self.assertEqual(self.arrived(), list(range(1000)))
        self.assertEqual(self.onDisk(), [])

    def test_new_device_gets_later_rows_only(self):
        client = self.client(device="a")

        def switch(store):
            client.setDeviceId("b")
            disk.fill(store, 3, 1500)
            client.flush()

        self.assertEqual(self.during(client, switch), [])
        client.send()
        self.assertEqual([row.deviceId for row in self.server.acknowledged],
                         ["a"] * 1500 + ["b"] * 3)
        self.assertEqual(self.arrived(), list(range(1503)))


class FailingDiskTest(Case):
    """The buffer does not take what it is given."""

    def blocked(self):
        """Let another connection hold the file against writers."""
        test = self

        class Blocked(object):
            def __enter__(self):
                self.old, spoolfile.BUSY_SECONDS = spoolfile.BUSY_SECONDS, 0.01
                self.held = sqlite3.connect(
                    os.path.join(test.path, "iobeam_buffer.db"),
                    isolation_level=None)
                self.held.execute("BEGIN IMMEDIATE")

            def __exit__(self, *_):
                self.held.close()
                spoolfile.BUSY_SECONDS = self.old

        spool.Spool(self.path).append([])
        return Blocked()

    def test_flush_and_close_raise_and_all_goes_on_from_memory(self):
        client = self.client(autoFlush=10)
        store = client.createDataStore(["v"])
        with self.blocked(), disk.Records() as log:
            disk.fill(store, 25)
            self.assertRaises(request.SpoolError, client.flush)
            self.assertRaises(request.SpoolError, client.close)
            self.assertEqual(client.pending(), 25)
            disk.fill(store, 5, 25)
            self.assertTrue(client.send())
            self.assertEqual(self.arrived(), list(range(30)))
        self.assertEqual(len(log.warnings("kept in memory")), 1)
        disk.fill(store, 1, 30)
        client.close()
        self.assertEqual(self.onDisk(), [30])

    def test_failing_send_keeps_rows_in_memory(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 5)
        self.server.script((0, 503, {}, ""))
        with self.blocked():
            with self.assertRaises(request.SendError) as raised:
                client.send()
            self.assertEqual(raised.exception.pending, 5)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(5)))

    def test_accepted_chunks_that_cannot_be_deleted_are_not_sent_again(self):
        client = self.client()
        store = client.createDataStore(["v"])
        disk.fill(store, 5)
        client.flush()
        with self.blocked():
            self.assertTrue(client.send())
            disk.fill(store, 5, 5)
            self.assertTrue(client.send())
            self.assertEqual(client.pending(), 0)
        self.assertEqual(self.onDisk(), list(range(5)))
        self.assertTrue(client.send())
        self.assertEqual(self.onDisk(), [])
        self.assertEqual(self.arrived(), list(range(10)))

    def test_commit_that_came_about_though_it_failed_brings_no_row_twice(self):
        # an fsync that fails after the last write, or Ctrl-C amid of it
        for number, failure in enumerate((
                sqlite3.OperationalError("disk I/O error"), KeyboardInterrupt)):
            with disk.folder() as path:
                client = self.client(path=path)
                store = client.createDataStore(["v"])
                disk.fill(store, 3, 10 * number)
                del self.server.acknowledged[:]
                with failingAfterCommit(failure):
                    self.assertRaises((request.SpoolError, KeyboardInterrupt),
                                      client.flush)
                self.assertEqual(client.pending(), 3)
                client.flush()
                self.assertEqual(client.pending(), 3)
                client.close()
                self.assertTrue(self.client(path=path).send())
                self.assertEqual(self.arrived(), [10 * number, 10 * number + 1,
                                                  10 * number + 2])

    def shortPatience(self):
        self.addCleanup(setattr, spoolfile, "BUSY_SECONDS",
                        spoolfile.BUSY_SECONDS)
        spoolfile.BUSY_SECONDS = 0.01

    def locked(self):
        """Let another connection hold the file against readers too."""
        held = sqlite3.connect(os.path.join(self.path, "iobeam_buffer.db"),
                               isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
        return contextlib.closing(held)

    def test_rows_that_cannot_be_read_from_disk_are_no_success(self):
        client = self.client()
        store = client.createDataStore(["v"])
        disk.fill(store, 3)
        client.flush()
        disk.fill(store, 2, 3)
        self.shortPatience()
        with self.locked():
            with self.assertRaises(request.SendError) as raised:
                client.send(timeout=30)
        self.assertIsInstance(raised.exception, request.SpoolError)
        self.assertEqual(raised.exception.accepted, 2)
        self.assertEqual(self.arrived(), [3, 4])
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), [3, 4, 0, 1, 2])

    def test_a_locked_buffer_keeps_send_within_its_limits(self):
        client = self.client()
        store = client.createDataStore(["v"])
        disk.fill(store, 3)
        client.flush()
        disk.fill(store, 2, 3)
        with self.locked():
            with pace.Stopwatch() as watch:
                self.assertRaises(request.SendError, client.send, timeout=0.5)
            self.assertLess(watch.seconds, 1.5)
        self.assertEqual(client.pending(), 5)

    @unittest.skipIf(filelock.fcntl is None, "POSIX locks")
    def test_file_system_without_locks_holds_up_no_send(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 3)

        def lockf(*_):
            raise IOError(errno.ENOLCK, "No locks available")

        self.addCleanup(setattr, filelock.fcntl, "lockf", filelock.fcntl.lockf)
        filelock.fcntl.lockf = lockf
        self.assertTrue(client.send(timeout=30))
        self.assertEqual(self.arrived(), [0, 1, 2])

    def test_close_deletes_what_could_not_be_deleted(self):
        client = self.client()
        disk.fill(client.createDataStore(["v"]), 5)
        client.flush()
        with self.blocked():
            client.send()
        client.close()
        self.assertEqual(self.onDisk(), [])

    @unittest.skipIf(os.name == "nt", "POSIX modes")
    @unittest.skipIf(hasattr(os, "geteuid") and os.geteuid() == 0,
                     "root may write anywhere")
    def test_read_only_folder(self):
        client = self.client(autoFlush=10)
        os.chmod(self.path, stat.S_IRUSR | stat.S_IXUSR)
        self.checkUnwritable(client)
        self.assertRaises(request.SpoolError, self.client)

    def test_folder_that_has_gone(self):
        gone = os.path.join(self.path, "gone")
        os.mkdir(gone)
        client = self.client(path=gone, autoFlush=10)
        os.remove(os.path.join(gone, "iobeam_buffer.lock"))
        os.rmdir(gone)
        self.checkUnwritable(client)

    def checkUnwritable(self, client=None):
        client = client or self.client(autoFlush=10)
        disk.fill(client.createDataStore(["v"]), 25)
        self.assertRaises(request.SpoolError, client.flush)
        self.server.script((0, 503, {}, ""))
        self.assertRaises(request.SendError, client.send)
        self.assertTrue(client.send())
        self.assertEqual(self.arrived(), list(range(25)))
        client.close()


@contextlib.contextmanager
def failingAfterCommit(failure):
    """Let every commit come about and then raise."""
    class Connection(object):
        def __init__(self, *args):
            self._inner = connect(*args)

        def __getattr__(self, name):
            return getattr(self._inner, name)

        def execute(self, sql, *values):
            found = self._inner.execute(sql, *values)
            if sql == "COMMIT":
                raise failure
            return found

    connect, spoolfile.connect = spoolfile.connect, Connection
    try:
        yield
    finally:
        spoolfile.connect = connect


class EndTest(Case):
    """close, with, the end of the program, collected clients."""

    def test_close_commits_once_and_lets_stores_go(self):
        client = self.client()
        store = client.createDataStore(["v"])
        disk.fill(store, 3)
        client.close()
        client.close()
        self.assertEqual(self.onDisk(), [0, 1, 2])
        self.assertEqual(self.server.requests, [])
        for verb in (client.send, client.flush):
            self.assertRaises(request.Error, verb)
        self.client().addDataStore(store)

    def test_close_without_buffer_warns_once(self):
        client = self.client(path=None)
        disk.fill(client.createDataStore(["v"]), 3)
        with disk.Records() as log:
            client.close()
            client.close()
        self.assertEqual(len(log.warnings("3 rows were not sent")), 1)

    def test_with_sends_and_closes(self):
        with self.client() as client:
            disk.fill(client.createDataStore(["v"]), 3)
        self.assertEqual(self.arrived(), [0, 1, 2])
        self.assertRaises(request.Error, client.send)

    def test_with_after_an_exception_closes_only(self):
        with self.assertRaises(KeyError):
            with self.client() as client:
                disk.fill(client.createDataStore(["v"]), 3)
                raise KeyError("x")
        self.assertEqual(self.server.requests, [])
        self.assertEqual(self.onDisk(), [0, 1, 2])

    def test_with_whose_send_fails_keeps_the_rows(self):
        self.server.always((0, 503, {}, ""))
        with self.assertRaises(request.SendError):
            with self.client() as client:
                disk.fill(client.createDataStore(["v"]), 3)
        self.assertEqual(self.onDisk(), [0, 1, 2])

    def test_store_has_one_open_client(self):
        first, second = self.client(), self.client(path=None)
        store = first.createDataStore(["v"])
        self.assertRaises(ValueError, second.addDataStore, store)
        first.close()
        second.addDataStore(store)

    def test_collected_client_commits_and_lets_go(self):
        client = disk.builder(self.server, self.path).build()
        store = client.createDataStore(["v"])
        disk.fill(store, 3)
        del client
        gc.collect()
        self.assertEqual(self.onDisk(), [0, 1, 2])
        self.client(path=None).addDataStore(store)

    def test_collected_client_without_buffer_warns(self):
        client = disk.builder(self.server).build()
        disk.fill(client.createDataStore(["v"]), 3)
        with disk.Records() as log:
            del client
            gc.collect()
        self.assertEqual(len(log.warnings("3 rows were not sent")), 1)

    SCRIPT = (
        "import logging, sys\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        "from tests import disk\n"
        "client = disk.builder('http://127.0.0.1:9/v1/', *sys.argv[1:])"
        ".build()\n"
        "disk.fill(client.createDataStore(['v']), 3)\n")

    def test_end_of_the_program_commits(self):
        for end in ("", "sys.exit(0)\n", "client = None\n"):
            disk.run("-c", self.SCRIPT + end, self.path)
            self.assertEqual(self.onDisk(), [0, 1, 2])
            os.remove(os.path.join(self.path, "iobeam_buffer.db"))

    def test_uncaught_exception_commits(self):
        child = disk.start("-c", self.SCRIPT + "raise KeyError", self.path)
        child.communicate()
        self.assertEqual(child.returncode, 1)
        self.assertEqual(self.onDisk(), [0, 1, 2])

    def test_end_of_the_program_without_buffer_warns_once(self):
        printed = disk.run("-c", self.SCRIPT)
        self.assertEqual(printed.count("3 rows were not sent"), 1, printed)

    def test_end_of_the_program_says_nothing_without_rows(self):
        self.assertEqual(disk.run("-c", self.SCRIPT + "client.createDataStore("
                                  "['v']).clear()\n"), "")

    def test_logging_is_silent_by_itself(self):
        self.assertEqual(logging.getLogger("iobeam").level, logging.NOTSET)


if __name__ == "__main__":
    unittest.main()
