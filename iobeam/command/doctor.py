"""What may be wrong between a device and its backend, looked at in turn."""
from __future__ import absolute_import

import collections
import os
import socket
import stat
import tempfile
import time

from iobeam import configuration, identity, iobeam
from iobeam.command import common
from iobeam.endpoints import devices, imports
from iobeam.http import address, request
from iobeam.spool.buffer import Spool
from iobeam.utils import compat, utils, zones

Check = collections.namedtuple("Check", "name ok detail advice")

_DAY = 86400  # s
_WRONG_CLOCK_SECONDS = 60
_READ = 1  # the bit of a token's `pms` that asking needs
_WRITE = 2  # the bit of a token's `pms` that sending needs
_PROBE_SECONDS = 2.0  # for a server to show that it speaks TLS


def addTo(commands):
    """Add the command to the parser's."""
    common.parserOf(commands, "doctor", _doctor, "find out why nothing "
                    "arrives", common.deviceOption())


def _doctor(options, context):
    found = examine(context, options.path, options.device)
    common.say(options, {"checks": [check._asdict() for check in found]}, *[
        "{} {}: {}{}".format("ok  " if check.ok else "FAIL", check.name,
                             check.detail, "" if check.ok or not check.advice
                             else "\n     " + check.advice)
        for check in found])
    return common.OK if all(check.ok for check in found) else common.FAILED


def describeToken(token):
    """Return what a token says of itself, without the token (dict)."""
    claims = utils.readToken(token)
    expiry = claims.get("exp")
    found = {"project_id": claims.get("pid"), "expires": "never"}
    if expiry is not None:
        found["expires"] = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                         time.gmtime(expiry))
        found["days_left"] = round((expiry - utils.time.time()) / _DAY, 1)
    for name, claim in (("device_id", "did"), ("permissions", "pms")):
        if claim in claims:
            found[name] = claims[claim]
    return found


def isOver(token):
    """True if a token has expired, to the second: `days_left` is rounded."""
    expiry = utils.readToken(token).get("exp")
    return expiry is not None and expiry <= utils.time.time()


def shownExpiry(token):
    """When a token expires, as people read it (str)."""
    expiry = utils.readToken(token).get("exp")
    return "never" if expiry is None else zones.zoneOf().shown(
        int(expiry) * 1000000)


def examine(context, path, device=None):
    """Look at everything and return a list of `Check`.

    Args:
        context (common.Context): gives project, token and backend, or raises
            a ValueError.
        path (str): folder of the device id and the buffer.
        device (str or None): a device to look at instead of that one.
    """
    found = []

    def check(name, function, *args):
        try:
            detail = function(*args)
            found.append(Check(name, True, detail, None))
        except Trouble as trouble:
            found.append(Check(name, False, str(trouble), trouble.advice))
        except (ValueError, request.Error, EnvironmentError) as error:
            found.append(Check(name, False, str(error), None))
        return found[-1].ok

    check("configuration", _configuration)
    answers, isSet = False, check("backend", _backend, context)
    if isSet:
        url = request.baseUrl(context.backend())
        answers = check("name", _name, url) and check("answer", _answer, url,
                                                      context.token)
    isGood = check("token", _token, context) and check("permission",
                                                       _permission, context)
    isKnown = check("device", _device, context, path, device)
    if answers and isGood and isKnown:
        deviceId = device or _files(context, path).readDeviceId()
        if deviceId is not None:
            check("rows", _rows, context, url, deviceId)
    if check("buffer", _buffer, path) and isGood and isSet:
        check("backlog", _backlog, context, path)
    return found


class Trouble(Exception):
    """What is wrong, with the advice that mends it."""

    def __init__(self, message, advice):
        Exception.__init__(self, message)
        self.advice = advice


def _configuration():
    """The file, which others may not read: whoever can has the token."""
    file = configuration.path()
    if file is None or not os.path.exists(file):
        return "no {}: from options and variables".format(
            configuration.shownPath())
    try:
        known = configuration.read()
    except ValueError as error:
        raise Trouble(str(error), "mend its owner and permissions (ls -l), or "
                      "move it away and run iobeam configure")
    if os.name != "nt" and "token" in known \
            and stat.S_IMODE(os.stat(file).st_mode) & 0o077:
        raise Trouble("others may read {}, and the token in it".format(file),
                      "chmod 600 {}; get a new token, if they are to be kept "
                      "out".format(file))
    return "{} has {}".format(file, ", ".join(
        name + (" (but {} is set)".format(configuration.VARIABLES[name])
                if configuration.isVariable(name) else "")
        for name in sorted(known)) or "nothing")


