"""Requests that mean harm: bounded in size, depth and time, and never more than text."""

from __future__ import annotations

import gzip
import http.client
import logging
import re
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from live import ALL, TIMEOUT_S, Live, add_user, running
from shapes import check_shape, concrete, routes

from iobeam_server.api import bodies
from iobeam_server.api.access import Access
from iobeam_server.rules.points import series_column
from iobeam_server.storage.base import INPUT, Batch, Part

MIB = 1024 * 1024
GZIP = {"Content-Encoding": "gzip"}
HOSTILE = [
    "x'; DROP TABLE devices; --",
    'x"; DELETE FROM points; --',
    "' OR '1'='1",
    "%' OR 1=1 --",
    "$1",
    "%s",
    "?",
    ":name",
    "x\r\nSet-Cookie: a=b",
    "x\nHTTP/1.1 200 OK",
    "\0",
    "x\0y",
    "\\",
    "<script>alert(1)</script>",
    "../../etc/passwd",
]


@pytest.fixture
def people(live: Live) -> str:
    return add_user(live, "ann", ALL)


def bodied(live: Live, people: str) -> Iterator[tuple[str, str, str]]:
    """Every route that takes a body: method, path, token."""
    for template, resource in routes(live):
        for method in {"POST", "PATCH", "PUT"} & set(resource.access):
            token = people if resource.access[method] is Access.USER else ""
            yield method, concrete(template), token


def test_a_gzip_bomb_is_refused_while_it_goes_off(live: Live, people: str) -> None:
    bomb = gzip.compress(b" " * (500 * MIB), 1)
    assert len(bomb) < 4 * MIB
    twice = gzip.compress(b" " * (10 * MIB), 1) * 2  # each member within the limit
    for method, path, token in bodied(live, people):
        answer = live.call(method, path, twice, token, GZIP)
        assert (answer.status, answer.error["code"]) == (413, 2), path
    tracemalloc.start()
    try:
        answer = live.call("POST", "/v1/imports", bomb, headers=GZIP)
        assert (answer.status, answer.error["code"]) == (413, 2)
        assert tracemalloc.get_traced_memory()[1] < 60 * MIB
    finally:
        tracemalloc.stop()


def test_a_body_of_very_many_gzip_members_is_refused(live: Live) -> None:
    """Unpacking cost the square of their number, and took no token on some routes."""
    for path, token, members in (("tokens/project", None, 3_000), ("imports", "", 50_000)):
        answer = live.call("POST", f"/v1/{path}", gzip.compress(b"") * members, token, GZIP)
        assert (answer.status, answer.error["code"]) == (400, 1)
        assert "members" in answer.error["message"]
    body = b'{"project_id":1,"device_id":"dev-1","sources":[]}'
    some = b"".join(gzip.compress(body[i : i + 4]) for i in range(0, len(body), 4))
    assert live.call("POST", "/v1/imports", some, headers=GZIP).status == 200
    assert len(body) / 4 <= bodies.MAX_MEMBERS


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"project_id":1,"unknown":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"project_id":1,"sources":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"project_id":1,"data":{"fields":' + b"[" * 200_000,
        b'{"project_id":' + b"9" * 10_000 + b',"user_id":' + b"9" * 10_000 + b',"email":""}',
        b'{"project_id":"' + b"x" * MIB + b'","email":5,"user_id":""}',
    ],
    ids=["open", "lists", "objects", "unknown", "sources", "fields", "digits", "text"],
)
def test_deep_and_long_values_are_refused(live: Live, people: str, body: bytes) -> None:
    for method, path, token in bodied(live, people):
        answer = live.call(method, path, body, token)
        if answer.status != 204:  # keys that a route does not know change nothing
            check_shape(answer)
    assert live.call("GET", "/v1/ping").status == 200


