"""The README's program: register this device, collect two readings, send them.

Set IOBEAM_PROJECT_ID and IOBEAM_TOKEN first, and IOBEAM_BACKEND for a backend of
your own. The device id is kept in the file iobeam_device_id in the current folder
and used again next time.
"""
from __future__ import print_function

import os
import random
import time

from iobeam import iobeam

PROJECT_ID = int(os.environ["IOBEAM_PROJECT_ID"])
PROJECT_TOKEN = os.environ["IOBEAM_TOKEN"]


def getTemperature():
    return round(random.gauss(21, 0.5), 2)  # ask your sensor here


def getHumidity():
    return round(random.gauss(45, 2), 1)


# Init iobeam
builder = iobeam.ClientBuilder(PROJECT_ID, PROJECT_TOKEN).saveToDisk().registerDevice()
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
