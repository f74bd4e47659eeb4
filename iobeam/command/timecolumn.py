"""Which column of a table holds its times, and of what form they are.

Pure, and the standard library alone. Names give a hint, cells decide; where two
columns would do, or none does, it refuses (`InDoubt`).
"""
from __future__ import absolute_import

import collections
import re

from iobeam.command import cells, moments
from iobeam.command.dialect import InDoubt, NoRows
from iobeam.utils import compat

# Names of columns of times, from the surest on; what stands in brackets, and
# all that is no letter, is left out of account.
_NAMES = frozenset("""
    time timestamp datetime date date_time date_and_time ts time_stamp utc
    time_utc utc_time timestamp_utc utc_timestamp datetime_utc date_utc
    date_time_utc local_time time_local localtime unix unixtime unix_time
    unix_timestamp epoch epoch_time tmstamp tm_stamp timestamp_ms time_ms timestamp_s
    time_s zeit zeitstempel datum datum_zeit uhrzeit datum_uhrzeit messzeit
    zeitpunkt hhmm hhmmss hh_mm hh_mm_ss heure date_heure date_et_heure
    horodatage fecha hora fecha_hora
    fecha_y_hora data ora data_ora tijd datum_tijd tid day clock when hour
    """.split())
_FURTHER_NAMES = frozenset("""
    created_at updated_at last_changed last_updated recorded_at measured_at
    logged_at received_at sampled_at observed_at reported_at sent_at start end
    begin from to at dt valid obstime mess_datum
    """.split())
_WORDS = frozenset("""
    time timestamp datetime date zeit zeitstempel datum uhrzeit heure hora
    fecha tijd
    """.split())
_CLOCKS = frozenset(["time", "hour", "clock", "uhrzeit", "heure", "hora", "ora",
                     "tijd", "tid", "stunde", "hours"])
# Words in names of columns whose 00:15:00 is no time of day.
_SPANS = frozenset("""
    age dauer delay duration elapsed eta gap interval lag laufzeit length pause
    runtime span timeout took uptime wait
    """.split())
_FEW = 6  # lines of a pipe that may all be header
_readers = {}  # of formats that were given
_SURE = (moments.FULL, moments.DATE, moments.COMPACT)
_WHOLE_TIMES = _SURE + moments.EPOCHS + (moments.EITHER,)


def plainName(name):
    """A name as `_NAMES` has it: small letters, no unit in brackets."""
    name = re.sub(u"([a-z])([A-Z])", u"\\1_\\2", name)  # createdAt
    name = re.sub(u"[(\\[].*?[)\\]]", u"", name.lower())
    return re.sub(u"[^a-z0-9]+", u"_", name).strip(u"_") or (
        # "(UTC)" alone, "Time" in brackets
        re.sub(u"[^a-z0-9]+", u"_", name).strip(u"_"))


def tierOf(name):
    """How sure a name is one of times: 0, 1, or None for any other."""
    plain = plainName(name)
    if plain in _NAMES:
        return 0
    if plain in _FURTHER_NAMES or _WORDS & set(plain.split("_")):
        return 1
    return None


def looksLike(cell, timeFormat):
    """What time a cell may be, or None."""
    if timeFormat is None:
        found = moments.look(cell)
        return found if found in _WHOLE_TIMES else None
    if timeFormat == "iso":
        found = moments.look(cell)
        return found if found in _SURE else None
    if timeFormat not in _readers:
        _readers[timeFormat] = moments.Moments(
            timeFormat, moments.zoneOf("UTC"), isStrict=False)
    try:
        _readers[timeFormat].usec(cell, moments.Folds())
    except (ValueError, OverflowError):
        return None
    return timeFormat


