"""Points by the name of their series."""
from __future__ import absolute_import

import unittest

from iobeam import loose
from iobeam.resources import rows
from iobeam.resources.data import DataPoint
from tests.support import mock


class LoosePointsTest(unittest.TestCase):
    def setUp(self):
        self.points = loose.LoosePoints()

    def sealed(self):
        return dict((queue.columns[0], queue.table())
                    for queue in self.points.queues())

    def test_equal_points_are_kept_once(self):
        self.points.add("a", [DataPoint(1, 5), DataPoint(1, 5)])
        self.points.add("a", [DataPoint(1, 5), DataPoint(2, 5)])
        for _ in range(2):  # before and after they have been merged
            self.assertEqual(len(self.points), 2)
            self.assertEqual(len(self.points.series()["a"]), 2)

    def test_they_are_put_into_a_queue_a_series_in_their_order(self):
        self.points.add("b", [DataPoint(1, 5)])
        self.points.add("a", [DataPoint(2, 9), DataPoint(3, 8)])
        self.points.seal("d")
        self.assertEqual([queue.columns for queue in self.points.queues()],
                         [("b",), ("a",)])
        self.assertEqual(self.sealed(), {"b": [[5000, 1]],
                                         "a": [[9000, 2], [8000, 3]]})
        self.assertEqual((len(self.points), dict(self.points.series())),
                         (0, {}))

    def test_what_was_cut_short_is_not_put_there_twice(self):
        self.points.add("a", [DataPoint(1, 5)])
        series = self.points.series()

        class Stuck(type(series)):
            def __delitem__(self, name):
                raise KeyboardInterrupt

        self.points.replace(Stuck(series))
        self.assertRaises(KeyboardInterrupt, self.points.seal, "d")
        self.assertEqual((len(self.points), self.sealed()),
                         (0, {"a": [[5000, 1]]}))
        self.points.replace(type(series)(self.points.series()))
        self.points.seal("d")
        self.assertEqual(self.sealed(), {"a": [[5000, 1]]})

    def test_taken_points_are_new_stores(self):
        self.points.add("a", [DataPoint(1, 5), DataPoint(2, 6)])
        self.points.add("b", [DataPoint(True, 7)])
        stores = self.points.take()
        self.assertEqual([store.columns() for store in stores], [["a"], ["b"]])
        self.assertEqual(stores[1].rows(), [{"time": 7000, "b": True}])
        self.assertEqual((len(self.points), self.points.take()), (0, []))

    def test_clear_drops_one_series_wherever_it_is(self):
        self.points.add("a", [DataPoint(1, 5)])
        self.points.seal("d")
        self.points.add("a", [DataPoint(2, 5)])
        self.points.add("b", [DataPoint(3, 5)])
        self.points.clear("a")
        self.points.clear("none")
        self.assertEqual(list(self.points.series()), ["b"])
        self.assertEqual(self.sealed()["a"], [])

    def test_a_list_put_in_by_hand_becomes_a_set(self):
        self.points.replace({"a": [DataPoint(1, 5)]})
        self.points.add("a", [DataPoint(1, 5), DataPoint(2, 5)])
        self.assertEqual(len(self.points.series()["a"]), 2)

    def test_nothing_is_gone_or_doubled_when_an_add_is_cut_short(self):
        class Interrupted(DataPoint):
            left = 0

            def __hash__(self):
                Interrupted.left -= 1
                if not Interrupted.left:
                    raise KeyboardInterrupt
                return DataPoint.__hash__(self)

        for left in range(1, 6):
            points = loose.LoosePoints()
            points.add("a", [Interrupted(1, 5), Interrupted(2, 6)])
            Interrupted.left = left
            try:
                points.seal("d")
            except KeyboardInterrupt:
                pass
            points.seal("d")
            self.assertEqual(points.queues()[0].table(),
                             [[5000, 1], [6000, 2]])

    def test_an_append_that_was_cut_short_is_finished(self):
        self.points.add("a", [DataPoint(1, 5)])

        base = rows.RowQueue

        class Stuck(base):
            def __setattr__(self, name, value):
                if name == "_sealed" and value:
                    raise KeyboardInterrupt
                base.__setattr__(self, name, value)

        with mock.patch.object(loose.rows, "RowQueue", Stuck):
            self.assertRaises(KeyboardInterrupt, self.points.seal, "d")
        with mock.patch.object(Stuck, "__setattr__", base.__setattr__):
            self.points.seal("d")
        self.assertEqual(self.points.queues()[0].added(), 1)
