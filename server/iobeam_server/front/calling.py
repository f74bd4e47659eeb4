"""The application called: a request as WSGI wants it, and what comes back as an answer."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import Any, Callable, Optional, Protocol

from iobeam_server.app import Route
from iobeam_server.front.head import Head

IDENT = "iobeam-server"
WITHOUT_BODY = ("1", "204", "304")  # begin statuses whose answers end with their headers


class Application(Protocol):
    """The WSGI application, and what it says of a request before its body is there."""

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any], /
    ) -> Iterable[bytes]: ...

    def route(self, method: str, path: str) -> Route:
        """Return what kind of work a request is; quick, no database."""

    def judge(self, environ: dict[str, Any]) -> bool:
        """Tell whether token and permission will do; may ask the database."""


class FileBody:
    """`wsgi.file_wrapper`: a long answer in a file, sent in pieces."""

    def __init__(self, file: Any, block_size: int = 0) -> None:
        self.file = file

    def close(self) -> None:
        self.file.close()


class Answer:
    """An answer of the application, as it will go out.

    `file` holds the body where it is not None, `body` else.
    """

    __slots__ = ("body", "file", "headers", "status")

    def __init__(
        self, status: str, headers: list[tuple[str, str]], body: bytes, file: Optional[Any] = None
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.file = file

    @property
    def has_body(self) -> bool:
        return not self.status.startswith(WITHOUT_BODY)


def surroundings(server: str, port: int, scheme: str) -> dict[str, Any]:
    """Return what PEP 3333 wants to be in every request to this server."""
    return {
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "SERVER_SOFTWARE": IDENT,
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.file_wrapper": FileBody,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def environ(
    head: Head, body: bytes, client: str, port: int, around: dict[str, Any]
) -> dict[str, Any]:
    """Return a request as PEP 3333 describes it.

    Args:
        client, port: the other end of the connection.
        around: what `surroundings` returns.
    """
    made = around.copy()
    made["REMOTE_ADDR"] = client
    made["REMOTE_PORT"] = str(port)
    made["REQUEST_METHOD"] = head.method
    made["SERVER_PROTOCOL"] = f"HTTP/{head.version}"
    made["PATH_INFO"] = head.path
    made["REQUEST_URI"] = head.target
    made["QUERY_STRING"] = head.query
    made["wsgi.input"] = BytesIO(body)
    made.update(head.headers)
    if head.length != len(body):  # in chunks; or refused without it
        made["CONTENT_LENGTH"] = str(len(body))
    return made


def status_line(status: int) -> str:
    """Return a status with its words; 4xx and 5xx of later standards without."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Refused"


def call(application: Application, request: dict[str, Any]) -> Answer:
    """Return what the application answers, with its body whole or in a file."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], None]:
        begun.append((status, headers))
        return written.append

    written: list[bytes] = []
    body = application(request, start_response)
    if isinstance(body, FileBody):
        return Answer(*begun[-1], b"", body.file)
    try:
        written.extend(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return Answer(*begun[-1], written[0] if len(written) == 1 else b"".join(written))
