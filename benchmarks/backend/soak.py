"""Clients that send as fast as they can for a minute: errors, memory, totals."""
import contextlib
import statistics

from benchmarks.backend import engines, load, processes

from iobeam_server.config import Config
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Selection

ROWS_AT_ONCE = 2500
SAMPLE_S = 0.5
GROWTH = 1.15  # of the memory, last quarter over the second: more is no longer flat


def measure(found, seconds):
    """Measure every engine; return whether all was as it must be."""
    verdicts = [_one(engine, seconds) for engine in found]
    return all(verdicts)


def _one(engine, seconds):
    with engine.database() as url:
        token = engines.prepare(url)
        with processes.backend(url) as (child, port):
            job = {"kind": "iobeam", "port": port, "token": token, "rows": ROWS_AT_ONCE,
                   "clients": engines.CLIENTS, "seconds": seconds}
            with processes.Job("load", job) as clients:
                clients.begin()
                memory = []
                while not clients.isDone(SAMPLE_S):
                    memory.append(processes.memoryOf(child.pid))
                result = clients.result()
        problems = list(_problems(url, result, memory))
    mib = [each / 2 ** 20 for each in memory]
    print("{}: {} rows of {} values in {:.0f} s ({:.0f} rows/s) from {} clients;"
          " answers {}; slowest {:.2f} s; memory, MiB: {}".format(
              engine.name, result["rows"], len(load.FIELDS), result["wall"],
              result["rows"] / result["wall"], engines.CLIENTS,
              ", ".join("{}: {}".format(*each) for each in sorted(result["statuses"].items())),
              result["slowest"],
              " ".join("{:.0f}".format(each) for each in mib[::max(1, len(mib) // 12)])))
    for each in problems:
        print("    WRONG: " + each)
    print("    verdict: {}".format("NOT as it must be" if problems else
          "no error, memory flat, every value is there"), flush=True)
    return not problems


def _problems(url, result, memory):
    """Yield what is not as it must be, each in a sentence."""
    for error in result["errors"][:3]:
        yield "a request failed: {}".format(error)
    quarter = len(memory) // 4
    if quarter:
        early = statistics.median(memory[quarter:2 * quarter])
        late = statistics.median(memory[-quarter:])
        if late > early * GROWTH:
            yield "memory grew from {:.0f} to {:.0f} MiB".format(early / 2 ** 20, late / 2 ** 20)
    cells = load.cells_of(ROWS_AT_ONCE)
    with contextlib.closing(open_storage(url, Config())) as store:
        for device, rows in sorted(result["stored"].items()):
            for at, field in enumerate(load.FIELDS):
                series = store.series.find(1, INPUT, device, field)
                number = 0
                for number, point in enumerate(
                        store.points(series[0], Selection()) if series else (), 1):
                    wanted = (load.FIRST_US + (number - 1) * load.STEP_US,
                              cells[(number - 1) % ROWS_AT_ONCE][at])
                    if point != wanted:
                        yield "{}, {}: {} where {} was sent".format(device, field, point, wanted)
                        break
                if number != rows:
                    yield "{}, {}: {} points of {}".format(device, field, number, rows)
