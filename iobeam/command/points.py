"""Points read from a backend in pieces, so that no answer is large.

The newest points of each series, or of each of one device where there are many,
come with the first request, which is all for most queries. Of a series that has more, the backend is asked how many there
are in which stretch of time, and then for one stretch after the other.
"""
from __future__ import absolute_import

import itertools
import re

from iobeam import iobeam
from iobeam.http import request
from iobeam.resources import data
from iobeam.utils import compat

FIRST = 1000  # points of each series in the first answer
PIECE = 20000  # points of the later ones: some 1 MB
TOGETHER = 100  # series in one answer; if there are more, a device at a time

_USEC = data.TimeUnit.MICROSECONDS
_UNITS = {"sec": 1000000, "msec": 1000, "usec": 1}  # us
_INTERVAL = re.compile("([0-9]+)(ms|s|m|h|d|w)")
_WIDTHS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000,
           "w": 604800000}  # ms
_FINER = 100  # a stretch with too many points is cut in so many
_WIDEST = 10 ** 11  # ms, three years; the backend takes twelve digits


class Points(object):
    """What a query finds.

    Args:
        ask (callable): carries a `Query` out, as `makeQuery`.
        projectId (int), device (str or None), series (str or None): where.
        start, end (int or None): us; as of a query whole ms count, and `end`
            includes its own.
        limit (int or None): the last so many of each series.
        interval, operator (str or None): as `Query.groupBy` and `operator`.
    """

    def __init__(self, ask, projectId, device=None, series=None, start=None,
                 end=None, limit=None, interval=None, operator=None):
        self._ask = ask
        self._projectId = projectId
        self._device, self._series = device, series
        self._start = None if start is None else start // 1000  # ms
        self._end = None if end is None else end // 1000
        self._limit = limit
        self._interval, self._operator = interval, operator

    def pieces(self):
        """Iterate (device, series, points) in their order, series by series.

        Points are pairs of us and value, the oldest first; never none.

        Raises:
            Error, ValueError: as `makeQuery`.
        """
        self._whole(self._device, self._series, self._start, self._end,
                    self._limit)
        if self._device is not None:
            return self._piecesOf(self._device)
        known = _read(self._ask(self._query(
            None, self._series, self._start, self._end).limit(1)))
        if not known or len(known) <= TOGETHER:
            return self._piecesOf(None) if known else iter(())
        devices = sorted(set(device for device, _, _ in known))
        return itertools.chain.from_iterable(
            self._piecesOf(device) for device in devices)

    def _piecesOf(self, where):
        """The pieces of one device, or of all (None)."""
        whole = self._limit is not None and (
            self._limit <= PIECE or self._operator is not None)
        most = self._limit if whole else 1 + (
            FIRST if self._operator is None else PIECE)
        for device, name, found in self._found(
                where, self._series, self._start, self._end, most):
            if whole or self._isAll(found, most):
                yield device, name, found
                continue
            last = found[-1][0] // 1000
            for first, end, limit in self._stretches(device, name, last):
                for piece in self._found(device, name, first, end, limit):
                    yield piece

    def newest(self):
        """The newest point of each series of the project, whatever its time.

        Returns:
            list: of (device, series, us).
        """
        query = iobeam.QueryReq(self._projectId, timeUnit=_USEC).limit(1)
        return [(device, name, points[-1][0]) for device, name, points
                in _read(self._ask(query))]

    def _isAll(self, found, most):
        # More than was asked for: a backend that knows no limit.
        return len(found) != most or (self._interval is None
                                      and self._operator is not None)

    def _found(self, device, series, start, end, limit):
        return _read(self._ask(self._whole(device, series, start, end, limit)))

    def _whole(self, device, series, start, end, limit):
        """The query with all that was asked for (ValueError)."""
        return self._query(device, series, start, end) \
            .limit(limit).groupBy(self._interval).operator(self._operator)

    def _query(self, device, series, start, end):
        return iobeam.QueryReq(self._projectId, device, series, _USEC) \
            .fromTime(None if start is None else start * 1000) \
            .toTime(None if end is None else end * 1000)

    # -- a series with many points --------------------------------------------

    def _stretches(self, device, name, last):
        """Yield (start, end, limit) in ms, of at most `PIECE` points each.

        They end with the newest point of the first answer: what comes in
        meanwhile is none of this query.
        """
        end = last if self._end is None else min(last, self._end)
        skip = 0
        if self._interval is not None:
            end = self._end  # which may be amid the group of that point
        elif self._limit is not None:
            skip = max(0, sum(count for _, count in self._counts(
                device, name, self._start, end, None)) - self._limit)
        for first, final, count in self._cut(device, name, self._start, end,
                                             _widths(self._interval)):
            taken = max(0, count - skip)
            skip = max(0, skip - count)
            if taken:
                yield first, final, taken if taken < count else None

    def _cut(self, device, name, start, end, widths):
        held = None
        for bucket, count in self._counts(device, name, start, end,
                                          "{}ms".format(widths[0])):
            first, last = bucket // 1000, bucket // 1000 + widths[0] - 1
            first = first if start is None else max(first, start)
            last = last if end is None else min(last, end)
            if held is not None and held[2] + count > PIECE:
                yield held
                held = None
            if count > PIECE and len(widths) > 1:
                for piece in self._cut(device, name, first, last, widths[1:]):
                    yield piece
            elif held is None:
                held = first, last, count
            else:
                held = held[0], last, held[2] + count
        if held is not None:
            yield held

    def _counts(self, device, name, start, end, interval):
        query = self._query(device, name, start, end).operator("count") \
            .groupBy(interval)
        return [point for _, _, points in _read(self._ask(query))
                for point in points]


def _widths(interval):
    """Widths (ms) of stretches, from wide to narrow, each a part of the last.

    The narrowest is the interval of a query that groups, or a millisecond: all
    of them begin where a group does.
    """
    width = 1
    if interval is not None:
        number, unit = _INTERVAL.match(interval).groups()
        width = int(number) * _WIDTHS[unit]
    widths = [width]
    while widths[0] * _FINER <= _WIDEST:
        widths.insert(0, widths[0] * _FINER)
    return widths


def _read(answer):
    """Make (device, series, points) of an answer; those without are left out.

    Raises:
        Error: it is no answer to a query.
    """
    try:
        unit = _UNITS[answer.get("timefmt", "msec")]
        return [(compat.toText(series["device_id"]),
                 compat.toText(series["name"]),
                 [(point["time"] * unit, point["value"])
                  for point in series["data"]])
                for series in answer["result"] if series["data"]]
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError):
        raise request.Error("the answer is not that of a query; is this the "
                            "address of an iobeam backend (iobeam doctor)?")
