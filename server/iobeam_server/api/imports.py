"""``/v1/imports``: points sent by devices."""

from __future__ import annotations

import re
from typing import Any, Optional, Union

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import Operation, Parameter, Reply, one_of
from iobeam_server.batches import BatchBuilder, ListBody, TableBody
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, Unprocessable
from iobeam_server.rights.tokens import Claims
from iobeam_server.storage.base import Batch
from iobeam_server.storage.store import Storage
from iobeam_server.writer import Writer

_TABLE = msgspec.json.Decoder(TableBody)
_LIST = msgspec.json.Decoder(ListBody)
_BAD_CELL = re.compile(r"\$\.(sources|data)\.(?:data|values)\[(\d{1,9})\](?:\[(\d{1,9})\])?")
_BAD_POINT = re.compile(r"\$\.sources\[(\d{1,9})\]\.data\[(\d{1,9})\]")


class Imports(Resource):
    """``/v1/imports``: points sent by devices."""

    access = {"POST": Access.PROJECT_WRITE}
    pool = "imports"
    max_body_bytes = None
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
        self._batches = BatchBuilder(store.namespaces, config)
        self._writer = writer
        self._config = config

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
        self._writer.write(self._batch(bodies.read(req), as_table, claims_of(req)))
        resp.data = b"{}"

    def _batch(self, body: bodies.Body, as_table: bool, claims: Claims) -> Batch:
        try:
            if as_table:
                return self._batches.table(bodies.parse(body, _TABLE), claims)
            return self._batches.points(bodies.parse(body, _LIST), claims)
        except msgspec.ValidationError as error:
            raise _refusal(error, body) from None


class _Names(msgspec.Struct):
    """What of a refused body says which field it was; the rest is passed over, not built."""

    fields: Any = None
    name: Any = None


class _Named(msgspec.Struct):
    sources: Union[_Names, list[_Names], None] = None
    data: Optional[_Names] = None


_NAMED = msgspec.json.Decoder(_Named)


def _refusal(error: msgspec.ValidationError, body: bodies.Body) -> Exception:
    """Name row and field where the path in the decoder's message leads to a cell."""
    message = str(error)
    cell = _BAD_CELL.search(message)
    point = _BAD_POINT.search(message)
    if cell is None and point is None:
        return BadRequest(f"the body is not an import: {message}")
    named = _named(body)
    found: Any = None
    try:
        if cell is not None:
            row = int(cell.group(2))
            if cell.group(3) is not None:
                found = getattr(named, cell.group(1)).fields[int(cell.group(3))]
        else:
            assert point is not None
            row = int(point.group(2))
            found = named.sources[int(point.group(1))].name  # type: ignore[index]
    except (AttributeError, IndexError, TypeError):  # the rest of the body is no better
        pass
    if not isinstance(found, str):
        return Unprocessable(f"row {row}: {message}", row=row)
    return Unprocessable(f"row {row}, field {found!r:.80}: {message}", row=row, field=found[:256])


def _named(body: bodies.Body) -> _Named:
    try:
        return _NAMED.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Named()
