"""What becomes of the points of a field that changes its type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from iobeam_server.errors import Unprocessable
from iobeam_server.rules.points import Kind
from iobeam_server.rules.texts import NAMES, convert
from iobeam_server.storage.base import Retyped

PointRow = tuple[int, Optional[int], Optional[float], Optional[str]]
"""Time, and the three columns of a value, of which one is not None."""


class Mending:
    """Converts points, counts what becomes of them, and words the refusal."""

    def __init__(self, old: Kind, new: Kind) -> None:
        self._old = old
        self._new = new
        self._changed = 0
        self._unfit = 0
        self._first = ""

    def convert(self, device_id: str, rows: Sequence[PointRow]) -> tuple[list[PointRow], list[int]]:
        """Return points of the new kind, and the times of those that cannot be of it."""
        fit: list[PointRow] = []
        unfit: list[int] = []
        for time, whole, real, text in rows:
            value: Any = text if whole is real is None else real if whole is None else whole
            if whole is not None and real is not None:
                value = -0.0  # as SQLite holds it
            if self._old is Kind.BOOLEAN:
                value = bool(value)
            new = convert(value, self._new)
            if new is not None:
                fit.append((time, *self._columns(new)))
                continue
            if not self._first:
                self._first = f"the first is {value!r:.80} of device {device_id!r} at {time} us"
            unfit.append(time)
        self._changed += len(fit)
        self._unfit += len(unfit)
        return fit, unfit

    def result(self, drop_unfit: bool) -> Retyped:
        if self._unfit and not drop_unfit:
            raise Unprocessable(
                f"{self._unfit} of {self._unfit + self._changed} values cannot be a "
                f"{NAMES[self._new]}, {self._first}; nothing was changed"
            )
        return Retyped(self._changed, self._unfit)

    def _columns(self, value: Any) -> tuple[Optional[int], Optional[float], Optional[str]]:
        if self._new is Kind.TEXT:
            return None, None, value
        return (None, value, None) if isinstance(value, float) else (int(value), None, None)
