"""``iobeam register``: a device, and its id on disk."""
from __future__ import absolute_import

from iobeam.command import common
from iobeam.endpoints.devices import DeviceService, DuplicateIdError


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(commands, "register", _register, "register a "
                           "device and keep its id", common.deviceOption())
    made.add_argument("--name", metavar="NAME", type=common.notEmpty)
    made.add_argument("--or-set", action="store_true",
                      help="use the id also if it is registered already; "
                      "without --device register that of the folder, on a "
                      "backend that does not know it yet")


def _register(options, context):
    context.checkBackend()
    client = context.builder().saveToDisk(options.path).build()
    try:
        known = client.getDeviceId()
        if options.or_set and known is not None \
                and options.device in (None, known):
            _registerKnown(context, client, options.name)
        client.registerDevice(options.device, options.name, options.or_set)
    finally:
        client.close()
    common.say(options, {"device_id": client.getDeviceId()},
               client.getDeviceId())
    return common.OK


def _registerKnown(context, client, name):
    """Register the id of the folder, which a client takes for registered."""
    try:
        DeviceService(client.projectToken, context.requester()).registerDevice(
            client.projectId, client.getDeviceId(), name)
    except DuplicateIdError:
        pass
