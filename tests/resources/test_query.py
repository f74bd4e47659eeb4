# -*- coding: utf-8 -*-
from __future__ import absolute_import

from iobeam.resources import query
from iobeam.resources.data import TimeUnit
from iobeam.utils import compat
from tests import support
from tests.support import given, st

unquote = (__import__("urllib").unquote if compat.PY2
           else __import__("urllib.parse").parse.unquote)
NO_INTS = ["1", 1.5, True, [], object()]
NO_NUMBERS = ["1", True, [], float("nan"), float("inf"), 1j]


def make(**kwargs):
    return query.Query(1, "dev", "temp", **kwargs)


class ConstructorTest(support.TestCase):
    def test_it_keeps_what_it_is_given(self):
        found = query.Query(1, "dev", "temp")
        self.assertEqual((1, "dev", "temp", {}), (
            found._pid, found._did, found._series, found._params))

    def test_device_and_series_may_be_left_out(self):
        self.assertEqual("1/all/all", query.Query(1).getUrl())
        self.assertEqual("1/dev/all", query.Query(1, "dev").getUrl())
        self.assertEqual("1/all/temp",
                         query.Query(1, seriesName="temp").getUrl())
        self.assertEqual("1/dev/temp", query.Query(
            1, deviceId="dev", seriesName="temp").getUrl())

    def test_all_may_be_said(self):
        self.assertEqual("1/all/all", query.Query(1, "all", "all").getUrl())

    def test_bad_project_ids_are_refused(self):
        for value in (None, "1", 1.5, True):
            self.assertSays("projectId must be an int", query.Query, value)
        for value in (0, -1):
            self.assertSays("projectId must be greater than 0", query.Query,
                            value)

    def test_bad_path_parts_are_refused(self):
        for name in ("deviceId", "seriesName"):
            for value in (1, ["a"], {}, True):
                self.assertSays(name + " must be a string", query.Query, 1,
                                **{name: value})
            self.assertSays(name + " must be more than 0 characters",
                            query.Query, 1, **{name: ""})
            for value in (".", ".."):
                with self.assertRaisesRegex(ValueError, name + " cannot be"):
                    query.Query(1, **{name: value})
            with self.assertRaisesRegex(ValueError, name + " must be at most"):
                query.Query(1, **{name: "a" * 257})
            with self.assertRaisesRegex(ValueError, name + ".*surrogate"):
                query.Query(1, **{name: u"\ud800"})
            query.Query(1, **{name: "a" * 256})

    def test_the_unit_must_be_one(self):
        for value in (None, "msec", 1):
            with self.assertRaisesRegex(ValueError, "timeUnit"):
                make(timeUnit=value)

    def test_the_unit_is_sent_unless_it_is_milliseconds(self):
        self.assertEqual({}, make().getParams())
        self.assertEqual({}, make(timeUnit=TimeUnit.MILLISECONDS).getParams())
        self.assertEqual({"timefmt": "sec"},
                         make(timeUnit=TimeUnit.SECONDS).getParams())
        self.assertEqual({"timefmt": "usec"},
                         make(timeUnit=TimeUnit.MICROSECONDS).getParams())

    def test_the_module_names_the_units(self):
        self.assertIs(TimeUnit, query.TimeUnit)

    def test_parts_are_percent_encoded(self):
        self.assertEqual("1/a%2Fb%3Fc%23/..%2F", query.Query(
            1, "a/b?c#", "../").getUrl())

    @given(st.text(min_size=1, max_size=50),
           st.text(min_size=1, max_size=50))
    def test_any_two_names_are_two_parts_of_the_path_and_come_back(
            self, device, series):
        try:
            url = query.Query(1, device, series).getUrl()
        except ValueError:
            return
        self.assertEqual(2, url.count("/"))
        self.assertEqual(["1", device, series], [
            compat.toText(unquote(part)) for part in url.split("/")])


class FilterTest(support.TestCase):
    SETTERS = [("limit", "limit"), ("fromTime", "from"), ("toTime", "to"),
               ("lessThan", "less_than"), ("greaterThan", "greater_than"),
               ("equals", "equals")]

    def test_each_sets_its_parameter_and_gives_the_query_back(self):
        for setter, name in self.SETTERS:
            found = make()
            self.assertIs(found, getattr(found, setter)(5))
            self.assertEqual({name: 5}, found.getParams())
            self.assertEqual({name: 5}, found._params)

    def test_none_is_ignored(self):
        for setter, name in self.SETTERS:
            found = make()
            self.assertIs(found, getattr(found, setter)(None))
            self.assertEqual({}, found.getParams())
            self.assertEqual({name: 5}, getattr(
                getattr(found, setter)(5), setter)(None).getParams())

    def test_the_last_one_counts(self):
        self.assertEqual({"limit": 3}, make().limit(5).limit(3).getParams())

    def test_zero_is_a_filter(self):
        self.assertEqual(
            {"from": 0, "to": 0, "equals": 0, "less_than": 0,
             "greater_than": 0},
            make().fromTime(0).toTime(0).equals(0).lessThan(0).greaterThan(0)
            .getParams())

    def test_a_limit_is_an_int_above_zero(self):
        for value in NO_INTS + [0, -1]:
            found = make()
            with self.assertRaisesRegex(ValueError, "limit must be an int"):
                found.limit(value)
            self.assertEqual({}, found.getParams())

    def test_times_are_ints(self):
        for setter in ("fromTime", "toTime"):
            for value in NO_INTS:
                with self.assertRaisesRegex(ValueError, "must be an int in"):
                    getattr(make(), setter)(value)

    def test_values_are_ints_or_floats(self):
        for setter in ("lessThan", "greaterThan", "equals"):
            for value in NO_NUMBERS:
                with self.assertRaisesRegex(ValueError, "int or float"):
                    getattr(make(), setter)(value)
            found = getattr(make(), setter)(1.5).getParams()
            self.assertEqual([1.5], list(found.values()))

    def test_times_are_sent_in_milliseconds(self):
        for unit, given_, sent in ((TimeUnit.SECONDS, 5, 5000),
                                   (TimeUnit.MILLISECONDS, 5, 5),
                                   (TimeUnit.MICROSECONDS, 5999, 5),
                                   (TimeUnit.MICROSECONDS, -1, -1)):
            for setter, name in (("fromTime", "from"), ("toTime", "to")):
                found = getattr(make(timeUnit=unit), setter)(given_)
                self.assertEqual(sent, found.getParams()[name])
        found = make(timeUnit=TimeUnit.SECONDS).inTimeRange(1, 2).getParams()
        self.assertEqual({"from": 1000, "to": 2000, "timefmt": "sec"}, found)

    @given(st.integers(), st.sampled_from(list(TimeUnit) if support.hypothesis
                                          else []))
    def test_a_time_in_any_unit_is_the_same_instant(self, moment, unit):
        per = {TimeUnit.SECONDS: 1000000, TimeUnit.MILLISECONDS: 1000,
               TimeUnit.MICROSECONDS: 1}[unit]
        sent = make(timeUnit=unit).fromTime(moment).getParams()["from"]
        self.assertLessEqual(sent * 1000, moment * per)
        self.assertGreater((sent + 1) * 1000, moment * per)

    def test_the_parameters_are_a_copy(self):
        found = make().limit(5)
        found.getParams()["limit"] = 9
        self.assertEqual({"limit": 5}, found.getParams())


