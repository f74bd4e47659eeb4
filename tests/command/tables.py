# -*- coding: utf-8 -*-
"""Tables in, rows out: what tests of reading have in common."""
from __future__ import absolute_import

import io
import os
import time
import unittest

from iobeam.command import readings
from iobeam.utils import compat
from tests import support
from tests.support import mock

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")


@unittest.skipUnless(hasattr(time, "tzset"),
                     "this system cannot change its time zone")
class TableTest(support.TestCase):
    """This machine is in Berlin."""

    def setUp(self):
        patched = mock.patch.dict("os.environ", TZ="Europe/Berlin")
        patched.start()
        time.tzset()
        self.addCleanup(time.tzset)
        self.addCleanup(patched.stop)

    def inspect(self, text, encoding="utf-8", **given):
        """The reading of a text, or of bytes."""
        content = text if isinstance(text, bytes) and not (
            compat.PY2 and isinstance(text, compat.text)) \
            else text.encode(encoding)
        return readings.inspect("f", lambda: io.BytesIO(content),
                                readings.Settings(**given))

    def read(self, text, encoding="utf-8", **given):
        """[(milliseconds, {column: value} without gaps)] of a text."""
        return rowsOf(self.inspect(text, encoding, **given))

    def bad(self, text, **given):
        """[(line number, why)] of its bad rows."""
        return [(number, why) for batch in self.inspect(text, **given)
                .batches() for number, _, why in batch.bad]

    def refused(self, text, words, encoding="utf-8", **given):
        """It is in doubt, and the message holds `words`."""
        with self.assertRaises(readings.InDoubt) as caught:
            self.inspect(text, encoding, **given)
        self.assertIn(words, str(caught.exception))
        return str(caught.exception)

    def times(self, cells, **given):
        """Milliseconds of a column of times."""
        return [moment for moment, _ in self.read(u"time;v\n" + u"".join(
            u"{};{}\n".format(cell, k) for k, cell in enumerate(cells)),
            **given)]

    def column(self, cells, **given):
        """What the cells of a column of values say."""
        text = u"time;v\n" + u"".join(
            u"{};{}\n".format(1700000000 + k, cell)
            for k, cell in enumerate(cells))
        found = dict(self.read(text, **given))
        return [found.get(1700000000000 + 1000 * k, {}).get("v")
                for k in range(len(cells))]


def rowsOf(reading):
    """[(milliseconds, {column: value} without gaps)] in order."""
    return rowsOfBatches(reading.batches())


def rowsOfBatches(batches):
    """The same of `readings.Batch`."""
    return [(usec / 1000.0 if usec % 1000 else usec // 1000,
             dict((name, row[name]) for name in row if row[name] is not None))
            for batch in batches for group in batch.groups
            for usec, row in group.rows]
