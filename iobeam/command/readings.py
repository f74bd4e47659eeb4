"""Any table in, columns and rows out: what `iobeam send` makes of a file.

Pure, and the standard library alone: bytes in, rows out; no network, no
output. `inspect` reads a file whole and says what is in it, `inspectHead` has
the first lines of a pipe to go by; both refuse (`InDoubt`) what could be read
in two ways. `Reading` then gives the rows.
"""
from __future__ import absolute_import

import collections
import itertools

from iobeam.command import cells, dialect, layout, moments, repeats
from iobeam.command.dialect import InDoubt, NoRows
from iobeam.utils import compat, utils

__all__ = ["Batch", "Group", "InDoubt", "NoRows", "Reading", "Settings",
           "inspect", "inspectHead"]

CHUNK = 2000  # rows
MAX_COLUMNS = 1000  # of a store
_HEAD_LINES, _HEAD_CHARACTERS = 1000, 1 << 18
_WIDE_LINES = 20  # at least, of thousands of columns

Batch = collections.namedtuple("Batch", "groups rows bad")
Group = collections.namedtuple("Group", "device columns rows")


class Settings(object):
    """What a person may say about a file; what is left out is found out.

    Args:
        delimiter, decimal, encoding (str or None)
        skip (int): lines at the start that say nothing.
        nulls (list of str): further cells that are gaps.
        types (dict of str to str): kinds of columns, of `cells.KINDS`.
        columns (list of str or None): those to send, or the names of them all
            where no line names them.
        time (list of str or None): one column or two; ["now"]: no column.
        timeFormat (str or None): strptime's, "iso", or a unit.
        zone (moments.Zone or None): of times without; None is this machine's.
        deviceColumn (str or None)
        now (callable or None): the time of rows without, in microseconds.
    """

    def __init__(self, **given):
        self.delimiter = self.decimal = self.encoding = None
        self.columns = self.time = self.timeFormat = None
        self.zone = self.deviceColumn = self.now = None
        self.skip, self.nulls, self.types = 0, [], {}
        for name in given:
            getattr(self, name)  # a wrong one is an error
            setattr(self, name, given[name])
        self.zone = self.zone or moments.zoneOf()

    def isNow(self):
        """True if rows are stamped when they are read."""
        return self.time == ["now"]


# -- finding out ----------------------------------------------------------------


def inspect(name, opener, settings, progress=None):
    """Read a file whole.

    Args:
        name (str): for messages.
        opener (callable): opens the file anew, for bytes.
        settings (Settings)
        progress (callable or None): hears of each number of rows read.

    Returns:
        Reading, or NothingRead: there is a header and nothing under it.

    Raises:
        InDoubt: it can be read in two ways, or in none.
    """
    with opener() as stream:
        encoding, isFallback = dialect.encodingOf(
            dialect.blocksOf(stream), name, settings.encoding)
    with dialect.linesOf(opener(), encoding) as lines:
        head = _head(lines)
    try:
        found = layout.find(name, head, settings, lambda delimiter:
                            _areComments(opener, encoding, delimiter))
    except NoRows as error:
        if error.columns is None:
            raise
        return NothingRead(name, error)
    reading = Reading(name, found, settings, encoding, isFallback, opener)
    reading.survey(progress)
    return reading


def inspectHead(name, lines, settings, encoding, isFallback=False):
    """Return the `Reading` of a pipe, by its first lines."""
    found = layout.find(name, lines, settings, lambda delimiter:
                        dialect.areComments(lines, delimiter))
    reading = Reading(name, found, settings, encoding, isFallback, None)
    reading.surveyHead(lines)
    return reading


def _head(lines):
    head, characters = [], 0
    for line in lines:
        head.append(line)
        characters += len(line)
        if len(head) >= _HEAD_LINES or (characters >= _HEAD_CHARACTERS
                                        and len(head) >= _WIDE_LINES):
            break
    return head


def _areComments(opener, encoding, delimiter):
    with opener() as stream:
        if not any(b"#" in block for block in dialect.blocksOf(stream)):
            return False
    with dialect.linesOf(opener(), encoding) as lines:
        return dialect.areComments(lines, delimiter)


