"""Chunks: rows of one store, serialised, as they wait on disk and travel."""
from __future__ import absolute_import

import binascii
import json
import os

DEFAULT_MAX_BYTES = 64 * 1024 * 1024  # of all that wait in one disk buffer


class Chunk(object):
    """Part of a store, serialised: the rows that one request can carry.

    Attributes:
        id (str): made before it is stored, so that storing can be repeated.
        seq (int or None): its place in the queue.
        projectId (int), deviceId (str): whom it belongs to.
        columns (tuple of str): without the time.
        rows (int): their number.
        body (str): the rows as JSON lists, joined by commas.
    """

    __slots__ = ("id", "seq", "projectId", "deviceId", "columns", "rows",
                 "body")

    def __init__(self, projectId, deviceId, columns, rows, body, id=None,
                 seq=None):
        self.id = _newId() if id is None else id
        self.seq = seq
        self.projectId = projectId
        self.deviceId = deviceId
        self.columns = tuple(columns)
        self.rows = rows
        self.body = body

    def table(self):
        """Return the rows, each ``[time, v1, ..]``."""
        return json.loads("[" + self.body + "]")


def _newId():
    """A random UUID (version 4).

    Not by `uuid`: that would be imported by all who import the library, or amid
    a commit, where a signal's exception can get lost in it (Python 2.7).
    """
    octets = bytearray(os.urandom(16))
    octets[6] = octets[6] & 0x0f | 0x40
    octets[8] = octets[8] & 0x3f | 0x80
    return binascii.hexlify(octets).decode("ascii")
