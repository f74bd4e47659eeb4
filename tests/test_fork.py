"""A process that forks: rows stay with the parent, nothing is sent twice."""
from __future__ import absolute_import

import os
import threading
import unittest

from tests import disk, loopback

# Each script runs in a process of its own: a test runner must not fork itself
# with what it has open. The child of a fork reports by its exit code.
_START = """
import logging, os, sys, threading
from iobeam.http import request
from tests import disk, loopback

url, path = sys.argv[1], sys.argv[2] or None

class Warnings(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())

said = []
logging.getLogger("iobeam").addHandler(Warnings(logging.WARNING))
client = disk.builder(url, path).build()
store = client.createDataStore(["v"])

def inChild(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
"""

_ROWS = _START + """
disk.fill(store, 5)

def work():
    assert len(store) == 0 and client.pending() == 0
    disk.fill(store, 2, start=100)
    assert client.send() is True
    assert client.stats()["added"] == 2, client.stats()
    assert [s for s in said if "5 rows" in s and "parent" in s] == said, said
    assert len(said) == 1, said

inChild(work)
assert said == []
assert client.pending() == 5
disk.fill(store, 1, start=5)
assert client.send() is True
client.close()
"""

_NOTHING = _START + """
assert client.send() is True

def work():
    disk.fill(store, 2)
    assert client.send() is True
    assert said == []

inChild(work)
disk.fill(store, 2, start=2)
assert client.send() is True
assert client.stats()["accepted"] == 2
client.close()
"""

_CLOSED_IN_CHILD = _START + """
disk.fill(store, 5)
inChild(client.close)
inChild(lambda: client.__del__())
assert client.pending() == 5
assert client.send() is True
client.close()
"""

_AMID = _START + """
disk.fill(store, 500)

def progress(accepted, total):
    if accepted >= 100 and not forked:
        forked.append(os.fork())
        if forked[0] == 0:
            code = 1
            try:
                # in the child no lock may be held for ever
                assert len(store) == 0
                disk.fill(store, 3, start=1000)
                assert client.pending() == 3, client.pending()
                code = 0
            finally:
                os._exit(code)

forked = []
client._batchSize._fixed = client._batchSize._top = client._batchSize.values = 50
assert client.send(progress=progress) is True
assert os.waitpid(forked[0], 0)[1] == 0
client.close()
"""

_COMMITTING = _START + """
stop = threading.Event()
failures = []
added = [0]

def commit():
    try:
        while not stop.is_set():
            disk.fill(store, 5, start=added[0])
            added[0] += 5
            client.flush()
    except Exception as error:
        failures.append(repr(error))

thread = threading.Thread(target=commit)
thread.start()
for _ in range(20):
    inChild(lambda: client.pending())
stop.set()
thread.join()
assert not failures, failures
assert client.pending() == added[0], (client.pending(), added)
assert client.send() is True
client.close()
print(added[0])
"""


@unittest.skipUnless(hasattr(os, "fork"), "no fork on this system")
class ForkTest(unittest.TestCase):
    def setUp(self):
        server = loopback.Loopback()
        self.server = server.__enter__()
        self.addCleanup(server.close)
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)

    def run_(self, script, path=""):
        # Python 3.12 warns of forks where threads run, which is the point.
        return disk.run("-W", "ignore::DeprecationWarning", "-c", script,
                        self.server.url, path)

    def arrived(self):
        return disk.numbers(self.server.applied)

    def test_rows_in_memory_are_the_parents(self):
        self.run_(_ROWS)
        self.assertEqual(self.arrived(), [100, 101, 0, 1, 2, 3, 4, 5])

    def test_rows_in_memory_are_the_parents_beside_a_buffer(self):
        self.run_(_ROWS, self.path)
        self.assertEqual(self.arrived(), [100, 101, 0, 1, 2, 3, 4, 5])

    def test_child_has_connections_of_its_own(self):
        self.run_(_NOTHING)
        self.assertEqual(self.arrived(), [0, 1, 2, 3])
        imports = self.server.imports()
        self.assertEqual(len(imports), 2)
        self.assertNotEqual(imports[0].connection, imports[1].connection)

    def test_child_that_closes_leaves_the_parents_rows_alone(self):
        for path in ("", self.path):
            del self.server.applied[:]
            self.run_(_CLOSED_IN_CHILD, path)
            self.assertEqual(self.arrived(), [0, 1, 2, 3, 4])

    def test_fork_amid_a_send(self):
        self.run_(_AMID)
        self.assertEqual(self.arrived(), list(range(500)))

    @unittest.skipUnless(
        hasattr(os, "register_at_fork"),
        "before Python 3.7 nobody hears of a fork beforehand, and the child "
        "finds SQLite's own locks held (docs/delivery.md)")
    def test_fork_amid_commits_of_another_thread(self):
        added = int(self.run_(_COMMITTING, self.path))
        self.assertGreater(added, 0)
        self.assertEqual(self.arrived(), list(range(added)))


class ThreadsTest(unittest.TestCase):
    def test_rows_of_many_threads_beside_senders_arrive_once(self):
        with loopback.Loopback() as server, disk.folder() as path:
            client = disk.builder(server, path, autoFlush=50).build()
            stores = [client.createDataStore([name]) for name in "vwx"]
            failures = []

            def work(store, first):
                try:
                    for number in range(first, first + 400):
                        store.add(number, {store.columns()[0]: number})
                        if number % 97 == 0:
                            client.flush()
                        elif number % 61 == 0:
                            client.send()
                except Exception as error:
                    failures.append(error)

            threads = [threading.Thread(target=work, args=(store, 1000 * k))
                       for k, store in enumerate(stores * 2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            self.assertTrue(client.send())
            self.assertEqual(
                sorted(disk.numbers(server.applied)),
                sorted(number for k in range(6)
                       for number in range(1000 * k, 1000 * k + 400)))
            found = client.stats()
            self.assertEqual((found["added"], found["accepted"],
                              found["pending"]), (2400, 2400, 0))
            client.close()


if __name__ == "__main__":
    unittest.main()
