"""What is measured, and what is compared with what."""
import collections

# One piece of work in one process. `work` is a method of the worker, or the
# name of a script in SCRIPTS; `path` says what the sink advertises; `size` is
# a key of SIZES.
Measurement = collections.namedtuple(
    "Measurement", "environment worker work path size")

# One line of the table: `field` of `ours` over `field` of `peer` against
# `target`, a text such as "<= 0.5", or None where the line only informs. With
# `isAbsolute` the target is for our value itself. `unit` is a key of UNITS.
Line = collections.namedtuple(
    "Line", "group figure ours peer field unit target isAbsolute")

# name: (factor, digits, whether the inverse is shown); measured in s and bytes
UNITS = {
    "rows/s": (1, 0, True),
    "us": (1e6, 2, False),
    "ms": (1e3, 1, False),
    "bytes": (1, 1, False),
}

# rows: (in a full run, in a quick one)
SIZES = {
    "bulk": (100000, 10000),
    "singles": (2000, 200),
    "million": (1000000, 50000),
    "one": (1, 1),
    "year": (525600, 20000),  # of minutes
    "points": (400000, 20000),
}

LABELS = {
    "ours": "iobeam", "orjson": "iobeam + orjson", "0.11.0": "0.11.0",
    "floor": "json + requests", "influx": "influxdb-client",
    "questdb": "questdb (Rust)", "py27-ours": "iobeam", "py27-floor":
    "json + requests", "py27-0.11.0": "0.11.0", "before": "before", "frames": "iobeam", "loop":
    "a loop of add()", "pivot": "pandas alone",
    "sent frames": "iobeam + orjson", "questdb frames": "questdb (Rust)",
    "tables": "iobeam", "csv": "csv.reader and addRows()",
}

_WORKERS = {
    "ours": ("ours", "on_iobeam"),
    "orjson": ("orjson", "on_iobeam"),
    "0.11.0": ("0.11.0", "on_iobeam"),
    "before": ("before", "on_iobeam"),
    "floor": ("ours", "on_requests"),
    "influx": ("influx", "on_influxdb"),
    "questdb": ("questdb", "on_questdb"),
    "py27-ours": ("py27-ours", "on_iobeam"),
    "py27-0.11.0": ("py27-0.11.0", "on_iobeam"),
    "py27-floor": ("py27-ours", "on_requests"),
    "frames": ("pandas", "on_pandas"),
    "loop": ("pandas", "on_pandas"),
    "pivot": ("pandas", "on_pandas"),
    "sent frames": ("pandas-orjson", "on_pandas"),
    "questdb frames": ("pandas-questdb", "on_questdb"),
    "tables": ("ours", "on_tables"),
    "csv": ("ours", "on_tables"),
}

# Whole programs; {url} and {token} are filled in.
SCRIPTS = {
    "nothing": "pass",
    "import iobeam": "from iobeam import iobeam",
    "import requests": "import requests",
    "one row through iobeam": """
from iobeam import iobeam
client = iobeam.ClientBuilder(1, "{token}").setBackend("{url}") \\
    .setDeviceId("bench-device").build()
store = client.createDataStore(["temperature", "humidity"])
store.add(1700000000000, {{"temperature": 21.5, "humidity": 60.25}})
client.send()
""",
    "one row through requests": """
import json
import requests
requests.post("{url}imports?fmt=table", data=json.dumps({{
    "project_id": 1, "device_id": "bench-device", "timefmt": "usec",
    "sources": {{"fields": ["time", "temperature", "humidity"],
                 "data": [[1700000000000000, 21.5, 60.25]]}}}}),
    headers={{"Authorization": "Bearer {token}",
              "Content-Type": "application/json"}}).raise_for_status()
""",
}


def _work(who, work, path="large", size="bulk"):
    environment, worker = _WORKERS[who]
    return (who, Measurement(environment, worker, work, path, size))


def _script(who, name):
    return (who, Measurement(_WORKERS[who][0], None, name, "large", "one"))


