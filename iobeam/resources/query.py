"""A query for stored data: what to ask for, checked while it is built."""
from __future__ import absolute_import

import re

from iobeam.resources import values
from iobeam.resources.data import TimeUnit
from iobeam.resources.values import wholeNumber
from iobeam.utils import compat, utils

__all__ = ["Query", "TimeUnit"]

_MAX_PATH_PART = 256  # characters of a device id or series name in the URL
_INTERVAL = re.compile(r"[1-9][0-9]*(ms|s|m|h|d|w)\Z")
_OPERATORS = ("mean", "min", "max", "sum", "count")
_OUTPUTS = ("json", "csv")


class Query(object):
    """A query for the points of a project, a device or one series.

    Every setter returns the query, so that calls can be chained; an argument
    of None leaves things as they are.

    Args:
        projectId (int): the project, above 0.
        deviceId (str or None): one device; None for all.
        seriesName (str or None): one series; None for all.
        timeUnit (TimeUnit): unit of the times given to this query and of those
            in the answer.

    Raises:
        ValueError: an argument cannot be part of a query.
    """

    def __init__(self, projectId, deviceId=None, seriesName=None,
                 timeUnit=TimeUnit.MILLISECONDS):
        utils.checkValidProjectId(projectId)
        _checkPathPart("deviceId", deviceId)
        _checkPathPart("seriesName", seriesName)
        if not isinstance(timeUnit, TimeUnit):
            raise ValueError("timeUnit must be a TimeUnit, not {}".format(
                utils.shorten(timeUnit)))
        self._pid = projectId
        self._did = deviceId
        self._series = seriesName
        self._unit = timeUnit
        self._params = {}
        if timeUnit is not TimeUnit.MILLISECONDS:
            self._params["timefmt"] = timeUnit.value

    def limit(self, limit):
        """Ask for at most the last `limit` (int > 0) points of each series."""
        if limit is not None:
            count = wholeNumber(limit)
            if count is None or count <= 0:
                raise ValueError("limit must be an int greater than 0, not {}"
                                 .format(utils.shorten(limit)))
            self._params["limit"] = count
        return self

    def fromTime(self, start):
        """Ask for points at or after `start` (int, in the query's unit)."""
        return self._set({"from": self._milliseconds("start", start)})

    def toTime(self, end):
        """Ask for points up to `end` (int, in the query's unit), inclusive.

        It travels as whole milliseconds, rounded down; the backend reads it
        as including its whole millisecond.
        """
        return self._set({"to": self._milliseconds("end", end)})

    def inTimeRange(self, start, end):
        """Ask for points from `start` to `end`, both inclusive.

        Raises:
            ValueError: only one of them is given, one is no int, or they are
                reversed; earlier filters stay as they were.
        """
        sent = (self._milliseconds("start", start),
                self._milliseconds("end", end))
        # what is reversed may lie within one millisecond
        _checkRange(start, end, "fromTime or toTime")
        return self._set({"from": sent[0], "to": sent[1]})

    def lessThan(self, value):
        """Ask for values below `value` (int or float), exclusive."""
        return self._set({"less_than": _number("value", value)})

    def greaterThan(self, value):
        """Ask for values above `value` (int or float), exclusive."""
        return self._set({"greater_than": _number("value", value)})

    def inValueRange(self, low, high):
        """Ask for values between `low` and `high`, both exclusive.

        Raises:
            ValueError: only one of them is given, one is no number, or they
                are reversed; earlier filters stay as they were.
        """
        low, high = _number("low", low), _number("high", high)
        _checkRange(low, high, "greaterThan or lessThan")
        return self._set({"greater_than": low, "less_than": high})

    def equals(self, value):
        """Ask for values equal to `value` (int or float)."""
        return self._set({"equals": _number("value", value)})

    def groupBy(self, interval):
        """Aggregate over buckets of time; needs `operator` as well.

        Args:
            interval (str): a whole number and a unit: ms, s, m, h, d or w.
        """
        if interval is not None and not (
                isinstance(interval, compat.TEXTS)
                and _INTERVAL.match(interval)):
            raise ValueError("interval must be like '10s' or '1h' (units ms, "
                             "s, m, h, d, w), not {}".format(
                                 utils.shorten(interval)))
        return self._set({"group_by": interval})

    def operator(self, name):
        """Choose what `groupBy` computes: mean, min, max, sum or count."""
        return self._set({"operator": _word("operator", name, _OPERATORS)})

    def output(self, form):
        """Choose the form of the answer: "json", or "csv" for text."""
        return self._set({"output": _word("output", form, _OUTPUTS)})

    def getUrl(self):
        """Return the path of the query: project/device/series."""
        return "/".join([str(self._pid)] + [
            compat.quotePath(part or "all")
            for part in (self._did, self._series)])

    def getParams(self):
        """Return the parameters of the query as a new dict.

        Raises:
            ValueError: there is a `groupBy` without an `operator`.
        """
        if "group_by" in self._params and "operator" not in self._params:
            raise ValueError("groupBy needs an operator: add "
                             ".operator('mean') or another of {}".format(
                                 ", ".join(_OPERATORS)))
        return dict(self._params)

    def _set(self, params):
        self._params.update((name, value) for name, value in params.items()
                            if value is not None)
        return self

    def _milliseconds(self, what, moment):
        if moment is None:
            return None
        count = wholeNumber(moment)
        if count is None:
            raise ValueError("{} must be an int in {}, not {}".format(
                what, self._unit.name.lower(), utils.shorten(moment)))
        if self._unit is TimeUnit.SECONDS:
            return count * 1000
        if self._unit is TimeUnit.MICROSECONDS:
            return count // 1000
        return count


def _checkPathPart(what, part):
    if part is None:
        return
    if not isinstance(part, compat.TEXTS):
        raise ValueError("{} must be a string".format(what))
    if not part:
        raise ValueError("{} must be more than 0 characters".format(what))
    if part in (".", ".."):
        raise ValueError("{} cannot be {!r}: it would change the path of the "
                         "request".format(what, part))
    if len(part) > _MAX_PATH_PART:
        raise ValueError("{} must be at most {} characters, not {}".format(
            what, _MAX_PATH_PART, len(part)))
    utils.checkedText(what, part)


def _checkRange(low, high, others):
    if (low is None) != (high is None):
        raise ValueError("a range needs both ends; for one use " + others)
    if low is not None and low > high:
        raise ValueError("the range is reversed: {} > {}".format(
            utils.shorten(low), utils.shorten(high)))


def _number(what, value):
    if value is None:
        return None
    number = value
    if not compat.isInteger(value):
        try:
            number = values.normalise(what, value)
        except ValueError:
            number = None
    if not compat.isNumber(number):
        raise ValueError("{} must be an int or float, not {}".format(
            what, utils.shorten(value)))
    return number


def _word(what, value, known):
    if value is not None and value not in known:
        raise ValueError("{} must be one of {}, not {}".format(
            what, ", ".join(known), utils.shorten(value)))
    return value