def _backend(context):
    url = request.baseUrl(context.backend())
    if address.isGone(url):
        raise Trouble(*common.NO_BACKEND)
    return address.shown(url)


def _name(url):
    parts = compat.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, 0,
                                   socket.SOCK_STREAM)
    except (socket.error, UnicodeError) as error:
        raise Trouble("{} has no address: {}".format(parts.hostname, error),
                       "check the spelling, and the network's DNS")
    return "{} is {}".format(parts.hostname, ", ".join(
        sorted(set(address[0] for _, _, _, _, address in found))))


def _answer(url, token):
    took, offset = reach(url, token())
    if abs(offset) > _WRONG_CLOCK_SECONDS:
        raise Trouble("the clocks are {:.0f} s apart".format(offset),
                      "set this machine's clock, or build the client with "
                      "useServerTime()")
    return "{:.0f} ms, clocks {:.1f} s apart".format(took * 1000, offset)


def reach(url, token):
    """Ask a backend for its time.

    Returns:
        tuple of float: the seconds that took, and those that its clock is
        ahead of ours.

    Raises:
        Trouble: nobody answers, it is no backend, or does not take the token.
    """
    before = utils.time.time()
    req = _ask(url, lambda requester: requester.get(
        devices.DeviceService(None, requester).makeEndpoint(
            "devices/timestamp")).token(token))
    took = utils.time.time() - before
    status = req.getResponseCode()
    if status in (401, 403):
        raise Trouble("it does not take the token: {}".format(_said(req)),
                      "get a new one, of this backend")
    answer = req.getResponse()
    moment = answer.get("server_timestamp") if isinstance(answer, dict) \
        else None
    if status != 200 or not compat.isInteger(moment):
        _orTls(url, Trouble(_said(req), "is this the address of an iobeam "
                            "backend, with its version (/v1/)?"))
    return took, moment / 1000.0 - before - took / 2


def _said(req):
    """The status of an answer, and what it says."""
    return "{} {}".format(req.getResponseCode(), common.messagesOf(
        req.getApiErrors()) or req.describeAnswer())


def _ask(url, make):
    """Carry out the request that ``make(requester)`` gives, once."""
    settings = request.Settings()
    settings.connectTimeout, settings.readTimeout = 5.0, 10.0
    settings.retries = 0
    requester = request.Requester(url, settings)
    req = make(requester)
    try:
        req.execute()
    except request.Error as error:
        what, _, look = str(error).partition("; ")
        _orTls(url, Trouble(what, look))
    finally:
        if hasattr(requester, "close"):  # a double may have nothing to close
            requester.close()
    return req


def _orTls(url, trouble):
    """Raise the trouble, or that the server speaks https and not http."""
    from iobeam.http import failures, sockets

    if url.lower().startswith("http:") and sockets.speaksTls(
            url, _PROBE_SECONDS):
        raise Trouble(*failures.SPEAKS_TLS)
    raise trouble


def _token(context):
    says = describeToken(context.token())
    expected = context.projectId()
    if says["project_id"] not in (None, expected):
        raise Trouble("it is of project {}, not {}".format(
            says["project_id"], expected), "check IOBEAM_PROJECT_ID")
    if isOver(context.token()):
        raise Trouble("it expired at {}".format(shownExpiry(context.token())),
                      "try: iobeam token --refresh; or get a new one")
    return "project {}, until {}".format(expected,
                                         shownExpiry(context.token()))


def _permission(context):
    says = describeToken(context.token())
    permissions = says.get("permissions")
    if compat.isInteger(permissions) and not permissions & _WRITE:
        raise Trouble("the token may not send: its permissions are {}, "
                      "without write ({})".format(permissions, _WRITE),
                      "get one with write: iobeam-server token, or "
                      "fetchDeviceToken")
    if permissions is None:
        return "the token does not say; the backend will"
    return "it may send" if permissions & _READ else \
        "it may send, and not read: no use for iobeam query"


