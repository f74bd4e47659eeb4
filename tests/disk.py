"""What the tests of the disk buffer share: folders, rows, children."""
from __future__ import absolute_import

import contextlib
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile

from iobeam import iobeam
from iobeam.resources import flat
from iobeam.spool import buffer as spool
from iobeam.spool import spoolfile
from tests import loopback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEVICE = "dev"


@contextlib.contextmanager
def folder(inMemory=False):
    """Yield a new folder, which goes at the end.

    Args:
        inMemory (bool): in memory, if the system has a place for that: where
            a test makes thousands of commits and none has to be durable.
    """
    memory = "/dev/shm"
    path = tempfile.mkdtemp(
        prefix="iobeam-test-", dir=memory if inMemory and os.access(
            memory, os.W_OK) else None)
    try:
        yield path
    finally:
        for name, _, __ in os.walk(path):
            os.chmod(name, stat.S_IRWXU)
        shutil.rmtree(path)


class Records(logging.Handler):
    """Keeps what the library logs, as a context manager."""

    def __init__(self):
        logging.Handler.__init__(self)
        self.messages = []

    def emit(self, record):
        self.messages.append((record.levelname, record.getMessage()))

    def warnings(self, words=""):
        return [said for level, said in self.messages
                if level == "WARNING" and words in said]

    def __enter__(self):
        logging.getLogger("iobeam").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("iobeam").removeHandler(self)


def builder(server, path=None, projectId=1, device=DEVICE, **options):
    """A builder for short tests: no repeats."""
    url = server if isinstance(server, str) else server.url
    made = iobeam.ClientBuilder(projectId, loopback.makeToken(projectId)) \
        .setBackend(url).setTimeout(20, 20).setRetries(0)
    if device is not None:
        made.setDeviceId(device)
    if path is not None:
        made.bufferToDisk(path, **options)
    return made


def fill(store, count, start=0):
    """Add rows whose time in ms and value is their number."""
    for number in range(start, start + count):
        store.add(number, {"v": number})


def numbers(rows):
    """The numbers of rows that `fill` made: of the server, or chunks."""
    return [row.time // 1000 for row in rows]


def chunkOf(projectId, deviceId, columns, table):
    """A chunk of rows, each ``[time, v1, ..]``."""
    return spoolfile.Chunk(projectId, deviceId, columns, len(table),
                           flat.joined(table))


def chunk(*numbers, **more):
    """A chunk of rows as `fill` makes them."""
    return chunkOf(
        more.get("projectId", 1), more.get("deviceId", DEVICE),
        more.get("columns", ("v",)),
        [[number * 1000] + [number] * len(more.get("columns", ("v",)))
         for number in numbers])


def opened(buffer):
    """A connection to the file of a buffer, for a with."""
    return contextlib.closing(spoolfile.connect(buffer.file))


def stored(buffer, projectId=1):
    """The numbers of the rows in a buffer, in the order of the queue."""
    def select(connection):
        found = []
        for seq, in connection.execute("SELECT seq FROM chunks WHERE project_id "
                                       "= ? ORDER BY seq", (projectId,)):
            chunk = spoolfile.chunkAt(connection, seq)
            chunk = buffer._settled.get(chunk.id, chunk)
            found.extend(() if chunk is None else chunk.table())
        return found

    return [row[0] // 1000 for row in buffer._read(select)]


def contents(path):
    """(name, bytes, time of the last write) of the files of a folder.

    Not the time of the last reading: that is the system's to keep or not.
    """
    found = []
    for name in sorted(os.listdir(path)):
        with open(os.path.join(path, name), "rb") as opened:
            found.append((name, opened.read(),
                          os.stat(opened.name).st_mtime))
    return found


def asideFiles(path):
    """Names of corrupt files that were set aside."""
    return [name for name in os.listdir(path)
            if ".corrupt-" in name and not name.endswith("-journal")]


def start(*command, **options):
    """Start a Python child in the root of the project."""
    environment = dict(os.environ, PYTHONPATH=ROOT, PYTHONUNBUFFERED="1",
                       PYTHONDONTWRITEBYTECODE="1")
    return subprocess.Popen([sys.executable] + list(command), cwd=ROOT,
                            stdout=subprocess.PIPE, env=environment,
                            stderr=subprocess.PIPE, **options)


def run(*command, **options):
    """Run a Python child; its output, or AssertionError with its errors."""
    child = start(*command, **options)
    out, errors = child.communicate()
    if child.returncode != 0:
        raise AssertionError("child ended with {}:\n{}".format(
            child.returncode, errors.decode("utf-8", "replace")))
    return out.decode("utf-8")


def numbersIn(path):
    """The numbers of the rows in the buffer of a folder."""
    return stored(spool.Spool(path))
