"""Identifiers that scripts choose: device ids and names."""

from __future__ import annotations

import re
import secrets

from iobeam_server.errors import BadRequest

_DEVICE_ID = re.compile(r"[a-zA-Z0-9_:-]+", re.ASCII)
_TAKEN_BY_PATHS = frozenset({"all", "timestamp"})  # /v1/exports/1/all, /v1/devices/timestamp
MAX_ID_CHARS = 256
MAX_NAME_CHARS = 256


def check_device_id(device_id: str) -> None:
    if not _DEVICE_ID.fullmatch(device_id):
        raise BadRequest("device_id can only include a-z, A-Z, 0-9, _, :, and -, at least one")
    if len(device_id) > MAX_ID_CHARS:
        raise BadRequest(f"device_id is longer than {MAX_ID_CHARS} characters")
    if device_id.lower() in _TAKEN_BY_PATHS:
        raise BadRequest(f"device_id {device_id!r} is reserved; choose another")


def check_text(what: str, text: str) -> None:
    """Check a name or type that people read."""
    if not text.strip():
        raise BadRequest(f"{what} must have at least 1 character")
    if len(text) > MAX_NAME_CHARS:
        raise BadRequest(f"{what} is longer than {MAX_NAME_CHARS} characters")
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise BadRequest(f"{what} holds a control character")


def new_device_id() -> str:
    """Return a fresh id of 24 characters: clients can hold 16 to 48 (wire notes 4)."""
    return secrets.token_hex(12)
