"""What may be wrong between a device and its backend, looked at in turn."""
from __future__ import absolute_import

import collections
import os
import socket
import time

from iobeam import buffer as spool
from iobeam import identity
from iobeam.endpoints import devices
from iobeam.http import request
from iobeam.utils import compat, utils

Check = collections.namedtuple("Check", "name ok detail advice")

_DAY = 86400  # s
_WRONG_CLOCK_SECONDS = 60


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


def examine(projectId, token, backend, path):
    """Look at everything and return a list of `Check`.

    Args:
        projectId, token (callable): give them, or raise a ValueError.
        backend (str or None): as `ClientBuilder.setBackend`.
        path (str): folder of the device id and the buffer.
    """
    found = []

    def check(name, function, *args):
        try:
            detail = function(*args)
            found.append(Check(name, True, detail, None))
        except _Trouble as trouble:
            found.append(Check(name, False, str(trouble), trouble.advice))
        except (ValueError, request.Error, EnvironmentError) as error:
            found.append(Check(name, False, str(error), None))
        return found[-1].ok

    if check("backend", _backend, backend):
        url = request.baseUrl(backend)
        if check("name", _name, url):
            check("answer", _answer, url, token)
    check("token", _token, projectId, token)
    check("device", _device, projectId, token, backend, path)
    check("buffer", _buffer, path)
    return found


class _Trouble(Exception):
    def __init__(self, message, advice):
        Exception.__init__(self, message)
        self.advice = advice


def _backend(backend):
    url = request.baseUrl(backend)
    if url == request.DEFAULT_BASE_URL:
        raise _Trouble("{} is gone".format(url), "start a backend of your own "
                       "(iobeam-server serve) and set IOBEAM_BACKEND")
    return url


def _name(url):
    parts = compat.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, 0,
                                   socket.SOCK_STREAM)
    except (socket.error, UnicodeError) as error:
        raise _Trouble("{} has no address: {}".format(parts.hostname, error),
                       "check the spelling, and the network's DNS")
    return "{} is {}".format(parts.hostname, ", ".join(
        sorted(set(address[0] for _, _, _, _, address in found))))


def _answer(url, token):
    settings = request.Settings()
    settings.connectTimeout, settings.readTimeout = 5.0, 10.0
    settings.retries = 0
    requester = request.Requester(url, settings)
    service = devices.DeviceService(token(), requester)
    req = requester.get(service.makeEndpoint("devices/timestamp"))
    before = utils.time.time()
    try:
        req.token(service.token).execute()
    except request.Error as error:
        raise _Trouble(str(error), _adviceFor(str(error), url))
    finally:
        requester._session.close()
    took = utils.time.time() - before
    status = req.getResponseCode()
    if status in (401, 403):
        raise _Trouble("it does not take the token: {} {}".format(
            status, req.describeAnswer()), "get a new one, of this backend")
    answer = req.getResponse()
    moment = answer.get("server_timestamp") if isinstance(answer, dict) \
        else None
    if status != 200 or not compat.isInteger(moment):
        raise _Trouble("{} {}".format(status, req.describeAnswer()),
                       "is this the address of an iobeam backend, with its "
                       "version (/v1/)?")
    offset = moment / 1000.0 - before - took / 2
    if abs(offset) > _WRONG_CLOCK_SECONDS:
        raise _Trouble("the clocks are {:.0f} s apart".format(offset),
                       "set this machine's clock, or build the client with "
                       "useServerTime()")
    return "{:.0f} ms, clocks {:.1f} s apart".format(took * 1000, offset)


def _adviceFor(message, url):
    if "CERTIFICATE" in message.upper():
        return "its certificate is not trusted here: see setSession(), or " \
               "REQUESTS_CA_BUNDLE"
    if "SSL" in message.upper():
        return "does it speak TLS at this port? The address says {}".format(
            url.partition(":")[0])
    return "does it run, is the port right, is there a firewall or a proxy?"


def _token(projectId, token):
    says = describeToken(token())
    expected = projectId()
    if says["project_id"] not in (None, expected):
        raise _Trouble("it is of project {}, not {}".format(
            says["project_id"], expected), "check IOBEAM_PROJECT_ID")
    if says.get("days_left", 1) <= 0:
        raise _Trouble("it expired at {}".format(says["expires"]),
                       "try: iobeam token --refresh; or get a new one")
    return "project {}, until {}".format(expected, says["expires"])


def _device(projectId, token, backend, path):
    folder = os.path.abspath(path)
    files = identity.Identity(folder, projectId(), request.baseUrl(backend),
                              token())
    files.checkFolder()
    found = files.readDeviceId()
    return "{} in {}".format(found, folder) if found is not None else \
        "none in {} yet: iobeam register".format(folder)


def _buffer(path):
    folder = os.path.abspath(path)
    if not os.path.exists(os.path.join(folder, "iobeam_buffer.db")):
        return "none in {}".format(folder)
    waiting = sum(line[3] for line in spool.Spool(folder).summary())
    return "{} rows wait in {}".format(waiting, folder)
