"""``/v1`` and ``/v1/ping``: who is there, and is anybody."""

from __future__ import annotations

import falcon
import msgspec

from iobeam_server import __version__
from iobeam_server.api import shapes
from iobeam_server.api.access import Access, Resource
from iobeam_server.api.operations import Operation, Reply


class Ping(Resource):
    """``/v1/ping``."""

    access = {"GET": Access.PUBLIC}
    pool = "none"
    operations = {"GET": Operation({200: Reply("It serves.", shapes.Nothing)})}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 200 while the process serves; the database is not asked."""
        resp.data = b"{}"


class About(Resource):
    """``/v1``."""

    access = {"GET": Access.PUBLIC}
    operations = {"GET": Operation({200: Reply("What this is.", shapes.About)})}
    pool = "none"

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer what this is, for who opens the address that scripts use."""
        resp.data = msgspec.json.encode(
            shapes.About("iobeam-server", __version__, "/", "/openapi.json", "/v1/ping")
        )
