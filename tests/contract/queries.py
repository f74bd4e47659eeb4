"""Exports: every parameter of a query."""
from __future__ import absolute_import

from iobeam.utils import compat
from .asking import ADMIN, DEVICE, NOW, READ, WRITE, Asking


class QueriesContract(Asking):
    def fill(self):
        """Series n, b, s on DEVICE, n on another device, ms and us."""
        self.register(device_id="another")
        self.store([[1000 * k, k, k % 2 == 1, "t{}".format(k)]
                    for k in range(1, 7)], ("n", "b", "s"))
        self.store([[3500, 2.5]], ("n",), device_id="another")

    def test_one_element_a_device_and_series_in_order(self):
        self.fill()
        found = self.export()
        self.assertEqual("msec", found["timefmt"])
        self.assertEqual([("another", "n"), (DEVICE, "b"), (DEVICE, "n"),
                          (DEVICE, "s")],
                         [(one["device_id"], one["name"])
                          for one in found["result"]])
        self.assertSame({"project_id": self.project, "device_id": "another",
                         "name": "n", "data": [{"time": 3, "value": 2.5}]},
                        found["result"][0])
        paths = ["exports/{}".format(self.project)]
        paths += [paths[0] + "/all", paths[0] + "/ALL/All", paths[0] + "/"]
        for path in paths:
            self.assertEqual(found, self.ask("GET", path).getResponse())
        self.assertSame({"result": [], "timefmt": "sec"},
                        self.export("none", timefmt="sec"))
        self.assertEqual([], self.export(device="nobody")["result"])

    def test_times_are_whole_milliseconds_and_inclusive(self):
        self.store([[k, k] for k in (999, 1000, 1999, 2000, 2001, 3000)])
        for params, expected in (
                ({"from_": 1}, [1000, 1999, 2000, 2001, 3000]),
                ({"to": 1}, [999, 1000, 1999]), ({"to": 0}, [999]),
                ({"from_": 2, "to": 2}, [2000, 2001]),
                ({"from_": 3, "to": 2}, []), ({"from_": "+2"}, [2000, 2001,
                                                               3000]),
                ({"from_": -10 ** 29, "to": 10 ** 25}, [999, 1000, 1999, 2000,
                                                        2001, 3000])):
            self.assertEqual(expected, [value for _, value
                                        in self.points(**params)])

    def test_a_limit_keeps_the_newest_of_each_series(self):
        self.fill()
        self.assertSame([[5000, 5], [6000, 6]],
                        self.points("n", device=DEVICE, limit=2))
        self.assertSame([[2000, 2], [3000, 3]],
                        self.points("n", device=DEVICE, limit=2, to=3))
        self.assertEqual([1, 2, 2, 2], [len(one["data"]) for one
                                        in self.export(limit=2)["result"]])
        self.assertEqual(6, len(self.points("s", limit=10 ** 20)))

    def test_values_are_compared_as_numbers_or_left_out(self):
        self.fill()
        for params, expected in (
                ({"greater_than": 4}, [5, 6]), ({"less_than": 2.5}, [1, 2]),
                ({"greater_than": 1, "less_than": 4}, [2, 3]),
                ({"equals": 3}, [3]), ({"equals": 3.0}, [3]),
                ({"equals": 3.5}, []), ({"less_than": 1}, []),
                ({"greater_than": "1e0", "limit": 1}, [6]),
                ({"less_than": 10 ** 30}, [1, 2, 3, 4, 5, 6])):
            self.assertSame(expected, [value for _, value in self.points(
                "n", device=DEVICE, **params)])
            self.assertEqual([], self.points("b", **params))
            self.assertEqual([], self.points("s", **params))
        self.store([[1, 2 ** 53 + 1]], ("big",))
        self.assertEqual([], self.points("big", equals=2 ** 53))
        self.assertEqual([], self.points("big", greater_than=2 ** 53 + 1))
        self.assertEqual(1, len(self.points("big", greater_than=2 ** 53)))

    def test_every_unit_of_time(self):
        self.store([[-1500001, 1], [NOW, 2]])
        for unit, times in (
                ("usec", [-1500001, NOW]), ("msec", [-1501, NOW // 1000]),
                ("sec", [-2, NOW // 10 ** 6]), ("USEC", [-1500001, NOW]),
                ("timeval", [{"sec": -2, "usec": 499999},
                             {"sec": NOW // 10 ** 6, "usec": 123456}])):
            self.assertSame(times, [moment for moment, _
                                    in self.points(timefmt=unit)])
            self.assertEqual(unit.lower(), self.export(timefmt=unit)[
                "timefmt"])

    def test_operators(self):
        self.fill()
        self.store([[1000, 0.5], [2000, 2 ** 53 + 1], [3000, 1]], ("m",))
        for operator, number, flag, text in (
                ("count", 6, 6, 6), ("sum", 21, 3, None),
                ("mean", 3.5, 0.5, None), ("min", 1, False, "t1"),
                ("max", 6, True, "t6"), ("MAX", 6, True, "t6")):
            for name, value in (("n", number), ("b", flag), ("s", text)):
                if value is not None:
                    self.assertSame([[1000, value]], self.points(
                        name, device=DEVICE, operator=operator))
        self.assertSame([[1000, 3]], self.points("m", operator="count"))
        self.assertSame([[2000, 2 ** 53 + 1]], self.points(
            "m", operator="max", from_=2))
        self.assertSame([[0, 1.5]], self.points(
            "m", operator="sum", from_=0, less_than=5))
        self.assertEqual([], self.points("m", operator="count", from_=9))
        for operator in ("sum", "mean"):
            self.assertRefused(400, 1, self.ask(
                "GET", "exports/{}/all/s".format(self.project),
                operator=operator))
            self.assertNotIn("s", [one["name"] for one in self.export(
                operator=operator)["result"]])

    def test_sums_beyond_what_fits(self):
        self.store([[1, 2 ** 63 - 1], [2, 2 ** 63 - 1]], ("i",))
        self.assertSame([[1, float(2 ** 64)]], self.points("i",
                                                           operator="sum"))
        self.assertSame([[1, float(2 ** 63)]], self.points("i",
                                                           operator="mean"))
        self.store([[1, 1.7e308], [2, 1.7e308]], ("f",))
        self.assertSame([[1, None]], self.points("f", operator="sum"))

    def test_buckets_begin_at_the_epoch(self):
        self.store([[-1, 1], [0, 2], [59999999, 4], [60000000, 8],
                    [240000000, 16]])
        for interval, sums in (
                ("1m", [[-60000000, 1], [0, 6], [60000000, 8],
                        [240000000, 16]]),
                ("60s", [[-60000000, 1], [0, 6], [60000000, 8],
                         [240000000, 16]]),
                ("2m", [[-120000000, 1], [0, 14], [240000000, 16]]),
                ("1ms", [[-1000, 1], [0, 2], [59999000, 4], [60000000, 8],
                         [240000000, 16]]),
                ("1d", [[-86400000000, 1], [0, 30]]),
                ("1w", [[-604800000000, 1], [0, 30]]),
                ("1h", [[-3600000000, 1], [0, 30]])):
            self.assertSame(sums, self.points(operator="sum",
                                              group_by=interval))
        self.assertSame([[60000000, 8], [240000000, 16]], self.points(
            operator="sum", group_by="1m", limit=2))
        self.assertSame([[0, 1], [60000000, 1]], self.points(
            operator="count", group_by="1m", greater_than=2, less_than=16))
        self.assertSame([[0, 1]], self.points(
            operator="count", group_by="1m", from_=0, to=59998))

    def test_csv(self):
        self.fill()
        self.store([[1, u'a,"b"\nc \xe9', 1.5, -7]], ("t,t", "f", "i"))
        head = u"project_id,device_id,name,time,value\n"

        def lines(*expected):
            return head + u"".join(u"{},{},{}\n".format(
                self.project, DEVICE, line) for line in expected)

        for series, params, expected in (
                ("none", {}, head), ("f", {"timefmt": "usec"},
                                     lines("f,1,1.5")),
                ("i", {"timefmt": "timeval"}, lines("i,0.000001,-7")),
                ("t%2Ct", {}, lines(u'"t,t",0,"a,""b""\nc \xe9"')),
                ("b", {"limit": 2}, lines("b,5,true", "b,6,false")),
                ("s", {"to": 1}, lines("s,1,t1")),
                ("b", {"operator": "mean"}, lines("b,1,0.5"))):
            req = self.ask("GET", "exports/{}/{}/{}".format(
                self.project, DEVICE, series), output="csv", **params)
            self.assertAnswers(200, req)
            self.assertEqual(expected, compat.toText(req.resp.content))
            self.assertEqual("text/plain; charset=utf-8",
                             req.getResponseHeader("Content-Type"))

    def test_a_name_may_hold_anything_a_path_can_be_told(self):
        for name in (u"a/b", u"\xfc \u20ac", u"a%2Fb", u"x?y#z&=+"):
            self.store([[1, 1]], (name,))
            found = self.export(compat.quotePath(name))["result"]
            self.assertEqual([name], [one["name"] for one in found])

    def test_what_is_no_query_is_refused(self):
        for params in (
                {"limit": 0}, {"limit": -1}, {"limit": "x"}, {"limit": 1.5},
                {"from_": "x"}, {"to": 1.5}, {"from_": "now"},
                {"less_than": "x"}, {"greater_than": "nan"},
                {"equals": "inf"}, {"equals": True}, {"equals": "1e999"},
                {"timefmt": "min"}, {"output": "xml"}, {"operator": "avg"},
                {"operator": "none"}, {"group_by": "1h"},
                {"group_by": "h", "operator": "sum"},
                {"group_by": "0s", "operator": "sum"},
                {"group_by": "-1s", "operator": "sum"},
                {"group_by": "1y", "operator": "sum"},
                {"group_by": "1H", "operator": "sum"},
                {"group_by": "999999999999w", "operator": "sum"}):
            self.assertRefused(400, 1, self.ask(
                "GET", "exports/{}".format(self.project), **params))
        for path in ("exports/0", "exports/x", "exports/-1", "exports/1.0"):
            self.assertRefused(400, 1, self.ask("GET", path))
        self.assertAnswers(200, self.ask(
            "GET", "exports/{}".format(self.project), limit="", equals="",
            operator="", fmt="x"))

    def test_tokens_are_for_a_project_a_device_and_a_purpose(self):
        self.fill()
        path = "exports/{}".format(self.project)
        for token in (self.token(WRITE), self.token(ADMIN),
                      self.token(project=self.otherProject)):
            self.assertRefused(403, 5, self.ask("GET", path, token=token))
        self.assertRefused(403, 5, self.ask("GET", "exports/{}".format(
            self.otherProject)))
        own = self.token(READ, device="another")
        self.assertEqual(["another"], [one["device_id"] for one in self.export(
            token=own)["result"]])
        self.assertRefused(403, 5, self.ask("GET", "{}/{}".format(
            path, DEVICE), token=own))
