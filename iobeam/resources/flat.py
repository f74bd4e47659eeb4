"""Rows that lie flat in one list: time, v1, .., time of the next row, ..

They become rows, text and, where many wait, a quarter of their size.
"""
from __future__ import absolute_import

import array
import itertools
import marshal
import struct

from iobeam.utils import compat, quickjson, utils

EXACT = 2 ** 53
"""Whole numbers below it are the same as a double."""

_WHOLE = frozenset(compat.INTEGERS)
# As many as stay in the processor's caches on their way to text.
_ENCODED_CELLS = 5000


class Text(object):
    """Packed rows in the form in which they are sent: `text` is done.

    Attributes:
        json (bytes): as `text` returns it.
        rows (int): their number.
    """

    __slots__ = ("json", "rows")

    def __init__(self, json, rows):
        self.json = json
        self.rows = rows


def rows(cells, width):
    """Return the rows one by one, a list of lists.

    Args:
        cells (list, array or Text): flat, or packed and readable.
        width (int): cells of a row.
    """
    if isinstance(cells, Text):
        return quickjson.loads(b"[" + cells.json + b"]")
    return list(map(list, _tuples(cells, width)))


def count(cells, width):
    """Return the number of rows (`cells`, `width` as for `rows`)."""
    return cells.rows if isinstance(cells, Text) else len(cells) // width


def text(cells, width, isPlain):
    """Return the rows as JSON lists, joined by commas, without outer brackets.

    Args:
        cells (list, array or Text), width (int): as for `rows`.
        isPlain (bool): all values are finite floats, and all times ints of
            less than `EXACT`, as in an array anyway. Without orjson they are
            put into one pattern, in three quarters of an encoder's time.

    Returns:
        str, or UTF-8.
    """
    if isinstance(cells, Text):
        return cells.json
    quick = _quickly(cells, width)
    if quick is not None:
        return quick
    if isPlain or not isinstance(cells, list):
        row = "[%d" + ",%r" * (width - 1) + "]"
        return ",".join([row] * (len(cells) // width)) % tuple(cells)
    return joined(rows(cells, width))


def _quickly(cells, width):
    """Return the rows in the form of `text`, by orjson, if that can be; or None."""
    if quickjson.dumps is None:
        return None
    found, most = _tuples(cells, width), max(1, _ENCODED_CELLS // width)
    try:
        return b",".join([
            quickjson.dumps(list(itertools.islice(found, most)))[1:-1]
            for _ in range(0, len(cells) // width, most)])
    except TypeError:
        return None  # what only the standard library takes


def _tuples(cells, width):
    if isinstance(cells, list):
        return iter(zip(*[iter(cells)] * width))
    return iter(zip(map(int, cells[::width]), *[
        cells[place::width] for place in range(1, width)]))


def joined(table):
    """Return rows, each ``[time, v1, ..]``, in the form of `text`."""
    return utils.toJson(table)[1:-1]


def packed(cells, width, isPlain):
    """Return what `unpacked` makes the same cells of, smaller if possible.

    Args:
        cells (list), width (int), isPlain (bool): as for `text`.
    """
    if not isPlain and not _WHOLE.issuperset(map(type, cells[::width])):
        return cells  # times that are still to be put right
    quick = _quickly(cells, width)
    if quick is not None:
        return Text(quick, len(cells) // width)
    if isPlain:
        # by `struct`, in half the time that `array` takes over a list
        made = array.array("d", (0.0,)) * len(cells)
        struct.pack_into("{}d".format(len(cells)), made, 0, *cells)
        return made
    try:
        return marshal.dumps(cells, 2)
    except ValueError:
        return cells  # nothing that `add` lets through: better large than lost


def ofDoubles(raw):
    """Return plain cells, which lie as doubles in bytes, as an array."""
    return array.array("d", raw)


def readable(found):
    """Return the cells of what `packed` has made as `rows` and `text` take them.

    What they take packed stays so: that takes less time than to unpack it.
    """
    return marshal.loads(found) if isinstance(found, bytes) else found


def unpacked(found, width):
    """Return the cells of what `packed` has made, as a list."""
    found = readable(found)
    if isinstance(found, list):
        return found
    if isinstance(found, Text):
        return list(itertools.chain.from_iterable(rows(found, width)))
    cells = found.tolist()
    cells[::width] = list(map(int, cells[::width]))
    return cells
