"""Send this machine's own load, memory, disk and uptime, once every interval.

Run `iobeam configure` first, or set IOBEAM_PROJECT_ID, IOBEAM_TOKEN and
IOBEAM_BACKEND. The device id is made from the host name, and nothing is written
to this machine's disk.
"""
from __future__ import print_function

import argparse
import os
import re
import shutil
import socket
import sys
import time

from iobeam import iobeam

COLUMNS = ["load1", "load5", "load15", "memory_used", "memory_free",
           "disk_used", "disk_free", "uptime", "cpu_percent"]
FAILED, USAGE = 1, 2  # exit codes; 2 is what argparse uses for a wrong command line


def readLines(path):
    """Return the lines of a file under /proc, or none where there is no such file."""
    try:
        with open(path) as source:
            return source.readlines()
    except (IOError, OSError):
        return []


def getLoad():
    try:
        load = [round(average, 2) for average in os.getloadavg()]
    except (AttributeError, OSError):  # Windows has no load average
        return {}
    return dict(zip(("load1", "load5", "load15"), load))


def getMemory():
    """Return bytes of memory used and free; free includes what caches would give up."""
    found = dict(re.findall(r"(\w+):\s+(\d+) kB", "".join(readLines("/proc/meminfo"))))
    if "MemTotal" in found:
        # MemAvailable came with Linux 3.14
        free = int(found.get("MemAvailable", found.get("MemFree", 0))) * 1024
        return {"memory_used": int(found["MemTotal"]) * 1024 - free, "memory_free": free}
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * page
        free = os.sysconf("SC_AVPHYS_PAGES") * page
    except (AttributeError, ValueError, OSError):  # macOS does not count free pages here
        return {}
    return {"memory_used": total - free, "memory_free": free}


def getDisk():
    """Return bytes used and free on the file system of the current folder."""
    try:
        disk = os.statvfs(".")
        return {"disk_used": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
                "disk_free": disk.f_bavail * disk.f_frsize}
    except AttributeError:  # Windows
        usage = getattr(shutil, "disk_usage", None)  # not on Python 2
        if usage is None:
            return {}
        return {"disk_used": usage(".").used, "disk_free": usage(".").free}


def getUptime():
    for line in readLines("/proc/uptime"):
        return {"uptime": float(line.split()[0])}
    return {}


class CpuMeter(object):
    """Share of time the processors were busy since it was last asked."""

    def __init__(self):
        self._last = self._ticks()

    def _ticks(self):
        """Return (busy, total) since boot, in ticks of all processors; None without /proc."""
        for line in readLines("/proc/stat"):
            # user nice system idle iowait irq softirq steal; guest time is in user already
            ticks = [int(field) for field in line.split()[1:9]]
            return sum(ticks) - sum(ticks[3:5]), sum(ticks)
        return None

    def read(self):
        last, self._last = self._last, self._ticks()
        if last is None or self._last is None or self._last[1] <= last[1]:
            return {}
        share = float(self._last[0] - last[0]) / (self._last[1] - last[1])
        return {"cpu_percent": round(100 * min(max(share, 0.0), 1.0), 1)}


def makeDeviceId(hostName):
    """Make a device id of a host name; ids know only letters, digits, `_`, `:` and `-`."""
    return re.sub("[^a-zA-Z0-9_:-]+", "-", hostName).strip("-")[:100] or "this-machine"


def positive(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def parseArgs():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=positive, metavar="N",
                        help="stop after N seconds (default: go on until Ctrl-C)")
    parser.add_argument("--interval", type=positive, metavar="S", default=1.0,
                        help="seconds between two readings (default: 1)")
    return parser.parse_args()


def oneLine(message):
    return " ".join(str(message).split())


def stop(message, code):
    sys.stderr.write("host_metrics.py: {}\n".format(oneLine(message)))
    sys.exit(code)


def makeClient():
    try:
        return iobeam.ClientBuilder.fromEnvironment() \
            .registerOrSetId(makeDeviceId(socket.gethostname())).build()
    except ValueError as error:  # no project id, token or address, or a wrong one
        stop(error, USAGE)
    except iobeam.request.Error as error:  # no answer, or not the one hoped for
        stop(error, FAILED)


def main():
    args = parseArgs()
    sources = [getLoad, getMemory, getDisk, getUptime, CpuMeter().read]
    client = makeClient()
    host = client.createDataStore(COLUMNS)

    sent = waiting = 0  # counted in points
    end = None if args.seconds is None else time.time() + args.seconds
    try:
        while True:
            reading = {}
            for source in sources:
                reading.update(source())
            if not reading:
                stop("this system offers no readings", FAILED)
            host.add(int(time.time() * 1000), reading)
            waiting += len(reading)
            try:
                client.send()
            except iobeam.request.Error as error:
                # What was not accepted stays in the store and goes with the next send.
                print("{} points not sent yet: {}".format(waiting, oneLine(error)), file=sys.stderr)
            else:
                sent += waiting
                waiting = 0
                print("sent " + ", ".join("{} {}".format(name, reading[name])
                                          for name in COLUMNS if name in reading))
            sys.stdout.flush()
            if end is not None and time.time() + args.interval > end:
                break
            time.sleep(args.interval)
    except KeyboardInterrupt:
        pass
    print("{} points sent as device {}".format(sent, client.getDeviceId()))
    if waiting:
        stop("{} points were not sent".format(waiting), FAILED)


if __name__ == "__main__":
    main()
