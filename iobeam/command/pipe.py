"""Rows of a pipe: they go out, or to disk, within a second of being read."""
from __future__ import absolute_import

import os
import select
import sys
import threading

from iobeam.command import common, dialect, readings
from iobeam.command.consignment import Consignment, onSignals, raiseInterrupted
from iobeam.utils import compat

if compat.PY2:
    import Queue as queue  # novm
else:
    import queue  # novm

NAME = "stdin"
_WINDOW_SECONDS = 0.5  # the first lines decide: those of this time
_HEAD_BYTES = 1 << 20  # or as many as these
_BLOCK = 1 << 16  # bytes
_BLOCKS = 16  # that wait to be understood
_TICK_SECONDS = 0.1
_DRAIN_SECONDS = 2.0  # for what is still in the pipe once it is to end
_MAX_PENDING = 50000  # rows in memory, without a buffer
# With one, a backend that is away is given up for a while, and asked again.
_BUFFERED_SECONDS = 20.0
_AGAIN_SECONDS = 5.0


def send(options, context, settings, describe, show):
    """Carry out the command for the standard input; return the exit code."""
    source = _Source(*_standardInput())
    with onSignals(lambda *_: source.stop()):
        reading, lines, splitter = _understand(source, settings)
        describe(options, reading, settings)
        batches = _batches(source, reading, lines, splitter)
        if options.dry_run:
            return show(options, [(reading, batches)])
        sent = Consignment(options, context)
        with sent.guarded(), sent.rejectsOf(reading) as rejects:
            _sendBatches(options, sent, batches, rejects)
        if reading.repeated:
            common.tell("{} rows had the time of one before: the last of them "
                        "counts".format(reading.repeated))
        return sent.report()


def _sendBatches(options, sent, batches, rejects):
    sender = _Sender(sent, bool(options.buffer))
    try:
        for batch in batches:
            sent.add(batch.groups)
            rejects.add(batch.bad)
            sent.keep()
            sender.wake()
            while (sender.isAlive() and not options.buffer
                   and sent.pending() > _MAX_PENDING):
                sender.pause()  # the pipe waits, and with it who writes
            if sent.isStopped():
                break
        sender.finish()
    except BaseException:
        sender.abandon()
        raise


def _understand(source, settings):
    """(reading, lines so far, what splits those to come) of a pipe."""
    raw, limit = b"", None
    while True:
        block = source.get()
        if block:
            raw += block
            limit = limit or compat.monotonic() + _WINDOW_SECONDS
        if not source.isEnded and (limit is None or (
                compat.monotonic() < limit and len(raw) < _HEAD_BYTES)):
            continue
        encoding, isFallback = dialect.encodingOf(
            [raw], NAME, settings.encoding, source.isEnded)
        splitter = dialect.LineSplitter(encoding)
        lines = splitter.split(raw, source.isEnded)
        try:
            return (readings.inspectHead(NAME, lines, settings, encoding,
                                         isFallback), lines, splitter)
        except readings.NoRows as error:
            if source.isEnded and error.columns is None:
                raise
            if source.isEnded:
                return readings.NothingRead(NAME, error), [], splitter
            limit = None  # a header, and nothing under it so far


def _batches(source, reading, lines, splitter):
    """Yield the rows of a pipe as they come."""
    for batch in reading.further(lines, False):
        yield batch
    while not source.isEnded:
        block = source.get()
        if block:
            for batch in reading.further(splitter.split(block), False):
                yield batch
    for batch in reading.further(splitter.split(b"", True), True):
        yield batch


# -- the pipe ---------------------------------------------------------------------


def _standardInput():
    """What reads some bytes of it, none at its end; what tells if some wait."""
    if sys.stdin is None:
        raise ValueError("there is no standard input")
    stream = getattr(sys.stdin, "buffer", sys.stdin)
    try:
        descriptor = stream.fileno()
    except (AttributeError, EnvironmentError, ValueError):
        return (lambda: compat.toText(stream.read(_BLOCK)).encode("utf-8"),
                lambda: False)
    return (lambda: os.read(descriptor, _BLOCK),
            lambda: os.name != "nt"
            and bool(select.select([descriptor], [], [], 0)[0]))


class _Source(object):
    """Reads in a thread of its own: a pipe cannot be waited for with a limit
    on every system."""

    def __init__(self, read, isWaiting):
        self._read = read
        self._isWaiting = isWaiting
        self._blocks = queue.Queue(_BLOCKS)
        self._limit = None
        self.isEnded = False
        thread = threading.Thread(target=self._run)
        thread.daemon = True
        thread.start()

    def _run(self):
        block = None
        while block != b"":
            try:
                block = self._read()
            except EnvironmentError:
                block = b""  # of a terminal that is gone
            self._blocks.put(block)

    def stop(self):
        """Let it end with what is in the pipe; the second call ends at once."""
        if self._limit is not None:
            raiseInterrupted()
        self._limit = compat.monotonic() + _DRAIN_SECONDS

    def get(self):
        """Some bytes, or None if there are none for a moment."""
        try:
            block = self._blocks.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            # on a busy machine a moment is too short for the thread that reads
            self.isEnded = self._limit is not None and (
                compat.monotonic() > self._limit or not self._isWaiting())
            return None
        if not block or (self._limit is not None
                         and compat.monotonic() > self._limit):
            self.isEnded = True
        return block or None


# -- the way out ------------------------------------------------------------------


class _Sender(object):
    """Sends in a thread of its own, so that rows get to disk meanwhile."""

    def __init__(self, sent, hasBuffer):
        self._sent = sent
        self._hasBuffer = hasBuffer
        self._work = threading.Event()
        self._hasSent = threading.Event()
        self._isLast = False
        self._isAbandoned = False
        self._thread = threading.Thread(target=self._run)
        self._thread.daemon = True
        self._thread.start()

    def isAlive(self):
        """False once it has given up."""
        return self._thread.is_alive()

    def wake(self):
        """There are rows to send."""
        self._work.set()

    def pause(self):
        """Wait a moment, or until something was sent."""
        self._hasSent.wait(_TICK_SECONDS)
        self._hasSent.clear()

    def finish(self):
        """Send what is left; with a buffer it need not be all."""
        self._isLast = True
        self._work.set()
        limit = compat.monotonic() + _BUFFERED_SECONDS
        while self._thread.is_alive() and not (
                self._hasBuffer and compat.monotonic() > limit):
            self._thread.join(_TICK_SECONDS)

    def abandon(self):
        """Nobody waits for it: what it meets at the end of the program is nobody's."""
        self._isAbandoned = True

    def _run(self):
        try:
            self._send()
        except:  # noqa: E722  # on 2.7 all names are gone before threads are
            if not self._isAbandoned:
                raise

    def _send(self):
        while True:
            self._work.wait(_AGAIN_SECONDS)
            self._work.clear()
            isLast = self._isLast
            timeout = _BUFFERED_SECONDS if self._hasBuffer else None
            done = all([self._sent.sendOne(client, timeout)
                        for client in self._sent.clients()])
            if done and self._hasBuffer:
                self._sent.failure = None  # it is made up for
            self._hasSent.set()
            if isLast or not (done or self._hasBuffer):
                return
