"""Request bodies: media type, coding, size, JSON."""

from __future__ import annotations

import zlib
from typing import TypeVar

import falcon
import msgspec

from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, TooLarge, UnsupportedMedia

# Clients send one. Each costs a copy of what follows it: of a body full of empty ones, 20 bytes
# each, the 100 000th was reached after 2.7 s, the last of 16 MiB would be after minutes.
MAX_MEMBERS = 16

T = TypeVar("T")


def decode(req: falcon.Request, config: Config, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the body as the decoder's type.

    Raises:
        UnsupportedMedia: not JSON by its Content-Type, or a coding other than gzip.
        TooLarge: more bytes than allowed, on the wire or inflated.
        msgspec.ValidationError: JSON, but not of that shape.
        BadRequest: anything else that is wrong with it.
    """
    return parse(read(req, config), decoder)


def parse(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return JSON bytes as the decoder's type; see `decode`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def read(req: falcon.Request, config: Config) -> bytes:
    """Return the body's bytes, gunzipped."""
    check_type(req)
    coding = (req.get_header("Content-Encoding") or "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(f"Content-Encoding {coding!r:.40} is not accepted, gzip is")
    body: bytes = req.bounded_stream.read(config.max_body_bytes + 1)
    if len(body) > config.max_body_bytes:
        raise too_large(config.max_body_bytes)
    return body if coding == "identity" else gunzip(body, config.max_inflated_bytes)


def check_type(req: falcon.Request) -> None:
    """Accept JSON only: forms and plain text can be posted to localhost by any web page."""
    kind = (req.content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMedia(f"Content-Type must be application/json, not {kind!r:.60}")


def gunzip(data: bytes, limit: int) -> bytes:
    """Inflate a gzip body (one or some members) of at most `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while data:
        if len(parts) == MAX_MEMBERS:
            raise BadRequest(f"the gzip body has more than {MAX_MEMBERS} members; send one")
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(data, limit - size + 1)
        except zlib.error as error:
            raise BadRequest(f"the body is not gzip: {error}") from None
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if not member.eof:
            raise BadRequest("the gzip body is cut short")
        parts.append(part)
        data = member.unused_data
    return b"".join(parts)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes; send fewer rows at a time")
