"""Pages of other origins, where `serve --cors` names them; without it no page but ours reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

import falcon

from iobeam_server.errors import ConfigError

METHODS = "GET, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Content-Encoding"
EXPOSED = "Iobeam-Max-Values, Location, Retry-After"
MAX_AGE_S = 600  # browsers ask again after this, so that an origin taken away is soon out

# RFC 6454 6.2, as a browser writes it: no path, and no port where it is the scheme's own.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?", re.ASCII)
_OWN_PORT = re.compile(r"http://.*(?<![0-9]):80|https://.*(?<![0-9]):443")


class Cors:
    """Falcon middleware: lets the pages of some origins call, and answers their preflights.

    Tokens travel in a header that the page must know, never in a cookie: so
    ``Access-Control-Allow-Credentials`` is not sent.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(checked(origin) for origin in origins)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.append_header("Vary", "Origin")  # a cache must not give one origin another's answer
        origin = req.get_header("Origin")
        if origin not in self._origins:
            return
        resp.set_header("Access-Control-Allow-Origin", origin)
        if req.method == "OPTIONS" and req.get_header("Access-Control-Request-Method"):
            resp.set_header("Access-Control-Allow-Methods", METHODS)
            resp.set_header("Access-Control-Allow-Headers", HEADERS)
            resp.set_header("Access-Control-Max-Age", str(MAX_AGE_S))
            resp.status = falcon.HTTP_204
            resp.complete = True
        else:
            resp.set_header("Access-Control-Expose-Headers", EXPOSED)


def checked(origin: str) -> str:
    """Return an origin as browsers send it, or raise ConfigError."""
    found = origin.lower()
    if not _ORIGIN.fullmatch(found):
        raise ConfigError(
            f"--cors takes an origin such as https://example.org or http://localhost:3000, "
            f"without a path, not {origin!r:.100}"
        )
    return found.rpartition(":")[0] if _OWN_PORT.fullmatch(found) else found