def hostile_requests(text: str) -> Iterator[tuple[str, str, str, Any]]:
    """Yield requests with a text wherever one can be: whose token, method, path, body."""
    sent = quote(text, safe="")
    for path in (
        f"devices/{sent}", f"devices?name={sent}", f"namespaces/{sent}", f"namespaces?name={sent}",
        f"exports/1/{sent}", f"exports/1/all/{sent}", f"exports/{sent}", f"data/{sent}",
        f"data/input/{sent}", f"data/input/all?where=eq({sent},{sent})",
        f"data/input/a?limit_by={sent},1", f"data/input/a?operator=count&group_by={sent}",
        f"data/input?time={sent}", f"exports/1?group_by={sent}&operator={sent}",
        f"/{sent}", f"/page/{sent}",
    ):  # fmt: skip
        yield "project", "GET", path, None
    yield "nobody", "GET", f"tokens/user?name={sent}&password={sent}", None
    for path in ("users?name", "users?search", "projects?name", "tokens/project?project_id"):
        yield "user", "GET", f"{path}={sent}", None
    yield "project", "POST", "devices", {"project_id": 1, "device_id": text}
    yield "project", "POST", "devices", {"project_id": 1, "device_name": text, "device_type": text}
    table = {"fields": ["time", "a"], "data": [[2, 1]]}
    for more in ({"device_id": "dev-1"}, {"labels": {"device_id": text}}, {"labels": {text: text}}):
        body = {"project_id": 1, "namespace": text, "data": table, **more}
        yield "project", "POST", "imports?fmt=table", body
    for name, value in ((text, 1), ("b", text)):
        source = {"fields": ["time", name], "data": [[2, value]]}
        body = {"project_id": 1, "device_id": "dev-1", "sources": source}
        yield "project", "POST", "imports?fmt=table", body
    for key in ("email", "username", "first_name", "password"):
        yield "user", "PATCH", "users/me?old_password=ann", {key: text}
    space = {"namespace_name": "n", "labels": {"a": text}, "partitioning_field": text}
    yield "project", "POST", "namespaces", {"project_id": 1, **space}
    yield "user", "POST", "projects", {"project_name": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(live: Live, people: str, text: str) -> None:
    assert live.send(["time", "a"], [[1, 1]]).status == 200
    pair = b64encode(f"{text}:{text}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    seen = [live.call("GET", "/v1/tokens/user", token=None, headers=headers)]
    tokens = {"project": live.token, "user": people, "nobody": None}
    for whose, method, path, body in hostile_requests(text):
        path = path if path.startswith("/") else f"/v1/{path}"
        seen.append(live.call(method, path, body, tokens[whose]))
    for answer in seen:
        assert answer.status < 500, answer
        assert "Set-Cookie" not in answer.headers
        assert not any("\r" in value or "\n" in value for value in answer.headers.values())
        assert re.match(r"application/json\Z|text/plain;", answer.headers["Content-Type"])
        if answer.status >= 400:
            check_shape(answer)
    assert live.points("1/dev-1/a") == {"a": [[1, 1]]}, "nothing is lost"
    listed = live.call("GET", "/v1/devices").json["devices"]
    assert "dev-1" in [device["device_id"] for device in listed]


def test_text_that_is_stored_comes_back_as_it_was(live: Live) -> None:
    texts = [text for text in HOSTILE if "\0" not in text]
    rows = [[number, text] for number, text in enumerate(texts)]
    assert live.send(["time", "a"], rows).status == 200
    assert live.points() == {"a": rows}


def test_passwords_and_tokens_stay_out_of_every_log(
    live: Live, people: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    live.call("GET", "/v1/tokens/user?name=ann&password=hunter2", token=None)
    live.call("PATCH", "/v1/users/me?old_password=hunter2", {"password": "hunter3"}, people)
    body = {"email": "a@b.c", "password": "hunter4", "invite": "hunter5"}
    live.call("POST", "/v1/users", body, None)
    live.call("POST", "/v1/tokens/project", {"refresh_token": live.token})
    live.call("GET", f"/v1/users/password?reset={live.token}", token=None)

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(live.backend.store.users, "credentials", fail)
    answer = live.call("GET", "/v1/tokens/user?name=ann&password=hunter2", token=None)
    assert answer.status == 500
    assert "a defect" in caplog.text
    for secret in ("hunter", live.token, people, live.token.rpartition(".")[2]):
        assert secret not in caplog.text


def test_a_large_export_takes_little_memory(tmp_path: Path) -> None:
    """Neither the points, nor the text made of them, are ever in memory together."""
    rows, size = 30_000, 1_000
    with running(tmp_path) as live:
        live.register("dev-1")
        column = series_column(
            "a", list(range(rows)), ["x" * size] * rows, 1_000, live.backend.config.max_text_chars
        )
        batch = Batch(1, INPUT, [Part("dev-1", [column])], must_exist=True, register=False)
        assert live.backend.store.write([batch]) == [None]
        for path in ("exports/1?", "exports/1?output=csv&", "data/input?output=csv&"):
            connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=TIMEOUT_S * 3)
            tracemalloc.start()
            try:
                headers = {"Authorization": f"Bearer {live.token}"}
                connection.request("GET", f"/v1/{path}timefmt=usec", headers=headers)
                answer = connection.getresponse()
                assert answer.status == 200
                length = int(answer.headers["Content-Length"])
                assert length > rows * size
                received = 0
                while part := answer.read(65_536):
                    received += len(part)
                assert received == length
                assert tracemalloc.get_traced_memory()[1] < 12 * MIB, path
            finally:
                tracemalloc.stop()
                connection.close()


@pytest.mark.parametrize(
    "query",
    ["from=" + "9" * 31, "limit=" + "9" * 31, "less_than=" + "9" * 400, "equals=" + "9" * 5_000,
     "operator=mean&group_by=" + "9" * 30 + "w", "operator=mean&group_by=0ms",
     "timefmt=" + "x" * 9_000],
)  # fmt: skip
def test_numbers_of_a_query_are_bounded(live: Live, query: str) -> None:
    answer = live.call("GET", f"/v1/exports/1?{query}")
    check_shape(answer)
    assert answer.status == 400
    assert len(answer.body) < 400


def test_ranges_of_a_query_cost_by_points_not_by_length(live: Live) -> None:
    """A bucket of 1 ms over all time is one per point."""
    far = 2**62 // 1_000 * 1_000
    assert live.send(["time", "a"], [[-far, 1], [0, 2], [far, 3]]).status == 200
    query = "operator=sum&group_by=1ms&timefmt=usec"
    found: Any = live.points("1/dev-1/a", f"{query}&from={-(10**30) + 1}&to={10**29}")
    assert found == {"a": [[-far, 1], [0, 2], [far, 3]]}
    rows = live.call("GET", "/v1/data/input/a?operator=sum&group_by=time(1ms)&timefmt=usec").json
    assert [row[:2] for row in rows["result"][0]["values"]] == [[far, 3], [0, 2], [-far, 1]]