def place(layout, settings):
    """Set `times` and `family` of a layout."""
    if settings.isNow():
        return
    profiles = [_profile(layout, place, settings.timeFormat)
                for place in range(layout.width)]
    if settings.time:
        layout.times = tuple(layout.placeOf(name, "--time")
                             for name in settings.time)
        if len(layout.times) > 2:
            raise InDoubt("--time: one column, or two (date and clock)")
        _checkGiven(layout, settings, profiles)
    else:
        layout.times = _search(layout, settings, profiles)
    layout.family = settings.timeFormat
    if len(layout.times) == 2 and \
            profiles[layout.times[1]] == moments.CLOCK_DIGITS:
        # 930 and 1015, 4523 and 101500: zeros in front are left out
        layout.clockDigits = 4
        layout.noteClocks(row.cells for row in layout.sample)
    if settings.timeFormat in (None, "iso"):
        what = profiles[layout.times[0]]
        if what == moments.EITHER:
            raise InDoubt(
                "{}: the times in column {} may be yyyymmddhh or seconds since "
                "1970; give --time-format %Y%m%d%H, or sec".format(
                    layout.name, _named(layout, layout.times[0])))
        layout.family = what if what in moments.EPOCHS else "calendar"


def _profile(layout, place, timeFormat):
    """What most cells of a column are, as `moments.look` says, or None."""
    found = layout.cellsAt(place)
    if not found:
        return None
    if timeFormat not in (None, "iso"):
        kinds = collections.Counter(looksLike(cell, timeFormat)
                                    for cell in found)
    else:
        kinds = collections.Counter(moments.look(cell) for cell in found)
        units = [kind for kind in moments.EPOCHS + (moments.EITHER,)
                 if kinds[kind]]
        if timeFormat == "iso":
            for kind in units:
                del kinds[kind]
    kind, count = max(kinds.items(), key=lambda item: (
        item[1], item[0] is not None)) if kinds else (None, 0)
    return kind if 2 * count >= len(found) else None


def _checkGiven(layout, settings, profiles):
    """Refuse a column that was named and holds no times."""
    if settings.timeFormat not in (None, "iso"):
        return
    kinds = [profiles[place] for place in layout.times]
    if len(kinds) == 2:
        if kinds[0] not in (moments.DATE, moments.COMPACT, moments.FULL) or \
                kinds[1] not in (moments.CLOCK, moments.CLOCK_DIGITS):
            raise InDoubt("{}: columns {} hold no dates and clock times "
                          "(such as {}); give --time-format".format(
                              layout.name, ",".join(settings.time),
                              _example(layout, layout.times[1])))
    elif kinds[0] not in _WHOLE_TIMES:
        raise _noTimes(layout, layout.times[0], kinds[0])


def _noTimes(layout, place, kind):
    if kind in (moments.CLOCK, moments.CLOCK_DIGITS):
        return InDoubt(
            "{}: column {} holds times of day without a date (such as {}); "
            "name both columns with --time DATE,CLOCK".format(
                layout.name, _named(layout, place), _example(layout, place)))
    return InDoubt(
        "{}: column {} holds no time that is known (such as {}); give "
        "--time-format FMT: one of strftime's, or iso, sec, msec, usec, nsec; "
        "or another column with --time".format(
            layout.name, _named(layout, place), _example(layout, place)))


def _example(layout, place):
    found = layout.cellsAt(place)
    return cells.shown(found[0] if found else "")


def _named(layout, place):
    return compat.toNative(layout.names[place]) or '""'


def _search(layout, settings, profiles):
    """The places of the times; InDoubt if none, or several."""
    isNumbers = settings.timeFormat in moments.EPOCHS
    tiers = {0: [], 1: [], 2: []}
    for place, name in enumerate(layout.names):
        kind = profiles[place]
        if kind is None or (settings.timeFormat in (None, "iso")
                            and kind not in _WHOLE_TIMES):
            continue
        tier = tierOf(name)
        if tier is None:
            if isNumbers or (kind not in (moments.FULL, moments.DATE)
                             and settings.timeFormat is None and name):
                continue  # a number may be anything, in a column of any name
            tier = 2 if name or settings.timeFormat else 1
        tiers[tier].append(place)
    found = tiers[0] or tiers[1] or tiers[2]
    if not found:
        raise _noColumn(layout, profiles)
    full = [place for place in found
            if profiles[place] not in (moments.DATE, moments.COMPACT)]
    if full and len(full) < len(found):
        found = full
    if len(found) > 1 and not _areAlike(layout, found, settings):
        raise InDoubt(
            "{}: columns {} hold times; choose one with --time".format(
                layout.name, ", ".join(_named(layout, place)
                                       for place in found)))
    # of columns that say the same, one called "time" could not be a series
    found.sort(key=lambda place: layout.names[place].lower() != "time")
    return _withClock(layout, profiles, found[0])


