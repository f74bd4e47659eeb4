"""Times and durations as options of commands have them. Pure.

Times are read as `iobeam send` reads those of a table; a bare number that is
none of these is milliseconds since 1970, as in version 1.0.0.
"""
from __future__ import absolute_import

import argparse
import re

from iobeam.command import moments

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_SPAN = re.compile(r"\s*([0-9]{1,9})\s*([wdhms])\s*\Z")
_NUMBER = re.compile(r"[+-]?[0-9]+\Z")
_CALENDAR = (moments.FULL, moments.DATE, moments.COMPACT)
_USEC_PER_MSEC = 1000
_USEC_PER_SECOND = 1000000
_END = 2 ** 63  # us
_FORMS = ("a time is such as 2026-01-31T12:00, 2026-01-31T12:00:00Z, or "
          "milliseconds since 1970")


def seconds(text):
    """The seconds (int) of a duration such as 90s, 30m, 1h, 7d or 2w.

    Raises:
        ArgumentTypeError: it is none, or no time at all.
    """
    match = _SPAN.match(text)
    if match is None or not int(match.group(1)):
        raise argparse.ArgumentTypeError(
            "{} is no duration: give a number and one of w, d, h, m, s, such "
            "as 1h".format(text))
    return int(match.group(1)) * _SECONDS[match.group(2)]


def isSpan(text):
    """Tell whether it looks like a duration rather than a time."""
    return _SPAN.match(text) is not None


def instant(option, text, zone, isEnd=False, isPlain=True):
    """The microseconds since 1970 (int) of a time that an option names.

    Args:
        option (str): its name, for messages.
        text (str): ISO 8601 and its like, or a number.
        zone (Zone): of a text that names none.
        isEnd (bool): of two equal hours, as summer time ends, take the later.
        isPlain (bool): any other number is milliseconds since 1970.

    Raises:
        ValueError: it is no time, or in doubt; the message names the option.
    """
    text = text.strip()
    kind = moments.look(text)
    try:
        if kind in moments.EPOCHS:
            return moments.Moments(kind, zone).usec(text, None)
        if kind in _CALENDAR:
            return moments.Moments("calendar", zone, isDescending=isEnd).usec(
                text, moments.Folds())
    except ValueError as error:
        raise ValueError("{} {}: {}; {}".format(option, text, error, _FORMS))
    if kind == moments.EITHER:
        raise ValueError("{} {}: is it an hour (yyyymmddhh), or seconds? {}"
                         .format(option, text, _FORMS))
    if isSpan(text):
        raise ValueError("{} {}: it is a duration, which is for --since; {}"
                         .format(option, text, _FORMS))
    if not _NUMBER.match(text) or not isPlain:
        raise ValueError("{} {}: it is no {}; {}".format(
            option, text, "day" if kind == moments.CLOCK else "time", _FORMS))
    found = int(text) * _USEC_PER_MSEC
    if not -_END <= found < _END:
        raise ValueError("{} {}: it is too large a time; {}".format(
            option, text, _FORMS))
    return found


def before(option, now, span):
    """The microseconds of `span` seconds before `now` (us)."""
    found = now - span * _USEC_PER_SECOND
    if found < -_END:
        raise ValueError("{}: it is too long".format(option))
    return found
