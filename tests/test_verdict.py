"""Rules of answers and of halving: tables, no client."""
from __future__ import absolute_import

import unittest

from iobeam import verdict
from tests.support import given, st


class JudgeTest(unittest.TestCase):
    # status, accepted, the backend's own error, code "not found": what it is
    TABLE = (
        (200, True, False, False, verdict.ACCEPTED),
        (201, True, False, False, verdict.ACCEPTED),
        (204, True, False, False, verdict.ACCEPTED),
        (200, False, False, False, verdict.UNREADABLE),  # a captive portal
        (200, False, True, False, verdict.UNREADABLE),
        (201, False, False, False, verdict.UNREADABLE),
        (400, False, True, False, verdict.REFUSED),
        (413, False, True, False, verdict.REFUSED),
        (422, False, True, False, verdict.REFUSED),
        (400, False, False, False, verdict.FAILED),  # a proxy's page
        (422, False, False, False, verdict.FAILED),
        (413, False, False, False, verdict.TOO_LARGE),
        (401, False, True, False, verdict.UNAUTHORIZED),
        (403, False, False, False, verdict.UNAUTHORIZED),
        (404, False, True, True, verdict.UNKNOWN_DEVICE),
        (404, False, True, False, verdict.NOT_FOUND),
        (404, False, False, False, verdict.NOT_FOUND),
        (302, False, False, False, verdict.FAILED),
        (409, False, True, False, verdict.FAILED),
        (429, False, True, False, verdict.FAILED),
        (500, False, True, True, verdict.FAILED),
        (503, False, False, False, verdict.FAILED),
        (None, False, False, False, verdict.FAILED),
    )

    def test_each_answer(self):
        for status, accepted, isApi, isUnknown, right in self.TABLE:
            self.assertEqual(
                verdict.judge(status, accepted, isApi, isUnknown), right,
                (status, accepted, isApi, isUnknown))


def found(bad, count, names=False, chunks=()):
    """The refused rows that halving finds among `count`, and the tries."""
    halving, rejected, tries = verdict.Halving(), [], 0
    left = list(range(count))
    chunks = list(chunks)
    while left:
        size = min(halving.size or len(left), len(left))
        part, tries = left[:size], tries + 1
        reasons = [place for place, row in enumerate(part) if row in bad]
        if not reasons:
            halving.accepted(size)
            del left[:size]
            continue
        row = halving.refused(size, chunks, reasons[0] if names else None)
        chunks = []
        if row == verdict.ALL:
            rejected += left
            halving.decided(len(left))
            left = []
        elif row is not None:
            rejected.append(part[row])
            halving.decided(1)
            del left[row]
    return rejected, tries


class HalvingTest(unittest.TestCase):
    @given(st.integers(1, 300), st.lists(st.integers(0, 299), max_size=6),
           st.booleans())
    def test_it_finds_exactly_the_refused_rows(self, count, bad, names):
        bad = set(row for row in bad if row < count)
        if len(bad) < count:
            rejected, _ = found(bad, count, names)
            # a stretch in which nothing is accepted for long is given up
            if sorted(rejected) != sorted(bad):
                self.assertGreater(len(bad), 1)

    def test_one_among_many_takes_few_tries(self):
        self.assertEqual(found({777}, 1000)[0], [777])
        self.assertLessEqual(found({777}, 1000)[1], 22)

    def test_a_row_that_is_named_takes_two(self):
        self.assertEqual(found({777}, 1000, names=True), ([777], 2))

    def test_a_name_out_of_range_is_none(self):
        for row in (-1, 10, True, 1.0, "3", None):
            self.assertIsNone(verdict.Halving().refused(10, row=row))

    def test_chunks_are_tried_alone_first(self):
        halving = verdict.Halving()
        self.assertIsNone(halving.refused(9, [2, 3, 4]))
        sizes = []
        while halving.size:
            sizes.append(halving.size)
            halving.accepted(halving.size)
        self.assertEqual(sizes, [2, 3, 4])

    def test_it_gives_up_where_nothing_is_accepted(self):
        rejected, tries = found(set(range(5000)), 5000)
        self.assertEqual((len(rejected), tries),
                         (5000, verdict.MAX_PROBES))

    def test_an_acceptance_lets_it_go_on(self):
        bad = set(range(1, 100))
        rejected, tries = found(bad, 100)
        self.assertEqual(sorted(rejected), sorted(bad))
        self.assertGreater(tries, verdict.MAX_PROBES)