class NothingRead(object):
    """Takes the place of a `Reading` where there is a header alone."""

    layout = timeColumn = first = last = None
    parts, rows, repeated = 1, 0, 0

    def __init__(self, name, error):
        self.name = name
        self.why = str(error)
        self.columns = error.columns

    def batches(self):
        """No rows."""
        return iter(())

    def further(self, *_):
        """No rows."""
        return iter(())


class Reading(object):
    """What a file says: its columns, and its rows as often as they are asked for.

    Attributes:
        columns (list of text): of values; in long form the series.
        timeColumn (text or None): "date,clock" where there are two.
        rows, first, last: how many, and microseconds; of a pipe, so far.
        repeated (int): rows whose time was there before.
        parts (int): stores that a row is spread over, of `MAX_COLUMNS` each.
    """

    def __init__(self, name, found, settings, encoding, isFallback, opener):
        self.name = name
        self.layout = found
        self.parts = max(1, -(-len(found.places) // MAX_COLUMNS))
        self.encoding = encoding
        self.isFallback = isFallback
        self.rows = self.repeated = self.comments = 0
        self.first = self.last = None
        self.decimal = settings.decimal or "."
        self._settings = settings
        self._opener = opener
        self._gaps = cells.GAPS | set(
            compat.toNative(text).strip().lower() for text in settings.nulls)
        self._kinds = {}  # place, or in long form series, to its Column
        self._moments = None
        self._folds = collections.defaultdict(moments.Folds)
        self._devices = {}
        self._stream = dialect.Rows(found.dialect, refusesMarks=True)
        for place in found.places:
            if found.series is None:
                self._kindAt(place, found.names[place])

    @property
    def columns(self):
        """Names of the values, in the order of the file."""
        if self.layout.series is not None:
            return sorted(set(compat.toText(name) for name in self._kinds))
        return [self.layout.names[place] for place in self.layout.places]

    @property
    def timeColumn(self):
        """The column of times, two with a comma between them, or None."""
        if not self.layout.times:
            return None
        return u",".join(self.layout.names[place]
                         for place in self.layout.times)

    @property
    def deviceColumn(self):
        """The column of devices, or None."""
        place = self.layout.device
        return None if place is None else self.layout.names[place]

    def exampleTime(self):
        """(cell, microseconds, whether it names no zone) of a first row."""
        for row in self._sample() if self._moments else []:
            cell = self.layout.timeCell(row)
            try:
                return (cell, self._moments.usec(cell, moments.Folds()),
                        moments.isNaive(cell, self.layout.family))
            except (ValueError, OverflowError):
                pass
        return None

    def kinds(self):
        """(name, kind) of each column."""
        return [(name, self._kinds[key].kind) for name, key in zip(
            self.columns, sorted(self._kinds) if self.layout.series is not None
            else self.layout.places)]

    def oddCells(self):
        """(name, cell) of columns that are texts for the sake of few cells."""
        return [(self.layout.names[at], self._kinds[at].odd)
                for at in self._texts(True)]

    def _kindAt(self, key, name):
        found = self._kinds.get(key)
        if found is None:
            found = self._kinds[key] = cells.Column(
                self._settings.types.get(name), self._gaps)
        return found

    # -- surveys ---------------------------------------------------------

    def survey(self, progress=None):
        """Look at all rows: orders, kinds, times, repeats."""
        self.layout.noteClocks(self._allRows())
        self._learnTimes(self._sample(), self._orderOf(self._allRows()))
        self._look(self._chunks(), progress)
        if self._repeats.isMixed:
            self._recount()
        self._refuseMixed()

    def surveyHead(self, lines):
        """Look at the first rows of a pipe."""
        self._learnTimes(self._sample(), self._orderOf(self._sample()))
        self._look(dialect.Rows(self.layout.dialect).chunks(lines, CHUNK))
        self._refuseMixed()
        for column in self._kinds.values():
            column.settle(self.decimal, isWhole=False)
        self.rows, self.repeated, self.first, self.last = 0, 0, None, None
        self._folds.clear()
        self._seen, self._doubtful = repeats.Seen(), 0

    def _allRows(self):
        return (row for chunk in self._chunks() for row in chunk.rows)

    def _sample(self):
        return [row for _, row in self.layout.sample]

    def _orderOf(self, rows):
        """Day or month first, if there are such dates; InDoubt if open."""
        times = self.layout.times
        order = moments.Order()
        if not times or self._settings.timeFormat not in (None,):
            return None
        for row in self._sample():
            order.look(row[times[0]])
        if not (order.fits or order.isOpen):
            return None
        for row in rows:
            if len(row) > max(times):
                order.look(row[times[0]])
        if order.isDoubtful():
            raise InDoubt(
                "{}: the dates in column {} fit dd/mm/yyyy {} mm/dd/yyyy (such "
                "as {}); give --time-format, such as \"%d/%m/%Y %H:%M:%S\""
                .format(self.name, compat.toNative(self.timeColumn),
                        "as well as" if order.isOpen and not order.fits
                        else "in some rows, in others", cells.shown(
                            self.layout.timeCell(self._sample()[0]))))
        return order.found()

    def _learnTimes(self, sample, order):
        """Make what reads the times, which wants to know their order."""
        family, settings = self.layout.family, self._settings
        if family is None:
            return
        isStrict = settings.timeFormat is None
        walls = moments.Moments(family, moments.zoneOf("UTC"), order, isStrict)
        seen = []
        for row in sample:
            try:
                seen.append(walls.usec(self.layout.timeCell(row), None))
            except ValueError:
                pass
        steps = [after - before for before, after in zip(seen, seen[1:])
                 if after != before]
        self.order = order
        self._moments = moments.Moments(
            family, settings.zone, order, isStrict,
            isDescending=2 * sum(step < 0 for step in steps) > len(steps),
            step=min(map(abs, steps)) / 1e6 if steps else None)

    def _look(self, chunks, progress=None):
        found = self.layout
        self._folds.clear()
        self._repeats = repeats.Repeats(self._differing)
        for chunk in chunks:
            _, rows, times, devices = self._timed(chunk, [])
            if rows:
                self._count(times)
                self._lookAtCells(rows)
                if found.times:
                    self._repeats.look(self._keys(rows, devices), times, rows)
            if progress is not None:
                progress(len(chunk.rows))
        self._settle()
        self.repeated = self._repeats.count

    def _count(self, times):
        self.rows += len(times)
        self.first = min(times if self.first is None else times + [self.first])
        self.last = max(times if self.last is None else times + [self.last])

    def _lookAtCells(self, rows):
        found = self.layout
        if found.series is None:
            columns = list(zip(*rows))
            for place in found.places:
                self._kinds[place].look(columns[place])
            return
        values = collections.defaultdict(list)
        for row in rows:
            values[row[found.series]].append(row[found.places[0]])
        for name in values:
            self._kindAt(name, compat.toText(name)).look(values[name])

    def _settle(self):
        decimal = self._settings.decimal or cells.decimalOf(
            list(self._kinds.values()), self.layout.dialect.delimiter)
        if decimal is None:
            raise InDoubt(
                "{}: it is not clear what the comma in numbers is for (column "
                "{}); give --decimal , or --decimal .".format(
                    self.name, ", ".join(
                        compat.toNative(compat.toText(name))
                        for name in self._commaed())))
        self.decimal = decimal
        for column in self._kinds.values():
            if self.layout.series is not None and not column.isSeen():
                column.settleEmpty()
            column.settle(decimal)

    def _commaed(self):
        return [key if self.layout.series is not None else
                self.layout.names[key] for key in sorted(self._kinds)
                if self._kinds[key].isCommaed()]

    def _keys(self, rows, devices):
        series = self.layout.series
        return devices if series is None else [
            (device, row[series]) for device, row in zip(
                devices or itertools.repeat(None), rows)]

    def _differing(self, one, other):
        return [place for place in self.layout.places
                if one[place] != other[place]
                and not self._isGap(one[place])
                and not self._isGap(other[place])]

    def _isGap(self, cell):
        return not cell or cell.strip().lower() in self._gaps

    def _recount(self):
        """Count repeats of rows in no order: needs to know all times."""
        places = self._texts(False)

        def records():
            self._folds.clear()
            for chunk in self._chunks():
                _, rows, times, devices = self._timed(chunk, [])
                for record in self._records(rows, times, devices, places):
                    yield record

        self.repeated, differing = repeats.recount(records(), self.rows)
        self._repeats.places = set(places[k] for k in differing)

    def _records(self, rows, times, devices, places):
        keys = self._keys(rows, devices) or itertools.repeat(None)
        for key, time, row in zip(keys, times, rows):
            yield (key, time), tuple([
                None if self._isGap(row[place]) else row[place]
                for place in places])

    def _texts(self, isOdd):
        """Of columns of texts those that a word alone makes so, or the others."""
        return [] if self.layout.series is not None else [
            place for place in self.layout.places
            if self._kinds[place].kind == cells.STRING
            and self.layout.isOddWord(place, self._kinds[place].odd) == isOdd]

    def _refuseMixed(self):
        telling = [self.layout.names[place] for place in self._texts(False)
                   if place in self._repeats.places]
        if telling:
            raise InDoubt(compat.toNative(
                u"{}: rows have the time of others ({}), and column {} tells "
                u"them apart; give --device-column {}, or --columns without it"
                .format(compat.toText(self.name), self.repeated,
                        u", ".join(telling), telling[0])))

    # -- rows ------------------------------------------------------------

    def batches(self):
        """Yield the rows of a file, as `Batch`."""
        self._folds.clear()
        for chunk in self._chunks():
            yield self._batch(chunk)

    def further(self, lines, isLast):
        """Yield the rows of further lines of a pipe, as `Batch`."""
        for chunk in self._stream.chunks(lines, CHUNK, isLast):
            yield self._batch(chunk)

    def _chunks(self):
        with dialect.linesOf(self._opener(), self.encoding) as lines:
            rows = dialect.Rows(self.layout.dialect)
            for chunk in rows.chunks(lines, CHUNK):
                yield chunk
            self.comments = rows.comments

    def _batch(self, chunk):
        bad = []
        numbers, rows, times, devices = self._timed(chunk, bad)
        if self._opener is None and rows:  # a file was surveyed
            if self.layout.times:
                numbers, rows, times, devices = self._certain(
                    numbers, rows, times, devices, bad)
            self._count(times)
        make = self._wide if self.layout.series is None else self._long
        groups = make(numbers, rows, times, devices, bad) if rows else []
        bad.sort(key=lambda found: found[0])
        return Batch(groups, sum(len(group.rows) for group in groups)
                     // self.parts, bad)

    def _certain(self, numbers, rows, times, devices, bad):
        """What is left of a pipe's rows without those that a file is refused for.

        Others have been sent by then, so that only these can be put aside.
        """
        places = self._texts(False)
        doubtful = set(self._seen.look(self._records(
            rows, times, devices, places)))
        self.repeated = self._seen.count - self._doubtful - len(doubtful)
        self._doubtful += len(doubtful)
        if not doubtful:
            return numbers, rows, times, devices
        names = u", ".join(self.layout.names[place] for place in places)
        why = compat.toNative(
            u"has the time of a row before it, which column {} may tell apart; "
            u"give --device-column, or --columns without it".format(names))
        bad.extend((numbers[k], rows[k], why) for k in sorted(doubtful))
        return [[one for k, one in enumerate(of) if k not in doubtful]
                if of is not None else None
                for of in (numbers, rows, times, devices)]

    def _timed(self, chunk, bad):
        """(line numbers, rows, times, devices or None) of the good rows."""
        numbers, rows = self._fitting(chunk, bad)
        found = self.layout
        usec, timeCell = self._moments and self._moments.usec, self.layout.timeCell
        time = found.times[0] if len(found.times) == 1 else None
        devices = None if found.device is None else []
        folds, kept, times = self._folds[None], [], []
        if devices is None and time is not None:
            before = folds.copy()
            try:  # at three times the speed
                return (numbers, rows, [usec(row[time], folds)
                                        for row in rows], None)
            except (ValueError, OverflowError):
                self._folds[None] = folds = before
        for place, row in enumerate(rows):
            try:
                if devices is not None:
                    device = self._deviceOf(row[found.device])
                    folds = self._folds[device]
                if time is not None:
                    times.append(usec(row[time], folds))
                elif usec is not None:
                    times.append(usec(timeCell(row), folds))
                else:
                    times.append(self._settings.now())
                if devices is not None:
                    devices.append(device)
                kept.append(place)
            except (ValueError, OverflowError) as error:
                if any(cell.strip() for cell in row):
                    bad.append((numbers[place], row, str(error)))
        if len(kept) < len(rows):
            numbers = [numbers[place] for place in kept]
            rows = [rows[place] for place in kept]
        return numbers, rows, times, devices

    def _fitting(self, chunk, bad):
        """Line numbers and rows behind the header, of the right width."""
        found = self.layout
        numbers, rows = chunk.numbers, chunk.rows
        bad.extend((number, [line], why) for number, line, why in chunk.bad
                   if number > found.start)
        if numbers and numbers[0] <= found.start:
            first = len([number for number in numbers
                         if number <= found.start])
            numbers, rows = numbers[first:], rows[first:]
        if set(map(len, rows)) <= set([found.width]):
            return numbers, rows
        kept = []
        for number, row in zip(numbers, rows):
            fitted = found.fit(row)
            if fitted is not None:
                kept.append((number, fitted))
            elif any(cell.strip() for cell in row):
                bad.append((number, row, "{} cells, where the header has {}"
                            .format(len(row), found.width)))
        return [number for number, _ in kept], [row for _, row in kept]

    def _deviceOf(self, cell):
        found = self._devices.get(cell)
        if found is None:
            found = self.layout.deviceId(cell, self._devices)
            self._devices[cell] = found
        return found

    def _wide(self, numbers, rows, times, devices, bad):
        found = self.layout
        columns = list(zip(*rows))
        try:
            values = [self._kinds[place].values(columns[place])
                      for place in found.places]
        except ValueError:
            return self._withoutBad(numbers, rows, times, devices, bad)
        groups = []
        for start in range(0, len(found.places), MAX_COLUMNS):
            names = found.columns[start:start + MAX_COLUMNS]
            dicts = [dict(zip(names, row)) for row in zip(
                *values[start:start + MAX_COLUMNS])]
            groups.extend(_byDevice(names, times, dicts, devices))
        return groups

    def _withoutBad(self, numbers, rows, times, devices, bad):
        """As `_wide`, once rows with an odd cell are put aside."""
        kept = []
        for k, row in enumerate(rows):
            try:
                for place in self.layout.places:
                    self._kinds[place].value(row[place])
                kept.append(k)
            except ValueError as error:
                bad.append((numbers[k], row, "{}: {}".format(
                    compat.toNative(self.layout.names[place]), error)))
        if not kept:
            return []
        return self._wide(*([[of[k] for k in kept] if of is not None else None
                             for of in (numbers, rows, times, devices)]
                            + [bad]))

    def _long(self, numbers, rows, times, devices, bad):
        found = self.layout
        groups = collections.OrderedDict()
        for k, row in enumerate(rows):
            name, cell = compat.toText(row[found.series]), row[found.places[0]]
            try:
                utils.checkValidSeriesName(name)
                value = self._valueInSeries(row[found.series], name, cell)
            except ValueError as error:
                bad.append((numbers[k], row, str(error)))
                continue
            if value is None:
                continue
            device = devices[k] if devices is not None else None
            groups.setdefault((device, name), []).append(
                (times[k], {name: value}))
        return [Group(device, [name], groups[device, name])
                for device, name in groups]

    def _valueInSeries(self, key, name, cell):
        column = self._kindAt(key, name)
        if column.kind is None:
            column.look([cell])
            if not column.isSeen():
                column.settleEmpty()
            column.settle(self.decimal, isWhole=False)
        if column.kind == cells.STRING and (
                not cell or self.layout.isExport):
            return compat.toText(cell)  # no gaps: a point is there, or not
        return column.value(cell)


def _byDevice(names, times, dicts, devices):
    rows = zip(times, dicts)
    if devices is None:
        return [Group(None, names, list(rows))]
    found = collections.OrderedDict()
    for device, row in zip(devices, rows):
        found.setdefault(device, []).append(row)
    return [Group(device, names, found[device]) for device in found]
