from __future__ import absolute_import

import threading
import unittest

from iobeam.http import call as calls


class Clock(object):
    now = 100.0

    def __call__(self):
        return self.now


class CallTest(unittest.TestCase):

    def setUp(self):
        self.clock = Clock()

    def call(self, *args):
        return calls.Call(*args, clock=self.clock)

    def test_the_earlier_of_both_limits_counts(self):
        self.assertEqual(self.call(5, 60).left(), 5)
        self.assertEqual(self.call(500, 60).left(), 60)
        self.assertEqual(self.call(None, 60).left(), 60)
        self.assertEqual(self.call(5, None).left(), 5)
        self.assertEqual(self.call(None, None).left(), float("inf"))

    def test_progress_restarts_the_wait_but_not_the_hard_limit(self):
        call = self.call(100, 60)
        self.clock.now += 50
        self.assertEqual(call.left(), 10)
        call.progressed()
        self.assertEqual(call.left(), 50)  # of the 100
        self.clock.now += 55
        self.assertEqual(call.left(), -5)

    def test_begin_forgets_the_doubt_of_the_request_before(self):
        call = self.call()
        call.inDoubt = call.sending = True
        call.begin(7)
        self.assertEqual((call.inDoubt, call.sending, call.stepSeconds),
                         (False, False, 7))

    def test_repeats_count_from_anew_unless_the_caller_counts(self):
        call = self.call()
        call.repeated = 3
        call.resizes = True
        call.begin(1)
        self.assertEqual(call.repeated, 3)
        call.resizes = False
        call.begin(1)
        self.assertEqual(call.repeated, 0)

    def test_trouble_is_told_to_whom_it_concerns(self):
        call = self.call()
        call.trouble()
        heard = []
        call.onTrouble = lambda: heard.append(1)
        call.trouble()
        self.assertEqual(heard, [1])


class CurrentTest(unittest.TestCase):

    def test_there_is_none_at_first(self):
        self.assertIsNone(calls.current(None))
        self.assertIsInstance(calls.current(), calls.Call)

    def test_the_innermost_is_current_and_goes_also_after_an_error(self):
        outer, inner = calls.Call(), calls.Call()
        with outer:
            with self.assertRaises(KeyError):
                with inner:
                    self.assertIs(calls.current(), inner)
                    raise KeyError
            self.assertIs(calls.current(), outer)
            with calls.current():
                self.assertIs(calls.current(), outer)
            self.assertIs(calls.current(), outer)
        self.assertIsNone(calls.current(None))

    def test_each_thread_has_its_own(self):
        found = []
        with calls.Call():
            thread = threading.Thread(
                target=lambda: found.append(calls.current(None)))
            thread.start()
            thread.join()
        self.assertEqual(found, [None])


if __name__ == "__main__":
    unittest.main()
