"""Chunks: rows of one store, serialised, as they wait on disk and travel."""
from __future__ import absolute_import

import json

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
        if id is None:
            import uuid  # not for those who only import the library

            id = uuid.uuid4().hex
        self.id = id
        self.seq = seq
        self.projectId = projectId
        self.deviceId = deviceId
        self.columns = tuple(columns)
        self.rows = rows
        self.body = body

    @staticmethod
    def ofTable(projectId, deviceId, columns, table):
        """Make a chunk of rows, each ``[time, v1, ..]``."""
        return Chunk(projectId, deviceId, columns, len(table), dumps(table))

    def table(self):
        """Return the rows, each ``[time, v1, ..]``."""
        return json.loads("[" + self.body + "]")


def dumps(table):
    """Return rows as JSON lists joined by commas, without outer brackets."""
    return json.dumps(table, separators=(",", ":"), allow_nan=False)[1:-1]
