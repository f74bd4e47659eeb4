"""``/``: a word for whoever opens the address in a browser."""

from __future__ import annotations

import falcon

from iobeam_server.api.access import Access, Resource

_TEXT = (
    b'{"server":"iobeam-server","api":"/v1/","ping":"/v1/ping",'
    b'"note":"This is the REST API of an iobeam backend. It has no web page yet: '
    b'read data with GET /v1/exports/PROJECT/all/all and a project token."}'
)


class Home(Resource):
    """``/``."""

    access = {"GET": Access.PUBLIC}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say what this is and where the API begins."""
        resp.data = _TEXT
