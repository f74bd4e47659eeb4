"""Measure this machine once a minute, and send that for as long as it runs.

A service, for systemd with deploy/iobeam-device.service: what cannot be sent
waits on disk, and a stop loses nothing. Run `iobeam configure` first, or set
IOBEAM_PROJECT_ID, IOBEAM_TOKEN and IOBEAM_BACKEND. The device id and the buffer are kept in the current folder.
"""
from __future__ import print_function

import glob
import logging
import os
import signal
import sys
import time

from iobeam import iobeam
from iobeam.http import request

INTERVAL_SECONDS = 60


def getReading():
    """Return what there is to measure; ask your sensors here."""
    reading = {}
    if hasattr(os, "getloadavg"):
        reading["load"] = os.getloadavg()[0]
    for path in sorted(glob.glob("/sys/class/thermal/thermal_zone*/temp"))[:1]:
        try:
            with open(path) as source:
                reading["temperature"] = int(source.read()) / 1000.0
        except (EnvironmentError, ValueError):  # some have no value at times
            pass
    return reading


def build():
    """Make the client; only the very first start needs the backend for it."""
    try:
        return iobeam.ClientBuilder.fromEnvironment() \
            .saveToDisk().registerDevice().bufferToDisk().build()
    except (ValueError, request.Error) as error:
        sys.exit("device_service.py: {}".format(error))


def main():
    logging.basicConfig(level=logging.INFO)
    # As an end like any other, at which rows in memory go to the disk.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    client = build()
    machine = client.createDataStore(["load", "temperature"])
    while True:
        machine.add(None, getReading())
        try:
            client.send(timeout=30)
        except request.Error as error:
            logging.warning("%s", error)  # what was not accepted is kept
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
