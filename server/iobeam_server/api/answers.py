"""Long answers: written piece by piece, sent with a known length."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

import falcon


def send(resp: falcon.Response, pieces: Iterable[bytes], spool_bytes: int) -> None:
    """Make the pieces the body of an answer.

    Up to `spool_bytes` stay in memory; a longer answer goes to a temporary file, so
    that Content-Length is known (several clients cannot read chunked coding, wire
    notes 1) and memory stays flat. Nothing is sent before the last piece is there:
    an error on the way is still an error answer.
    """
    held: list[bytes] = []
    size = 0
    file = None
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if file is None and size > spool_bytes:
                file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by the WSGI server
            if file is not None:
                file.writelines(held)
                held.clear()
    except BaseException:
        if file is not None:
            file.close()
        raise
    if file is None:
        resp.data = b"".join(held)
    else:
        file.seek(0)
        resp.set_stream(file, size)
