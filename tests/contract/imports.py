"""Imports: what is taken, what is refused, and how."""
from __future__ import absolute_import

from .asking import ADMIN, DEVICE, NOW, READ, WRITE, Asking


class ImportsContract(Asking):
    def test_a_table_comes_back(self):
        req = self.table([[NOW, 1, 2.5, True, u"\xe9"],
                          [NOW + 1, -2, 0.1, False, ""],
                          [NOW + 2, None, None, None, None]],
                         ("i", "f", "b", "s"))
        self.assertAnswers(200, req)
        self.assertEqual({}, req.getResponse())
        for name, values in (("i", [1, -2]), ("f", [2.5, 0.1]),
                             ("b", [True, False]), ("s", [u"\xe9", ""])):
            self.assertSame([[NOW, values[0]], [NOW + 1, values[1]]],
                            self.points(name))

    def test_answers_say_how_much_a_request_may_hold(self):
        for req in (self.table([]), self.table([[NOW, 1]]),
                    self.table([["x", 1]]), self.table([], device_id="new")):
            self.assertEqual("20000",
                             req.getResponseHeader("Iobeam-Max-Values"))
            self.assertEqual("gzip", req.getResponseHeader("Accept-Encoding"))

    def test_a_list_comes_back(self):
        self.assertAnswers(200, self.ask("POST", "imports", {
            "project_id": self.project, "device_id": DEVICE, "sources": [
                {"name": "b", "data": [{"time": 2, "value": 5},
                                       {"time": 1, "value": None}]},
                {"name": "a", "data": []},
                {"name": "b", "data": [{"time": 3, "value": 6.5}]}]}))
        self.assertSame([[2000, 5], [3000, 6.5]], self.points("b"))
        self.assertSame([], self.points("a"))

    def test_times_have_units(self):
        for send, name in ((self.table, "a"), (self.series, "a")):
            for unit, moment in (("sec", 5), ("msec", 5 * 10 ** 3),
                                 ("usec", 5 * 10 ** 6), ("SEC", 5)):
                self.assertAnswers(200, send([[moment, 1]], timefmt=unit))
            self.assertSame([[5 * 10 ** 6, 1]], self.points())
            self.assertRefused(400, 1, send([[1, 1]], timefmt="timeval"))
            self.assertRefused(400, 1, send([[1, 1]], timefmt=5))
        self.store([[-1, 2]], timefmt=None)
        self.assertSame([[-1000, 2], [5 * 10 ** 6, 1]], self.points())

    def test_time_may_stand_anywhere_and_fields_twice(self):
        self.assertAnswers(200, self.table(
            [], sources={"fields": ["a", "time", "a"],
                         "data": [[1, NOW, 2], [3, NOW + 1, None]]}))
        self.assertSame([[NOW, 2], [NOW + 1, 3]], self.points())
        for fields in (["a"], ["time", "time"], ["Time", "a"], []):
            self.assertRefused(400, 1, self.table([], sources={
                "fields": fields, "data": []}))

    def test_what_is_sent_again_overwrites(self):
        self.store([[NOW, 1], [NOW, 2], [NOW + 1, 5]])
        self.store([[NOW + 1, 4.5], [NOW, None]])
        self.assertSame([[NOW, 2], [NOW + 1, 4.5]], self.points())

    def test_integers_of_64_bits_are_exact_and_no_more_of_them(self):
        values = [2 ** 63 - 1, -2 ** 63, 2 ** 53 + 1, 0]
        self.store([[NOW + k, value] for k, value in enumerate(values)])
        self.assertSame(values, [value for _, value in self.points()])
        for value in (2 ** 63, -2 ** 63 - 1, 10 ** 25):
            self.assertRefused(422, 3, self.table([[NOW, 1], [NOW, value]]),
                               row=1, field="a")
        for moment in (2 ** 63, -2 ** 63 - 1):
            self.assertRefused(422, 3, self.table([[moment, 1]]), row=0,
                               field="time")
            self.assertRefused(422, 3, self.series([[moment, 1]]), row=0,
                               field="time")
        self.assertRefused(422, 3, self.table([[2 ** 62, 1]], timefmt="sec"),
                           row=0, field="time")
        self.store([[-2 ** 63, 7]])
        self.assertSame([-2 ** 63, 7], self.points()[0])

    def test_a_series_has_one_type_in_the_whole_project(self):
        self.register(device_id="other")
        self.store([[1, 1, True, "x"]], ("n", "b", "s"))
        self.store([[2, 2.5, None, "y"]], ("n", "b", "s"), device_id="other")
        for row, field in (([3, True, True, "x"], "n"), ([3, "1", True, "x"],
                                                         "n"),
                           ([3, 1, 1, "x"], "b"), ([3, 1, "true", "x"], "b"),
                           ([3, 1, True, 5], "s"), ([3, 1, True, False], "s")):
            req = self.table([[4, 9, False, "z"], row], ("n", "b", "s"),
                             device_id="other")
            self.assertRefused(422, 3, req, row=1, field=field)
        self.assertRefused(422, 3, self.series([[1, 5], [2, "x"]], "n"),
                           row=1, field="n")
        self.assertSame([[1, 1]], self.points("n", device=DEVICE))
        self.assertSame([[2, 2.5]], self.points("n", device="other"))

    def test_the_first_value_of_a_request_decides(self):
        self.assertRefused(422, 3, self.table(
            [[1, None, "x"], [2, "x", 1], [3, 1, "x"]], ("a", "b")),
            row=1, field="b")
        self.store([[1, 1]])  # nothing of the refused one was kept
        self.assertRefused(422, 3, self.table([[1, "x", 2], [1, "y", 2]],
                                              ("a", "b")), row=0, field="a")

    def test_a_device_is_registered_first(self):
        for send in (self.table, self.series):
            self.assertRefused(404, 32, send([[1, 1]], device_id="new"))
            self.assertRefused(404, 32, send([], device_id="new"))
        self.assertAnswers(200, self.table([]))
        self.assertAnswers(200, self.series([]))

    def test_tokens_are_for_a_project_a_device_and_a_purpose(self):
        for send in (self.table, self.series):
            for token in (self.token(READ), self.token(ADMIN),
                          self.token(project=self.otherProject),
                          self.token(device="other")):
                self.assertRefused(403, 5, send([[1, 1]], token=token))
            for token in (self.token(WRITE), self.token(device=DEVICE)):
                self.assertAnswers(200, send([[1, 1]], token=token))

    def test_a_token_is_judged_before_what_is_sent(self):
        many = [[k, 1] for k in range(20001)]
        for more, token in (
                ({}, self.token(project=self.otherProject)),
                ({"device_id": ""}, self.token(project=self.otherProject)),
                ({"timefmt": "x"}, self.token(device="other")),
                ({"device_id": "new"}, self.token(READ)),
                ({"sources": 5}, self.token(READ))):
            for send, data in ((self.table, many if not more else [["x", 1]]),
                               (self.series, many if not more else [[1, 1]])):
                self.assertRefused(403, 5, send(data, token=token, **more))

    def test_names_that_cannot_be_series_are_refused(self):
        for name in ("", "all", "TIME", "Time_Offset", "a\n", "a\x7f",
                     "x" * 257):
            for send in (lambda name: self.table([[1, 1]], (name,)),
                         lambda name: self.series([[1, 1]], name)):
                req = send(name)
                self.assertAnswers(422, req)
                self.assertNotIn("row", req.getApiError())
                self.assertTrue(name.startswith(req.getApiError()["field"]))
        self.store([[1, 1, 2]], ("x" * 256, u"\xfc/b c"))

    def test_rows_that_cannot_be_stored_are_named(self):
        for row, field, rows in (
                (1, None, [[1, 1], [2]]), (0, None, [[1, 1, 1]]),
                (2, "time", [[1, 1], [2, 1], ["3", 1]]),
                (0, "time", [[1.5, 1]]), (0, "time", [[None, 1]]),
                (1, "time", [[1, 1], [True, 1]]),
                (1, "a", [[1, 1], [2, [1]]]), (0, "a", [[1, {}]]),
                (0, None, [5]), (1, None, [[1, 1], None]),
                (1, "a", [[1, "x"], [2, "x" * 65537]]),
                (0, "a", [[1, u"x\0"]])):
            more = {} if field is None else {"field": field}
            self.assertRefused(422, 3, self.table(rows), row=row, **more)
        for row, points in ((1, [[1, 1], ["2", 1]]), (0, [[1, []]]),
                            (0, [[True, 1]]), (0, [[None, 1]])):
            self.assertRefused(422, 3, self.series(points), row=row,
                               field="a")
        for point in ({"time": 1}, {"value": 1}, 5, None, []):
            self.assertRefused(422, 3, self.series([], sources=[
                {"name": "a", "data": [{"time": 1, "value": 1}, point]}]),
                row=1, field="a")
        self.store([[1, "x" * 65536]])

    def test_what_is_no_import_is_refused(self):
        for more in (
                {"project_id": 0}, {"project_id": "1"}, {"project_id": True},
                {"project_id": None}, {"device_id": None}, {"device_id": 5},
                {"device_id": ""}, {"device_id": "a b"}, {"device_id": "all"},
                {"sources": 5}, {"sources": {}}, {"sources": {"data": []}},
                {"sources": {"fields": ["time", "a"]}},
                {"sources": {"fields": ["time", 5], "data": []}},
                {"sources": {"fields": "time", "data": []}},
                {"sources": {"fields": ["time"], "data": {}}},
                {"sources": None}):
            self.assertRefused(400, 1, self.table([[1, 1]], **more))
        for sources in (5, {}, None, [5], [{}], [{"name": "a"}],
                        [{"data": []}], [{"name": 5, "data": []}],
                        [{"name": "a", "data": 5}]):
            self.assertRefused(400, 1, self.series([], sources=sources))
        other = self.token(project=self.otherProject)
        self.assertRefused(400, 1, self.series([], token=other,
                                               device_id=None))
        for body in ([], "text", {}, 5, None):
            for form in ("table", "list"):
                self.assertRefused(400, 1, self.ask("POST", "imports", body,
                                                    fmt=form))
        self.assertRefused(400, 1, self.ask("POST", "imports", {}, fmt="csv"))
        self.assertRefused(400, 1, self.table({}))

    def test_too_many_values_are_refused(self):
        fields = ["f{}".format(k) for k in range(10)]
        rows = [[k] + [1] * 10 for k in range(2001)]
        self.assertRefused(413, 2, self.table(rows, fields))
        self.assertEqual([], self.points("f1"))
        self.store(rows[:-1], fields)
        self.assertRefused(413, 2, self.series([[k, 1] for k
                                                in range(20001)]))
        self.assertRefused(413, 2, self.table(
            [], ["f{}".format(k) for k in range(1001)]))
