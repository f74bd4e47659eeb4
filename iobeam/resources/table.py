"""Rows of a pandas DataFrame, taken out without importing pandas."""
from __future__ import absolute_import

import datetime

from iobeam.utils import compat, utils

_MISSING = ("NAType", "NaTType")  # of pandas; they equal nothing, not even None


def rowsOf(frame, timeColumn):
    """Return [(timestamp, dict)] of a DataFrame, as `DataStore.addRows` takes.

    Raises:
        ValueError: it is no DataFrame, or has no column or index of times.
    """
    if not all(hasattr(frame, name) for name in ("columns", "index", "loc")):
        raise ValueError("df must be a pandas DataFrame, not {}".format(
            utils.shorten(frame)))
    names = list(frame.columns)
    if timeColumn is not None:
        if timeColumn not in names:
            raise ValueError("timeColumn: there is no column {} in {}".format(
                utils.shorten(timeColumn), utils.shorten(names)))
        times = frame[timeColumn].tolist()
        names.remove(timeColumn)
    elif not hasattr(frame.index, "tz"):  # only those of times have one
        raise ValueError("df: its index holds no times; name the column that "
                         "does: addDataFrame(df, timeColumn=...)")
    else:
        times = frame.index.tolist()
    cells = [frame[name].tolist() for name in names]
    return [(_moment(number, moment), dict(
        (name, None if _isMissing(column[number]) else column[number])
        for name, column in zip(names, cells)))
        for number, moment in enumerate(times)]


def _isMissing(cell):
    return type(cell).__name__ in _MISSING or (
        isinstance(cell, float) and cell != cell)


def _moment(number, moment):
    if compat.isInteger(moment):  # ms, as everywhere
        return moment
    if _isMissing(moment) or not isinstance(moment, datetime.datetime):
        raise ValueError("row {}: {} is no time".format(
            number, utils.shorten(moment)))
    if hasattr(moment, "to_pydatetime"):
        # whole microseconds, without the warning that the rest is lost
        return moment.floor("us").to_pydatetime()
    return moment
