"""Ctrl-C amid the first import of requests: the next send() works."""
from __future__ import absolute_import

import os
import subprocess
import sys
import unittest

from tests import loopback, support

# Interrupts the first send() at call number `instant` of what it imports;
# prints whether it came to that, and how many calls there are.
SCRIPT = """
import os, sys
from iobeam import iobeam
from iobeam.http import loading

instant, url, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
client = iobeam.ClientBuilder(1, token).setBackend(url).setDeviceId("dev") \\
    .setRetries(0).build()
store = client.createDataStore(["a"])
store.add(1, {"a": 1})
seen = [0]
ours = [None]

def isInCompiled(frame):
    while frame is not None:
        if frame.f_code.co_name == "create_module":
            return True
        frame = frame.f_back
    return False

def trace(frame, event, _):
    if event != "call":
        return None
    if frame.f_code is loading._load.__code__:
        ours[0] = frame
    if ours[0] is None or loading._transport is not None:
        return None
    seen[0] += 1
    # Compiled modules (charset_normalizer's, on 3.8) crash when they are begun anew.
    if seen[0] >= instant > 0 and not isInCompiled(frame):
        sys.settrace(None)
        raise KeyboardInterrupt

sys.settrace(trace)
try:
    client.send()
    code = "whole"
except KeyboardInterrupt:
    code = "interrupted"
sys.settrace(None)
assert client.send()
assert client.pending() == 0
import requests, requests.adapters, requests.exceptions, requests.cookies
for name, module in list(sys.modules.items()):
    package, _, last = name.rpartition(".")
    if module is not None and package.split(".")[0] in (
            "requests", "iobeam", "urllib3") and package in sys.modules \\
            and not package.startswith("requests.packages"):  # other names
        assert hasattr(sys.modules[package], last), name
store.add(2, {"a": 2})
try:  # what is raised is what the program can catch
    client._requester.baseUrl = "http://127.0.0.1:1/v1/"
    client.send()
except requests.exceptions.ConnectionError:
    store.clear()
client.close()
print(code, seen[0])
"""


class FirstImportTest(support.TestCase):
    def run_(self, instant):
        child = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(instant), self.server.url,
             loopback.makeToken(1)],
            cwd=os.path.dirname(os.path.dirname(os.path.dirname(
                os.path.abspath(__file__)))),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = child.communicate()[0].decode("utf-8")
        self.assertEqual(0, child.returncode, "at {}: {}".format(instant, out))
        return out

    def test_wherever_it_comes(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        out = self.run_(0)
        self.assertIn("whole", out)
        count = int(out.strip("(')\n").split()[-1])
        self.assertGreater(count, 500)
        steps = int(os.environ.get("IOBEAM_IMPORT_STEPS", 12))
        found = [self.run_(1 + count * (2 * step + 1) // (2 * steps))
                 for step in range(steps)]
        # but for those that came in a callback, where Python swallows them
        self.assertGreater(sum("interrupted" in one for one in found),
                           steps * 2 // 3)


if __name__ == "__main__":
    unittest.main()
