"""``iobeam devices``: what is registered, and which of it is silent."""
from __future__ import absolute_import

import sys

from iobeam.command import common, forms, moments, near, period, tables
from iobeam.command.points import Points
from iobeam.endpoints.devices import DeviceService
from iobeam.utils import compat, utils, zones

_NAMES = ("device_id", "device_name", "created", "last")


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(
        commands, "devices", _devices, "list the project's devices, and the "
        "time of the newest point of each", common.deviceOption(),
        common.zoneOptions())
    made.add_argument("--silent", metavar="SPAN", type=period.seconds,
                      help="only those without a point in the last 30m, 1h, "
                      "7d; the exit code is 1 if there are any")
    made.add_argument("--csv", action="store_true", help="print CSV, with "
                      "times in microseconds; --json has those as well")


def registered(context):
    """The ids (list of text) of the project's devices."""
    return [compat.toText(one["device_id"]) for one in _listed(context)]


def _listed(context):
    return DeviceService(context.token(), context.requester()).listDevices(
        context.projectId())


def _known(context):
    """The devices of the project: dicts with the names of `_NAMES`.

    Times are us; ``last``, of the newest point, is None before the first one.
    """
    newest = {}
    for device, _, usec in Points(context.ask, context.projectId()).newest():
        newest[device] = max(usec, newest.get(device, usec))
    return [{"device_id": compat.toText(one["device_id"]),
             "device_name": compat.toText(one.get("device_name") or u""),
             "created": _usecOf(one.get("created")),
             "last": newest.get(compat.toText(one["device_id"]))}
            for one in _listed(context)]


def _usecOf(created):
    """The instant of a date as backends write it, or None: it may lack."""
    try:
        return moments.Moments("calendar", zones.zoneOf("UTC")).usec(
            compat.toNative(created), moments.Folds())
    except (AttributeError, TypeError, ValueError):
        return None


def _devices(options, context):
    common.checkForms(options)
    zone = zones.zoneOf(options.tz)
    context.checkBackend()
    found = _known(context)
    if options.device is not None:
        every = [one["device_id"] for one in found]
        found = [one for one in found
                 if one["device_id"] == compat.toText(options.device)]
        if not found:
            common.tell(u"no device {}; there are: {}".format(
                compat.toText(options.device),
                near.names(options.device, every)))
            return common.FAILED
    if not found:
        common.tell("the project has no devices yet; see iobeam register")
    everyone = len(found)
    if options.silent is not None:
        since = period.before("--silent", int(utils.time.time() * 1000000),
                              options.silent)
        found = [one for one in found if _isSilent(one, since)]
    _print(options, found, zone)
    if options.silent is None:
        return common.OK
    if found:
        common.tell("{} of {} devices silent".format(len(found), everyone))
    return common.FAILED if found else common.OK


def _isSilent(device, since):
    """One that has never sent is silent since it was registered."""
    last = device["created"] if device["last"] is None else device["last"]
    return last is None or last < since


def _print(options, found, zone):
    if options.json:
        common.say(options, {"devices": found})
        return
    if options.csv:
        rows = [_NAMES] + [[one[name] for name in _NAMES] for one in found]
        common.say(options, None, *[forms.csvLine(row) for row in rows])
        return
    rows = [[one["device_id"], one["device_name"]] + [
        None if one[name] is None else zone.shown(one[name])
        for name in ("created", "last")] for one in found]
    if sys.stdout.isatty():
        common.say(options, None, *tables.Table(
            ["device", "name", "registered", "newest point"]).lines(rows))
    else:
        common.say(options, None, *[u"\t".join(
            u"-" if cell is None else tables.harmless(compat.toText(cell))
            for cell in row) for row in rows])
