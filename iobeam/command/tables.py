"""Tables for people: headings, columns as wide as they need, numbers aligned."""
from __future__ import absolute_import

import re

from iobeam.utils import compat

# Controls, and what turns the direction of writing.
_UNSHOWN = re.compile(u"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_GAP = u"  "


def harmless(text):
    """Escape what could steer the terminal, as JSON does."""
    return _UNSHOWN.sub(
        lambda found: u"\\u{:04x}".format(ord(found.group())), text)


class Table(object):
    """Lays out rows, some at a time; later ones may widen a column.

    Args:
        names (list of str): headings.
    """

    def __init__(self, names):
        self._names = [compat.toText(name) for name in names]
        self._left = [0] * len(names)  # of numbers, before the point
        self._right = [0] * len(names)
        self._widths = [len(name) for name in self._names]
        self._isBegun = False

    def lines(self, rows):
        """Return the lines (list of text) of rows, the headings first.

        Args:
            rows (list): of lists of cells: text, numbers, booleans, None.
        """
        rows = [[_split(cell) for cell in row] for row in rows]
        for row in rows:
            self._widen(row)
        found = [self._line(row) for row in rows]
        if not self._isBegun:
            self._isBegun = True
            found[:0] = [self._joined(self._heading(place) for place
                                      in range(len(self._names))),
                         _GAP.join(u"-" * width for width in self._widths)]
        return found

    def _widen(self, row):
        for place, (left, right) in enumerate(row):
            if right is None:
                needed = len(left)
            else:
                self._left[place] = max(self._left[place], len(left))
                self._right[place] = max(self._right[place], len(right))
                needed = self._left[place] + self._right[place]
            self._widths[place] = max(self._widths[place], needed)

    def _heading(self, place):
        name, width = self._names[place], self._widths[place]
        return name.rjust(width) if self._left[place] else name.ljust(width)

    def _line(self, row):
        return self._joined(
            left.ljust(self._widths[place]) if right is None else
            (left.rjust(self._widths[place] - self._right[place])
             + right.ljust(self._right[place]))
            for place, (left, right) in enumerate(row))

    @staticmethod
    def _joined(cells):
        return _GAP.join(cells).rstrip()


def _split(cell):
    """What stands before and from the decimal point on; None: no number."""
    if cell is None:
        return u"-", None
    if isinstance(cell, bool):
        return (u"true" if cell else u"false"), None
    if compat.isNumber(cell):
        found = compat.toText(repr(cell) if isinstance(cell, float)
                              else str(cell))
        place = min([found.index(mark) for mark in u".e" if mark in found]
                    or [len(found)])
        return found[:place], found[place:]
    return harmless(compat.toText(cell)), None
