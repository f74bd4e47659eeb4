from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from iobeam_server.memory import Returned

# threads that each take 24 MiB in turn, in pieces that Python has from the C library
TAKERS = """
import sys, threading
from iobeam_server import memory
if sys.argv[1] == "little":
    memory.keep_little()
gates = [threading.Event() for _ in range(13)]
def take(number):
    gates[number].wait()
    kept = []
    texts = ["x" * size for size in [800] * 30_000]
    kept.extend(texts[::1_000])
    del texts
    gates[number + 1].set()
    gates[-1].wait()
threads = [threading.Thread(target=take, args=(number,)) for number in range(12)]
for thread in threads:
    thread.start()
gates[0].set()
gates[-1].wait()
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"):
        print(int(line.split()[1]) >> 10)
"""

# what is free, but before something that is not
KEEPER = """
import sys
from iobeam_server.memory import Returned
texts = ["x" * size for size in [800] * 100_000]
del texts[:-1]
returned = Returned(every=100)
returned.note(50)
returned.note(int(sys.argv[1]))
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"):
        print(int(line.split()[1]) >> 10)
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from /proc"
)


def resident(code: str, how: str) -> int:
    """Return the MiB that a process has in the end."""
    done = subprocess.run(
        [sys.executable, "-c", code, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_threads_that_take_turns_do_not_keep_memory_each() -> None:
    assert resident(TAKERS, "little") < 80


def test_free_memory_before_what_is_in_use_is_given_back() -> None:
    assert resident(KEEPER, "49") > 70, "not enough yet to look for it"
    assert resident(KEEPER, "50") < 50


def test_garbage_goes_with_what_is_free() -> None:
    class Node:
        pass

    gc.disable()
    try:
        node = Node()
        node.me = node  # type: ignore[attr-defined]
        known = weakref.ref(node)
        del node
        returned = Returned(every=100)
        returned.note(99)
        assert known() is not None
        returned.note(1)
        assert known() is None
    finally:
        gc.enable()
