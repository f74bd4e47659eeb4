"""The form of the files, and what reading them gives.

CSV has a line for each point, under ``project_id,device_id,name,time,value,type,namespace``.
The type (number, boolean, string) says what the value is, whatever it looks like; a number
with a point or an exponent is a double, any other an integer. The second heading is what
the namespace is divided by. JSON is what ``/v1/exports`` answers, a line for each point,
with the namespace before it. Times are integers in microseconds, or ISO 8601 to the
microsecond. Version 1.0.0 wrote neither type nor namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from iobeam_server.errors import ServerError
from iobeam_server.rules import times
from iobeam_server.rules.names import MAX_NAME_CHARS, check_name
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value

FORMATS = ("csv", "json")
FIRST = ("project_id", "device_id", "name", "time", "value")
"""The headings that 1.0.0 wrote."""
SECOND = ("type", "namespace")


class Place(NamedTuple):
    """Where a file says that its points belong."""

    namespace: str
    divided_by: str


class Run(NamedTuple):
    """Points of one series, in the order of the file, and the line of each."""

    project_id: int
    device_id: str
    name: str
    kind: Optional[Kind]
    """None: a CSV file of 1.0.0, which did not say; the values are its cells."""
    times: list[int]
    values: list[Value]
    lines: list[int]


class ExportFile(NamedTuple):
    """A file that is being read."""

    place: Optional[Place]
    """None where it does not say, as those of 1.0.0 do not."""
    runs: Iterator[Run]
    """Its points, some thousand at a time."""


class BadLine(Exception):
    """What is wrong, and in which line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def time_of(shown: object, line: int) -> int:
    """Return the microseconds of a time as it was written: an integer or ISO 8601."""
    found = times.from_iso(shown) if isinstance(shown, str) else shown
    if type(found) is not int or not INT64_MIN <= found <= INT64_MAX:
        raise BadLine(
            line,
            f"time must be microseconds, or like 2026-01-31T12:00:00.000000Z, not {shown!r:.60}",
        )
    return found


def check_texts(values: list[str], lines: list[int], most: int) -> None:
    """Refuse texts that no engine holds.

    Args:
        values, lines: texts, and the line of each.
        most: characters that one may have.
    """
    for value, line in zip(values, lines):
        if len(value) > most:
            raise BadLine(line, f"the text has {len(value)} characters, at most {most} are kept")
        if "\0" in value:
            raise BadLine(line, "the text holds a NUL character, which cannot be stored")
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        raise BadLine(lines[0], "a text from here on holds half of a surrogate pair") from None


def check_where(project_id: int, device_id: str, name: str, line: int) -> None:
    """Refuse what names no series."""
    if project_id < 1 or project_id > INT64_MAX:
        raise BadLine(line, f"project_id must be a number from 1 on, not {project_id}")
    try:
        check_name(name)
        (device_id + name).encode()
    except ServerError as error:
        raise BadLine(line, error.message) from None
    except UnicodeEncodeError:
        raise BadLine(line, "device or name holds half of a surrogate pair") from None
    if "\0" in device_id or len(device_id) > MAX_NAME_CHARS:
        raise BadLine(line, f"{device_id!r:.80} is no device")
