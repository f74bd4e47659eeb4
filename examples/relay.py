"""Send for several devices from one process, as a gateway or proxy does.

The devices here are imaginary: their readings come in mixed, as they are taken,
and this process registers each device at its first one and sends on behalf of
all. One client and one store serve them; `send()` puts the rows of each device
together, so that there are no more requests than devices. Nothing is kept on disk,
since the ids are the devices' own.

Run `iobeam configure` first, or set IOBEAM_PROJECT_ID, IOBEAM_TOKEN and
IOBEAM_BACKEND.
"""
from __future__ import print_function

import random
import time

from iobeam import iobeam

DEVICES = ["sensor-{}".format(number) for number in range(1, 51)]


def receive():
    """Return what has come in: device, time in ms, temperature."""
    now = int(time.time() * 1000)
    return [(deviceId, now - 1000 * age, round(random.gauss(15, 3), 2))
            for age in range(20, 0, -1) for deviceId in DEVICES]


client = iobeam.ClientBuilder.fromEnvironment().build()
climate = client.createDataStore(["temperature"])
known = set()

readings = receive()
for deviceId, timestamp, temperature in readings:
    if deviceId in known:
        client.setDeviceId(deviceId)  # rows from now on are its; asks nobody
    else:
        # One that an earlier run has registered already is simply used.
        client.registerDevice(deviceId, setOnDupe=True)
        known.add(deviceId)
    climate.add(timestamp, {"temperature": temperature})

client.send()
print("sent {} rows of {} devices".format(len(readings), len(known)))
