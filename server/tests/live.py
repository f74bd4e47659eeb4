"""A real server on 127.0.0.1, port 0, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.passwords import Passwords
from iobeam_server.rights.tokens import ADMIN, READ, WRITE, TokenSigner
from iobeam_server.storage.base import User

TIMEOUT_S = 120  # two busy cores: slow is no defect, only never is
ALL = READ | WRITE | ADMIN
PASSWORDS = Passwords()


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["errors"][0]


class Live:
    """Speaks HTTP to a running backend; one connection per request unless told otherwise."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.port = backend.server.port
        self.token = self.make_token()

    def make_token(
        self,
        permissions: int = ALL,
        project: int = 1,
        device: Optional[str] = None,
        life: int = 600,
    ) -> str:
        return issue_token(self.backend.store, project, permissions, life, device, True)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: Optional[str] = "",
        headers: Optional[Mapping[str, str]] = None,
    ) -> Answer:
        """Send one request. A token of "" is the server's full one, None is none."""
        sent = {"Connection": "close"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())

    def register(self, device: str) -> None:
        assert (
            self.call("POST", "/v1/devices", {"project_id": 1, "device_id": device}).status == 201
        )

    def send(
        self, fields: list[str], rows: list[list[Any]], device: str = "dev-1", **more: Any
    ) -> Answer:
        body = {
            "project_id": 1,
            "device_id": device,
            "timefmt": "usec",
            "sources": {"fields": fields, "data": rows},
            **more,
        }
        return self.call("POST", "/v1/imports?fmt=table", body)

    def points(self, path: str = "1/all/all", query: str = "timefmt=usec") -> dict[str, list[Any]]:
        """Export, as {series: [[time, value], ...]}."""
        answer = self.call("GET", f"/v1/exports/{path}?{query}")
        assert answer.status == 200, answer
        return {
            series["name"]: [[point["time"], point["value"]] for point in series["data"]]
            for series in answer.json["result"]
        }

    def raw(self, data: bytes) -> socket.socket:
        """Open a connection and send bytes as they are."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        sock.sendall(data)
        return sock


@contextlib.contextmanager
def running(folder: Path, url: Optional[str] = None, **settings: Any) -> Iterator[Live]:
    """Serve a database, by default a file in the folder."""
    settings.setdefault("threads", 8)
    url = url or f"sqlite:///{folder / 'live.db'}"
    with Backend(url, Config(port=0, **settings)) as backend:
        thread = backend.start()
        try:
            yield Live(backend)
        finally:
            backend.stop()
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()


def date_of(seconds: float) -> str:
    """Return a moment as answers and errors spell it."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(seconds))


def received(sock: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def add_user(live: Live, name: str = "ann", permissions: int = 0, project: int = 1) -> str:
    """Store a user whose password is its name, with a grant if any; return a user token."""
    user = User(0, name, f"{name}@example.org", None, None, None, None, 0, 0.0)
    user = live.backend.store.users.create(user, PASSWORDS.hash(name))
    if permissions:
        live.backend.store.projects.grant(project, user.user_id, permissions)
    return user_token(live, user.user_id)


def user_token(live: Live, user_id: int) -> str:
    return TokenSigner(live.backend.store.keys.signing()).issue(0, 0, 600, user_id=user_id)[0]
