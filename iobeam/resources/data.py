"""Points, series and stores: what a script builds before it sends."""
from __future__ import absolute_import

import collections
import datetime
import os
import sys
import threading
from enum import Enum

from iobeam.resources import fastrow, table, values
from iobeam.utils import compat, utils

__all__ = ["DataPoint", "DataSeries", "DataStore", "TimeUnit", "Timestamp",
           "makeUniformDataSeries"]

_MAX_COLUMNS = 1000  # one row of more would not fit a request (1000 values)
_MAX_MSEC = values.MAX_USEC // 1000
_MIN_MSEC = -_MAX_MSEC
_USEC_PER_MSEC = 1000

_MIN_INT, _MAX_INT = values.MIN_INT, values.MAX_INT

# Rows held for sending lie in blocks of about one largest request (20 000
# values), so that taking the first rows off never moves a long list.
_BLOCK_CELLS = 25000

# From Python 3.7 on the client hears of a fork; before, a store has to look.
_WATCHES_PID = not hasattr(os, "register_at_fork")


class TimeUnit(Enum):
    """Units of time that the REST API knows."""

    MILLISECONDS = "msec"
    MICROSECONDS = "usec"
    SECONDS = "sec"


_USEC_PER_UNIT = {TimeUnit.SECONDS: 1000000, TimeUnit.MICROSECONDS: 1,
                  TimeUnit.MILLISECONDS: _USEC_PER_MSEC}


class Timestamp(object):
    """An instant: a whole number of units since the Unix epoch.

    Equal, and of one hash, if they are the same instant, whatever the unit.

    Args:
        value (int): units since 1970-01-01 UTC; may be negative.
        unit (TimeUnit): what `value` counts; milliseconds if left out.

    Raises:
        ValueError: `value` is no int or out of range (64-bit microseconds),
            `unit` is no TimeUnit.
    """

    def __init__(self, value, unit=TimeUnit.MILLISECONDS):
        if not compat.isInteger(value):
            raise ValueError("timestamp value must be an int")
        if not isinstance(unit, TimeUnit):
            raise ValueError("timestamp unit must be a TimeUnit, not {}".format(
                utils.shorten(unit)))
        self._value = value
        self._type = unit
        values.checkRange(self.asMicroseconds(), value)

    def asMilliseconds(self):
        """Return the instant in whole milliseconds, rounded down."""
        return self.asMicroseconds() // _USEC_PER_MSEC

    def asMicroseconds(self):
        """Return the instant in microseconds."""
        return self._value * _USEC_PER_UNIT[self._type]

    def __eq__(self, other):
        if not isinstance(other, Timestamp):
            return NotImplemented
        return self.asMicroseconds() == other.asMicroseconds()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self.asMicroseconds())

    def __repr__(self):
        return "Timestamp({}, unit={})".format(self._value, self._type)


def _nowMilliseconds():
    return int(utils.time.time() * 1000)


def _fromMilliseconds(timestamp):
    return values.checkRange(timestamp * _USEC_PER_MSEC, timestamp)


class DataPoint(object):
    """One number at one instant, for series by name (`addDataPoint`).

    Equal, and of one hash, by instant and value; True is not 1.

    Args:
        value (int, float or bool): the measurement.
        timestamp (int, Timestamp, datetime or None): when: an int counts
            milliseconds, None is now.

    Raises:
        ValueError: `value` is no number or no 64-bit one, `timestamp` is of
            another type or out of range.
    """

    def __init__(self, value, timestamp=None):
        try:
            value = values.normalise("'value'", value)
        except values.NotFinite:
            value = float(value)
        except ValueError as error:
            if "64 bits" in str(error):
                raise
            raise ValueError("'value' must be a number.")
        if not isinstance(value, bool) and not compat.isNumber(value):
            raise ValueError("'value' must be a number.")
        if timestamp is None:
            timestamp = Timestamp(_nowMilliseconds())
        elif compat.isInteger(timestamp):
            timestamp = Timestamp(timestamp)
        elif isinstance(timestamp, datetime.datetime):
            timestamp = Timestamp(values.fromDatetime(timestamp),
                                  unit=TimeUnit.MICROSECONDS)
        elif not isinstance(timestamp, Timestamp):
            raise ValueError("invalid type for timestamp: {}".format(
                type(timestamp)))
        self._value = value
        self._timestamp = timestamp

    def toDict(self):
        """Return ``{"time": microseconds, "value": value}``."""
        return {"time": self._timestamp.asMicroseconds(), "value": self._value}

    def _key(self):
        return (self._timestamp.asMicroseconds(),
                isinstance(self._value, bool), self._value)

    def __eq__(self, other):
        if not isinstance(other, DataPoint):
            return NotImplemented
        return self._key() == other._key()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self._key())

    def __str__(self):
        return "DataPoint{{timestamp: {}, value: {}}}".format(
            self._timestamp.asMicroseconds(), self._value)

    __repr__ = __str__


