"""The buffer's file and the backends that its rows are meant for; schema 1."""
from __future__ import absolute_import

import json
import os
import random
import shutil
import sqlite3
import sys
import time
import unittest
import zlib

from iobeam import iobeam
from iobeam.errors import SendError
from iobeam.outbox import RejectedRow
from iobeam.spool import buffer as spool
from iobeam.spool import spoolfile
from tests import disk, loopback

EVERYTHING = sys.maxsize
A, B = "http://a/v1/", "http://b/v1/"

# A file as versions up to 1.0.0 made it.
SCHEMA_1 = """
PRAGMA page_size = 1024;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS chunks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    columns TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rejected (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    columns TEXT NOT NULL,
    body TEXT NOT NULL,
    status INTEGER,
    errors TEXT NOT NULL,
    time REAL NOT NULL
);
PRAGMA user_version = 1;
COMMIT;
"""
ROWS = 40


class Case(unittest.TestCase):
    def setUp(self):
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)
        self.file = os.path.join(self.path, "iobeam_buffer.db")

    def spool(self, baseUrl=None, **options):
        return spool.Spool(self.path, baseUrl=baseUrl, **options)

    def taken(self, own, maxValues=1000, projectId=1):
        """The numbers of what would be sent next."""
        return [row[0] // 1000 for chunk in own.oldest(
            projectId, EVERYTHING, (), maxValues) for row in chunk.table()]

    def version(self):
        connection = sqlite3.connect(self.file)
        try:
            return connection.execute("PRAGMA user_version").fetchone()[0]
        finally:
            connection.close()


class BackendTest(Case):
    def setUp(self):
        Case.setUp(self)
        self.a, self.b, self.none = map(self.spool, (A, B, None))

    def test_rows_wait_for_their_own_backend(self):
        self.a.append([disk.chunk(0, 1)])
        self.b.append([disk.chunk(2)])
        self.none.append([disk.chunk(3)])
        self.assertEqual([own.count(1) for own in (self.a, self.b, self.none)],
                         [(3, 1), (2, 2), (1, 3)])
        self.assertEqual([self.taken(own) for own in (self.a, self.b,
                                                      self.none)],
                         [[0, 1, 3], [2, 3], [3]])
        self.assertEqual(self.a.count(2), (0, 4))
        self.a.settle(self.a.oldest(1, EVERYTHING, (), 1000))
        self.assertEqual(self.taken(self.a), [])
        self.assertEqual(disk.stored(self.b), [2])

    def test_what_is_left_of_a_chunk_keeps_its_backend(self):
        for own, other in ((self.a, self.b), (self.none, self.a)):
            chunk = disk.chunk(0, 1, 2)
            own.append([chunk])
            left = disk.chunk(1, 2)
            left.id = chunk.id
            # with the notes of one who knows another
            other.settle([chunk], left)
            self.assertEqual(self.taken(own), [1, 2])
            own.drop(1)

    def test_refused_rows_are_the_backend_s_own(self):
        for number, own in enumerate((self.a, self.b, self.none)):
            own.settle([], None, [RejectedRow(1, "d", {"time": number}, 400,
                                              ())])

        def times(own):
            return [row["time"] for _, row, __, ___ in own.rejectedRows(1, 9)]

        self.assertEqual(times(self.a), [0, 2])
        self.assertEqual(times(self.b), [1, 2])
        self.assertEqual(times(self.none), [0, 1, 2])

    def test_all_share_the_limit(self):
        a, b = (self.spool(url, maxBytes=20000) for url in (A, B))
        a.append([disk.chunk(*range(500))])
        for start in range(500, 3000, 100):
            b.append([disk.chunk(*range(start, start + 100))])
        self.assertEqual(a.count(1)[0], 0)
        self.assertLess(os.path.getsize(self.file), 40000)

    def test_damaged_url_is_noticed(self):
        self.a.append([disk.chunk(0)])
        self.a.append([disk.chunk(1)])
        with open(self.file, "rb") as opened:
            place = opened.read().rindex(A.encode("ascii"))
        with open(self.file, "r+b") as opened:
            opened.seek(place)
            opened.write(B.encode("ascii"))
        with disk.Records() as log:
            self.assertEqual(len(self.taken(self.b) + self.taken(self.a)), 1)
        self.assertEqual(len(log.warnings("was corrupt")), 1)

    def test_adopted_by_one(self):
        self.a.append([disk.chunk(0, 1), disk.chunk(2, projectId=2)])
        self.none.append([disk.chunk(3)])
        self.assertEqual(self.b.foreign(1), {A: 2})
        self.assertEqual(self.b.adopt(1), {A: 2})
        self.assertEqual(self.b.adopt(1), {})
        self.assertEqual(self.taken(self.b), [0, 1, 3])
        self.assertEqual(self.a.count(1), (1, 3))
        self.assertEqual(self.a.count(2), (1, 3))
        self.assertEqual(disk.asideFiles(self.path), [])

    def test_listed_and_dropped_by_backend(self):
        self.a.append([disk.chunk(0, 1)])
        self.b.append([disk.chunk(2), disk.chunk(3, projectId=2)])
        self.assertEqual([line[:4] + line[5:] for line in self.a.summary()],
                         [(1, "dev", 1, 2, A), (1, "dev", 1, 1, B),
                          (2, "dev", 1, 1, B)])
        self.assertEqual(self.a.drop(1), {A: 2, B: 1})
        self.assertEqual(disk.stored(self.a, 2), [3])


