# coding: utf-8
"""Flat rows: as rows, as JSON, and packed."""
from __future__ import absolute_import

import array
import json
import sys
import unittest

from iobeam import clock
from iobeam.resources import flat
from iobeam.utils import compat, quickjson
from tests.support import given, mock, st, useQuickJson

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.integers(-2 ** 63, 2 ** 63 - 1)
PLAIN_TIMES = st.integers(1 - flat.EXACT, flat.EXACT - 1)
CELLS = st.one_of(FLOATS, TIMES, st.booleans(), st.none(),
                  st.text(max_size=5))


def same(one, other):
    """Equal, of the same types and signs (0.0 == -0.0 == 0 == False)."""
    return ([(type(cell), repr(cell)) for cell in one]
            == [(type(cell), repr(cell)) for cell in other])


def cellsOf(rows):
    return [cell for time, pair in rows for cell in (time,) + pair]


class FlatTest(unittest.TestCase):
    isQuick = False

    def setUp(self):
        useQuickJson(self, self.isQuick)

    def read(self, text):
        """The cells of what `flat.text` has made."""
        return sum(json.loads(u"[" + compat.toText(text) + u"]"), [])

    def test_rows_are_lists(self):
        self.assertEqual(flat.rows([1, 2.5, 2, None], 2), [[1, 2.5], [2, None]])
        self.assertEqual(flat.rows([], 2), [])

    @given(st.lists(st.tuples(PLAIN_TIMES, st.tuples(FLOATS, FLOATS)), max_size=8))
    def test_plain_rows_are_said_as_any_are(self, rows):
        cells = cellsOf(rows)
        found = flat.text(cells, 3, True)
        self.assertEqual(found, flat.text(cells, 3, False))
        self.assertTrue(same(self.read(found), cells))

    def test_doubles_at_the_ends_are_said_alike(self):
        for value in (0.0, -0.0, 5e-324, 1e16, 1e22, 1.7976931348623157e308,
                      0.1, 1e-7, 123456789012345680.0):
            found = flat.text([1, value], 2, True)
            self.assertEqual(found, flat.text([1, value], 2, False))
            self.assertTrue(same(self.read(found), [1, value]))

    def test_text_is_no_plain_one(self):
        cells = [1, u"\xe4\"", None, True]
        found = flat.text(cells, 4, False)
        self.assertEqual(self.read(found), cells)
        if not self.isQuick:  # orjson leaves other letters as they are
            self.assertEqual(found, '[1,"\\u00e4\\"",null,true]')

    @given(st.lists(st.tuples(PLAIN_TIMES, st.tuples(FLOATS, FLOATS)), max_size=8))
    def test_plain_rows_are_the_same_once_unpacked(self, rows):
        cells = cellsOf(rows)
        for packed in (flat.packed(list(cells), 3, True),
                       array.array("d", cells)):
            self.assertTrue(same(flat.unpacked(packed, 3), cells))

    @given(st.lists(st.tuples(PLAIN_TIMES, st.tuples(FLOATS, FLOATS)), max_size=8))
    def test_plain_rows_are_read_as_they_are_packed(self, rows):
        cells = cellsOf(rows)
        for packed in (flat.packed(list(cells), 3, True),
                       array.array("d", cells)):
            self.assertIs(flat.readable(packed), packed)
            self.assertEqual(flat.count(packed, 3), len(rows))
            found = flat.rows(packed, 3)
            self.assertEqual([list] * len(rows), list(map(type, found)))
            self.assertTrue(same(sum(found, []), cells))
            for isPlain in (True, False):
                self.assertEqual(flat.text(packed, 3, isPlain),
                                 flat.text(cells, 3, False))

    @given(st.lists(st.tuples(TIMES, st.tuples(CELLS, CELLS)), max_size=8),
           st.integers(1, 5))
    def test_any_rows_are(self, rows, atOnce):
        cells = cellsOf(rows)
        with mock.patch.object(flat, "_ENCODED_CELLS", atOnce * 3):
            packed = flat.packed(list(cells), 3, False)
        self.assertTrue(same(flat.unpacked(packed, 3), cells))
        readable = flat.readable(packed)
        self.assertEqual(flat.count(readable, 3), len(rows))
        self.assertEqual(flat.text(readable, 3, False),
                         flat.text(cells, 3, False))

    def test_packed_rows_take_less(self):
        cells = [round(number * 1.001, 3) for number in range(2000)]
        cells[::4] = range(1700000000000000, 1700000000000500)
        for isPlain in (True, False):
            before = sum(map(sys.getsizeof, cells)) + sys.getsizeof(cells)
            packed = flat.packed(cells, 4, isPlain)
            self.assertNotIsInstance(packed, list)
            # of short pointers, too
            self.assertLess(sys.getsizeof(getattr(packed, "json", packed)),
                            before * 0.6)

    def test_times_that_are_to_be_mended_are_left_alone(self):
        now = clock.Clock(usesServer=True).now()
        cells = [1, 0.5, now, 0.5]
        self.assertIsNot(type(now), int)
        self.assertIs(flat.packed(cells, 2, False), cells)

    def test_what_cannot_be_packed_is_left_as_it_is(self):
        cells = [1, unittest.TestCase]
        self.assertIs(flat.packed(cells, 2, False), cells)


class QuickFlatTest(FlatTest):
    """With orjson, packed rows are the text that is sent."""

    isQuick = True

    def test_what_is_packed_is_what_is_said(self):
        for isPlain in (True, False):
            packed = flat.packed([1, 0.5, 2, 1.5], 2, isPlain)
            self.assertEqual(packed.json, b"[1,0.5],[2,1.5]")
            self.assertIs(flat.text(packed, 2, isPlain), packed.json)

    def test_what_it_does_not_take_is_packed_and_said_as_without_it(self):
        def refuse(_):
            raise TypeError("not that")

        with mock.patch.object(quickjson, "dumps", refuse):
            for cells, isPlain in (([1, 0.5], True), ([1, None], False)):
                packed = flat.packed(cells, 2, isPlain)
                self.assertNotIsInstance(packed, flat.Text)
                self.assertTrue(same(flat.unpacked(packed, 2), cells))
                self.assertTrue(same(
                    self.read(flat.text(cells, 2, isPlain)), cells))
