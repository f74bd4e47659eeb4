"""The head of an answer as it goes out."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Optional

from iobeam_server.front.calling import IDENT, Answer

_names: dict[str, str] = {}  # headers of this application only: some twenty
_date = (0, "")


def head(answer: Answer, version: str, length: Optional[int], keeps_alive: bool) -> bytes:
    """Return status line and headers.

    Args:
        answer: of the application.
        version: of the request.
        length: bytes of the body; None takes what the application said.
        keeps_alive: another request may follow on this connection.
    """
    lines = [f"HTTP/{version} {answer.status}"]
    for name, value in answer.headers:
        shown = _names.get(name) or _named(name)
        if shown != "Content-Length" or (length is None and answer.has_body):
            lines.append(f"{shown}: {value}")
    if length is not None and answer.has_body:
        lines.append(f"Content-Length: {length}")
    if not keeps_alive:
        lines.append("Connection: close")
    elif version == "1.0":
        lines.append("Connection: Keep-Alive")
    lines.append(f"Date: {_today()}\r\nServer: {IDENT}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _named(name: str) -> str:
    """Return a header's name as old clients compare it."""
    shown = _names[name] = "-".join(part.capitalize() for part in name.split("-"))
    return shown


def _today() -> str:
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]