def _areAlike(layout, places, settings):
    """True if columns tell the same times, all through the sample."""
    readers = {}

    def instant(cell):
        kind = moments.look(cell)
        family = kind if kind in moments.EPOCHS else "calendar"
        if family not in readers:
            readers[family] = moments.Moments(family, settings.zone)
        return readers[family].usec(cell, moments.Folds())

    try:
        return all(len(set(instant(row.cells[place]) for place in places)) == 1
                   for row in layout.sample)
    except ValueError:
        return False


def _withClock(layout, profiles, place):
    """The column of a date, and that of its clock if there is one."""
    clocks = [other for other, kind in enumerate(profiles)
              if kind in (moments.CLOCK, moments.CLOCK_DIGITS)
              and tierOf(layout.names[other]) is not None
              and not _isSpan(layout.names[other])]
    sure = [other for other in clocks if tierOf(layout.names[other]) == 0]
    clocks = sure or clocks
    isMidnight = profiles[place] == moments.FULL and _isMidnight(layout, place)
    isDate = profiles[place] in (moments.DATE, moments.COMPACT)
    if not clocks and (isDate or isMidnight):
        _refuseWhole(layout, profiles, place)
    if not clocks and isDate:
        _refuseHours(layout, profiles, place)
    if not clocks or not (isDate or isMidnight):
        return (place,)
    if len(clocks) > 1 or isMidnight:
        raise InDoubt(
            "{}: column {} holds dates, and {} times of day; name the two "
            "that belong together with --time DATE,CLOCK".format(
                layout.name, _named(layout, place), ", ".join(
                    _named(layout, other) for other in clocks)))
    return (place, clocks[0])


def _isMidnight(layout, place):
    return all(re.search(r"[T ]0?0:00(:00(\.0*)?)?\Z", cell.strip())
               for cell in layout.cellsAt(place))


def _refuseWhole(layout, profiles, place):
    """Refuse dates beside one other column that has such with a clock."""
    whole = [other for other, kind in enumerate(profiles)
             if kind == moments.FULL and tierOf(layout.names[other]) is None
             and layout.names[other] and not _isMidnight(layout, other)]
    if len(whole) == 1:  # of several, such as sunrise and sunset, none is it
        raise InDoubt(
            "{}: column {} holds dates, and column {} times; choose one with "
            "--time".format(layout.name, _named(layout, place),
                            _named(layout, whole[0])))


def _isSpan(name):
    return bool(_SPANS & set(plainName(name).split("_")))


def _refuseHours(layout, profiles, place):
    """Refuse a date beside what may be its time, in a way that is not known."""
    odd = [other for other, name in enumerate(layout.names)
           if plainName(name) in _CLOCKS and layout.cellsAt(other)
           and profiles[other] not in _WHOLE_TIMES]
    if not odd:  # one of another name; of several, none is that of the date
        odd = [other for other, kind in enumerate(profiles)
               if kind == moments.CLOCK and not _isSpan(layout.names[other])]
        odd = odd if len(odd) == 1 else []
    if odd:
        raise InDoubt(
            "{}: column {} holds dates, and column {} may hold their times of "
            "day (such as {}); give --time {} if the dates are to do, or "
            "--time DATE,CLOCK with --time-format".format(
                layout.name, _named(layout, place), _named(layout, odd[0]),
                _example(layout, odd[0]), _named(layout, place)))


def _noColumn(layout, profiles):
    named = [place for tier in (0, 1)
             for place, name in enumerate(layout.names)
             if tierOf(name) == tier and layout.cellsAt(place)]
    error = _noTimes(layout, named[0], profiles[named[0]]) if named else \
        InDoubt("{}: no column holds times; its columns are {}; give --time "
                "COL, or --time now if each row is to have the time at which "
                "it is read".format(layout.name, layout.listed()))
    # a pipe may begin with lines of units, and its rows come later
    isHeader = len(layout.sample) < _FEW and not any(
        cells.kindOf(cell.strip()) < cells.TEXT
        for row in layout.sample for cell in row.cells)
    return NoRows(str(error)) if isHeader else error
