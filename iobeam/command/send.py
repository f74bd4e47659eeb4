"""``iobeam send``: tables of any logger, from files or from a pipe."""
from __future__ import absolute_import

import argparse
import csv
import io
import json

from iobeam.command import cells, common, moments, pipe, readings
from iobeam.command.consignment import Consignment
from iobeam.http import request
from iobeam.utils import compat, utils, zones

_SHOWN, _BAD_SHOWN = 10, 3  # rows of --dry-run
_BATCH_VALUES = 20000  # of a file, between two calls of send()
_USEC_PER_MSEC = 1000

_EPILOG = """\
Without options it finds out encoding, separator, decimal comma, header, units,
the column of times and their form, and says so; what can be read in two ways
is refused with the option that settles it. Times without a zone are those of
--tz, else of this machine.

  iobeam send log.csv --dry-run           look first
  iobeam send log.csv --device cellar     send
  sensor | iobeam send - --time now --buffer /var/lib/sensor
"""


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(commands, "send", _send, "send the rows of tables: "
                           "CSV files, or a pipe", common.deviceOption())
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.epilog = _EPILOG
    made.add_argument("files", nargs="+", metavar="FILE",
                      help="- is the standard input")
    made.add_argument("--device-column", metavar="COL", type=common.notEmpty,
                      help="its cells name the devices")
    made.add_argument("--time", metavar="COL[,COL]", type=common.notEmpty,
                      help="the column of times, those of date and clock, or "
                      "now: each row has the time at which it is read")
    made.add_argument("--time-format", metavar="FMT", type=_timeFormat,
                      help="of strftime, such as %%d/%%m/%%Y; or iso, sec, "
                      "msec, usec, nsec")
    made.add_argument("--unit", dest="time_format", type=_timeFormat,
                      help=argparse.SUPPRESS)  # what 1.0.0 called it
    made.add_argument("--tz", metavar="ZONE", help="of times that name none: "
                      "Europe/Berlin, UTC, +01:00, local (local)")
    made.add_argument("--delimiter", metavar="C", type=_delimiter,
                      help="between cells; tab is a word for one")
    made.add_argument("--decimal", metavar="C", choices=(".", ","),
                      help="the mark in numbers: . or ,")
    made.add_argument("--encoding", metavar="NAME", help="such as latin-1")
    made.add_argument("--skip", metavar="N", type=_count, default=0,
                      help="lines at the start to leave out")
    made.add_argument("--null", metavar="TEXT", action="append", default=[],
                      help="a cell that says nothing, such as -999; again for "
                      "more")
    made.add_argument("--type", metavar="COL=KIND", action="append",
                      default=[], type=_type, help="number, boolean or string; "
                      "again for more columns")
    made.add_argument("--columns", metavar="A,B,...", type=_names,
                      help="those to send; the names of all, if no line of "
                      "the file has them")
    made.add_argument("--dry-run", action="store_true", help="send nothing; "
                      "show the first rows as they would go")
    made.add_argument("--buffer", metavar="FOLDER", type=common.notEmpty,
                      help="keep there what cannot be delivered")


def _timeFormat(text):
    if text not in moments.EPOCHS + ("iso",) and "%" not in text:
        raise argparse.ArgumentTypeError(
            "{} is none of iso, sec, msec, usec, nsec, and has no %".format(
                text))
    return text


def _delimiter(text):
    text = compat.toText({"tab": "\t", "\\t": "\t"}.get(text.lower(), text))
    if len(text) != 1 or text in u'"\r\n' or ord(text) > 127:
        raise argparse.ArgumentTypeError("it has to be one character")
    return compat.toNative(text)


def _count(text):
    if not text.isdigit():
        raise argparse.ArgumentTypeError("{} is no number of lines".format(
            text))
    return int(text)


def _type(text):
    name, _, kind = text.rpartition("=")
    if not name or kind not in cells.KINDS:
        raise argparse.ArgumentTypeError(
            "{} is not COL=number, COL=boolean or COL=string".format(text))
    return compat.toText(name), kind


def _names(text):
    found = next(csv.reader([text]), [])
    return [compat.toText(name).strip() for name in found]


def _send(options, context):
    """Inspect all files, so that a doubt leaves all of them unsent."""
    if not options.dry_run:
        context.checkBackend()
    settings = _settings(options)
    if "-" in options.files:
        if len(options.files) > 1:
            raise ValueError("- for the standard input stands alone")
        if options.token_file == "-":
            raise ValueError("the rows come from the standard input: the token "
                             "has to come from elsewhere")
        return pipe.send(options, context, settings, _describe, _show)
    try:
        found = [_inspect(options, file, settings) for file in options.files]
    except KeyboardInterrupt:
        raise request.Error("interrupted; nothing was sent")
    if options.dry_run:
        return _show(options, [(reading, reading.batches())
                               for reading in found])
    return _sendFiles(options, context, found)


def _inspect(options, file, settings):
    with common.counting(options, doing="reading " + file) as advance:
        reading = readings.inspect(file, lambda: io.open(file, "rb"), settings,
                                   advance)
    _describe(options, reading, settings)
    return reading


