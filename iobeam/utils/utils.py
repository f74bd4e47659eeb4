"""Checks of arguments, with the messages scripts know; the logger, the encoder."""
from __future__ import absolute_import

import base64
import binascii
import json
import logging
import re
import time

from iobeam.utils import compat

__all__ = ["EXPIRY_FUDGE", "IS_PY3", "checkValidDeviceId",
           "checkValidProjectId", "checkValidProjectToken",
           "checkValidSeriesName", "checkedText", "getLogger", "isExpiredToken",
           "readToken", "shorten", "time"]

IS_PY3 = not compat.PY2

# A token counts as expired this long before its `exp`: one day, in ms, so that
# a device that sends once a day never meets an expired one.
EXPIRY_FUDGE = 24 * 60 * 60 * 1000

toJson = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""What goes over the wire; one for all, json.dumps would make its own each time."""

_MAX_SHOWN_BITS = 1024  # an int of about 300 digits; its repr costs n**2
_MAX_DEVICE_ID = 256  # characters; longer ones make URLs that servers refuse
_DEVICE_ID = re.compile(r"[a-zA-Z0-9_:-]+\Z")  # \Z: $ lets "\n" through
_PATH_WORDS = ("all", "timestamp")  # device ids that collide with API paths
_RESERVED_COLUMNS = ("time", "time_offset", "all")
_CONTROL = re.compile(u"[\x00-\x1f\x7f-\x9f]")

_oddNames = set()  # columns that were warned about
_MAX_ODD_NAMES = 1000  # then a program makes them up, and has been told

logging.getLogger("iobeam").addHandler(logging.NullHandler())


def getLogger():
    """Return the library's logger, ``iobeam``. Its level is the program's."""
    return logging.getLogger("iobeam")


def shorten(value, limit=80):
    """Return ``repr(value)`` cut to about `limit` characters, for messages.

    It never raises: from 3.10.7 on an int has no repr beyond 4300 digits, and
    a message about a foreign object must not fail in that object's code.
    """
    if compat.isInteger(value) and value.bit_length() > _MAX_SHOWN_BITS:
        return "an int of {} bits".format(value.bit_length())
    try:
        shown = repr(value)
    except Exception:
        shown = "<{} without a repr>".format(type(value).__name__)
    return shown if len(shown) <= limit else shown[:limit - 3] + "..."


def checkValidProjectId(projectId):
    """Check a project id: an int above 0.

    Raises:
        ValueError: it is no int (None, str, bool), or not above 0.
    """
    if not compat.isInteger(projectId):
        raise ValueError("projectId must be an int")
    if projectId <= 0:
        raise ValueError("projectId must be greater than 0")


def checkValidProjectToken(token):
    """Check that a token is a string with something in it (ValueError)."""
    _checkString("token", token)


def checkValidDeviceId(deviceId):
    """Check a device id: 1 to 256 of ``a-z A-Z 0-9 _ : -``.

    Raises:
        ValueError: it is anything else, or ``all`` or ``timestamp``, which the
            REST API uses in the places where device ids stand.
    """
    _checkString("deviceId", deviceId)
    if not _DEVICE_ID.match(deviceId):
        raise ValueError(
            "deviceId can only include a-z, A-Z, 0-9, _, :, and -")
    if len(deviceId) > _MAX_DEVICE_ID:
        raise ValueError("deviceId must be at most {} characters, not {}"
                         .format(_MAX_DEVICE_ID, len(deviceId)))
    if deviceId in _PATH_WORDS:
        raise ValueError("deviceId cannot be '{}', a word of the REST API; "
                         "choose another".format(deviceId))


def checkValidSeriesName(name):
    """Check the name of a series or column.

    White space around it and ``/`` pass, as 0.11.0 took them, with one warning
    a name.

    Raises:
        ValueError: no string, empty, a reserved name (``time``,
            ``time_offset``, ``all``, whatever the case), control characters,
            or no valid Unicode.
    """
    _checkString("columns", name)
    decoded = checkedText("columns", name)
    if decoded.lower() in _RESERVED_COLUMNS:
        raise ValueError("'{}' is a reserved column name".format(name))
    if _CONTROL.search(decoded):
        raise ValueError("columns cannot contain control characters: {}; "
                         "rename the column".format(shorten(name)))
    if ((decoded != decoded.strip() or u"/" in decoded)
            and decoded not in _oddNames and len(_oddNames) < _MAX_ODD_NAMES):
        _oddNames.add(decoded)
        getLogger().warning(
            "column name %s has white space around it or a '/': some tools "
            "cannot address it; better rename it", shorten(name))


def _checkString(what, value):
    if not isinstance(value, compat.TEXTS):
        raise ValueError("{} must be a string".format(what))
    if len(value) == 0:
        raise ValueError("{} must be more than 0 characters".format(what))


def checkedText(what, value):
    """Return `value` as text; ValueError if UTF-8 can never carry it."""
    try:
        decoded = compat.toText(value)
    except UnicodeDecodeError:
        raise ValueError("{}: {} is not valid UTF-8".format(
            what, shorten(value)))
    if hasLoneSurrogate(decoded):
        raise ValueError("{}: {} holds a lone surrogate, which no encoding "
                         "can carry".format(what, shorten(value)))
    return decoded


if compat.PY2:  # narrow builds hold characters beyond U+FFFF as pairs
    _LONE = re.compile(u"[\ud800-\udbff](?![\udc00-\udfff])|"
                       u"(?<![\ud800-\udbff])[\udc00-\udfff]")

    def hasLoneSurrogate(value):
        """True if text holds half of a surrogate pair."""
        return _LONE.search(value) is not None
else:
    def hasLoneSurrogate(value):
        """True if text holds half of a surrogate pair."""
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return True
        return False


def isExpiredToken(token):
    """Tell whether a token has expired, or does within one day.

    Args:
        token (str): a JSON Web Token; its signature is not looked at.

    Returns:
        bool: True from `EXPIRY_FUDGE` before its ``exp`` on; False for a token
        without ``exp``, which never expires.

    Raises:
        ValueError: no string, or ``invalid jwt token``.
    """
    expiry = readToken(token).get("exp")
    return (expiry is not None
            and time.time() * 1000 >= expiry * 1000 - EXPIRY_FUDGE)


def readToken(token):
    """Return the claims of a JSON Web Token, unverified.

    Only the backend can judge the signature. PyJWT from 2.12 on refuses every
    token that the iobeam service ever issued (``kid`` is an integer there, and
    the segments are padded), so what it refuses is decoded here.

    Args:
        token (str): the token; white space around it is ignored.

    Returns:
        dict: the claims; ``exp``, if there, is a finite number of seconds.

    Raises:
        ValueError: no string, empty, or ``invalid jwt token``.
    """
    checkValidProjectToken(token)
    known, claims = _lastRead[0]
    if known != token:  # it is the same one at every send
        claims = _claimsOf(token.strip())
        _lastRead[0] = (token, claims)
    return dict(claims)


_lastRead = [(None, None)]


def _claimsOf(token):
    import jwt  # costs 50 ms on a small board: only when a token is read

    try:
        claims = compat.parse(
            jwt.decode, token, "", algorithms=["HS256"], options=dict(
                (check, False) for check in (
                    "verify_signature", "verify_exp", "verify_nbf",
                    "verify_iat", "verify_aud", "verify_iss", "verify_sub",
                    "verify_jti", "require_exp", "require_iat",
                    "require_nbf")))
    except (jwt.InvalidTokenError, ValueError, TypeError, RuntimeError):
        claims = None
    if claims is None:  # outside: what went wrong above may show the token
        claims = _decodePayload(token)
    if not isinstance(claims, dict):
        raise ValueError("invalid jwt token")
    expiry = claims.get("exp", 0)
    if not compat.isNumber(expiry) or not abs(expiry) < 2 ** 53:
        raise ValueError("invalid jwt token")
    return claims


def _decodePayload(token):
    segments = token.split(".")
    if len(segments) != 3:
        return None
    payload = segments[1].rstrip("=").replace("+", "-").replace("/", "_")
    try:
        raw = base64.urlsafe_b64decode(
            (payload + "=" * (-len(payload) % 4)).encode("ascii"))
        return compat.parse(json.loads, raw.decode("utf-8"))
    except (ValueError, TypeError, binascii.Error, RuntimeError):
        return None  # the last is what nesting without end brings


def checkPositive(what, value, isKind):
    """Check a number that has to be above 0 and finite.

    Args:
        what (str): its name, for the message.
        isKind (callable): `compat.isInteger` or `compat.isNumber`.
    """
    if not isKind(value) or not 0 < value < float("inf"):
        raise ValueError("{} must be {} greater than 0, not {}".format(
            what, "an int" if isKind is compat.isInteger else "a number",
            shorten(value)))
