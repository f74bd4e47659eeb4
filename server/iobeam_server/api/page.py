"""``/`` and ``/page/NAME``: the page for people, and the files it is made of."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import falcon

from iobeam_server.api.access import Access, Resource
from iobeam_server.api.operations import Operation, Reply
from iobeam_server.errors import NotFound

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent.parent / "page"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CHART = FOLDER / "uplot"  # not in the repository: a build, an editable one too, puts it there
CHART_FILES = ("uPlot.iife.js", "uPlot.min.css")

# Everything the page needs comes from here, and nothing in it may run that is not a file of
# ours: a device's name that found its way into the markup would still be no script.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


class Asset(NamedTuple):
    body: bytes
    content_type: str
    tag: str


class Page(Resource):
    """``/``."""

    access = {"GET": Access.PUBLIC}
    operations = {
        "GET": Operation(
            {200: Reply("The page.", media=["text/html"]), 304: Reply("The one you have.")}
        )
    }

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._index = assets[INDEX]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the page; it holds no data, those it fetches with the reader's token."""
        # only here: header lines of the API stay under 190 bytes (wire notes 8.4)
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.set_header("Referrer-Policy", "no-referrer")
        _answer(req, resp, self._index)


class PageFiles(Resource):
    """``/page/NAME``."""

    access = {"GET": Access.PUBLIC}
    operations = {
        "GET": Operation(
            {
                200: Reply(
                    "The file.", media=sorted({t.partition(";")[0] for t in TYPES.values()})
                ),
                304: Reply("The one you have."),
            },
            refusals=[404],
        )
    }

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = {name: asset for name, asset in assets.items() if name != INDEX}

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Answer one file of the page, by its exact name; 404/32 for any other."""
        asset = self._assets.get(name)
        if asset is None:
            raise NotFound(f"the page has no file {name!r:.80}")
        _answer(req, resp, asset)


def load_assets() -> dict[str, Asset]:
    """Read the page's files, ours and the chart's, about 200 kB, into memory.

    A request can then name nothing but what is in this table, and no file is
    opened for it.
    """
    paths = [path for path in FOLDER.iterdir() if path.suffix in TYPES]
    chart = [path for path in (CHART / name for name in CHART_FILES) if path.is_file()]
    if len(chart) < len(CHART_FILES):
        # the API goes on without it, and the page then shows its table only
        log.warning(
            "the page has no chart: its script, which an installation puts into %s, is not there; "
            "install the server again",
            CHART,
        )
    return {path.name: _asset(path) for path in [*paths, *chart]}


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])


def _answer(req: falcon.Request, resp: falcon.Response, asset: Asset) -> None:
    resp.set_header("X-Content-Type-Options", "nosniff")
    # Kept, but asked about each time: after an upgrade no file is older than its neighbours.
    resp.set_header("Cache-Control", "no-cache")
    resp.etag = asset.tag
    resp.content_type = asset.content_type
    known = req.if_none_match or []
    if any(tag == "*" or tag == asset.tag for tag in known):  # weak comparison, RFC 9110 13.1.2
        resp.status = falcon.HTTP_304
        return
    resp.data = asset.body
