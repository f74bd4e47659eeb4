"""``iobeam token``: what a token says of itself."""
from __future__ import absolute_import

from iobeam.command import common, doctor
from iobeam.endpoints import tokens
from iobeam.http import request
from iobeam.utils import compat


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(commands, "token", _token,
                           "show what the token says")
    made.add_argument("--refresh", action="store_true",
                      help="exchange it, and print the new one")


def _token(options, context):
    if options.refresh:
        context.checkBackend()
    token = context.token()
    if options.refresh:
        token = tokens.TokenService(
            requester=context.requester()).refreshToken(token)
        if not isinstance(token, compat.TEXTS):
            raise request.Error("the answer to the refresh holds no token")
    result = doctor.describeToken(token)
    shown = dict(result, expires=doctor.shownExpiry(token))
    lines = ["{}: {}".format(name, shown[name]) for name in sorted(shown)]
    if options.refresh:  # asked for, and the only place that prints one
        result["token"] = token
        lines.append(token)
    common.say(options, result, *lines)
    return common.OK
