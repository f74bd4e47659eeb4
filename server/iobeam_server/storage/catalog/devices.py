"""Device registrations."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from typing import Callable, Optional

from iobeam_server.errors import DuplicateDeviceId, DuplicateDeviceName, NotFound
from iobeam_server.rules.points import INT64_MAX
from iobeam_server.storage.base import Device
from iobeam_server.storage.catalog import changes, keys
from iobeam_server.storage.catalog.sql import Database, Sql

_COLUMNS = ", ".join(Device._fields)


class Devices:
    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, device: Device, named: bool) -> Device:
        """Register a device and return it as stored.

        Args:
            device: the new registration.
            named: the name was asked for. A name that was derived from the id gets a
                suffix where it is taken: nobody asked for it, nobody should fail over it.

        Raises:
            DuplicateDeviceId: also when both id and name are taken.
            DuplicateDeviceName: another device of the project has the name.
            NotFound: no such project.
        """
        with self._database.writing() as sql:
            return _register(sql, device, named)

    def get(self, project_id: int, device_id: str) -> Optional[Device]:
        with self._database.reading() as sql:
            return find(sql, project_id, device_id)

    def named(self, project_id: int, name: str) -> Optional[Device]:
        with self._database.reading() as sql:
            row = sql.one(
                f"SELECT {_COLUMNS} FROM devices WHERE project_id = ? AND device_name = ?",
                project_id,
                name,
            )
        return None if row is None else Device(*row)

    def page(self, project_id: int, offset: int, count: Optional[int]) -> Sequence[Device]:
        """Return devices in the order of their ids."""
        with self._database.reading() as sql:
            rows = sql.many(
                f"SELECT {_COLUMNS} FROM devices WHERE project_id = ?"
                " ORDER BY device_id LIMIT ? OFFSET ?",
                project_id,
                INT64_MAX if count is None else count,
                offset,
            )
        return [Device(*row) for row in rows]

    def change(
        self, project_id: int, device_id: str, name: Optional[str], kind: Optional[str]
    ) -> bool:
        """Set name and type where given; False when that changed nothing.

        Raises:
            NotFound: not registered.
            DuplicateDeviceName: another device of the project has the name.
        """
        with self._database.writing() as sql:
            old = find(sql, project_id, device_id)
            if old is None:
                raise NotFound(f"device {device_id!r} is not registered")
            new = old._replace(
                device_name=old.device_name if name is None else name,
                device_type=old.device_type if kind is None else kind,
            )
            if new == old:
                return False
            try:
                sql.execute(
                    "UPDATE devices SET device_name = ?, device_type = ?"
                    " WHERE project_id = ? AND device_id = ?",
                    new.device_name,
                    new.device_type,
                    project_id,
                    device_id,
                )
            except sql.taken:
                raise _name_taken(new.device_name) from None
            return True

    def delete(
        self, project_id: int, device_id: str, clock: Callable[[], float] = time.time
    ) -> bool:
        """End a registration; its data stay. False when there was none.

        The tokens that are limited to the device end for good, also when the id is registered
        again.
        """
        with changes.noted(self._database.taking_away()) as sql:
            gone = sql.execute(
                "DELETE FROM devices WHERE project_id = ? AND device_id = ?", project_id, device_id
            )
            if gone.rowcount:
                keys.end_tokens(sql, project_id, device_id, clock)
            return gone.rowcount > 0


def find(sql: Sql, project_id: int, device_id: str) -> Optional[Device]:
    row = sql.one(
        f"SELECT {_COLUMNS} FROM devices WHERE project_id = ? AND device_id = ?",
        project_id,
        device_id,
    )
    return None if row is None else Device(*row)


def ensure(sql: Sql, project_id: int, device_id: str) -> None:
    """Register a device unless it is registered, perhaps by another process just now."""
    with contextlib.suppress(DuplicateDeviceId):
        device = Device(project_id, device_id, device_id, None, int(time.time()))
        _register(sql, device, named=False)


def _register(sql: Sql, device: Device, named: bool) -> Device:
    if not sql.has("SELECT 1 FROM projects WHERE project_id = ?", device.project_id):
        raise NotFound(f"there is no project {device.project_id}")
    while not sql.execute(
        f"INSERT INTO devices ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", *device
    ).rowcount:
        if find(sql, device.project_id, device.device_id):
            raise DuplicateDeviceId(f"device id {device.device_id!r} is already registered")
        if named:
            raise _name_taken(device.device_name)
        device = device._replace(device_name=f"{device.device_id}-{secrets.token_hex(4)}")
    return device


def _name_taken(name: str) -> DuplicateDeviceName:
    return DuplicateDeviceName(f"device name {name!r} is already in use")
