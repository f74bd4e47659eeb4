"""``/v1/data``: the rows of a namespace, filtered, grouped, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Callable, NamedTuple, Optional

import falcon
import msgspec

from iobeam_server import aggregates, expressions, tables
from iobeam_server.api import answers, csvs, queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import (
    LIMIT_TEXT,
    OPERATOR,
    OUTPUT,
    POSITIVE,
    TEXT,
    TIMEFMT,
    Operation,
    Parameter,
    Reply,
)
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotFound, NotPermitted
from iobeam_server.expressions import Condition, Grouping, LimitBy, TimeRange
from iobeam_server.points import Kind
from iobeam_server.storage.base import Namespace, Series, Storage
from iobeam_server.tables import Cell, Row
from iobeam_server.tokens import Claims

PIECE_ROWS = 500  # rows encoded at a time


class _Query(NamedTuple):
    namespace: Namespace
    field: Optional[str]
    """None: all."""
    own_key: Optional[str]
    """The only key that a device token sees."""
    range: TimeRange
    on_key: Sequence[Condition]
    on_fields: Sequence[Condition]
    operator: Optional[str]
    grouping: Optional[Grouping]
    limit_by: Optional[LimitBy]
    limit_periods: Optional[int]
    limit: Optional[int]

    @property
    def key(self) -> str:
        return self.namespace.partitioning_field

    @property
    def grouped_fields(self) -> Sequence[str]:
        return self.grouping.fields if self.grouping else ()


class _Table(NamedTuple):
    """An answer: names of the columns, time first, and (time in us, cells) newest first."""

    columns: Sequence[str]
    rows: Iterator[tuple[int, Sequence[Cell]]]


class Data(Resource):
    """``/v1/data/NAMESPACE[/FIELD]``."""

    access = {"GET": Access.PROJECT_READ}
    operations = {
        "GET": Operation(
            {200: Reply("The rows found.", shapes.RowsFound, ["text/plain"])},
            [
                Parameter("time", TEXT, "FROM,TO: ms since the epoch, or now()-2h; inclusive."),
                Parameter(
                    "where", TEXT, "op(field,value), op eq lt gt le ge; all hold.", repeats=True
                ),
                OPERATOR,
                Parameter("group_by", TEXT, "time(2m), a field, or both with a comma between."),
                Parameter("limit_by", TEXT, "field,N: the newest N rows per distinct value."),
                Parameter("limit_periods", POSITIVE, "The newest n buckets of time."),
                Parameter("limit", POSITIVE, f"The newest n rows. {LIMIT_TEXT}"),
                TIMEFMT,
                OUTPUT,
            ],
            refusals=[404],
        )
    }

    def __init__(self, store: Storage, config: Config, clock: Callable[[], float]) -> None:
        self._store = store
        self._config = config
        self._clock = clock

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, namespace: str, field: str = "all"
    ) -> None:
        """Answer rows of a namespace, newest first, or what an operator makes of them.

        Path: the namespace; the field, ``all`` or nothing for every field. Query, all
        optional: ``time`` FROM,TO, each an integer in ms or ``now()-2h``, both inclusive;
        ``where`` op(field,value), repeatable, op eq lt gt le ge; ``operator`` sum count
        min max mean, with ``group_by`` time(2m) and fields; ``limit_by`` field,N;
        ``limit_periods`` newest buckets; ``limit`` newest rows; ``timefmt``; ``output``.

        Needs a project token with read; a device token sees its own rows only.

        Answers: 200 ``{"result": [{"fields": ["time", ..], "values": [[..], ..]}]}``,
        ``{"result": []}`` when nothing was found, or CSV with the header
        ``time,<namespace>.<field>,..``; 400/1; 401; 403; 404/32 no such namespace.

        A row is one time of one device. With a single field, rows without it are left
        out; with all, gaps are null. Grouped, the aggregate is the second column, named
        op(field), and the group's fields follow (wire notes 8.5-8.7).
        """
        query = self._query(req, namespace, field)
        timefmt = queries.time_format(req)
        output = queries.choice(req, "output", ("json", "csv"), "json")
        table = self._grouped(query) if query.operator else self._plain(query)
        table = _Table(table.columns, islice(table.rows, query.limit))
        if output == "csv":
            resp.content_type = csvs.TYPE
            pieces = _csv(query, table, timefmt)
        else:
            pieces = _json(table, timefmt)
        answers.send(resp, pieces, self._config.spool_bytes)

    # -- the request -----------------------------------------------------------

    def _query(self, req: falcon.Request, namespace: str, field: str) -> _Query:
        claims = claims_of(req)
        found = self._store.namespaces(claims.pid, namespace)
        if not found:
            raise NotFound(f"there is no namespace {namespace!r:.80} in project {claims.pid}")
        key = found[0].partitioning_field
        bounds, conditions = self._conditions(req)
        limit_by = queries.text(req, "limit_by")
        group_by = queries.text(req, "group_by")
        operator = queries.text(req, "operator")
        limit = queries.integer(req, "limit", least=1)
        query = _Query(
            found[0],
            None if field.lower() == "all" else field,
            own_key(claims, found[0]),
            bounds,
            [condition for condition in conditions if condition.field == key],
            [condition for condition in conditions if condition.field != key],
            None if operator is None else aggregates.parse_operator(operator),
            None if group_by is None else expressions.parse_group_by(group_by),
            None if limit_by is None else expressions.parse_limit_by(limit_by),
            queries.integer(req, "limit_periods", least=1),
            None if limit is None else min(limit, 2**62),
        )
        _check(query)
        return query

    def _conditions(self, req: falcon.Request) -> tuple[TimeRange, list[Condition]]:
        """Return the bounds in time, and the conditions on anything else."""
        now_us = int(self._clock() * 1_000_000)
        time = queries.text(req, "time")
        bounds = TimeRange(None, None) if time is None else expressions.parse_time(time, now_us)
        texts = queries.texts(req, "where")
        if len(texts) > self._config.max_conditions:
            raise BadRequest(f"more than {self._config.max_conditions} conditions in one query")
        conditions = []
        for text in texts:
            condition = expressions.parse_condition(text)
            if condition.field == "time":
                bounds = expressions.narrow(bounds, condition, now_us)
            else:
                conditions.append(condition)
        return bounds, conditions

    # -- rows ------------------------------------------------------------------

    def _plain(self, query: _Query) -> _Table:
        """Answer the rows themselves."""
        limit_by = query.limit_by
        fields = _unique(
            [*(query.namespace.fields if query.field is None else [query.field])],
            [limit_by.field] if limit_by else [],
        )
        fields = [name for name in fields if name != query.key]
        newest = None
        if not query.on_fields and (limit_by is None or limit_by.field == query.key):
            # no row can fall out later, so each series needs to give the newest n only
            bounds = [query.limit, limit_by.rows if limit_by else None]
            newest = min((bound for bound in bounds if bound is not None), default=None)
        if fields == [query.field] and not query.on_fields and limit_by is None:
            # the question asked most, and each point is a row: half the time
            series = self._series(query, fields)
            points = self._store.rows(series, query.range.start, query.range.end, newest)
            return _Table(["time", *fields], ((time, (value,)) for time, _, value in points))
        rows = self._rows(query, fields, newest)
        if limit_by is not None:
            value_of = _reader(query, fields, limit_by.field)
            rows = tables.newest_per(rows, value_of, limit_by.rows, self._config.max_groups)
        if query.field is None:
            columns = ["time", query.key, *fields]
            return _Table(columns, ((row.time, (row.key or None, *row.cells)) for row in rows))
        value_of = _reader(query, fields, query.field)
        cells = ((row.time, (value_of(row),)) for row in rows)
        return _Table(["time", query.field], (found for found in cells if found[1][0] is not None))

    def _rows(
        self, query: _Query, fields: Sequence[str], newest: Optional[int] = None
    ) -> Iterator[Row]:
        """Yield the rows that pass the conditions, with cells for `fields` and more behind."""
        columns = _unique(fields, [condition.field for condition in query.on_fields])
        wants_key = query.key == query.field  # every row counts, whatever fields it has
        series = self._series(query, None if wants_key or query.field is None else columns)
        place = {name: at for at, name in enumerate(columns)}
        keys = [one.device_id for one in series]
        cells = self._store.rows(series, query.range.start, query.range.end, newest)
        slots = [place.get(one.name, -1) for one in series]
        rows = tables.assemble(cells, keys, slots, len(columns))
        tests = [
            tables.Test(
                place[condition.field],
                expressions.predicate(
                    condition, query.namespace.fields.get(condition.field, Kind.TEXT)
                ),
            )
            for condition in query.on_fields
        ]
        if tests:
            rows = tables.passing(rows, tests)
        if len(columns) > len(fields):
            rows = (row._replace(cells=row.cells[: len(fields)]) for row in rows)
        return rows

    def _series(self, query: _Query, fields: Optional[Sequence[str]]) -> list[Series]:
        """Return the series of these fields (None: of all) whose key passes."""
        device, name = query.own_key, None
        for condition in query.on_key:
            if condition.comparison == "eq" and device is None:
                device = condition.text
        if fields is not None and len(fields) == 1:
            name = fields[0]
        wanted = None if fields is None else set(fields)
        namespace = query.namespace
        tests = [expressions.predicate(condition, Kind.TEXT) for condition in query.on_key]
        return [
            series
            for series in self._store.series(
                namespace.project_id, namespace.namespace_name, device, name
            )
            if (wanted is None or series.name in wanted)
            and series.name != query.key
            and all(test(series.device_id or None) for test in tests)
        ]

    # -- aggregates ------------------------------------------------------------

    def _grouped(self, query: _Query) -> _Table:
        """Answer what the operator makes of the rows."""
        field, operator = query.field, query.operator
        assert field is not None
        assert operator is not None
        kind = Kind.TEXT if field == query.key else query.namespace.fields.get(field)
        if kind is Kind.TEXT and operator in ("sum", "mean"):
            raise BadRequest(f"{operator} of text: {field!r:.80} holds strings")
        found = self._sums(query, field)
        if query.limit_periods is not None:
            found = tables.newest_periods(found, query.limit_periods)
        is_flag = kind is Kind.BOOLEAN
        rows: Iterator[Row] = (
            Row(bucket.start, "", (tables.value_of_bucket(operator, bucket, is_flag), *group))
            for group, bucket in found
        )
        if query.limit_by is not None:
            at = 1 + list(query.grouped_fields).index(query.limit_by.field)
            rows = _limited(rows, at, query.limit_by.rows, self._config.max_groups)
        # GO shows null unless the column of an ungrouped operator is the field itself
        name = f"{operator}({field})" if query.grouping else field
        return _Table(
            ["time", name, *query.grouped_fields], ((row.time, row.cells) for row in rows)
        )

    def _sums(
        self, query: _Query, field: str
    ) -> Iterator[tuple[tuple[Cell, ...], aggregates.Bucket]]:
        """Yield (values of the group's fields, sums), newest bucket first."""
        width = query.grouping.width_us if query.grouping else None
        groups = list(query.grouped_fields)
        start = query.range.start if width is None else None
        if not query.on_fields and field != query.key and groups in ([], [query.key]):
            series = self._series(query, [field])
            if groups:
                series = [one for one in series if one.device_id]
            for at, bucket in self._store.groups(
                series, query.range.start, query.range.end, width, apart=bool(groups)
            ):
                shown = bucket if start is None else bucket._replace(start=start)
                yield ((series[at].device_id,) if groups else ()), shown
            return
        fields = [name for name in _unique([field], groups) if name != query.key]
        readers = [_reader(query, fields, name) for name in groups]
        for group, bucket in tables.grouped(
            self._rows(query, fields),
            _reader(query, fields, field),
            lambda row: tuple(reader(row) for reader in readers),
            width,
            self._config.max_groups,
        ):
            yield group, bucket if start is None else bucket._replace(start=start)


def own_key(claims: Claims, namespace: Namespace) -> Optional[str]:
    """Return the key that a device token is limited to; None without such a limit.

    Raises:
        NotPermitted: the namespace is not divided by device, so none of its rows is
            the token's own.
    """
    if claims.did is not None and namespace.partitioning_field != "device_id":
        raise NotPermitted(
            f"the token is for device {claims.did!r} only, namespace "
            f"{namespace.namespace_name!r:.80} is divided by {namespace.partitioning_field!r:.80}"
        )
    return claims.did


def _check(query: _Query) -> None:
    """Refuse parameters that say nothing together."""
    if query.grouping is not None and query.operator is None:
        raise BadRequest("group_by needs an operator, such as operator=mean")
    if query.operator is not None and query.field is None:
        raise BadRequest("an operator needs one field: /v1/data/NAMESPACE/FIELD")
    if query.limit_periods is not None and (
        query.grouping is None or query.grouping.width_us is None
    ):
        raise BadRequest("limit_periods counts buckets: it needs group_by=time(..)")
    if (
        query.limit_by is not None
        and query.operator is not None
        and query.limit_by.field not in query.grouped_fields
    ):
        raise BadRequest("with an operator, limit_by must name a field of group_by")


def _unique(*names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(chain(*names)))


def _reader(query: _Query, fields: Sequence[str], name: str) -> Callable[[Row], Cell]:
    """Return what reads one field of a row."""
    if name == query.key:
        return lambda row: row.key or None
    at = list(fields).index(name)
    return lambda row: row.cells[at]


def _limited(rows: Iterator[Row], at: int, most: int, max_values: int) -> Iterator[Row]:
    return tables.newest_per(rows, lambda row: row.cells[at], most, max_values)


def _json(table: _Table, timefmt: str) -> Iterator[bytes]:
    is_first = True
    unit = queries.SHOWN_US.get(timefmt)
    while piece := list(islice(table.rows, PIECE_ROWS)):
        if is_first:
            yield b'{"result":[{"fields":' + msgspec.json.encode(table.columns) + b',"values":['
        else:
            yield b","
        is_first = False
        if unit is not None:
            yield msgspec.json.encode([(time // unit, *cells) for time, cells in piece])[1:-1]
        else:
            shown = [(queries.format_time(time, timefmt), *cells) for time, cells in piece]
            yield msgspec.json.encode(shown)[1:-1]
    yield b'{"result":[]}' if is_first else b"]}]}"


def _csv(query: _Query, table: _Table, timefmt: str) -> Iterator[bytes]:
    """GO takes what follows the dot, and needs one in every column but the first."""
    prefix = query.namespace.namespace_name
    rows = ([csvs.time_of(time, timefmt), *map(csvs.value_of, cells)] for time, cells in table.rows)
    return csvs.lines(["time", *(f"{prefix}.{name}" for name in table.columns[1:])], rows)
