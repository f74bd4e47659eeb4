"""Bodies that are small on the wire and large in memory, on every route that takes one."""

from __future__ import annotations

import gzip
import http.client
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from attacks.scene import Scene
from attacks.sizes import some
from live import TIMEOUT_S

MIB = 1024 * 1024
AT_ONCE = 32

# Content that is much more as objects, or much more unpacked.
SHAPES = {
    "blanks": b" " * (16 * MIB - 2) + b"{}",
    "empty lists": b"[" + b"[]," * (5 * MIB) + b"[]]",
    "empty objects": b"[" + b"{}," * (5 * MIB) + b"{}]",
    "empty texts": b"[" + b'"",' * (5 * MIB) + b'""]',
    "digits": b"[" + b"1," * (8 * MIB - 2) + b"1]",
    "nesting": b"[" * (8 * MIB) + b"]" * (8 * MIB),
    "one key many times": b"{" + b'"a":0,' * (2 * MIB) + b'"a":0}',
    "a long number": b'{"project_id":' + b"9" * (15 * MIB) + b"}",
    "a long text": b'{"password":"' + b"x" * (15 * MIB) + b'"}',
}
IMPORTS = {
    "empty rows": b'{"project_id":1,"device_id":"beside","sources":{"fields":["time","a"],"data":['
    + b"[]," * (5 * MIB)
    + b"[]]}}",
    "rows of nulls": b'{"project_id":1,"device_id":"beside","sources":{"fields":["time","a"],'
    b'"data":[' + b"[null,null]," * MIB + b"[null,null]]}}",
    "rows of one": b'{"project_id":1,"device_id":"beside","sources":{"fields":["time","a"],'
    b'"data":[' + b"[1,1]," * (2 * MIB) + b"[1,1]]}}",
    "fields": b'{"project_id":1,"device_id":"beside","sources":{"fields":["time",'
    + b'"a",' * (3 * MIB)
    + b'"a"],"data":[]}}',
    "labels": b'{"project_id":1,"namespace":"input","labels":{'
    + b",".join(b'"%d":1' % number for number in range(MIB))
    + b'},"data":{"fields":["time"],"values":[]}}',
    "unknown keys": b'{"project_id":1,"device_id":"beside","other":['
    + b"[]," * (5 * MIB)
    + b'[]],"sources":{"fields":["time"],"data":[]}}',
}
LISTS = {
    "empty series": b'{"project_id":1,"device_id":"beside","sources":['
    + b'{"name":"a","data":[]},' * (MIB // 2)
    + b'{"name":"a","data":[]}]}',
    "points": b'{"project_id":1,"device_id":"beside","sources":[{"name":"a","data":['
    + b'{"time":1,"value":1},' * (MIB // 2)
    + b'{"time":1,"value":1}]}]}',
}


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 9)


PACKED = {name: packed(data) for name, data in {**SHAPES, **IMPORTS, **LISTS}.items()}


class Sender(threading.Thread):
    """Sends one request over and over, on a connection for each."""

    def __init__(self, scene: Scene, method: str, path: str, body: bytes, over: Any) -> None:
        super().__init__(daemon=True)
        self._asked = scene, method, path, body
        self._over = over
        self.statuses: list[int] = []

    def run(self) -> None:
        scene, method, path, body = self._asked
        while not self._over.is_set():
            try:
                answer = scene.call(method, path, body, headers={"Content-Encoding": "gzip"})
                self.statuses.append(answer.status)
            except (OSError, http.client.HTTPException):
                self.statuses.append(0)  # cut off while it was still sending


def send_at_once(scene: Scene, method: str, path: str, body: bytes) -> set[int]:
    """Send one body by many at once for a while; return how it was answered."""
    over = threading.Event()
    senders = [Sender(scene, method, path, body, over) for _ in range(AT_ONCE)]
    for sender in senders:
        sender.start()
    over.wait(1.0)
    over.set()
    for sender in senders:
        sender.join(TIMEOUT_S)
        assert not sender.is_alive()
    return {status for sender in senders for status in sender.statuses}


@pytest.mark.parametrize("name", some([*IMPORTS, *LISTS], "empty rows", "empty series"))
def test_imports_that_inflate_keep_nobody_out(scene: Scene, name: str) -> None:
    path = "/v1/imports" if name in LISTS else "/v1/imports?fmt=table"
    with scene.bystander():
        statuses = send_at_once(scene, "POST", path, PACKED[name])
    assert statuses <= {400, 413, 422, 429}, statuses


@pytest.mark.parametrize("name", some(SHAPES, "empty lists", "nesting"))
def test_bodies_that_inflate_keep_nobody_out_on_any_route(scene: Scene, name: str) -> None:
    """One route after the other, by many at once; without a token where none is needed."""
    with scene.bystander():
        for method, path in taking_bodies(scene):
            over = threading.Event()
            senders = [Sender(scene, method, path, PACKED[name], over) for _ in range(4)]
            for sender in senders:
                sender.start()
            over.wait(0.05)
            over.set()
            for sender in senders:
                sender.join(TIMEOUT_S)
            statuses = {status for sender in senders for status in sender.statuses}
            assert statuses <= {400, 401, 403, 404, 413, 415, 422, 429}, (method, path, statuses)


def test_strangers_who_send_big_bodies_at_once_keep_nobody_out(scene: Scene) -> None:
    with scene.bystander():
        statuses = send_at_once(scene, "POST", "/v1/users/password", PACKED["blanks"])
    assert statuses <= {400, 413, 429}


def test_a_body_of_many_gzip_members_keeps_nobody_out(scene: Scene) -> None:
    body = packed(b"") * 500_000
    with scene.bystander():
        statuses = send_at_once(scene, "POST", "/v1/users/email", body)
    assert statuses <= {0, 400, 413, 429}


def taking_bodies(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of every route that takes a body."""
    described = scene.call("GET", "/openapi.json").json
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                yield method.upper(), re.sub(r"\{\w+\}", "1", path)
