"""The PostgreSQL driver behind the catalogue's seam."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Optional

import psycopg

from iobeam_server.storage.catalog.sql import Sql, inserting, with_percents
from iobeam_server.storage.postgres.sums import PostgresSums, SpreadSums

Connection = psycopg.Connection[tuple[Any, ...]]

# Advisory locks hold for the database, whoever uses it: numbers that nobody else picks by chance.
ALONE_LOCK = 4_620_710_001
CATALOG_LOCK = 4_620_710_002
"""Shared by those who write points, exclusive for those who take away what a writer remembers."""


class PostgresSql(Sql):
    """Statements on a connection to the database."""

    taken = psycopg.errors.UniqueViolation

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def is_spread(self) -> bool:
        """Whether the keys of series lie beside the points, as where Citus spreads these.

        Also in a database restored from there, until it is spread again.
        """
        return self.one("SELECT to_regclass('series_keys')")[0] is not None

    @property
    def sums(self) -> PostgresSums:
        return SpreadSums() if self.is_spread else PostgresSums()

    def execute(self, sql: str, *values: object) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.connection.execute(with_percents(sql), values)

    def insert(self, table: str, key: str, **values: object) -> Optional[int]:
        statement = f"{inserting(table, tuple(values))} RETURNING {key}"
        row = self.one(statement, *values.values())
        return None if row is None else int(row[0])

    def insert_as(self, table: str, key: str, number: int, **values: object) -> bool:
        statement = inserting(table, (key, *values)).replace(
            ") VALUES", ") OVERRIDING SYSTEM VALUE VALUES", 1
        )
        done = self.execute(statement, number, *values.values())
        counter = self.one("SELECT pg_get_serial_sequence(?, ?)", table, key)[0]
        self.execute(  # not setval alone, which would also set it back
            f"SELECT setval('{counter}', ?) FROM {counter}"
            " WHERE last_value < ? OR (last_value = ? AND NOT is_called)",
            *[number] * 3,
        )
        return done.rowcount == 1

    def last_times(self, series: Sequence[int], until: int) -> dict[int, int]:
        if self.is_spread:  # see `postgres.citus`
            rows = self.many(
                "SELECT k.series_id, p.time FROM series_keys k CROSS JOIN LATERAL"
                " (SELECT time FROM points WHERE series_id = k.series_id AND time <= ?"
                " ORDER BY time DESC LIMIT 1) AS p WHERE k.series_id = ANY(?::bigint[])",
                until,
                [*series],
            )
        else:
            rows = self.many(
                "SELECT s.id, p.time FROM unnest(?::bigint[]) AS s (id) CROSS JOIN LATERAL"
                " (SELECT time FROM points WHERE series_id = s.id AND time <= ?"
                " ORDER BY time DESC LIMIT 1) AS p",
                [*series],
                until,
            )
        return dict(rows)

    def beside_writers(self) -> None:
        self.execute("SELECT pg_advisory_xact_lock_shared(?)", CATALOG_LOCK)

    def alone(self) -> None:
        self.execute("SELECT pg_advisory_xact_lock(?)", ALONE_LOCK)

    def rewrite(
        self, series_id: int, points: Sequence[tuple[Any, ...]], gone: Sequence[int]
    ) -> None:
        self.execute(
            "UPDATE points SET int_value = new.i, real_value = new.r, text_value = new.t"
            " FROM unnest(?::bigint[], ?::bigint[], ?::float8[], ?::text[]) AS new (time, i, r, t)"
            " WHERE points.series_id = ? AND points.time = new.time",
            *([row[at] for row in points] for at in range(4)),
            series_id,
        )
        self.execute(
            "DELETE FROM points WHERE series_id = ? AND time = ANY(?::bigint[])", series_id, [*gone]
        )
