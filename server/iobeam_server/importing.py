"""CSV files into a project: read twice, first to see that all of it is good.

A file has a header and a column ``time``. Either it has one line per point, with
``name`` and ``value`` (what `export` writes), or one line per time, where every
other column is a field. Columns ``project_id`` and ``device_id`` may say where a line
belongs. An empty cell is a gap.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Optional

from iobeam_server import texts
from iobeam_server.api.ids import check_device_id
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotFound, ServerError
from iobeam_server.maintenance import sharing
from iobeam_server.points import INT64_MAX, INT64_MIN, Kind, Value, check_name, series_column
from iobeam_server.storage.base import INPUT, Batch, Part, Storage

PIECE_VALUES = 20_000  # in one transaction: some 50 ms with the write lock
MAX_CELL_CHARS = 1_000_000  # of a line that the csv module may put together from lost quotes

_WHERE = ("project_id", "device_id", "time")
_LONG = ("name", "value")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_ISO_8601 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_US = datetime.timedelta(microseconds=1)

_Series = tuple[int, str, str]  # project, device, name
_Columns = dict[_Series, tuple[list[int], list[Value]]]


class Options(NamedTuple):
    """What the file does not say."""

    project_id: Optional[int] = None
    """Where to; None takes the column."""
    device_id: Optional[str] = None
    """Of which device; None takes the column."""
    namespace: str = INPUT
    unit: int = 1
    """Microseconds per unit of times that are numbers; all others are ISO 8601."""
    kinds: Mapping[str, Kind] = {}
    """Types of fields, where the file could be misread."""
    nulls: frozenset[str] = frozenset([""])
    """Cells that are gaps."""


class Imported(NamedTuple):
    values: int
    series: int


def import_csv(store: Storage, path: str, options: Options, config: Config) -> Imported:
    """Store what a CSV file holds; nothing when any of it is not good.

    Devices are registered. Importing a file again changes nothing, so what was broken
    off (power, a full disk) is simply repeated.

    Raises:
        BadRequest: names the line and what is wrong with it.
        NotFound: no such project or namespace.
    """
    for _ in _Reader(store, path, options, config).pieces():
        pass
    reader = _Reader(store, path, options, config)
    for piece in reader.pieces():
        batches = _batches(piece, options.namespace, config)
        with sharing():
            results = store.write(batches)
        for refused in results:
            if refused is not None:
                raise refused
    return Imported(reader.values, len(reader.series))


def _batches(piece: _Columns, namespace: str, config: Config) -> list[Batch]:
    parts: dict[tuple[int, bool], dict[str, Part]] = {}
    for (project_id, device_id, name), (times, values) in piece.items():
        is_device = namespace == INPUT and device_id != ""
        part = parts.setdefault((project_id, is_device), {}).setdefault(
            device_id, Part(device_id or None, [])
        )
        assert isinstance(part.columns, list)
        part.columns.append(series_column(name, times, values, 1, config.max_text_chars))
    return [
        Batch(project_id, namespace, list(found.values()), is_device, is_device)
        for (project_id, is_device), found in parts.items()
    ]


class _Reader:
    """One passage through a file."""

    def __init__(self, store: Storage, path: str, options: Options, config: Config) -> None:
        self._store = store
        self._path = path
        self._options = options
        self._max_text = config.max_text_chars
        self._kinds: dict[tuple[int, str], Kind] = {}
        self._guessed: dict[tuple[int, str], int] = {}
        self._devices: set[str] = set()
        self.values = 0
        self.series: set[_Series] = set()

    def pieces(self) -> Iterator[_Columns]:
        """Yield some thousand values at a time."""
        csv.field_size_limit(MAX_CELL_CHARS)
        try:
            with open(self._path, encoding="utf-8-sig", newline="") as file:
                yield from self._pieces(file)
        except OSError as error:
            raise BadRequest(f"cannot read {self._path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BadRequest(f"{self._path} is not UTF-8: {error}") from None

    def _pieces(self, file: Iterable[str]) -> Iterator[_Columns]:
        lines = csv.reader(file)
        header = [name.strip() for name in next(lines, [])]
        fields = self._check_header(header)
        piece: _Columns = {}
        held = 0
        try:
            for cells in lines:
                if not cells:
                    continue
                try:
                    if len(cells) != len(header):
                        raise BadRequest(f"{len(cells)} cells under {len(header)} headings")
                    held += self._add(dict(zip(header, cells)), fields, lines.line_num, piece)
                except ServerError as error:
                    raise BadRequest(
                        f"{self._path}, line {lines.line_num}: {error.message}"
                    ) from None
                if held >= PIECE_VALUES:
                    yield piece
                    piece, held = {}, 0
        except csv.Error as error:
            raise BadRequest(f"{self._path}, line {lines.line_num}: {error}") from None
        if piece:
            yield piece

    def _check_header(self, header: list[str]) -> Optional[list[str]]:
        """Return the columns that are fields; None where lines name their field."""
        if "time" not in header:
            raise BadRequest(
                f"{self._path}: the first line must name the columns, one of them time"
            )
        if len(set(header)) != len(header):
            raise BadRequest(f"{self._path}: two columns have the same name")
        for what, given, option in (
            ("project_id", self._options.project_id, "--project N"),
            ("device_id", self._options.device_id, "--device ID"),
        ):
            if given is None and what not in header:
                raise BadRequest(f"{self._path} has no column {what}: give {option}")
        if set(_LONG) <= set(header) <= {*_WHERE, *_LONG}:
            return None
        return [name for name in header if name not in _WHERE]

    def _add(
        self, row: dict[str, str], fields: Optional[list[str]], line: int, piece: _Columns
    ) -> int:
        """Add the values of a line; returns how many."""
        project_id = self._options.project_id or _project_id(row["project_id"])
        device_id = self._options.device_id
        if device_id is None:
            device_id = row["device_id"]
        if device_id and device_id not in self._devices and self._options.namespace == INPUT:
            check_device_id(device_id)
            self._devices.add(device_id)
        time = _time(row["time"].strip(), self._options.unit)
        pairs = [(row["name"], row["value"])] if fields is None else [(f, row[f]) for f in fields]
        count = 0
        for name, cell in pairs:
            if cell in self._options.nulls:
                continue
            value = self._value(project_id, name, cell, line)
            series = (project_id, device_id, name)
            times, values = piece.setdefault(series, ([], []))
            times.append(time)
            values.append(value)
            self.series.add(series)
            count += 1
        self.values += count
        return count

    def _value(self, project_id: int, name: str, cell: str, line: int) -> Value:
        field = (project_id, name)
        kind = self._kinds.get(field)
        if kind is None:
            kind = self._kinds[field] = self._kind_of(project_id, name, cell, line)
        value = texts.read(cell, kind)
        guessed = self._guessed.get(field)
        if value is None or (kind is Kind.TEXT and guessed and _guess(cell) is not kind):
            why = "in this project" if guessed is None else f"since line {guessed}"
            raise BadRequest(
                f"{cell!r:.80} is a {texts.NAMES[_guess(cell)]}, {name!r} is {texts.NAMES[kind]} "
                f"{why}; mend the file, or say which cells are gaps (--null) or which type "
                f"the field has (--type {name}=string)"
            )
        if isinstance(value, str):
            if len(value) > self._max_text:
                raise BadRequest(
                    f"{name!r} has {len(value)} characters, at most {self._max_text} are kept"
                )
            if "\0" in value:
                raise BadRequest(f"{name!r} holds a NUL character")
        return value

    def _kind_of(self, project_id: int, name: str, cell: str, line: int) -> Kind:
        """Return the type of a field at its first value: asked for, known, or the cell's."""
        check_name(name)
        if self._store.project(project_id) is None:
            raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
        found = self._store.namespaces(project_id, self._options.namespace)
        if not found:
            raise NotFound(f"project {project_id} has no namespace {self._options.namespace!r}")
        known = found[0].fields.get(name)
        asked = self._options.kinds.get(name)
        if known is not None:
            if asked not in (None, known):
                raise BadRequest(
                    f"{name!r} is {texts.NAMES[known]} in project {project_id}; "
                    "see iobeam-server series retype"
                )
            return known
        if asked is None:
            self._guessed[project_id, name] = line
        return asked or _guess(cell)


