"""Points, series and stores: what a script builds before it sends."""
from __future__ import absolute_import

import collections
import datetime
import os
import sys
from enum import Enum

from iobeam.resources import fastrow, flat, table, values
from iobeam.resources import rows as rowqueue
from iobeam.resources.values import wholeNumber
from iobeam.utils import compat, gate, utils

__all__ = ["DataPoint", "DataSeries", "DataStore", "TimeUnit", "Timestamp",
           "makeUniformDataSeries"]

_MAX_COLUMNS = 1000  # one row of more would not fit a request (1000 values)
_USEC_PER_MSEC = 1000
# 1973 to 2255: times that nobody needs to look at twice. Seconds and
# microseconds of our time that are taken for ms lie outside.
_FIRST_MSEC, _LAST_MSEC = 10 ** 11, flat.EXACT // _USEC_PER_MSEC

_MIN_INT, _MAX_INT = values.MIN_INT, values.MAX_INT
_MIN_FLOAT, _MAX_FLOAT = -sys.float_info.max, sys.float_info.max  # finite

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
        value = wholeNumber(value)
        if value is None:
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
        except values.NotFinite as error:
            value = error.value
        except ValueError as error:
            if "64 bits" in str(error):
                raise
            raise ValueError("'value' must be a number.")
        if not isinstance(value, bool) and not compat.isNumber(value):
            raise ValueError("'value' must be a number.")
        milliseconds = wholeNumber(timestamp)
        if timestamp is None:
            timestamp = Timestamp(_nowMilliseconds())
        elif milliseconds is not None:
            timestamp = Timestamp(milliseconds)
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
        values (list of numbers or None): no values give an empty series.

    Returns:
        DataSeries or None: None on any argument that is not as above.
    """
    startTime = wholeNumber(startTime)
    endTime = wholeNumber(endTime)
    if startTime is None or endTime is None or endTime <= startTime:
        return None
    try:
        Timestamp(startTime), Timestamp(endTime)  # also if there are no values
        numbers = [] if values is None else list(values)
        gaps = max(1, len(numbers) - 1)
        return DataSeries(seriesName, [
            DataPoint(value, startTime + k * (endTime - startTime) // gaps)
            for k, value in enumerate(numbers)])
    except (TypeError, ValueError):
        return None


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

    # `queue` holds the rows; the client that tracks the store talks to it.

    def __init__(self, columns):
        self._columns = tuple(_checkedColumns(columns))
        self._places = dict((column, place) for place, column
                            in enumerate(self._columns, 1))
        self._width = len(self._columns)
        self._blank = [None] * (self._width + 1)
        self._makeRow = fastrow.rowMaker(self._columns)
        self.queue = rowqueue.RowQueue(self._columns)
        self.queue.isPlain = True
        self._pid = os.getpid()  # of the process whose rows these are
        self._warnedNotFinite = False
        self._warnedUnit = False

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
        if type(timestamp) is int and _FIRST_MSEC <= timestamp <= _LAST_MSEC:
            usec = timestamp * 1000
        else:
            usec = self._microseconds(timestamp)
            if type(usec) is not int or not -flat.EXACT < usec < flat.EXACT:
                self.queue.isPlain = False
        makeRow = self._makeRow  # faster than to call it as a method
        try:
            row = (makeRow(usec, dataDict)
                   if type(dataDict) is dict  # a defaultdict hides wrong keys
                   and len(dataDict) == self._width else None)
        except KeyError:
            row = None  # `_row` says what is wrong
        if row is None:
            self.queue.isPlain = False
            try:
                row = self._row(usec, dataDict)
            except RuntimeError:
                # Another thread added keys meanwhile. To copy first each time
                # would make every row with gaps a fifth slower.
                row = self._row(usec, dict(dataDict))
        queue = self.queue
        cells = queue.cells
        cells.extend(row)
        if len(cells) >= queue.highWater:
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
                usec = self._microseconds(timestamp)
                try:
                    added.extend(self._row(usec, dataDict))
                except RuntimeError:  # as in `add`
                    added.extend(self._row(usec, dict(dataDict)))
            except (TypeError, ValueError) as error:
                raise ValueError("row {}: {}".format(number, error))
        self._extend(added)

    def addDataFrame(self, df, timeColumn=None):
        """Add the rows of a pandas DataFrame, all or none.

        NaN, NaT, NA and None are gaps; infinities become None as in `add`.
        Times without a zone are local, as a naive `datetime` is; nanoseconds
        are rounded down to microseconds.

        Args:
            df (pandas.DataFrame): its columns are columns of this store.
            timeColumn (str or None): the column of times: pandas', Python's or
                Arrow's, or ints in milliseconds; None takes the index.

        Raises:
            ValueError: a row has no time, or cannot be added; nothing was.
        """
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        found = table.Table(df, timeColumn, self._columns, self._microseconds,
                            self._value)
        if not (found.isPlain and len(found) > rowqueue.UNPACKED_CELLS
                and self._extendPacked(found)):
            self._extend(found.cells(), found.isPlain)

    def _extendPacked(self, found):
        """Append plain rows packed, in one step; False if they cannot be now."""
        tracker = self.queue.tracker
        return (tracker is not None and tracker.deviceId is not None
                and tracker.addPacked(self.queue, found.packed()))

    def _extend(self, cells, isPlain=False):
        """Append rows that lie flat, in one step."""
        if not isPlain:
            self.queue.isPlain = False
        self.queue.cells.extend(cells)
        if len(self.queue.cells) >= self.queue.highWater:
            self._grew()

    def _checkFork(self):
        self._pid = os.getpid()
        tracker = self.queue.tracker  # another thread may close the client
        if tracker is not None:
            tracker.checkFork()
        else:
            self.queue.newGate()

    def _grew(self):
        tracker = self.queue.tracker
        if tracker is not None:
            tracker.grew(self.queue)

    def _microseconds(self, timestamp):
        milliseconds = wholeNumber(timestamp)
        if milliseconds is not None:
            return self._fromMilliseconds(milliseconds)
        if isinstance(timestamp, Timestamp):
            if timestamp._type is TimeUnit.MILLISECONDS:
                return self._fromMilliseconds(timestamp._value)
            return timestamp.asMicroseconds()
        if timestamp is None:
            tracker = self.queue.tracker
            return (_fromMilliseconds(_nowMilliseconds()) if tracker is None
                    else tracker.now())
        if isinstance(timestamp, datetime.datetime):
            usec = values.fromDatetime(timestamp)
            return values.checkRange(usec, timestamp)
        raise ValueError("timestamp must be an int or Timestamp type")

    def _fromMilliseconds(self, timestamp):
        usec = _fromMilliseconds(timestamp)
        if values.looksLikeAnotherUnit(timestamp) and not self._warnedUnit:
            self._warnedUnit = True
            utils.getLogger().warning(
                "timestamp %d counts milliseconds, which makes it a time in "
                "%s: use Timestamp(value, unit=TimeUnit.SECONDS) (or "
                "MICROSECONDS) if it counts another unit; further ones in this "
                "store pass silently", timestamp,
                "1970" if timestamp < _FIRST_MSEC else "the far future")
        return usec

    def _row(self, usec, dataDict):
        """One row as a list, time first; gaps and odd values are mended."""
        if not dataDict:
            raise ValueError("dataDict cannot be None or empty")
        places = self._places
        row = self._blank[:]
        row[0] = usec
        try:
            for column, value in dataDict.items():
                kind = type(value)
                if kind is float:
                    if not _MIN_FLOAT <= value <= _MAX_FLOAT:
                        value = self._value(column, value)
                elif kind is int:
                    if not _MIN_INT <= value <= _MAX_INT:
                        value = self._value(column, value)
                elif value is not None:  # a gap costs nothing
                    value = self._value(column, value)
                row[places[column]] = value
        except KeyError:
            raise ValueError(
                "dataDict can only contain keys in this store's columns, not "
                + _strangers(dataDict, places))
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
                    "column %r: %s cannot be stored and becomes None; further "
                    "ones in this store do so silently", column,
                    utils.shorten(value))
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
        size = wholeNumber(count)
        if size is None or size <= 0:
            raise ValueError("the number of rows must be an int greater than "
                             "0, not {}".format(utils.shorten(count)))
        table = self._table()
        return [_storeOf(self._columns, table[start:start + size])
                for start in range(0, len(table), size)]

    def __reduce__(self):
        # for copy and pickle: the rows, without the client that tracks them
        return _storeOf, (self._columns, self._table())

    def clear(self):
        """Drop the rows that wait in memory.

        Rows already committed to a disk buffer are not the store's any more.
        Amid another call of this thread, as in a signal handler, it happens
        when that ends.
        """
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        with self.queue.gate() as entered:
            if entered:
                self.queue.clear()
            else:
                gate.later(self.clear)

    def __len__(self):
        return self._rowCount() * len(self._columns)

    def __bool__(self):
        return True

    __nonzero__ = __bool__

    def __repr__(self):
        return "DataStore({!r}, rows={})".format(
            list(self._columns), self._rowCount())

    def _repr_html_(self):
        from iobeam.utils import markup
        with self.queue.gate():
            count, rows = len(self.queue), self.queue.last(markup.MOST_ROWS)
        title = u"{:,} rows wait in memory".format(count)
        if count > len(rows):
            title += u", the newest {} shown".format(len(rows))
        return markup.table(title, ["time"] + list(self._columns), [
            [markup.moment(row[0])] + row[1:] for row in rows])

    def _rowCount(self):
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        with self.queue.gate():
            return len(self.queue)

    def _table(self):
        if _WATCHES_PID and os.getpid() != self._pid:
            self._checkFork()
        with self.queue.gate():
            return self.queue.table()


def _strangers(found, known):
    # out of `_row`, whose variables a generator in it would make slow
    return ", ".join(utils.shorten(name) for name in list(found)
                     if name not in known)


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
    store.queue.isPlain = False
    for row in table:
        store.queue.cells.extend(row)
    return store
