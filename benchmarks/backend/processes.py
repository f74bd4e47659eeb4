"""Child processes, and what the kernel says of them."""
import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
START_S = 30


def cpuOf(pid):
    """Return the CPU seconds of a process and of all its children, ended ones too."""
    total, parents = 0.0, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                found = _stat(name)
                parents[int(name)] = int(found[1]), sum(map(int, found[11:15]))
    wanted = {pid}
    while True:
        more = {each for each, (parent, _) in parents.items() if parent in wanted} - wanted
        if not more:
            break
        wanted |= more
    for each in wanted & set(parents):
        total += parents[each][1] / _TICKS_PER_S
    return total


def memoryOf(pid):
    """Return the resident bytes of a process."""
    with open("/proc/{}/statm".format(pid)) as opened:
        return int(opened.read().split()[1]) * _PAGE_BYTES


def _stat(pid):
    with open("/proc/{}/stat".format(pid)) as opened:
        return opened.read().rpartition(")")[2].split()


@contextlib.contextmanager
def started(*command, **options):
    """Run a command for the time of the block."""
    with subprocess.Popen(command, cwd=_ROOT, **options) as child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(START_S)
            except subprocess.TimeoutExpired:
                child.kill()


@contextlib.contextmanager
def backend(url, *options, python=sys.executable):
    """Serve a database in a process of its own: (child, port)."""
    with started(python, "-m", "iobeam_server", "serve", "--database", url,
                 "--port", "0", *options, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                 universal_newlines=True) as child:
        found = re.search(r"127\.0\.0\.1:(\d+)", child.stdout.readline())
        if not found:
            raise RuntimeError("iobeam-server serve did not start on {}".format(url))
        yield child, int(found.group(1))


@contextlib.contextmanager
def influxdb(binary, folder):
    """Serve InfluxDB on loopback in a process of its own: (child, port)."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    settings = os.path.join(folder, "influxdb.conf")
    with open(settings, "w") as opened:
        opened.write(_INFLUX.format(folder=folder, http=ports[0], rpc=ports[1]))
    with started(binary, "-config", settings, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL) as child:
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", ports[0]), 1).close()
                break
            except OSError:
                if time.monotonic() > end or child.poll() is not None:
                    raise RuntimeError("{} did not start".format(binary)) from None
                time.sleep(0.05)
        yield child, ports[0]


_INFLUX = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
"""


class Job:
    """A script of this package that waits for its start; a context manager.

    `pid` is the process's; `result` starts it and returns what it says.
    """

    def __init__(self, module, job):
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.backend." + module, json.dumps(job)],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        self.pid = self._child.pid

    def __enter__(self):
        if self._child.stdout.readline() != "ready\n":
            raise RuntimeError("a script of the benchmark did not start")
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()

    def begin(self):
        self._child.stdin.write("go\n")
        self._child.stdin.flush()

    def isDone(self, timeoutSeconds):
        """Tell whether the result is there, after waiting for it that long at most."""
        return bool(select.select([self._child.stdout], [], [], timeoutSeconds)[0])

    def result(self):
        return json.loads(self._child.stdout.readline())


def load(job, *cpus):
    """Have clients send what `load.py` says; return its result, and what each of `cpus` grew by.

    Args:
        job (dict): see load.py.
        cpus (callable): CPU seconds until now.
    """
    with Job("load", job) as clients:
        before = [cpu() for cpu in cpus]
        clients.begin()
        result = clients.result()
        spent = [cpu() - at for cpu, at in zip(cpus, before)]
    if result["errors"]:
        raise RuntimeError("requests failed: {}".format(result["errors"][0]))
    return [result] + spent
