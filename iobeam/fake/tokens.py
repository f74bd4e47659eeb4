"""Tokens of the fake backend: nobody signs them, and they count for what they say."""
from __future__ import absolute_import

import base64
import json
import re

from iobeam.fake import answers
from iobeam.fake.answers import Refusal, badRequest
from iobeam.utils import compat, utils

READ, WRITE, ADMIN = 1, 2, 4  # bits of the claim ``pms``
_BITS = (("read", READ), ("write", WRITE), ("admin", ADMIN))
_ALL = READ | WRITE | ADMIN
_LIFE = 30 * answers.DAY  # of a token when none is asked for, s
_GRACE = 30 * answers.DAY  # a token can be refreshed so long after its end, s
_MAX_LIFE = 100 * 366 * answers.DAY
_DURATION = re.compile(r"([1-9][0-9]{0,9})([wdhms])\Z")
_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_FOR_EVER = 4102444800  # the year 2100, s


def makeToken(projectId=1, exp=_FOR_EVER, **claims):
    """Make a token that library and `FakeBackend` take; nobody signed it.

    Args:
        projectId (int): its ``pid``; 0 with a ``uid`` is a user's token.
        exp (int): its end, in seconds since the epoch.
        claims: further ones: ``pms`` for what it permits (1 read, 2 write, 4
            admin; 7 by default), ``did`` for a device's token, ``dur`` for
            the life in seconds that a refresh gives, ``rfr=False`` for one
            that cannot be refreshed.
    """
    def segment(part):
        raw = json.dumps(part, sort_keys=True).encode("ascii")
        return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")

    payload = dict({"uid": 0, "pid": projectId, "exp": exp, "pms": _ALL},
                   **claims)
    return str(".".join([segment({"typ": "JWT", "alg": "HS256"}),
                         segment(payload), segment({"fake": 1})]))


def claimsOf(token, known, grace=0):
    """Return what a token says.

    Args:
        token (str): as it was sent.
        known (set or None): the tokens that are good, whatever they say; None
            takes any that can be read and has not expired.
        grace (int): seconds after its end during which it still counts.
    """
    if known is not None and token not in known:
        raise _notAuthenticated("the token was not issued by this backend")
    try:
        claims = utils.readToken(token)
    except ValueError:
        if known is None:
            raise _notAuthenticated("the token is malformed")
        return {}
    if utils.time.time() >= claims.get("exp", _FOR_EVER) + grace:
        raise _notAuthenticated("the token has expired")
    return claims


def bearer(headers):
    """Return the token of a request's headers."""
    found = re.match(r"\s*bearer\s+(\S+)\s*\Z",
                     headers.get("Authorization") or "", re.I)
    if not found:
        raise _notAuthenticated("send Authorization: Bearer <token>")
    return found.group(1)


def checkProjectToken(claims, permission):
    """Refuse a token that is a user's, or lacks a permission (a bit, or 0)."""
    if claims.get("pid", 1) <= 0:
        raise Refusal(403, answers.NOT_PERMITTED,
                      "this needs a project token, not a user token")
    for word, bit in _BITS:
        if bit & permission & ~claims.get("pms", _ALL):
            raise Refusal(403, answers.NOT_PERMITTED,
                          "the token lacks the permission to " + word)


def userOf(token, known):
    """Return the id of the user whose token it is.

    What cannot be read is taken for a token of user 1: a backend that knows
    no passwords hands out none.
    """
    try:
        claims = claimsOf(token, known)
    except Refusal:
        if known is None and not _isReadable(token):
            return 1
        raise
    if claims.get("pid", 0) != 0 or claims.get("uid", 1) <= 0:
        raise Refusal(403, answers.NOT_PERMITTED,
                      "this needs a user token, not a project token")
    return claims.get("uid", 1)


def granted(params, user):
    """Return the project token that a user asks for, and its claims."""
    projectId = params.integer("project_id", least=1)
    if projectId is None:
        raise badRequest("project_id is missing")
    asked = [(bit, params.boolean(name)) for name, bit in _BITS]
    life = _lifeOf(params.text("duration"))
    mayRefresh = params.boolean("refreshable") is not False
    showsUser = params.boolean("include_user") is not False
    deviceId = params.text("device_id")
    if deviceId is not None:
        answers.checkDeviceId(deviceId)
    permissions = sum(bit for bit, wanted in asked if wanted) or sum(
        bit for bit, wanted in asked if wanted is not False)
    if not permissions:
        raise badRequest("the token would permit nothing")
    claims = {"uid": user if showsUser else 0, "pid": projectId,
              "pms": permissions, "dur": life, "did": deviceId,
              "rfr": mayRefresh}
    if not showsUser:
        claims["own"] = user
    return _issued(claims)


def renewed(body, known):
    """Return the token that a refresh gives, and its claims."""
    token = body.get("refresh_token") if isinstance(body, dict) else None
    if not isinstance(token, compat.TEXTS):
        raise badRequest("refresh_token must be a string")
    old = claimsOf(compat.toNative(token.strip()), known, _GRACE)
    if old.get("pid", 1) <= 0 or not old.get("rfr", True):
        raise _notAuthenticated("this token cannot be refreshed")
    return _issued(dict({"dur": _LIFE, "pid": 1, "pms": _ALL, "uid": 0},
                        **old))


def describe(token, claims):
    """Return the body of the answer that carries a token."""
    found = {"token": token, "expires": answers.shownDate(claims["exp"]),
             "created": answers.shownDate(claims["iat"]),
             "project_id": claims["pid"], "user_id": claims["uid"],
             "refreshable": claims.get("rfr", True)}
    for name, bit in _BITS:
        found[name] = bool(claims["pms"] & bit)
    if claims.get("did") is not None:
        found["device_id"] = claims["did"]
    return found


def _issued(claims):
    now = utils.time.time()
    claims = dict((name, value) for name, value in claims.items()
                  if value is not None)
    claims.update(exp=int(now) + claims["dur"], iat=int(now * 1000) / 1000.0)
    return makeToken(claims["pid"], **dict(
        (name, value) for name, value in claims.items()
        if name != "pid")), claims


def _lifeOf(duration):
    if duration is None:
        return _LIFE
    found = _DURATION.match(duration)
    life = int(found.group(1)) * _SECONDS[found.group(2)] if found else 0
    if not 0 < life <= _MAX_LIFE:
        raise badRequest("duration must look like 5w, 30d, 12h, 90m or 3600s, "
                         "not {}".format(utils.shorten(duration)))
    return life


def _isReadable(token):
    try:
        return bool(utils.readToken(token))
    except ValueError:
        return False


def _notAuthenticated(message):
    return Refusal(401, answers.NOT_AUTHENTICATED, message)
