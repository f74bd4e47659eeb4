"""What a process and those it started take up, by /proc."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
IS_HERE = Path("/proc/self/status").exists()


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in path.read_text().split()]
    return found


def _status(pid: int, name: str) -> int:
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            line = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{one}/status").read_text(), re.M)
            total += int(line.group(1)) if line else 0
    return total


def forget_peak(pid: int) -> None:
    """Let `peak_mib` begin anew (proc(5), clear_refs)."""
    for one in tree(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{one}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """Return the most memory that it has had resident, MiB."""
    return _status(pid, "VmHWM") / 1024


def resident_mib(pid: int) -> float:
    return _status(pid, "VmRSS") / 1024


def threads(pid: int) -> int:
    return _status(pid, "Threads")


def descriptors(pid: int) -> int:
    """Count sockets and files without a name: what is held for clients.

    Connections to SQLite are left out, since threads keep theirs.
    """
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{one}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{one}/fd/{name}")
                    total += target.startswith("socket:") or target.endswith("(deleted)")
    return total


def cpu_s(pid: int) -> float:
    """Return processor time used so far, seconds."""
    total = 0.0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(words[11]) + int(words[12])) / TICKS  # utime, stime
    return total
