"""How processes end: whatever runs Python code at the end keeps its rows."""
from __future__ import absolute_import

import gc
import os
import signal
import stat
import sys
import threading
import time
import unittest
import weakref

from tests import disk, loopback
from tests.support import mock

DEAD = "http://127.0.0.1:9/v1/"  # nobody listens there
STARTS = (("fork", "forkserver", "spawn") if sys.version_info >= (3, 4)
          and hasattr(os, "fork") else ("default",))


class WorkersTest(unittest.TestCase):
    def run_(self, kind, path, count):
        child = disk.start("-m", "tests.pool_child", kind, DEAD, path,
                           str(count))
        _, said = child.communicate()
        said = said.decode("utf-8", "replace")
        self.assertEqual(child.returncode, 0, said)
        return said

    def kept(self, kind, count=100):
        with disk.folder() as path:
            self.run_(kind, path, count)
            self.assertEqual(sorted(disk.numbersIn(path)), list(range(count)))

    def test_pools_keep_their_rows(self):
        for start in STARTS:
            self.kept(start)

    def test_without_a_buffer_each_worker_says_how_many_it_loses(self):
        for start in STARTS:
            said = self.run_(start, "", 40)
            lost = [int(line.split()[2]) for line in said.splitlines()
                    if "rows were not sent" in line]
            self.assertEqual(sum(lost), 40, said)

    def test_a_single_process(self):
        self.kept("process", 1)

    @unittest.skipUnless(hasattr(os, "fork"), "needs os.fork")
    def test_a_client_that_came_with_the_fork(self):
        self.kept("inherited", 40)

    @unittest.skipUnless(sys.version_info >= (3, 7),
                         "executors have initializers from 3.7 on")
    def test_executors(self):
        self.kept("executor")

    def test_a_process_of_billiard(self):
        try:
            import billiard  # noqa: F401 (the child's)
        except ImportError:
            self.skipTest("billiard is not installed")
        self.kept("billiard", 1)

    def test_workers_of_celery(self):
        try:
            import celery  # noqa: F401 (the child's)
        except ImportError:
            self.skipTest("celery is not installed")
        with disk.folder() as path:
            # Celery's own, about users such as root, are not ours to mend
            with mock.patch.dict(os.environ, {"PYTHONWARNINGS": "ignore"}):
                child = disk.start("-m", "tests.celery_child", DEAD, path,
                                   "40")
            _, said = child.communicate()
            self.assertEqual(sorted(disk.numbersIn(path)), list(range(40)),
                             said.decode("utf-8", "replace"))


class EndTest(unittest.TestCase):
    SCRIPT = (
        "import os, sys\n"
        "from tests import disk\n"
        "client = disk.builder({!r}, *sys.argv[1:]).build()\n"
        "store = client.createDataStore(['v'])\n".format(DEAD))

    def ended(self, script, *arguments, **options):
        child = disk.start("-c", self.SCRIPT + script, *arguments, **options)
        _, said = child.communicate()
        return said.decode("utf-8", "replace")

    @unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0,
                         "only root can become a user whose file is another's")
    def test_a_buffer_that_cannot_be_written_says_the_count(self):
        with disk.folder() as path:
            os.chmod(path, 0o777)
            said = self.ended(
                "os.setuid(12345)\n"
                "open(sys.argv[1] + '/iobeam_buffer.db', 'w').close()\n"
                "os.chmod(sys.argv[1] + '/iobeam_buffer.db', 0)\n"
                "disk.fill(store, 1)\n", path)
        self.assertIn("1 rows were not sent", said)
        self.assertNotIn("Error in sys", said)
        self.assertNotIn("Exception ignored", said)
        self.assertNotIn("Traceback", said)

    def test_without_a_buffer_too(self):
        said = self.ended("disk.fill(store, 3)\n")
        self.assertEqual(said.strip(), "WARNING iobeam: 3 rows were not sent; "
                         "call send(), or build the client with bufferToDisk() "
                         "to keep them")

    def test_a_client_that_could_not_be_built_has_no_word(self):
        with disk.folder() as path:
            child = disk.start(
                "-c", "import os, sys\n"
                "from iobeam.errors import Error\n"
                "from tests import disk\n"
                "buffered = disk.builder('http://127.0.0.1:9/', sys.argv[1])\n"
                "os.rename(sys.argv[1], sys.argv[1] + '-gone')\n"
                "for builder in (buffered, disk.builder('ftp://nowhere/')):\n"
                "    try:\n"
                "        builder.build()\n"
                "    except (Error, ValueError):\n"
                "        print('refused')\n", path)
            out, said = child.communicate()
            os.rename(path + "-gone", path)
        self.assertEqual((out.split(), said), ([b"refused"] * 2, b""))

    def test_a_client_that_outlives_the_modules(self):
        said = self.ended("disk.fill(store, 2)\n"
                          "sys.client = client\n"
                          "del client, store\n")
        self.assertEqual((said.count("2 rows were not sent"),
                          said.count("\n")), (1, 1), said)

    def test_a_cycle_at_the_very_end(self):
        with disk.folder() as path:
            said = self.ended("disk.fill(store, 2)\n"
                              "client.me = client\n", path)
            self.assertEqual((said, disk.numbersIn(path)), ("", [0, 1]))


