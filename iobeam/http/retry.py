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

DEFAULT_RETRIES = 4  # repeats of one request, so five attempts
BASE_SECONDS = 0.5  # longest wait before the first repeat
CAP_SECONDS = 30.0  # longest wait of all

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
        now (float): this moment in seconds since the epoch.
    """
    if not value:
        return None
    value = value.strip()
    if _DIGITS.match(value):
        return float(value)
    # here: they load sockets and more, a third of what importing us costs
    import calendar
    from email import utils as emailutils

    parsed = emailutils.parsedate_tz(value)
    if parsed is None:
        return None
    try:
        moment = calendar.timegm(parsed[:6] + (0, 1, 0)) - (parsed[9] or 0)
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - now)


def pause(repeat, header, now, random):
    """Return the wait before a repeat: what the server asks for, or backoff."""
    asked = retryAfter(header, now)
    return backoff(repeat, random) if asked is None else asked
