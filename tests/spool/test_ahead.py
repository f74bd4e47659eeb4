"""`iobeam.spool.ahead`: full requests out of a queue where devices lie mixed."""
from __future__ import absolute_import

import random
import sys
import unittest

from iobeam.spool import ahead
from iobeam.spool import buffer as spool
from tests import disk

EVERYTHING = sys.maxsize


class Case(unittest.TestCase):
    def setUp(self):
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)
        self.spool = spool.Spool(self.path)

    def oldest(self, maxValues=1000, skipped=(), group=None, last=EVERYTHING):
        return self.spool.oldest(1, last, skipped, maxValues, group)

    def numbers(self, chunks):
        return [row[0] // 1000 for chunk in chunks for row in chunk.table()]

    def fill(self, count, devices, start=0):
        self.spool.append([
            disk.chunk(number, deviceId="d{}".format(number % devices))
            for number in range(start, start + count)])


class AheadTest(Case):
    def test_as_many_requests_as_grouped(self):
        self.fill(1000, 50)
        for device in range(50):
            found = self.oldest()
            self.assertEqual(self.numbers(found),
                             list(range(device, 1000, 50)))
            self.spool.settle(found)
        self.assertEqual(self.oldest(), [])
        self.assertEqual(self.spool.lastSeq(), 0)

    def test_undecided_ones_come_again(self):
        self.fill(10, 2)
        self.assertEqual(self.numbers(self.oldest(3)), [0, 2, 4])
        self.assertEqual(self.numbers(self.oldest(2)), [0, 2])
        self.assertEqual(self.numbers(self.oldest()), [0, 2, 4, 6, 8])

    def test_nothing_behind_the_last(self):
        self.fill(4, 2)
        last = self.spool.lastSeq()
        self.fill(4, 2, 4)
        self.assertEqual(self.numbers(self.oldest(last=last)), [0, 2])
        self.assertEqual(self.numbers(self.oldest()), [0, 2, 4, 6])

    def test_columns_are_not_mixed_and_may_overtake(self):
        self.spool.append([disk.chunk(0), disk.chunk(1, columns=("w",)),
                           disk.chunk(2), disk.chunk(3, columns=("v", "w"))])
        self.assertEqual(self.numbers(self.oldest()), [0, 2])

    def test_a_group_is_finished_first(self):
        self.fill(6, 2)
        found = self.oldest(2)
        self.spool.settle(found[:1])
        group = found[0].deviceId, found[0].columns
        self.assertEqual(self.numbers(self.oldest(2, group=group)), [2, 4])
        self.assertEqual(self.numbers(self.oldest(2)), [1, 3])
        self.assertEqual(self.numbers(self.oldest(
            2, group=("none", ("v",)))), [1, 3])

    def test_skipped_devices_come_in_order_the_next_time(self):
        self.fill(6, 2)
        self.assertEqual(self.numbers(self.oldest(2, ("d0",))), [1, 3])
        self.fill(2, 2, 6)
        self.assertEqual(self.numbers(self.oldest(2)), [0, 2])

    def test_what_others_deleted_or_left_is_seen(self):
        self.fill(6, 2)
        self.oldest()
        other = spool.Spool(self.path)
        found = other.oldest(1, EVERYTHING, (), 2)
        left = disk.chunk(2, deviceId="d0")
        left.id = found[1].id
        other.settle(found, left)
        self.assertEqual(self.numbers(self.oldest()), [1, 3, 5])
        self.spool.settle(self.oldest())
        self.assertEqual(self.numbers(self.oldest()), [2, 4])

    def test_what_became_ours_is_found(self):
        self.spool = spool.Spool(self.path, baseUrl="http://a/")
        other = spool.Spool(self.path, baseUrl="http://b/")
        other.append([disk.chunk(0)])
        self.spool.append([disk.chunk(1)])
        self.spool.settle(self.oldest())
        self.assertEqual(self.oldest(), [])
        self.spool.adopt(1)
        self.assertEqual(self.numbers(self.oldest()), [0])

    def test_notes_are_bounded(self):
        old, ahead._MOST = ahead._MOST, 10
        try:
            self.fill(100, 25)
            requests, found = 0, []
            while True:
                chunks = self.oldest()
                if not chunks:
                    break
                self.assertLessEqual(self.spool._ahead._noted, 10)
                found += self.numbers(chunks)
                requests += 1
                self.spool.settle(chunks)
            self.assertEqual(sorted(found), list(range(100)))
        finally:
            ahead._MOST = old

    def test_like_a_plain_list(self):
        for seed in range(8):
            self.walk(random.Random(seed))

    def walk(self, pick):
        """Append, take, decide, skip and bound at random, beside a model."""
        self.spool = spool.Spool(self.path)
        model, number = [], 0
        for _ in range(60):
            action = pick.random()
            if action < 0.4:
                more = []
                for _ in range(pick.choice([1, 3, 10])):
                    one = disk.chunk(
                        *range(number, number + pick.choice([1, 2, 5])),
                        deviceId=pick.choice("abc"),
                        columns=pick.choice([("v",), ("v", "w")]))
                    number += one.rows
                    more.append(one)
                self.spool.append(more)
                model += more
            elif action < 0.5:
                self.assertEqual(self.spool.lastSeq() == 0, not model)
            else:
                self.check(pick, model)
        self.spool.settle(model)

    def check(self, pick, model):
        skipped = pick.choice([(), (), ("a",), ("a", "b")])
        maxValues = pick.choice([1, 4, 20, 1000])
        expected, values = [], 0
        for one in model:
            if one.deviceId in skipped:
                continue
            if expected and (one.deviceId, one.columns) != (
                    expected[0].deviceId, expected[0].columns):
                continue
            values += one.rows * len(one.columns)
            if expected and values > maxValues:
                break
            expected.append(one)
        found = self.oldest(maxValues, skipped)
        self.assertEqual([one.id for one in found],
                         [one.id for one in expected])
        if pick.random() < 0.7:
            done = found[:pick.randrange(len(found) + 1)]
            self.spool.settle(done)
            gone = set(one.id for one in done)
            model[:] = [one for one in model if one.id not in gone]


if __name__ == "__main__":
    unittest.main()
