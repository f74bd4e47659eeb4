"""Servers to be attacked. Each is a process of its own: what it takes up is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import proc
from attacks.scene import Scene, serving_for
from attacks.sizes import ALL, some
from engines import ENGINES


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: run where all attacks are")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark = pytest.mark.skipif(not proc.IS_HERE, reason="what a process takes is read from /proc")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(mark)
    large = [] if ALL else [item for item in items if item.get_closest_marker("large")]
    if large:
        config.hook.pytest_deselected(items=large)
        items[:] = [item for item in items if item not in set(large)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    engines = getattr(metafunc.module, "ENGINES", None)
    if engines and "attacked" in metafunc.fixturenames:
        metafunc.parametrize("attacked", engines, indirect=True, scope="module")


@pytest.fixture(params=some(ENGINES, "sqlite"))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, where all attacks are run on every engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/target.db"
    else:
        with request.getfixturevalue("postgres").schema() as url:
            yield url


@pytest.fixture(scope="module")
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A server as `serve` runs it, shared by the tests of a module.

    A module may name `ENGINES` (where nothing of an attack reaches the database both behave
    alike: SQLite) and `SETTINGS`.
    """
    settings = getattr(request.module, "SETTINGS", {})
    with serving_for(request, tmp_path_factory, **settings) as scene:
        yield scene


@pytest.fixture
def scene(attacked: Scene) -> Iterator[Scene]:
    """The server of the module; what a test did to it must leave no trace."""
    yield attacked
    attacked.is_as_before()
