"""Device registrations in the SQLite engine; the caller holds the transaction."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Optional

from iobeam_server.errors import DuplicateDeviceId, DuplicateDeviceName, NotFound
from iobeam_server.storage.base import Device

_COLUMNS = "project_id, device_id, device_name, device_type, created"


def by_id(connection: sqlite3.Connection, project_id: int, device_id: str) -> Optional[Device]:
    return _find(connection, "device_id", project_id, device_id)


def by_name(connection: sqlite3.Connection, project_id: int, name: str) -> Optional[Device]:
    return _find(connection, "device_name", project_id, name)


def page(
    connection: sqlite3.Connection, project_id: int, offset: int, count: Optional[int]
) -> Sequence[Device]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM devices WHERE project_id = ? ORDER BY device_id LIMIT ? OFFSET ?",
        (project_id, -1 if count is None else count, offset),
    )
    return [Device(*row) for row in rows]


def register(connection: sqlite3.Connection, device: Device, named: bool) -> Device:
    """Insert a device; see `Storage.register_device`."""
    if not connection.execute(
        "SELECT 1 FROM projects WHERE project_id = ?", (device.project_id,)
    ).fetchone():
        raise NotFound(f"there is no project {device.project_id}")
    if by_id(connection, device.project_id, device.device_id):
        raise DuplicateDeviceId(f"device id {device.device_id!r} is already registered")
    if by_name(connection, device.project_id, device.device_name):
        if named:
            raise DuplicateDeviceName(f"device name {device.device_name!r} is already in use")
        device = device._replace(device_name=f"{device.device_name}-{secrets.token_hex(4)}")
    connection.execute(f"INSERT INTO devices ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", device)
    return device


def change(
    connection: sqlite3.Connection,
    project_id: int,
    device_id: str,
    name: Optional[str],
    kind: Optional[str],
) -> bool:
    """Update a device; see `Storage.change_device`."""
    old = by_id(connection, project_id, device_id)
    if old is None:
        raise NotFound(f"device {device_id!r} is not registered")
    new = old._replace(
        device_name=old.device_name if name is None else name,
        device_type=old.device_type if kind is None else kind,
    )
    if new == old:
        return False
    other = by_name(connection, project_id, new.device_name)
    if other is not None and other.device_id != device_id:
        raise DuplicateDeviceName(f"device name {new.device_name!r} is already in use")
    connection.execute(
        "UPDATE devices SET device_name = ?, device_type = ?"
        " WHERE project_id = ? AND device_id = ?",
        (new.device_name, new.device_type, project_id, device_id),
    )
    return True


def delete(connection: sqlite3.Connection, project_id: int, device_id: str) -> bool:
    cursor = connection.execute(
        "DELETE FROM devices WHERE project_id = ? AND device_id = ?", (project_id, device_id)
    )
    return cursor.rowcount > 0


def _find(
    connection: sqlite3.Connection, column: str, project_id: int, value: str
) -> Optional[Device]:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM devices WHERE project_id = ? AND {column} = ?", (project_id, value)
    ).fetchone()
    return None if row is None else Device(*row)
