"""The forms in which `iobeam query` prints points, written as they come.

Each takes (device, series, points) and gives text; points are pairs of us and
value. `Lines` and `Listing` are for people, with times of a zone; `Csv` and
`Json` are exact: us, and numbers that read back as the same.
"""
from __future__ import absolute_import

import json
import re

from iobeam.command import tables
from iobeam.utils import compat

_FIRST_ROWS = 5000  # of a table, which decide how wide its columns begin
_QUOTED = re.compile(u'[,"\r\n]')


class Lines(object):
    """Device, series, time and value (as of JSON) with tabs between."""

    def __init__(self, zone):
        self._shown = zone.shown

    def piece(self, device, name, points):
        start = u"{}\t{}\t".format(device, name)
        return u"".join([
            u"{}{}\t{}\n".format(start, self._shown(usec), _asJson(value))
            for usec, value in points])

    def end(self):
        return u""


class Listing(object):
    """A table."""

    def __init__(self, zone):
        self._shown = zone.shown
        self._table = tables.Table(["device", "series", "time", "value"])
        self._rows = []
        self._isBegun = False

    def piece(self, device, name, points):
        self._rows += [(device, name, self._shown(usec), value)
                       for usec, value in points]
        return self._flush() if self._isBegun or len(
            self._rows) >= _FIRST_ROWS else u""

    def end(self):
        return self._flush() if self._rows else u""

    def _flush(self):
        self._isBegun = True
        lines = self._table.lines(self._rows)
        self._rows = []
        return u"\n".join(lines) + u"\n"


class Csv(object):
    """CSV as of the backend: what `iobeam send` takes."""

    _HEAD = u"project_id,device_id,name,time,value\n"

    def __init__(self, projectId):
        self._projectId = projectId
        self._head = self._HEAD

    def piece(self, device, name, points):
        start = csvLine((self._projectId, device, name))
        head, self._head = self._head, u""
        return head + u"".join([
            u"{},{},{}\n".format(start, usec, _asCell(value))
            for usec, value in points])

    def end(self):
        head, self._head = self._head, u""
        return head


class Json(object):
    """One object on one line, as the backend answers with ``timefmt=usec``."""

    def __init__(self, projectId):
        self._projectId = projectId
        self._series = None

    def piece(self, device, name, points):
        if self._series == (device, name):
            start = u", "
        else:
            start = u'{"result": [' if self._series is None else u"]}, "
            start += compat.toText(json.dumps(
                {"project_id": self._projectId, "device_id": device,
                 "name": name}, sort_keys=True))[:-1] + u', "data": ['
            self._series = device, name
        return start + u", ".join([
            u'{{"time": {}, "value": {}}}'.format(usec, _asJson(value, True))
            for usec, value in points])

    def end(self):
        return (u'{"result": [' if self._series is None else u"]}") \
            + u'], "timefmt": "usec"}\n'


def csvLine(cells):
    """Return a line of CSV (RFC 4180), without its end."""
    return u",".join(_asCell(cell) for cell in cells)


def _asJson(value, isAscii=False):
    if type(value) is float and value - value == 0:
        return repr(value)  # what json.dumps says, in a fifth of the time
    shown = compat.toText(json.dumps(value, ensure_ascii=isAscii))
    return shown if isAscii or shown[0] != u'"' else tables.harmless(shown)


def _asCell(value):
    if type(value) is float:
        return repr(value)
    if value is None:
        return u""
    if isinstance(value, bool):
        return u"true" if value else u"false"
    shown = compat.toText(value if isinstance(value, compat.TEXTS)
                          else str(value))
    return u'"' + shown.replace(u'"', u'""') + u'"' \
        if _QUOTED.search(shown) else shown
