"""What one-row imports cost on an engine, as the simulation of a fleet needs it."""
import contextlib
import os
import re
import statistics
import sys
import urllib.request

from iobeam_server.config import Config
from iobeam_server.storage import open_storage

from benchmarks import simulate
from benchmarks.backend import engines, load, processes

CLIENTS = (1, 8, 64)
DISK_ROWS = 200000  # of which the room of a point is measured


def measure(found, rounds, fleets, plot):
    """Measure every engine, print the costs and what fleets need by them; return True."""
    measured = []
    for engine in found:
        seen = []
        for number in range(rounds):
            seen += [_one(engine, clients) for clients in CLIENTS]
            print("{}: round {} of {} done, load {:.1f}".format(
                engine.name, number + 1, rounds, os.getloadavg()[0]), file=sys.stderr, flush=True)
        measured.append(_costs(engine, seen, _bytesPerPoint(engine)))
    print("\nof a request with one row of {} values, over a connection of its own; {} rounds with"
          " {} clients\n".format(len(load.FIELDS), rounds, ", ".join(map(str, CLIENTS))))
    print("| | backend: a request, ms | a commit, ms | database: a request, ms | a commit, ms |"
          " a commit lasts, ms | bytes a point |")
    print("|" + "---|" * 7)
    for each in measured:
        print("| {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.0f} |".format(
            each.engine, *(1000 * one for one in each[2:7]), each.bytesPerPoint))
    print()
    print("\n".join(simulate.table(measured, fleets)))
    if plot is not None:
        simulate.plot(measured, plot)
    return True


def _one(engine, clients):
    """Return what one run showed: requests a commit, and s of a request and of a commit."""
    with engine.database() as url:
        token = engines.prepare(url)
        with processes.backend(url, "--auto-register") as (child, port):
            job = {"kind": "iobeam", "port": port, "clients": clients, "rows": 1, "token": token,
                   "requests": max(25, 1600 // clients), "fresh": True}
            result, backend, database = processes.load(
                job, lambda: processes.cpuOf(child.pid), engine.cpu)
            counted = _counters(port, token)
    commits = counted["iobeam_commit_seconds_count"]
    return {"clients": clients, "requests": result["rows"], "commits": commits,
            "backend": backend, "database": database,
            "waited": counted["iobeam_commit_seconds_sum"]}


def _counters(port, token):
    request = urllib.request.Request(
        "http://127.0.0.1:{}/metrics".format(port), headers={"Authorization": "Bearer " + token})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.e+-]+)$", text, re.M)}


def _costs(engine, seen, bytesPerPoint):
    perCommit = [each["requests"] / each["commits"] for each in seen]
    # of a request: what it costs itself, and its share of a commit
    shares = [1 / each for each in perCommit]
    backend = _line(shares, [each["backend"] / each["requests"] for each in seen])
    database = _line(shares, [each["database"] / each["requests"] for each in seen])
    lasted = statistics.median(
        each["waited"] / each["commits"] for each in seen if each["clients"] == 1)
    return simulate.Costs(engine.name, len(load.FIELDS), *backend, *database, lasted,
                          bytesPerPoint, Config().threads,
                          None if engine.name == "SQLite" else Config().database_connections)


def _line(xs, ys):
    """Return (height at 0, slope) of the line nearest to some points, neither below 0."""
    slope, height = statistics.linear_regression(xs, ys)
    return max(0.0, height), max(0.0, slope)


def _bytesPerPoint(engine):
    """Return what a point takes, of devices that send a row a minute, all at once in time."""
    with engine.database() as url:
        token = engines.prepare(url)
        with contextlib.closing(open_storage(url, Config())) as store:
            before = store.size().total
        with processes.backend(url) as (_, port):
            job = {"kind": "iobeam", "port": port, "clients": engines.CLIENTS, "token": token,
                   "rows": 1000, "requests": DISK_ROWS // 1000 // engines.CLIENTS}
            result, = processes.load(job)
        with contextlib.closing(open_storage(url, Config())) as store:
            store.compact(False)
            return (store.size().total - before) / (result["rows"] * len(load.FIELDS))
