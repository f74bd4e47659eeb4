"""What a query of ``/v1/data`` asks for, and the rows that answer it; without HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Callable, NamedTuple, Optional

from iobeam_server.errors import BadRequest
from iobeam_server.rules import aggregates, expressions, tables
from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.expressions import Condition, Grouping, LimitBy, TimeRange
from iobeam_server.rules.points import Kind
from iobeam_server.rules.tables import Bounds, Cell, Row, Table
from iobeam_server.storage.base import Namespace, Series
from iobeam_server.storage.store import Storage

ALL = "all"
MAX_ROWS = 2**62  # more than there can be, and a number that every engine takes


class Asked(NamedTuple):
    """A query in the words of who sent it; what they may be: `rules.expressions`."""

    field: str = ALL
    time: Optional[str] = None
    where: Sequence[str] = ()
    operator: Optional[str] = None
    group_by: Optional[str] = None
    limit_by: Optional[str] = None
    limit_periods: Optional[int] = None
    limit: Optional[int] = None


class Plan(NamedTuple):
    """A query that can be answered."""

    namespace: Namespace
    field: Optional[str]
    """None: all."""
    own_key: Optional[str]
    """The only value of the partitioning field that the asker may see; None: all."""
    range: TimeRange
    on_key: Sequence[Condition]
    on_fields: Sequence[Condition]
    operator: Optional[str]
    grouping: Grouping
    limit_by: Optional[LimitBy]
    limit_periods: Optional[int]
    limit: Optional[int]

    @property
    def key(self) -> str:
        return self.namespace.partitioning_field


def plan(asked: Asked, namespace: Namespace, own_key: Optional[str], now_us: int) -> Plan:
    """Understand a query.

    Raises:
        BadRequest: a part of it says nothing, or nothing together with the others.
    """
    bounds = TimeRange(None, None)
    if asked.time is not None:
        bounds = expressions.parse_time(asked.time, now_us)
    conditions = [expressions.parse_condition(text) for text in asked.where]
    for condition in conditions:
        if condition.field == "time":
            bounds = expressions.narrow(bounds, condition, now_us)
    key = namespace.partitioning_field
    grouping, limit_by = Grouping(None, ()), None
    if asked.limit_by is not None:
        limit_by = expressions.parse_limit_by(asked.limit_by)
    operator = None if asked.operator is None else aggregates.parse_operator(asked.operator)
    if asked.group_by is not None:
        grouping = expressions.parse_group_by(asked.group_by)
    made = Plan(
        namespace,
        None if asked.field.lower() == ALL else asked.field,
        own_key,
        bounds,
        [condition for condition in conditions if condition.field == key],
        [condition for condition in conditions if condition.field not in (key, "time")],
        operator,
        grouping,
        limit_by,
        asked.limit_periods,
        None if asked.limit is None else min(asked.limit, MAX_ROWS),
    )
    _check(asked, made)
    return made


def _check(asked: Asked, made: Plan) -> None:
    """Refuse parts that say nothing together."""
    if asked.group_by is not None and made.operator is None:
        raise BadRequest("group_by needs an operator, such as operator=mean")
    if made.limit_periods is not None and made.grouping.width_us is None:
        raise BadRequest("limit_periods counts buckets: it needs group_by=time(..)")
    if made.operator is None:
        return
    if made.field is None:
        raise BadRequest("an operator needs one field: /v1/data/NAMESPACE/FIELD")
    if made.limit_by is not None and made.limit_by.field not in made.grouping.fields:
        raise BadRequest("with an operator, limit_by must name a field of group_by")
    kind = Kind.TEXT if made.field == made.key else made.namespace.fields.get(made.field)
    if kind is Kind.TEXT and made.operator in ("sum", "mean"):
        raise BadRequest(f"{made.operator} of text: {made.field!r:.80} holds strings")


def answer(store: Storage, asked: Plan, bounds: Bounds) -> Table:
    """Return what a query finds, newest first; its rows are read while they are taken.

    Args:
        store: where the rows are.
        asked: the query.
        bounds: what may be held in memory. Taking the rows raises BadRequest where it is
            more, QueryTimeout or ClientGone where it has to end.
    """
    rows_of = _Rows(store, asked, bounds)
    if asked.operator is not None and asked.field is not None:
        table = rows_of.aggregated(asked.field, asked.operator)
    elif asked.field is not None:
        table = rows_of.of_field(asked.field)
    else:
        table = rows_of.of_all()
    return Table(table.columns, islice(table.rows, asked.limit), table.has_texts)


class _Rows:
    """The ways to answer a plan."""

    def __init__(self, store: Storage, asked: Plan, bounds: Bounds) -> None:
        self._store = store
        self._plan = asked
        self._bounds = bounds

    def of_all(self) -> Table:
        """Answer whole rows, the key before the fields."""
        plan = self._plan
        fields = self._shown([*plan.namespace.fields])
        rows = self._limited(self._read(fields, self._newest()), fields)
        return Table(
            ["time", plan.key, *fields],
            ((row.time, (row.key or None, *row.cells)) for row in rows),
            self._has_texts(fields),
        )

    def of_field(self, field: str) -> Table:
        """Answer one field, without the rows that have no value of it."""
        plan = self._plan
        fields = self._shown([field])
        if fields == [field] and not plan.on_fields and plan.limit_by is None:
            # the question asked most, and each point is a row: half the time
            points = self._store.rows(
                self._series(fields), plan.range.start, plan.range.end, self._newest()
            )
            return Table(
                ["time", field],
                ((time, (value,)) for time, _, value in points),
                self._has_texts(fields),
            )
        rows = self._limited(self._read(fields, self._newest()), fields)
        value_of = self._reader(fields, field)
        cells = ((row.time, (value_of(row),)) for row in rows)
        found = (row for row in cells if row[1][0] is not None)
        return Table(["time", field], found, self._has_texts([field]))

    def aggregated(self, field: str, operator: str) -> Table:
        """Answer what the operator makes of a field."""
        plan = self._plan
        groups = list(plan.grouping.fields)
        if field != plan.key and groups in ([], [plan.key]) and not plan.on_fields:
            found = self._sums_of_the_database(field)
        else:
            found = self._sums_of_rows(field, groups)
        if plan.grouping.width_us is None and plan.range.start is not None:
            start = plan.range.start
            found = ((group, bucket._replace(start=start)) for group, bucket in found)
        if plan.limit_periods is not None:
            found = tables.newest_periods(found, plan.limit_periods)
        is_flag = plan.namespace.fields.get(field) is Kind.BOOLEAN
        rows: Iterator[Row] = (
            Row(bucket.start, "", (tables.value_of_bucket(operator, bucket, is_flag), *group))
            for group, bucket in found
        )
        if plan.limit_by is not None:
            at = 1 + groups.index(plan.limit_by.field)
            rows = tables.newest_per(
                rows, lambda row: row.cells[at], plan.limit_by.rows, self._bounds
            )
        # GO shows null unless the column of an ungrouped operator is the field itself
        is_grouped = bool(groups) or plan.grouping.width_us is not None
        name = f"{operator}({field})" if is_grouped else field
        shown = ((row.time, row.cells) for row in rows)
        return Table(["time", name, *groups], shown, self._has_texts([field, *groups]))

    def _sums_of_the_database(self, field: str) -> Iterator[tuple[tuple[Cell, ...], Bucket]]:
        plan = self._plan
        apart = bool(plan.grouping.fields)
        series = [one for one in self._series([field]) if one.device_id or not apart]
        for at, bucket in self._store.groups(
            series, plan.range.start, plan.range.end, plan.grouping.width_us, apart
        ):
            yield ((series[at].device_id,) if apart else ()), bucket

    def _sums_of_rows(
        self, field: str, groups: Sequence[str]
    ) -> Iterator[tuple[tuple[Cell, ...], Bucket]]:
        plan = self._plan
        fields = self._without_key([field, *groups])
        readers = [self._reader(fields, name) for name in groups]
        return tables.grouped(
            self._read(fields),
            self._reader(fields, field),
            lambda row: tuple(reader(row) for reader in readers),
            plan.grouping.width_us,
            self._bounds,
        )

    def _read(self, fields: Sequence[str], newest: Optional[int] = None) -> Iterator[Row]:
        """Yield the rows that pass the conditions, with cells for `fields`.

        `newest` of each series are enough; None: all.
        """
        plan = self._plan
        columns = _unique([*fields, *(condition.field for condition in plan.on_fields)])
        # the key alone is asked for: every row has it, whatever its fields
        takes_every = plan.field in (None, plan.key)
        series = self._series(None if takes_every else columns)
        place = {name: at for at, name in enumerate(columns)}
        rows = tables.assemble(
            self._store.rows(series, plan.range.start, plan.range.end, newest),
            [one.device_id for one in series],
            [place.get(one.name, -1) for one in series],
            len(columns),
            self._bounds.gaps,
        )
        kinds = plan.namespace.fields
        tests = [
            tables.Test(
                place[condition.field],
                expressions.predicate(condition, kinds.get(condition.field, Kind.TEXT)),
            )
            for condition in plan.on_fields
        ]
        if tests:
            rows = tables.passing(rows, tests)
        if len(columns) > len(fields):
            rows = (row._replace(cells=row.cells[: len(fields)]) for row in rows)
        return rows

    def _series(self, fields: Optional[Sequence[str]]) -> list[Series]:
        """Return the series of these fields (None: of all) whose key passes."""
        plan = self._plan
        equal = (one.text for one in plan.on_key if one.comparison == "eq")
        found = self._store.series.find(
            plan.namespace.project_id,
            plan.namespace.namespace_name,
            next(equal, None) if plan.own_key is None else plan.own_key,
            fields[0] if fields is not None and len(fields) == 1 else None,
        )
        tests = [expressions.predicate(condition, Kind.TEXT) for condition in plan.on_key]
        names = None if fields is None else set(fields)
        return [
            series
            for series in found
            if (names is None or series.name in names)
            and series.name != plan.key
            and all(test(series.device_id or None) for test in tests)
        ]

    def _has_texts(self, fields: Sequence[str]) -> bool:
        kinds = self._plan.namespace.fields
        return Kind.TEXT in [kinds.get(name) for name in fields]

    def _newest(self) -> Optional[int]:
        """Return how many rows of each series can matter; None: all."""
        plan = self._plan
        by_key = plan.limit_by is not None and plan.limit_by.field == plan.key
        if plan.on_fields or (plan.limit_by is not None and not by_key):
            return None  # any row can fall out later
        bounds = [plan.limit, plan.limit_by.rows if plan.limit_by else None]
        return min((bound for bound in bounds if bound is not None), default=None)

    def _limited(self, rows: Iterator[Row], fields: Sequence[str]) -> Iterator[Row]:
        limit_by = self._plan.limit_by
        if limit_by is None:
            return rows
        value_of = self._reader(fields, limit_by.field)
        return tables.newest_per(rows, value_of, limit_by.rows, self._bounds)

    def _shown(self, names: Sequence[str]) -> list[str]:
        """Return the fields that must be read to show these, the limit's among them."""
        limit_by = self._plan.limit_by
        return self._without_key([*names, *([limit_by.field] if limit_by else [])])

    def _without_key(self, names: Sequence[str]) -> list[str]:
        return [name for name in _unique(names) if name != self._plan.key]

    def _reader(self, fields: Sequence[str], name: str) -> Callable[[Row], Cell]:
        """Return what reads one field of a row."""
        if name == self._plan.key:
            return lambda row: row.key or None
        at = fields.index(name)
        return lambda row: row.cells[at]


def _unique(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))
