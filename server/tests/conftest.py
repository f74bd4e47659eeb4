from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import ENGINES, GIVEN, Postgres, Schemas, missing
from hypothesis import HealthCheck, settings
from live import Live, running
from storage.samples import Execute

from iobeam_server.config import Config
from iobeam_server.storage import open_storage
from iobeam_server.storage.store import Storage

ON_EVERY_ENGINE = {
    "test_clients",
    "test_devices",
    "test_imports",
    "test_limits",
    "test_exports",
    "test_summaries",
    "test_activity",
    "test_points",
    "test_data",
    "test_namespaces",
    "test_projects",
    "test_users",
    "test_tokens",
}

# In CI the same examples each time: a change is judged by itself. New ones are
# looked for by whoever runs the tests.
settings.register_profile(
    "server",
    deadline=None,  # two shared cores: a slow example is no defect
    max_examples=60,
    database=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("server")


@pytest.fixture(autouse=True, scope="session")
def _switch_interval() -> Iterator[None]:
    """A backend in a thread changes it for the process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the resources that read and write points on every engine."""
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in ON_EVERY_ENGINE and "live" in metafunc.fixturenames:
        metafunc.parametrize("live", ENGINES, indirect=True)


@pytest.fixture
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Live]:
    """A running server with device dev-1 registered in project 1."""
    with contextlib.ExitStack() as stack:
        url = None
        if getattr(request, "param", "sqlite") == "postgres":
            url = stack.enter_context(request.getfixturevalue("postgres").schema())
        server = stack.enter_context(running(tmp_path, url))
        server.register("dev-1")
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it last, and how to mend it: half of a suite that was skipped is easily overlooked."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2] for report in skipped).items():
        shown = reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason
        terminalreporter.write_line(f"Skipped {count}: {shown}", yellow=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Schemas]:
    """A PostgreSQL server, started when the first test asks for it, or one that was given."""
    if missing() is not None:
        pytest.skip(missing())
    server = Postgres(durable=False) if GIVEN is None else Schemas(GIVEN)
    yield server
    server.close()


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on every engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
    else:
        with request.getfixturevalue("postgres").schema() as url:
            yield url


@pytest.fixture
def store(database: str) -> Iterator[Storage]:
    """An empty database with project 1, on every engine."""
    opened = open_storage(database, Config(busy_timeout_s=60, database_connections=5))
    opened.projects.create("one", 1_700_000_000)
    yield opened
    opened.close()


@pytest.fixture
def execute(store: Storage, database: str) -> Iterator[Execute]:
    """Run SQL of one's own beside the store."""
    if database.startswith("sqlite"):
        path = database.partition(":///")[2]
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield lambda sql: connection.execute(sql).fetchall()
    else:
        import psycopg

        with psycopg.connect(database, autocommit=True) as connection:

            def run(sql: str) -> list[Any]:
                cursor = connection.execute(sql)
                return cursor.fetchall() if cursor.description else []

            yield run


@pytest.fixture
def empty(database: str, tmp_path: Path, postgres: Schemas) -> Iterator[Storage]:
    """An empty database of the other engine."""
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/empty.db"
        if database.startswith("sqlite"):
            url = stack.enter_context(postgres.schema())
        opened = open_storage(url, Config(database_connections=3))
        stack.callback(opened.close)
        yield opened
