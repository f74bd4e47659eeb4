"""Random scripts against a random server, beside a model of what must be.

IOBEAM_TEST_ROUNDS (25) is the number of scripts. The same ones each time, unless
it is set: whoever looks for more wants new ones.
"""
from __future__ import absolute_import

import collections
import os
import sqlite3
import threading
import unittest

from iobeam.http import request
from iobeam.spool import buffer as spool
from iobeam.spool import spoolfile
from tests import disk, loopback

try:
    import hypothesis
    from hypothesis import stateful, strategies
except ImportError:
    hypothesis = None

SEARCHES = "IOBEAM_TEST_ROUNDS" in os.environ
ROUNDS = int(os.environ.get("IOBEAM_TEST_ROUNDS", "25"))

# What an import request may meet. `applied`: stored, and the answer is lost.
STEPS = [
    "ok", (0, 503, {"Retry-After": "0"}, ""), (0, 500, {"Retry-After": "0"}, ""),
    "drop", "reset", "close", "half-headers", "half-body", "reset-amid", "html",
    "redirect", "garbage", (0, 401, {}, ""), (0, 403, {}, ""),
    (0, 404, {}, {"errors": [{"code": 32, "message": "no device"}]}),
    (0, 404, {}, ""), (0, 418, {}, ""), (0, 413, {}, "too large"),
    (0, 200, {}, {"errors": [{"code": 9, "message": "no"}]})] + [
        loopback.step(name, applied=True) for name in (
            "reset", "close", "half-headers", "half-body", "reset-amid",
            "html")]


class Case(unittest.TestCase):
    @unittest.skipIf(hypothesis is None, "hypothesis is not installed")
    def test_every_row_is_somewhere(self):
        stateful.run_state_machine_as_test(
            Machine, settings=hypothesis.settings(
                max_examples=ROUNDS, stateful_step_count=25, deadline=None,
                database=None, derandomize=not SEARCHES,
                suppress_health_check=[hypothesis.HealthCheck.too_slow,
                                       hypothesis.HealthCheck.filter_too_much,
                                       hypothesis.HealthCheck.data_too_large]))


