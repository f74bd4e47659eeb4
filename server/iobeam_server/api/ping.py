"""``/v1/ping``: is anybody there."""

from __future__ import annotations

import falcon

from iobeam_server.api import shapes
from iobeam_server.api.access import Access, Resource
from iobeam_server.api.operations import Operation, Reply


class Ping(Resource):
    """``/v1/ping``."""

    access = {"GET": Access.PUBLIC}
    operations = {"GET": Operation({200: Reply("It serves.", shapes.Nothing)})}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 200 while the process serves; the database is not asked."""
        resp.data = b"{}"
