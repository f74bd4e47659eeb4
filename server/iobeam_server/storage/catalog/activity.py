"""Which devices there are, when each has last sent, and how often it usually does."""

from __future__ import annotations

from typing import NamedTuple, Optional

from iobeam_server.rules import silence
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.catalog.sql import Database, Sql


class Active(NamedTuple):
    """A device that is registered, or has data."""

    device_id: str
    device_name: Optional[str]
    """None: it is not registered, as `device_type`."""
    device_type: Optional[str]
    names: tuple[str, ...]
    """Of its series."""
    last: Optional[int]
    """Time of its newest point, in us; None: it has sent nothing."""
    usual: Optional[int]
    """Usual step between its points, in us; None: it has sent less than two."""
    is_silent: bool


class Activity:
    def __init__(self, database: Database) -> None:
        self._database = database

    def of_project(
        self, project_id: int, now_us: int, device_id: Optional[str] = None
    ) -> list[Active]:
        """Return the devices of a project, or one of them, in the order of their ids.

        Costs a step of the index for each series, and a look at the last points of one series
        of each device. Points after `now_us` are left out: they say nothing about when they
        were sent.
        """
        with self._database.searching() as sql:
            names = {row[0]: row for row in _registered(sql, project_id, device_id)}
            newest: dict[str, tuple[int, int]] = {}
            series: dict[str, list[str]] = {}
            for one, series_id, name, last in _last_times(sql, project_id, now_us, device_id):
                series.setdefault(one, []).append(name)
                if last is not None and (one not in newest or last > newest[one][0]):
                    newest[one] = last, series_id
            usual = {
                one: silence.usual_us(_last_of(sql, series_id, last))
                for one, (last, series_id) in newest.items()
            }
        return [
            Active(
                *names.get(one, (one, None, None)),
                tuple(series.get(one, ())),
                newest[one][0] if one in newest else None,
                usual.get(one),
                one in newest and silence.is_silent(newest[one][0], usual[one], now_us),
            )
            for one in sorted({*names, *series})
        ]


def _registered(
    sql: Sql, project_id: int, device_id: Optional[str]
) -> list[tuple[str, Optional[str], Optional[str]]]:
    statement = "SELECT device_id, device_name, device_type FROM devices WHERE project_id = ?"
    values: list[object] = [project_id]
    if device_id is not None:
        statement += " AND device_id = ?"
        values.append(device_id)
    return sql.many(statement, *values)


def _last_times(
    sql: Sql, project_id: int, now_us: int, device_id: Optional[str]
) -> list[tuple[str, int, str, Optional[int]]]:
    """Return (device, series, its name, time of its newest point)."""
    statement = (
        "SELECT s.device_id, s.series_id, f.field_name"
        " FROM namespaces n JOIN series s USING (namespace_id)"
        " JOIN fields f ON f.field_id = s.field_id"
        " WHERE n.project_id = ? AND n.namespace_name = ? AND s.device_id <> ''"
    )
    values: list[object] = [project_id, INPUT]
    if device_id is not None:
        statement += " AND s.device_id = ?"
        values.append(device_id)
    rows = sql.many(f"{statement} ORDER BY s.device_id, f.field_name", *values)
    last = sql.last_times([row[1] for row in rows], now_us)
    return [(*row, last.get(row[1])) for row in rows]


def _last_of(sql: Sql, series_id: int, last: int) -> list[int]:
    rows = sql.many(
        "SELECT time FROM points WHERE series_id = ? AND time <= ? ORDER BY time DESC LIMIT ?",
        series_id,
        last,
        silence.STEPS + 1,
    )
    return [row[0] for row in rows]
