"""Small tables in HTML, for notebooks."""
from __future__ import absolute_import

from iobeam.utils import compat, zones

MOST_ROWS = 10
_SHOWN = ("added", "accepted", "pending", "rejected", "lastError")
_MOST_CHARS = 200  # of a cell
_MARKS = ((u"&", u"&amp;"), (u"<", u"&lt;"), (u">", u"&gt;"),
          (u'"', u"&quot;"), (u"'", u"&#39;"))


def table(title, names, rows):
    """Return a table.

    Args:
        title (str): what stands above it.
        names (list of str): headings.
        rows (list): of lists of cells: text, numbers, booleans, None.

    Returns:
        text: in which all that was given is shown, and nothing of it is HTML.
    """
    return (u"<table><caption>{}</caption><thead>{}</thead>"
            u"<tbody>{}</tbody></table>").format(
                escaped(title), _row(u"th", names),
                u"".join(_row(u"td", row) for row in rows))


def facts(client):
    """Return a table of what is known of a client."""
    rows = [[u"project", client.projectId], [u"device", client.getDeviceId()]]
    try:
        found = client.stats()
        rows += [[name, found[name]] for name in _SHOWN]
    except Exception as error:  # its buffer cannot be read, say
        rows.append([u"stats()", type(error).__name__])
    return table(u"iobeam client", [], rows)


def moment(usec):
    """An instant in ISO 8601, in this machine's zone with its offset."""
    return zones.zoneOf("local").shown(usec)


def escaped(cell):
    """What is shown of a cell."""
    if cell is None:
        return u""
    if isinstance(cell, bool):
        return u"true" if cell else u"false"
    if isinstance(cell, bytes):
        text = cell.decode("utf-8", "replace")
    elif isinstance(cell, float):
        text = compat.toText(repr(cell))
    elif isinstance(cell, compat.TEXTS):
        text = compat.toText(cell)
    else:
        text = u"{}".format(cell)
    if len(text) > _MOST_CHARS:
        text = text[:_MOST_CHARS] + u"\u2026"
    for mark, shown in _MARKS:
        text = text.replace(mark, shown)
    return text


def _row(tag, cells):
    return u"<tr>{}</tr>".format(u"".join(
        u"<{0}>{1}</{0}>".format(tag, escaped(cell)) for cell in cells))
