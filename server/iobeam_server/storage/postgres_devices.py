"""Device registrations in the PostgreSQL engine; the caller holds the transaction."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from typing import Optional

import psycopg

from iobeam_server.errors import DuplicateDeviceId, DuplicateDeviceName, NotFound
from iobeam_server.storage.base import Device
from iobeam_server.storage.postgres_schema import Connection

_COLUMNS = "project_id, device_id, device_name, device_type, created"


def by_id(connection: Connection, project_id: int, device_id: str) -> Optional[Device]:
    return _find(connection, "device_id", project_id, device_id)


def by_name(connection: Connection, project_id: int, name: str) -> Optional[Device]:
    return _find(connection, "device_name", project_id, name)


def page(
    connection: Connection, project_id: int, offset: int, count: Optional[int]
) -> Sequence[Device]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM devices WHERE project_id = %s"
        " ORDER BY device_id LIMIT %s OFFSET %s",
        (project_id, count, offset),  # LIMIT NULL is none
    )
    return [Device(*row) for row in rows]


def register(connection: Connection, device: Device, named: bool) -> Device:
    """Insert a device; see `Storage.register_device`. Decided by the table's own keys."""
    if not connection.execute(
        "SELECT FROM projects WHERE project_id = %s", (device.project_id,)
    ).fetchall():
        raise NotFound(f"there is no project {device.project_id}")
    while not connection.execute(
        f"INSERT INTO devices ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        device,
    ).rowcount:
        if by_id(connection, device.project_id, device.device_id):
            raise DuplicateDeviceId(f"device id {device.device_id!r} is already registered")
        if named:
            raise DuplicateDeviceName(f"device name {device.device_name!r} is already in use")
        device = device._replace(device_name=f"{device.device_id}-{secrets.token_hex(4)}")
    return device


def ensure(connection: Connection, device: Device) -> None:
    """Register a device unless it is registered, perhaps by another process just now."""
    with contextlib.suppress(DuplicateDeviceId):
        register(connection, device, named=False)


def change(
    connection: Connection,
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
    try:
        connection.execute(
            "UPDATE devices SET device_name = %s, device_type = %s"
            " WHERE project_id = %s AND device_id = %s",
            (new.device_name, new.device_type, project_id, device_id),
        )
    except psycopg.errors.UniqueViolation:
        raise DuplicateDeviceName(f"device name {new.device_name!r} is already in use") from None
    return True


def delete(connection: Connection, project_id: int, device_id: str) -> bool:
    cursor = connection.execute(
        "DELETE FROM devices WHERE project_id = %s AND device_id = %s", (project_id, device_id)
    )
    return cursor.rowcount > 0


def _find(connection: Connection, column: str, project_id: int, value: str) -> Optional[Device]:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM devices WHERE project_id = %s AND {column} = %s",
        (project_id, value),
    ).fetchone()
    return None if row is None else Device(*row)
