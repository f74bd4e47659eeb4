"""``iobeam query``: points of the backend."""
from __future__ import absolute_import

import argparse
import errno
import sys

from iobeam.command import common, devices, forms, near, period
from iobeam.command.points import Points
from iobeam.http import call, request
from iobeam.utils import compat, utils, zones

_EPILOG = """\
A time is written as 2026-01-31T12:00 (this machine's zone, or that of --tz),
2026-01-31T12:00:00Z, 2026-01-31, or in milliseconds since 1970; --from and --to
belong to the range, in whole milliseconds. On a terminal the answer is a table,
else it has tabs between device, series, time and value.

  iobeam query --since 1h
  iobeam query --series temperature --from 2026-01-01 --to 2026-02-01 --csv
  iobeam query --device cellar --since 7d --group-by 1h --operator max

Exit codes: 0 something was found, 1 nothing was, or it failed, 2 used wrongly.
"""


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(commands, "query", _query, "ask for points",
                           common.deviceOption(), common.zoneOptions())
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.epilog = _EPILOG
    made.add_argument("--series", metavar="NAME", type=common.notEmpty)
    begin = made.add_mutually_exclusive_group()
    begin.add_argument("--since", metavar="SPAN", help="the last 90s, 30m, "
                       "1h, 7d, 2w; or a time, as --from")
    begin.add_argument("--from", dest="from_time", metavar="TIME")
    made.add_argument("--to", dest="to_time", metavar="TIME")
    made.add_argument("--limit", type=int, metavar="N",
                      help="the last N points of each series")
    made.add_argument("--group-by", metavar="INTERVAL",
                      help="one value for each 10s, 1h, ...")
    made.add_argument("--operator", metavar="NAME", help="what --group-by "
                      "computes: mean, min, max, sum, count (mean); alone: "
                      "one value of all points")
    made.add_argument("--timeout", type=_seconds, metavar="SECONDS",
                      help="give up after so long")
    made.add_argument("--csv", action="store_true", help="print CSV, with "
                      "times in microseconds; --json has those as well")


def _seconds(text):
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError(
            "{} is no number of seconds above 0".format(text))
    return found


def _query(options, context):
    common.checkForms(options)
    zone = zones.zoneOf(options.tz)
    start, end = _range(options, zone)
    context.checkBackend()
    found = Points(context.ask, context.projectId(), options.device,
                   options.series, start, end, options.limit, options.group_by,
                   options.operator or ("mean" if options.group_by else None))
    form = _form(options, context, zone)
    if options.timeout is None:
        return _answer(options, context, found, form, (start, end), zone)
    with call.Call(options.timeout, None):
        return _answer(options, context, found, form, (start, end), zone)


def _range(options, zone):
    """The microseconds of --since or --from, and of --to; None where open."""
    start = end = None
    if options.since is not None:
        if period.isSpan(options.since):
            start = period.before("--since", int(utils.time.time()) * 1000000,
                                  period.seconds(options.since))
        else:
            try:
                start = period.instant("--since", options.since, zone,
                                       isPlain=False)
            except ValueError as error:
                raise ValueError("{}; a duration is such as 90s, 30m, 1h, 7d, "
                                 "2w".format(error))
    if options.from_time is not None:
        start = period.instant("--from", options.from_time, zone)
    if options.to_time is not None:
        end = period.instant("--to", options.to_time, zone, isEnd=True)
    if start is not None and end is not None and start > end:
        raise ValueError("the range is reversed: it begins at {} and ends at "
                         "{}".format(zone.shown(start), zone.shown(end)))
    return start, end


def _form(options, context, zone):
    if options.json:
        return forms.Json(context.projectId())
    if options.csv:
        return forms.Csv(context.projectId())
    return (forms.Listing if sys.stdout.isatty() else forms.Lines)(zone)


def _answer(options, context, found, form, ends, zone):
    """Print the points as they come; 1 if there are none."""
    points = 0
    try:
        with _progress(options) as advance:
            for device, name, piece in found.pieces():
                points += len(piece)
                advance(len(piece))
                _write(form.piece(device, name, piece))
    except (request.Error, EnvironmentError) as error:
        if not points or getattr(error, "errno", None) == errno.EPIPE:
            raise
        # No JSON behind what is the beginning of one.
        common.tell("the answer is not complete: {}".format(
            common.wordsOf(error)))
        return common.FAILED
    _write(form.end())
    if points:
        return common.OK
    common.tell(_whyNothing(options, context, found.newest(), ends, zone))
    return common.FAILED


def _progress(options):
    """On a terminal the answer itself shows how it goes on."""
    return common.counting(options, doing="reading",
                           isShown=not sys.stdout.isatty())


def _write(text):
    common.write(sys.stdout, text)
    sys.stdout.flush()


def _whyNothing(options, context, newest, ends, zone):
    """Say what is not there, and what is."""
    of = u""
    if options.device is not None:
        device = compat.toText(options.device)
        newest = [one for one in newest if one[0] == device]
        if not newest:
            every = devices.registered(context)
            return u"device {} has no points yet".format(device) \
                if device in every else u"no device {}; there are: {}".format(
                    device, near.names(device, every))
        of = u" of device " + device
    if options.series is not None:
        series = compat.toText(options.series)
        every = [one[1] for one in newest]
        if series not in every:
            return u"no series {}{}; there are: {}".format(
                series, of, near.names(series, every))
        newest = [one for one in newest if one[1] == series]
    if not newest:
        return u"the project has no points yet"
    start, end = ends
    return u"nothing {}; the newest point is of {}".format(
        u" ".join(word for word in (
            start is not None and u"from " + zone.shown(start),
            end is not None and u"to " + zone.shown(end)) if word)
        or u"that can be computed so",
        zone.shown(max(one[2] for one in newest)))
