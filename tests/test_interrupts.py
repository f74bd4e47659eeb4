"""Ctrl-C, signal handlers and finalizers at every instant of what a client does.

IOBEAM_CLIENT_INTERRUPT_STEP (61) leaves instants out; 1 tries each of them.
"""
from __future__ import absolute_import

import array
import gc
import os
import shutil
import sys
import tempfile
import threading
import unittest

from iobeam import iobeam, testing
from iobeam.http import request
from iobeam.resources import rows as rowqueue
from tests import disk, interrupts, loopback, support
from tests.support import mock

STEP = int(os.environ.get("IOBEAM_CLIENT_INTERRUPT_STEP", "61"))
# in memory, where there is such a place: each instant has its own commits
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ROWS = [0, 1, 2, 7]  # three of a store, one point


class Scene(object):
    """A client with four rows in memory, three in a store and a point."""

    def __init__(self, path):
        self.path = path
        self.backend = testing.FakeBackend()
        builder = self.backend.builder().setDeviceId("dev")
        if path is not None:
            for name in os.listdir(path):
                if name.endswith((".db", "-journal")):
                    os.remove(os.path.join(path, name))
            builder.bufferToDisk(path)
        self.client = builder.build()
        self.store = self.client.createDataStore(["v"])
        disk.fill(self.store, 3)
        self.client.addDataPoint("p", iobeam.DataPoint(7, 7))
        self.seen = []

    def arrived(self):
        return sorted(row.time // 1000 for row in self.backend.rows)

    def onDisk(self):
        return [] if self.path is None else disk.numbersIn(self.path)


class HalfwayScene(Scene):
    """The same with seven rows, one of them in memory."""

    def __init__(self, path):
        Scene.__init__(self, path)
        for number in (20, 21):
            self.client.flush()
            self.store.add(number, {"v": number})
        self.store.add(22, {"v": 22})


class Case(unittest.TestCase):
    withBuffer = True

    def setUp(self):
        self.path = None
        if self.withBuffer:
            self.path = tempfile.mkdtemp(prefix="iobeam-test-", dir=PLACE)
            self.addCleanup(shutil.rmtree, self.path)

    def each(self, work, act=lambda scene: interrupts.interrupt(),
             check=None, least=50, begin=Scene):
        """Let `act` come at each instant of `work`; then all is as it should."""
        found = interrupts.everyInstant(
            lambda: begin(self.path), work,
            lambda scene, _: (check or self.check)(scene), STEP, act)
        self.assertGreater(found, least)

    def check(self, scene, rows=ROWS):
        """Nothing is locked or lost; each row is pending or has arrived."""
        client = scene.client
        self.assertTrue(self.isFree(client))
        pending, arrived = client.pending(), scene.arrived()
        # what arrived and may be pending still: no answer was read
        self.assertGreaterEqual(pending + len(set(arrived)), len(rows))
        self.assertLessEqual(pending, len(rows))
        scene.store.add(99, {"v": 99})
        self.assertTrue(client.send(timeout=20))
        self.assertEqual(sorted(set(scene.arrived())), rows + [99])
        # only what was on its way may have been sent again
        self.assertLessEqual(len(scene.arrived()), 2 * len(rows) + 1)
        self.assertEqual((client.pending(), len(scene.store)), (0, 0))
        self.assertEqual(scene.onDisk(), [])
        client.close()

    @staticmethod
    def isFree(client):
        """Tell whether another thread gets in."""
        thread = threading.Thread(target=client.pending)
        thread.daemon = True
        thread.start()
        thread.join(20)
        return not thread.is_alive()


class InterruptTest(Case):
    def test_send(self):
        self.each(lambda scene: scene.client.send())

    def test_flush(self):
        self.each(lambda scene: scene.client.flush())

    def test_flush_and_send(self):
        def work(scene):
            scene.client.flush()
            scene.client.send()

        self.each(work)

    def test_send_from_disk_and_from_memory(self):
        """What was cut short reads the file no more, when the rest commits."""
        with disk.Records() as log:
            self.each(lambda scene: scene.client.send(),
                      check=lambda scene: self.check(
                          scene, ROWS + [20, 21, 22]), begin=HalfwayScene)
        self.assertEqual(log.warnings(), [])

    def test_add(self):
        def work(scene):
            for number in (50, 51):
                scene.store.add(number, {"v": number})
                scene.client.addDataPoint("p", iobeam.DataPoint(
                    number + 10, number + 10))

        def check(scene):
            scene.client.send()
            self.assertEqual(scene.arrived(), sorted(set(scene.arrived())))
            self.assertEqual(scene.arrived()[:4], ROWS)
            scene.client.close()

        self.each(work, check=check)

    def test_close(self):
        def check(scene):
            scene.client.close()
            self.assertEqual(sorted(scene.onDisk()), ROWS)

        self.each(lambda scene: scene.client.close(), check=check)

    def test_new_device(self):
        def work(scene):
            scene.client.setDeviceId("dev2")
            scene.client.setDeviceId("dev")

        self.each(work)

    def test_looking(self):
        self.each(lambda scene: (
            scene.client.pending(), len(scene.store), scene.store.rows(),
            scene.client.stats(), scene.client._dataset))


class PackedTest(Case):
    """As soon as there are two rows, the older ones are packed."""

    withBuffer = False
    isQuick = False

    def setUp(self):
        Case.setUp(self)
        support.useQuickJson(self, self.isQuick)
        for name, value in (("_BLOCK_VALUES", 1), ("UNPACKED_CELLS", 4)):
            patch = mock.patch.object(rowqueue, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def test_send(self):
        self.each(lambda scene: scene.client.send())

    def test_rows_that_come_packed_are_all_there_or_none(self):
        more = [60, 61, 62, 63]
        found = mock.Mock(packed=lambda: array.array(
            "d", [cell for number in more
                  for cell in (number * 1000, number + 0.5)]))

        def check(scene):
            added = scene.client.pending() - len(ROWS)
            self.assertIn(added, (0, len(more)))
            self.check(scene, ROWS + more if added else ROWS)

        self.each(lambda scene: scene.store._extendPacked(found), check=check)

    def test_add_and_send(self):
        def work(scene):
            for number in (50, 51, 52):
                scene.store.add(number, {"v": number + 0.5})
            scene.client.send()

        def check(scene):
            scene.client.send()
            arrived = scene.arrived()
            self.assertEqual(sorted(set(arrived))[:4], ROWS)
            added = [number for number in (50, 51, 52) if number in arrived]
            self.assertEqual(added, [50, 51, 52][:len(added)])
            self.assertEqual((scene.client.pending(), len(scene.store)), (0, 0))
            scene.client.close()

        self.each(work, check=check)


class QuickPackedTest(PackedTest):
    """Packed as the text that is sent."""

    isQuick = True


class InterruptInMemoryTest(Case):
    withBuffer = False

    def test_send(self):
        self.each(lambda scene: scene.client.send())

    def test_clear(self):
        def check(scene):
            self.assertTrue(self.isFree(scene.client))
            scene.client.send()
            self.assertIn(scene.arrived(), (ROWS, [7]))
            scene.client.close()

        self.each(lambda scene: scene.store.clear(), check=check, least=20)


class HandlerTest(Case):
    """What a signal handler may call, amid everything."""

    VERBS = (lambda scene: scene.client.flush(),
             lambda scene: scene.client.send())

    def test_flush(self):
        for verb in self.VERBS:
            self.each(verb, lambda scene: scene.client.flush())

    def test_flush_and_exit(self):
        def act(scene):
            scene.client.flush()
            sys.exit(0)

        def check(scene):
            # the end of the program: nothing more is called
            scene.client.keepRows()
            self.assertEqual(sorted(set(scene.arrived() + scene.onDisk())),
                             ROWS)
            self.check(scene)

        for verb in self.VERBS:
            self.each(verb, act, check)

    def test_looking_amid_flush_sees_each_row_once(self):
        def act(scene):
            scene.seen = [scene.client.pending(),
                          scene.client.stats()["pending"]]
            self.assertIn(len(scene.store), (3, 0))

        def check(scene):
            self.assertIn(scene.seen, ([4, 4], []))
            self.check(scene)

        self.each(self.VERBS[0], act, check)

    def test_adding(self):
        def act(scene):
            scene.store.add(50, {"v": 50})
            scene.client.addDataPoint("p", iobeam.DataPoint(51, 51))
            scene.seen = [50, 51]

        for verb in self.VERBS:
            self.each(verb, act, lambda scene: self.check(
                scene, ROWS + scene.seen))

    def test_close(self):
        def verb(scene):
            try:
                scene.client.flush()
            except request.Error as error:
                self.assertIn("is closed", str(error))

        def check(scene):
            scene.client.close()
            self.assertEqual(sorted(scene.onDisk()), ROWS)

        self.each(verb, lambda scene: scene.client.close(), check)

    def test_new_device(self):
        def act(scene):
            scene.client.setDeviceId("dev2")

        for verb in self.VERBS:
            self.each(verb, act)

    def test_send_says_that_it_cannot(self):
        def act(scene):
            try:
                scene.client.send()
            except request.Error as error:
                self.assertIn("amid another call", str(error))

        for verb in self.VERBS:
            self.each(verb, act)


class OtherThreadTest(Case):
    """An interrupted call holds up no other thread."""

    def test_a_second_sender_goes_on(self):
        def check(scene):
            found = []
            thread = threading.Thread(target=lambda: found.append(
                scene.client.send(timeout=20)))
            thread.daemon = True
            thread.start()
            thread.join(30)
            self.assertEqual(found, [True])
            self.assertEqual(sorted(set(scene.arrived())), ROWS)
            scene.client.close()

        self.each(lambda scene: scene.client.send(), check=check)


class LibrariesTest(support.TestCase):
    """Ctrl-C amid what a send runs through in requests and in Python itself."""

    STEP = 5  # less than the lines of any finalizer there

    def setUp(self):
        support.TestCase.setUp(self)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.client = disk.builder(self.server).build()
        self.addCleanup(self.client.close)
        self.store = self.client.createDataStore(["v"])
        gc.disable()
        self.addCleanup(gc.enable)
        # of sockets that were interrupted before anybody had them
        support.ignoreWarnings(self)

    def begin(self, step):
        gc.collect(0)  # what the interrupt before has left closes now
        self.server.always(None, path="imports")
        self.client.send()
        self.server.always(step, path="imports")
        self.store.add(1, {"v": 1})

    def send(self):
        try:
            self.client.send()
        except request.Error:
            pass

    def everyLine(self, step):
        """Interrupt such a send at each; the lines where that was dropped."""
        found = []
        # a lock that is left held would hold up this thread for ever
        thread = threading.Thread(target=lambda: found.extend(
            interrupts.everyLine(lambda: self.begin(step),
                                 lambda _: self.send(), self.STEP)))
        thread.daemon = True
        thread.start()
        thread.join(120)
        self.assertTrue(found, "it hangs")
        count, dropped = found
        self.assertGreater(count, 100)
        return dropped

    def test_it_comes_out_and_the_next_send_goes_on(self):
        for step in ("ok", "html", "half-body"):
            dropped = self.everyLine(step)
            if sys.version_info[0] > 2:  # 2.7's sockets have such finalizers
                self.assertEqual([], dropped, step)


class HeldTest(unittest.TestCase):
    def test_flush_waits_for_another_thread(self):
        with disk.folder() as path:
            scene = Scene(path)
            thread = threading.Thread(target=scene.client.flush)
            with support.heldElsewhere(scene.client._outbox.gate):
                thread.start()
                thread.join(0.2)
                self.assertEqual(scene.onDisk(), [])
            thread.join()
            self.assertEqual(sorted(scene.onDisk()), ROWS)
            scene.client.close()
