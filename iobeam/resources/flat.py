"""Rows that lie flat in one list: time, v1, .., time of the next row, ..

They become rows, text and, where many wait, a quarter of their size.
"""
from __future__ import absolute_import

import array
import marshal

from iobeam.utils import compat, utils

EXACT = 2 ** 53
"""Whole numbers below it are the same as a double."""

_WHOLE = frozenset(compat.INTEGERS)


def rows(cells, width, kind=list):
    """Return the rows one by one, a list of lists (or of another kind).

    Args:
        cells (list or array): flat, or plain and packed.
        width (int): cells of a row.
        kind (type): list or tuple.
    """
    if isinstance(cells, list):
        found = zip(*[iter(cells)] * width)
    else:
        found = zip(map(int, cells[::width]), *[
            cells[place::width] for place in range(1, width)])
    return list(found if kind is tuple else map(list, found))


def text(cells, width, isPlain):
    """Return the rows as JSON lists, joined by commas, without outer brackets.

    Args:
        cells (list or array), width (int): as for `rows`.
        isPlain (bool): all values are finite floats, and all times ints of
            less than `EXACT`, as in an array anyway. They are put into one
            pattern, in three quarters of the time that an encoder takes.
    """
    if isPlain or not isinstance(cells, list):
        row = "[%d" + ",%r" * (width - 1) + "]"
        return ",".join([row] * (len(cells) // width)) % tuple(cells)
    return joined(rows(cells, width))


def joined(table):
    """Return rows, each ``[time, v1, ..]``, in the form of `text`."""
    return utils.toJson(table)[1:-1]


def packed(cells, width, isPlain):
    """Return what `unpacked` makes the same cells of, smaller if possible.

    Args:
        cells (list), width (int), isPlain (bool): as for `text`.
    """
    if isPlain:
        return array.array("d", cells)
    if not _WHOLE.issuperset(map(type, cells[::width])):
        return cells  # times that are still to be put right
    try:
        return marshal.dumps(cells, 2)
    except ValueError:
        return cells  # nothing that `add` lets through: better large than lost


def ofDoubles(raw):
    """Return plain cells, which lie as doubles in bytes, as `packed` does."""
    return array.array("d", raw)


def readable(found):
    """Return the cells of what `packed` has made as `rows` and `text` take them.

    Plain ones stay packed: to read them so takes less time than to unpack them.
    """
    return marshal.loads(found) if isinstance(found, bytes) else found


def unpacked(found, width):
    """Return the cells of what `packed` has made, as a list."""
    found = readable(found)
    if isinstance(found, list):
        return found
    cells = found.tolist()
    cells[::width] = list(map(int, cells[::width]))
    return cells
