"""How the fake backend answers a query."""
from __future__ import absolute_import, division

import collections
import re

from iobeam.fake import answers, imports
from iobeam.fake.answers import badRequest
from iobeam.utils import compat, utils

_OPERATORS = ("sum", "count", "min", "max", "mean")
_TIMES = ("sec", "msec", "usec", "timeval")
_INTERVAL = re.compile(r"([0-9]{1,12})(ms|[smhdw])\Z")
_INTERVAL_UNITS = {"ms": 1000, "s": 10 ** 6, "m": 60 * 10 ** 6,
                   "h": 3600 * 10 ** 6, "d": 86400 * 10 ** 6,
                   "w": 604800 * 10 ** 6}  # us
_QUOTED = re.compile(u'[,"\r\n]')

# start, end, limit and so on: None where the query has none
_Query = collections.namedtuple(
    "_Query", "projectId deviceId series start end lessThan greaterThan equals "
    "limit unit operator width isCsv")


def answer(parts, params, claims, rows):
    """Return the answer to a query.

    Args:
        parts (list of str): project, and perhaps device and series.
        params (Params), claims (dict): of the request.
        rows (list): of all projects, as in `FakeBackend.rows`.
    """
    query = _read(parts, params, claims)
    found = [(device, name, _selected(query, name, points))
             for (device, name), points in _seriesOf(query, rows)]
    found = [(device, name, points) for device, name, points in found
             if points]
    return (_asCsv if query.isCsv else _asJson)(query, found)


def _read(parts, params, claims):
    projectId, deviceId, series = (parts + ["all", "all"])[:3]
    if not re.match("[0-9]{1,18}\\Z", projectId) or not int(projectId):
        raise badRequest("project_id must be an integer above 0, not {}"
                         .format(utils.shorten(projectId)))
    answers.checkProject(claims, int(projectId))
    if deviceId.lower() == "all":
        deviceId = claims.get("did")
    answers.checkDevice(claims, deviceId)
    operator, width = params.text("operator"), params.text("group_by")
    if width is not None and operator is None:
        raise badRequest("group_by needs an operator")
    start, end = params.integer("from"), params.integer("to")
    return _Query(
        int(projectId), deviceId,
        None if series.lower() == "all" else series,
        None if start is None else start * 1000,
        None if end is None else end * 1000 + 999,  # with its millisecond
        params.number("less_than"), params.number("greater_than"),
        params.number("equals"), params.integer("limit", least=1),
        params.choice("timefmt", _TIMES, "msec"),
        params.choice("operator", _OPERATORS),
        None if width is None else _widthOf(width),
        params.choice("output", ("json", "csv"), "json") == "csv")


def _widthOf(interval):
    found = _INTERVAL.match(interval)
    width = int(found.group(1)) * _INTERVAL_UNITS[found.group(2)] \
        if found else 0
    if not 0 < width <= 2 ** 62:
        raise badRequest("an interval is a number and one of ms s m h d w, "
                         "not {}".format(utils.shorten(interval)))
    return width


def _seriesOf(query, rows):
    """((device, name), points in order of time) of what the path names."""
    found = {}
    for row in rows:
        if row.projectId == query.projectId \
                and query.deviceId in (None, row.deviceId):
            for name, value in row.values.items():
                if query.series in (None, name):
                    found.setdefault((row.deviceId, name), {})[row.time] = value
    return [(key, sorted(points.items(), key=lambda point: point[0]))
            for key, points in sorted(found.items())]


def _selected(query, name, points):
    kind = imports.kindOf(points[0][1])
    filters = (query.lessThan, query.greaterThan, query.equals)
    if filters != (None, None, None) and kind != "number":
        points = []
    points = [(moment, value) for moment, value in points
              if (query.start is None or moment >= query.start)
              and (query.end is None or moment <= query.end)
              and (query.lessThan is None or value < query.lessThan)
              and (query.greaterThan is None or value > query.greaterThan)
              and (query.equals is None or value == query.equals)]
    if query.operator is not None:
        points = _aggregated(query, name, kind, points)
    return points if query.limit is None else points[-query.limit:]


def _aggregated(query, name, kind, points):
    if kind == "string" and query.operator in ("sum", "mean"):
        if query.series is not None:
            raise badRequest("{} of text: {} holds strings".format(
                query.operator, utils.shorten(name)))
        return []  # of "all", those that can be added up
    buckets = collections.OrderedDict()
    for moment, value in points:
        start = moment // query.width * query.width if query.width else None
        buckets.setdefault(start, []).append(value)
    if None in buckets:
        first = points[0][0] if query.start is None else query.start
        return [(first, _applied(query.operator, buckets[None]))]
    return [(start, _applied(query.operator, values))
            for start, values in buckets.items()]


def _applied(operator, values):
    if operator == "count":
        return len(values)
    if operator in ("min", "max"):
        return (min if operator == "min" else max)(values)
    whole = sum(value for value in values if not isinstance(value, float))
    real = [value for value in values if isinstance(value, float)]
    total = whole + sum(real) if real else whole  # integers add up exactly
    if operator == "mean":
        total = total / len(values)
    if isinstance(total, float):  # beyond a double is null
        return total if total - total == 0 else None
    return total if -2 ** 63 <= total < 2 ** 63 else float(total)


def _asJson(query, found):
    return answers.Answer(200, {"result": [
        {"project_id": query.projectId, "device_id": device, "name": name,
         "data": [{"time": answers.shownTime(moment, query.unit),
                   "value": value} for moment, value in points]}
        for device, name, points in found], "timefmt": query.unit})


def _asCsv(query, found):
    lines = [u"project_id,device_id,name,time,value"]
    for device, name, points in found:
        for moment, value in points:
            shown = answers.shownTime(moment, query.unit)
            if isinstance(shown, dict):
                shown = "{sec}.{usec:06d}".format(**shown)
            lines.append(u",".join(_cell(cell) for cell in (
                query.projectId, device, name, shown, value)))
    return answers.Answer(200, u"\n".join(lines) + u"\n", kind=answers.CSV)


def _cell(value):
    if value is None:
        return u""
    if isinstance(value, bool):
        return u"true" if value else u"false"
    if isinstance(value, float):
        return compat.toText(repr(value))
    shown = compat.toText(value if isinstance(value, compat.TEXTS)
                          else str(value))
    return u'"' + shown.replace(u'"', u'""') + u'"' \
        if _QUOTED.search(shown) else shown
