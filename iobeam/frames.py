"""pandas: what `makeQuery` returned as a DataFrame. Needs ``iobeam[pandas]``.

The other way round is `DataStore.addDataFrame`.
"""
from __future__ import absolute_import

from iobeam.utils import utils

_UNITS = {"sec": "s", "msec": "ms", "usec": "us"}


def toDataFrame(result):
    """Turn the answer to a query into a DataFrame.

    Args:
        result (dict): as `makeQuery` returns it, but not for ``output("csv")``.

    Returns:
        pandas.DataFrame: a row for each (device_id, time), which are its
        index, the time in UTC; a column for each series, NaN where it has
        no point. ``df.loc["greenhouse-1"]`` is one device by time.

    Raises:
        ValueError: it is no such answer.
        ImportError: pandas is not installed.
    """
    import pandas

    if not isinstance(result, dict) or not isinstance(
            result.get("result"), list):
        raise ValueError("result must be a dict as makeQuery returns it, not "
                         "{}".format(utils.shorten(result)))
    unit = _UNITS[result.get("timefmt", "msec")]
    columns = {}
    for series in result["result"]:
        column = columns.setdefault(series["name"], {})
        for point in series["data"]:
            column[series["device_id"], point["time"]] = point["value"]
    keys = sorted(set(key for column in columns.values() for key in column))
    index = pandas.MultiIndex.from_arrays(
        [[device for device, _ in keys],
         pandas.to_datetime([moment for _, moment in keys], unit=unit,
                            utc=True)], names=["device_id", "time"])
    return pandas.DataFrame(
        dict((name, [column.get(key) for key in keys])
             for name, column in columns.items()),
        index=index, columns=sorted(columns))
