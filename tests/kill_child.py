"""A script that adds, flushes and sends until it is killed (`test_kill`).

    python tests/kill_child.py URL FOLDER FIRST SEED [MAXBYTES]

It says on standard output, unbuffered, what it was promised::

    a N     row N is about to be added
    p N     rows up to N are on disk or delivered: flush() or send() came back,
            or send() raised
"""
from __future__ import absolute_import

import logging
import os
import random
import sys

from tests import disk
from iobeam.http import request


def say(word, number):
    os.write(1, "{} {}\n".format(word, number).encode("ascii"))


def main(url, path, first, seed):
    logging.getLogger("iobeam").setLevel(logging.CRITICAL)
    pick = random.Random(seed)
    number = first
    client = disk.builder(url, path, autoFlush=pick.choice([5, 50, 10000])) \
        .setBatchSize(pick.choice([3, 40, 1000])).build()
    while True:
        # opened and closed as well, and several stores
        store = client.createDataStore(["v"] if pick.random() < 0.7
                                       else ["v", "w"])
        for _ in range(pick.choice([1, 4, 30])):
            say("a", number)
            store.add(number, {"v": number})
            number += 1
        action = pick.random()
        try:
            if action < 0.4:
                client.flush()
            elif action < 0.5:
                client.close()
                client = disk.builder(url, path).build()
            else:
                client.send()
        except request.SendError:
            pass
        say("p", number - 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
