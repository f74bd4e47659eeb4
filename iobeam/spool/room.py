"""Room in the file: what the rows take, and the oldest that make way."""
from __future__ import absolute_import

from iobeam.spool import spoolfile

_CHUNK_OVERHEAD = 200  # bytes a chunk takes beside its texts, index included


def used(connection):
    """Return the bytes that rows take in the file."""
    pages, free, size = [connection.execute("PRAGMA " + name).fetchone()[0]
                         for name in ("page_count", "freelist_count",
                                      "page_size")]
    return (pages - free - spoolfile.EMPTY_PAGES) * size


def make(connection, maxBytes, chunks, protected, baseUrl=None):
    """Delete the oldest until `chunks` fit.

    If there is not room enough in the whole file, the oldest of the new
    ones are left out as well.

    Args:
        maxBytes (int): of all rows, whosever they are.
        protected (collection of str): ids that must not make room.
        baseUrl (str or None): is stored with each of them.

    Returns:
        tuple: (those that do, rows dropped, bytes that rows take with them).
    """
    sizes = [len(chunk.body) + _CHUNK_OVERHEAD + len(baseUrl or "")
             + sum(map(len, chunk.columns)) for chunk in chunks]
    needed, dropped = sum(sizes), 0
    while True:
        excess = used(connection) + needed - maxBytes
        if excess <= 0:
            return chunks, dropped, excess + maxBytes
        if dropOldest(connection, "rejected", excess):
            continue
        count = dropOldest(connection, "chunks", excess, protected)
        if not count:
            break
        dropped += count
    kept = []
    for chunk, size in zip(chunks, sizes):
        if excess > 0 and chunk.id not in protected:
            excess -= size
            dropped += chunk.rows
        else:
            kept.append(chunk)
    return kept, dropped, maxBytes


def makeForRejected(connection, maxBytes, sizes):
    """Delete the oldest refused rows until those of `sizes` fit.

    Room is made by refused ones only: what still waits to be sent is worth
    more than what never can be.

    Returns:
        int: how many of the new ones have to be left out, the first ones.
    """
    left = 0
    while left < len(sizes):
        excess = used(connection) + sum(sizes[left:]) - maxBytes
        if excess <= 0:
            break
        if not dropOldest(connection, "rejected", excess):
            left += 1
    return left


def dropOldest(connection, table, excess, protected=()):
    """Delete the oldest of `excess` bytes together; their number of rows."""
    fields = "rows, id" if table == "chunks" else "1, ''"
    dropped, doomed = 0, []
    for seq, size, count, id in connection.execute(
            "SELECT seq, bytes, {} FROM {} ORDER BY seq".format(
                fields, table)):
        if excess <= 0:
            break
        if id not in protected:
            doomed.append((seq,))
            excess -= size
            dropped += count
    connection.executemany(
        "DELETE FROM {} WHERE seq = ?".format(table), doomed)
    return dropped
