"""How much of everything a fleet needs: a simulation over costs that were measured.

A server process is two stations, one behind the other: what each request costs, one at a time (a
process computes on one core), and the writer, which takes all that wait, up to `Costs.mostAtOnce`,
and commits them together. Devices send one row a minute, each at a moment of its own.
"""
import collections
import heapq
import math
import random

ROWS_PER_S = 1 / 60.0
SECONDS = 60  # simulated
WARM_S = 5  # of them, before anything is counted
MOST_BUSY = 0.7  # of a core: above it queues grow out of hand
LONGEST_S = 1.0  # of 99 answers in 100
NODE_CORES, NODE_BYTES = 8, 8e12  # of a machine for the database
YEAR_S = 365 * 86400

# What was measured on one engine. CPU in s: `request` and, however many share it, `commit`, of the
# backend's process; `databaseRequest` and `databaseCommit` of the database's. `commitS` is how long
# a commit of one request lasts while nobody else computes, `bytesPerPoint` what a point takes on
# the disk; `databaseConnections` are those of a process, None where one process alone may have the
# database.
Costs = collections.namedtuple("Costs", (
    "engine", "values", "request", "commit", "databaseRequest", "databaseCommit", "commitS",
    "bytesPerPoint", "mostAtOnce", "databaseConnections"))

# What a fleet does to a backend. Per second but for `busy` (cores), `p50`, `p99` (s of an answer),
# `waiting` (requests, at most), `bytesPerYear`. `processes` is None where no number is enough.
Needs = collections.namedtuple("Needs", (
    "devices", "requests", "processes", "commits", "atOnce", "busy", "databaseBusy",
    "waiting", "p50", "p99", "bytesPerYear", "burstS"))


def needed(costs, devices, seed=1):
    """Return what so many devices need, with the fewest processes that do.

    Args:
        costs (Costs): of the engine.
        devices (int): that send a row a minute each.
        seed (int): of the moments at which they do.
    """
    rate = devices * ROWS_PER_S
    processes = 1
    while True:
        share = rate / processes
        least = share * _least(costs)
        found = None if least > MOST_BUSY else _simulated(costs, share, seed)
        isEnough = found is not None and found.busy <= MOST_BUSY and found.p99 <= LONGEST_S
        if isEnough or costs.databaseConnections is None:
            break
        processes = max(processes + 1, int(processes * least / MOST_BUSY))
    burst = devices / processes * max(_least(costs), costs.commitS / costs.mostAtOnce)
    perYear = rate * costs.values * costs.bytesPerPoint * YEAR_S
    if not isEnough:
        return Needs(devices, rate, None, None, None, None, None, None, None, None, perYear, burst)
    commits = found.commits * processes
    return Needs(
        devices, rate, processes, commits, rate / commits, found.busy * processes,
        commits * costs.databaseCommit + rate * costs.databaseRequest,
        found.waiting, found.p50, found.p99, perYear, burst)


def _least(costs):
    """Return the CPU of a request, in s, where as many as can share a commit."""
    return costs.request + costs.commit / costs.mostAtOnce


_Found = collections.namedtuple("_Found", "commits busy waiting p50 p99")


def _simulated(costs, rate, seed):
    """Return what one process does at a rate; None where its queue grows without end."""
    moments = random.Random(seed)
    arrivals, at = [], 0.0
    while at < SECONDS:
        at += moments.expovariate(rate)
        arrivals.append(at)
    ready, free = [], 0.0
    for arrival in arrivals:  # the first station
        free = max(free, arrival) + costs.request
        ready.append(free)
    # who writes and who reads requests share a core: what one computes the other waits
    lasts = costs.commitS + costs.commit * (1 / max(0.05, 1 - rate * costs.request) - 1)
    waits, ends, commits = [], [], 0
    nextOne, free = 0, 0.0
    while nextOne < len(ready):  # the second one
        begin = max(free, ready[nextOne])
        end = nextOne + 1
        while end < len(ready) and end - nextOne < costs.mostAtOnce and ready[end] <= begin:
            end += 1
        free = begin + lasts
        ends += [free] * (end - nextOne)
        for i in range(nextOne, end):
            if arrivals[i] > WARM_S:
                waits.append(free - arrivals[i])
        commits += 1
        nextOne = end
    if free > SECONDS + LONGEST_S:
        return None
    waits.sort()
    busy = (commits * costs.commit + len(arrivals) * costs.request) / SECONDS
    return _Found(commits / SECONDS, busy, _mostAtATime(arrivals, ends),
                  waits[len(waits) // 2], waits[math.ceil(len(waits) * 0.99) - 1])


def _mostAtATime(begins, ends):
    """Return how many of some spans, in the order of their begins, hold at once at most."""
    most, running = 0, []
    for begin, end in zip(begins, ends):
        while running and running[0] <= begin:
            heapq.heappop(running)
        heapq.heappush(running, end)
        most = max(most, len(running))
    return most


def table(costs, fleets):
    """Return the needs of fleets as the lines of a table."""
    lines = [
        "| | devices | requests/s | processes | their connections to the database |"
        " requests a commit | cores of the backend | cores of the database |"
        " answered after, median / 99 % | most that wait in a process, each on a connection |"
        " all at one moment: done after | points a year | disk a year | machines for it, after a year |",
        "|" + "---|" * 14]
    for each in costs:
        for devices in fleets:
            found = needed(each, devices)
            points = found.requests * each.values * YEAR_S
            if found.processes is None:
                middle, nodes = "more than one | | | | | | |", ""
            else:
                nodes = max(math.ceil(found.databaseBusy / NODE_CORES / MOST_BUSY),
                            math.ceil(found.bytesPerYear / NODE_BYTES))
                middle = "{} | {} | {:.1f} | {:.2f} | {:.2f} | {:.0f} / {:.0f} ms | {} |".format(
                    found.processes, found.processes * (each.databaseConnections or 0) or "",
                    found.atOnce, found.busy, found.databaseBusy,
                    found.p50 * 1000, found.p99 * 1000, found.waiting)
            lines.append("| {} | {:,} | {:,.0f} | {} {:,.0f} s | {:.2g} | {:,.1f} TB | {} |".format(
                each.engine, devices, found.requests, middle, found.burstS, points,
                found.bytesPerYear / 1e12, nodes).replace(",", " "))
    return lines


def plot(costs, path):
    """Draw the cores that fleets need into a file; needs matplotlib."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    fleets = [int(1000 * 10 ** (i / 6)) for i in range(19)]
    for each, colour in zip(costs, ("tab:blue", "tab:orange")):
        found = [one for one in (needed(each, n) for n in fleets) if one.processes is not None]
        numbers = [one.devices for one in found]
        axes.plot(numbers, [one.busy for one in found], color=colour,
                  label="{}: the backend".format(each.engine))
        if each.databaseConnections is None:
            axes.annotate("one process ends", (numbers[-1], found[-1].busy),
                          textcoords="offset points", xytext=(-6, 8), ha="right")
        else:
            axes.plot(numbers, [one.databaseBusy for one in found], color=colour, linestyle="--",
                      label="{}: the database".format(each.engine))
    axes.set(xscale="log", yscale="log", xlabel="devices, each a row of 4 values a minute",
             ylabel="cores that are busy")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    figure.savefig(path, dpi=110)