class DataSeries(object):
    """A name and the points under it.

    Args:
        name (str): the series; the rules of column names apply.
        points (iterable of DataPoint, or None): None for an empty series.

    Raises:
        ValueError: the name is not valid, `points` cannot be iterated over.
    """

    def __init__(self, name, points):
        if name is None:
            raise ValueError("name cannot be None")
        utils.checkValidSeriesName(name)
        try:
            self._points = [] if points is None else list(points)
        except TypeError:
            raise ValueError("points must be a list of DataPoints, not {}"
                             .format(utils.shorten(points)))
        self._name = name

    def getName(self):
        """Return the name of the series."""
        return self._name

    def getPoints(self):
        """Return its points, a list in the order they were given."""
        return self._points

    def __len__(self):
        return len(self._points)

    def __str__(self):
        return "DataSeries{{name: {}, len: {}}}".format(
            compat.toNative(self._name), len(self))

    __repr__ = __str__


def makeUniformDataSeries(seriesName, startTime, endTime, values):
    """Spread values evenly over a time span, both ends included.

    Point k of n lies at ``startTime + k * (endTime - startTime) // (n - 1)``.

    Args:
        seriesName (str): the series.
        startTime (int): time of the first value, in milliseconds.
        endTime (int): time of the last value, above `startTime`.
        values (list of numbers): no values give an empty series.

    Returns:
        DataSeries or None: None on any argument that is not as above.
    """
    if (seriesName is None or values is None
            or not compat.isInteger(startTime)
            or not compat.isInteger(endTime) or endTime <= startTime):
        return None
    try:
        numbers = list(values)
        gaps = max(1, len(numbers) - 1)
        return DataSeries(seriesName, [
            DataPoint(value, startTime + k * (endTime - startTime) // gaps)
            for k, value in enumerate(numbers)])
    except (TypeError, ValueError):
        return None


class Rows(object):
    """Consecutive rows of one store that belong to one device.

    Attributes:
        deviceId (str or None): None until a first device is set.
        columns (tuple of str): without the time.
        cells (list): flat: time in microseconds, one value a column, next row.
    """

    __slots__ = ("deviceId", "columns", "cells")

    def __init__(self, deviceId, columns, cells):
        self.deviceId = deviceId
        self.columns = columns
        self.cells = cells

    def __len__(self):
        return len(self.cells) // (len(self.columns) + 1)

    def table(self, count=None):
        """Return the first `count` rows (None: all) as ``[time, v1, ..]``."""
        width = len(self.columns) + 1
        cells = self.cells
        end = len(cells) if count is None else min(count * width, len(cells))
        if end < len(cells):
            cells = cells[:end]
        return list(map(list, zip(*[iter(cells)] * width)))

    def drop(self, start, count):
        """Take `count` rows out, from row `start` on."""
        width = len(self.columns) + 1
        del self.cells[start * width:(start + count) * width]


class DataStore(object):
    """Rows of values under common columns, waiting to be sent.

    ``len()`` counts data points, rows x columns. Several threads may add at
    once, also while another one sends.

    Args:
        columns (list or tuple of str): one to 1000 names, none twice.

    Raises:
        ValueError: `columns` are not as above, or one is a reserved name
            (``time``, ``time_offset``, ``all``) or holds control characters.
    """

    # How `add` goes without a lock: `_cells` is one list for good, and rows go
    # in by one `extend`, which is atomic. Whoever takes rows away takes whole
    # ones off the front, in one step as well, and keeps them in `_held` until
    # they are accepted; `_lock` guards everything but `_cells`.

    def __init__(self, columns):
        self._columns = tuple(_checkedColumns(columns))
        self._places = dict((column, place) for place, column
                            in enumerate(self._columns, 1))
        self._width = len(self._columns)
        self._blank = [None] * (self._width + 1)
        self._makeRow = fastrow.rowMaker(self._columns)
        self._cells = []
        self._held = collections.deque()  # of Rows, before those in _cells
        self._marks = [(0, None)]  # (row number, device of the rows from it on)
        self._gone = 0  # rows that have left _cells since the beginning
        self._lock = threading.Lock()
        self._tracker = None
        self._pid = os.getpid()  # of the process whose rows these are
        self._highWater = sys.maxsize  # cells at which the tracker is told
        self._warnedNotFinite = False

    # -- adding ----------------------------------------------------------

    def add(self, timestamp, dataDict):
        """Add one row; its values are copied.

        Args:
            timestamp (int, Timestamp, datetime or None): an int counts
                milliseconds; a naive datetime is local time; None is now.
            dataDict (dict): column name to value: int, float, bool, str,
                unicode or None; numpy scalars and Decimal are converted, NaN
                and infinities become None. Columns left out become None.

        Raises:
            ValueError: an argument is not as above; nothing was added.
        """
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        if type(timestamp) is int and _MIN_MSEC <= timestamp <= _MAX_MSEC:
            usec = timestamp * 1000
        else:
            usec = self._microseconds(timestamp)
        try:
            row = (self._makeRow(usec, dataDict)
                   if type(dataDict) is dict  # a defaultdict hides wrong keys
                   and len(dataDict) == self._width else None)
        except (KeyError, TypeError):
            row = None  # `_row` says what is wrong
        if row is None:
            row = self._row(usec, dataDict)
        cells = self._cells
        cells.extend(row)
        if len(cells) >= self._highWater:
            self._grew()

    def addRows(self, rows):
        """Add many rows, all or none.

        Args:
            rows (iterable of (timestamp, dict)): each as `add` takes them.

        Raises:
            ValueError: one of them cannot be added; nothing was.
        """
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        try:
            rows = iter(rows)
        except TypeError:
            raise ValueError("rows must be an iterable of (timestamp, dict), "
                             "not {}".format(utils.shorten(rows)))
        added = []
        for number, row in enumerate(rows):
            try:
                timestamp, dataDict = row
                added.extend(
                    self._row(self._microseconds(timestamp), dataDict))
            except (TypeError, ValueError) as error:
                raise ValueError("row {}: {}".format(number, error))
        self._cells.extend(added)
        if len(self._cells) >= self._highWater:
            self._grew()

    def addDataFrame(self, df, timeColumn=None):
        """Add the rows of a pandas DataFrame, all or none.

        NaN, NaT and NA are gaps. Times without a zone are local, as a naive
        `datetime` is; nanoseconds are rounded down to microseconds.

        Args:
            df (pandas.DataFrame): its columns are columns of this store.
            timeColumn (str or None): the column of datetimes, or of ints in
                milliseconds; None takes the index, a DatetimeIndex.

        Raises:
            ValueError: there are no times, or a row cannot be added.
        """
        self.addRows(table.rowsOf(df, timeColumn))

    def _checkFork(self):
        self._pid = os.getpid()
        tracker = self._tracker  # another thread may close the client
        if tracker is not None:
            tracker.checkFork()

    def _grew(self):
        tracker = self._tracker
        if tracker is not None:
            tracker.storeGrew(self)

    def _microseconds(self, timestamp):
        if compat.isInteger(timestamp):
            return _fromMilliseconds(timestamp)
        if isinstance(timestamp, Timestamp):
            return timestamp.asMicroseconds()
        if timestamp is None:
            tracker = self._tracker
            offset = 0 if tracker is None else tracker.clockOffset()
            return _fromMilliseconds(_nowMilliseconds() + offset)
        if isinstance(timestamp, datetime.datetime):
            usec = values.fromDatetime(timestamp)
            return values.checkRange(usec, timestamp)
        raise ValueError("timestamp must be an int or Timestamp type")

    def _row(self, usec, dataDict):
        """One row as a list, time first; gaps and odd values are mended."""
        if not dataDict:
            raise ValueError("dataDict cannot be None or empty")
        row = self._blank[:]
        row[0] = usec
        places = self._places
        try:
            for column, value in dataDict.items():
                kind = type(value)
                if kind is float:
                    if value - value != 0:
                        value = self._value(column, value)
                elif kind is not int or not _MIN_INT <= value <= _MAX_INT:
                    value = self._value(column, value)
                row[places[column]] = value
        except KeyError:
            raise ValueError(
                "dataDict can only contain keys in this store's columns")
        except AttributeError:
            raise ValueError("dataDict must be a dict of column name to value,"
                             " not {}".format(utils.shorten(dataDict)))
        return row

    def _value(self, column, value):
        try:
            return values.normalise("column {!r}".format(column), value)
        except values.NotFinite:
            if not self._warnedNotFinite:
                self._warnedNotFinite = True
                utils.getLogger().warning(
                    "column %r: %r cannot be stored and becomes None; further "
                    "ones in this store do so silently", column, value)
            return None

    # -- looking ---------------------------------------------------------

    def columns(self):
        """Return the names of the columns, a new list without the time."""
        return list(self._columns)

    def rows(self):
        """Return the rows that wait in memory, oldest first, as copies.

        Returns:
            list of dict: column name to value; ``time`` is in microseconds.
        """
        return [asDict(self._columns, row) for row in self._table()]

    def hasSameColumns(self, columns):
        """Tell whether a list names exactly these columns, in any order."""
        try:
            return (isinstance(columns, (list, tuple))
                    and len(columns) == self._width
                    and frozenset(columns) == frozenset(self._columns))
        except TypeError:  # something in it cannot be hashed: no string
            return False

    def split(self, count):
        """Return the rows as a list of new stores of at most `count` rows.

        Raises:
            ValueError: `count` is not an int above 0.
        """
        if not compat.isInteger(count) or count <= 0:
            raise ValueError("the number of rows must be an int greater than "
                             "0, not {}".format(utils.shorten(count)))
        table = self._table()
        return [_storeOf(self._columns, table[start:start + count])
                for start in range(0, len(table), count)]

    def __reduce__(self):
        # for copy and pickle: the rows, without the client that tracks them
        return _storeOf, (self._columns, self._table())

    def clear(self):
        """Drop the rows that wait in memory.

        Rows already committed to a disk buffer are not the store's any more.
        """
        with self._lock:
            self._held.clear()
            self._detach()

    def __len__(self):
        return self._rowCount() * len(self._columns)

    def __bool__(self):
        return True

    __nonzero__ = __bool__

    def __repr__(self):
        return "DataStore({!r}, rows={})".format(
            list(self._columns), self._rowCount())

    def _rowCount(self):
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        with self._lock:
            return (sum(len(rows) for rows in self._held)
                    + len(self._cells) // (self._width + 1))

    def _table(self):
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        with self._lock:
            parts = list(self._held) + [Rows(None, self._columns, self._cells)]
            return [row for part in parts for row in part.table()]

    # -- for the client that tracks it ------------------------------------

    def _addedRows(self):
        """Rows ever added to it."""
        with self._lock:
            return self._gone + len(self._cells) // (self._width + 1)

    def _setDevice(self, deviceId):
        """Give rows from now on to a device; the first takes earlier ones."""
        with self._lock:
            if self._marks[-1][1] is None:
                self._marks[-1] = (self._marks[-1][0], deviceId)
                for rows in self._held:
                    rows.deviceId = rows.deviceId or deviceId
            elif self._marks[-1][1] != deviceId:
                width = self._width + 1
                self._marks.append(
                    (self._gone + len(self._cells) // width, deviceId))

    def _hold(self):
        """Move every row so far into `_held`, cut by device and block size."""
        with self._lock:
            for rows in self._detach():
                self._holdRows(rows)

    def _detach(self):
        """Take all rows off `_cells`, as Rows; caller holds the lock."""
        width = self._width + 1
        count = len(self._cells) // width
        cells = self._cells[:count * width]
        del self._cells[:count * width]
        first, self._gone = self._gone, self._gone + count
        ends = [mark[0] for mark in self._marks[1:]] + [self._gone]
        parts = [Rows(deviceId, self._columns,
                      cells[max(0, start - first) * width:
                            max(0, end - first) * width])
                 for (start, deviceId), end in zip(self._marks, ends)]
        # marks may lie ahead of the rows: an add can come between the two
        self._marks = ([mark for mark in self._marks if mark[0] > self._gone]
                       or [(self._gone, self._marks[-1][1])])
        if self._marks[0][0] > self._gone:
            self._marks.insert(0, (self._gone, parts[-1].deviceId))
        return [rows for rows in parts if rows.cells]

    def _holdRows(self, rows):
        """Append to `_held`; caller holds the lock."""
        block = max(1, _BLOCK_CELLS // (self._width + 1)) * (self._width + 1)
        last = self._held[-1] if self._held else None
        start = 0
        if last is not None and last.deviceId == rows.deviceId:
            start = max(0, block - len(last.cells))
            last.cells.extend(rows.cells[:start])
        for start in range(start, len(rows.cells), block):
            self._held.append(Rows(rows.deviceId, rows.columns,
                                   rows.cells[start:start + block]))


def asDict(columns, row):
    """Return one row of a table as `DataStore.rows` gives it."""
    found = dict(zip(columns, row[1:]))
    found["time"] = row[0]
    return found


def _checkedColumns(columns):
    if columns is None or (hasattr(columns, "__len__") and not len(columns)):
        raise ValueError("columns cannot be None or empty")
    if not isinstance(columns, (list, tuple)):
        raise ValueError("columns must be a list of strings")
    for column in columns:
        utils.checkValidSeriesName(column)
    if len(columns) > _MAX_COLUMNS:
        raise ValueError("columns: {} are too many for one store; {} at most"
                         .format(len(columns), _MAX_COLUMNS))
    counts = collections.Counter(compat.toText(name) for name in columns)
    if len(counts) != len(columns):
        twice = sorted(name for name, count in counts.items() if count > 1)
        raise ValueError("columns: {} stands there more than once; remove it"
                         .format(utils.shorten(compat.toNative(twice[0]))))
    return columns


def _storeOf(columns, table):
    """A new store that nobody tracks, of rows as `_table` has them."""
    store = DataStore(list(columns))
    for row in table:
        store._cells.extend(row)
    return store