class RangeTest(support.TestCase):
    RANGES = [("inTimeRange", "from", "to"),
              ("inValueRange", "greater_than", "less_than")]

    def test_both_ends_are_set(self):
        for setter, low, high in self.RANGES:
            found = make()
            self.assertIs(found, getattr(found, setter)(1, 5))
            self.assertEqual({low: 1, high: 5}, found.getParams())

    def test_two_nones_are_ignored(self):
        for setter, low, _ in self.RANGES:
            found = getattr(getattr(make(), setter)(1, 5), setter)(None, None)
            self.assertEqual(1, found.getParams()[low])

    def test_one_none_is_refused_and_sets_nothing(self):
        for setter, _, _ in self.RANGES:
            for ends in ((5, None), (None, 5)):
                found = make()
                self.assertRaises(ValueError, getattr(found, setter), *ends)
                self.assertEqual({}, found.getParams())

    def test_a_reversed_one_is_refused_and_leaves_earlier_filters(self):
        for setter, low, high in self.RANGES:
            found = getattr(make(), setter)(1, 5)
            with self.assertRaisesRegex(ValueError, "reversed"):
                getattr(found, setter)(7, 6)
            self.assertEqual({low: 1, high: 5}, found.getParams())

    def test_a_half_valid_one_sets_nothing(self):
        for setter, _, _ in self.RANGES:
            for ends in ((1, "5"), ("1", 5), (True, 5), (1, False)):
                found = make()
                self.assertRaises(ValueError, getattr(found, setter), *ends)
                self.assertEqual({}, found.getParams())

    def test_an_instant_is_a_range(self):
        self.assertEqual({"from": 5, "to": 5},
                         make().inTimeRange(5, 5).getParams())

    def test_a_reversed_one_within_one_millisecond_is_refused(self):
        found = make(timeUnit=TimeUnit.MICROSECONDS)
        with self.assertRaisesRegex(ValueError, "reversed: 1700 > 1300"):
            found.inTimeRange(1700, 1300)
        self.assertEqual({"timefmt": "usec"}, found.getParams())

    @given(st.integers(), st.integers())
    def test_a_range_is_set_exactly_if_it_is_not_reversed(self, low, high):
        for setter, lowName, highName in self.RANGES:
            found = make()
            try:
                getattr(found, setter)(low, high)
            except ValueError:
                self.assertGreater(low, high)
                self.assertEqual({}, found.getParams())
            else:
                self.assertLessEqual(low, high)
                self.assertEqual({lowName: low, highName: high},
                                 found.getParams())


class AggregateTest(support.TestCase):
    def test_interval_and_operator_go_together(self):
        found = make().groupBy("1h").operator("mean").output("csv")
        self.assertEqual({"group_by": "1h", "operator": "mean",
                          "output": "csv"}, found.getParams())

    def test_an_interval_without_operator_is_refused(self):
        found = make().groupBy("1h")
        with self.assertRaisesRegex(ValueError, "operator"):
            found.getParams()

    def test_every_unit_and_operator_passes(self):
        for unit in ("ms", "s", "m", "h", "d", "w"):
            make().groupBy("10" + unit)
        for name in ("mean", "min", "max", "sum", "count"):
            make().operator(name)
        make().output("json")

    def test_others_are_refused(self):
        for value in ("", "h", "0h", "1", "1.5h", "1H", "1h ", "1h\n", 5,
                      u"٣h", "-1h"):
            self.assertRaises(ValueError, make().groupBy, value)
        for value in ("median", "MEAN", "", 5):
            self.assertRaises(ValueError, make().operator, value)
        for value in ("xml", "CSV", "", 5):
            self.assertRaises(ValueError, make().output, value)

    def test_what_cannot_be_hashed_is_refused(self):
        for setter in ("groupBy", "operator", "output"):
            self.assertRaises(ValueError, getattr(make(), setter), [])

    def test_none_is_ignored(self):
        self.assertEqual({}, make().groupBy(None).operator(None).output(None)
                         .getParams())
