"""Heads of answers as servers write them, for far less than a parser of mail.

http.client takes every head for a mail's, which costs a tenth of a small send().
What is not plainly ordinary here is left to it.
"""
from __future__ import absolute_import

import re

from iobeam.utils import compat

if compat.PY2:
    import httplib as client  # novm
else:
    from http import client  # novm

_MOST = 50  # headers; http.client refuses over 100
_HEAD = re.compile(
    b"HTTP/1\\.1 ([2-5][0-9][0-9]) ([\\x20-\\x7e]*)\r\n"
    b"((?:[0-9A-Za-z-]+: [\\x21-\\x7e][\\x20-\\x7e]*\r\n)+)\r\n")
_LENGTH = re.compile("[0-9]{1,9}\\Z")
_BODILESS = (204, 304)  # whatever their headers say (RFC 9112, 6.3)


def takeOrdinary(ahead):
    """Take a head off what has come of an answer.

    Args:
        ahead (bytes): with the whole head.

    Returns:
        (int, str, list of (str, str), int, bytes): status, reason, names and
        values of headers, length of the body in bytes, and what came after
        the head. None if http.client has to look at it: the body's end is
        said by something else than a Content-Length, or anything is unusual.
    """
    found = _HEAD.match(ahead)
    if found is None:
        return None
    status, fields, length = int(found.group(1)), [], None
    lines = compat.toNative(found.group(3).decode("ascii")).split("\r\n")
    if len(lines) > _MOST or status in _BODILESS:
        return None
    for line in lines[:-1]:
        name, _, value = line.partition(": ")
        fields.append((name, value))
        known = name.lower()
        if known == "content-length":
            if length is not None or not _LENGTH.match(value):
                return None
            length = int(value)
        elif known == "transfer-encoding" or (
                known == "connection" and value.lower() != "keep-alive"):
            return None
    if length is None:
        return None
    reason = compat.toNative(found.group(2).decode("ascii").strip())
    return status, reason, fields, length, ahead[found.end():]


def messageOf(fields):
    """Return what http.client makes of names and values (its HTTPMessage)."""
    message = client.HTTPMessage()
    for name, value in fields:
        message[name] = value
    return message
