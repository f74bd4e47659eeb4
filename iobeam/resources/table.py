"""The cells of a pandas DataFrame, taken out column by column.

Nothing here imports pandas or numpy: what is called are methods of what came
in. A loop over rows took 26 times as long as the `add` calls it replaced.
"""
from __future__ import absolute_import

import datetime

from iobeam.resources import flat, values
from iobeam.utils import compat, utils

_EPOCH = datetime.datetime(1970, 1, 1)
_HOUR = 3600 * 1000000  # us
_NAT = -2 ** 63  # what pandas and numpy keep for "not a time"
_INFINITY = float("inf")

# us in a unit of numpy's times; those in ns are divided
_USEC_PER_UNIT = {"s": 1000000, "ms": 1000, "us": 1}

_SURE = compat.INTEGERS + compat.TEXTS  # types of which no value is a gap


class Table(object):
    """The rows of a DataFrame, of which nothing has been added yet.

    Args:
        frame (pandas.DataFrame): the rows.
        timeColumn (str or None): where their times are; None for the index.
        columns (tuple of str): those of the store.
        toUsec (callable): time as `DataStore.add` takes it to microseconds.
        toCell (callable): (column, value) to what becomes of one that is not
            finite.

    Attributes:
        isPlain (bool): all of them are plain rows (see `flat.text`).

    Raises:
        ValueError: it is no DataFrame, or a time cannot be stored; names the
            column, and the row, counted from 0.
    """

    def __init__(self, frame, timeColumn, columns, toUsec, toCell):
        if not all(hasattr(frame, name) for name in
                   ("columns", "index", "loc")):
            raise ValueError("df must be a pandas DataFrame, not {}".format(
                utils.shorten(frame)))
        names = _namesOf(frame)
        if timeColumn is None:
            times = _checkedIndex(frame.index)
        elif timeColumn not in names:
            raise ValueError("timeColumn: there is no column {} in {}".format(
                utils.shorten(timeColumn), utils.shorten(names)))
        else:
            times = frame[timeColumn]
            names.remove(timeColumn)
        known, given = set(columns), set(names)
        for name in names:
            if name not in known:
                raise ValueError(
                    "df can only contain this store's columns, not {}: drop "
                    "it, or name it as timeColumn".format(utils.shorten(name)))
        if not names and len(times):
            raise ValueError("df has no column of values")
        self._times = _times(times, toUsec)
        self._columns = [frame[name] if name in given else None
                         for name in columns]
        self._names = columns
        self._toCell = toCell
        self._width = len(columns) + 1
        self.isPlain = _arePlain(self._times, self._columns)

    def __len__(self):
        """The number of cells."""
        return len(self._times) * self._width

    def cells(self):
        """Return them flat: time, v1, .. , time of the next row.

        Raises:
            ValueError: a value cannot be stored; as above.
        """
        cells = [None] * len(self)
        cells[::self._width] = (self._times if type(self._times) is list
                                else self._times.tolist())
        named = zip(self._names, self._columns)
        for place, (name, column) in enumerate(named, 1):
            if column is not None:
                cells[place::self._width] = _cells(name, column, self._toCell)
        return cells

    def packed(self):
        """Return plain rows as an array, with no object a cell."""
        # made of a column, since nothing here imports numpy
        cells = self._columns[0].values.astype("float64").repeat(self._width)
        cells = cells.reshape(len(self._times), self._width)
        cells[:, 0] = self._times
        for place, column in enumerate(self._columns, 1):
            cells[:, place] = column.values
        return flat.ofDoubles(cells.tobytes())


def _arePlain(times, columns):
    """Tell whether times (in us) and columns make plain rows, at least one."""
    if not len(times) or any(column is None or not _isOfFloats(_arrayOf(column))
                             for column in columns):
        return False
    least, most = ((min(times), max(times)) if type(times) is list
                   else (times.min(), times.max()))
    return (-flat.EXACT < least and most < flat.EXACT
            and all(_isFinite(column.values) for column in columns))


def _isOfFloats(values):
    return (values is not None and values.dtype.kind == "f"
            and values.dtype.itemsize <= 8)


def _isFinite(values):
    # compared for equality only: numpy warns of other things with NaN
    return ((values == values) & (abs(values) != _INFINITY)).all()


def _namesOf(frame):
    names = list(frame.columns)
    if len(set(names)) < len(names):
        twice = [name for place, name in enumerate(names)
                 if name in names[:place]]
        raise ValueError("df: the column {} stands there more than once; "
                         "rename or drop one".format(utils.shorten(twice[0])))
    return names


def _checkedIndex(index):
    if getattr(index, "nlevels", 1) > 1:
        raise ValueError("df: its index has levels {}; take one device, such "
                         "as df.loc['greenhouse-1']".format(
                             utils.shorten(list(index.names))))
    isTime = getattr(index.dtype, "kind", None) == "M"
    # an index of objects may be one of datetimes; that of ints counts rows
    if not isTime and (index.dtype != object or len(index)
                       and values.wholeNumber(index[0]) is not None):
        raise ValueError("df: its index holds no times; name the column that "
                         "does: addDataFrame(df, timeColumn=...)")
    return index


# -- times --------------------------------------------------------------------


