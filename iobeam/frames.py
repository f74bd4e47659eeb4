"""pandas: what `makeQuery` returned as a DataFrame. pandas must be installed.

The other way round is `DataStore.addDataFrame`.
"""
from __future__ import absolute_import

import collections

from iobeam.utils import compat, utils

_USEC_PER_UNIT = {"sec": 1000000, "msec": 1000, "usec": 1, "timeval": 1}
_EXACT = 2 ** 53  # integers up to here are exact as floats


def toDataFrame(result):
    """Turn the answer to a query into a DataFrame.

    Query with ``timeUnit=TimeUnit.MICROSECONDS``: in the milliseconds that are
    the default, points of one series less than that apart have one time, and
    are refused.

    Args:
        result (dict): as `makeQuery` returns it, but not for ``output("csv")``.

    Returns:
        pandas.DataFrame: a row for each (device_id, time), which are its
        index, the time in UTC; a column for each series, NaN where it has
        no point. A column of integers with such gaps has the type Int64, since
        floats are exact up to 2**53 only. ``df.loc["greenhouse-1"]`` is one
        device by time.

    Raises:
        ValueError: it is no such answer, or a series has two points at one
            time.
        ImportError: pandas is not installed.
    """
    import pandas

    if not isinstance(result, dict) or not isinstance(
            result.get("result"), list):
        raise ValueError("result must be a dict as makeQuery returns it, not "
                         "{}".format(utils.shorten(result)))
    unit = str(result.get("timefmt", "msec")).lower()
    if unit not in _USEC_PER_UNIT:
        raise ValueError("result: its timefmt {} is none of {}".format(
            utils.shorten(unit), ", ".join(sorted(_USEC_PER_UNIT))))
    points = _pointsOf(result["result"], unit)
    times = dict((key, _index(pandas, key, moments, unit))
                 for key, (moments, _) in points.items())
    byDevice, byName = {}, {}
    for key in points:
        byDevice.setdefault(key[0], []).append(key)
        byName.setdefault(key[1], []).append(key)
    rows = collections.OrderedDict(
        (device, _union([times[key] for key in byDevice[device]]))
        for device in sorted(byDevice))
    first, total = {}, 0
    for device, moments in rows.items():
        first[device] = total
        total += len(moments)
    columns = dict((name, _column(pandas, total, [
        (first[key[0]], rows[key[0]], times[key], points[key][1])
        for key in keys])) for name, keys in byName.items())
    frame = pandas.DataFrame(columns, index=pandas.RangeIndex(total),
                             columns=sorted(columns))
    frame.index = _rowIndex(pandas, rows, _USEC_PER_UNIT[unit])
    return frame


def _pointsOf(found, unit):
    """Return {(device, series): (times, values)} of an answer."""
    points = collections.OrderedDict()
    for series in found:
        times, values = points.setdefault(
            (series["device_id"], series["name"]), ([], []))
        moments = [point["time"] for point in series["data"]]
        if unit == "timeval":
            moments = [moment["sec"] * 1000000 + moment["usec"]
                       for moment in moments]
        times.extend(moments)
        values.extend([point["value"] for point in series["data"]])
    return points


def _index(pandas, key, moments, unit):
    """Return the times of one series as an index of integers."""
    index = pandas.Index(moments, dtype="int64")
    if not index.is_unique:
        raise ValueError(
            "result: the series {} of the device {} has several points at {} "
            "{}: query with timeUnit=TimeUnit.MICROSECONDS to tell them "
            "apart".format(utils.shorten(key[1]), utils.shorten(key[0]),
                           index[index.duplicated()][0], unit))
    return index


def _union(indexes):
    """Return the times in any of some indexes, ascending."""
    first = indexes[0]
    others = [index for index in indexes[1:] if not index.equals(first)]
    if others:
        first = first.append(others).unique()
    return first if first.is_monotonic_increasing else first.sort_values()


def _column(pandas, total, parts):
    """Return one column of `total` rows.

    Args:
        parts (list): for each device (its first row, the times of its rows,
            the times of the points, their values).
    """
    values = parts[0][3] if len(parts) == 1 else [
        value for part in parts for value in part[3]]
    column = _typed(pandas, values)
    places = [pandas.Index(rows.get_indexer(times) + first)
              for first, rows, times, _ in parts]
    column.index = places[0].append(places[1:])
    if len(values) < total and column.dtype == "int64":
        column = column.astype("Int64")
    return column.reindex(pandas.RangeIndex(total))


def _typed(pandas, values):
    """Return values as a Series of the narrowest type that changes none."""
    kinds = set(map(type, values))
    hasGaps = type(None) in kinds
    kinds.discard(type(None))
    if kinds and kinds <= set(compat.INTEGERS):
        return pandas.Series(values, dtype="Int64" if hasGaps else "int64")
    if kinds == set([bool]) and not hasGaps:
        return pandas.Series(values, dtype="bool")
    if float in kinds and kinds <= set(compat.INTEGERS + (float,)) and all(
            -_EXACT <= value <= _EXACT for value in values
            if type(value) in compat.INTEGERS):
        return pandas.Series(values, dtype="float64")
    if kinds <= set(compat.TEXTS):
        return pandas.Series(values)  # by the version of pandas
    return pandas.Series(values, dtype="object")


def _rowIndex(pandas, rows, factor):
    """Return the index of (device_id, time) for {device: its times}."""
    moments = list(rows.values()) or [pandas.Index([], dtype="int64")]
    level = _union(moments)
    codes = [pandas.Index(level.get_indexer(times)) for times in moments]
    devices = [place for place, times in enumerate(rows.values())
               for _ in range(len(times))]
    instants = pandas.DatetimeIndex(
        (level * factor).values.view("M8[us]")).tz_localize("UTC")
    return pandas.MultiIndex(
        levels=[list(rows), instants],
        codes=[devices, codes[0].append(codes[1:])],
        names=["device_id", "time"])