def _guess(cell: str) -> Kind:
    if texts.to_number(cell) is not None:
        return Kind.NUMBER
    return Kind.TEXT if texts.to_boolean(cell) is None else Kind.BOOLEAN


def _project_id(cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 19):
        raise BadRequest(f"project_id must be a number, not {cell!r:.40}")
    return int(cell)


def _time(cell: str, unit: int) -> int:
    """Return microseconds; fractions of a number count, zones of a date do, UTC without one."""
    if _DECIMAL.fullmatch(cell):
        time = int(cell) * unit if "." not in cell else int(decimal.Decimal(cell) * unit)
        if not INT64_MIN <= time <= INT64_MAX:
            raise BadRequest(f"time {cell} is out of range; is the unit (--timefmt) right?")
        return time
    found = _ISO_8601.fullmatch(cell)
    try:
        if found is None:
            raise ValueError
        day, clock, fraction, zone = found.groups(default="")
        # spelled out: what fromisoformat takes differs from one Python to the next
        zone = zone.replace("Z", "+0000")
        zone = zone and f"{zone[:3]}:{zone[-2:]}"
        moment = datetime.datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone}")
    except ValueError:
        raise BadRequest(
            f"time must be a number or like 2026-01-31T12:00:00Z, not {cell!r:.40}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - _EPOCH) // _US + int(fraction[:6].ljust(6, "0"))
