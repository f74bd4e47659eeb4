"""``/v1/data``: the rows of a namespace, filtered, grouped, newest first."""

from __future__ import annotations

from typing import Callable

import falcon

from iobeam_server import rowquery
from iobeam_server.api import answers, queries, shapes
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
from iobeam_server.errors import BadRequest, NotFound
from iobeam_server.exporting import table_as_csv, table_as_json
from iobeam_server.rights.reach import own_key
from iobeam_server.rules.tables import Bounds
from iobeam_server.storage.base import Namespace
from iobeam_server.storage.store import Storage


class Data(Resource):
    """``/v1/data/NAMESPACE[/FIELD]``."""

    access = {"GET": Access.PROJECT_READ}
    pool = "queries"
    timeout = "query_timeout_s"
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
            refusals=[404, 422],
        )
    }

    def __init__(self, store: Storage, config: Config, clock: Callable[[], float]) -> None:
        self._store = store
        self._config = config
        self._bounds = Bounds(config.max_groups, config.max_group_chars, config.max_gaps)
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
        ``time,<namespace>.<field>,..``; 400/1, also for what would be empty for the most
        part, or hold too much in memory; 401; 403; 404/32 no such namespace; 422/3 it took
        too long.

        A row is one time of one device. With a single field, rows without it are left
        out; with all, gaps are null. Grouped, the aggregate is the second column, named
        op(field), and the group's fields follow (wire notes 8.5-8.7).
        """
        found = self._namespace(req, namespace)
        asked = self._asked(req, field)
        key = own_key(claims_of(req), found.namespace_name, found.partitioning_field)
        plan = rowquery.plan(asked, found, key, int(self._clock() * 1_000_000))
        timefmt = queries.time_format(req)
        output = queries.output(req)
        table = rowquery.answer(self._store, plan, self._bounds)
        if output == "csv":
            resp.content_type = answers.CSV
            pieces = table_as_csv(namespace, table, timefmt)
        else:
            pieces = table_as_json(table, timefmt)
        answers.send(resp, pieces, self._config)

    def _namespace(self, req: falcon.Request, name: str) -> Namespace:
        project_id = claims_of(req).pid
        found = self._store.namespaces.find(project_id, name)
        if not found:
            raise NotFound(f"there is no namespace {name!r:.80} in project {project_id}")
        return found[0]

    def _asked(self, req: falcon.Request, field: str) -> rowquery.Asked:
        where = queries.texts(req, "where")
        if len(where) > self._config.max_conditions:
            raise BadRequest(f"more than {self._config.max_conditions} conditions in one query")
        return rowquery.Asked(
            field,
            queries.text(req, "time"),
            where,
            queries.text(req, "operator"),
            queries.text(req, "group_by"),
            queries.text(req, "limit_by"),
            queries.integer(req, "limit_periods", least=1),
            queries.integer(req, "limit", least=1),
        )
