"""What stands where in a table: header, units, times, devices, values.

Pure, and the standard library alone. `find` has the first lines to go by, and
refuses (`InDoubt`) where two places would do.
"""
from __future__ import absolute_import

import collections
import re

from iobeam.command import cells, dialect, timecolumn
from iobeam.command.dialect import InDoubt, NoRows
from iobeam.utils import compat, utils

_MAX_UNITS = 3  # lines between the header and the rows
_NO_ID = re.compile(r"[^a-zA-Z0-9_:-]")


Row = collections.namedtuple("Row", "number cells")


def nameOf(cell):
    """The name in a cell of the header: in one line, no blanks around it."""
    return u" ".join(compat.toText(cell).split())


class Layout(object):
    """Where in a row stands what; places count from 0.

    Attributes:
        names (list of text): of all columns, "" where there is none.
        times (tuple of int): the column of times, or date and clock, or none.
        family (str or None): how `moments.Moments` reads them.
        clockDigits (int): of a clock in a column of its own that has no colons:
            how many, if no zero is left out; else 0.
        device, series (int or None): series only in long form.
        places (list of int): of values; `columns` are their names.
        start (int): the last line before the rows.
        sample (list of Row): the first rows.
        notes (list of str): what was left out.
    """

    def __init__(self, name, written, header, names, start, sample):
        self.name = name
        self.dialect = written
        self.names = names
        self.width = len(names)
        self.start = start
        self.notes = []
        self._hasEmptyEnd = bool(header) and not header[-1]
        self.sample = [Row(row.number, self.fit(row.cells)) for row in sample
                       if self.fit(row.cells) is not None]
        self.times, self.family, self.clockDigits = (), None, 0
        self.device = self.series = None
        self.places, self.columns = [], []
        self.isExport = False
        self._ids = {}

    def fit(self, row):
        """The row with a cell for each name, or None: it is ragged.

        A separator at the end of each line makes an empty cell more, or the
        header has one that the rows have not.
        """
        if len(row) == self.width:
            return row
        if len(row) == self.width + 1 and not row[-1]:
            return row[:-1]
        if len(row) == self.width - 1 and self._hasEmptyEnd:
            return row + [""]
        return None

    def cellsAt(self, place):
        """Cells of a column in the sample, without gaps."""
        return [row.cells[place] for row in self.sample
                if row.cells[place].strip().lower() not in cells.GAPS]

    def timeCell(self, row):
        """The time of a row as one text, also if it stands in two columns."""
        if len(self.times) == 1:
            return row[self.times[0]]
        date, clock = [row[place].strip() for place in self.times]
        if self.clockDigits and clock.isdigit():
            clock = clock.zfill(self.clockDigits)
            if len(clock) != self.clockDigits:
                raise ValueError("{} has more digits than the times of day "
                                 "before it".format(cells.shown(clock)))
        return date + " " + clock

    def noteClocks(self, rows):
        """Know how many digits a clock without colons has, from all rows."""
        if self.clockDigits:
            place = self.times[1]
            clocks = (row[place].strip() for row in rows if len(row) > place)
            if any(clock.isdigit() and len(clock) > 4 for clock in clocks):
                self.clockDigits = 6

    def isOddWord(self, place, word):
        """True if a word alone keeps a column from being numbers, such as nil.

        Nine of ten cells are numbers, in the sample. An id such as 007 is text
        as well, and no such word.
        """
        found = [cells.kindOf(cell.strip()) < cells.TEXT
                 for cell in self.cellsAt(place)]
        return (word is not None and not re.search("[0-9]", word)
                and 10 * sum(found) >= 9 * max(1, len(found)))

    def placeOf(self, name, option):
        """The place of a column by its name; InDoubt if there is none."""
        found = [place for place, other in enumerate(self.names)
                 if other == name] or [
                     place for place, other in enumerate(self.names)
                     if other.lower() == name.lower()]
        if len(found) == 1:
            return found[0]
        raise InDoubt("{}: {} {} {}; its columns are {}".format(
            self.name, option, compat.toNative(name),
            "stands there more than once" if found else
            "names no column", self.listed()))

    def listed(self):
        """The names of columns, for messages."""
        names = [name or u'""' for name in self.names[:20]]
        more = len(self.names) - len(names)
        return compat.toNative(u", ".join(names) + (
            u" and {} more".format(more) if more else u""))

    def deviceId(self, cell, _):
        """The id of the device in a cell; ValueError if it makes none."""
        text = compat.toNative(compat.toText(cell).strip())
        if not text:
            raise ValueError("there is no device")
        found = _NO_ID.sub("_", compat.toText(text)) if not self._isGivenId() \
            else text
        found = compat.toNative(found)
        utils.checkValidDeviceId(found)
        if self._ids.setdefault(found, text) != text:
            raise ValueError("device {} would have the id of {}: {}".format(
                text, self._ids[found], found))
        return found

    def _isGivenId(self):
        return self.names[self.device].lower() == "device_id"


