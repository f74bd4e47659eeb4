"""Run by tests/test_processes.py: a Celery worker whose tasks add rows."""
from __future__ import absolute_import

import os
import signal
import sys
import threading

import celery
from celery import signals

from tests import disk

app = celery.Celery("celery_child", broker="memory://")
app.conf.worker_hijack_root_logger = False
_made = []
_counter = os.pipe()  # a byte for each task that is done; workers inherit it


@app.task(name="work")
def work(backend, path, number):
    if not _made:
        _made.append(disk.builder(backend, path or None).build())
        _made.append(_made[0].createDataStore(["v"]))
    _made[1].add(number, {"v": number})
    os.write(_counter[1], b".")


def main(backend, path, count):
    @signals.worker_ready.connect(weak=False)
    def start(**_):
        threading.Thread(target=give).start()

    def give():
        for number in range(count):
            work.delay(backend, path, number)
        left = count
        while left:
            left -= len(os.read(_counter[0], left))
        os.kill(os.getpid(), signal.SIGTERM)

    app.worker_main(["worker", "-P", "prefork", "-c", "3", "-l", "WARNING",
                     "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
