"""Pages of other origins: kept out unless named, then let in by exactly that name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Answer, Live, running
from shapes import concrete, routes

from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError

OURS = "https://dash.example.org"
ORIGINS = (OURS, "http://localhost:3000")
FOREIGN = [
    "https://dash.example.org.evil.example",
    "http://dash.example.org",
    "https://dash.example.org:8443",
    "https://evil.example",
    "null",
    "*",
    "",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(Path(tmp_path_factory.mktemp("cors")), cors_origins=ORIGINS) as live:
        yield live


def allowed(answer: Answer) -> set[str]:
    return {name.lower() for name in answer.headers if name.lower().startswith("access-control-")}


def preflight(live: Live, path: str, origin: str, method: str = "POST") -> Answer:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return live.call("OPTIONS", path, token=None, headers=headers)


@pytest.mark.parametrize("origin", ORIGINS)
def test_named_origins_may_call_every_route(shared: Live, origin: str) -> None:
    for template, resource in routes(shared):
        for method in resource.access:
            answer = preflight(shared, concrete(template), origin, method)
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"].split(", ")
            assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [("/v1/devices", "", 200), ("/v1/devices", None, 401), ("/v1/none", "", 404)],
)
def test_a_page_can_read_answers_and_refusals(
    shared: Live, path: str, token: Any, status: int
) -> None:
    answer = shared.call("GET", path, token=token, headers={"Origin": OURS})
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert all(len(f"{name}: {value}") < 190 for name, value in answer.headers.items())


@pytest.mark.parametrize("origin", FOREIGN)
def test_other_origins_get_no_header(shared: Live, origin: str) -> None:
    for answer in (
        shared.call("GET", "/v1/devices", headers={"Origin": origin}),
        preflight(shared, "/v1/devices", origin),
    ):
        assert not allowed(answer)
        assert answer.headers["Vary"] == "Origin"


def test_without_the_option_nobody_is_let_in(live: Live) -> None:
    for origin in (*ORIGINS, *FOREIGN):
        answer = live.call("GET", "/v1/devices", headers={"Origin": origin})
        assert not allowed(answer)
        answer = preflight(live, "/v1/imports", origin)
        assert not allowed(answer)
        assert answer.headers["Content-Length"] == str(len(answer.body))


def test_a_preflight_asks_no_token_and_acts_on_nothing(shared: Live) -> None:
    answer = preflight(shared, "/v1/imports", OURS)
    assert answer.status == 204
    plain = shared.call("OPTIONS", "/v1/imports", headers={"Origin": OURS})
    assert "Access-Control-Allow-Methods" not in plain.headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [("HTTPS://Example.ORG", "https://example.org"), ("https://a.org:443", "https://a.org"),
     ("http://[::1]:80", "http://[::1]"), ("http://[::1]:8080", "http://[::1]:8080"),
     ("http://localhost:3000", "http://localhost:3000")],
)  # fmt: skip
def test_an_origin_counts_as_browsers_write_it(tmp_path: Path, given: str, sent: str) -> None:
    with running(tmp_path, cors_origins=(given,)) as live:
        answer = live.call("GET", "/v1/ping", headers={"Origin": sent})
        assert answer.headers["Access-Control-Allow-Origin"] == sent


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "", "example.org", "https://", "https://a.org/", "https://a.org/x", "ftp://a.org",
     "https://u@a.org", "https://a.org\r\nX: y", "https://*.a.org", "https://a.org:"],
)  # fmt: skip
def test_what_is_no_origin_is_refused_at_the_start(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ConfigError, match="--cors"):
        Backend(f"sqlite:///{tmp_path}/a.db", Config(port=0, cors_origins=(origin,)))
