"""Many rows in memory, most of them packed: all that a script sees is as it was."""
from __future__ import absolute_import

import copy
import threading

from iobeam import errors
from iobeam.resources import rows as rowqueue
from tests import disk, loopback, support
from tests.support import given, mock, st

BLOCK, UNPACKED = 26, 100  # values, and cells; thousands else


class BacklogTest(support.TestCase):
    isQuick = False

    def setUp(self):
        support.useQuickJson(self, self.isQuick)
        for name, value in (("_BLOCK_VALUES", BLOCK),
                            ("UNPACKED_CELLS", UNPACKED)):
            patch = mock.patch.object(rowqueue, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.client = self.built()

    def built(self, **options):
        client = disk.builder(self.server, **options).build()
        self.addCleanup(client._outbox.close)
        return client

    def filled(self, count=200, odd=()):
        """A store of two columns, rows of floats but for those in `odd`."""
        store = self.client.createDataStore(["a", "b"])
        self.model = []
        for number in range(count):
            row = {"a": number / 8.0, "b": -1.5 * number}
            if number in odd:
                row = {"a": [True, None, u"\xe9", number][number % 4]}
            store.add(number + 10 ** 12, row)
            self.model.append(dict(
                {"a": None, "b": None}, time=(number + 10 ** 12) * 1000, **row))
        return store

    @staticmethod
    def packed(store):
        return [block.isPacked for block in store.queue.blocks()]

    def arrived(self):
        return [dict({"a": None, "b": None}, time=row.time, **row.values)
                for row in self.server.acknowledged]

    def test_old_rows_are_packed_as_they_come(self):
        for odd in ((), (3, 4, 5, 6)):
            found = self.packed(self.filled(odd=odd))
            self.assertGreater(sum(found), 5)
            self.assertFalse(all(found))

    def test_without_a_device_they_wait_for_one(self):
        client = self.built(device=None)
        store = client.createDataStore(["a"])
        for number in range(300):
            store.add(number, {"a": 1.5})
        self.assertEqual(self.packed(store), [])
        client.setDeviceId("late")
        store.add(300, {"a": 1.5})
        self.assertGreater(sum(self.packed(store)), 5)
        self.assertEqual(len(store), 301)

    def test_those_of_failing_sends_are_packed_too(self):
        self.server.always("reset")
        store = self.client.createDataStore(["a"])
        for number in range(200):
            store.add(number, {"a": number + 0.5})
            with self.assertRaises(errors.SendError):
                self.client.send()
        self.assertGreater(sum(self.packed(store)), 2)
        self.server.always(None)
        self.client.send()
        self.assertEqual([row["a"] for row in self.arrived()],
                         [number + 0.5 for number in range(200)])

    def test_a_script_sees_what_it_saw(self):
        for odd in ((), (1, 30, 131, 134, 199)):
            store = self.filled(odd=odd)
            before = self.packed(store)
            self.assertEqual(store.rows(), self.model)
            self.assertEqual(len(store), 2 * len(self.model))
            self.assertEqual(self.client.pending(), len(self.model))
            parts = store.split(77)
            self.assertEqual([row for part in parts for row in part.rows()],
                             self.model)
            self.assertEqual(copy.copy(store).rows(), self.model)
            self.assertIn("200 rows wait", store._repr_html_())
            self.assertEqual(self.packed(store), before, "looking unpacks none")
            store.clear()
            self.assertEqual((store.rows(), len(store)), ([], 0))

    def test_all_of_it_arrives_whatever_a_request_may_hold(self):
        for advertised in (None, "7", "64", "20000"):
            for odd in ((), (0, 55, 121, 199)):
                self.server.acknowledged[:] = []
                self.server.maxValues = advertised
                store = self.filled(odd=odd)
                self.client.send()
                self.assertEqual(self.arrived(), self.model)
                self.assertEqual(len(store), 0)

    def test_refused_rows_are_those_and_no_others(self):
        store = self.filled(odd=(2, 90, 91))
        bad = [self.model[number] for number in (0, 90, 133, 199)]
        times = [row["time"] for row in bad]
        self.server.refusesRow = lambda row: row.time in times
        with self.assertRaises(errors.SendError) as raised:
            self.client.send()
        self.assertEqual([one.row for one in raised.exception.rejected], bad)
        self.assertEqual(self.arrived(),
                         [row for row in self.model if row not in bad])
        self.assertEqual(len(store), 0)

    def test_rows_added_amid_a_send_pack_what_it_reads(self):
        store = self.filled(150)
        going = threading.Event()
        self.server.script(loopback.step("ok", until=going))
        sender = threading.Thread(target=self.client.send)
        sender.start()
        self.server.waitFor(lambda: self.server.requests)
        for number in range(150, 400):
            store.add(number + 10 ** 12, {"a": number / 8.0, "b": 0.5})
        going.set()
        sender.join(60)
        self.assertEqual([row["a"] for row in self.arrived()],
                         [number / 8.0 for number in range(150)])
        self.assertEqual(len(store), 500)
        self.client.send()
        self.assertEqual([row["a"] for row in self.arrived()],
                         [number / 8.0 for number in range(400)])

    @given(st.lists(st.tuples(
        st.one_of(st.none(), st.integers(-2 ** 60 // 1000, 2 ** 60 // 1000)),
        st.one_of(st.floats(allow_nan=False, allow_infinity=False),
                  st.sampled_from([None, True, 7, u"x"]))),
        max_size=12))
    def test_what_is_called_plain_is(self, pairs):
        store = self.client.createDataStore(["a"])
        for moment, value in pairs:
            store.add(moment, {"a": value})
            if store.queue.isPlain:
                self.assertEqual(
                    [type(cell) for cell in store.queue.cells],
                    [int, float] * (len(store.queue.cells) // 2))
                self.assertTrue(all(abs(time) < 2 ** 53 for time
                                    in store.queue.cells[::2]))
        self.client._outbox.stores.remove(store)


class QuickBacklogTest(BacklogTest):
    """With orjson: packed as the text that is sent."""

    isQuick = True
