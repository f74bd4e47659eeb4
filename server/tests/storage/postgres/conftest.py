from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from engines import Postgres

if TYPE_CHECKING:
    from iobeam_server.storage.postgres.store import PostgresStorage


def opened(url: str) -> Any:
    from iobeam_server.storage.postgres.store import PostgresStorage

    return contextlib.closing(PostgresStorage(url, connections=3))


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.schema() as found:
        yield found


@pytest.fixture
def first(url: str) -> Iterator[PostgresStorage]:
    with opened(url) as store:
        store.projects.create("p", 0)
        yield store


@pytest.fixture
def second(url: str, first: PostgresStorage) -> Iterator[PostgresStorage]:
    """Another process's view of the same database."""
    with opened(url) as store:
        yield store


@pytest.fixture
def beside(url: str, first: PostgresStorage) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
