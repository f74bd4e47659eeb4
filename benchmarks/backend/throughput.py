"""Rows of four values per second: over HTTP, in a bare loop, into InfluxDB."""
import os
import shutil
import statistics
import sys
import tempfile
import urllib.request

from benchmarks.backend import engines, processes

TARGET = 0.6  # of the bare loop's rows per second


def measure(found, folder, rounds, rows, rowsAtOnce):
    """Measure every engine in turn, `rounds` times; return whether the targets were reached.

    Args:
        found: engines.
        rows (int): of each measurement.
        rowsAtOnce (int): of a request.
    """
    influx = shutil.which("influxd")
    if influx is None:
        print("InfluxDB is left out: apt-get install influxdb")
    results = {}
    for number in range(rounds):
        for engine in found:
            for how in _waysOf(engine):
                results.setdefault((engine.name, how), []).append(
                    how(engine, rows, rowsAtOnce))
        if influx is not None:
            results.setdefault("influx", []).append(
                _influx(influx, folder, rows, rowsAtOnce))
        print("round {} of {} done, load {:.1f}".format(
            number + 1, rounds, os.getloadavg()[0]), file=sys.stderr, flush=True)
    isReached = True
    print("\nrows of 4 values, {} clients, {} rows a request, {} rows a round,"
          " medians of {} rounds\n".format(engines.CLIENTS, rowsAtOnce, rows, rounds))
    print("| | rows/s | rows per CPU s | of the bare loop's rows/s | of the rounds |")
    print("|---|---|---|---|---|")
    for engine in found:
        bare, http = results[engine.name, _bare], results[engine.name, _http]
        _show(engine.name + ", bare upsert loop", bare)
        if _straight in _waysOf(engine):
            _show(engine.name + ", bare COPY of new points", results[engine.name, _straight])
        ratios = [a["speed"] / b["speed"] for a, b in zip(http, bare)]
        ratio = statistics.median(ratios)
        isReached = isReached and ratio >= TARGET
        _show(engine.name + ", over HTTP", http, "{:.2f} (target {}: {})".format(
            ratio, TARGET, "reached" if ratio >= TARGET else "MISSED"),
            "{:.2f}..{:.2f}".format(min(ratios), max(ratios)))
    if influx is not None:
        _show("InfluxDB, over HTTP", results["influx"])
    return isReached


def _show(name, results, ratio="", spread=""):
    print("| {} | {:.0f} | {:.0f} | {} | {} |".format(
        name, statistics.median(each["speed"] for each in results),
        statistics.median(each["perCpu"] for each in results), ratio, spread))


def _figures(result, cpu):
    return {"speed": result["rows"] / result["wall"], "perCpu": result["rows"] / cpu}


def _waysOf(engine):
    return (_bare, _straight, _http) if engine.name == "PostgreSQL" else (_bare, _http)


def _straight(engine, rows, _):
    return _bare(engine, rows, None, True)


def _bare(engine, rows, _, isStraight=False):
    with engine.database() as url:
        engines.prepare(url)
        with processes.Job("bare", {"url": url, "rows": rows, "straight": isStraight}) as job:
            before = engine.cpu()
            job.begin()
            result = job.result()
            return _figures(result, result["cpu"] + engine.cpu() - before)


def _http(engine, rows, rowsAtOnce):
    with engine.database() as url:
        token = engines.prepare(url)
        with processes.backend(url) as (child, port):
            job = _job("iobeam", port, rows, rowsAtOnce, token=token)
            return _figures(*processes.load(
                job, lambda: engine.cpu() + processes.cpuOf(child.pid)))


def _influx(binary, folder, rows, rowsAtOnce):
    with tempfile.TemporaryDirectory(dir=folder) as place:
        with processes.influxdb(binary, place) as (child, port):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                "http://127.0.0.1:{}/query".format(port), b"q=CREATE+DATABASE+bench").close()
            job = _job("influx", port, rows, rowsAtOnce)
            return _figures(*processes.load(job, lambda: processes.cpuOf(child.pid)))


def _job(kind, port, rows, rowsAtOnce, **more):
    return dict(more, kind=kind, port=port, clients=engines.CLIENTS, rows=rowsAtOnce,
                requests=max(1, rows // rowsAtOnce // engines.CLIENTS))
