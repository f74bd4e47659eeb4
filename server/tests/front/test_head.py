"""Bytes into requests: what is taken, and what could be understood in two ways."""

from __future__ import annotations

import contextlib
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import BadRequest, HeaderTooLarge, ServerError, TooLarge
from iobeam_server.front import head
from iobeam_server.front.head import Chunked, parse


def made(first: str = "GET /v1/ping HTTP/1.1", *lines: str) -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


def test_a_usual_request() -> None:
    found = parse(
        made(
            "POST /v1/imports?fmt=table HTTP/1.1", "Host: x", "content-type:application/json",
            "Content-Length: 12", "X-Two: a ", "X-Two:\tb", "With_Underscore: c",
        )
    )  # fmt: skip
    assert (found.method, found.path, found.query) == ("POST", "/v1/imports", "fmt=table")
    assert (found.length, found.version, found.keeps_alive) == (12, "1.1", True)
    assert found.headers == {
        "HTTP_HOST": "x",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "12",
        "HTTP_X_TWO": "a, b",
    }


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("//a", "/a", ""),
        ("/a%2Fb%20c?d=%20", "/a/b c", "d=%20"),
        ("http://host:1/a?b", "/a", "b"),
        ("http://host", "/", ""),
        ("*", "*", ""),
        ("/a?b?c#d", "/a", "b?c"),
        ("/\xfc?\xff", "/\xfc", "%FF"),
    ],
)
def test_targets(target: str, path: str, query: str) -> None:
    found = parse(made(f"GET {target} HTTP/1.1"))
    assert (found.path, found.query) == (path, query)


def test_a_head_that_came_before_is_not_parsed_again() -> None:
    data = made("POST / HTTP/1.1", "Content-Length: 7")
    assert parse(data) is parse(bytes(bytearray(data)))
    assert parse(data.replace(b"7", b"8")).length == 8


def test_what_is_remembered_is_bounded() -> None:
    long = made("GET / HTTP/1.1", "A: " + "b" * head.REMEMBERED_BYTES)
    assert parse(long) == parse(long)
    assert parse(long) is not parse(long)
    first = parse(made("GET /first HTTP/1.1"))
    for number in range(head.REMEMBERED):
        parse(made(f"GET /{number} HTTP/1.1"))
    assert parse(made("GET /first HTTP/1.1")) is not first


@pytest.mark.parametrize("method", ["GET", "HUNTER2", "PROPFIND", "M-SEARCH", "QUERY"])
def test_every_method_is_the_applications_affair(method: str) -> None:
    assert parse(made(f"{method} / HTTP/1.1")).method == method


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Close, TE", False),
        ("1.1", "Upgrade", True),
        ("1.0", None, False),
        ("1.0", "Keep-Alive", True),
    ],
)
def test_who_goes_on(version: str, connection: Optional[str], keeps: bool) -> None:
    lines = [] if connection is None else [f"Connection: {connection}", "Upgrade: h2c"]
    assert parse(made(f"GET / HTTP/{version}", *lines)).keeps_alive is keeps


def test_an_upgrade_is_not_granted_and_its_body_is_read() -> None:
    lines = ("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3")
    assert parse(made("POST / HTTP/1.1", *lines)).length == 3


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5, 5"],
        ["Content-Length: +5"],
        ["Content-Length: 0x5"],
        ["Content-Length: 5 5"],
        ["Content-Length:"],
        ["Content-Length: 99999999999999999999"],
        ["Content-Length: \xb2"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: \x0bchunked"],
        ["Transfer-Encoding : chunked"],
        ["X: a\n b"],
        ["X: a", " folded"],
        ["X: a\x00b"],
        ["X\x00: a"],
        [": a"],
        ["no colon"],
        ["X: a\rY: b"],
        ["X: a\nY: b"],
    ],
)
def test_what_could_be_understood_in_two_ways_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadRequest, match="not proper HTTP"):
        parse(made("POST / HTTP/1.1", *lines))


@pytest.mark.parametrize(
    "first",
    [
        "nonsense", "GET /", "GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9", "get / HTTP/1.1",
        "GET  / HTTP/1.1", "GET /a b HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 x",
        "PRI * HTTP/2.0", "G@T / HTTP/1.1", "X" * 50 + " / HTTP/1.1",
    ],
)  # fmt: skip
def test_first_lines_that_are_none(first: str) -> None:
    with pytest.raises(BadRequest, match="not proper HTTP"):
        parse(made(first))


def test_chunks_in_http_1_0_are_refused() -> None:
    with pytest.raises(BadRequest, match="not proper HTTP"):
        parse(made("POST / HTTP/1.0", "Transfer-Encoding: chunked"))


def test_header_lines_are_counted() -> None:
    parse(made("GET / HTTP/1.1", *(["a: b"] * head.MAX_HEADERS)))
    with pytest.raises(HeaderTooLarge):
        parse(made("GET / HTTP/1.1", *(["a: b"] * (head.MAX_HEADERS + 1))))


def test_names_of_strangers_are_not_kept() -> None:
    for number in range(head.MAX_HEADERS * 3):
        parse(made("GET / HTTP/1.1", f"X-{number}: b"))
    assert len(head._KEYS) <= head.MAX_HEADERS


@given(st.binary(max_size=200))
def test_nothing_else_comes_out_of_it(data: bytes) -> None:
    for form in (data, b"GET " + data + b" HTTP/1.1\r\n\r\n", made() + data):
        with contextlib.suppress(ServerError):
            parse(form)


def fed(data: bytes, size: int, most: int = 1_000) -> Chunked:
    chunked = Chunked(most)
    for start in range(0, len(data), size):
        chunked.feed(data[start : start + size])
    return chunked


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_chunks_however_they_come(size: int) -> None:
    found = fed(b"5;name=value\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\n", size)
    assert (bytes(found.body), found.is_complete, found.has_more) == (b"hello world", True, False)


@pytest.mark.parametrize("more", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03", b"x"])
def test_what_follows_the_chunks_is_noted(more: bytes) -> None:
    found = fed(b"5\r\nhello\r\n0\r\n\r\n" + more, 1_000)
    assert (bytes(found.body), found.is_complete, found.has_more) == (b"hello", True, True)


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5\nhello\n0\n\n", b"5 \r\nhello\r\n",
        b"5\r\nhelloX\r\n", b"fffffffffffffffff\r\n", b"\r\n\r\n",
        b"5\r\nhello\r\n0\r\n X: y\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        fed(data, 1_000)


def test_a_body_in_chunks_has_a_limit() -> None:
    assert len(fed(b"64\r\n" + b"x" * 100 + b"\r\n", 1_000, 100).body) == 100
    with pytest.raises(TooLarge):
        fed(b"65\r\n" + b"x" * 101 + b"\r\n", 1_000, 100)


@pytest.mark.parametrize(
    "data", [b"5;" + b"x" * 100_000, b"0\r\n" + b"X: y\r\n" * 20_000, b"1" * 100_000]
)
def test_more_around_the_chunks_than_in_them_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        fed(data, 65_536)


def test_small_chunks_are_taken() -> None:
    assert len(fed(b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n", 65_536, 50_000).body) == 20_000
