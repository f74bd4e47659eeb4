"""Run the tests that this interpreter can: what a test lacks skips it.

It has no other process, no thread and no socket that anybody could connect to.
A test that asks for one is skipped there and then, and counted by what it
lacked; so is nothing that can run left out, and nothing has to be listed.
"""
from __future__ import absolute_import

import os
import socket
import subprocess
import sys
import threading
import unittest

# Of some 1200; fewer means that something else is wrong.
LEAST = 500


def lacking(what):
    def skip(*_, **__):
        raise unittest.SkipTest("{} here".format(what))

    return skip


def importUrllib3():
    """Let it open sockets, as everywhere: here it would use a browser's fetch."""
    own, sys.platform = sys.platform, "linux"
    try:
        import urllib3  # noqa: F401
    finally:
        sys.platform = own


def knowNoNames():
    """Say so of host names: Emscripten makes an address up for each."""
    own = socket.getaddrinfo

    def look(host, *args, **kwargs):
        if not host.replace(".", "").isdigit():
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return own(host, *args, **kwargs)

    socket.getaddrinfo = look


def main(names):
    """Run them; return the exit code."""
    importUrllib3()
    knowNoNames()
    threading.Thread.start = lacking("no threads")
    subprocess.Popen.__init__ = os.fork = lacking("no processes")
    from tests import loopback
    from tests import __main__ as runner

    loopback.Loopback.listen = lacking("no sockets to listen on")
    loopback.blackHole = lacking("no sockets to listen on")
    report = runner.Report(sys.stdout)
    for tests in runner.discovered(names).values():
        runner.runClass(tests, report.tell)
    isWell = report.close()
    if not names and len(report.of("passed")) < LEAST:
        print("fewer than {} tests ran".format(LEAST))
        isWell = False
    return 0 if isWell else 1
