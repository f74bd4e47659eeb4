"""``/v1/exports``: points read back, by project, device and series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

import falcon

from iobeam_server.api import answers, queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import (
    FROM,
    INTERVAL,
    LIMIT_TEXT,
    NUMBER,
    OPERATOR,
    OUTPUT,
    POSITIVE,
    TIMEFMT,
    TO,
    Operation,
    Parameter,
    Reply,
    one_of,
)
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest
from iobeam_server.exporting import Found, Shown, as_csv, as_json
from iobeam_server.rights.reach import own_device
from iobeam_server.rules import aggregates, units
from iobeam_server.rules.points import Kind
from iobeam_server.storage.base import INPUT, Selection, Series
from iobeam_server.storage.store import Storage


class _Query(NamedTuple):
    project_id: int
    device_id: Optional[str]
    series: Optional[str]
    selection: Selection
    timefmt: str
    operator: Optional[str]
    width_us: Optional[int]


class Exports(Resource):
    """``/v1/exports/PROJECT[/DEVICE[/SERIES]]``."""

    access = {"GET": Access.PROJECT_READ}
    pool = "exports"
    timeout = "export_timeout_s"
    operations = {
        "GET": Operation(
            {200: Reply("The points found.", shapes.Exported, ["text/plain"])},
            [
                FROM,
                TO,
                Parameter("less_than", NUMBER, "Only values below."),
                Parameter("greater_than", NUMBER, "Only values above."),
                Parameter("equals", NUMBER, "Only values equal to it."),
                Parameter("limit", POSITIVE, f"The last n of each series. {LIMIT_TEXT}"),
                OPERATOR,
                INTERVAL,
                TIMEFMT._replace(
                    schema=one_of(*units.TIME_FORMATS, units.ISO),
                    text="Unit of times in the answer; msec. iso, of CSV alone, is ISO 8601.",
                ),
                OUTPUT,
            ],
            refusals=[422],
        )
    }

    def __init__(self, store: Storage, config: Config) -> None:
        self._store = store
        self._config = config

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project_id: str,
        device_id: str = "all",
        series: str = "all",
    ) -> None:
        """Answer the points of one, some or all series, ascending in time.

        Path: ``all`` or nothing stands for every device or series. Query, all
        optional: ``from``, ``to`` ms, inclusive, ``to`` with its whole millisecond;
        ``less_than``, ``greater_than`` exclusive and ``equals``, which leave out what
        is not a number; ``limit`` n: the last n of each series; ``timefmt``
        sec | msec | usec | timeval, of CSV
        iso too; ``operator`` sum | count | min | max | mean,
        with ``group_by`` (10m) per bucket, else over everything; ``output`` json | csv.

        Needs a project token with read; a device token sees its own device only.

        Answers: 200 ``{"result": [{project_id, device_id, name, data: [{time,
        value}]}], "timefmt"}``, ``[]`` when nothing was found, or CSV with the
        header project_id,device_id,name,time,value; 400/1; 401; 403; 422/3 it took
        too long.
        """
        output = queries.output(req)
        query = self._query(req, project_id, device_id, series, output)
        found = self._found(query)
        if output == "csv":
            resp.content_type = answers.CSV
            pieces = as_csv(query.project_id, query.timefmt, found)
        else:
            pieces = as_json(query.project_id, query.timefmt, found)
        answers.send(resp, pieces, self._config)

    def _query(
        self, req: falcon.Request, project_id: str, device_id: str, series: str, output: str
    ) -> _Query:
        project = queries.project_id(project_id)
        device = own_device(claims_of(req), project, device_id)
        operator = queries.text(req, "operator")
        if operator is None and queries.text(req, "group_by") is not None:
            raise BadRequest("group_by needs an operator, such as operator=mean")
        return _Query(
            project,
            device,
            queries.series_name(series),
            Selection(
                *queries.bounds(req),
                less_than=queries.number(req, "less_than"),
                greater_than=queries.number(req, "greater_than"),
                equals=queries.number(req, "equals"),
                limit=queries.integer(req, "limit", least=1),
            ),
            queries.time_format(req, *([units.ISO] if output == "csv" else [])),
            None if operator is None else aggregates.parse_operator(operator),
            queries.interval(req),
        )

    def _found(self, query: _Query) -> Found:
        """Yield each series of the query with its points or buckets."""
        all_series = self._store.series.find(query.project_id, INPUT, query.device_id, query.series)
        for series in all_series:
            if query.operator is None:
                yield series, self._store.points(series, query.selection)
                continue
            if series.kind is Kind.TEXT and query.operator in ("sum", "mean"):
                if query.series is not None:
                    raise BadRequest(f"{query.operator} of text: {series.name!r} holds strings")
                continue  # of "all", those that can be added up
            yield series, self._aggregated(query, series, query.operator)

    def _aggregated(self, query: _Query, series: Series, operator: str) -> Iterator[Shown]:
        is_flag = series.kind is Kind.BOOLEAN and operator in ("min", "max")
        for bucket in self._store.buckets(series, query.selection, query.width_us):
            value = aggregates.apply(operator, bucket)
            yield bucket.start, bool(value) if is_flag else value
