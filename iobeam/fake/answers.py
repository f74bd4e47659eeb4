"""Answers of the fake backend, and the parameters of what it is asked."""
from __future__ import absolute_import

import copy
import email.utils
import json
import re

from iobeam.utils import compat, utils

# Codes that iobeam-server puts into errors; 150 and 151 stand in `request`.
BAD_REQUEST, TOO_LARGE, UNPROCESSABLE = 1, 2, 3
NOT_AUTHENTICATED, NOT_PERMITTED, WRONG_METHOD = 4, 5, 6
NOT_FOUND = 32

JSON = "application/json"
CSV = "text/plain; charset=utf-8"

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}\Z")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
# "all" and "timestamp" stand for something else in paths
_DEVICE_ID = re.compile(r"(?!(?:all|timestamp)\Z)[a-z0-9_:-]{1,256}\Z", re.I)
TIME_UNITS = {"sec": 1000000, "msec": 1000, "usec": 1}  # us
DAY = 86400  # s


class Refusal(Exception):
    """An answer that is an error.

    Args:
        status (int), code (int), message (str): of the answer.
        more: further keys of the error, such as ``row`` and ``field``.
    """

    def __init__(self, status, code, message, **more):
        Exception.__init__(self, message)
        self.status = status
        self.error = dict(more, code=code, message=message)


def badRequest(message):
    """Return the refusal of what cannot be understood."""
    return Refusal(400, BAD_REQUEST, message)


class Headers(dict):
    """Headers of an answer, looked up in any case."""

    def __getitem__(self, name):
        for known, value in self.items():
            if known.lower() == name.lower():
                return value
        raise KeyError(name)

    def __contains__(self, name):
        return self.get(name) is not None

    def get(self, name, default=None):
        try:
            return self[name]
        except KeyError:
            return default


class Answer(object):
    """An answer with what a Request looks at.

    Args:
        status (int): its status.
        body: what JSON can carry, or text; None is an empty body.
        headers (dict): beside the date and the type.
    """

    def __init__(self, status, body=None, headers=(), kind=JSON):
        self.status_code = status
        self.headers = Headers(headers)
        self.headers.setdefault("Date", email.utils.formatdate(
            utils.time.time(), usegmt=True))
        self.headers.setdefault("Content-Type", kind)
        self._body = body
        self.text = compat.toText(body) if isinstance(body, compat.TEXTS) \
            else u"" if body is None else compat.toText(json.dumps(body))
        self.content = self.text.encode("utf-8")

    def json(self):
        """Return the body (ValueError: no JSON)."""
        if self._body is None or isinstance(self._body, compat.TEXTS):
            return json.loads(self.text)
        return copy.deepcopy(self._body)  # with 2.7's str, as it was given


class Params(object):
    """The parameters of a request, as they are on the wire: texts.

    Args:
        params (dict): as in `Request.params`.
    """

    def __init__(self, params):
        self._texts = dict((name, _textOf(value))
                           for name, value in params.items())

    def text(self, name):
        """Return a parameter; None where it is missing or empty."""
        return self._texts.get(name) or None

    def integer(self, name, least=None):
        found = self.text(name)
        if found is None:
            return None
        if not _INTEGER.match(found) or least is not None \
                and int(found) < least:
            raise badRequest("{} must be an integer{}, not {}".format(
                name, "" if least is None else " of at least %d" % least,
                utils.shorten(found)))
        return int(found)

    def number(self, name):
        found = self.text(name)
        if found is None:
            return None
        if re.match(r"[+-]?[0-9]+\Z", found):
            return int(found)
        value = float(found) if _REAL.match(found) else float("inf")
        if value in (float("inf"), -float("inf")):
            raise badRequest("{} must be a number that a double can hold, not "
                             "{}".format(name, utils.shorten(found)))
        return value

    def boolean(self, name):
        found = self.choice(name, ("true", "false"))
        return None if found is None else found == "true"

    def choice(self, name, allowed, default=None):
        found = self.text(name)
        if found is None:
            return default
        if found.lower() not in allowed:
            raise badRequest("{} must be one of {}, not {}".format(
                name, ", ".join(allowed), utils.shorten(found)))
        return found.lower()


def shownTime(moment, unit):
    """Return an instant (us) as answers show it; `unit` may be "timeval"."""
    if unit in TIME_UNITS:
        return moment // TIME_UNITS[unit]
    return {"sec": moment // 1000000, "usec": moment % 1000000}


def shownDate(seconds):
    """Return seconds since the epoch as answers show dates."""
    return utils.time.strftime("%Y-%m-%d %H:%M:%S +0000",
                               utils.time.gmtime(seconds))


def checkDeviceId(deviceId):
    if not _DEVICE_ID.match(deviceId):
        raise badRequest("device_id can only include a-z, A-Z, 0-9, _, :, and "
                         "-, and be neither all nor timestamp")


def checkDevice(claims, deviceId):
    """Refuse what a device's token asks of another device."""
    if claims.get("did") not in (None, deviceId):
        raise Refusal(403, NOT_PERMITTED, "the token is for device {} only"
                      .format(utils.shorten(claims["did"])))


def checkProject(claims, projectId):
    if claims.get("pid", projectId) != projectId:
        raise Refusal(403, NOT_PERMITTED, "the token is for project {}, not "
                      "for {}".format(claims["pid"], projectId))


def _textOf(value):
    if isinstance(value, bool):
        return u"true" if value else u"false"
    return compat.toText(value if isinstance(value, compat.TEXTS)
                         else str(value))
