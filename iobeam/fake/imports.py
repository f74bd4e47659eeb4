"""What the fake backend takes as an import, and where it finds fault with it."""
from __future__ import absolute_import

import collections
import re

from iobeam.fake import answers
from iobeam.fake.answers import Refusal, badRequest
from iobeam.utils import compat, utils

MAX_VALUES = 20000  # values in one request
_MAX_FIELDS = 1000  # beside the time
_MAX_NAME = 256  # characters
_MAX_TEXT = 65536  # characters
_RESERVED = ("time", "time_offset", "all")
_CONTROL = re.compile(u"[\x00-\x1f\x7f]")

# rows: (time in us, {name: value}), none of them None; columns: name to the
# (row, value) pairs of the request, for messages that name the row
Import = collections.namedtuple("Import", "projectId deviceId rows columns")


def read(body, isTable, maxValues, claims):
    """Return an Import, or raise the refusal of a body.

    Args:
        body: as parsed from JSON.
        isTable (bool): of generation A, else the list format.
        maxValues (int or None): values that it may hold.
        claims (dict): of the token.
    """
    _expect(isinstance(body, dict), "it is no object")
    projectId = body.get("project_id", 1)
    _expect(compat.isInteger(projectId) and projectId > 0,
            "project_id must be an integer above 0")
    for name in ("device_id", "timefmt"):
        _expect(isinstance(body.get(name), compat.TEXTS + (type(None),)),
                name + " must be a string")
    fields, values, columns = (_tableOf if isTable else _listOf)(body)
    _expect("project_id" in body, "project_id is missing")
    answers.checkProject(claims, projectId)
    if maxValues is not None and values > maxValues or fields > _MAX_FIELDS + 1:
        raise Refusal(413, answers.TOO_LARGE, "{} values of {} fields in one "
                      "request are too many".format(values, fields))
    _expect(body.get("device_id") is not None, "device_id is missing")
    answers.checkDeviceId(body["device_id"])
    answers.checkDevice(claims, body["device_id"])
    unit = body.get("timefmt") or "msec"
    if unit.lower() not in answers.TIME_UNITS:
        raise badRequest("timefmt must be sec, msec or usec, not {}".format(
            utils.shorten(unit)))
    rows, cells = columns(answers.TIME_UNITS[unit.lower()])
    return Import(projectId, body["device_id"], rows, cells)