def find(name, lines, settings, areComments):
    """Look at the first lines of a file; return its `Layout`.

    Args:
        name (str): of the file, for messages.
        lines (list of text): the first ones, with their ends.
        settings (readings.Settings)
        areComments (callable): tells of a delimiter whether lines with # are
            comments, which takes a look at the whole file.

    Raises:
        InDoubt: in which place the times are, or how rows are written.
    """
    named = dialect.sepLine(lines[settings.skip:])
    if settings.delimiter or named:
        tried = [settings.delimiter or named]
    else:
        useful = [line for line in lines[settings.skip:]
                  if line.strip() and not line.startswith(u"#")]
        tried = dialect.likely(useful) or [","]
    found, refused = [], []
    for delimiter in tried:
        try:
            found.append(_findWith(name, lines, settings, delimiter, bool(
                named), areComments(delimiter)))
        except InDoubt as error:
            refused.append(error)
    if not found:
        raise refused[0]
    best = [layout for layout in found
            if len(layout.sample) == len(found[0].sample)
            and layout.width > 1]
    if len(best) > 1:
        raise InDoubt("{}: cells may be separated by {}; give --delimiter"
                      .format(name, " or by ".join(
                          describe(layout.dialect.delimiter)
                          for layout in best)))
    return found[0]


def describe(delimiter):
    """A separator for people."""
    return {"\t": "a tab", " ": "a blank"}.get(delimiter,
                                               '"{}"'.format(delimiter))


def _findWith(name, lines, settings, delimiter, hasSepLine, comments):
    skip = settings.skip + (1 if hasSepLine else 0)
    useful = [line for line in lines[skip:] if line.strip()
              and not (comments and line.startswith(u"#"))]
    written = dialect.Dialect(delimiter, comments, skip, dialect.isPadded(
        useful, delimiter) or delimiter == " ")
    rows = [Row(number, row) for number, row in dialect.rowsOf(lines, written)
            if any(cell.strip() for cell in row)]
    if not rows:
        raise NoRows("{}: it is empty, where a line with the names of columns "
                     "was expected".format(name))
    header, names, start, sample = _Header(
        name, rows, settings, _commentAbove(lines, rows, written)
        if comments else None).find()
    found = Layout(name, written, header, names, start, sample)
    if not found.sample:
        isTable = settings.time or any(timecolumn.tierOf(name) == 0 for name in names)
        raise NoRows("{}: there are no rows under its columns {}".format(
            name, found.listed()), names if isTable else None)
    before = len([row for row in rows if row.number < start
                  and row.cells is not header])
    if before:
        found.notes.append("{} lines around the header left out".format(
            before))
    timecolumn.place(found, settings)
    _placeRest(found, settings)
    return found


def _commentAbove(lines, rows, written):
    """The cells of the last comment before the rows: it may be the header."""
    above = [line for line in lines[:rows[0].number - 1]
             if line.startswith(u"#")]
    if not above:
        return None
    found = dialect.rowsOf([above[-1].lstrip(u"#").strip() + u"\n"],
                           dialect.Dialect(written.delimiter, False, 0, True))
    return found[0][1] if found else None


# -- the header -------------------------------------------------------------------


