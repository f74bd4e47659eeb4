"""The seam between the catalogue's SQL and a driver.

Statements are written with ``?``, in what SQLite (from 3.24) and PostgreSQL understand alike.
Two processes may want the same at once: look, insert or do nothing, then judge by what was done.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, ClassVar, Optional, Protocol

from iobeam_server.storage.catalog.sumsql import SumsSql


class Cursor(Protocol):
    """What both drivers give back."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Sql(abc.ABC):
    """The statements of one transaction."""

    taken: ClassVar[type[Exception]]
    """What the driver raises where an update would break a unique key."""

    @property
    @abc.abstractmethod
    def sums(self) -> SumsSql:
        """How the engine adds up."""

    @abc.abstractmethod
    def execute(self, sql: str, *values: object) -> Cursor: ...

    @abc.abstractmethod
    def insert(self, table: str, key: str, **values: object) -> Optional[int]:
        """Add a row; return the `key` it was given, None where a unique key is taken."""

    @abc.abstractmethod
    def insert_as(self, table: str, key: str, number: int, **values: object) -> bool:
        """Add a row with a `key` of one's own; False where that, or a unique key, is taken.

        Those that `insert` gives from then on are higher. Only while `alone`: who inserts at the
        same moment may be given the same.
        """

    @abc.abstractmethod
    def alone(self) -> None:
        """Wait until no other transaction that called this runs; in any process."""

    @abc.abstractmethod
    def rewrite(
        self, series_id: int, points: Sequence[tuple[Any, ...]], gone: Sequence[int]
    ) -> None:
        """Give points of a series new values, as (time, integer, real, text); delete others."""

    @abc.abstractmethod
    def last_times(self, series: Sequence[int], until: int) -> dict[int, int]:
        """Return the time of the newest point up to one, of each series that has any."""

    @abc.abstractmethod
    def beside_writers(self) -> None:
        """Hold off whoever takes away, or sums up, until the transaction ends."""

    def one(self, sql: str, *values: object) -> Any:
        """Return the first row, or None."""
        return self.execute(sql, *values).fetchone()

    def many(self, sql: str, *values: object) -> list[Any]:
        return self.execute(sql, *values).fetchall()

    def has(self, sql: str, *values: object) -> bool:
        return self.execute(sql, *values).fetchone() is not None


class Database(abc.ABC):
    """Where the catalogue's classes get their transactions."""

    @abc.abstractmethod
    def reading(self) -> AbstractContextManager[Sql]:
        """Statements that change nothing, each of its own moment."""

    def searching(self) -> AbstractContextManager[Sql]:
        """The same, for what may take long; where connections are few, it has its own."""
        return self.reading()

    @abc.abstractmethod
    def snapshot(self) -> AbstractContextManager[Sql]:
        """Statements that change nothing, all of the moment of the first one."""

    @abc.abstractmethod
    def writing(self) -> AbstractContextManager[Sql]:
        """One durable transaction; rolled back on any exception."""

    @abc.abstractmethod
    def summing(self) -> AbstractContextManager[Sql]:
        """One transaction beside which nobody writes or deletes points.

        It has the connections that queries have, and waits for writers a moment at most:
        whoever imports, or shows a token, never waits for somebody who asks.
        """

    @abc.abstractmethod
    def taking_away(self) -> AbstractContextManager[Sql]:
        """The same, for what the writers of points in all processes may remember."""


@cache
def inserting(table: str, columns: tuple[str, ...]) -> str:
    """Return the statement that adds a row, or nothing where a unique key is taken."""
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


@cache
def with_percents(sql: str) -> str:
    """Return a statement with the marks of psycopg."""
    return sql.replace("%", "%%").replace("?", "%s")