def _files(context, path):
    return identity.Identity(os.path.abspath(path), context.projectId(),
                             request.baseUrl(context.backend()),
                             context.token())


def _device(context, path, device):
    files = _files(context, path)
    files.checkFolder()
    found = device or files.readDeviceId()
    own = _deviceOf(context.token())
    if found is not None and own not in (None, found):
        raise Trouble("the token is for device {}, not {}".format(own, found),
                      "use the token of this device, or one of the project")
    if found is None:
        return "none in {} yet: iobeam register".format(files.path)
    return found if device else "{} in {}".format(found, files.path)


def _deviceOf(token):
    try:
        return describeToken(token).get("device_id")
    except ValueError:  # said of the token itself
        return None


def _rows(context, url, deviceId):
    """Send the newest point again, which replaces itself.

    Of a device without one a table without rows: that is looked at whole as
    well, but only what is written down tells of a full disk.
    """
    body = {"project_id": context.projectId(), "device_id": deviceId,
            "timefmt": "usec", "sources": _newest(context, deviceId) or {
                "fields": ["time", "doctor"], "data": []}}
    req = _ask(url, lambda requester: requester.post(
        imports.ImportService(None, requester).makeEndpoint("imports"))
        .token(context.token()).setParam("fmt", "table").setBody(body))
    status = req.getResponseCode()
    if req.isAccepted():
        return "device {} may send".format(deviceId)
    said = _said(req)
    if status in (401, 403):
        raise Trouble("device {} may not send with this token: {}".format(
            deviceId, said), "use the token of this device, or one of the "
            "project with write")
    if status == 404:
        raise Trouble("device {} is not registered there: {}".format(
            deviceId, said), "iobeam register --or-set registers it, and a "
            "client built with registerDevice() or registerOrSetId() does so "
            "as it sends")
    raise Trouble("rows are not taken: {}".format(said), "look at the "
                  "backend: its log, and the space on its disk")


def _newest(context, deviceId):
    """The newest point of a device as a table, or None: it cannot be told.

    Only an answer in microseconds is exact enough to meet the same point.
    """
    query = iobeam.QueryReq(context.projectId(), deviceId, timeUnit=iobeam
                            .TimeUnit.MICROSECONDS).limit(1)
    try:
        answer = context.ask(query)
        if answer["timefmt"] != "usec":
            return None
        found = [(series["data"][-1], series["name"])
                 for series in answer["result"] if series["data"]]
        point, name = max(found, key=lambda one: one[0]["time"])
        return {"fields": ["time", name],
                "data": [[point["time"], point["value"]]]}
    except (request.Error, EnvironmentError, KeyError, TypeError, ValueError):
        return None  # a token that may only write, among others


def _buffer(path):
    folder = os.path.abspath(path)
    file = os.path.join(folder, "iobeam_buffer.db")
    exists = os.path.exists(file)
    try:
        tempfile.TemporaryFile(dir=folder).close()
        if exists:
            with open(file, "r+b"):
                pass
    except EnvironmentError as error:
        raise Trouble("{} cannot be written: {}".format(
            file if exists else folder, error.strerror or error),
            "rows that cannot be sent would be lost: mend its owner and "
            "permissions (ls -l), or the space on the disk")
    if not exists:
        return "none in {}".format(folder)
    waiting = sum(line[3] for line in Spool(folder).summary())
    return "{} rows wait in {}".format(waiting, folder)


def _backlog(context, path):
    """Rows that no client of this backend will send."""
    spool = Spool(os.path.abspath(path), baseUrl=address.backendOf(
        request.baseUrl(context.backend())))
    foreign = spool.foreign(context.projectId())
    if foreign:
        raise Trouble("; ".join(
            "{} rows wait for {}".format(foreign[url], url)
            for url in sorted(foreign)), "iobeam buffer adopt hands them to "
            "the present backend, if it is the same one at a new address")
    others = sum(line[3] for line in spool.summary()
                 if line[0] != context.projectId())
    return "{} rows of other projects wait".format(others) if others \
        else "nothing waits for another backend"
