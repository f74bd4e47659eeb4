"""Send for several devices from one process, as a gateway or proxy does.

The devices here are imaginary: each hands its readings to this process, which
registers it and sends on its behalf. One client serves them all, and nothing is
kept on disk, since the ids are the devices' own.

Set IOBEAM_PROJECT_ID and IOBEAM_TOKEN first, and IOBEAM_BACKEND for a backend of
your own.
"""
from __future__ import print_function

import os
import random
import time

from iobeam import iobeam

DEVICES = ["greenhouse-north", "greenhouse-south", "cold-store"]


def receive(deviceId):
    """Return what a device has gathered: pairs of time in ms and temperature."""
    now = int(time.time() * 1000)
    return [(now - 1000 * age, round(random.gauss(15, 3), 2)) for age in range(10, 0, -1)]


client = iobeam.ClientBuilder(int(os.environ["IOBEAM_PROJECT_ID"]),
                              os.environ["IOBEAM_TOKEN"]).build()
climate = client.createDataStore(["temperature"])

for deviceId in DEVICES:
    # A device that an earlier run has registered already is simply used. After
    # that, client.setDeviceId(deviceId) is enough to switch, and asks nobody.
    client.registerDevice(deviceId, setOnDupe=True)
    readings = receive(deviceId)
    for timestamp, temperature in readings:
        climate.add(timestamp, {"temperature": temperature})
    client.send()
    print("sent {} rows of {}".format(len(readings), deviceId))
