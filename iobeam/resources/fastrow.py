"""The quick way from a dict to a row, made for the columns of one store."""
from __future__ import absolute_import

import sys

# Wider rows are rare, and the plain loop is as quick for them.
_MAX_COLUMNS = 32

_SOURCE = """
def makeRow(usec, found):
    {picks}
    if float is {types}:
        # NaN or an infinity among the summands makes the sum one
        total = {total}
        if -{most} <= total <= {most}:
            return (usec, {values})
"""


def rowMaker(columns):
    """Return a function that makes a row out of a full dict of floats.

    Written out for the columns, as `collections.namedtuple` does, it takes
    half the time of a loop over them: `add` runs at every measurement.

    Args:
        columns (tuple of str): the names; no part of the source, so that they
            may hold anything.

    Returns:
        callable: takes (time, dict); returns the row as a tuple, time first,
        or None if a value is no finite float. KeyError for a missing column.
    """
    if len(columns) > _MAX_COLUMNS:
        return lambda usec, found: None
    values = ["v{}".format(place) for place in range(len(columns))]
    source = _SOURCE.format(
        picks="; ".join("{0} = found[c{0}]".format(value) for value in values),
        types=" is ".join("type({})".format(value) for value in values),
        total=" + ".join(values), most=repr(sys.float_info.max),
        values=", ".join(values) + ",")
    names = dict(("cv{}".format(place), column)
                 for place, column in enumerate(columns))
    exec(compile(source, "<iobeam row maker>", "exec"), names)
    return names["makeRow"]
