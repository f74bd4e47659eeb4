"""What the clients of 2015 to 2017 send, byte by byte, and what they need back.

Each test is a session of one client, on one connection that stays open, as
wire notes 1, 5, 6.3 and 8 describe it. The clients themselves have been run
against this server where they can still be had.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import pytest
from live import ALL, TIMEOUT_S, Live, add_user

from iobeam_server.rights.tokens import READ, WRITE, TokenSigner

EMBEDDED_LINE = 190  # of a header, what the CC3200 holds
EMBEDDED_BODY = 256
OLD_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", re.ASCII)


class Got(NamedTuple):
    status: int
    lines: list[str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Session:
    """One open connection; checks of every answer what some client depends on."""

    def __init__(self, sock: socket.socket, token: Optional[str]) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")
        self.token = token

    def ask(
        self, method: str, target: str, body: Any = None, auth: Optional[str] = "", *more: str
    ) -> Got:
        """Send a request in one piece; "" is the session's token, None no header."""
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        lines = [f"{method} {target} HTTP/1.1", "Host: api.iobeam.com", *more]
        if auth is not None:
            lines.append(f"Authorization: {auth or f'Bearer {self.token}'}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        self._sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        return self._answer()

    def _answer(self) -> Got:
        lines = []
        while line := self._file.readline().rstrip(b"\r\n"):
            lines.append(line.decode("ascii"))
        headers = dict(line.split(": ", 1) for line in lines[1:])
        status = int(lines[0].split()[1])
        assert all(len(line) < EMBEDDED_LINE for line in lines)
        assert "Transfer-Encoding" not in headers
        assert "Content-Encoding" not in headers
        assert "Connection" not in headers, "kept open"
        assert headers.get("Content-Type") in (
            "application/json",  # Node wants exactly this
            *(["text/plain; charset=utf-8"] if status == 200 else []),
            *([None] if status == 204 else []),
        )
        length = 0 if status == 204 else int(headers["Content-Length"])
        return Got(status, lines, headers, self._file.read(length))

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def session(live: Live, token: Optional[str] = "") -> Iterator[Session]:
    with socket.create_connection(("127.0.0.1", live.port), timeout=TIMEOUT_S) as sock:
        opened = Session(sock, live.token if token == "" else token)
        try:
            yield opened
        finally:
            opened.close()


def old_token(live: Live, age_s: float = 200) -> str:
    """Return a token that has expired."""
    signer = TokenSigner(live.backend.store.keys.signing(), lambda: time.time() - age_s)
    return signer.issue(1, READ | WRITE, 100)[0]


def test_arduino_and_cc3200(live: Live) -> None:
    with session(live) as client:
        made = client.ask("POST", "/v1/devices", b'{"project_id":1}')
        assert made.status == 201
        assert len(made.body) < EMBEDDED_BODY
        assert any(re.fullmatch(r"Content-Length: \d+", line) for line in made.lines)
        device = made.body.split(b'"device_id":', 1)[1].split(b'"')[1].decode()
        assert 16 <= len(device) <= 48
        clock = client.ask("GET", "/v1/devices/timestamp?timefmt=TIMEVAL")
        assert re.search(rb'"sec":\d+,"usec":\d+', clock.body)
        plain = client.ask("GET", "/v1/devices/timestamp")
        assert re.fullmatch(rb'{"server_timestamp":1\d{12}}', plain.body)
        body = (
            f'{{"project_id":1,"device_id":"{device}","sources":[{{"name":"temp","data":'
            '[{"time":1447200000123,"value":21.500000}]}]}'
        ).encode()
        assert client.ask("POST", "/v1/imports", body).status == 200
        refused = client.ask("POST", "/v1/devices", {"project_id": 1, "device_id": device})
        assert (refused.status, refused.json["errors"][0]["code"]) == (422, 150)
        assert len(refused.body) < EMBEDDED_BODY
    assert live.points() == {"temp": [[1_447_200_000_123_000, 21.5]]}


def test_java(live: Live) -> None:
    add_user(live, "ann", ALL)
    more = ("Accept-Encoding: gzip", "Accept: application/json")
    with session(live, old_token(live)) as client:
        # without a storage directory it refreshes first, and after every 401
        assert client.ask("GET", "/v1/devices?project_id=1&offset=0&count=10").status == 401
        fresh = client.ask(
            "POST", "/v1/tokens/project", {"refresh_token": client.token}, None, *more
        )
        assert fresh.status == 200
        assert {"token", "expires", "project_id"} <= set(fresh.json)
        assert OLD_DATE.fullmatch(fresh.json["expires"])
        client.token = fresh.json["token"]
        body = {"project_id": 1, "device_id": "java-1", "created": "2016-06-01 10:00:00 +0200"}
        made = client.ask("POST", "/v1/devices", body, "", *more)
        assert made.status == 201
        assert OLD_DATE.fullmatch(made.json["created"])
        assert (made.json["project_id"], made.json["device_name"]) == (1, "java-1")
        table = {"fields": ["time", "a", "b"], "data": [[1_464_800_000_000, 1, True]]}
        body = {"project_id": 1, "device_id": "java-1", "sources": table}
        assert client.ask("POST", "/v1/imports/?fmt=table", body, "", *more).status == 200
        empty = {**body, "sources": {"fields": ["time", "a"], "data": []}}  # its splitter's
        assert client.ask("POST", "/v1/imports/?fmt=table", empty, "", *more).status == 200
        listed = client.ask("GET", "/v1/devices?project_id=1&offset=0&count=10", None, "", *more)
        assert [one["device_id"] for one in listed.json["devices"]] == ["dev-1", "java-1"]
        assert client.ask("GET", "/v1/devices/java-1").json == made.json
        assert client.ask("DELETE", "/v1/devices/java-1").status == 204
        gone = client.ask("GET", "/v1/devices/java-1")
        assert (gone.status, gone.json["errors"][0]["code"]) == (404, 32)
        assert gone.json["errors"][0]["message"]
        user = client.ask("GET", "/v1/tokens/user?name=ann&password=ann", None, None)
        assert {"token", "expires", "user_id"} <= set(user.json)
    assert live.points()["b"] == [[1_464_800_000_000_000, True]]


def test_node(live: Live) -> None:
    with session(live, old_token(live)) as client:
        fresh = client.ask("POST", "/v1/tokens/project", {"refresh_token": client.token}, None)
        client.token = fresh.json["token"]
        body = {"project_id": 1, "device_id": "node-1", "device_name": "n", "device_type": "pi"}
        made = client.ask("POST", "/v1/devices", body, "", "Accept-Encoding: gzip, deflate")
        assert (made.status, made.json["device_type"]) == (201, "pi")
        named = client.ask("POST", "/v1/devices", {**body, "device_id": "node-2"})
        assert (named.status, named.json["errors"][0]["code"]) == (422, 151)
        both = client.ask("POST", "/v1/devices", body)
        assert (both.status, both.json["errors"][0]["code"]) == (422, 150)
        table = {"fields": ["time", "t"], "data": [[5, 1.5], [6, None]]}
        sent = {"project_id": 1, "device_id": "node-1", "sources": table}
        assert client.ask("POST", "/v1/imports?fmt=table", sent).status == 200
        assert client.ask("GET", "/v1/devices/timestamp").status == 200
        rows = client.ask("GET", "/v1/data/input/t/?limit=10&where=eq(device_id,node-1)")
        assert rows.json == {"result": [{"fields": ["time", "t"], "values": [[5, 1.5]]}]}
        assert client.ask("GET", "/v1/data/input/").status == 200
        query = "limit=5&from=0&operator=mean&group_by=1d&output=json&timefmt=msec"
        shown = client.ask("GET", f"/v1/exports/1/node-1/t?{query}")
        assert shown.json["result"][0]["data"] == [{"time": 0, "value": 1.5}]
        assert client.ask("GET", "/v1/namespaces/?name=input").json["namespaces"]


def test_python_of_2015_and_2016(live: Live) -> None:
    more = ("User-Agent: iobeam python", "Connection: keep-alive", "Accept: */*",
            "Accept-Encoding: gzip, deflate")  # fmt: skip
    add_user(live, "ann", ALL)
    with session(live) as client:
        refresh = {"refresh_token": client.token}
        fresh = client.ask("POST", "/v1/tokens/project", refresh, None, *more)
        assert fresh.status == 200
        # it goes on with the old token
        made = client.ask("POST", "/v1/devices/", {"project_id": 1, "device_id": "py"}, "", *more)
        assert (made.status, made.json["device_name"]) == (201, "py")
        table = {"fields": ["time", "a", "a"], "data": [[1_000, 1, 2]]}  # a column twice
        body = {"project_id": 1, "device_id": "py", "sources": table, "timefmt": "usec"}
        assert client.ask("POST", "/v1/imports?fmt=table", body, "", *more).status == 200
        nan = json.dumps(body).replace("[1000, 1, 2]", "[1000, NaN, -Infinity]").encode()
        assert client.ask("POST", "/v1/imports?fmt=table", nan, "", *more).status == 400
        found = client.ask(
            "GET", "/v1/exports/1/all/all?limit=5&from=0&less_than=3", None, "", *more
        )
        assert found.json["result"][0]["data"] == [{"time": 1, "value": 2}]
        user = client.ask("GET", "/v1/tokens/user", None, f"Basic {b64encode(b'ann:ann').decode()}")
        bearer = f"Bearer {user.json['token']}"
        query = "project_id=1&read=True&write=True&duration=1h&refreshable=True&device_id=py"
        limited = client.ask("GET", f"/v1/tokens/project?{query}", None, bearer, *more)
        assert limited.json["device_id"] == "py"


def test_go(live: Live) -> None:
    go = ("User-Agent: iobeam cli 0.9.1-linux-amd64", "Accept-Encoding: gzip")
    with session(live) as client:
        body = {"project_id": 1, "device_id": "go-1", "device_name": "go"}
        assert client.ask("POST", "/v1/devices", body, "", *go).status == 201
        assert client.ask("GET", "/v1/devices?name=go", None, "", *go).json["device_id"] == "go-1"
        change = {**body, "device_name": "gopher"}
        assert client.ask("PATCH", "/v1/devices/go-1", change, "", *go).status == 200
        same = client.ask("PATCH", "/v1/devices/go-1", change, "", *go)
        assert (same.status, same.body) == (204, b"")
        rows = {"fields": ["t", "time"], "values": [[1, 1_000], [2, 61_000]]}
        sent = {
            "project_id": 1,
            "namespace": "input",
            "data": rows,
            "labels": {"device_id": "go-1"},
        }
        assert client.ask("POST", "/v1/imports?fmt=table", sent, "", *go).status == 200
        made = client.ask(
            "POST",
            "/v1/namespaces/",
            {"project_id": 1, "namespace_name": "rooms", "partitioning_field": "room",
             "fields": {"t": "DOUBLE", "room": "STRING"}, "labels": None},
            "", *go,
        )  # fmt: skip
        assert made.status == 201
        number = made.json["namespace_id"]
        assert made.headers["Location"].endswith(f"/v1/namespaces/{number}")
        assert made.json["labels"] == {}
        whole = client.ask("GET", f"/v1/namespaces/{number}", None, "", *go).json
        whole["fields"]["h"] = "LONG"
        put = client.ask("PUT", f"/v1/namespaces/{number}", whole, "", *go)
        assert (put.status, put.body) == (204, b"")
        query = "limit=10&output=csv&timefmt=msec&time=0,now()&where=eq(device_id,%22go-1%22)"
        table = client.ask("GET", f"/v1/data/input/t?{query}", None, "", *go)
        assert table.body == b"time,input.t\n61000,2\n1000,1\n"
        lines = client.ask("GET", "/v1/data/input/all?output=csv", None, "", *go).body.splitlines()
        assert all("." in name for name in lines[0].decode().split(",")[1:])
        alone = client.ask("GET", "/v1/data/input/t?operator=mean", None, "", *go).json
        assert alone["result"][0]["fields"] == ["time", "t"]
        # until July 2016 it asked the old way
        older = client.ask("GET", "/v1/exports/1/all?limit=10&from=0&output=csv", None, "", *go)
        head, *rest = older.body.decode().splitlines()
        assert head.startswith("project_id,")
        assert [line.split(",")[2] for line in rest] == ["t", "t"]
        gone = client.ask("DELETE", "/v1/devices/go-1", None, "", *go)
        assert (gone.status, gone.body) == (204, b"")
        none = client.ask("GET", "/v1/triggers", None, "", *go)
        assert (none.status, none.json["errors"][0]["code"]) == (404, 32)


def test_grafana(live: Live) -> None:
    ann = add_user(live, "ann", ALL)
    more = ("Accept-Type: application/json", "Access-Control-Allow-Origin: http://localhost:3000")
    with session(live, ann) as client:
        assert client.ask("GET", "/v1/projects/", None, "", *more).json["projects"][0]["project_id"]
        client.token = client.ask("GET", "/v1/tokens/project?project_id=1", None, "", *more).json[
            "token"
        ]
        rows = {"fields": ["time", "t"], "data": [[1_000, 1], [61_000, 3], [62_000, 5]]}
        body = {"project_id": 1, "device_id": "dev-1", "sources": rows}
        assert client.ask("POST", "/v1/imports?fmt=table", body).status == 200
        listed = client.ask("GET", "/v1/namespaces/?namespace_name=input", None, "", *more)
        assert listed.json["namespaces"][0]["labels"]["device_id:distinct"] is True
        first = client.ask("GET", "/v1/data/input/all?limit=1", None, "", *more).json["result"][0]
        assert first["fields"][0] == "time"
        assert set(first["fields"]) == {"time", "device_id", "t"}
        names = client.ask("GET", "/v1/data/input/device_id?limit_by=device_id,1", None, "", *more)
        assert [row[1] for row in names.json["result"][0]["values"]] == ["dev-1"]
        query = "time=0,now()&operator=mean&group_by=time(1m),device_id&limit_periods=100"
        grouped = client.ask("GET", f"/v1/data/input/t?{query}", None, "", *more).json["result"][0]
        assert grouped["fields"] == ["time", "mean(t)", "device_id"]
        assert grouped["values"] == [[60_000, 4, "dev-1"], [0, 1, "dev-1"]]
        nothing = client.ask("GET", "/v1/data/input/nowhere?time=0,1", None, "", *more)
        assert nothing.json == {"result": []}
        odd = client.ask("GET", "/v1/data/input/t?group_by=undefinedt", None, "", *more)
        assert odd.status == 400
        bare = client.ask("GET", "/v1/data/input/device_id", None, "Bearer undefined", *more)
        assert (bare.status, bare.json["errors"][0]["code"]) == (401, 4)
        assert client.ask("GET", "/v1/ping", None, None).status == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_slash_at_the_end_makes_no_difference(live: Live, slash: str) -> None:
    paths = "ping devices devices/timestamp devices/dev-1 exports/1 exports/1/all namespaces"
    paths += " namespaces/1 data/input data/input/t"
    with session(live) as client:
        for path in paths.split():
            assert client.ask("GET", f"/v1/{path}{slash}").status == 200, path
