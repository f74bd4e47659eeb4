"""What a writer of points remembers of the catalogue, so as not to look it up for each import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iobeam_server.errors import NotFound
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import Range, touched
from iobeam_server.storage.catalog import devices, summaries
from iobeam_server.storage.catalog.sql import Sql

MOST = 200_000  # series; some 50 MB, after which the look-ups begin anew


class Remembered:
    """Ids that have been looked up, and the kinds of fields.

    They hold until somebody takes away what they stand for: when that is, the engine finds
    out, and calls `forget`. Not safe for threads: the owner locks.
    """

    def __init__(self) -> None:
        self.namespaces: dict[tuple[int, str], int] = {}
        self.fields: dict[tuple[int, str], tuple[int, Kind]] = {}
        self.series: dict[tuple[int, str, int], int] = {}
        self.newest: dict[int, int] = {}
        """Of a series' points that were written here, the greatest time: a hint, no more."""
        self._summed: dict[int, list[Range]] = {}
        self._stale: set[tuple[int, int]] = set()
        self._devices: set[tuple[int, str]] = set()

    @property
    def is_full(self) -> bool:
        return len(self.series) > MOST or len(self._stale) > MOST

    def forget(self) -> None:
        """Drop everything."""
        self.namespaces.clear()
        self.fields.clear()
        self.series.clear()
        self.newest.clear()
        self._summed.clear()
        self._stale.clear()
        self._devices.clear()

    def namespace(self, sql: Sql, project_id: int, name: str) -> int:
        found = self.namespaces.get((project_id, name))
        if found is None:
            row = sql.one(
                "SELECT namespace_id FROM namespaces WHERE project_id = ? AND namespace_name = ?",
                project_id,
                name,
            )
            if row is None:
                raise NotFound(f"there is no namespace {name!r} in project {project_id}")
            found = self.namespaces[project_id, name] = int(row[0])
        return found

    def is_registered(self, sql: Sql, project_id: int, device_id: str) -> bool:
        key = (project_id, device_id)
        if key not in self._devices:
            if devices.find(sql, project_id, device_id) is None:
                return False
            self._devices.add(key)
        return True

    def expired(self, sql: Sql, series_id: int, times: Sequence[int]) -> list[tuple[int, int]]:
        """Return the hours of a series that points of these times make stale and that are not.

        As (series, start); the caller adds them to `stale_hours`.
        """
        found = self._summed.get(series_id)
        if found is None:
            found = self._summed[series_id] = summaries.summed(sql, series_id)
        if not found:
            return []
        return sorted({(series_id, hour) for hour in touched(times, found)} - self._stale)

    def note_newest(self, newest: Mapping[int, int]) -> None:
        """Remember the last time that was written of some series."""
        for series_id, time in newest.items():
            if time > self.newest.get(series_id, time - 1):
                self.newest[series_id] = time

    def note_stale(self, hours: Iterable[tuple[int, int]]) -> None:
        """Remember hours, as (series, start), that have been added to `stale_hours`."""
        self._stale.update(hours)