class ClientTest(Case):
    """Two backends, project 1 on each, one folder."""

    def setUp(self):
        Case.setUp(self)
        self.servers = [loopback.Loopback() for _ in range(2)]
        for server in self.servers:
            self.addCleanup(server.close)

    def client(self, server):
        return disk.builder(server, self.path).build()

    def test_row_waits_for_its_own(self):
        first, second = map(self.client, self.servers)
        self.servers[1].refuse()
        second.createDataStore(["v"]).add(7, {"v": 7})
        self.assertRaises(SendError, second.send)
        first.createDataStore(["v"]).add(1, {"v": 1})
        self.assertTrue(first.send())
        self.assertEqual((first.pending(), second.pending()), (0, 1))
        self.servers[1].listen()
        self.assertTrue(second.send())
        self.assertEqual((first.pending(), second.pending()), (0, 0))
        self.assertEqual([disk.numbers(server.applied)
                          for server in self.servers], [[1], [7]])
        first.close(), second.close()

    def test_one_backend_in_two_spellings(self):
        url = self.servers[0].url
        client = self.client(url)
        client.createDataStore(["v"]).add(7, {"v": 7})
        client.close()
        other = self.client(url.rstrip("/").replace("http", "HTTP"))
        self.assertEqual(other.pending(), 1)
        other.send()
        other.close()
        self.assertEqual(disk.numbers(self.servers[0].applied), [7])

    def test_rows_from_before_a_backend_was_set_go_to_the_first(self):
        client = iobeam.ClientBuilder(1, loopback.makeToken(1)) \
            .setDeviceId("dev").bufferToDisk(self.path).build()
        client.createDataStore(["v"]).add(7, {"v": 7})
        client.close()
        client = self.client(self.servers[0])
        client.send()
        client.close()
        self.assertEqual(disk.numbers(self.servers[0].applied), [7])

    def test_refused_together_and_apart_behind_others(self):
        # the rest of a refused request comes before other devices' rows
        server = self.servers[0]
        server.refusesRow = lambda row: row.time == 2000 and \
            row.deviceId == "a"
        own = spool.Spool(self.path)
        own.append([disk.chunk(n, deviceId="ab"[n % 2]) for n in range(20)])
        client = self.client(server)
        with self.assertRaises(SendError) as raised:
            client.send()
        self.assertEqual(raised.exception.accepted, 19)
        self.assertEqual([row.row["time"] for row in raised.exception.rejected],
                         [2000])
        self.assertEqual(client.pending(), 0)
        client.close()
        for device in "ab":
            found = [row.time for row in server.applied
                     if row.deviceId == device]
            self.assertEqual(found, sorted(found))


