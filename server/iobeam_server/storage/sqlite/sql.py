"""The SQLite driver behind the catalogue's seam."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from typing import Any, Optional

from iobeam_server.storage.catalog.sql import Sql, inserting
from iobeam_server.storage.sqlite.sums import SqliteSums


def is_minus_zero(value: object) -> bool:
    return type(value) is float and value == 0.0 and math.copysign(1.0, value) < 0


def columns(
    whole: Optional[int], real: Optional[float], text: Optional[str]
) -> tuple[Optional[int], Optional[float], Optional[str]]:
    """Return the columns of a value as they are stored here.

    SQLite makes 0.0 of -0.0 in a column of doubles: 0 beside it, where an integer would be
    alone, says that it was that.
    """
    return (0, 0.0, None) if is_minus_zero(real) else (whole, real, text)


def values(
    whole: Optional[int], real: Optional[float], text: Optional[str]
) -> tuple[Optional[int], Optional[float], Optional[str]]:
    """Return what `columns` was given."""
    return (whole, real, text) if whole is None or real is None else (None, -0.0, None)


class SqliteSql(Sql):
    """Statements on a connection to the file."""

    taken = sqlite3.IntegrityError
    sums = SqliteSums()

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self.connection.execute(sql, values)

    def insert(self, table: str, key: str, **values: object) -> Optional[int]:
        done = self.execute(inserting(table, tuple(values)), *values.values())
        return done.lastrowid if done.rowcount else None  # RETURNING came with 3.35

    def insert_as(self, table: str, key: str, number: int, **values: object) -> bool:
        # AUTOINCREMENT goes on above the highest key that ever was
        return self.insert(table, key, **{key: number}, **values) is not None

    def beside_writers(self) -> None:
        """Nothing to do, for the same reason as in `alone`."""

    def alone(self) -> None:
        """Nothing to do: a file has one lock, and a transaction that writes holds it."""

    def last_times(self, series: Sequence[int], until: int) -> dict[int, int]:
        rows = self.many(
            "SELECT s.value, (SELECT max(time) FROM points WHERE series_id = s.value"
            " AND time <= ?) FROM json_each(?) s",
            until,
            json.dumps([*series]),
        )
        return {one: time for one, time in rows if time is not None}

    def rewrite(
        self, series_id: int, points: Sequence[tuple[Any, ...]], gone: Sequence[int]
    ) -> None:
        self.connection.executemany(
            "UPDATE points SET int_value = ?, real_value = ?, text_value = ?"
            " WHERE series_id = ? AND time = ?",
            [(*columns(*value), series_id, time) for time, *value in points],
        )
        self.connection.executemany(
            "DELETE FROM points WHERE series_id = ? AND time = ?",
            [(series_id, time) for time in gone],
        )
