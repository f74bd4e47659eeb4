"""Request bodies: media type, coding, size, JSON, and the memory they take together."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import Optional, TypeVar, Union

import falcon
import msgspec

from iobeam_server import memory
from iobeam_server.api.access import Resource
from iobeam_server.budget import Budget
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, TooLarge, UnsupportedMedia
from iobeam_server.rules import structure

FREE_BYTES = 64 * 1024
"""A body up to this is neither counted nor does it take a share of the budget: building some
3 MB of it costs less than the threads that do it."""
PIECE_BYTES = 64 * 1024
ALONE_BYTES = 4 * 1024
"""A body above this is decoded alone: the decoder keeps the interpreter for all of it, a tenth
of a second where it is full of the slowest numbers, and others must get it in between."""
READ_BYTES = 16 * 1024  # of a gzip body at a time: zlib copies what it has not taken yet
# Clients send one. Each costs an object; a body of 20 bytes a member has 800 000 of them.
MAX_MEMBERS = 16

Body = Union[bytes, bytearray]
T = TypeVar("T")


class Intake:
    """The share of one request in the memory for bodies.

    Args:
        budget: for what all bodies are inflated to and what is built of them.
        config: times.
        wire_limit: bytes of the body as it was sent.
        limit: bytes of the body as JSON.
        most: what the JSON may hold.
    """

    def __init__(
        self, budget: Budget, config: Config, wire_limit: int, limit: int, most: structure.Most
    ) -> None:
        self.wire_limit = wire_limit
        self.limit = limit
        self._budget = budget
        self._wait_s = config.decode_wait_s
        self._most = most
        self._share = 0

    def admit(self, pieces: Iterable[bytes]) -> int:
        """Look through a body's JSON, take its share of the budget, return its size.

        Raises:
            TooLarge: it holds more than it may.
            TooBusy: its share did not become free in time.
        """
        found = structure.Structure(self._most)
        for piece in pieces:
            found.feed(piece)
        share = found.size + found.bytes_built
        self._budget.take(share, self._wait_s)
        self._share += share
        return found.size

    def close(self) -> int:
        """Give the share back, return how much it was. Idempotent."""
        share, self._share = self._share, 0
        if share:
            self._budget.give(share)
        return share


class BodyRules:
    """Falcon middleware: what the body of a request may take, by its route.

    What is built of an import stays in memory until it is stored, so a share is given back
    only with the answer.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._returned = memory.Returned()
        # not all of the threads: the others are for imports that need not wait
        self._budget = Budget(config.decoded_bytes, waiting=max(1, 3 * config.threads // 4))
        self._import = structure.of_import(config.max_values, config.max_fields)
        self._other = structure.of_description(config.max_fields)

    def process_resource(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: Optional[object],
        params: dict[str, str],
    ) -> None:
        if req.method not in ("POST", "PUT", "PATCH") or not isinstance(resource, Resource):
            return
        config, most = self._config, resource.max_body_bytes
        req.context.intake = (
            Intake(
                self._budget, config, config.max_body_bytes, config.max_inflated_bytes, self._import
            )
            if most is None
            else Intake(self._budget, config, most, most, self._other)
        )

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        intake = getattr(req.context, "intake", None)
        if intake is not None and (share := intake.close()):
            self._returned.note(share)


def decode(req: falcon.Request, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the body as the decoder's type.

    Raises:
        UnsupportedMedia: not JSON by its Content-Type, or a coding other than gzip.
        TooLarge: more bytes than the route takes, on the wire or inflated, or more in them.
        TooBusy: other bodies take all the memory there is for them.
        msgspec.ValidationError: JSON, but not of that shape.
        BadRequest: anything else that is wrong with it.
    """
    return parse(read(req), decoder)


_decoding = threading.Lock()


def parse(body: Body, decoder: msgspec.json.Decoder[T]) -> T:
    """Return JSON bytes as the decoder's type; see `decode`."""
    if len(body) > ALONE_BYTES:
        with _decoding:
            return _parse(body, decoder)
    return _parse(body, decoder)


def _parse(body: Body, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def read(req: falcon.Request) -> Body:
    """Return the body's JSON, gunzipped; its size and what it holds have been judged."""
    check_type(req)
    coding = (req.get_header("Content-Encoding") or "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(f"Content-Encoding {coding!r:.40} is not accepted, gzip is")
    intake: Intake = req.context.intake
    body: bytes = req.bounded_stream.read(intake.wire_limit + 1)
    if len(body) > intake.wire_limit:
        raise too_large(intake.wire_limit)
    if coding != "identity":
        return _gunzipped(body, intake)
    if len(body) > FREE_BYTES:
        intake.admit(body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES))
    return body


def check_type(req: falcon.Request) -> None:
    """Accept JSON only: forms and plain text can be posted to localhost by any web page."""
    kind = (req.content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMedia(f"Content-Type must be application/json, not {kind!r:.60}")


def _gunzipped(data: bytes, intake: Intake) -> Body:
    """Inflate a body: a small one at once, another one after it was looked through.

    Inflating twice takes 2 ms a MiB more; to keep the pieces meanwhile would take the
    memory before it is known whether there is some.
    """
    try:
        return b"".join(inflated(data, min(FREE_BYTES, intake.limit)))
    except TooLarge:
        if intake.limit <= FREE_BYTES:
            raise
    body = bytearray(intake.admit(inflated(data, intake.limit)))
    at = 0
    for piece in inflated(data, intake.limit):
        body[at : at + len(piece)] = piece
        at += len(piece)
    return body


def inflated(data: bytes, limit: int) -> Iterator[bytes]:
    """Yield the content of a gzip body (one or some members) in pieces.

    Args:
        data: the body.
        limit: bytes that its content may have.

    Raises:
        TooLarge: it has more.
        BadRequest: it is not gzip, cut short, or of too many members.
    """
    member, members, left = None, 0, limit
    for at in range(0, len(data), READ_BYTES):
        rest = data[at : at + READ_BYTES]
        while rest:
            if member is None:
                members += 1
                if members > MAX_MEMBERS:
                    raise BadRequest(f"the gzip body has more than {MAX_MEMBERS} members; send one")
                member = zlib.decompressobj(wbits=31)
            try:
                piece = member.decompress(rest, PIECE_BYTES)
            except zlib.error as error:
                raise BadRequest(f"the body is not gzip: {error}") from None
            left -= len(piece)
            if left < 0:
                raise too_large(limit)
            if piece:
                yield piece
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None:
        raise BadRequest("the gzip body is cut short")


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes; send fewer rows at a time")
