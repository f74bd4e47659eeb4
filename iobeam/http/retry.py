"""Rules of repetition: what is tried again, and after how long a wait.

Pure: the clock and the source of randomness are arguments.
"""
from __future__ import absolute_import

import re

# Answers that may be different next time. 408, 425, 429 and 503 say so
# themselves; 500, 502 and 504 come from restarts and overloaded proxies.
RETRIED_STATUSES = frozenset([408, 425, 429, 500, 502, 503, 504])

# Answers of a gateway that may have passed the request on.
DOUBTFUL_STATUSES = frozenset([502, 504])

BASE_SECONDS = 0.5  # longest wait before the first repeat
CAP_SECONDS = 30.0  # longest wait of all

_WEIGHT = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)\Z")  # RFC 9110, 12.4.2
_DIGITS = re.compile(r"[0-9]+\Z")  # isdigit() is also true of "\u00b2"


def isRetried(status):
    """Tell whether an answer of this status is worth another attempt."""
    return status in RETRIED_STATUSES


def backoff(repeat, random):
    """Return the wait before a repeat, in seconds: exponential, full jitter.

    Full jitter spreads a fleet that lost its backend at one instant over the
    whole span, so that it does not come back in one wave.

    Args:
        repeat (int): 0 before the first repeat.
        random (callable): gives a float in [0, 1).
    """
    return random() * min(CAP_SECONDS, BASE_SECONDS * 2 ** min(repeat, 16))


def retryAfter(value, now):
    """Return the seconds that a ``Retry-After`` header asks for, or None.

    Args:
        value (str or None): a number of seconds, or an HTTP date
            (RFC 9110, 10.2.3).
        now (float): this moment in seconds since the epoch, by the clock of
            whoever wrote the date: see `moment`.
    """
    if not value:
        return None
    value = value.strip()
    if _DIGITS.match(value):
        return float(value)
    asked = moment(value, None)
    return None if asked is None else max(0.0, asked - now)


def moment(value, default):
    """Return the instant of an HTTP date (RFC 9110, 5.6.7), or `default`.

    Args:
        value (str or None): such as a ``Date`` header, the clock of the
            server that also wrote the other dates of its answer.
        default: what to return where there is no date that can be read.
    """
    if not value:
        return default
    # here: they load sockets and more, a third of what importing us costs
    import calendar
    from email import utils as emailutils

    try:
        parsed = emailutils.parsedate_tz(value)
        return calendar.timegm(parsed[:6] + (0, 1, 0)) - (parsed[9] or 0)
    except (IndexError, OverflowError, TypeError, ValueError):
        return default  # TypeError where there is no date at all


def takesGzip(header):
    """Tell whether an ``Accept-Encoding`` of a server allows gzip.

    RFC 9110, 12.5.3: a weight of 0 forbids, ``*`` stands for what is not
    named, ``x-gzip`` is an old name.
    """
    weights = {}
    for member in header.split(","):
        name, _, parameters = member.partition(";")
        name = name.strip().lower()
        weight = 1.0
        for parameter in parameters.split(";"):
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                weight = (float(value) if _WEIGHT.match(value.strip())
                          else 0.0)  # what cannot be read allows nothing
        weights[name] = min(weight, weights.get(name, weight))
    named = [weights[name] for name in ("gzip", "x-gzip") if name in weights]
    return (min(named) if named else weights.get("*", 0.0)) > 0


def pause(repeat, header, now, random):
    """Return the wait before a repeat: what the server asks for, or backoff."""
    asked = retryAfter(header, now)
    return backoff(repeat, random) if asked is None else asked
