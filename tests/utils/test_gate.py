"""The lock that signals, finalizers and Ctrl-C may come into."""
from __future__ import absolute_import

import gc
import threading
import time
import unittest

from iobeam.utils import gate
from tests import support


class GateTest(unittest.TestCase):
    def setUp(self):
        self.gate = gate.Gate()
        self.addCleanup(gate._late.clear)

    def enter(self):
        with self.gate as entered:
            return entered

    def enteredElsewhere(self, seconds=20):
        """Whether another thread gets in, and out again."""
        found = []

        def run():
            with self.gate.within(seconds) as entered:
                found.append(entered)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return found[0]

    def test_it_is_entered_again_and_again(self):
        self.assertEqual([self.enter() for _ in range(3)], [True] * 3)

    def test_a_call_amid_another_of_its_thread_does_not_enter(self):
        with self.gate as entered:
            self.assertTrue(entered)
            self.assertFalse(self.enter())
            self.assertTrue(self.gate.isHeldHere())
            with self.gate.within(5) as again:
                self.assertFalse(again)
            self.assertFalse(self.enteredElsewhere(0.05))
        self.assertFalse(self.gate.isHeldHere())
        self.assertTrue(self.enteredElsewhere())
        self.assertTrue(self.enter())

    def test_an_exception_gives_it_back(self):
        def fail():
            with self.gate:
                raise KeyError

        self.assertRaises(KeyError, fail)
        self.assertTrue(self.enteredElsewhere())

    def test_it_is_free_when_the_frame_has_gone(self):
        def leave():
            # as where an exception comes before the `with` has begun
            self.gate.__enter__()

        leave()
        self.assertTrue(self.enter())
        leave()
        self.assertTrue(self.enteredElsewhere())
        leave()
        leave()
        self.assertTrue(self.enteredElsewhere())

    def test_a_frame_kept_by_a_traceback_holds_nothing(self):
        def fail():
            self.gate.__enter__()
            raise KeyError

        try:
            fail()
        except KeyError:
            self.assertTrue(self.enter())
            self.assertTrue(self.enteredElsewhere())

    def test_a_thread_that_has_ended_holds_nothing(self):
        thread = threading.Thread(target=lambda: self.gate.__enter__())
        thread.start()
        thread.join()
        self.assertTrue(self.enter())

    def test_one_at_a_time(self):
        inside, most, count = [], [], [0]

        def run():
            for _ in range(300):
                with self.gate as entered:
                    inside.append(entered)
                    most.append(len(inside))
                    count[0] += 1
                    inside.pop()

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((max(most), count[0]), (1, 2400))

    def test_who_waits_gets_in_though_another_comes_again_and_again(self):
        done = threading.Event()

        def run():
            while not done.is_set():
                with self.gate:
                    time.sleep(0.001)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            for _ in range(20):
                with self.gate.within(20) as entered:
                    self.assertTrue(entered)
        finally:
            done.set()
            thread.join()

    def test_who_gives_up_is_in_nobodys_way(self):
        with support.heldElsewhere(self.gate):
            with self.gate.within(0.05) as entered:
                self.assertFalse(entered)
        self.assertTrue(self.enter())
        self.assertTrue(self.enteredElsewhere())

    def test_it_keeps_nothing_alive(self):
        class Thing(object):
            pass

        def use(thing):
            with self.gate:
                return self.enter()

        gc.collect()
        thing = Thing()
        count = len(gc.get_referrers(thing))
        for _ in range(10):
            use(thing)
        self.assertEqual(len(gc.get_referrers(thing)), count)

    def test_hold_and_release(self):
        import sys

        held = self.gate.hold(sys._getframe())
        self.assertFalse(self.enter())
        self.assertFalse(self.enteredElsewhere(0.05))
        self.assertIsNone(self.gate.hold(sys._getframe()))
        self.gate.release(held)
        self.assertTrue(self.enter())


class LaterTest(unittest.TestCase):
    def setUp(self):
        self.gate, self.done = gate.Gate(), []
        self.addCleanup(gate._late.clear)

    def work(self):
        with self.gate as entered:
            if not entered:
                gate.later(self.work)
            self.done.append(entered)

    def test_work_amid_a_call_is_done_at_its_end(self):
        with self.gate:
            self.work()
            self.assertEqual(self.done, [False])
        self.assertEqual(self.done, [False, True])

    def test_also_where_an_exception_ends_it(self):
        def fail():
            with self.gate:
                self.work()
                raise KeyError

        self.assertRaises(KeyError, fail)
        self.assertEqual(self.done, [False, True])

    def test_what_cannot_be_done_yet_waits_for_another_end(self):
        other = gate.Gate()
        with self.gate:
            self.work()
            with other:
                pass
            self.assertEqual(self.done, [False, False])
        self.assertEqual(self.done, [False, False, True])
        with other:
            pass
        self.assertEqual(len(self.done), 3)

    def test_work_that_fails_is_not_forgotten(self):
        def fail():
            self.done.append(1)
            if len(self.done) < 3:
                raise KeyError

        gate.later(fail)
        for _ in range(2):
            self.assertRaises(KeyError, gate.catchUp)
        gate.catchUp()
        gate.catchUp()
        self.assertEqual(len(self.done), 3)
