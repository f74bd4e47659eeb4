"""The queue of a store's rows: blocks by device, in their order."""
from __future__ import absolute_import

import array
import unittest

from iobeam.resources import rows
from tests.support import given, mock, st


def queueOf(*numbers):
    queue = rows.RowQueue(("v",))
    add(queue, *numbers)
    return queue


def add(queue, *numbers):
    for number in numbers:
        queue.cells.extend((number * 1000, number))


def packed(*numbers):
    return array.array("d", [cell for number in numbers
                             for cell in (number * 1000, number)])


def numbers(table):
    return [row[1] for row in table]


def taken(queue, count=10, skipped=(), last=10 ** 9, deviceId=None):
    """Take rows off the front, as the outbox does."""
    pieces = queue.first(count, skipped, last, deviceId)
    found = [number for block, length in pieces
             for number in numbers(block.table(length))]
    for block, length in pieces:
        block.cut(0, length, len(block) - length)
        if not len(block):
            queue.remove(block)
    return found


class RowQueueTest(unittest.TestCase):
    def test_rows_are_the_same_flat_and_in_blocks(self):
        queue = queueOf(1, 2, 3)
        for _ in range(2):
            self.assertEqual((len(queue), queue.added()), (3, 3))
            self.assertEqual(numbers(queue.table()), [1, 2, 3])
            queue.seal("d")
        self.assertEqual(queue.cells, [])

    def test_a_block_in_the_place_of_its_cells_counts_once(self):
        queue = queueOf(1, 2)
        with mock.patch.object(rows.RowQueue, "_takeFront"):
            queue.seal("d")  # as if cut short
        add(queue, 3)
        self.assertIs(type(queue.cells[0]), rows.Rows)
        self.assertEqual((len(queue), queue.added()), (3, 3))
        self.assertEqual(numbers(queue.table()), [1, 2, 3])
        queue.append(queue.cells[0])  # now it is in both places
        self.assertEqual((len(queue), queue.added()), (3, 3))
        queue.seal("d")
        self.assertEqual(numbers(queue.table()), [1, 2, 3])
        self.assertEqual(taken(queue), [1, 2, 3])

    def test_each_device_gets_its_own_rows(self):
        queue = queueOf(1)
        queue.seal("x")
        add(queue, 2)
        queue.seal("y")
        add(queue, 3, 4)
        queue.seal("x")
        self.assertEqual(taken(queue, 2), [1, 3])
        self.assertEqual(taken(queue, skipped=("x",)), [2])
        self.assertEqual(taken(queue), [4])
        self.assertEqual((taken(queue), len(queue), queue.added()), ([], 0, 4))

    def test_the_oldest_row_goes_first_but_for_a_device_asked_for(self):
        queue = queueOf(1)
        queue.seal("x")
        add(queue, 2)
        queue.seal("y")
        self.assertEqual(taken(queue, 1, deviceId="y"), [2])
        self.assertEqual(taken(queue), [1])

    def test_later_blocks_are_left_out(self):
        queue = queueOf(1, 2)
        queue.seal("x")
        last = queue.added()
        add(queue, 3)
        queue.seal("x")
        self.assertEqual(taken(queue, last=last), [1, 2])
        self.assertEqual(taken(queue, last=last), [])
        self.assertEqual(taken(queue), [3])

    def test_merged_blocks_are_few(self):
        queue, blocks = rows.RowQueue(("v",)), []
        for number in range(1000):
            add(queue, number)
            queue.seal("x")
            queue.merge("x")
            blocks.append(len(queue.blocks()))
        self.assertLessEqual(max(blocks), 11)
        self.assertEqual(numbers(queue.table()), list(range(1000)))

    def test_clear_drops_all_and_keeps_the_count(self):
        queue = queueOf(1, 2)
        queue.seal("x")
        add(queue, 3)
        queue.clear()
        add(queue, 4)
        self.assertEqual((len(queue), queue.added()), (1, 4))
        self.assertEqual(numbers(queue.table()), [4])

    def test_old_blocks_are_packed_and_are_the_same(self):
        for isPlain in (True, False):
            queue, model = rows.RowQueue(("v",)), []
            queue.isPlain = isPlain
            with mock.patch.object(rows, "_BLOCK_VALUES", 10), \
                    mock.patch.object(rows, "UNPACKED_CELLS", 50):
                for number in range(100):
                    model.append([number * 1000, number / 2.0])
                    queue.cells.extend(model[-1])
                    queue.seal("x")
                    queue.merge("x")
                    queue.pack()
                found = [block.isPacked for block in queue.blocks()]
                self.assertEqual(found, sorted(found, reverse=True))
                self.assertGreater(found.count(True), 5)
                self.assertEqual(len(queue), 100)
                self.assertEqual(queue.table(), model)
                self.assertEqual(queue.last(60), model[-60:])
                queue.mendTimes(lambda time: time)
                self.assertEqual([block.isPacked for block in queue.blocks()],
                                 found)
                self.assertEqual(taken(queue, 7), [row[1] for row in model[:7]])
                while len(queue):
                    queue.pack()
                    left = len(queue)
                    self.assertEqual(taken(queue, 13), [
                        row[1] for row in model[100 - left:][:13]])
                self.assertEqual(queue.blocks(), [])

    def test_a_cut_is_made_once(self):
        queue = queueOf(1, 2, 3, 4)
        queue.seal("x")
        block, = queue.blocks()
        for isPacked in (False, True):
            if isPacked:
                block.pack(False)
                self.assertTrue(block.isPacked)
            left = len(block) - 1
            for _ in range(2):
                block.cut(1, 2, left)
            self.assertEqual(len(block), left)
        self.assertEqual(numbers(block.table()), [1, 4])
        block.pack(False)
        block.cut(0, 2, 0)
        self.assertEqual((len(block), block.table()), (0, []))

    def test_a_packed_block_that_leaves_in_parts_is_unpacked_once(self):
        queue = rows.RowQueue(("v",))
        add(queue, 1, 2, 3)
        queue.seal("x")
        block, = queue.blocks()
        block.pack(False)
        self.assertEqual(queue.first(3, (), 9), [(block, 3)])
        self.assertTrue(block.isPacked)
        self.assertEqual(queue.first(2, (), 9), [(block, 2)])
        self.assertFalse(block.isPacked)
        self.assertEqual(numbers(block.table()), [1, 2, 3])

    def test_packed_rows_come_behind_those_before_and_before_those_after(self):
        queue = queueOf(1, 2)
        queue.highWater = 100
        with mock.patch.object(rows, "_BLOCK_VALUES", 2):
            queue.extendPacked(packed(3, 4, 5), "x")
        add(queue, 6)
        self.assertEqual([(block.start, block.number, block.isPacked)
                          for block in queue.blocks()],
                         [(0, 2, False), (2, 4, True), (4, 5, True)])
        self.assertEqual((len(queue), queue.added()), (6, 6))
        self.assertEqual(numbers(queue.table()), [1, 2, 3, 4, 5, 6])
        self.assertEqual(numbers(queue.last(4)), [3, 4, 5, 6])
        self.assertEqual(list(map(type, queue.table()[2])), [int, float])
        queue.clear()
        self.assertEqual((len(queue), queue.added()), (0, 6))

    def test_rows_between_packed_ones_are_packed_as_well(self):
        queue = rows.RowQueue(("v",))
        with mock.patch.object(rows, "UNPACKED_CELLS", 4):
            for number in range(0, 20, 2):
                add(queue, number)
                queue.extendPacked(packed(number + 1), "x")
                queue.pack()
        found = [block.isPacked for block in queue.blocks()]
        self.assertEqual(found.count(False), 2)
        self.assertEqual(numbers(queue.table()), list(range(20)))

    @given(st.lists(st.one_of(st.sampled_from("xyz"), st.integers(1, 5),
                              st.integers(-5, -1)),
                    max_size=30), st.integers(1, 4), st.integers(0, 12))
    def test_nothing_is_lost_and_each_device_keeps_its_order(
            self, steps, block, unpacked):
        queue, device, number = rows.RowQueue(("v",)), "x", 0
        model = dict((name, []) for name in "xyz")
        with mock.patch.object(rows, "_BLOCK_VALUES", block), \
                mock.patch.object(rows, "UNPACKED_CELLS", unpacked):
            for step in steps:
                if isinstance(step, int):
                    behind = number + abs(step)
                    if step > 0:
                        add(queue, *range(number, behind))
                    else:
                        queue.extendPacked(packed(*range(number, behind)),
                                           device)
                    model[device].extend(range(number, behind))
                    number = behind
                else:
                    queue.seal(device)
                    queue.merge(device)
                    queue.pack()
                    device = step
            queue.seal(device)
            queue.pack()
            self.assertEqual((len(queue), queue.added()), (number, number))
            found = dict((name, []) for name in "xyz")
            while len(queue):
                device = queue.first(3, (), number)[0][0].deviceId
                found[device] += taken(queue, 3)
            self.assertEqual(found, model)
