"""`serve --workers`: several processes, one address."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest
from engines import Postgres
from test_cli import WAIT_S
from test_serve import ask, banner, ended, serving

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers need fork")


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def until(condition: object, *arguments: object) -> None:
    assert callable(condition)
    for _ in range(WAIT_S * 20):
        if condition(*arguments):
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/task"), reason="children are read from /proc"
)


def test_sqlite_takes_one_process_only(tmp_path: Path) -> None:
    with serving(tmp_path, workers="2") as child:
        _, errors = child.communicate(timeout=WAIT_S)
        assert child.returncode != 0
    assert "--workers 2 needs PostgreSQL" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


@needs_proc
def test_workers_share_the_work_and_end_together(postgres: Postgres, tmp_path: Path) -> None:
    with postgres.schema() as url, serving(tmp_path, database=url, workers="2") as child:
        text, port = banner(child)
        found = re.search(r"cat (.+)\)", text)
        assert found, text
        token = Path(found.group(1)).read_text().strip()
        until(lambda: len(children(child.pid)) == 2)
        for number in range(20):
            body = {"project_id": 1, "device_id": f"d{number}"}
            assert ask(port, "/v1/devices", token, body) == 201
        pids = children(child.pid)
        log = ended(child)
        assert "Traceback" not in log
        assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


@needs_proc
def test_a_worker_that_dies_is_started_again(postgres: Postgres, tmp_path: Path) -> None:
    with postgres.schema() as url, serving(tmp_path, database=url, workers="2") as child:
        _, port = banner(child)
        until(lambda: len(children(child.pid)) == 2)
        first = set(children(child.pid))
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(set(children(child.pid)) - first) == 1)
        assert ask(port, "/v1/ping", "none") == 200
        log = ended(child)
    assert f"worker {killed} has ended (signal 9); another follows" in log


@needs_proc
def test_workers_do_not_outlive_their_parent(postgres: Postgres, tmp_path: Path) -> None:
    with postgres.schema() as url, serving(tmp_path, database=url, workers="2") as child:
        _, port = banner(child)
        until(lambda: len(children(child.pid)) == 2)
        pids = children(child.pid)
        with contextlib.suppress(OSError):
            until(lambda: ask(port, "/v1/ping", "none") == 200)
        child.kill()
        child.wait(WAIT_S)
        until(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    """Whether it runs; where nobody collects orphans, they stay as zombies."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
