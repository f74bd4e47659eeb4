"""A script that adds numbered rows and sends them, until it is killed.

    python tests/fault_child.py URL TOKEN FOLDER DEVICE FIRST SEED

FOLDER is where its buffer lies, or "-" for none. Row N has the time N ms, the
value N and perhaps the text "row N". It says on standard output, unbuffered::

    a N     row N is about to be added
    p N     rows up to N are on disk or delivered
    r N     so many rows were refused

Through a network that fails at random, a script goes on: what `send()` raises
is passed over, a build that fails is tried again.
"""
from __future__ import absolute_import

import logging
import os
import random
import sys

from iobeam import iobeam
from iobeam.http import request


def say(word, number):
    os.write(1, "{} {}\n".format(word, number).encode("ascii"))


def builder(url, token, folder, device):
    """How the children, and who delivers after them, build a client."""
    made = iobeam.ClientBuilder(1, token).setBackend(url).setTimeout(1, 1) \
        .setGiveUpAfter(5).registerOrSetId(device)
    return made if folder == "-" else made.bufferToDisk(folder)


def build(pick, *where):
    made = builder(*where).setRetries(pick.choice([0, 0, 1, 4])) \
        .setBatchSize(pick.choice([3, 40, 1000, 20000]))
    while True:
        try:
            return made.build()
        except request.Error:
            pass


def main(url, token, folder, device, first, seed):
    logging.getLogger("iobeam").setLevel(logging.CRITICAL)
    pick = random.Random(seed)
    where = url, token, folder, device
    number = first
    client = build(pick, *where)
    while True:
        columns = pick.choice([["v"], ["v", "s"]])
        store = client.createDataStore(columns)
        for _ in range(pick.choice([1, 4, 30, 200])):
            say("a", number)
            row = {"v": number, "s": "row {}".format(number)}
            store.add(number, dict((name, row[name]) for name in columns))
            number += 1
        act(client, pick, folder, number - 1)
        if client.stats()["rejected"]:
            say("r", client.stats()["rejected"])
        if folder != "-" and pick.random() < 0.1:
            client.close()
            client = build(pick, *where)


def act(client, pick, folder, last):
    """Flush or send, and say what that promises."""
    try:
        if folder != "-" and pick.random() < 0.4:
            client.flush()
        else:
            client.send()
    except request.SendError:
        if folder == "-":
            return  # they are in memory alone
    say("p", last)


if __name__ == "__main__":
    main(*(sys.argv[1:5] + [int(number) for number in sys.argv[5:]]))