@unittest.skipUnless(hasattr(signal, "SIGKILL"), "signals as POSIX has them")
class InterruptedEndTest(unittest.TestCase):
    """A second SIGTERM, or Ctrl-C, while the end keeps rows."""

    SCRIPT = EndTest.SCRIPT + (
        "import signal, time\n"
        "def handler(*_):\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, handler)\n"
        "append = client._outbox.buffer.append\n"
        "left = [{number}] * {count}\n"
        "def interrupted(*arguments):\n"
        "    if left:\n"
        "        os.kill(os.getpid(), left.pop())\n"
        "        time.sleep(0.01)\n"
        "    return append(*arguments)\n"
        "client._outbox.buffer.append = interrupted\n"
        "disk.fill(store, 3)\n")

    def test_it_keeps_them_all_the_same(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            for count in (1, 2):
                with disk.folder(inMemory=True) as path:
                    child = disk.start("-c", self.SCRIPT.format(
                        number=int(number), count=count), path)
                    _, said = child.communicate()
                    self.assertEqual(disk.numbersIn(path), [0, 1, 2],
                                     said.decode("utf-8", "replace"))


class CollectedTest(unittest.TestCase):
    """A client is collected while another one of the folder commits."""

    def test_neither_waits_nor_loses(self):
        with disk.folder() as path:
            with loopback.Loopback() as server:
                first = disk.builder(server, path).build()
                second = disk.builder(server, path).build()
                disk.fill(first.createDataStore(["v"]), 3)
                disk.fill(second.createDataStore(["v"]), 3, start=3)
                gone = weakref.ref(first)
                append, begin = second._outbox.buffer._write, time.time()

                def write(work):
                    def inside(connection):
                        holder.pop()
                        gc.collect()
                        return work(connection)

                    return append(inside if holder else work)

                holder = [first]
                del first
                second._outbox.buffer._write = write
                second.flush()
                self.assertIsNone(gone())
                self.assertLess(time.time() - begin, 5)
                self.assertEqual(sorted(disk.numbersIn(path)),
                                 [0, 1, 2, 3, 4, 5])
                second.close()


@unittest.skipUnless(hasattr(signal, "SIGKILL"), "signals as POSIX has them")
class TermTest(unittest.TestCase):
    """SIGTERM, whose handler flushes or just exits, at any moment."""

    # requests first: what it loads is compiled code, some of which crashes an
    # interpreter (charset_normalizer, on 3.8) if a handler raises amid it
    SCRIPT = EndTest.SCRIPT + (
        "import requests, signal\n"
        "def handler(*_):\n"
        "    {}\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, handler)\n"
        "number = 0\n"
        "while True:\n"
        "    disk.fill(store, 1, start=number)\n"
        "    print(number)\n"
        "    sys.stdout.flush()\n"
        "    number += 1\n"
        "    {}\n")

    def rounds(self, handler, body, count):
        for number in range(count):
            with disk.folder(inMemory=number % 2 == 0) as path:
                # a file that the signal came to right behind its opening is
                # closed by the collector, which says so
                child = disk.start("-W", "ignore", "-c",
                                   self.SCRIPT.format(handler, body), path)
                child.stdout.readline()
                time.sleep(0.003 * (number % 20))
                child.send_signal(signal.SIGTERM)
                limit = threading.Timer(60, child.kill)  # a failure then
                limit.start()
                out, said = child.communicate()
                limit.cancel()
                self.assertEqual((child.returncode, said.decode()), (0, ""))
                promised = [int(line) for line in out.split()]
                found = sorted(disk.numbersIn(path))
                # the last may have been added without its line
                self.assertEqual(found, list(range(len(found))))
                self.assertGreater(len(found), max(promised or [0]))
                self.assertFalse(os.stat(path).st_mode & stat.S_ISVTX)

    def test_flush_in_the_handler(self):
        self.rounds("client.flush()", "client.flush()", 15)

    def test_exit_alone(self):
        self.rounds("pass", "client.flush()", 15)

    def test_amid_sends_in_vain(self):
        self.rounds("client.flush()", "try: client.send()\n"
                    "    except Exception: pass", 10)
