"""Any range of a long series, beside the bare query of summaries; and what many devices last sent."""
import contextlib
import http.client
import json
import statistics
import time

from benchmarks.backend import engines, processes, query

STEP_S = 1
TARGET_MS = 300
DEVICES, SERIES, EACH = 1000, 20, 25
RANGES_H = (1, 24, 7 * 24, 30 * 24, 90 * 24, None)  # None is everything
_BARE = ("SELECT start, points, real_sum, {}, {} FROM summaries WHERE series_id = 1"
         " AND width = 3600000000 AND start >= {} AND start < {} ORDER BY start")


def measure(found, rounds, points):
    """Measure every engine; return whether the targets were reached."""
    isReached = True
    for engine in found:
        with engine.database() as url:
            token = engines.prepare(url)
            begun = time.monotonic()
            last = int(time.time()) // 3600 * 3600
            query.fill(url, points, 1, (last - points * STEP_S) * 1000000, STEP_S)
            print("{}: {} points in one series, made in {:.0f} s".format(
                engine.name, points, time.monotonic() - begun), flush=True)
            with processes.backend(url) as (_, port), query.bare(url) as ask, \
                    contextlib.closing(http.client.HTTPConnection(
                        "127.0.0.1", port, timeout=120)) as connection:
                isReached = _compare(engine, connection, token, ask, last * 1000, rounds,
                                     points) and isReached
        with engine.database() as url:
            token = engines.prepare(url)
            query.fillDevices(url, DEVICES, SERIES, EACH, (int(time.time()) - 60 * EACH) * 1000000)
            with processes.backend(url) as (_, port), contextlib.closing(
                    http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
                path = "/v1/activity/1?count=50"
                if json.loads(query.asked(connection, path, token))["total"] < DEVICES:
                    raise RuntimeError("not every device is there")
                took = statistics.median(query.timed(query.asked, connection, path, token)
                                         for _ in range(5 * rounds))
            print("{}: what {} devices of {} series last sent, 50 of them listed: {:.0f} ms".format(
                engine.name, DEVICES, SERIES, took * 1000), flush=True)
    return isReached


def _compare(engine, connection, token, ask, endMs, rounds, points):
    names = ("int_least", "int_greatest") if engine.name != engines.Sqlite.name else (
        "least", "greatest")
    path = "/v1/summaries/1/bench-0/load?timefmt=usec&buckets=800"
    begun = time.perf_counter()
    while True:  # a query has its time; what is done stays done
        answer = query.asked(connection, path + "&to={}".format(endMs), token, mayTakeLong=True)
        if answer is not None:
            break
    print("the first time, when the hours are summed up: {:.1f} s\n".format(
        time.perf_counter() - begun))
    print("| {}, of {:,} points | buckets | ms (target {}) | bare summaries, ms | more, ms |"
          "\n|---|---|---|---|---|".format(engine.name, points, TARGET_MS))
    isReached = True
    for hours in RANGES_H:
        start = endMs - points * STEP_S * 1000 if hours is None else endMs - hours * 3600000
        url = path + "&from={}&to={}".format(start, endMs - 1)
        widthMs = json.loads(query.asked(connection, url, token))["width_ms"]
        ours, peers = [], []
        for _ in range(rounds):
            turns = [(query.timed(query.asked, connection, url, token), query.timed(
                ask, _BARE.format(*names, start * 1000, endMs * 1000))) for _ in range(5)]
            ours.append(min(turn[0] for turn in turns))
            peers.append(min(turn[1] for turn in turns))
        took, peer = statistics.median(ours) * 1000, statistics.median(peers) * 1000
        data = json.loads(query.asked(connection, url, token))["result"][0]["data"]
        expected = min(points, points if hours is None else hours * 3600 // STEP_S)
        if sum(bucket["count"] for bucket in data) != expected:
            raise RuntimeError("the buckets have not every point")
        isReached = isReached and took < TARGET_MS
        isSummed = widthMs % 3600000 == 0  # below an hour no summary serves
        print("| {} | {} of {:g} s | {:.1f} | {} | {} |".format(
            "everything" if hours is None else "{} h".format(hours), len(data), widthMs / 1000,
            took, "{:.1f}".format(peer) if isSummed else "",
            "{:.1f}".format(took - peer) if isSummed else ""), flush=True)
    return isReached