class OldFileTest(Case):
    """A file of schema 1 is taken over in its place."""

    def make(self, file=None):
        connection = sqlite3.connect(file or self.file, isolation_level=None)
        connection.executescript(SCHEMA_1)
        connection.execute("BEGIN")
        for number in range(ROWS):
            columns, body = u'["v"]', u"[{},{}]".format(
                number * 1000, number)
            id = u"{:032x}".format(number)
            crc = zlib.crc32(u"\n".join([id, u"1", u"dev", u"1", columns, body])
                             .encode("ascii")) & 0xffffffff
            connection.execute(
                "INSERT INTO chunks (id, project_id, device_id, rows, bytes, "
                "crc, columns, body) VALUES (?, 1, 'dev', 1, ?, ?, ?, ?)",
                (id, len(body) + 50, crc, columns, body))
        connection.execute(
            "INSERT INTO rejected (project_id, device_id, columns, body, "
            "status, errors, time, bytes) VALUES (1, 'dev', '[]', ?, 400, "
            "'[]', 0, 20)", (json.dumps({"time": 5}),))
        connection.execute("COMMIT")
        connection.close()

    def check(self, more=()):
        own = self.spool(A)
        self.assertEqual(self.taken(own), list(range(ROWS)) + list(more))
        self.assertEqual(own.count(1), (ROWS + len(more), 0))
        self.assertEqual([row for _, row, __, ___ in own.rejectedRows(1, 9)],
                         [{"time": 5}])
        self.assertEqual(disk.asideFiles(self.path), [])
        return own

    def test_read_without_changing_it(self):
        self.make()
        with open(self.file, "rb") as opened:
            before = opened.read()
        own = self.check()
        self.assertEqual(own.lastSeq(), ROWS)
        self.assertEqual(own.summary()[0][5], None)
        with open(self.file, "rb") as opened:
            self.assertEqual(opened.read(), before)

    def test_taken_over_with_the_first_write(self):
        self.make()
        own = self.spool(A)
        own.append([disk.chunk(ROWS)])
        self.assertEqual(self.version(), 2)
        self.check([ROWS])
        # the old ones are anybody's
        self.assertEqual(self.spool(B).count(1), (ROWS, 1))
        left = disk.chunk(0)
        left.id = "{:032x}".format(0)
        own.settle([], left)
        self.check([ROWS])
        own.settle(own.oldest(1, EVERYTHING, (), 5))
        self.assertEqual(disk.stored(own), list(range(5, ROWS + 1)))

    def test_killed_at_any_instant(self):
        pick = random.Random(1)
        whole = self.file + ".whole"
        self.make(whole)
        script = ("import os, sys\n"
                  "from tests.spool.test_backends import *\n"
                  "own = spool.Spool(sys.argv[1], baseUrl=A)\n"
                  "os.write(1, b'r')\n"
                  "own.append([disk.chunk(ROWS)])\n"
                  "sys.stdin.read()\n")
        versions = set()
        for turn in range(12):
            for name in os.listdir(self.path):
                if name.startswith("iobeam_buffer.db") \
                        and not name.endswith(".whole"):
                    os.remove(os.path.join(self.path, name))
            shutil.copyfile(whole, self.file)
            child = disk.start("-c", script, self.path, stdin=-1)
            child.stdout.read(1)
            time.sleep(pick.random() * 0.004)
            child.kill()
            child.communicate()
            versions.add(self.version())
            self.check([ROWS] if len(disk.stored(self.spool(A))) > ROWS else ())

    def test_two_processes_at_once(self):
        self.make()
        script = ("import sys\n"
                  "from tests.spool.test_backends import *\n"
                  "own = spool.Spool(sys.argv[1], baseUrl=A)\n"
                  "print(1); sys.stdout.flush(); sys.stdin.readline()\n"
                  "own.append([disk.chunk(ROWS)])\n")
        children = [disk.start("-c", script, self.path, stdin=-1)
                    for _ in range(3)]
        for child in children:
            child.stdout.readline()
        for child in children:
            child.stdin.write(b"\n")
            child.stdin.flush()
        for child in children:
            errors = child.communicate()[1]
            self.assertEqual(child.returncode, 0, errors)
        self.check([ROWS] * 3)

    def test_damaged_one_is_mended(self):
        for upgrades in (False, True):
            for isHead in (True, False):
                self.make()
                if upgrades:
                    self.spool(A).append([disk.chunk(ROWS)])
                with open(self.file, "r+b") as opened:
                    page = 0 if isHead else opened.read().index(
                        b"[20000,20]") // spoolfile.PAGE_BYTES
                    opened.seek(page * spoolfile.PAGE_BYTES)
                    opened.write(b"\x5a" * spoolfile.PAGE_BYTES)
                own = self.spool(A)
                with disk.Records() as log:
                    kept = self.taken(own)
                self.assertEqual(len(log.warnings("was corrupt")), 1)
                self.assertGreater(len(kept), ROWS // 2)
                self.assertEqual(kept, sorted(set(kept)))
                self.assertEqual(ROWS in kept, upgrades)
                self.assertEqual(self.version(), 2)
                self.assertEqual(own.count(1), (len(kept), 0))
                self.assertEqual(self.spool(B).count(1)[1], int(upgrades))
                os.remove(self.file)


if __name__ == "__main__":
    unittest.main()