def _settings(options):
    return readings.Settings(
        delimiter=options.delimiter, decimal=options.decimal,
        encoding=options.encoding, skip=options.skip, nulls=options.null,
        types=dict(options.type), columns=options.columns,
        time=options.time and _names(options.time),
        timeFormat=options.time_format, zone=zones.zoneOf(options.tz),
        deviceColumn=options.device_column and compat.toText(
            options.device_column), now=_Now())


class _Now(object):
    """The time of rows that have none: each its own, or they were one."""

    def __init__(self):
        self._last = 0

    def __call__(self):
        self._last = max(self._last + 1, int(utils.time.time() * 1000000))
        return self._last


# -- what was understood ------------------------------------------------------------


def _describe(options, reading, settings):
    """Say in two lines what a file, or a pipe, was taken for."""
    if reading.layout is None:
        common.tell(reading.why)
        return
    written = [{",": "commas", ";": "semicolons", "\t": "tabs",
                "|": "bars", " ": "blanks"}.get(
                    reading.layout.dialect.delimiter,
                    reading.layout.dialect.delimiter)]
    if reading.decimal == ",":
        written.append("decimal comma")
    if reading.encoding != "utf-8":
        written.append(reading.encoding + (
            ", as it is no UTF-8" if reading.isFallback else ""))
    if reading.comments:
        written.append("{} comments".format(reading.comments))
    common.tell(u"{}: {}; {}".format(
        compat.toText(reading.name), ", ".join(written + reading.layout.notes),
        _times(reading, settings)))
    if options.device is not None and reading.layout.device is not None:
        common.tell("--device {} is not used: the column {} names the devices"
                    .format(options.device, compat.toNative(
                        reading.deviceColumn)))
    kinds = [u"{} ({})".format(name, kind or "gaps")
             for name, kind in reading.kinds()]
    more = u" and {} more".format(len(kinds) - 12) if len(kinds) > 12 else u""
    common.tell(u"{}: {}{}".format(
        "series" if reading.layout.series is not None else "columns",
        u", ".join(kinds[:12]), more))
    for name, cell in reading.oddCells():
        common.tell(u"column {0} is text, since a cell of it is {1}; if that "
                    u"says nothing, give --null {1}".format(
                        name, cells.shown(cell)))
    if reading.repeated:
        common.tell("{} rows have a time that was there before: the last of "
                    "them counts".format(reading.repeated))


def _times(reading, settings):
    if reading.timeColumn is None:
        return u"time: now"
    found = u"time in {}".format(u" and ".join(
        u'"{}"'.format(reading.layout.names[place])
        for place in reading.layout.times))
    example = reading.exampleTime()
    if example is not None:
        cell, usec, isNaive = example
        found += u", {} is {}".format(compat.toText(cell).strip(),
                                      zones.zoneOf().shown(usec))
        if isNaive:
            found += u" ({})".format(settings.zone.name)
            if settings.zone.isLocal and u"utc" in reading.timeColumn.lower():
                found += u"; if the times are UTC, give --tz UTC"
    return found


def _msec(usec):
    return None if usec is None else usec // _USEC_PER_MSEC


# -- without sending ------------------------------------------------------------------


def _show(options, named):
    """Print what would be sent of (reading, batches); 1 if not all would."""
    results, lines, bad = [], [], 0
    zone = zones.zoneOf()
    for reading, batches in named:
        shown, rows = 0, 0
        for batch in batches:
            rows += batch.rows
            for number, _, why in batch.bad:
                bad += 1
                if bad <= _BAD_SHOWN:
                    common.tell("{} line {}: {}".format(reading.name, number,
                                                        why))
            for group in batch.groups:
                for usec, row in group.rows[:_SHOWN - shown]:
                    lines.append(_line(group, zone.shown(usec), row))
                    shown += 1
        results.append({"columns": reading.columns, "rows": rows,
                        "timeColumn": reading.timeColumn,
                        "first": _msec(reading.first),
                        "last": _msec(reading.last)})
        lines.append(u"{}: {} rows would go".format(
            compat.toText(reading.name), rows))
    if bad:
        common.tell("{} rows would be left out".format(bad))
    common.say(options, results[0] if len(results) == 1 else
               {"files": results}, *lines)
    return common.FAILED if bad else common.OK


def _line(group, moment, row):
    cells_ = u"\t".join(
        u"{}={}".format(name, json.dumps(row[name], ensure_ascii=False))
        for name in group.columns if row[name] is not None)
    device = u"{}\t".format(group.device) if group.device else u""
    return u"{}{}\t{}".format(device, moment, cells_)


# -- sending --------------------------------------------------------------------------


def _sendFiles(options, context, found):
    """Send files that are understood, one after the other."""
    sent = Consignment(options, context)
    total = sum(reading.rows for reading in found)
    with sent.interruptible():
        with common.counting(options, total) as advance:
            for reading in found:
                with sent.rejectsOf(reading) as rejects:
                    _sendFile(reading, sent, rejects, advance)
                if sent.isStopped():
                    break
    return sent.report()


def _sendFile(reading, sent, rejects, advance):
    for batch in reading.batches():
        sent.add(batch.groups)
        rejects.add(batch.bad)
        if sent.values >= _BATCH_VALUES:
            sent.send()
        advance(batch.rows + len(batch.bad))
        if sent.isStopped():
            return
    sent.send()
