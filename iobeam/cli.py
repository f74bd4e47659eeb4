"""The command ``iobeam``: parse, call the library, print.

Project, token and backend come from IOBEAM_PROJECT_ID, IOBEAM_TOKEN and
IOBEAM_BACKEND, or from options; the token never from the command line, where
every user of the machine could read it.
"""
from __future__ import absolute_import

import argparse
import contextlib
import csv
import io
import json
import logging
import os
import re
import sys

from iobeam import doctor, iobeam
from iobeam import buffer as spool
from iobeam.endpoints import tokens
from iobeam.http import request
from iobeam.resources import data
from iobeam.utils import compat, utils

_BATCH_ROWS = 5000  # of a CSV file, between two calls of send()
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_WORDS = {"true": True, "false": False, "": None}
_UNITS = dict((unit.value, unit) for unit in data.TimeUnit)
_MICROSECONDS = {"sec": 1000000, "msec": 1000, "usec": 1}

OK, FAILED, WRONG = 0, 1, 2  # exit codes: done; not done; used wrongly


def run():
    """Entry point of the console script."""
    logging.basicConfig(format="iobeam: %(message)s", level=logging.WARNING)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


def main(argv=None):
    """Carry out a command line and return the exit code.

    0 done, 1 the backend or the disk does not do it, 2 used wrongly.
    """
    options = _parser().parse_args(argv)
    try:
        return options.command(options, _Context(options))
    except ValueError as error:
        return _complain(options, error, WRONG)
    except (request.Error, EnvironmentError) as error:
        return _complain(options, error, FAILED)


def _complain(options, error, code):
    sys.stderr.write("iobeam: {}\n".format(error))
    if options.json:
        _print(options, {"error": str(error)})
    return code


def _print(options, result, *lines):
    """Print a result: as JSON if asked for, else as lines of text."""
    if options.json:
        lines = [json.dumps(result, sort_keys=True)]
    for line in lines:
        sys.stdout.write(compat.toNative(line) + "\n")
    sys.stdout.flush()


class _Context(object):
    """Project, token and builder, each made when it is first needed."""

    def __init__(self, options):
        self._options = options

    def token(self):
        if self._options.token_file:
            with io.open(self._options.token_file, encoding="utf-8") as opened:
                found = compat.toNative(opened.read()).strip()
            if not found:
                raise ValueError("{} is empty".format(
                    self._options.token_file))
            return found
        found = os.environ.get("IOBEAM_TOKEN", "").strip()
        if not found:
            raise ValueError("there is no token: set IOBEAM_TOKEN, or name a "
                             "file with --token-file")
        return found

    def projectId(self):
        found = self._options.project \
            or os.environ.get("IOBEAM_PROJECT_ID", "").strip()
        if not found:  # the token knows
            found = utils.readToken(self.token()).get("pid")
        try:
            found = int(found)
        except (TypeError, ValueError):
            raise ValueError("the project is not known: set IOBEAM_PROJECT_ID "
                             "or give --project NUMBER")
        utils.checkValidProjectId(found)
        return found

    def builder(self):
        builder = iobeam.ClientBuilder(self.projectId(), self.token())
        if self._options.backend:
            builder.setBackend(self._options.backend)
        return builder

    def deviceBuilder(self):
        """Of the device that is named, else of the one in the folder."""
        if self._options.device:
            return self.builder().registerOrSetId(self._options.device)
        return self.builder().saveToDisk(self._options.path).registerDevice()


# -- commands ---------------------------------------------------------------


def _register(options, context):
    builder = context.builder().saveToDisk(options.path)
    if options.or_set:
        builder.registerOrSetId(options.device or "", options.name)
    else:
        builder.registerDevice(options.device, options.name)
    client = builder.build()
    client.close()
    _print(options, {"device_id": client.getDeviceId()}, client.getDeviceId())
    return OK


def _send(options, context):
    with _opened(options.file) as lines:
        return _sendRows(options, context, _readRows(options, lines))


def _sendRows(options, context, rows):
    columns = next(rows)
    builder = context.deviceBuilder()
    if options.buffer:
        builder.bufferToDisk(options.buffer)
    client = builder.build()
    try:
        failure, result = _sendBatches(options, client, columns, rows)
    finally:
        client.close()
    lines = ["{accepted} rows accepted, {rejected} refused, {pending} "
             "waiting".format(**result)]
    if failure is not None:
        result["error"] = str(failure)
        sys.stderr.write("iobeam: {}\n".format(failure))
        lines.append("the rest waits in the buffer: iobeam buffer flush"
                     if options.buffer else "repeat the command: a row that is "
                     "sent again replaces itself")
    _print(options, result, *lines)
    return FAILED if failure is not None or result["rejected"] else OK


def _sendBatches(options, client, columns, rows):
    """Send them; return what stopped it, or None, and the counts."""
    store = client.createDataStore(columns)
    result = {"accepted": 0, "rejected": 0, "pending": 0}
    failure = None
    with _progressBar(options) as advance:
        batch = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH_ROWS:
                failure = _sendBatch(client, store, batch, failure, result,
                                     advance)
                batch = []
                if failure is not None and not options.buffer:
                    break
        failure = _sendBatch(client, store, batch, failure, result, advance)
    result["pending"] = client.pending()
    return failure, result