def _times(column, toUsec):
    """Return a column or index of times in us: a list, or an array of int64."""
    isLocal = getattr(column.dtype, "tz", None) is None
    if not isLocal:
        column = getattr(column, "dt", column).tz_convert(None)  # to UTC
    array = _arrayOf(column)
    kind = None if array is None else array.dtype.kind
    if kind == "M" and array.dtype.str[4:-1] in ("s", "ms", "us", "ns"):
        return _instants(array.view("int64"), array.dtype.str[4:-1], isLocal)
    arrow = getattr(column.dtype, "pyarrow_dtype", None)
    if arrow is not None and hasattr(arrow, "tz"):
        whole = column.astype("int64[pyarrow]").to_numpy("int64",
                                                         na_value=_NAT)
        return _instants(whole, arrow.unit, arrow.tz is None)
    times = column.tolist()
    if kind in ("i", "u") and times:
        for moment in (min(times), max(times)):  # the rest lies in between
            _inRow(times.index(moment), toUsec, moment)
        return [moment * 1000 for moment in times]  # ms, as everywhere
    return [_inRow(row, _moment, moment, toUsec)
            for row, moment in enumerate(times)]


def _instants(whole, unit, isLocal):
    """Return an array of whole units since the epoch as microseconds."""
    if (whole == _NAT).any():
        raise ValueError("row {}: NaT is no time; drop such rows, as with "
                         "df.dropna()".format((whole == _NAT).argmax()))
    if unit == "ns":
        whole = whole // 1000
    elif len(whole):
        factor = _USEC_PER_UNIT[unit]
        for row in (whole.argmin(), whole.argmax()):
            usec = int(whole[row]) * factor
            _inRow(row, values.checkRange, usec, usec)
        whole = whole * factor
    return _fromLocal(whole) if isLocal else whole


def _moment(moment, toUsec):
    if not isinstance(moment, datetime.datetime) \
            and values.wholeNumber(moment) is None \
            and not hasattr(moment, "asMicroseconds"):
        raise ValueError("{} is no time".format(utils.shorten(moment)))
    return toUsec(moment)


def _fromLocal(whole):
    """Return local times, in us as if they were UTC, as us since the epoch.

    As `values.fromDatetime` has them one by one, at a tenth of the cost: the
    clock runs evenly through every hour at whose ends it is as far off UTC.
    """
    times = whole.tolist()
    hours = (whole // _HOUR).tolist()
    shifts = {}
    uneven = set()
    for hour in set(hours):
        shift = _shift(hour)
        if shift is None or shift != _shift(hour + 1):
            uneven.add(hour)
            shift = 0
        shifts[hour] = shift
    found = [usec + shifts[hour] for usec, hour in zip(times, hours)]
    for row in [row for row, hour in enumerate(hours) if hour in uneven]:
        found[row] = _inRow(row, _fromLocalTime, times[row])
    return found


def _shift(hour):
    """Return the us from local time to UTC where an hour begins, or None."""
    try:
        return _fromLocalTime(hour * _HOUR) - hour * _HOUR
    except ValueError:
        return None


def _fromLocalTime(usec):
    try:
        moment = _EPOCH + datetime.timedelta(microseconds=usec)
    except OverflowError:
        raise ValueError("a time outside of the years 1 to 9999 has no local "
                         "time: give it a zone, such as tz_localize('UTC')")
    return values.fromDatetime(moment)


# -- values -------------------------------------------------------------------


def _cells(name, column, toCell):
    """Return a column of values as a list of what `DataStore.add` makes."""
    array = _arrayOf(column)
    if array is not None:
        kind, size = array.dtype.kind, array.dtype.itemsize
        if kind in ("b", "i") or kind == "u" and size < 8:
            return array.tolist()
        if _isOfFloats(array):
            cells = array.tolist()
            if _isFinite(array):
                return cells
            return [cell if cell - cell == 0 else
                    None if cell != cell else toCell(name, cell)
                    for cell in cells]
    cells = column.tolist()
    what = "column {!r}".format(name)
    for row, cell in enumerate(cells):
        if type(cell) not in _SURE and _isGap(cell):
            cells[row] = None
            continue
        try:
            cells[row] = values.normalise(what, cell)
        except values.NotFinite:
            cells[row] = toCell(name, cell)
        except ValueError as error:
            raise ValueError("row {}: {}".format(row, error))
    return cells


def _arrayOf(column):
    """Return the numpy array of a column of numpy's own types, else None."""
    if type(column.dtype).__module__.split(".")[0] != "numpy":
        return None  # what `values` is for pandas' types depends on its version
    return column.values


def _isGap(cell):
    """Tell whether it is None, NaN, or pandas' NaT or NA."""
    return (cell is None or values.isMissing(cell)
            or type(cell).__name__ == "NaTType"
            or getattr(cell, "shape", ()) == () and _isNan(cell))


def _isNan(cell):
    kind = getattr(getattr(cell, "dtype", None), "kind", None)
    return (isinstance(cell, float) or kind == "f") and bool(cell != cell)


def _inRow(row, function, *args):
    """Call a function; its ValueError names the row."""
    try:
        return function(*args)
    except ValueError as error:
        raise ValueError("row {}: {}".format(row, error))