def kindOf(value):
    """Return what a value is: "number", "boolean" or "string"."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, compat.TEXTS) else "number"


def settle(columns, known):
    """Return the kind of each column, or refuse the first row that differs.

    Args:
        columns (dict): as in an Import.
        known (callable): returns the kind of a name, or None.
    """
    kinds, worst = {}, None
    for name, cells in columns.items():
        for row, value in sorted(cells, key=lambda cell: cell[0]):
            kind = kinds.setdefault(name, known(name) or kindOf(value))
            if kindOf(value) != kind:
                if worst is None or row < worst[0]:
                    worst = row, name, value
                break
    if worst is not None:
        row, name, value = worst
        raise _bad(row, name, "is {} in this project, this value is a {}"
                   .format(kinds[name], kindOf(value)))
    return kinds


def _tableOf(body):
    """Return how many fields and values there are, and what reads them."""
    table = body.get("sources")
    if table is None:
        raise badRequest("the body has no points: FakeBackend takes `sources`")
    _expect(isinstance(table, dict), "sources must be an object")
    fields = table.get("fields")
    _expect(_areTexts(fields), "sources.fields must be strings")
    data = table["data"] if table.get("data") is not None \
        else table.get("values")
    _expect(isinstance(data, list), "sources.data must be a list of rows")
    for number, row in enumerate(data):
        if not isinstance(row, list):
            raise _bad(number, None, "is no list")
        for place, value in enumerate(row):
            if isinstance(value, (list, dict)):
                raise _bad(number, fields[place] if place < len(fields)
                           else None, "is no value")
    return len(fields), len(data) * max(1, len(fields) - 1), \
        lambda unit: _columnsOfTable(fields, data, unit)


def _columnsOfTable(fields, data, unit):
    if fields.count("time") != 1:
        raise badRequest('fields must hold "time" exactly once')
    for name in fields:
        if name != "time":
            _checkName(name)
    for number, row in enumerate(data):
        if len(row) != len(fields):
            raise _bad(number, None, "has {} values for {} fields".format(
                len(row), len(fields)))
    at = fields.index("time")
    times = _timesOf([row[at] for row in data], unit)
    columns = collections.OrderedDict()
    for place, name in enumerate(fields):
        if place != at:
            columns.setdefault(name, []).extend(
                _cellsOf(name, [row[place] for row in data]))
    rows = [(moment, {}) for moment in times]
    for name, cells in columns.items():
        for number, value in cells:
            rows[number][1][name] = value
    return rows, columns


def _listOf(body):
    sources = body.get("sources")
    _expect(isinstance(sources, list), "sources must be a list")
    _expect(isinstance(body.get("device_id"), compat.TEXTS),
            "device_id must be a string")
    for series in sources:
        _expect(isinstance(series, dict)
                and isinstance(series.get("name"), compat.TEXTS)
                and isinstance(series.get("data"), list),
                "each of sources needs name and data")
        for number, point in enumerate(series["data"]):
            if not (isinstance(point, dict) and "value" in point
                    and compat.isInteger(point.get("time"))
                    and not isinstance(point["value"], (list, dict))):
                raise _bad(number, series["name"], "is no point")
    return len(sources), sum(len(series["data"]) for series in sources), \
        lambda unit: _columnsOfList(sources, unit)


def _columnsOfList(sources, unit):
    rows, columns = [], collections.OrderedDict()
    for series in sources:
        name, points = series["name"], series["data"]
        _checkName(name)
        times = _timesOf([point["time"] for point in points], unit)
        cells = _cellsOf(name, [point["value"] for point in points])
        columns.setdefault(name, []).extend(cells)
        kept = dict(cells)
        rows.extend((moment, {name: kept[number]} if number in kept else {})
                    for number, moment in enumerate(times))
    return rows, columns


def _timesOf(times, unit):
    for number, moment in enumerate(times):
        if not compat.isInteger(moment):
            raise _bad(number, "time", "must be an integer")
    for number, moment in enumerate(times):
        if not -2 ** 63 <= moment * unit < 2 ** 63:
            raise _bad(number, "time", "is out of range; is the unit right?")
    return [moment * unit for moment in times]


def _cellsOf(name, values):
    for number, value in enumerate(values):
        if compat.isInteger(value) and not -2 ** 63 <= value < 2 ** 63:
            raise _bad(number, name, "is outside the 64-bit integers")
    for number, value in enumerate(values):
        if isinstance(value, compat.TEXTS) and (
                len(value) > _MAX_TEXT or u"\0" in value):
            raise _bad(number, name, "is too long, or holds a NUL")
    return [(number, value) for number, value in enumerate(values)
            if value is not None]


def _checkName(name):
    if not name or name.lower() in _RESERVED or len(name) > _MAX_NAME \
            or _CONTROL.search(name):
        raise Refusal(422, answers.UNPROCESSABLE, "field {} cannot be a series"
                      .format(utils.shorten(name)), field=name)


def _areTexts(values):
    return isinstance(values, list) and all(
        isinstance(value, compat.TEXTS) for value in values)


def _expect(holds, message):
    if not holds:
        raise badRequest("the body is not an import: " + message)


def _bad(row, field, message):
    more = {} if field is None else {"field": field}
    return Refusal(422, answers.UNPROCESSABLE, "row {}: {}{}".format(
        row, "" if field is None else utils.shorten(field) + " ", message),
        row=row, **more)
