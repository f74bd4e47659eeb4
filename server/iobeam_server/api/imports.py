"""``/v1/imports``: points sent by devices."""

from __future__ import annotations

import re
import threading
from typing import Any, Optional, Union

import falcon
import msgspec

from iobeam_server.api import bodies, queries
from iobeam_server.api.access import Access, Resource, check_device, check_project, claims_of
from iobeam_server.api.devices import ProjectId
from iobeam_server.api.ids import check_device_id
from iobeam_server.config import MIB, Config
from iobeam_server.errors import BadRequest, TooLarge, Unprocessable
from iobeam_server.points import (
    Cell,
    Column,
    merge,
    series_column,
    table_columns,
    unit_us,
)
from iobeam_server.storage.base import INPUT, Batch, Part
from iobeam_server.tokens import Claims
from iobeam_server.writer import Writer

# A body can inflate some 25-fold on its way to Python objects; two big ones at a time bound that.
BIG_BODY_BYTES = 1 * MIB
BIG_BODIES_AT_ONCE = 2


class _Table(msgspec.Struct):
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


class _TableBody(msgspec.Struct):
    project_id: ProjectId
    sources: Optional[_Table] = None  # generation A
    data: Optional[_Table] = None  # generations B and C
    device_id: Optional[str] = None  # A and B
    namespace: Optional[str] = None  # B and C
    labels: Optional[dict[str, Union[bool, int, float, str, None]]] = None  # C
    timefmt: Optional[str] = None


class _ListPoint(msgspec.Struct):
    time: int
    value: Cell


class _ListSeries(msgspec.Struct):
    name: str
    data: list[_ListPoint]


class _ListBody(msgspec.Struct):
    project_id: ProjectId
    device_id: str
    sources: list[_ListSeries]
    timefmt: Optional[str] = None


_TABLE = msgspec.json.Decoder(_TableBody)
_LIST = msgspec.json.Decoder(_ListBody)
_BAD_CELL = re.compile(r"\$\.(sources|data)\.(?:data|values)\[(\d+)\](?:\[(\d+)\])?")
_BAD_POINT = re.compile(r"\$\.sources\[(\d+)\]\.data\[(\d+)\]")


class Imports(Resource):
    """``/v1/imports``: points sent by devices."""

    access = {"POST": Access.PROJECT_WRITE}

    def __init__(self, writer: Writer, config: Config) -> None:
        self._writer = writer
        self._config = config
        self._big_bodies = threading.Semaphore(BIG_BODIES_AT_ONCE)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store the points of one request; answer only after their commit.

        Body, JSON, gzip allowed, with ``fmt=table`` in the query: ``project_id`` int,
        ``device_id`` str, ``timefmt`` "sec" | "msec" | "usec" (default "msec"),
        ``sources.fields`` with "time" among them, ``sources.data`` rows x fields;
        or (generation C) ``namespace``, ``data.fields``, ``data.values``, ``labels``.
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

    def _table(self, body: _TableBody, claims: Claims) -> Batch:
        check_project(claims, body.project_id)
        table = body.sources or body.data
        if table is None:
            raise BadRequest("the body has no points: neither `sources` nor `data`")
        is_labelled = body.device_id is None and body.sources is None  # generation C
        labels = dict(body.labels or {}) if is_labelled else {}
        device_id = _device_label(labels) if is_labelled else body.device_id
        if device_id is not None:
            check_device_id(device_id)
        elif not is_labelled:
            raise BadRequest("device_id is missing")
        check_device(claims, device_id)
        fields, rows = table.fields, table.rows
        self._check_size(len(fields), len(rows) * max(1, len(fields) - 1 + len(labels)))
        unit = unit_us(body.timefmt or "msec")
        columns = table_columns(fields, rows, unit, self._config.max_text_chars)
        if labels and rows:
            columns = merge([*columns, *self._label_columns(labels, fields, rows, unit)])
        return self._make(body, body.namespace or INPUT, device_id, columns, not is_labelled)

    def _label_columns(
        self, labels: dict[str, Cell], fields: list[str], rows: list[list[Cell]], unit: int
    ) -> list[Column]:
        """Labels apply to every row of the request: each is a column that stays the same."""
        at = fields.index("time")
        times = [row[at] for row in rows]
        return [
            series_column(name, times, [value] * len(rows), unit, self._config.max_text_chars)
            for name, value in labels.items()
        ]

    def _list(self, body: _ListBody, claims: Claims) -> Batch:
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
        return self._make(body, INPUT, body.device_id, merge(columns), must_exist=True)

    def _make(
        self,
        body: Union[_TableBody, _ListBody],
        namespace: str,
        device_id: Optional[str],
        columns: list[Column],
        must_exist: bool,
    ) -> Batch:
        return Batch(
            body.project_id,
            namespace,
            [Part(device_id, columns)],
            must_exist=must_exist,
            register=self._config.auto_register,
        )

    def _check_size(self, fields: int, values: int) -> None:
        if values > self._config.max_values:
            raise TooLarge(
                f"{values} values in one request, at most {self._config.max_values} are taken"
            )
        if fields > self._config.max_fields + 1:  # and the time
            raise TooLarge(f"{fields} fields, at most {self._config.max_fields} are taken")


def _device_label(labels: dict[str, Cell]) -> Optional[str]:
    """Take the device out of the labels; None when it is not among them."""
    device_id = labels.pop("device_id", None)
    if device_id is None or isinstance(device_id, str):
        return device_id
    raise Unprocessable(
        f"label device_id must be a string, not {device_id!r:.40}", field="device_id"
    )


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
