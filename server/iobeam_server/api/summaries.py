"""``/v1/summaries``: count, least, mean and greatest of points, in one request."""

from __future__ import annotations

from typing import Optional

import falcon

from iobeam_server import summarizing
from iobeam_server.api import answers, queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import (
    FROM,
    INTERVAL,
    TIMEFMT,
    TO,
    Operation,
    Parameter,
    Reply,
)
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest
from iobeam_server.exporting import summaries_as_json
from iobeam_server.rights.reach import own_device
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.store import Storage

MAX_BUCKETS = 10_000


class Summaries(Resource):
    """``/v1/summaries/PROJECT[/DEVICE[/SERIES]]``."""

    access = {"GET": Access.PROJECT_READ}
    pool = "queries"
    timeout = "query_timeout_s"
    operations = {
        "GET": Operation(
            {200: Reply("What the points add up to.", shapes.Summarized)},
            [
                FROM,
                TO,
                INTERVAL,
                Parameter(
                    "buckets",
                    {"type": "integer", "minimum": 1, "maximum": MAX_BUCKETS},
                    "Instead of group_by: a round width that makes at most so many.",
                ),
                TIMEFMT,
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
        """Answer count, least, mean and greatest of each series, in buckets of time.

        Path: as of exports. Query, all optional: ``from``, ``to`` ms, inclusive, ``to``
        with its whole millisecond; ``group_by`` (10m), or ``buckets`` n: the narrowest
        round width that makes at most n from the first to the last point in that time (one
        more where the first begins before it), an hour at least where there are very many
        points; with neither, one bucket over everything; ``timefmt``
        sec | msec | usec | timeval.

        Needs a project token with read; a device token sees its own device only.

        Answers: 200 ``{"result": [{project_id, device_id, name, data: [{time, count, min,
        mean, max}]}], "timefmt", "width_ms"}``, times ascending, of texts the count alone,
        ``[]`` when nothing was found, ``width_ms`` null without buckets; 400/1; 401; 403;
        422/3 it took too long.
        """
        project = queries.project_id(project_id)
        device = own_device(claims_of(req), project, device_id)
        asked = self._asked(req)
        timefmt = queries.time_format(req)
        found = self._store.series.find(project, INPUT, device, queries.series_name(series))
        width_us = summarizing.width_of(self._store, found, asked)
        summaries = summarizing.summaries(self._store, found, asked, width_us)
        pieces = summaries_as_json(project, timefmt, width_us, summaries)
        answers.send(resp, pieces, self._config)

    def _asked(self, req: falcon.Request) -> summarizing.Asked:
        most: Optional[int] = queries.integer(req, "buckets", least=1)
        if most is not None and queries.text(req, "group_by") is not None:
            raise BadRequest("buckets and group_by both say how wide a bucket is; give one of them")
        if most is not None and most > MAX_BUCKETS:
            raise BadRequest(f"buckets must be at most {MAX_BUCKETS}, not {most}")
        return summarizing.Asked(
            *queries.bounds(req),
            queries.interval(req),
            most,
        )
