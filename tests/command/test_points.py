# -*- coding: utf-8 -*-
from __future__ import absolute_import

from iobeam import iobeam, testing
from iobeam.command import points
from iobeam.http import request
from tests import support
from tests.support import given, mock, st

A = 1700000000000000  # us


class PiecesTest(support.TestCase):
    def setUp(self):
        self.backend = testing.FakeBackend()
        self.asked = []
        for name, count in (("FIRST", 4), ("PIECE", 6)):
            patched = mock.patch.object(points, name, count)
            patched.start()
            self.addCleanup(patched.stop)

    def add(self, device, name, times):
        self.backend.rows += [testing.Row(1, device, usec, {name: usec % 97})
                              for usec in times]

    def ask(self, query):
        self.asked.append(iobeam.makeQuery(testing.makeToken(1), query,
                                           self.backend))
        return self.asked[-1]

    def found(self, **given):
        return list(points.Points(self.ask, 1, **given).pieces())

    def joined(self, **given):
        found = []
        for device, name, piece in self.found(**given):
            self.assertTrue(piece)
            if found and found[-1][:2] == (device, name):
                found[-1][2].extend(piece)
            else:
                found.append((device, name, list(piece)))
        return found

    def whole(self, limit=None, interval=None, operator=None):
        query = iobeam.QueryReq(1, timeUnit=iobeam.TimeUnit.MICROSECONDS) \
            .limit(limit).groupBy(interval).operator(operator)
        answer = iobeam.makeQuery(testing.makeToken(1), query, self.backend)
        return [(one["device_id"], one["name"],
                 [(point["time"], point["value"]) for point in one["data"]])
                for one in answer["result"]]

    def test_what_is_small_takes_one_request(self):
        self.add("d", "a", range(A, A + 4))
        self.add("e", "b", range(A, A + 4))
        self.assertEqual(self.whole(), self.found())
        self.assertEqual(2, len(self.asked))  # which series there are, and it
        self.assertEqual(self.whole()[:1], self.found(device="d"))
        self.assertEqual(3, len(self.asked))
        self.assertEqual([], self.found(series="c"))
        self.assertEqual(4, len(self.asked))

    def test_of_many_series_those_of_a_device_come_together(self):
        for device in "edf":
            for name in "abc":
                self.add(device, name, range(A, A + 3))
        with mock.patch.object(points, "TOGETHER", 8):
            self.assertEqual(self.whole(), self.found())
        self.assertEqual([9, 3, 3, 3], [len(answer["result"])
                                        for answer in self.asked])
        self.assertEqual([1] * 9, [len(series["data"]) for series
                                   in self.asked[0]["result"]])

    def test_no_answer_is_large(self):
        self.add("d", "a", range(A, A + 10 ** 10, 10 ** 7))
        self.add("d", "b", range(A, A + 3))
        self.assertEqual(self.whole(), self.joined())
        self.assertEqual(1000, len(self.joined(series="a")[0][2]))
        for answer in self.asked:
            for series in answer["result"]:
                self.assertLessEqual(len(series["data"]), 100)

    def test_what_comes_in_meanwhile_is_left_out(self):
        self.add("d", "a", range(A, A + 10 ** 9, 10 ** 7))
        found = points.Points(self.ask, 1).pieces()
        pieces = [next(found)]
        self.add("d", "a", range(A + 2 * 10 ** 9, A + 3 * 10 ** 9, 10 ** 7))
        pieces += found
        self.assertEqual(100, sum(len(piece) for _, _, piece in pieces))

    @given(st.lists(st.integers(0, 3 * 10 ** 6) | st.integers(0, 10 ** 13),
                    max_size=60, unique=True),
           st.sampled_from([None, 1, 5, 6, 7, 20, 59, 100]))
    def test_the_pieces_are_the_whole(self, times, limit):
        self.backend.rows = []
        self.add("d", "a", [A + usec for usec in times])
        self.add("e", "a", [A + usec for usec in times[:3]])
        self.assertEqual(self.whole(limit), self.joined(limit=limit))

    @given(st.lists(st.integers(0, 10 ** 9), max_size=60, unique=True),
           st.sampled_from(["1ms", "7ms", "10s", "3m", "5d"]),
           st.sampled_from([None, 3, 8]))
    def test_groups_too(self, times, interval, limit):
        self.backend.rows = []
        self.add("d", "a", [A + usec for usec in times])
        self.assertEqual(
            self.whole(limit, interval, "sum"),
            self.joined(limit=limit, interval=interval, operator="sum"))

    def test_a_range_holds_for_all_pieces(self):
        times = list(range(A, A + 10 ** 9, 10 ** 7))
        self.add("d", "a", times)
        start, end = A + 3 * 10 ** 8, A + 7 * 10 ** 8
        self.assertEqual(
            [usec for usec in times if start <= usec <= end],
            [usec for _, _, piece in self.found(start=start, end=end)
             for usec, _ in piece])

    def test_a_backend_that_knows_no_limit_has_said_it_all(self):
        self.add("d", "a", range(A, A + 100))
        whole = {"result": [{"device_id": "d", "name": "a", "data": [
            {"time": k, "value": k} for k in range(100)]}]}
        self.assertEqual([("d", "a", [(k * 1000, k) for k in range(100)])],
                         list(points.Points(lambda query: whole, 1).pieces()))

    def test_an_answer_of_something_else(self):
        for answer in (None, [], {}, {"result": 5}, {"result": [{"data": [1]}]},
                       {"result": [], "timefmt": "timeval"},
                       {"result": [{"device_id": "d", "name": "a",
                                    "data": [{"time": 5}]}]}):
            with self.assertRaisesRegex(request.Error, "no answer|not that of"):
                list(points.Points(lambda query, a=answer: a, 1).pieces())
