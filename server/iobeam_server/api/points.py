"""``/v1/points``: points that are not wanted are deleted."""

from __future__ import annotations

import falcon
import msgspec

from iobeam_server import maintenance
from iobeam_server.api import queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import FROM, TO, Operation, Reply
from iobeam_server.errors import BadRequest, NotFound
from iobeam_server.rights.reach import own_device
from iobeam_server.storage.base import INPUT, Span
from iobeam_server.storage.store import Storage


class PointsOfSeries(Resource):
    """``/v1/points/PROJECT/DEVICE/SERIES``."""

    access = {"DELETE": Access.PROJECT_ADMIN}
    pool = "exports"
    timeout = "export_timeout_s"
    operations = {
        "DELETE": Operation(
            {200: Reply("How many there were.", shapes.Deleted)},
            [
                FROM._replace(required=True),
                TO._replace(required=True),
            ],
            refusals=[404, 422],
        )
    }

    def __init__(self, store: Storage) -> None:
        self._store = store

    def on_delete(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        project_id: str,
        device_id: str,
        series: str,
    ) -> None:
        """Delete the points that one series of one device has in a time; for good.

        Query: ``from`` and ``to``, ms, inclusive, both demanded: nothing is deleted because
        something was left out, and ``all`` stands for no device or series here.

        Needs a project token with admin; a device token reaches its own device only.

        Answers: 200 ``{"deleted": n}``; 400/1; 401; 403; 404/32 no such series; 422/3 it took
        too long: some are deleted, the rest is by the same request.
        """
        project = queries.project_id(project_id)
        device = own_device(claims_of(req), project, device_id)
        name = queries.series_name(series)
        if device is None or name is None:
            raise BadRequest("name one device and one series: all stands for none here")
        first, last = queries.bounds(req)
        if first is None or last is None:
            raise BadRequest("from and to are both needed, in ms since the epoch")
        found = self._store.series.find(project, INPUT, device, name)
        if not found:
            raise NotFound(f"device {device!r:.80} has no series {series!r:.80}")
        deleted = maintenance.delete_points(self._store, found, Span(first, last))
        resp.data = msgspec.json.encode(shapes.Deleted(deleted))
