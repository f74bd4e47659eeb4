"""One shape of refusals across every route, found by asking the router."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import ALL, Live, add_user, running
from shapes import METHODS, check_shape, concrete, routes

from iobeam_server.api.access import Access


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(Path(tmp_path_factory.mktemp("shape"))) as live:
        live.register("dev-1")
        live.user_token = add_user(live, permissions=ALL)  # type: ignore[attr-defined]
        yield live


def test_methods_that_are_not_there(shared: Live) -> None:
    for template, resource in routes(shared):
        for method in (*METHODS, "HEAD", "TRACE", "PROPFIND", "WEBSOCKET", "FOO"):
            if method in resource.access or (method == "HEAD" and "GET" in resource.access):
                continue
            answer = shared.call(method, concrete(template))
            assert answer.status == 405, (method, template)
            if method != "HEAD":
                check_shape(answer)


UNKNOWN = ["/x", "/v1x", "/v2/ping", "/v1/imports/x", "/v1/exports", "/%00", "/v1/%ff"]
UNKNOWN += ["//x", "/.."]


@pytest.mark.parametrize("path", [*UNKNOWN, "/v1/devices/a/b"])
def test_unknown_paths(shared: Live, path: str) -> None:
    answer = shared.call("GET", path)
    assert answer.status == 404
    check_shape(answer)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\x00", b'{"project_id":[],"email":[]}']
)
def test_bad_bodies_on_every_route_that_takes_one(shared: Live, body: bytes) -> None:
    people = shared.user_token  # type: ignore[attr-defined]
    for template, resource in routes(shared):
        for method in {"POST", "PATCH", "PUT"} & set(resource.access):
            token = people if resource.access[method] is Access.USER else ""
            check_shape(shared.call(method, concrete(template), body, token))
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
                headers = {"Content-Type": kind}
                other = shared.call(method, concrete(template), body, token, headers)
                assert other.status == 415, (method, template)
                check_shape(other)


def test_no_answer_on_v1_has_a_header_line_too_long_for_the_embedded_client(shared: Live) -> None:
    for path in ("/v1/ping", "/v1/devices", "/v1/exports/1", "/v1/none"):
        answer = shared.call("GET", path)
        assert all(len(f"{k}: {v}") < 190 for k, v in answer.headers.items())