class World(object):
    """A client, a server, and where every row has to be.

    A row is its number, which is its time in ms too.
    """

    def __init__(self):
        self._folder = disk.folder()
        self.path = self._folder.__enter__()
        self.server = loopback.Loopback()
        self.rows = collections.OrderedDict()  # number to (columns, device)
        self.gone = set()  # cleared, or in memory when a process died
        self.rejected = set()
        self.mayRepeat = set()  # accepted, but that was not on disk at a death
        self.accepted = self.dropped = 0  # of clients that are gone
        self.client = self.blocker = None
        self.oldBusy = spoolfile.BUSY_SECONDS
        spoolfile.BUSY_SECONDS = 0.02
        self.device = "a"

    def end(self):
        self.unblock()
        spoolfile.BUSY_SECONDS = self.oldBusy
        if self.client is not None:
            self.die()
        self.server.close()
        self._folder.__exit__(None, None, None)

    # -- a script ---------------------------------------------------------

    def open(self, maxBytes, autoFlush, batch, retries):
        built = disk.builder(self.server, self.path, device=self.device,
                             maxBytes=maxBytes, autoFlush=autoFlush) \
            .setTimeout(10, 10).setRetries(retries).setGiveUpAfter(20)
        if batch:
            built.setBatchSize(batch)
        self.client = built.build()
        self.stores = [self.client.createDataStore(columns)
                       for columns in (["v"], ["v", "w"])]
        self.ownRows = 0

    def add(self, which, count):
        store = self.stores[which]
        for _ in range(count):
            number = len(self.rows) + 1
            self.rows[number] = (which, self.device)
            store.add(number, dict.fromkeys(store.columns(), number))
            self.ownRows += 1

    def send(self, beside=None):
        """Send; `beside` is a thread that goes on meanwhile."""
        before = len(self.server.applied)
        accepted = self.stat("accepted")
        waiting = set(self.pending())
        if beside is not None:
            beside.start()
        try:
            assert self.client.send() is True
        except request.SendError as error:
            new = set(row.row["time"] // 1000 for row in error.rejected)
            assert not new & self.rejected, new
            self.rejected |= new
            assert error.accepted == self.stat("accepted") - accepted
            if beside is None:
                pending = set(self.pending())
                assert error.pending == len(pending)
                doubtful = pending & set(disk.numbers(
                    self.server.applied[before:]))
                assert error.inDoubt >= len(doubtful), (error.inDoubt,
                                                        doubtful)
        else:
            if beside is not None:
                beside.join()  # with a file that nobody locks
            assert not waiting & set(self.pending()), "send() was not done"

    def sendAmidOthers(self, count):
        """Another thread adds, flushes and clears nothing."""
        def work():
            try:
                for _ in range(3):
                    self.add(0, count)
                    self.client.flush()
            except request.SpoolError:
                pass
            except Exception as error:
                failures.append(error)

        failures = []
        thread = threading.Thread(target=work)
        try:
            self.send(thread)
        finally:
            thread.join()
        assert not failures, failures

    def flush(self):
        try:
            self.client.flush()
        except request.SpoolError:
            assert self.blocker is not None
        else:
            assert not any(len(store) for store in self.stores)

    def clear(self, which):
        self.gone |= set(self.inMemory(self.stores[which]))
        self.stores[which].clear()

    def relay(self, device):
        self.device = device
        self.client.setDeviceId(device)

    def close(self):
        try:
            self.client.close()
        except request.SpoolError:
            assert self.blocker is not None
            return
        self.let()

    def die(self):
        """What a killed process leaves: its memory is gone."""
        for store in self.stores:
            self.gone |= set(self.inMemory(store))
            store.clear()
        self.client._isOpen = False
        self.client._outbox.close()
        self.client._requester._session.close()
        self.let()

    def let(self):
        found = self.client.stats()
        self.accepted += found["accepted"]
        self.dropped += found["dropped"]
        if self.client._outbox.buffer._settled:
            # counted as accepted, and will be so once more
            onDisk = set(disk.stored(spool.Spool(self.path)))
            again = onDisk - set(disk.stored(self.client._outbox.buffer))
            self.mayRepeat |= again
            self.accepted -= len(again & set(disk.numbers(
                self.server.applied)) - self.rejected)
            self.rejected -= again
        self.client = None

    def block(self):
        """The disk takes nothing any more."""
        if self.blocker is None and os.path.exists(
                os.path.join(self.path, "iobeam_buffer.db")):
            self.blocker = sqlite3.connect(
                os.path.join(self.path, "iobeam_buffer.db"),
                isolation_level=None)
            try:
                self.blocker.execute("BEGIN IMMEDIATE")
            except sqlite3.Error:
                self.unblock()

    def unblock(self):
        if self.blocker is not None:
            self.blocker.close()
            self.blocker = None

    # -- where everything is ------------------------------------------------

    def stat(self, name):
        return self.client.stats()[name]

    @staticmethod
    def inMemory(store):
        return [row["time"] // 1000 for row in store.rows()]

    def pending(self):
        found = [number for store in self.stores
                 for number in self.inMemory(store)] if self.client else []
        buffer = (self.client._outbox.buffer if self.client
                  else spool.Spool(self.path))
        if os.path.exists(buffer.file):
            found += disk.stored(buffer)
        return found

    def check(self):
        pending = self.pending()
        assert len(pending) == len(set(pending)), "a row waits twice"
        pending = set(pending)
        assert pending <= set(self.rows)
        assert not pending & self.gone, "cleared rows are back"
        assert not pending & self.rejected, "refused rows are back"
        rest = set(self.rows) - pending - self.gone - self.rejected
        applied = disk.numbers(self.server.applied)
        accepted, dropped = self.accepted, self.dropped
        if self.client is not None:
            found = self.client.stats()
            assert found["pending"] == self.client.pending() == len(pending)
            assert found["added"] == self.ownRows
            accepted += found["accepted"]
            dropped += found["dropped"]
        assert accepted + dropped == len(rest), (accepted, dropped, len(rest))
        lost = rest - set(applied)
        assert len(lost) <= dropped, "lost: {}".format(sorted(lost))
        twice = [number for number, count in collections.Counter(
            disk.numbers(self.server.acknowledged)).items()
            if count > 1 and number not in self.mayRepeat]
        assert not twice, "sent again though accepted: {}".format(twice)
        last = {}
        seen = set()
        for row in self.server.applied:
            number = row.time // 1000
            which, device = self.rows[number]
            assert row.deviceId == device, "a row of another device"
            assert len(row.values) == which + 1
            # a refused one that no disk took down is back after a death
            if number not in seen and number not in self.mayRepeat:
                seen.add(number)
                assert last.get((which, device), 0) < number, "out of order"
                last[which, device] = number


if hypothesis is not None:
    counts = strategies.sampled_from([1, 2, 7, 40])

    class Machine(stateful.RuleBasedStateMachine):
        def __init__(self):
            super(Machine, self).__init__()
            self.world = World()

        def teardown(self):
            self.world.end()

        isOpen = stateful.precondition(
            lambda self: self.world.client is not None)

        @stateful.precondition(lambda self: self.world.client is None)
        @stateful.rule(
            maxBytes=strategies.sampled_from([3000, 20000, 1 << 26]),
            autoFlush=strategies.sampled_from([5, 60, 10000]),
            batch=strategies.sampled_from([None, 1, 5, 64]),
            retries=strategies.sampled_from([0, 0, 0, 1]))
        def open(self, **options):
            self.world.open(**options)

        @isOpen
        @stateful.rule(which=strategies.sampled_from([0, 1]), count=counts)
        def add(self, which, count):
            self.world.add(which, count)

        @isOpen
        @stateful.rule(which=strategies.sampled_from([0, 1]), count=counts)
        def addInAnotherThread(self, which, count):
            thread = threading.Thread(target=self.world.add,
                                      args=(which, count))
            thread.start()
            thread.join()

        @isOpen
        @stateful.rule(steps=strategies.lists(strategies.sampled_from(STEPS),
                                              max_size=4))
        def send(self, steps):
            self.world.server.script(*steps)
            self.world.send()
            self.world.server._scripts.clear()

        @isOpen
        @stateful.rule()
        def sendWell(self):
            self.world.send()

        @isOpen
        @stateful.rule()
        def sendIntoSilence(self):
            # The only rule that may be short of patience: elsewhere a busy
            # machine would make answers late, and rows rightly sent again.
            settings = self.world.client._options.settings
            settings.readTimeout, patience = 0.05, settings.readTimeout
            self.world.server.always("hang", path="imports")
            self.world.send()
            self.world.server.always(None, path="imports")
            settings.readTimeout = patience

        @isOpen
        @stateful.rule(count=counts, steps=strategies.lists(
            strategies.sampled_from(STEPS), max_size=2))
        def sendAmidOthers(self, count, steps):
            self.world.server.script(*steps)
            self.world.sendAmidOthers(count)
            self.world.server._scripts.clear()

        @isOpen
        @stateful.rule()
        def flush(self):
            self.world.flush()

        @isOpen
        @stateful.rule(which=strategies.sampled_from([0, 1]))
        def clear(self, which):
            self.world.clear(which)

        @isOpen
        @stateful.rule(device=strategies.sampled_from(["a", "b"]))
        def relay(self, device):
            self.world.relay(device)

        @isOpen
        @stateful.rule()
        def close(self):
            self.world.close()

        @isOpen
        @stateful.rule()
        def die(self):
            self.world.die()

        @stateful.rule(every=strategies.sampled_from([None, 1, 2, 7, 50]),
                       names=strategies.booleans())
        def refuseRows(self, every, names):
            self.world.server.namesRow = names
            self.world.server.refusesRow = None if every is None else (
                lambda row: row.time // 1000 % every == 0)

        @stateful.rule(devices=strategies.sampled_from(
            [{}, {}, {"a": 401}, {"a": 403}, {"b": 404}]))
        def refuseDevices(self, devices):
            self.world.server.unauthorized = devices

        @stateful.rule()
        def block(self):
            self.world.block()

        @stateful.rule()
        def unblock(self):
            self.world.unblock()

        @stateful.invariant()
        def rowsAreWhereTheyBelong(self):
            self.world.check()


if __name__ == "__main__":
    unittest.main()
