"""A second process for the tests of the lock (`tests.spool.test_filelock`).

    python -m tests.lock_child send URL FOLDER [USER]
    python -m tests.lock_child fork FOLDER

`send` makes itself the user with that number, says "ready", waits for a line,
and sends what is in the buffer. `fork` holds the lock, and has a child that does
nothing: "held" when there is one, "free" after it has let go upon a line.
"""
from __future__ import absolute_import

import os
import sys
import time

from iobeam.spool import buffer as spool
from tests import disk


def send(url, path, user=None):
    # what is imported at the first request, a stranger may not be able to read
    with disk.folder() as other:
        warm = disk.builder(url, other, device="warm").build()
        warm.createDataStore(["v"]).add(1, {"v": 1})
        warm.send()
        warm.close()
    if user is not None:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    say("ready")
    sys.stdin.readline()
    client = disk.builder(url, path).setBatchSize(1).build()
    client.send(timeout=60)
    say("{} {}".format(client.stats()["accepted"], client.pending()))
    client.close()


def fork(path):
    import multiprocessing.util  # noqa: F401 (those who fork by it have it)

    lock = spool.Spool(path).sender(0)
    assert lock.__enter__()
    if hasattr(os, "register_at_fork"):
        if not os.fork():
            time.sleep(60)
            os._exit(0)
    else:
        child = multiprocessing.Process(target=time.sleep, args=(60,))
        child.daemon = True
        child.start()
    say("held")
    sys.stdin.readline()
    lock.__exit__()
    say("free")
    sys.stdin.readline()


def say(words):
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"send": send, "fork": fork}[sys.argv[1]](*sys.argv[2:])
