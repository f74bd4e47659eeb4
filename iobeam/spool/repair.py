"""Damaged files of the disk buffer: save what can be read, set the rest aside."""
from __future__ import absolute_import

import contextlib
import os
import shutil
import sqlite3
import struct
import time
import uuid

from iobeam.errors import SpoolError
from iobeam.spool import filelock, spoolfile
from iobeam.utils import compat, utils

_LOCK_FILE = "iobeam_buffer.repair.lock"
_TABLES = (
    ("chunks", spoolfile.CHUNK_FIELDS, spoolfile.decoded),
    ("rejected", spoolfile.REJECTED_FIELDS, spoolfile.checkRejected),
)
_HOLE = 1000  # places that a rescue tries one by one where it cannot read on


def mend(file, error, isSure):
    """Copy what can be read to a new file, and set the corrupt one aside.

    There is a whole file in its place at any instant. As long as the old
    one can be locked it is, so that no other process commits to it behind
    the copy's back.

    Args:
        file (str): the absolute path.
        error (Exception): what showed the damage; named in the log.
        isSure (bool): False looks at the file first: another process may have
            mended it.

    Raises:
        SpoolError: it cannot be mended, or is being mended for too long.
    """
    folder = os.path.dirname(file)
    with filelock.locked(os.path.join(folder, _LOCK_FILE),
                         spoolfile.BUSY_SECONDS) as held:
        if not held:
            raise SpoolError("the disk buffer {} is corrupt ({}) and "
                             "locked".format(file, error))
        aside = "{}.corrupt-{}".format(file, time.strftime(
            "%Y%m%dT%H%M%S") + "-" + uuid.uuid4().hex[:6])
        fresh = file + ".new"
        headed = ["{}.headed{}".format(file, number)
                  for number in range(len(spoolfile.LAYOUTS))]
        try:
            if not isSure and not _isBroken(file):
                return  # another process has mended it
            for copy, layout in zip(headed, spoolfile.LAYOUTS):
                _copyWithHead(file, copy, layout)
            with _writeLock(file):
                if not isSure and not _isBroken(file):
                    return
                saved = _rescue([file] + headed, fresh)
                _keepAs(file, aside)
                if os.path.exists(file + "-journal"):
                    compat.replaceFile(file + "-journal",
                                       aside + "-journal")
                compat.replaceFile(fresh, file)
            compat.fsyncFolder(folder)
        except (EnvironmentError,) + spoolfile.ERRORS as failure:
            raise SpoolError("the disk buffer {} is corrupt ({}) and "
                             "cannot be mended: {}".format(
                                 file, error, failure))
        finally:
            for name in [fresh] + headed:
                _remove(name, name + "-journal")
        utils.getLogger().warning(
            "the disk buffer %s was corrupt (%s): %d rows could be read "
            "and were kept, the old file is %s", file, error, saved,
            aside)


@contextlib.contextmanager
def _writeLock(file):
    """Keep other processes from writing to a damaged file, if that is possible.

    Raises:
        sqlite3.Error: another one is writing to it and does not end.
    """
    connection = sqlite3.connect(file, timeout=spoolfile.BUSY_SECONDS,
                                 isolation_level=None)
    try:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except spoolfile.ERRORS as error:
            if not spoolfile.isCorruption(error):
                raise
        yield
    finally:
        connection.close()


def _isBroken(file):
    connection = sqlite3.connect(file, timeout=spoolfile.BUSY_SECONDS)
    try:
        for table, fields, check in _TABLES:
            for row in connection.execute("SELECT {} FROM {}".format(
                    spoolfile.forSchema(connection, fields), table)):
                check(row)
        checked = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return checked != "ok"
    except spoolfile.ERRORS as error:
        if not spoolfile.isCorruption(error):
            raise
        return True
    finally:
        connection.close()


