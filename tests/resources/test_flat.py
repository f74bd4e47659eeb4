# coding: utf-8
"""Flat rows: as rows, as JSON, and packed."""
from __future__ import absolute_import

import json
import unittest

from iobeam import clock
from iobeam.resources import flat
from tests.support import given, st

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.integers(-2 ** 63, 2 ** 63 - 1)
PLAIN_TIMES = st.integers(1 - flat.EXACT, flat.EXACT - 1)
CELLS = st.one_of(FLOATS, TIMES, st.booleans(), st.none(),
                  st.text(max_size=5))


def same(one, other):
    """Equal, of the same types and signs (0.0 == -0.0 == 0 == False)."""
    return ([(type(cell), repr(cell)) for cell in one]
            == [(type(cell), repr(cell)) for cell in other])


class FlatTest(unittest.TestCase):
    def test_rows_are_lists_or_tuples(self):
        self.assertEqual(flat.rows([1, 2.5, 2, None], 2), [[1, 2.5], [2, None]])
        self.assertEqual(flat.rows([1, 2.5, 2, None], 2, tuple),
                         [(1, 2.5), (2, None)])
        self.assertEqual(flat.rows([], 2), [])

    @given(st.lists(st.tuples(PLAIN_TIMES, st.tuples(FLOATS, FLOATS)), max_size=8))
    def test_the_pattern_says_what_an_encoder_says(self, rows):
        cells = [cell for time, pair in rows for cell in (time,) + pair]
        self.assertEqual(flat.text(cells, 3, True), flat.text(cells, 3, False))
        found = json.loads("[" + flat.text(cells, 3, True) + "]")
        self.assertTrue(same(sum(found, []), cells))

    def test_doubles_at_the_ends_are_said_alike(self):
        for value in (0.0, -0.0, 5e-324, 1e16, 1e22, 1.7976931348623157e308,
                      0.1, 1e-7, 123456789012345680.0):
            self.assertEqual(flat.text([1, value], 2, True),
                             flat.text([1, value], 2, False))

    def test_text_is_no_plain_one(self):
        self.assertEqual(flat.text([1, u"\xe4\"", None, True], 4, False),
                         '[1,"\\u00e4\\"",null,true]')

    @given(st.lists(st.tuples(PLAIN_TIMES, st.tuples(FLOATS, FLOATS)), max_size=8))
    def test_plain_rows_are_the_same_once_unpacked(self, rows):
        cells = [cell for time, pair in rows for cell in (time,) + pair]
        self.assertTrue(same(
            flat.unpacked(flat.packed(list(cells), 3, True), 3), cells))

    @given(st.lists(st.tuples(PLAIN_TIMES, st.tuples(FLOATS, FLOATS)), max_size=8))
    def test_plain_rows_are_read_as_they_are_packed(self, rows):
        cells = [cell for time, pair in rows for cell in (time,) + pair]
        packed = flat.packed(cells, 3, True)
        for kind in (list, tuple):
            found = flat.rows(packed, 3, kind)
            self.assertEqual([kind] * len(rows), list(map(type, found)))
            self.assertTrue(same(sum(map(list, found), []), cells))
        for isPlain in (True, False):
            self.assertEqual(flat.text(packed, 3, isPlain),
                             flat.text(cells, 3, False))

    @given(st.lists(st.tuples(TIMES, st.tuples(CELLS, CELLS)), max_size=8))
    def test_any_rows_are(self, rows):
        cells = [cell for time, pair in rows for cell in (time,) + pair]
        self.assertTrue(same(
            flat.unpacked(flat.packed(list(cells), 3, False), 3), cells))

    def test_times_that_are_to_be_mended_are_left_alone(self):
        now = clock.Clock(usesServer=True).now()
        cells = [1, 0.5, now, 0.5]
        self.assertIsNot(type(now), int)
        self.assertIs(flat.packed(cells, 2, False), cells)

    def test_what_cannot_be_packed_is_left_as_it_is(self):
        cells = [1, unittest.TestCase]
        self.assertIs(flat.packed(cells, 2, False), cells)
