from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import ENGINES, missing
from storage.standins import distributed
from storage.statements import Recorder, fault


@pytest.fixture(params=[*ENGINES, "citus"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on every engine; and where the points are distributed."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    with request.getfixturevalue("postgres").schema() as url:
        if request.param == "citus":
            distributed(url)
        yield url


@pytest.fixture(autouse=True)
def statements(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorder]:
    """What the product sends to PostgreSQL; held, after each test, to what Citus takes."""
    if missing() is not None:
        yield Recorder.__new__(Recorder)
        return
    recorder = Recorder(monkeypatch)
    yield recorder
    parameters = getattr(request.node, "callspec", None)
    is_distributed = parameters is not None and "citus" in parameters.params.values()
    found = {one: fault(one, is_distributed) for one in recorder.statements}
    assert not any(found.values()), {one: words for one, words in found.items() if words}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows at a time, so that a few rows make several pieces."""
    for name in ("catalog.series", "sqlite.upkeep", "postgres.upkeep"):
        with contextlib.suppress(ImportError):
            module = __import__(f"iobeam_server.storage.{name}", fromlist=["PIECE_ROWS"])
            monkeypatch.setattr(module, "PIECE_ROWS", 3)
