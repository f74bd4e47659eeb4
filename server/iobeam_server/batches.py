"""From the decoded body of an import to the batch that the writer stores; no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

import msgspec

from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotFound, TooLarge, Unprocessable
from iobeam_server.rights.reach import check_device, check_project, own_key
from iobeam_server.rights.tokens import Claims
from iobeam_server.rules.names import ProjectId, check_device_id, check_text
from iobeam_server.rules.points import (
    Cell,
    Column,
    merge,
    series_column,
    table_columns,
)
from iobeam_server.rules.units import unit_us
from iobeam_server.storage.base import INPUT, Batch, Part
from iobeam_server.storage.catalog.namespaces import Namespaces


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


class BatchBuilder:
    """Makes batches of bodies, and refuses what the token does not reach or nobody may store.

    Args:
        namespaces: where the namespace of a table is looked up.
        config: the limits.

    Both methods raise:
        BadRequest: what is missing, or contradicts itself.
        NotPermitted: the token is for another project or device.
        NotFound: there is no such namespace.
        TooLarge: more values or fields than one request may hold.
        Unprocessable: names the first row and field that cannot be stored.
    """

    def __init__(self, namespaces: Namespaces, config: Config) -> None:
        self._namespaces = namespaces
        self._config = config

    def table(self, body: TableBody, claims: Claims) -> Batch:
        """Build the batch of a table, of any generation."""
        check_project(claims, body.project_id)
        table = body.sources or body.data
        if table is None:
            raise BadRequest("the body has no points: neither `sources` nor `data`")
        fields, rows = table.fields, table.rows
        labels = body.labels or {}
        self._check_size(len(fields), len(rows) * max(1, len(fields) - 1 + len(labels)))
        if len(labels) > self._config.max_fields:
            raise TooLarge(f"{len(labels)} labels, at most {self._config.max_fields} are taken")
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
        own_key(claims, namespace, key)
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
        found = [] if "\0" in namespace else self._namespaces.find(project_id, namespace)
        if not found:
            raise NotFound(f"there is no namespace {namespace!r:.80} in project {project_id}")
        return found[0].partitioning_field

    def points(self, body: ListBody, claims: Claims) -> Batch:
        """Build the batch of a list of series."""
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
