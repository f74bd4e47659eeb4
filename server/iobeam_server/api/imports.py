"""``/v1/imports``: points sent by devices."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any, Optional, Union

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, check_device, check_project, claims_of
from iobeam_server.api.devices import ProjectId
from iobeam_server.api.ids import check_device_id, check_text
from iobeam_server.api.operations import Operation, Parameter, Reply, one_of
from iobeam_server.config import MIB, Config
from iobeam_server.errors import BadRequest, NotFound, NotPermitted, TooLarge, Unprocessable
from iobeam_server.points import (
    Cell,
    Column,
    merge,
    series_column,
    table_columns,
    unit_us,
)
from iobeam_server.storage.base import INPUT, Batch, Part, Storage
from iobeam_server.tokens import Claims
from iobeam_server.writer import Writer

# A body can inflate some 25-fold on its way to Python objects; two big ones at a time bound that.
BIG_BODY_BYTES = 1 * MIB
BIG_BODIES_AT_ONCE = 2


class Table(msgspec.Struct):
    """Generations A and B call the rows `data`, C calls them `values`."""

    fields: list[str]
    data: Optional[list[list[Cell]]] = None
    values: Optional[list[list[Cell]]] = None

    @property
    def rows(self) -> list[list[Cell]]:
        rows = self.data if self.data is not None else self.values
        if rows is None:
            raise BadRequest("the table has no rows: neither `data` nor `values`")
        return rows


class TableBody(msgspec.Struct):
    """Body of an import with ``fmt=table``."""

    project_id: ProjectId
    sources: Optional[Table] = None  # generation A
    data: Optional[Table] = None  # generations B and C
    device_id: Optional[str] = None  # A and B
    namespace: Optional[str] = None  # B and C
    labels: Optional[dict[str, Union[bool, int, float, str, None]]] = None  # C
    timefmt: Optional[str] = None


class ListPoint(msgspec.Struct):
    """A point of a list."""

    time: int
    value: Cell


class ListSeries(msgspec.Struct):
    """The points of one series."""

    name: str
    data: list[ListPoint]


class ListBody(msgspec.Struct):
    """Body of an import without ``fmt``."""

    project_id: ProjectId
    device_id: str
    sources: list[ListSeries]
    timefmt: Optional[str] = None


_TABLE = msgspec.json.Decoder(TableBody)
_LIST = msgspec.json.Decoder(ListBody)
_BAD_CELL = re.compile(r"\$\.(sources|data)\.(?:data|values)\[(\d+)\](?:\[(\d+)\])?")
_BAD_POINT = re.compile(r"\$\.sources\[(\d+)\]\.data\[(\d+)\]")


class Imports(Resource):
    """``/v1/imports``: points sent by devices."""

    access = {"POST": Access.PROJECT_WRITE}
    operations = {
        "POST": Operation(
            {
                200: Reply(
                    "All of it is stored.",
                    shapes.Nothing,
                    headers={
                        "Iobeam-Max-Values": "Values (rows x columns) that one request may hold.",
                        "Accept-Encoding": "gzip: what the next request may be coded in.",
                    },
                )
            },
            [Parameter("fmt", one_of("table", "list"), "Form of the body; list.")],
            body=[TableBody, ListBody],
            refusals=[404, 422, 429],
        )
    }

    def __init__(self, store: Storage, writer: Writer, config: Config) -> None:
        self._store = store
        self._writer = writer
        self._config = config
        self._big_bodies = threading.Semaphore(BIG_BODIES_AT_ONCE)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store the points of one request; answer only after their commit.

        Body, JSON, gzip allowed, with ``fmt=table`` in the query: ``project_id`` int,
        ``device_id`` str, ``timefmt`` "sec" | "msec" | "usec" (default "msec"),
        ``sources.fields`` with "time" among them, ``sources.data`` rows x fields;
        or (generation C) ``namespace``, ``data.fields``, ``data.values``, ``labels``,
        where the device is a label or a field and need not be registered.
        Without ``fmt``: ``sources`` [{name, data: [{time, value}]}]. Times are
        integers since the epoch. A null is a gap and is not stored. All or nothing.

        Needs a project token with write; a device token only for its own device.

        Answers: 200 committed, with ``Iobeam-Max-Values``; 400/1 not JSON or not of
        that shape; 401; 403; 404/32 device not registered; 413/2 too large; 422/3
        names the first bad row and field; 429 with ``Retry-After`` (s) above the
        writer's high-water mark.

        Idempotent: a point is keyed by (device, field, time) and overwritten, since
        clients repeat a chunk whose answer was lost (wire notes 5.8).
        """
        resp.set_header("Iobeam-Max-Values", str(self._config.max_values))
        resp.set_header("Accept-Encoding", "gzip")  # RFC 7694: what the next request may use
        as_table = queries.choice(req, "fmt", ("table", "list"), "list") == "table"
        body = bodies.read(req, self._config)
        if len(body) > BIG_BODY_BYTES:
            with self._big_bodies:
                batch = self._batch(body, as_table, claims_of(req))
        else:
            batch = self._batch(body, as_table, claims_of(req))
        self._writer.write(batch)
        resp.data = b"{}"

    def _batch(self, body: bytes, as_table: bool, claims: Claims) -> Batch:
        try:
            if as_table:
                return self._table(bodies.parse(body, _TABLE), claims)
            return self._list(bodies.parse(body, _LIST), claims)
        except msgspec.ValidationError as error:
            raise _refusal(error, body) from None

    def _table(self, body: TableBody, claims: Claims) -> Batch:
        check_project(claims, body.project_id)
        table = body.sources or body.data
        if table is None:
            raise BadRequest("the body has no points: neither `sources` nor `data`")
        fields, rows = table.fields, table.rows
        labels = body.labels or {}
        self._check_size(len(fields), len(rows) * max(1, len(fields) - 1 + len(labels)))
        if body.device_id is None and body.sources is None:
            return self._labelled(body, fields, rows, claims)
        if body.device_id is None:
            raise BadRequest("device_id is missing")
        check_device_id(body.device_id)
        check_device(claims, body.device_id)
        unit = unit_us(body.timefmt or "msec")
        columns = table_columns(fields, rows, unit, self._config.max_text_chars)
        namespace = (body.namespace if body.sources is None else None) or INPUT
        if self._partitioning_field(body.project_id, namespace) != "device_id":
            raise BadRequest(
                f"namespace {namespace!r:.80} is not divided by device: send its rows as "
                "data.fields, data.values and labels"
            )
        return self._make(body.project_id, namespace, body.device_id, columns)

    def _labelled(
        self, body: TableBody, fields: list[str], rows: list[list[Cell]], claims: Claims
    ) -> Batch:
        """Generation C: rows of any namespace, whose device is only a label or a column."""
        namespace = body.namespace or INPUT
        key = self._partitioning_field(body.project_id, namespace)
        if claims.did is not None and key != "device_id":
            raise NotPermitted(
                f"the token is for device {claims.did!r} only, namespace {namespace!r:.80} "
                f"is divided by {key!r:.80}"
            )
        labels = dict(body.labels or {})
        label = labels.pop(key, None)
        unit = unit_us(body.timefmt or "msec")
        # the whole table first: a refusal must name the row of the request
        table_columns(fields, rows, unit, self._config.max_text_chars)
        if key in fields:
            if label is not None:
                raise BadRequest(f"{key!r:.80} is given as a label and as a field")
            divided = _divided(fields, rows, key)
            fields = [name for name in fields if name != key]
        else:
            divided = {label: list(range(len(rows)))}
        parts = []
        for value, numbers in divided.items():
            own = _check_key(key, value)
            if key == "device_id":
                check_device(claims, own)
            columns = self._columns_of(fields, rows, numbers, labels, unit)
            parts.append(Part(own, columns))
        return Batch(body.project_id, namespace, parts, must_exist=False, register=False)

    def _columns_of(
        self,
        fields: list[str],
        rows: list[list[Cell]],
        numbers: Sequence[int],
        labels: dict[str, Cell],
        unit: int,
    ) -> list[Column]:
        """Return the columns of some rows; labels apply to each: columns that stay the same."""
        most = self._config.max_text_chars
        chosen = [rows[number] for number in numbers]
        columns = table_columns(fields, chosen, unit, most)
        if labels and chosen:
            at = fields.index("time")
            times = [row[at] for row in chosen]
            columns = merge(
                [
                    *columns,
                    *(
                        series_column(name, times, [value] * len(times), unit, most)
                        for name, value in labels.items()
                    ),
                ]
            )
        return [
            column._replace(
                first_rows={kind: numbers[row] for kind, row in column.first_rows.items()}
            )
            for column in columns
        ]

    def _partitioning_field(self, project_id: int, namespace: str) -> str:
        if namespace == INPUT:
            return "device_id"
        # PostgreSQL cannot even be asked for a NUL
        found = [] if "\0" in namespace else self._store.namespaces(project_id, namespace)
        if not found:
            raise NotFound(f"there is no namespace {namespace!r:.80} in project {project_id}")
        return found[0].partitioning_field

    def _list(self, body: ListBody, claims: Claims) -> Batch:
        check_project(claims, body.project_id)
        check_device_id(body.device_id)
        check_device(claims, body.device_id)
        self._check_size(len(body.sources), sum(len(series.data) for series in body.sources))
        unit = unit_us(body.timefmt or "msec")
        columns = [
            series_column(
                series.name,
                [point.time for point in series.data],
                [point.value for point in series.data],
                unit,
                self._config.max_text_chars,
            )
            for series in body.sources
        ]
        return self._make(body.project_id, INPUT, body.device_id, merge(columns))

    def _make(
        self, project_id: int, namespace: str, device_id: str, columns: list[Column]
    ) -> Batch:
        """Generations A, B and lists: points of a registered device."""
        return Batch(
            project_id,
            namespace,
            [Part(device_id, columns)],
            must_exist=True,
            register=self._config.auto_register,
        )

    def _check_size(self, fields: int, values: int) -> None:
        if values > self._config.max_values:
            raise TooLarge(
                f"{values} values in one request, at most {self._config.max_values} are taken"
            )
        if fields > self._config.max_fields + 1:  # and the time
            raise TooLarge(f"{fields} fields, at most {self._config.max_fields} are taken")


