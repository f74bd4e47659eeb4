from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from live import Live, running

from iobeam_server.storage.base import Storage
from iobeam_server.storage.sqlite import SqliteStorage

settings.register_profile(
    "server",
    deadline=None,  # two shared cores: a slow example is no defect
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("server")


@pytest.fixture(autouse=True, scope="session")
def _switch_interval() -> Iterator[None]:
    """A backend in a thread changes it for the process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A running server with device dev-1 registered in project 1."""
    with running(tmp_path) as server:
        server.register("dev-1")
        yield server


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """An empty database with project 1, on every engine."""
    assert request.param == "sqlite"
    opened = SqliteStorage(str(tmp_path / "store.db"), busy_timeout_s=5)
    opened.create_project("one", 1_700_000_000)
    yield opened
    opened.close()