class _Header(object):
    """Finds the line with the names, among what stands before the rows."""

    def __init__(self, name, rows, settings, comment):
        self._name = name
        self._rows = rows
        self._settings = settings
        self._comment = comment

    def find(self):
        """(cells of the header, names, last line before the rows, rows)."""
        rows, settings = self._rows, self._settings
        isData = [self._isData(row.cells) for row in rows]
        width = self._width(isData)
        place = self._named(width)
        if place is None:
            place = self._aboveRows(isData, width)
        if place is None:
            return self._without(isData, width)
        header = rows[place].cells
        after = place + 1
        while (after < len(rows) and after - place <= _MAX_UNITS
               and not isData[after] and self._isUnits(rows[after].cells)
               and (any(isData[after:]) or settings.isNow())
               and not settings.isNow()):
            after += 1
        if header[-1:] == [""] and all(len(row.cells) < len(header)
                                       for row in rows[after:]):
            header = header[:-1]
        names = [nameOf(cell) for cell in header]
        return header, names, rows[after - 1].number, rows[after:]

    def _isData(self, row):
        settings = self._settings
        if settings.isNow():
            return any(cells.kindOf(cell.strip()) < cells.TEXT
                       for cell in row if cell.strip())
        return any(timecolumn.looksLike(cell, settings.timeFormat) for cell in row)

    def _width(self, isData):
        """How many cells rows have."""
        widths = collections.Counter(
            len(row.cells) - (len(row.cells) > 1 and not row.cells[-1])
            for row, is_ in zip(self._rows, isData) if is_)
        if not widths:
            half = self._rows[len(self._rows) // 2:]
            widths = collections.Counter(len(row.cells) for row in half)
        return max(widths.items(), key=lambda item: (item[1], item[0]))[0]

    def _fits(self, row, width):
        return len(row) in (width, width + 1)

    def _named(self, width):
        """The place of the first line that names what a person named, or
        times, and has no cell that is one."""
        wanted = [] if self._settings.isNow() else self._settings.time or []
        for place, row in enumerate(self._rows[:-1] or self._rows):
            names = [nameOf(cell) for cell in row.cells]
            if wanted:
                if set(wanted) <= set(names):
                    return place
            elif (self._fits(row.cells, width)
                  and any(timecolumn.tierOf(name) == 0 for name in names if name)
                  and not self._isData(row.cells)):
                return place
        return None

    def _aboveRows(self, isData, width):
        """The place of the first line of a table's width above its rows."""
        rows = self._rows
        first = isData.index(True) if True in isData else len(rows)
        if self._settings.isNow() and first == len(rows):
            first = 1  # all is text
        place = None
        for k in range(first - 1, -1, -1):
            if not self._fits(rows[k].cells, width):
                break
            place = k
        if place is None and first == len(rows):
            return 0
        return place

    def _isUnits(self, row):
        return all(cells.kindOf(cell.strip()) >= cells.TEXT
                   for cell in row if cell.strip())

    def _without(self, isData, width):
        """What names the columns where no line does."""
        first = isData.index(True)
        rows = self._rows[first:]
        for names in (self._settings.columns, self._comment):
            if names and len(names) in (width, len(rows[0].cells)):
                names = [nameOf(name) for name in names]
                return None, names, rows[0].number - 1, rows
        raise InDoubt(
            "{} line {}: no line above it names the columns ({} cells); give "
            "their names with --columns, or the number of lines to leave out "
            "with --skip".format(self._name, rows[0].number, width))


# -- devices and values -----------------------------------------------------------


def _placeRest(layout, settings):
    names = [name.lower() for name in layout.names]
    if settings.deviceColumn:
        layout.device = layout.placeOf(settings.deviceColumn,
                                       "--device-column")
    elif names.count("device_id") == 1:
        layout.device = names.index("device_id")
    taken = set(layout.times) | set([layout.device])
    rest = [place for place in range(layout.width) if place not in taken]
    ofExport = [place for place in rest if names[place] == "project_id"]
    if layout.device is not None and not settings.columns and sorted(
            names[place] for place in rest if place not in ofExport) == [
                "name", "value"]:
        layout.series = names.index("name")
        layout.isExport = bool(ofExport)
        layout.places = [names.index("value")]
        layout.columns = [layout.names[layout.places[0]]]
        return
    unnamed = [place for place in rest if not layout.names[place]]
    if any(layout.cellsAt(place) for place in unnamed):
        layout.notes.append("a column without a name left out")
    rest = [place for place in rest if layout.names[place]]
    if layout.times and any(names[place] == "time" for place in rest):
        layout.notes.append("the column time left out, no name of a series")
        rest = [place for place in rest if names[place] != "time"]
    if settings.columns:
        chosen = set(layout.placeOf(name, "--columns")
                     for name in settings.columns)
        rest = [place for place in rest if place in chosen]
    for name in settings.types:
        layout.placeOf(name, "--type")
    layout.places = rest
    layout.columns = [layout.names[place] for place in rest]
    _checkNames(layout)


def _checkNames(layout):
    if not layout.places:
        raise InDoubt("{}: there are no columns of values; its columns are {}"
                      .format(layout.name, layout.listed()))
    counts = collections.Counter(layout.columns)
    twice = [name for name in layout.columns if counts[name] > 1]
    if twice:
        raise InDoubt("{}: column {} stands there more than once; rename it, "
                      "or name those to send with --columns".format(
                          layout.name, compat.toNative(twice[0])))
    for name in layout.columns:
        try:
            utils.checkValidSeriesName(name)
        except ValueError as error:
            raise InDoubt("{}: {}; rename it, or name the columns to send "
                          "with --columns".format(layout.name, error))