def _check_key(key: str, value: Cell) -> Optional[str]:
    """Check a value of the partitioning field; None is no device."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unprocessable(f"{key!r:.80} must be a string, not {value!r:.40}", field=key)
    if key == "device_id":
        check_device_id(value)
    else:
        check_text(f"{key!r:.80}", value)
    return value


def _divided(fields: list[str], rows: list[list[Cell]], key: str) -> dict[Cell, list[int]]:
    """Return the rows of each value of the partitioning field; moves that column out of them."""
    at = fields.index(key)
    if fields.count(key) > 1:
        raise BadRequest(f"fields hold {key!r:.80} twice")
    found: dict[Cell, list[int]] = {}
    for number, row in enumerate(rows):
        value = row.pop(at)
        if value is not None and not isinstance(value, str):
            raise Unprocessable(
                f"row {number}: {key!r:.80} must be a string", row=number, field=key
            )
        found.setdefault(value, []).append(number)
    return found


def _refusal(error: msgspec.ValidationError, body: bytes) -> Exception:
    """Name row and field where the path in the decoder's message leads to a cell."""
    message = str(error)
    cell = _BAD_CELL.search(message)
    point = _BAD_POINT.search(message)
    if cell is None and point is None:
        return BadRequest(f"the body is not an import: {message}")
    raw = _leniently(body)
    try:
        if cell is not None:
            row = int(cell.group(2))
            field = (
                None if cell.group(3) is None else raw[cell.group(1)]["fields"][int(cell.group(3))]
            )
        else:
            assert point is not None
            row, field = int(point.group(2)), raw["sources"][int(point.group(1))]["name"]
    except (KeyError, IndexError, TypeError):  # the rest of the body is no better
        field = None
    if not isinstance(field, str):
        return Unprocessable(f"row {row}: {message}", row=row)
    return Unprocessable(f"row {row}, field {field!r:.80}: {message}", row=row, field=field[:256])


def _leniently(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
