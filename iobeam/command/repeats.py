"""Rows of one device at one time, of which the backend keeps the last."""
from __future__ import absolute_import

import itertools
import marshal
import operator
import tempfile

_PART = 250000  # keys in memory at once, some 60 MB


class Repeats(object):
    """Counts rows whose time was there before, in a file that has an order.

    Rows that go steadily up or down need no memory. For others `isMixed` says
    that only `recount` can tell.
    """

    def __init__(self, differing):
        self._differing = differing  # (row, row) -> places that differ
        self._known = {}  # key: [highest, lowest, last, row of the last]
        self.count = 0
        self.places = set()
        self.isMixed = False

    def look(self, keys, times, rows):
        """Take note of rows; `keys` is None if they are of one device."""
        if not times or self.isMixed:
            return
        if keys is None and self._isSteady(times, rows):
            return
        for key, time, row in zip(keys or itertools.repeat(None), times, rows):
            state = self._known.get(key)
            if state is None:
                self._known[key] = [time, time, time, row]
            elif time == state[2]:
                self.count += 1
                self.places.update(self._differing(state[3], row))
            elif time > state[0]:
                state[0] = state[2] = time
                state[3] = row
            elif time < state[1]:
                state[1] = state[2] = time
                state[3] = row
            else:
                self.isMixed = True
                return

    def _isSteady(self, times, rows):
        """True, and taken note of, if all times are above the highest."""
        state = self._known.get(None)
        if state is not None and times[0] <= state[0]:
            return False
        if not all(map(operator.lt, times, itertools.islice(times, 1, None))):
            return False
        lowest = times[0] if state is None else state[1]
        self._known[None] = [times[-1], lowest, times[-1], rows[-1]]
        return True


class Seen(object):
    """Rows of a pipe whose time was there before, in any order.

    It knows the last rows, 250 000 to begin with: a pipe has no end.

    Attributes:
        count (int): how many there were.
    """

    def __init__(self):
        self._older, self._known = {}, {}
        self.count = 0

    def look(self, records):
        """Yield a place for each row that is another one at a known time.

        Args:
            records (iterable of (key, texts)): as for `recount`.
        """
        for place, (key, texts) in enumerate(records):
            before = self._known.get(key, self._older.get(key))
            if before is None:
                self._known[key] = texts
                if len(self._known) >= _PART:
                    self._older, self._known = self._known, {}
                continue
            self.count += 1
            if any(one is not None and other is not None and one != other
                   for one, other in zip(before, texts)):
                yield place


def recount(records, total):
    """Count repeats in any order, on disk if they are many.

    Args:
        records (iterable of (key, texts)): key of plain values; texts a tuple,
            None where there is none.
        total (int): how many there are, about.

    Returns:
        (int, set of int): how many keys were there before, and the places of
        texts that differ among those of one key.
    """
    if total <= _PART:
        return _countPart(records)
    parts = [tempfile.TemporaryFile() for _ in range(total // _PART + 1)]
    try:
        for record in records:
            marshal.dump(record, parts[hash(record[0]) % len(parts)])
        count, places = 0, set()
        for part in parts:
            part.seek(0)
            found = _countPart(_load(part))
            count += found[0]
            places |= found[1]
        return count, places
    finally:
        for part in parts:
            part.close()


def _load(part):
    while True:
        try:
            yield marshal.load(part)
        except EOFError:
            return


def _countPart(records):
    known, count, places = {}, 0, set()
    for key, texts in records:
        if key not in known:
            known[key] = texts
            continue
        count += 1
        places.update(place for place, (one, other) in enumerate(
            zip(known[key], texts)) if one is not None and other is not None
            and one != other)
    return count, places
