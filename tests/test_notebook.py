# -*- coding: utf-8 -*-
"""What notebooks show: tables, and the progress of a send."""
from __future__ import absolute_import

import os
import time
import types
import unittest

from iobeam import progress
from iobeam.resources import data, result
from iobeam.testing import FakeBackend
from iobeam.utils import markup
from tests.command import running
from tests.support import TestCase, mock

try:
    from html.parser import HTMLParser  # novm
except ImportError:
    from HTMLParser import HTMLParser

NOON = 1769860800000000  # us


class Cells(HTMLParser):
    """The rows of a table, and every tag in it."""

    def __init__(self, text):
        HTMLParser.__init__(self)
        self.caption, self.rows, self.tags, self._into = "", [], set(), None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._into = tag

    def handle_endtag(self, tag):
        self._into = None

    def handle_data(self, text):
        if self._into == "caption":
            self.caption += text
        elif self._into in ("td", "th"):
            self.rows[-1][-1] += text

    def handle_entityref(self, name):  # 2.7
        self.handle_data({"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[name])

    def handle_charref(self, name):  # 2.7
        self.handle_data(chr(int(name)))


class InUtc(unittest.TestCase):
    def setUp(self):
        patched = mock.patch.dict("os.environ", TZ="UTC")
        patched.start()
        self.addCleanup(self._set)
        self.addCleanup(patched.stop)
        self._set()

    @staticmethod
    def _set():
        if hasattr(time, "tzset"):
            time.tzset()


@unittest.skipIf(os.name == "nt", "no tzset")
class TableTest(InUtc):
    def test_a_store(self):
        store = data.DataStore([u"t\u00e4glich", "<script>"])
        self.assertEqual("0 rows wait in memory",
                         Cells(store._repr_html_()).caption)
        store.add(data.Timestamp(NOON, data.TimeUnit.MICROSECONDS),
                  {u"t\u00e4glich": 1.5, "<script>": u"<b>&\"'"})
        store.add(data.Timestamp(NOON + 1, data.TimeUnit.MICROSECONDS),
                  {u"t\u00e4glich": None, "<script>": True})
        text = store._repr_html_()
        found = Cells(text)
        self.assertEqual("2 rows wait in memory", found.caption)
        self.assertEqual(
            [["time", u"t\u00e4glich", "<script>"],
             ["2026-01-31T12:00:00+00:00", "1.5", u"<b>&\"'"],
             ["2026-01-31T12:00:00.000001+00:00", "", "true"]],
            [[cell.replace("Z", "+00:00") for cell in row]
             for row in found.rows])
        self.assertEqual({"table", "caption", "thead", "tbody", "tr", "th",
                          "td"}, found.tags)
        self.assertEqual(2, len(store.rows()))

    def test_the_newest_of_many_rows(self):
        store = data.DataStore(["a"])
        store.addRows([(k, {"a": k}) for k in range(100000)])
        found = Cells(store._repr_html_())
        self.assertEqual("100,000 rows wait in memory, the newest 10 shown",
                         found.caption)
        self.assertEqual([str(k) for k in range(99990, 100000)],
                         [row[1] for row in found.rows[1:]])

    def test_cells_of_every_kind(self):
        for cell, shown in ((None, u""), (True, u"true"), (0.1, u"0.1"),
                            (2 ** 63, u"9223372036854775808"),
                            (float("nan"), u"nan"), (b"\xff", u"\ufffd"),
                            (u"x" * 300, u"x" * 200 + u"\u2026"),
                            (u"<&>", u"&lt;&amp;&gt;")):
            self.assertEqual(shown, markup.escaped(cell))

    def test_a_result(self):
        for unit, factor in (("msec", 1000), ("usec", 1), ("sec", 1000000)):
            found = result.Result({"timefmt": unit, "result": [
                {"project_id": 1, "device_id": "d", "name": name,
                 "data": [{"time": (NOON + k * 1000000) // factor, "value": k}
                          for k in range(count)]}
                for name, count in (("a", 1), ("b", 50), ("<i>", 2))]})
            shown = Cells(found._repr_html_())
            self.assertEqual("53 points in 3 series, 7 of the newest shown",
                             shown.caption)
            self.assertEqual(["d", "a", "2026-01-31T12:00:00", "0"],
                             [cell[:19] for cell in shown.rows[1]])
            self.assertEqual(["46", "47", "48", "49", "0", "1"],
                             [row[3] for row in shown.rows[2:]])
        self.assertEqual("0 points in 0 series",
                         Cells(result.Result({"result": []})._repr_html_())
                         .caption)

    def test_a_result_is_the_answer(self):
        answer = {"result": [], "timefmt": "msec"}
        self.assertEqual(answer, result.Result(answer))
        for odd in ({}, {"result": None}, {"result": [{"data": [1]}]},
                    {"errors": []}):
            self.assertIsNone(result.Result(odd)._repr_html_())


class ClientCase(TestCase):
    def setUp(self):
        self.backend = FakeBackend()
        self.client = self.backend.builder().registerDevice("d").build()
        self.addCleanup(self.client.close)


class ClientTest(ClientCase):
    def test_a_client(self):
        client = self.client
        client.createDataStore(["a"]).add(1, {"a": 1})
        before = client.stats()["requests"]
        text = client._repr_html_()
        rows = dict(Cells(text).rows[1:])
        self.assertEqual("d", rows["device"])
        self.assertEqual(("1", "0", "1"), (rows["added"], rows["accepted"],
                                           rows["pending"]))
        self.assertNotIn(client.projectToken, text)
        self.assertEqual(before, client.stats()["requests"])
        client.send()
        rows = dict(Cells(client._repr_html_()).rows[1:])
        self.assertEqual("1", rows["accepted"])
        client.close()
        self.assertIn("project", client._repr_html_())

    def test_one_whose_buffer_cannot_be_read(self):
        with mock.patch.object(self.client, "stats", side_effect=OSError):
            rows = dict(Cells(self.client._repr_html_()).rows[1:])
        self.assertEqual("OSError", rows["stats()"])


class ProgressTest(ClientCase):
    def setUp(self):
        ClientCase.setUp(self)
        self.client.createDataStore(["a"]).addRows(
            [(k, {"a": k}) for k in range(3000)])
        self.err = running.Stream()
        self.err.isTerminal = True

    def shown(self, wanted, **modules):
        """What is said meanwhile; also of what other tests have left behind."""
        with mock.patch("sys.stderr", self.err), \
                mock.patch("iobeam.progress._SHORT_SECONDS", 0), \
                mock.patch("iobeam.progress._STEP_SECONDS", 0), \
                mock.patch.dict("sys.modules", **modules):
            self.assertTrue(self.client.send(progress=wanted))
        self.assertEqual(0, self.client.pending())
        return self.err.getvalue()

    def test_a_line_on_a_terminal(self):
        text = self.shown(True, tqdm=None)
        self.assertIn("sending: 1,000 of 3,000 rows", text)
        self.assertIn(" \r", text)  # and it is gone at the end

    def test_nothing_where_nobody_looks(self):
        self.err.isTerminal = False
        self.assertNotIn("sending", self.shown(True, tqdm=None))

    def test_nothing_where_it_is_not_wanted(self):
        self.assertNotIn("sending", self.shown(False, tqdm=None))

    def test_what_is_no_answer(self):
        for odd in (1, 0, "yes", []):
            with self.assertRaises(ValueError) as caught:
                self.client.send(progress=odd)
            self.assertIn("callable or True, not", str(caught.exception))
        self.assertEqual(3000, self.client.pending())

    def bar(self, **failing):
        """A tqdm that notes what is asked of it, or fails at it."""
        noted = []

        class Bar(object):
            total = None

            def __init__(self, **given):
                noted.append(("made", given["unit"]))
                if "made" in failing:
                    raise failing["made"]

            def update(self, rows):
                noted.append((rows, self.total))
                if "update" in failing:
                    raise failing["update"]

            def close(self):
                noted.append("closed")
                if "close" in failing:
                    raise failing["close"]

        module = types.ModuleType("tqdm")
        module.tqdm = Bar
        return module, noted

    def test_a_bar(self):
        module, noted = self.bar()
        self.assertNotIn("sending", self.shown(True, tqdm=module))
        self.assertEqual((("made", " rows"), "closed"), (noted[0], noted[-1]))
        self.assertEqual(3000, sum(rows for rows, _ in noted[1:-1]))
        self.assertEqual(set([3000]), set(total for _, total in noted[1:-1]))

    def test_a_bar_that_fails_loses_nothing(self):
        for failing in ("made", "update", "close"):
            module, _ = self.bar(**{failing: RuntimeError("no widget")})
            self.client.createDataStore(["a"]).addRows(
                [(k, {"a": k}) for k in range(10)])
            self.shown(True, tqdm=module)

    def test_an_interrupt_goes_through_it(self):
        module, noted = self.bar(update=KeyboardInterrupt())
        with self.assertRaises(KeyboardInterrupt):
            self.shown(True, tqdm=module)
        self.assertEqual("closed", noted[-1])
        self.assertEqual(2000, self.client.pending())

    def test_in_a_notebook(self):
        self.err.isTerminal = False
        shell = types.ModuleType("IPython")
        shell.get_ipython = lambda: mock.Mock(kernel=1)
        module, noted = self.bar()
        auto = types.ModuleType("tqdm.auto")
        auto.tqdm = module.tqdm
        self.shown(True, **{"IPython": shell, "tqdm": module,
                            "tqdm.auto": auto})
        self.assertEqual("closed", noted[-1])
        self.assertFalse(progress._isNotebook())
