"""Rows on their way: stores and clients by device, counts, what was refused."""
from __future__ import absolute_import

import contextlib
import io
import json
import signal
import threading

from iobeam.command import common
from iobeam.http import request
from iobeam.resources import data
from iobeam.utils import compat

_USEC = data.TimeUnit.MICROSECONDS
# Whole milliseconds of these years go as they are, which is the shortest way.
_FIRST_USEC, _LAST_USEC = 10 ** 14, 10 ** 17
_MAX_CLIENTS = 200  # a connection each
_SHOWN = 3  # refused rows


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP: a time to stop in good order."""


class Consignment(object):
    """What one command sends.

    Args:
        options: ``device``, ``buffer`` and ``json`` of the command line.
        context (common.Context): makes the builders.

    Attributes:
        rejected (int): rows that the backend refused.
        values (int): since the last `send`.
    """

    def __init__(self, options, context):
        self._options = options
        self._context = context
        self._clients = {}
        self._stores = {}
        self._lock = threading.Lock()  # of clients, that a thread may send
        self._closed = {"accepted": 0, "pending": 0}
        self._parts = 1  # stores that a row is spread over
        self._named = []
        self._rejects = []
        self.rejected = 0
        self.values = 0
        self.failure = None

    # -- adding ------------------------------------------------------------

    def add(self, groups):
        """Take rows in; they are sent by `send`."""
        for group in groups:
            store = self._storeOf(group.device, group.columns)
            store.addRows([(timestampOf(usec), row)
                           for usec, row in group.rows])
            self.values += len(group.rows) * len(group.columns)

    def rejectsOf(self, reading):
        """The `Rejects` of a reading, which count in the report."""
        self._parts = max(self._parts, reading.parts)
        self._rejects.append(Rejects(reading))
        return self._rejects[-1]

    def _storeOf(self, device, columns):
        key = device, tuple(columns)
        if key not in self._stores:
            client = self._clientOf(device)
            self._stores[key] = client.createDataStore(list(columns))
        return self._stores[key]

    def _clientOf(self, device):
        found = self._clients.get(device)
        if found is not None:
            return found
        if len(self._clients) >= _MAX_CLIENTS:
            self.send()
            self._closeAll()
        builder = (self._context.deviceBuilder() if device is None else
                   self._context.builder().registerOrSetId(device))
        if self._options.buffer:
            builder.bufferToDisk(self._options.buffer)
        client = builder.build()
        with self._lock:
            self._clients[device] = client
        if len(self._named) < _SHOWN and client.getDeviceId() \
                not in self._named:
            self._named.append(client.getDeviceId())
            common.tell("device {}".format(client.getDeviceId()))
        elif len(self._named) == _SHOWN:
            self._named.append(None)
            common.tell("device ... and more")
        return client

    # -- sending -----------------------------------------------------------

    def send(self):
        """Deliver what was added; what stops it is kept as `failure`.

        With a buffer, and after a failure, rows only go there: the rest of a
        file need not wait for a backend that is away.
        """
        self.values = 0
        for client in self.clients():
            if self.failure is None:
                self.sendOne(client)
            if self.failure is not None and self._options.buffer:
                client.flush()

    def sendOne(self, client, timeout=None):
        """Deliver what one client holds; False if that failed."""
        try:
            client.send(timeout)
        except (request.Error, EnvironmentError, ValueError) as error:
            refused = getattr(error, "rejected", ())
            self.rejected += len(refused)
            for one in refused[:_SHOWN]:
                common.tell("refused: {} {}".format(
                    json.dumps(one.row, sort_keys=True),
                    json.dumps(one.apiErrors, sort_keys=True)))
            if getattr(error, "pending", 1):
                self.failure = error
                return False
        return True

    def keep(self):
        """Put what is in memory on disk, if there is a buffer."""
        if self._options.buffer:
            for client in self.clients():
                client.flush()

    def pending(self):
        """How many rows wait."""
        return sum(client.pending() for client in self.clients()) // self._parts

    def isStopped(self):
        """True if it makes no sense to go on."""
        return self.failure is not None and not self._options.buffer

    def clients(self):
        """Those that were needed so far."""
        with self._lock:
            return list(self._clients.values())

    @contextlib.contextmanager
    def interruptible(self):
        """SIGINT, SIGTERM and SIGHUP end the block, and are a failure."""
        with onSignals(raiseInterrupted), self.guarded():
            yield

    @contextlib.contextmanager
    def guarded(self):
        """Whatever ends the block is a failure, to be told with the counts."""
        try:
            yield
        except Interrupted:
            self.failure = Interrupted("interrupted")
        except (request.Error, EnvironmentError, ValueError) as error:
            self.failure = error
        try:
            self.keep()
        except request.Error as error:
            self.failure = error

    # -- the end -----------------------------------------------------------

    def _closeAll(self):
        for client in self.clients():
            self._closed["accepted"] += client.stats()["accepted"]
            self._closed["pending"] += client.pending()
        if not self._options.buffer:  # what is lost is said by `report`
            for store in self._stores.values():
                store.clear()
        for client in self.clients():
            client.close()
        with self._lock:
            self._clients.clear()
        self._stores.clear()

    def report(self):
        """Close, print the counts and what to do; return the exit code."""
        self._closeAll()
        result = dict((name, count // self._parts)
                      for name, count in self._closed.items())
        result["rejected"] = self.rejected + sum(
            rejects.count for rejects in self._rejects)
        lines = ["{accepted} rows accepted, {rejected} refused, {pending} "
                 "waiting".format(**result)]
        if self.failure is not None:
            result["error"] = str(self.failure)
            common.tell(str(self.failure))
            if self._options.buffer:
                lines.append("what waits is in the buffer: iobeam buffer flush"
                             " --path " + self._options.buffer)
            if not self._options.buffer or isinstance(self.failure,
                                                      Interrupted):
                lines.append("repeat the command: a row that is sent again "
                             "replaces itself")
        common.say(self._options, result, *lines)
        return (common.FAILED if self.failure is not None or result["rejected"]
                else common.OK)


def timestampOf(usec):
    """Microseconds as `addRows` takes them at least cost."""
    if usec % 1000 == 0 and _FIRST_USEC <= usec < _LAST_USEC:
        return usec // 1000
    return data.Timestamp(usec, unit=_USEC)


def raiseInterrupted(*_):
    raise Interrupted()


@contextlib.contextmanager
def onSignals(handler):
    """Let SIGINT, SIGTERM and SIGHUP call `handler`; only the main thread may.

    SIGHUP comes when the terminal goes; what `nohup` has started never minds.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and \
            signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {}
    try:
        for number in numbers:
            before[number] = signal.signal(number, handler)
    except ValueError:
        pass
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, before[number])