def _rescue(sources, fresh):
    """Copy what can be read of files to a new one; return the rows saved."""
    _remove(fresh)
    spoolfile.create(fresh)
    target = spoolfile.connect(fresh)
    saved = 0
    try:
        target.executescript(spoolfile.SCHEMA)
        target.execute("BEGIN IMMEDIATE")
        for table, fields, check in _TABLES:
            for source in sources:
                for row in _readable(source, table, fields):
                    try:
                        check(row)
                        copied = target.execute(
                            "INSERT OR IGNORE INTO {} ({}) VALUES ({})".format(
                                table, fields, ", ".join("?" * len(row))),
                            row).rowcount
                    except sqlite3.IntegrityError:
                        continue  # a gap where none can be
                    except spoolfile.ERRORS as error:
                        if not spoolfile.isCorruption(error):
                            raise
                        continue
                    if table == "chunks":
                        saved += row[4] * copied
        target.execute("COMMIT")
    finally:
        target.close()
    return saved


def _copyWithHead(file, target, layout):
    """Copy a file, with the first page of an empty one of a layout.

    A damaged first page hides all others; the tables begin at the same pages
    in every file. Of a layout that is another's no row passes its check.
    """
    _remove(target)
    spoolfile.create(target)
    empty = spoolfile.connect(target)
    try:
        empty.executescript(layout)
    finally:
        empty.close()
    with open(target, "r+b") as copy:
        head = bytearray(copy.read(spoolfile.PAGE_BYTES))
        copy.seek(0)
        with open(file, "rb") as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        pages = max(1, -(-copy.tell() // spoolfile.PAGE_BYTES))
        copy.truncate(pages * spoolfile.PAGE_BYTES)
        # the number of pages; then the list of free ones, which may be empty
        head[28:40] = struct.pack(">III", pages, 0, 0)
        copy.seek(0)
        copy.write(head)


def _readable(file, table, fields):
    """Yield the rows of a damaged table, stepping over what cannot be read."""
    connection = sqlite3.connect(file, timeout=spoolfile.BUSY_SECONDS)

    def fetch(sql, *values):
        """The rows, as far as they can be read, and whether that is all."""
        found = []
        try:
            for row in connection.execute(sql.format(fields, table), values):
                found.append(row)
        except spoolfile.ERRORS as error:
            if not spoolfile.isCorruption(error):
                raise
            return found, False
        return found, True

    try:
        fields = _columnsOf(connection, fields)
        found, isWhole = fetch("SELECT {0} FROM {1} ORDER BY seq")
        if not isWhole:
            found += fetch("SELECT {0} FROM {1} ORDER BY seq DESC")[0]
        rows = dict((row[0], row) for row in found)
        if not isWhole:
            # What lies between two holes: an index, if it is whole, knows the
            # places; next to a hole they are tried one by one.
            places = set(place for place, _ in fetch(
                "SELECT seq, {} FROM {{1}} ORDER BY 2".format(
                    "id" if table == "chunks" else "seq"))[0])
            for edge in list(rows) or [0]:
                if edge + 1 not in rows:
                    places.update(range(edge + 1, edge + _HOLE))
                if edge - 1 not in rows:
                    places.update(range(edge - _HOLE, edge))
            for place in places.difference(rows):
                for row in fetch("SELECT {0} FROM {1} WHERE seq = ?",
                                 place)[0]:
                    rows[place] = row
    finally:
        connection.close()
    for place in sorted(rows):
        yield rows[place]


def _columnsOf(connection, fields):
    try:
        return spoolfile.forSchema(connection, fields)
    except spoolfile.ERRORS as error:
        if not spoolfile.isCorruption(error):
            raise
        return fields  # nothing can be read anyhow


def _remove(*files):
    for file in files:
        if os.path.exists(file):
            os.remove(file)


def _keepAs(file, aside):
    """Give a file a second name; a copy where the file system has no links."""
    try:
        os.link(file, aside)
    except (AttributeError, EnvironmentError):
        shutil.copyfile(file, aside)
