"""A script of 2016, project and token written in, that nobody touches: it runs again.

With iobeam 0.11.0 itself, which knows no IOBEAM_BACKEND, the same script runs by one more call,
``setBackend(url)``; that was tried by hand, on Python 2.7, and is not part of the suite.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from engines import ENGINES
from live import Live, running

from iobeam_server.rights.adoption import adopt
from iobeam_server.rights.tokens import READ, WRITE

WAIT_S = 120
PROJECT = 4_711
SCRIPT = """
from iobeam import iobeam

client = iobeam.ClientBuilder(%d, %r).saveToDisk().registerDevice("greenhouse").build()
store = client.createDataStore(["temp", "humidity"])
for i in range(5):
    store.add(iobeam.Timestamp(1470000000 + i, unit=iobeam.TimeUnit.SECONDS),
              {"temp": 20.5 + i, "humidity": i})
client.send()
print(len(iobeam.makeQuery(%r, iobeam.QueryReq(%d, "greenhouse", "temp"))["result"][0]["data"]))
"""


def old_token(expired_days_ago: int) -> str:
    """A token as the dead service made them; whose secret nobody knows."""
    exp = 1_700_000_000 - expired_days_ago * 86_400
    claims = {"uid": 7, "pid": PROJECT, "pms": 7, "exp": exp, "dur": 2_592_000}
    return str(jwt.encode(claims, "the secret of the dead service, 32 bytes", algorithm="HS256"))


def run_script(live: Live, folder: Path, token: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT % (PROJECT, token, token, PROJECT))
    bare = {name: value for name, value in os.environ.items() if not name.startswith("IOBEAM")}
    return subprocess.run(
        [sys.executable, str(script)],
        env={**bare, "IOBEAM_BACKEND": f"http://127.0.0.1:{live.port}/v1/"},
        cwd=folder, capture_output=True, text=True, check=False, timeout=WAIT_S,
    )  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_it_runs_with_iobeam_backend_alone(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    token = old_token(2_000)
    with contextlib.ExitStack() as stack:
        url = None
        if engine == "postgres":
            url = stack.enter_context(request.getfixturevalue("postgres").schema())
        live = stack.enter_context(running(tmp_path, url))
        store = live.backend.store
        store.projects.create("Greenhouse", 0, project_id=PROJECT)
        refused = run_script(live, tmp_path / "before", token)
        assert refused.returncode != 0
        assert "Unauthorized" in refused.stderr

        adopt(store, store.keys.signing(), token, PROJECT, READ | WRITE, None)
        for _ in range(2):  # the second run finds device and refreshed token on disk
            done = run_script(live, tmp_path / "device", token)
            assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
        found = live.call("GET", f"/v1/exports/{PROJECT}/greenhouse/temp", token=token).json
        assert [point["value"] for point in found["result"][0]["data"]] == [
            20.5, 21.5, 22.5, 23.5, 24.5,
        ]  # fmt: skip

        store.keys.revoke(PROJECT, None)
        for folder in ("device", "another"):
            assert run_script(live, tmp_path / folder, token).returncode != 0
