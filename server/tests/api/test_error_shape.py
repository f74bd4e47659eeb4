"""One shape of refusals across every route, found by asking the router."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Answer, Live, running

from iobeam_server.api.access import Access, Resource
from iobeam_server.tokens import ADMIN, READ, WRITE

CODES = {400: {1}, 401: {4}, 403: {5}, 404: {32}, 405: {6}, 413: {2}, 415: {7}, 422: {3, 150, 151}}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(Path(tmp_path_factory.mktemp("shape"))) as live:
        live.register("dev-1")
        yield live


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
    return path.replace("{series:path}", "all")


def guarded(live: Live) -> list[tuple[str, str, Access]]:
    return [
        (method, concrete(template), rule)
        for template, resource in routes(live)
        for method, rule in resource.access.items()
        if rule is not Access.PUBLIC
    ]


def test_every_method_of_every_route_has_a_rule(shared: Live) -> None:
    found = routes(shared)
    assert len(found) >= 9
    for template, resource in found:
        methods = {m for m in METHODS if hasattr(resource, f"on_{m.lower()}")}
        assert methods == set(resource.access), template


def test_public_routes_are_these(shared: Live) -> None:
    public = {
        (method, template)
        for template, resource in routes(shared)
        for method, rule in resource.access.items()
        if rule is Access.PUBLIC
    }
    assert public == {("GET", "/"), ("GET", "/v1/ping"), ("POST", "/v1/tokens/project")}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer undefined",
        "Bearer a.b.c",
        "Basic YTpi",
        "Bearer \xff",
    ],
)
def test_without_a_good_token_every_guarded_route_answers_401(shared: Live, header: Any) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path, _ in guarded(shared):
        answer = shared.call(method, path, b"{}", token=None, headers=headers)
        assert answer.status == 401, (method, path)
        check_shape(answer)


def test_without_the_permission_every_guarded_route_answers_403(shared: Live) -> None:
    for method, path, rule in guarded(shared):
        lacking = (READ | WRITE | ADMIN) & ~int(rule.value)
        if rule.value == 0:
            continue
        answer = shared.call(method, path, b"{}", shared.make_token(lacking))
        assert answer.status == 403, (method, path)
        check_shape(answer)


def test_a_user_token_is_good_for_no_project_route(shared: Live) -> None:
    from iobeam_server.tokens import TokenSigner

    token, _ = TokenSigner(shared.backend.store.signing_keys()).issue(0, 7, 60, user_id=1)
    for method, path, _ in guarded(shared):
        answer = shared.call(method, path, b"{}", token)
        assert answer.status == 403, (method, path)
        check_shape(answer)


def test_methods_that_are_not_there(shared: Live) -> None:
    for template, resource in routes(shared):
        for method in (*METHODS, "HEAD", "TRACE", "PROPFIND", "FOO"):
            if method in resource.access:
                continue
            answer = shared.call(method, concrete(template))
            assert answer.status == 405, (method, template)
            if method != "HEAD":
                check_shape(answer)


UNKNOWN = ["/x", "/v1", "/v2/ping", "/v1/imports/x", "/v1/exports", "/%00", "/v1/%ff", "//x", "/.."]


@pytest.mark.parametrize("path", [*UNKNOWN, "/v1/devices/a/b"])
def test_unknown_paths(shared: Live, path: str) -> None:
    answer = shared.call("GET", path)
    assert answer.status == 404
    check_shape(answer)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\x00", b'{"project_id":[]}']
)
def test_bad_bodies_on_every_route_that_takes_one(shared: Live, body: bytes) -> None:
    for template, resource in routes(shared):
        for method in {"POST", "PATCH"} & set(resource.access):
            if method == "PATCH" and body == b"{}":
                continue
            check_shape(shared.call(method, concrete(template), body))
            text = shared.call(
                method, concrete(template), body, headers={"Content-Type": "text/plain"}
            )
            assert text.status == 415
            check_shape(text)


def test_no_answer_on_v1_has_a_header_line_too_long_for_the_embedded_client(shared: Live) -> None:
    for path in ("/v1/ping", "/v1/devices", "/v1/exports/1", "/v1/none"):
        answer = shared.call("GET", path)
        assert all(len(f"{k}: {v}") < 190 for k, v in answer.headers.items())