def _sendBatch(client, store, batch, failure, result, advance):
    """Add rows and send them; return what stopped it, now or before."""
    store.addRows(batch)
    if failure is not None:  # for the buffer
        client.flush()
        return failure
    before = client.stats()["accepted"]
    try:
        client.send()
    except request.SendError as error:
        result["rejected"] += len(error.rejected)
        for refused in error.rejected[:3]:
            sys.stderr.write("iobeam: refused: {} {}\n".format(
                json.dumps(refused.row, sort_keys=True),
                json.dumps(refused.apiErrors, sort_keys=True)))
        failure = error if error.pending else None
    result["accepted"] += client.stats()["accepted"] - before
    advance(len(batch))
    return failure


@contextlib.contextmanager
def _opened(file):
    """The lines of a file as the csv module of this Python wants them."""
    if file == "-":
        yield sys.stdin
        return
    with open(file, "rb") if compat.PY2 else io.open(
            file, encoding="utf-8", newline="") as lines:
        yield lines


def _readRows(options, lines):
    """Yield the columns of a CSV file, then its rows as `addRows` has them."""
    reader = csv.reader(lines)
    header = [compat.toText(name).lstrip(u"\ufeff")
              for name in next(reader, [])]
    timeColumn = options.time or ("time" if "time" in header else None)
    if timeColumn is not None and timeColumn not in header:
        raise ValueError("{}: there is no column {}; its columns are {}".format(
            options.file, utils.shorten(timeColumn), ", ".join(header)))
    columns = [name for name in header if name != timeColumn]
    yield columns
    for cells in reader:
        if not cells:
            continue
        where = "{} line {}".format(options.file, reader.line_num)
        if len(cells) != len(header):
            raise ValueError("{}: {} cells, where the header has {}".format(
                where, len(cells), len(header)))
        row = dict(zip(header, map(compat.toText, cells)))
        moment = None
        if timeColumn is not None:
            moment = _moment(row.pop(timeColumn), options.unit, where)
        yield moment, dict((name, _value(cell)) for name, cell in row.items())


def _moment(cell, unit, where):
    cell = cell.strip()
    if _INTEGER.match(cell):
        return data.Timestamp(int(cell), unit=_UNITS[unit])
    if _NUMBER.match(cell):
        return data.Timestamp(int(round(float(cell) * _MICROSECONDS[unit])),
                              unit=data.TimeUnit.MICROSECONDS)
    raise ValueError("{}: {} is no time in {} since 1970; see --time and "
                     "--unit".format(where, utils.shorten(cell), unit))


def _value(cell):
    text = cell.strip()
    if _INTEGER.match(text):
        return int(text)
    if _NUMBER.match(text):
        return float(text)
    return _WORDS.get(text.lower(), cell)


class _progressBar(object):
    """tqdm on a terminal where it is installed (``iobeam[cli]``)."""

    def __init__(self, options):
        self._bar = None
        if not options.json and sys.stderr.isatty():
            try:
                import tqdm
            except ImportError:
                return
            self._bar = tqdm.tqdm(unit=" rows")

    def __enter__(self):
        return self._bar.update if self._bar is not None else lambda rows: None

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()


def _query(options, context):
    qry = iobeam.QueryReq(context.projectId(), options.device, options.series) \
        .fromTime(options.from_time).toTime(options.to_time) \
        .limit(options.limit)
    if options.group_by:
        qry.groupBy(options.group_by).operator(options.operator)
    if options.csv:
        qry.output("csv")
    found = iobeam.makeQuery(context.token(), qry, options.backend)
    if options.csv:
        _print(options, {"csv": found}, (found or u"").rstrip("\n"))
        return OK
    _print(options, found, *[
        u"{}\t{}\t{}\t{}".format(series["device_id"], series["name"],
                                 point["time"], json.dumps(point["value"]))
        for series in (found or {}).get("result", [])
        for point in series["data"]])
    return OK


def _token(options, context):
    token = context.token()
    if options.refresh:
        token = tokens.TokenService(requester=iobeam._requesterOf(
            options.backend)).refreshToken(token)
        if not isinstance(token, compat.TEXTS):
            raise request.Error("the answer to the refresh holds no token")
    result = doctor.describeToken(token)
    lines = ["{}: {}".format(name, result[name]) for name in sorted(result)]
    if options.refresh:  # asked for, and the only place that prints one
        result["token"] = token
        lines.append(token)
    _print(options, result, *lines)
    return OK


def _buffer(options, context):
    if not os.path.isdir(options.path):
        raise ValueError("{} is not a folder".format(options.path))
    return {"ls": _listBuffer, "flush": _flushBuffer, "drop": _dropBuffer,
            "rejected": _listRejected}[options.action](options, context)


def _openSpool(options):
    return spool.Spool(os.path.abspath(options.path))


