"""Names that people and scripts choose: of devices, fields, projects, users."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

import msgspec

from iobeam_server.errors import BadRequest, Unprocessable

ProjectId = Annotated[int, msgspec.Meta(gt=0)]

MAX_NAME_CHARS = 256
_DEVICE_ID = re.compile(r"[a-zA-Z0-9_:-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TAKEN_BY_PATHS = frozenset({"all", "timestamp"})  # /v1/exports/1/all, /v1/devices/timestamp
_TAKEN_BY_TABLES = frozenset({"time", "time_offset", "all"})


def check_device_id(device_id: str) -> None:
    if not _DEVICE_ID.fullmatch(device_id):
        raise BadRequest("device_id can only include a-z, A-Z, 0-9, _, :, and -, at least one")
    if len(device_id) > MAX_NAME_CHARS:
        raise BadRequest(f"device_id is longer than {MAX_NAME_CHARS} characters")
    if device_id.lower() in _TAKEN_BY_PATHS:
        raise BadRequest(f"device_id {device_id!r} is reserved; choose another")


def new_device_id() -> str:
    """Return a fresh id of 24 characters: clients can hold 16 to 48 (wire notes 4)."""
    return secrets.token_hex(12)


def check_text(what: str, text: str) -> None:
    """Check a name or type that people read."""
    if not text.strip():
        raise BadRequest(f"{what} must have at least 1 character")
    if len(text) > MAX_NAME_CHARS:
        raise BadRequest(f"{what} is longer than {MAX_NAME_CHARS} characters")
    if _CONTROL.search(text):
        raise BadRequest(f"{what} holds a control character")


def check_name(name: str) -> None:
    """Refuse a field name that cannot be a series."""
    if not name:
        raise Unprocessable("a field name must have at least 1 character", field=name)
    if name.lower() in _TAKEN_BY_TABLES:
        raise Unprocessable(f"field {name!r} is a reserved name; rename it", field=name)
    if len(name) > MAX_NAME_CHARS:
        raise Unprocessable(
            f"field {name[:40]!r}... is longer than {MAX_NAME_CHARS} characters", field=name[:40]
        )
    if _CONTROL.search(name):
        raise Unprocessable(f"field {name!r} holds a control character", field=name)
