"""Damaged buffer files: what can be read is kept, and the script never stops."""
from __future__ import absolute_import

import os
import random
import shutil
import sqlite3
import unittest

from iobeam.spool import buffer as spool
from iobeam.spool import repair, spoolfile
from tests import disk, loopback

_ROWS = 20  # of each chunk
_CHUNKS = 16


class Case(unittest.TestCase):
    def setUp(self):
        place = disk.folder()
        self.path = place.__enter__()
        self.addCleanup(place.__exit__, None, None, None)
        self.spool = spool.Spool(self.path)
        log = disk.Records()
        self.log = log.__enter__()
        self.addCleanup(log.__exit__)

    def fill(self, chunks=_CHUNKS):
        for number in range(chunks):
            self.spool.append([disk.chunk(*range(number * _ROWS,
                                                 (number + 1) * _ROWS))])

    def damage(self, start, content):
        with open(self.spool.file, "r+b") as opened:
            opened.seek(start)
            opened.write(content)

    def kept(self):
        """The rows that can be read, in order; a damaged file gets mended."""
        chunks = self.spool.oldest(1, self.spool.lastSeq(), (), 10 ** 9)
        places = [chunk.seq for chunk in chunks]
        self.assertEqual(places, sorted(set(places)))
        kept = [row[0] // 1000 for chunk in chunks for row in chunk.table()]
        self.assertEqual(self.spool.count(1), (len(kept), 0))
        self.assertEqual(kept, sorted(set(kept)))
        self.assertLessEqual(set(kept), set(range(_CHUNKS * _ROWS)))
        return kept

    def checkUsable(self):
        """What was kept stays, and it takes new chunks."""
        kept = self.kept()
        self.spool.append([disk.chunk(10 ** 6)])
        self.assertEqual(disk.stored(self.spool), kept + [10 ** 6])
        return kept

    def each(self, damages):
        """What is kept of a full file after each of some kinds of damage."""
        self.fill()
        whole = self.spool.file + ".whole"
        shutil.copyfile(self.spool.file, whole)
        for damage in damages(os.path.getsize(whole)):
            shutil.copyfile(whole, self.spool.file)
            with open(self.spool.file, "r+b") as opened:
                damage(opened)
            self.spool = spool.Spool(self.path)
            yield self.checkUsable()


class TruncatedTest(Case):
    def test_cut_off_at_every_512th_byte(self):
        def damages(size):
            for length in range(0, size, 512):
                yield lambda opened: opened.truncate(length)

        kept = [len(rows) for rows in self.each(damages)]
        self.assertGreater(len(kept), 15)
        # the longer the file, the more of it can be read
        self.assertEqual(kept, sorted(kept))
        self.assertGreaterEqual(kept[-1], (_CHUNKS - 3) * _ROWS)


class OverwrittenTest(Case):
    def test_garbage_in_place_of_the_file(self):
        self.fill(5)
        garbage = bytes(bytearray(random.Random(1).getrandbits(8)
                                  for _ in range(10000)))
        with open(self.spool.file, "wb") as opened:
            opened.write(garbage)
        self.assertEqual(self.kept(), [])
        aside, = disk.asideFiles(self.path)
        with open(os.path.join(self.path, aside), "rb") as opened:
            self.assertEqual(opened.read(), garbage)
        self.assertEqual(len(self.log.warnings("was corrupt")), 1)
        self.spool.append([disk.chunk(1)])
        self.assertEqual(disk.stored(self.spool), [1])

    def test_each_page_overwritten_takes_few_rows_with_it(self):
        def damages(size):
            for start in range(0, size, spoolfile.PAGE_BYTES):
                def damage(opened):
                    opened.seek(start)
                    opened.write(b"\x5a" * spoolfile.PAGE_BYTES)
                yield damage

        kept = [len(rows) for rows in self.each(damages)]
        self.assertGreater(len(kept), 10)
        # A page of the table holds two or three chunks; that above all
        # others, the second in the file, leads to them.
        self.assertGreaterEqual(min(kept[:1] + kept[2:]),
                                (_CHUNKS - 4) * _ROWS, kept)

    def test_random_damage(self):
        def damages(size):
            for seed in range(25):
                pick = random.Random(seed)

                def damage(opened):
                    for _ in range(pick.choice([1, 2, 5])):
                        length = pick.choice([1, 4, 100, 3000])
                        opened.seek(pick.randrange(size - length))
                        opened.write(bytes(bytearray(
                            pick.getrandbits(8) for _ in range(length))))
                yield damage

        self.assertEqual(len(list(self.each(damages))), 25)

    def test_text_that_was_changed_is_not_sent(self):
        # SQLite does not see damage within a text; the checksum does
        self.fill(3)
        with open(self.spool.file, "rb") as opened:
            place = opened.read().index(b"[21000,21]")
        self.damage(place, b"[99000,21]")
        self.assertEqual(self.kept(), list(range(20)) + list(range(40, 60)))

    def test_rejected_rows_are_saved_too(self):
        self.fill(3)
        chunk, = self.spool.oldest(1, 1, (), 1)
        refused = [_Refused(number) for number in range(20)]
        self.spool.settle([chunk], None, refused)
        with open(self.spool.file, "rb") as opened:
            place = opened.read().index(b"[21000,21]")
        self.damage(place, b"[99000,21]")
        self.assertEqual(self.kept(), list(range(40, 60)))
        self.assertEqual([row["v"] for _, row, _, _ in
                          self.spool.rejectedRows(1, 100)], list(range(20)))


class _Refused(object):
    def __init__(self, number):
        self.projectId, self.deviceId = 1, disk.DEVICE
        self.row = {"time": number * 1000, "v": number}
        self.statusCode, self.apiErrors = 422, ()


class WrongFileTest(Case):
    def test_a_file_of_something_else_is_set_aside_as_it_is(self):
        connection = sqlite3.connect(self.spool.file)
        connection.execute("CREATE TABLE chunks (mine TEXT)")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
        connection.close()
        self.spool.append([disk.chunk(7)])
        self.assertEqual(disk.stored(self.spool), [7])
        aside, = disk.asideFiles(self.path)
        connection = sqlite3.connect(os.path.join(self.path, aside))
        self.assertEqual(connection.execute(
            "SELECT sql FROM sqlite_master").fetchone(),
            ("CREATE TABLE chunks (mine TEXT)",))
        connection.close()

    def test_a_whole_file_is_left_alone(self):
        self.fill(2)
        repair.mend(self.spool.file, sqlite3.DatabaseError("malformed"),
                    isSure=False)
        self.assertEqual(disk.asideFiles(self.path), [])
        self.assertEqual(disk.stored(self.spool), list(range(2 * _ROWS)))


class ScriptTest(Case):
    """The same, seen from a script."""

    def test_script_goes_on_over_a_damaged_buffer(self):
        with loopback.Loopback() as server:
            server.refuse()
            client = disk.builder(server, self.path).build()
            store = client.createDataStore(["v"])
            disk.fill(store, 50)
            client.flush()
            with open(os.path.join(self.path, "iobeam_buffer.db"),
                      "wb") as opened:
                opened.write(b"not a database, but long enough" * 100)
            disk.fill(store, 10, start=50)
            self.assertEqual(client.pending(), 10)
            client.flush()
            server.listen()
            self.assertTrue(client.send())
            self.assertEqual(disk.numbers(server.applied),
                             list(range(50, 60)))
            client.close()
        self.assertEqual(len(disk.asideFiles(self.path)), 1)
        self.assertEqual(len(self.log.warnings("was corrupt")), 1)


if __name__ == "__main__":
    unittest.main()
