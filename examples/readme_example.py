"""The README's program: register this device, collect two readings, send them.

Run `iobeam configure` first, or set IOBEAM_PROJECT_ID, IOBEAM_TOKEN and
IOBEAM_BACKEND. The device id is kept in the file iobeam_device_id in the current
folder and used again next time.
"""
from __future__ import print_function

import random
import time

from iobeam import iobeam


def getTemperature():
    return round(random.gauss(21, 0.5), 2)  # ask your sensor here


def getHumidity():
    return round(random.gauss(45, 2), 1)


# Init iobeam
builder = iobeam.ClientBuilder.fromEnvironment().saveToDisk().registerDevice()
iobeamClient = builder.build()

conditions = iobeamClient.createDataStore(["temperature", "humidity"])

# Data gathering
for _ in range(10):
    ts = iobeam.Timestamp(int(time.time() * 1000))
    conditions.add(ts, {"temperature": getTemperature(), "humidity": getHumidity()})
    time.sleep(0.1)

# Data transmission
iobeamClient.send()
print("sent 10 rows as device " + iobeamClient.getDeviceId())
