"""The page's files over HTTP: headers, lengths, caching, and nothing else but them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import Live, running

from iobeam_server.api import page

FILES = sorted(
    path.name for path in page.FOLDER.iterdir() if path.is_file() and path.name != page.INDEX
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(Path(tmp_path_factory.mktemp("files"))) as live:
        yield live


def test_page_is_answered_without_a_token_under_a_strict_policy(shared: Live) -> None:
    answer = shared.call("GET", "/", token=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    policy = dict(
        rule.partition(" ")[::2] for rule in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_page_has_nothing_inline_and_names_no_other_host(shared: Live) -> None:
    text = shared.call("GET", "/", token=None).body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|//[a-z]", text)
    assert re.findall(r"<script(?![^>]* src=)", text) == []
    for name in re.findall(r'(?:src|href)="([^"#]+)"', text):
        assert shared.call("GET", name, token=None).status == 200, name


@pytest.mark.parametrize("name", [*FILES, *page.CHART_FILES])
def test_each_file_has_type_length_and_tag(shared: Live, name: str) -> None:
    answer = shared.call("GET", f"/page/{name}", token=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == page.TYPES[Path(name).suffix]
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 0
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["Etag"])
    if name in FILES:
        assert answer.body == (page.FOLDER / name).read_bytes()


def test_modules_import_only_modules_that_are_there() -> None:
    for path in page.FOLDER.glob("*.js"):
        for name in re.findall(r'from "([^"]+)"', path.read_text()):
            assert name.startswith("./"), (path, name)
            assert name[2:] in FILES, (path, name)


def test_no_file_writes_markup() -> None:
    for path in page.FOLDER.glob("*.js"):
        text = path.read_text()
        assert not re.search(r"(inner|outer|Adjacent)HTML|\beval\(|\.write\(", text), path


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_file_that_is_known_is_not_sent_again(shared: Live, path: str) -> None:
    tag = shared.call("GET", path, token=None).headers["Etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = shared.call("GET", path, token=None, headers={"If-None-Match": known})
        assert (answer.status, answer.body) == (304, b""), known
        assert answer.headers["Etag"] == tag
    answer = shared.call("GET", path, token=None, headers={"If-None-Match": '"other"'})
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_head_is_get_without_the_body(shared: Live, path: str) -> None:
    answer = shared.call("HEAD", path, token=None)
    assert (answer.status, answer.body) == (200, b"")
    whole = shared.call("GET", path, token=None)
    for name in ("Content-Length", "Content-Type", "Etag"):
        assert answer.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/index.html",
        "/page/no.js",
        "/page/MAIN.JS",
        "/page/..%2fapp.py",
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/uPlot.mousewheel.js",
        "/page/uplot",
        "/page/uplot/uPlot.iife.js",
        "/page/LICENSE.uplot-python",
        "/page/a/main.js",
    ],
)
def test_nothing_but_the_files_is_served(shared: Live, path: str) -> None:
    answer = shared.call("GET", path, token=None)
    assert answer.status == 404
    assert answer.error["code"] == 32


def test_name_with_a_nul_is_refused_as_on_every_route(shared: Live) -> None:
    answer = shared.call("GET", "/page/main.js%00", token=None)
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_policy_is_not_sent_with_the_api(shared: Live) -> None:
    for path in ("/v1/ping", "/v1/devices?project_id=1", "/v1/nothing"):
        headers = shared.call("GET", path).headers
        assert "Content-Security-Policy" not in headers, path
        assert all(len(f"{name}: {value}") < 190 for name, value in headers.items())


def test_without_the_chart_the_rest_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(page, "CHART", tmp_path)
    assets = page.load_assets()
    assert set(assets) == {page.INDEX, *FILES}
    assert str(tmp_path) in caplog.text
    assert "install the server again" in caplog.text
