"""The routes of a running server, and the one shape of its refusals."""

from __future__ import annotations

import json
from typing import Any

from live import Answer, Live

from iobeam_server.api.access import Resource

CODES = {
    400: {1}, 401: {4}, 403: {5}, 404: {32}, 405: {6}, 413: {2}, 415: {7}, 422: {3, 33, 150, 151},
    429: {8},
}  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes(live: Live) -> list[tuple[str, Resource]]:
    found: list[tuple[str, Resource]] = []

    def walk(nodes: list[Any]) -> None:
        for node in nodes:
            if node.resource is not None:
                found.append((node.uri_template, node.resource))
            walk(node.children)

    walk(live.backend.app._router._roots)
    return found


def check_shape(answer: Answer) -> None:
    assert 400 <= answer.status < 500, answer
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 0
    assert "Transfer-Encoding" not in answer.headers
    body = json.loads(answer.body)
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert set(error) <= {"code", "message", "details", "row", "field"}
    assert type(error["code"]) is int
    assert error["code"] in CODES[answer.status]
    assert isinstance(error["message"], str)
    assert error["message"]


def concrete(template: str) -> str:
    path = template.replace("{project_id}", "1").replace("{device_id}", "dev-1")
    path = path.replace("{series:path}", "all").replace("{field:path}", "all")
    return path.replace("{namespace}", "input").replace("{namespace_id}", "1")
