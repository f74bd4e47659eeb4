# -*- coding: utf-8 -*-
from __future__ import absolute_import

import io
import json
import os
import threading

from iobeam.utils import compat
from tests import disk, support
from tests.support import given, st

unquote = (__import__("urllib").unquote if compat.PY2
           else __import__("urllib.parse").parse.unquote)


class NumbersTest(support.TestCase):
    def test_ints_are_integers_and_bools_are_not(self):
        for value in (0, -1, 2 ** 70):
            self.assertTrue(compat.isInteger(value))
        for value in (True, False, 1.0, "1", None):
            self.assertFalse(compat.isInteger(value))

    def test_ints_and_floats_are_numbers_and_bools_are_not(self):
        for value in (0, 2 ** 70, 1.5, float("nan")):
            self.assertTrue(compat.isNumber(value))
        for value in (True, "1", None, 1j):
            self.assertFalse(compat.isNumber(value))


class TextTest(support.TestCase):
    def test_text_stays_and_utf8_is_decoded(self):
        self.assertEqual(u"é", compat.toText(u"é"))
        self.assertEqual(u"é", compat.toText(u"é".encode("utf-8")))

    def test_other_bytes_are_a_value_error(self):
        self.assertRaises(ValueError, compat.toText, b"\xff")


class QuotePathTest(support.TestCase):
    def test_what_would_change_the_path_is_encoded(self):
        self.assertEqual("a%2Fb", compat.quotePath("a/b"))
        self.assertEqual("a%3Fb%23c", compat.quotePath("a?b#c"))
        self.assertEqual("%20a%25", compat.quotePath(" a%"))

    def test_device_ids_stay_as_they_are(self):
        self.assertEqual("aZ09_:-", compat.quotePath("aZ09_:-"))

    def test_other_scripts_travel_as_utf8(self):
        self.assertEqual("%C3%A9", compat.quotePath(u"é"))
        self.assertEqual("%C3%A9", compat.quotePath(
            u"é".encode("utf-8") if compat.PY2 else u"é"))

    @given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
    def test_any_text_is_one_ascii_part_and_comes_back(self, text):
        quoted = compat.quotePath(text)
        self.assertIsInstance(quoted, str)
        self.assertNotIn("/", quoted)
        self.assertNotIn("?", quoted)
        self.assertNotIn("#", quoted)
        quoted.encode("ascii")
        self.assertEqual(text, compat.toText(unquote(quoted)))


class ClockTest(support.TestCase):
    def test_it_never_runs_backwards(self):
        moments = [compat.monotonic() for _ in range(1000)]
        self.assertEqual(sorted(moments), moments)


class AcquireWithinTest(support.TestCase):
    def test_a_free_lock_is_taken_also_without_any_time(self):
        for seconds in (1, 0, -1):
            lock = threading.Lock()
            self.assertTrue(compat.acquireWithin(lock, seconds))
            self.assertFalse(lock.acquire(False))

    def test_a_held_lock_is_given_up_when_the_time_is_over(self):
        lock = threading.Lock()
        lock.acquire()
        before = compat.monotonic()
        self.assertFalse(compat.acquireWithin(lock, 0.05))
        self.assertGreaterEqual(compat.monotonic() - before, 0.03)
        self.assertFalse(compat.acquireWithin(lock, -1))

    def test_a_lock_that_comes_free_is_taken(self):
        lock = threading.Lock()
        lock.acquire()
        timer = threading.Timer(0.02, lock.release)
        timer.start()
        self.addCleanup(timer.join)
        self.assertTrue(compat.acquireWithin(lock, 30))

    def test_waiting_without_a_limit_is_possible(self):
        lock = threading.Lock()
        lock.acquire()
        timer = threading.Timer(0.02, lock.release)
        timer.start()
        self.addCleanup(timer.join)
        self.assertTrue(compat.acquireWithin(lock, float("inf")))


class FilesTest(support.TestCase):
    def test_a_file_takes_the_place_of_another(self):
        folder = self.folder()
        paths = [os.path.join(folder, name) for name in ("new", "old")]
        for path in paths:
            with io.open(path, "w") as opened:
                opened.write(compat.toText(os.path.basename(path)))
        compat.replaceFile(*paths)
        self.assertEqual(["old"], os.listdir(folder))
        with io.open(paths[1]) as opened:
            self.assertEqual("new", opened.read())

    def test_a_folder_is_synced_and_its_descriptor_closed(self):
        folder = self.folder()
        before = os.dup(0)
        os.close(before)
        compat.fsyncFolder(folder)
        after = os.dup(0)
        os.close(after)
        self.assertEqual(before, after)


_NESTED = """
import gc, json
from iobeam.utils import compat

class Garbage(object):
    def __del__(self):
        down(5)

def down(steps):
    if steps:
        down(steps - 1)

for turn in range(3000):
    gc.set_threshold(1 + turn % 700)
    for _ in range(100):
        garbage = Garbage()
        garbage.itself = garbage
    try:
        compat.parse(json.loads, "[" * 100000)
    except RuntimeError:  # RecursionError, on Python 3
        pass
    assert gc.isenabled()
"""


class ParseTest(support.TestCase):
    def test_nesting_without_end_does_not_abort_the_interpreter(self):
        # Up to Python 3.8 it did, whenever the collector met a finaliser at
        # the limit of recursion.
        disk.run("-c", _NESTED)

    def test_what_it_is_given_gets_through(self):
        self.assertEqual({"a": 1}, compat.parse(json.loads, '{"a": 1}'))
        self.assertEqual(1, compat.parse(int, "1", base=2))
        self.assertRaises(ValueError, compat.parse, json.loads, "{")