def _listBuffer(options, context):
    names = ("project_id", "device_id", "chunks", "rows", "bytes")
    found = [dict(zip(names, line)) for line in _openSpool(options).summary()]
    _print(options, {"buffer": found}, *[
        u"project {project_id}\tdevice {device_id}\t{rows} rows\t{bytes} bytes"
        .format(**line) for line in found] or ["nothing waits"])
    return OK


def _flushBuffer(options, context):
    client = context.deviceBuilder().bufferToDisk(options.path).build()
    try:
        client.send()
    finally:
        counted = client.stats()
        client.close()
        _print(options, {"accepted": counted["accepted"],
                         "pending": counted["pending"]},
               "{accepted} rows accepted, {pending} waiting".format(**counted))
    return OK


def _listRejected(options, context):
    found = [{"device_id": device, "row": row, "status": status,
              "errors": list(errors)} for device, row, status, errors
             in _openSpool(options).rejectedRows(context.projectId(), 10000)]
    _print(options, {"rejected": found}, *[
        u"{device_id}\t{row}\t{status}\t{errors}".format(**dict(
            line, row=json.dumps(line["row"], sort_keys=True),
            errors=json.dumps(line["errors"], sort_keys=True)))
        for line in found] or ["nothing was refused"])
    return OK


def _dropBuffer(options, context):
    if not options.yes:
        raise ValueError("this deletes rows that were never delivered; say "
                         "--yes if you mean it")
    buffer_ = _openSpool(options)
    with buffer_.sender(5) as held:
        if not held:
            raise request.Error("another process is sending from this buffer")
        rows = buffer_.drop(context.projectId())
    _print(options, {"dropped": rows}, "{} rows dropped".format(rows))
    return OK


def _doctor(options, context):
    found = doctor.examine(context.projectId, context.token, options.backend,
                           options.path)
    _print(options, {"checks": [check._asdict() for check in found]}, *[
        "{} {}: {}{}".format("ok  " if check.ok else "FAIL", check.name,
                             check.detail, "" if check.ok or not check.advice
                             else "\n     " + check.advice)
        for check in found])
    return OK if all(check.ok for check in found) else FAILED


# -- the command line -------------------------------------------------------


class _Refused(argparse.Action):
    """An option that would show a secret to every user of the machine."""

    def __call__(self, parser, *_):
        parser.error("a token does not belong on the command line: set "
                     "IOBEAM_TOKEN, or name a file with --token-file")


def _parser():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--backend", metavar="URL",
                        help="instead of IOBEAM_BACKEND")
    common.add_argument("--project", metavar="N",
                        help="instead of IOBEAM_PROJECT_ID")
    common.add_argument("--token-file", metavar="FILE",
                        help="instead of IOBEAM_TOKEN")
    common.add_argument("--token", action=_Refused, help=argparse.SUPPRESS)
    common.add_argument("--path", default=".", metavar="FOLDER",
                        help="of the device id and the buffer (.)")
    common.add_argument("--json", action="store_true", help="print JSON")
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--device", metavar="ID")

    parser = argparse.ArgumentParser(prog="iobeam", description="Send time "
                                     "series to iobeam, and ask for them.")
    parser.add_argument("--version", action="version",
                        version=iobeam.__version__)
    commands = parser.add_subparsers(dest="name", metavar="COMMAND")
    commands.required = True

    def command(name, function, help_, *parents):
        made = commands.add_parser(name, parents=[common] + list(parents),
                                   help=help_, description=help_)
        made.set_defaults(command=function)
        return made

    made = command("register", _register, "register a device and keep its id",
                   device)
    made.add_argument("--name", metavar="NAME")
    made.add_argument("--or-set", action="store_true",
                      help="use the id also if it is registered already")
    made = command("send", _send, "send the rows of a CSV file", device)
    made.add_argument("file", metavar="FILE.csv",
                      help="its first line names the columns; - is the "
                           "standard input")
    made.add_argument("--time", metavar="COL", help="the column that holds "
                      "the time (time, if there is one; else it is now)")
    made.add_argument("--unit", choices=sorted(_UNITS), default="msec",
                      help="of the time (msec)")
    made.add_argument("--buffer", metavar="FOLDER",
                      help="keep there what cannot be delivered")
    made = command("query", _query, "ask for points", device)
    made.add_argument("--series", metavar="NAME")
    made.add_argument("--from", dest="from_time", type=int, metavar="MSEC")
    made.add_argument("--to", dest="to_time", type=int, metavar="MSEC")
    made.add_argument("--limit", type=int, metavar="N")
    made.add_argument("--group-by", metavar="INTERVAL", help="such as 1h")
    made.add_argument("--operator", default="mean",
                      help="of --group-by: mean, min, max, sum, count")
    made.add_argument("--csv", action="store_true")
    made = command("token", _token, "show what the token says")
    made.add_argument("--refresh", action="store_true",
                      help="exchange it, and print the new one")
    made = command("buffer", _buffer, "look at the disk buffer in --path",
                   device)
    made.add_argument("action", choices=("ls", "flush", "rejected", "drop"))
    made.add_argument("--yes", action="store_true", help="drop: do it")
    command("doctor", _doctor, "find out why nothing arrives")
    return parser
