"""Which chunks go next: those of one device and columns, from behind others'.

The readings of a relay's devices lie mixed in the queue. To fill a request, it
is looked through in its order, without the bodies, and what is found on the way
is noted for the next requests: so a send looks at each chunk once.
"""
from __future__ import absolute_import

import json

from iobeam.spool import spoolfile
from iobeam.utils import compat

_MOST = 100000  # chunks noted, of some 100 bytes each

OWN = "project_id = ? AND (base_url IS NULL OR base_url = ?)"


class Ahead(object):
    """The queue as one client sees it, and the part that was looked through.

    Args:
        owner (tuple): project id and base URL.
        place: of which file the places are, as `spoolfile.inode` has it.
        skipped (collection of str): devices to leave out.
    """

    def __init__(self, owner, place, skipped):
        self._owner = owner
        self._place = place
        self._skipped = set(skipped)
        self._groups = {}  # (device, columns as JSON): [(place, rows), ..]
        self._noted = 0
        self._position = 0

    def isStill(self, owner, place, skipped):
        """Tell whether it can go on for these."""
        return (self._owner, self._place) == (owner, place) \
            and self._skipped.issubset(skipped)

    def take(self, connection, last, skipped, maxValues, settled, group=None):
        """Return the next chunks; arguments as of `Spool.oldest`.

        Args:
            settled (dict): what is left of chunks by their id, or None.
        """
        for device, columns in list(self._groups):
            if device in skipped:
                self._noted -= len(self._groups.pop((device, columns)))
        self._skipped = set(skipped)
        before = self._position
        while True:
            key = None if group is None else self._keyOf(*group)
            if key is not None:
                self._look(connection, last, key, maxValues)
            if key not in self._groups:
                key = self._oldest(connection, last)
                if key is None:
                    return []
                self._look(connection, last, key, maxValues)
            found = self._fetch(connection, key, maxValues, before, settled)
            if found:
                return found

    def forget(self, chunks, left):
        """Leave out chunks that are decided on, but for one that has some left."""
        gone = set(chunk.seq for chunk in chunks
                   if left is None or chunk.id != left.id)
        if not gone:
            return
        key = self._keyOf(chunks[0].deviceId, chunks[0].columns)
        noted = self._groups.get(key, [])
        count = 0
        while count < len(noted) and noted[count][0] in gone:
            count += 1
        self._keep(key, noted[count:])

    @staticmethod
    def _keyOf(device, columns):
        return device, spoolfile.asText(columns)

    def _keep(self, key, noted):
        self._noted += len(noted) - len(self._groups.get(key, ()))
        if noted:
            self._groups[key] = noted
        else:
            self._groups.pop(key, None)

    def _oldest(self, connection, last):
        """The group of the oldest chunk, or None."""
        if not self._groups:
            self._read(connection, last, None, 1)
        if not self._groups:
            return None
        return min(self._groups, key=lambda key: self._groups[key][0])

    def _look(self, connection, last, key, maxValues):
        """Look on until a group fills a request, or the queue ends."""
        wanted = maxValues // max(1, _width(key[1])) + 1
        wanted -= sum(rows for _, rows in self._groups.get(key, ()))
        if wanted > 0:
            self._read(connection, last, key, wanted)

    def _read(self, connection, last, key, wanted):
        """Note chunks until `wanted` rows of a group (None: any) are found."""
        # By no name, so that an exception ends the query: one that is amid its
        # rows keeps the file locked for as long as its traceback is there.
        for seq, device, columns, rows in connection.execute(
                spoolfile.forSchema(
                    connection, "SELECT seq, device_id, columns, rows FROM "
                    "chunks WHERE seq > ? AND " + OWN + " ORDER BY seq"),
                (self._position,) + self._owner):
            # Here, not in the query: the place that a damaged page seems to
            # hold would end it unseen.
            if seq > last:
                spoolfile.surely(spoolfile.chunkAt(connection, seq))
                break
            self._position = seq
            if device in self._skipped:
                continue
            if not compat.isInteger(rows):
                raise spoolfile.malformed()
            found = device, columns
            self._groups.setdefault(found, []).append((seq, rows))
            self._noted += 1
            if key is None or found == key:
                wanted -= rows
            if wanted <= 0 or self._noted >= _MOST:
                break

    def _fetch(self, connection, key, maxValues, before, settled):
        """The chunks of a group for one request; [] if the first is gone."""
        noted, width = self._groups[key], _width(key[1])
        found, kept, count, values = [], [], 0, 0
        for seq, rows in noted:
            chunk = spoolfile.chunkAt(connection, seq, self._owner)
            if seq > before:
                spoolfile.surely(chunk)
            if chunk is not None:
                if self._keyOf(chunk.deviceId, chunk.columns) != key:
                    raise spoolfile.malformed()
                chunk = settled.get(chunk.id, chunk)
            if chunk is not None:
                values += chunk.rows * width
                if found and values > maxValues:
                    break
                found.append(chunk)
                kept.append((seq, rows))
            count += 1
            if not found:
                break  # another group may be the older one now
        self._keep(key, kept + noted[count:])
        return found


def _width(columns):
    try:
        return len(json.loads(columns))
    except (TypeError, ValueError):
        raise spoolfile.malformed()
