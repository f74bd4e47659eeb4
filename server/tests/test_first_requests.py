"""The first request of a kind learns no types: several threads may send it at once.

msgspec 0.22 learns a type where it first reads or converts to it, in Python code of its own, and
shows other threads what it has learned so far: that ended the process (SIGSEGV) now and then.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

CALLS = """
import contextlib, sys, tempfile
from api.test_access import RULES
import falcon.testing
from iobeam_server.app import create_app
from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.tokens import TokenSigner
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import Device, User
from iobeam_server.writer import Writer

files, seen = set(), set()

def note(frame, event, argument):
    files.add(frame.f_code.co_filename)

with contextlib.ExitStack() as stack:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    store = stack.enter_context(
        contextlib.closing(open_storage(f"sqlite:///{folder}/x.db", Config())))
    writer = stack.enter_context(contextlib.closing(Writer(store, 1_000, 10_000)))
    store.projects.create("one", 0)
    store.users.create(User(0, "ann", "a@b.c", None, None, None, None, 0, 0.0), "hash")
    store.projects.grant(1, 1, 7)
    store.devices.register(Device(1, "dev-1", "dev-1", None, 0), named=True)
    client = falcon.testing.TestClient(create_app(store, writer, Config()))
    project = issue_token(store, 1, 7, 600, None, True)
    user = TokenSigner(store.keys.signing()).issue(0, 0, 600, user_id=1)[0]
    sys.setprofile(note)
    for name, rule in sorted(RULES.items(), key=lambda item: item[0].startswith("DELETE")):
        path, _, query = rule.path.partition("?")
        token = user if rule.access.name == "USER" else project
        body = {"refresh_token": project} if name == "POST /v1/tokens/project" else rule.body
        answer = client.simulate_request(
            name.split()[0], path, query_string=query, json=body,
            headers={"Authorization": f"Bearer {token}"})
        seen.add(answer.status_code)
    sys.setprofile(None)
assert {200, 201, 204} <= seen, seen
print(*files, sep="\\n")
"""


def test_no_request_learns_a_type() -> None:
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        [sys.executable, "-c", CALLS],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "standing.py" in done.stdout
    assert [line for line in done.stdout.splitlines() if "msgspec" in line] == []
