"""Values as text, and text as values: CSV, and series that change their type."""

from __future__ import annotations

import math
import re
from typing import Optional, Union

from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value

KINDS = {"number": Kind.NUMBER, "boolean": Kind.BOOLEAN, "string": Kind.TEXT}
"""What a type is called in messages and on the command line."""
NAMES = {kind: name for name, kind in KINDS.items()}

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_DOUBLE = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


def to_text(value: Value) -> str:
    """Return what reads back as the same value: doubles keep every digit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def to_number(text: str) -> Union[int, float, None]:
    """Return the number that a text is, exact where it is a 64-bit integer; None if none."""
    text = text.strip()
    if _INTEGER.fullmatch(text):
        whole = int(text)
        if INT64_MIN <= whole <= INT64_MAX:
            return whole
    if not _DOUBLE.fullmatch(text):
        return None
    real = float(text)
    return real if math.isfinite(real) else None


def to_boolean(text: str) -> Optional[bool]:
    """Return true or false, in any case; None for anything else."""
    return _BOOLEANS.get(text.strip().lower())


def read(text: str, kind: Kind) -> Optional[Value]:
    """Return a text as a value of a kind; None when it is none."""
    if kind is Kind.NUMBER:
        return to_number(text)
    return to_boolean(text) if kind is Kind.BOOLEAN else text


def convert(value: Value, kind: Kind) -> Optional[Value]:
    """Return a value as one of another kind; None when it cannot be one."""
    if kind is Kind.TEXT:
        return to_text(value)
    if isinstance(value, str):
        return read(value, kind)
    if kind is Kind.NUMBER:
        return int(value) if isinstance(value, bool) else value
    return bool(value) if value in (0, 1) else None