def _lines():
    def line(group, figure, ours, peer, field, unit, target=None,
             isAbsolute=False):
        lines.append(Line(group, figure, ours, peer, field, unit, target,
                          isAbsolute))

    lines = []
    peers = ("floor", "0.11.0", "influx", "questdb")
    bulk = dict((who, _work(who, "bulk")) for who in _WORKERS)
    singles = dict((who, _work(who, "singles", size="singles"))
                   for who in _WORKERS)

    goals = {("ours", "0.11.0"): ">= 2.7", ("orjson", "0.11.0"): ">= 4",
             ("orjson", "questdb"): ">= 1"}
    for who in ("ours", "orjson"):
        for peer in peers:
            line("rows", "rows per second", bulk[who], bulk[peer], "wall",
                 "rows/s", goals.get((who, peer)))
    goals = {("ours", "floor"): "<= 1", ("orjson", "floor"): "<= 0.55",
             ("orjson", "questdb"): "<= 1"}
    for who in ("ours", "orjson"):
        for peer in peers:
            line("cpu", "CPU per row", bulk[who], bulk[peer], "cpu", "us",
                 goals.get((who, peer)))
    line("cpu", "CPU per row, 1000 values a request",
         _work("ours", "bulk", "small"), bulk["0.11.0"], "cpu", "us", "<= 0.6")
    for peer in peers:
        line("add", "add(), full rows", bulk["ours"], bulk[peer], "add", "us",
             "<= 0.42" if peer == "0.11.0" else None)
    line("add", "add(), rows with gaps", _work("ours", "gaps"),
         _work("0.11.0", "gaps"), "add", "us", "<= 0.6")
    goals = {"0.11.0": "<= 0.45", "influx": "<= 0.85"}
    for peer in peers:
        line("one", "CPU of one row per send()", singles["ours"],
             singles[peer], "cpu", "us", goals.get(peer))
    goals = {"0.11.0": "<= 0.5", "questdb": "<= 70"}
    for peer in peers:
        line("memory", "memory per buffered row", _work("ours", "memory"),
             _work(peer, "memory"), "bytes", "bytes", goals.get(peer),
             peer == "questdb")
    for peer in peers:
        line("wire", "body per row", bulk["ours"], bulk[peer], "body", "bytes",
             "<= 48" if peer == "0.11.0" else None, peer == "0.11.0")
    line("wire", "body per row, gzip", _work("ours", "bulk", "gzip"),
         bulk["0.11.0"], "body", "bytes", "<= 17", True)
    line("wire", "CPU per row, gzip", _work("ours", "bulk", "gzip"),
         bulk["0.11.0"], "cpu", "us")
    line("flush", "CPU per row, flush() every 1000 rows, then send()",
         _work("ours", "flushes"), bulk["0.11.0"], "cpu", "us", "<= 0.5")
    line("import", "import, above bare Python", _script("ours", "import iobeam"),
         _script("floor", "import requests"), "above", "ms", "<= 0.3")
    line("import", "import, above bare Python", _script("ours", "import iobeam"),
         _script("0.11.0", "import iobeam"), "above", "ms")
    for peer, name, target in (("floor", "one row through requests", "<= 1.1"),
                               ("0.11.0", "one row through iobeam", None)):
        line("script", "script that sends one row",
             _script("ours", "one row through iobeam"), _script(peer, name),
             "wall", "ms", target)
    line("scale", "CPU per row, 1 000 000 rows, over 10 000 at a time",
         _work("ours", "bulk", size="million"), _work("ours", "tens"), "cpu",
         "us", "<= 1.1")
    line("frames", "addDataFrame, 3 columns, times with a zone",
         _work("frames", "addDataFrame", size="year"),
         _work("loop", "addLoop", size="year"), "cpu", "us", "<= 0.5")
    line("frames", "addDataFrame and send()",
         _work("sent frames", "sendDataFrame", size="year"),
         _work("questdb frames", "sendDataFrame", size="year"), "cpu", "us",
         "<= 1.5")
    line("frames", "toDataFrame, per point",
         _work("frames", "toDataFrame", size="points"),
         _work("pivot", "pivot", size="points"), "cpu", "us", "<= 1.2")
    for times, suffix in (("seconds", "Sec"), ("ISO times", "Iso")):
        line("tables", "iobeam send of a file with " + times,
             _work("tables", "send" + suffix), _work("csv", "loop" + suffix),
             "cpu", "us", "<= 2")
    for figure, work, field, unit, target in (
            ("rows per second", bulk, "wall", "rows/s", ">= 2.8"),
            ("CPU per row", bulk, "cpu", "us", None),
            ("add(), full rows", bulk, "add", "us", None),
            ("CPU of one row per send()", singles, "cpu", "us", "<= 0.65")):
        for peer in ("py27-0.11.0", "py27-floor"):
            line("py27", "Python 2.7: " + figure, work["py27-ours"], work[peer],
                 field, unit, target if peer == "py27-0.11.0" else None)
    return lines


LINES = _lines()
GROUPS = list(dict.fromkeys(line.group for line in LINES))


def linesBefore():
    """The lines that hold this checkout against an earlier one."""
    def line(group, figure, work, field, unit, size="bulk"):
        return Line(group, figure, _work("ours", work, size=size),
                    _work("before", work, size=size), field, unit, "<= 1.02",
                    False)

    return [
        line("before", "add(), full rows", "bulk", "add", "us"),
        line("before", "add(), rows with gaps", "gaps", "add", "us"),
        line("before", "CPU per row", "bulk", "cpu", "us"),
        line("before", "CPU of one row per send()", "singles", "cpu", "us",
             "singles"),
        line("before", "memory per buffered row", "memory", "bytes", "bytes"),
        line("before", "CPU per row, flush() every 1000 rows, then send()",
             "flushes", "cpu", "us"),
    ]


def measurementsFor(lines):
    """Return what has to be measured for some lines, each once."""
    found = dict.fromkeys(side[1] for line in lines
                          for side in (line.ours, line.peer))
    for each in list(found):
        if each.work.startswith("import"):
            found[each._replace(work="nothing")] = None
    return list(found)