class Rejects(object):
    """Rows that are left out, in a file beside theirs: line, reason, cells."""

    def __init__(self, reading):
        self._reading = reading
        self._file = None
        self.path = reading.name + ".rejected.csv"
        self.count = 0

    def __enter__(self):
        return self

    def add(self, bad):
        """Take note of [(line number, cells, why)]."""
        for number, row, why in bad:
            self.count += 1
            self._write(number, row, why)
            if self.count <= _SHOWN:
                common.tell("{} line {}: {}".format(self._reading.name,
                                                    number, why))

    def _write(self, number, row, why):
        if self._file is None:
            try:
                self._file = io.open(self.path, "w", encoding="utf-8",
                                     newline="")
            except EnvironmentError as error:
                common.tell("{} cannot be written: {}".format(
                    self.path, error.strerror or error))
                self._file = False
            else:
                self._line([u"line", u"reason"] + self._reading.layout.names)
        if self._file:
            self._line([str(number), why] + row)

    def _line(self, row):
        self._file.write(u",".join(_quoted(compat.toText(cell))
                                   for cell in row) + u"\n")

    def __exit__(self, *_):
        if self._file:
            self._file.close()
            common.tell("{} rows left out: {}".format(self.count, self.path))


def _quoted(cell):
    if any(sign in cell for sign in u',"\r\n'):
        return u'"{}"'.format(cell.replace(u'"', u'""'))
    return cell
