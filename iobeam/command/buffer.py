"""``iobeam buffer``: what waits in a folder's disk buffer."""
from __future__ import absolute_import

import contextlib
import json
import os
import sys

from iobeam.command import common
from iobeam.http import address, request
from iobeam.spool.buffer import Spool
from iobeam.utils import compat


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(commands, "buffer", _buffer, "look at the disk "
                           "buffer in --path", common.deviceOption())
    made.add_argument("action",
                      choices=("ls", "flush", "adopt", "rejected", "drop"))
    made.add_argument("--yes", action="store_true", help="adopt, drop: do it")


def _buffer(options, context):
    if options.action == "flush":
        context.checkBackend()
    if not os.path.isdir(options.path):
        raise ValueError("{} is not a folder".format(options.path))
    return {"ls": _listBuffer, "flush": _flushBuffer, "adopt": _adoptBuffer,
            "drop": _dropBuffer, "rejected": _listRejected
            }[options.action](options, context)


def _openSpool(options, context):
    return Spool(os.path.abspath(options.path), baseUrl=address.backendOf(
        request.baseUrl(context.backend())))


@contextlib.contextmanager
def _aloneWith(buffer_):
    with buffer_.sender(5) as held:
        if not held:
            raise request.Error("another process is sending from this buffer")
        yield


def _rowsFor(rows):
    """What a dict of base URLs and numbers of rows says, a line each."""
    return [u"{} rows for {}".format(rows[url], url or "any backend")
            for url in sorted(rows, key=lambda url: url or "")]


def _listBuffer(options, context):
    names = ("project_id", "device_id", "chunks", "rows", "bytes", "backend")
    found = [dict(zip(names, line)) for line in
             Spool(os.path.abspath(options.path)).summary()]
    common.say(options, {"buffer": found}, *[
        u"project {project_id}\tdevice {device_id}\t{rows} rows\t{bytes} bytes"
        u"\t{0}".format(line["backend"] or "any backend", **line)
        for line in found] or ["nothing waits"])
    return common.OK


def _flushBuffer(options, context):
    client = context.deviceBuilder().bufferToDisk(options.path).build()
    try:
        with common.counting(options, client.pending()) as advance:
            client.send(progress=common.steps(advance))
    finally:
        counted = client.stats()
        client.close()
        common.say(options, {"accepted": counted["accepted"],
                         "pending": counted["pending"]},
               "{accepted} rows accepted, {pending} waiting".format(**counted),
               *[line + ", left there: see iobeam buffer adopt" for line in
                 _rowsFor(_openSpool(options, context).foreign(client.projectId))])
    return common.OK


def _adoptBuffer(options, context):
    buffer_, projectId = _openSpool(options, context), context.projectId()
    if buffer_.baseUrl is None:
        raise ValueError("there is no backend to hand rows to: set "
                         "IOBEAM_BACKEND, or give --backend URL")
    foreign = _rowsFor(buffer_.foreign(projectId))
    if foreign and not options.yes:
        question = compat.toNative(u"project {}: {}; hand them to {}?".format(
            projectId, u", ".join(foreign), buffer_.baseUrl))
        if not sys.stdin.isatty():
            raise ValueError(question + " Say --yes if you mean it")
        sys.stderr.write(question + " [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return common.FAILED
    with _aloneWith(buffer_):
        adopted = buffer_.adopt(projectId)
    common.say(options, {"adopted": sum(adopted.values()),
                     "backend": buffer_.baseUrl, "from": [
                         {"backend": url, "rows": adopted[url]}
                         for url in sorted(adopted)]},
           *[u"{} are now for {}".format(line, buffer_.baseUrl)
             for line in _rowsFor(adopted)]
           or ["nothing waits for another backend"])
    return common.OK


def _listRejected(options, context):
    found = [{"device_id": device, "row": row, "status": status,
              "errors": list(errors)} for device, row, status, errors
             in _openSpool(options, context).rejectedRows(context.projectId(), 10000)]
    common.say(options, {"rejected": found}, *[
        u"{device_id}\t{row}\t{status}\t{errors}".format(**dict(
            line, row=json.dumps(line["row"], sort_keys=True),
            errors=json.dumps(line["errors"], sort_keys=True)))
        for line in found] or ["nothing was refused"])
    return common.OK


def _dropBuffer(options, context):
    if not options.yes:
        raise ValueError("this deletes rows that were never delivered; say "
                         "--yes if you mean it")
    buffer_, projectId = Spool(os.path.abspath(options.path)), \
        context.projectId()
    with _aloneWith(buffer_):
        dropped = buffer_.drop(projectId)
    common.say(options, {"dropped": sum(dropped.values())},
           *["project {}: {} dropped".format(projectId, line)
             for line in _rowsFor(dropped)] or ["0 rows dropped"])
    return common.OK
