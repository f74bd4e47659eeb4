"""Reads export files in JSON, a piece at a time: json.load would hold all of it in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Callable, Optional, TextIO

from iobeam_server.exportfiles.form import (
    BadLine,
    Place,
    Run,
    check_texts,
    check_where,
    time_of,
)
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, Value

RUN_POINTS = 20_000  # of one series in memory at once
CHUNK_CHARS = 65_536
MAX_POINT_CHARS = 2_000_000  # 65 536 characters, each of them as an escaped pair

_KINDS = {bool: Kind.BOOLEAN, int: Kind.NUMBER, float: Kind.NUMBER, str: Kind.TEXT}
_HEAD = {"project_id": int, "device_id": str, "name": str}
_PLACE = ("namespace", "partitioning_field")
_UNITS = {"usec": int, "iso": str}


class _Scanner:
    """Takes JSON apart, holding one value of it at a time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._buffer = ""
        self._at = 0
        self._is_over = False
        self.line = 1
        # pairs, so that a key that stands twice is seen
        self._decode = json.JSONDecoder(object_pairs_hook=tuple).raw_decode

    def peek(self) -> str:
        """Return the next character that is no white space; "" at the end."""
        while True:
            while self._at < len(self._buffer):
                char = self._buffer[self._at]
                if char not in " \t\r\n":
                    return char
                self._at += 1
                self.line += char == "\n"
            if self._is_over:
                return ""
            self._fill()

    def take(self, char: str) -> None:
        found = self.peek()
        if found != char:
            raise BadLine(self.line, f"{char!r} is missing before {found or 'the end'!r}")
        self._at += 1

    def value(self) -> Any:
        """Take a value: objects come as tuples of pairs."""
        self.peek()
        while True:
            try:
                found, end = self._decode(self._buffer, self._at)
                if end < len(self._buffer) or self._is_over:  # a number could go on
                    break
            except (ValueError, RecursionError) as error:
                if self._is_over or len(self._buffer) - self._at > MAX_POINT_CHARS:
                    raise BadLine(self.line, f"this is not JSON: {error}") from None
            self._fill()
        self.line += self._buffer.count("\n", self._at, end)
        self._at = end
        return found

    def items(self, begin: str, end: str) -> Iterator[None]:
        """Take the brackets and commas of a list or object; whoever iterates takes the rest."""
        self.take(begin)
        if self.peek() != end:
            yield
            while self.peek() != end:
                self.take(",")
                yield
        self.take(end)

    def members(self) -> Iterator[str]:
        """Take an object: yield each key, whose value is then to be taken."""
        known: set[str] = set()
        for _ in self.items("{", "}"):
            key = self.value()
            if not isinstance(key, str) or key in known:
                raise BadLine(self.line, f"{key!r:.40} is no key, or stands twice")
            known.add(key)
            self.take(":")
            yield key

    def _fill(self) -> None:
        chunk = self._file.read(CHUNK_CHARS)
        self._is_over = not chunk
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0


def read(file: TextIO, tell: Callable[[Place], None], max_text: int) -> Iterator[Run]:
    """Yield the points of a file; `tell` gets the place before the first, if the file says it."""
    scanner = _Scanner(file)
    head: dict[str, Any] = {}
    used: set[type] = set()
    for key in scanner.members():
        if key == "result":
            if head:
                tell(_place(head, scanner.line))
            for _ in scanner.items("[", "]"):
                yield from _series(scanner, max_text, used)
            head[key] = True
        elif key in (*_PLACE, "timefmt"):
            head[key] = scanner.value()
        else:
            raise BadLine(scanner.line, f"`export` writes no {key!r:.40}")
    if scanner.peek() or "result" not in head:
        raise BadLine(scanner.line, "the file does not end as `export` ends it")
    unit = head.get("timefmt")
    if not isinstance(unit, str) or used - {_UNITS.get(unit)}:
        raise BadLine(scanner.line, f"times are in {unit!r:.40}, not in us (usec)")


def _place(head: dict[str, Any], line: int) -> Place:
    names = [head.get(key) for key in _PLACE]
    if not all(isinstance(name, str) and name for name in names):
        raise BadLine(line, f"{' or '.join(_PLACE)} is missing, or no text")
    return Place(str(names[0]), str(names[1]))


def _series(scanner: _Scanner, max_text: int, used: set[type]) -> Iterator[Run]:
    head: dict[str, Any] = {}
    for key in scanner.members():
        if key in _HEAD:
            head[key] = scanner.value()
        elif key != "data":
            raise BadLine(scanner.line, f"`export` writes no {key!r:.40} of a series")
        else:
            if {name: type(value) for name, value in head.items()} != _HEAD:
                raise BadLine(scanner.line, f"{', '.join(_HEAD)} must come before data")
            check_where(head["project_id"], head["device_id"], head["name"], scanner.line)
            yield from _runs(scanner, head, max_text, used)


def _runs(scanner: _Scanner, head: dict[str, Any], max_text: int, used: set[type]) -> Iterator[Run]:
    series_kind: Optional[Kind] = None
    run: Optional[Run] = None
    for _ in scanner.items("[", "]"):
        time, value = _point(scanner)
        kind = _KINDS[type(value)]
        if series_kind not in (None, kind):
            raise BadLine(scanner.line, f"{value!r:.80} is of another type than those before it")
        series_kind = kind
        if run is not None and len(run.lines) >= RUN_POINTS:
            yield _checked(run, max_text)
            run = None
        if run is None:
            run = Run(head["project_id"], head["device_id"], head["name"], kind, [], [], [])
        used.add(type(time))
        run.times.append(time_of(time, scanner.line))
        run.values.append(value)
        run.lines.append(scanner.line)
    if run is not None:
        yield _checked(run, max_text)


def _point(scanner: _Scanner) -> tuple[object, Value]:
    point = scanner.value()
    if type(point) is not tuple or [pair[0] for pair in point] != ["time", "value"]:
        raise BadLine(scanner.line, 'a point must be {"time": .., "value": ..}')
    time, value = point[0][1], point[1][1]
    is_good = type(value) in (bool, str)
    if type(value) is int:
        is_good = INT64_MIN <= value <= INT64_MAX
    elif type(value) is float:
        is_good = math.isfinite(value)
    if not is_good:
        raise BadLine(scanner.line, f"{value!r:.80} is no value that can be stored")
    return time, value


def _checked(run: Run, max_text: int) -> Run:
    if run.kind is Kind.TEXT:
        values: list[Any] = run.values
        check_texts(values, run.lines, max_text)
    return run
