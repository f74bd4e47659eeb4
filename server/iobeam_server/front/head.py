"""Bytes into requests: pure rules of HTTP/1.1 over llhttp; no sockets and no clock."""

from __future__ import annotations

import functools
import re
import weakref
from collections.abc import Mapping
from typing import NamedTuple, Optional
from urllib.parse import quote_from_bytes, unquote_to_bytes

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from iobeam_server.errors import BadRequest, HeaderTooLarge, TooLarge

# what a request line may begin with: a method is a token (RFC 9110, 5.6.2)
BEGINNINGS = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
END = b"\r\n\r\n"
MAX_HEADERS = 200
"""Header lines of one request; clients send some ten, browsers and proxies thirty."""
FRAMING_BYTES = 16 * 1024
"""Chunk lines, extensions and trailers of a chunked body may take this and `FRAMING_SHARE`
times the body: more is somebody who keeps a connection busy."""
FRAMING_SHARE = 8

_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]{1,40}")
_ASCII = bytes(range(128))
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
_WITHOUT_PREFIX = {"CONTENT_TYPE", "CONTENT_LENGTH"}


class Head(NamedTuple):
    """Request line and headers."""

    method: str
    target: str
    """As it was sent."""
    path: str
    """Unquoted, each byte one character, as WSGI wants it."""
    query: str
    version: str
    """1.0 or 1.1."""
    headers: Mapping[str, str]
    """By their names in WSGI: HTTP_HOST, CONTENT_TYPE."""
    length: Optional[int]
    """Bytes of the body; None where it comes in chunks."""
    keeps_alive: bool
    """The client may send another request on this connection."""
    expects_continue: bool


class _Seen:
    """What the parser tells of."""

    __slots__ = ("headers", "is_complete", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


REMEMBERED = 256
"""Heads; a device sends the same one again and again, but for the length of what follows."""
REMEMBERED_BYTES = 2 * 1024  # of each, at most: strangers' heads get a place, too


def parse(data: bytes) -> Head:
    """Return the head of a request.

    Args:
        data: from the method to the empty line, both included.

    Raises:
        BadRequest: it is no proper HTTP, or its end could be understood in two ways.
        HeaderTooLarge: more than `MAX_HEADERS` lines.
    """
    return _remembered(data) if len(data) <= REMEMBERED_BYTES else _parse(data)


def _parse(data: bytes) -> Head:
    name, _, rest = data.partition(b" ")
    method = name.decode("latin-1")
    if not _METHOD.fullmatch(method) or rest.startswith(b" "):
        raise _improper("it does not begin with a method and one space")
    if not data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n"):
        raise _improper("a CR or LF stands alone")
    if not rest.isascii():
        line, end, rest = rest.partition(b"\r\n")  # some clients do not quote a path
        rest = quote_from_bytes(line, safe=_ASCII).encode() + end + rest
    seen = _Seen()
    parser = HttpRequestParser(seen)
    try:
        # by its own name a method has rules of its own, or is unknown to the parser; what is
        # made of a method is the application's affair
        parser.feed_data(b"POST " + rest)
    except HttpParserUpgrade:
        pass  # a wish that is not granted
    except HttpParserError as error:
        raise _improper(str(error) or "it cannot be parsed") from None
    version = parser.get_http_version()
    if not seen.is_complete or version not in ("1.0", "1.1"):
        raise _improper(f"HTTP version {version}")
    headers = _headers(seen.headers)
    target = seen.url.decode("latin-1")
    path, query = _split(target)
    wishes = headers.get("HTTP_CONNECTION", "").lower()
    return Head(
        method,
        target,
        path,
        query,
        version,
        headers,
        _length(headers, version),
        "keep-alive" in wishes if version == "1.0" else "close" not in wishes,
        version == "1.1" and headers.get("HTTP_EXPECT", "").lower() == "100-continue",
    )


_remembered = functools.lru_cache(REMEMBERED)(_parse)


def _improper(why: str) -> BadRequest:
    return BadRequest(f"the request is not proper HTTP: {why}")


_KEYS: dict[bytes, str] = {}  # filled by what is sent; a bound on it keeps strangers from that


def _key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    key = key if key in _WITHOUT_PREFIX else f"HTTP_{key}"
    if len(_KEYS) < MAX_HEADERS and len(name) < 40:
        _KEYS[name] = key
    return key


def _headers(found: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name; several of one name become a list (RFC 9110, 5.3)."""
    if len(found) > MAX_HEADERS:
        raise HeaderTooLarge(f"more than {MAX_HEADERS} header lines")
    headers: dict[str, str] = {}
    for name, value in found:
        if b"_" in name:
            continue  # would be taken for the same name with "-"
        key = _KEYS.get(name) or _key(name)
        text = value.decode("latin-1").strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _length(headers: dict[str, str], version: str) -> Optional[int]:
    """Return the length of the body, by the only header that says it (RFC 9112, 6.3)."""
    length = headers.get("CONTENT_LENGTH")
    coding = headers.pop("HTTP_TRANSFER_ENCODING", None)
    if coding is None:
        if length is None:
            return 0
        if not _DIGITS.fullmatch(length):
            raise _improper(f"Content-Length {length!r:.40}")
        return int(length)
    if length is not None:
        raise _improper("Content-Length and Transfer-Encoding together")
    if coding.lower() != "chunked" or version == "1.0":
        raise _improper(f"Transfer-Encoding {coding!r:.40} in HTTP/{version}; 1.1 has chunked")
    return None


def _split(target: str) -> tuple[str, str]:
    """Return path and query of what was asked for."""
    target = target.partition("#")[0]
    if target.startswith("/"):
        path, _, query = target.partition("?")
        path = "/" + path.lstrip("/") if path.startswith("//") else path
    else:  # a whole URL, as proxies are sent, or "*"
        origin = _ORIGIN.match(target)
        path, _, query = target[origin.end() if origin else 0 :].partition("?")
        path = path or "/"
    return (unquote_to_bytes(path).decode("latin-1") if "%" in path else path), query


class Chunked:
    """The body of one request that comes in chunks.

    Args:
        most: bytes that the body may have.
    """

    def __init__(self, most: int) -> None:
        self.body = bytearray()
        self.is_complete = False
        self.has_more = False
        """Something follows the body that has been thrown away."""
        self._most = most
        self._raw_bytes = 0
        # an object of its own is told: the parser does not take part in garbage collection
        self._parser = HttpRequestParser(_Chunks(self))
        self._parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection.

        Raises:
            BadRequest: they are no chunks, or mostly what stands around them.
            TooLarge: the body is longer than allowed.
        """
        self._raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.is_complete:
                raise _improper(str(error) or "no chunks") from None
            self.has_more = True
        if len(self.body) > self._most:
            raise TooLarge("the body is too large; send fewer rows at a time")
        if self._raw_bytes > FRAMING_BYTES + (1 + FRAMING_SHARE) * len(self.body):
            raise _improper("more is said about chunks than in them")


class _Chunks:
    def __init__(self, chunked: Chunked) -> None:
        self._chunked = weakref.proxy(chunked)

    def on_body(self, part: bytes) -> None:
        self._chunked.body += part

    def on_message_begin(self) -> None:
        if self._chunked.is_complete:
            self._chunked.has_more = True

    def on_message_complete(self) -> None:
        self._chunked.is_complete = True
