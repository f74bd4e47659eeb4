# -*- coding: utf-8 -*-
"""A command line run in this process, with a backend on loopback."""
from __future__ import absolute_import

import io
import json
import os
import time

from iobeam import cli
from tests import loopback, support
from tests.support import mock

CSV = u"""time,temperature,place,on
1700000001000,21.5,north,true
1700000002000,22,,false
1700000003000,-1e2,süd,
"""


class Stream(io.BytesIO if str is bytes else io.StringIO):
    """A standard stream that may be a terminal."""

    isTerminal = False

    def isatty(self):
        return self.isTerminal


class CliTest(support.TestCase):
    """Attributes: isTerminal, isPiped (bool): what is printed goes to a
    terminal; but for the result.
    """

    isTerminal = isPiped = False

    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.path = self.folder()
        patched = mock.patch.dict("os.environ", TZ="UTC")
        patched.start()
        self.addCleanup(self._setZone)  # after the variable is as it was
        self.addCleanup(patched.stop)
        self._setZone()
        self.token = loopback.makeToken(1)
        os.environ.update(IOBEAM_BACKEND=self.server.url,
                          IOBEAM_PROJECT_ID="1", IOBEAM_TOKEN=self.token)

    @staticmethod
    def _setZone():
        if hasattr(time, "tzset"):
            time.tzset()

    def run_(self, *args):
        """Run a command; (exit code, what it printed)."""
        self.out, self.err = Stream(), Stream()
        self.err.isTerminal = self.isTerminal
        self.out.isTerminal = self.isTerminal and not self.isPiped
        with mock.patch("sys.stdout", self.out), \
                mock.patch("sys.stderr", self.err):
            try:
                code = cli.main(list(args) + ["--path", self.path])
            except SystemExit as end:
                code = end.code
        printed = self.out.getvalue(), self.err.getvalue()
        for text in printed:
            self.assertNotIn(self.token, text)
            self.assertNotIn("Traceback", text)
        return code, printed[0]

    def json(self, *args):
        code, printed = self.run_(*(args + ("--json",)))
        return code, json.loads(printed)

    def says(self, code, words, *args):
        self.assertEqual(code, self.run_(*args)[0], self.err.getvalue())
        self.assertIn(words, self.err.getvalue())

    def write(self, text, name="rows.csv"):
        path = os.path.join(self.path, name)
        with io.open(path, "w", encoding="utf-8", newline="") as opened:
            opened.write(text)
        return path
