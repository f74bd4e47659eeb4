"""Bodies that cost more than they are worth: judged before anything is built of them."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live import ALL, Answer, Live, add_user, running
from shapes import concrete, routes

from iobeam_server.api import bodies
from iobeam_server.api.access import Access
from iobeam_server.api.bodies import FREE_BYTES, PIECE_BYTES, READ_BYTES, inflated
from iobeam_server.budget import Budget
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, TooBusy, TooLarge
from iobeam_server.rules import structure

MIB = 1024 * 1024
GZIP = {"Content-Encoding": "gzip"}
HEAD = b'{"project_id":1,"device_id":"dev-1","sources":'
ROWS = HEAD + b'{"fields":["time","a"],"data":['
POINTS = HEAD + b'[{"name":"a","data":['
HOSTILE = {
    "rows": (ROWS, b"[],", b"[]]}}"),
    "cells": (ROWS + b"[", b"0,", b"0]]}}"),
    "nulls": (ROWS + b"[", b"null,", b"0]]}}"),
    "texts": (ROWS + b"[", b'"",', b"0]]}}"),
    "escapes": (ROWS + b"[", b'"\\u0000\\"\\\\",', b"0]]}}"),
    "objects": (ROWS + b"[", b'{"a":0},', b"0]]}}"),
    "depth": (HEAD, b'{"a":', b"0"),
    "brackets": (HEAD, b"[", b"0"),
    "points": (POINTS, b'{"time":1,"value":2},', b'{"time":1,"value":2}]}]}'),
    "series": (HEAD + b"[", b'{"name":"a","data":[]},', b'{"name":"a","data":[]}]}'),
    "fields": (HEAD + b'{"data":[],"fields":[', b'"a",', b'"time"]}}'),
    "labels": (b'{"project_id":1,"labels":{', b'"a":1,', b'"b":1}}'),
    "keys": (b"{", b'"project_id":1,', b'"device_id":"dev-1"}'),
    "unread": (HEAD + b'0,"more":[', b"[],", b"[]]}"),
    "small numbers": (ROWS, b"[1,1e-320],", b"[1,1]]}}"),
    "long numbers": (ROWS, b"[1," + b"7" * 4_000 + b"],", b"[1,1]]}}"),
}


def hostile(name: str, size: int = 16 * MIB - 100) -> bytes:
    begin, unit, end = HOSTILE[name]
    return begin + unit * ((size - len(begin) - len(end)) // len(unit)) + end


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("bodies")) as live:
        live.register("dev-1")
        yield live


def refused(answer: Answer) -> str:
    assert (answer.status, answer.error["code"]) == (413, 2), answer
    return str(answer.error["message"])


@pytest.mark.parametrize("name", HOSTILE)
def test_bodies_that_would_be_huge_are_not_built(server: Live, name: str) -> None:
    """A gzip body of 16 KB took 4 s, in which nobody else was served, and 1 GiB."""
    body = hostile(name)
    packed = gzip.compress(body, 1)
    for query in ("?fmt=table", ""):
        tracemalloc.start()
        try:
            message = refused(server.call("POST", f"/v1/imports{query}", packed, headers=GZIP))
            assert tracemalloc.get_traced_memory()[1] < 5 * MIB
        finally:
            tracemalloc.stop()
        assert "an import of 20000 values in 1000 fields has at most" in message
    refused(server.call("POST", "/v1/imports?fmt=table", body[: 4 * MIB]))
    assert server.points() == {}


def test_one_huge_value_is_refused_where_it_stands(server: Live) -> None:
    for value, status in (
        (b"9" * 300_000, 422),
        (b'"' + b"\\u0041" * 2 * MIB + b'"', 422),
        (b"0." + b"1" * 300_000, 200),
    ):
        answer = server.call("POST", "/v1/imports?fmt=table", ROWS + b"[1," + value + b"]]}}")
        assert answer.status == status, answer
        if status == 422:
            assert (answer.error["row"], answer.error["field"]) == (0, "a")
            assert len(answer.body) < 500


@pytest.mark.parametrize("rest", [b'[2,"\xff"]]}}', b"[2,NaN]]}}", b"[2", b"[2," + b"[" * 50_000])
def test_a_bad_cell_before_what_is_no_json_at_all(server: Live, rest: bytes) -> None:
    """To name the field of the cell, the body was decoded again, and that failed: 500."""
    answer = server.call("POST", "/v1/imports?fmt=table", ROWS + b"[1,{}]," + rest)
    assert (answer.status, answer.error["row"]) == (422, 0)


# -- other routes -----------------------------------------------------------------------------


def bodied(live: Live) -> Iterator[tuple[str, str, str]]:
    """Every route but imports that takes a body: method, path, token."""
    people = add_user(live, "ann", ALL)
    for template, resource in routes(live):
        for method in sorted({"POST", "PATCH", "PUT"} & set(resource.access)):
            if resource.max_body_bytes is not None:
                token = people if resource.access[method] is Access.USER else ""
                yield method, concrete(template), token


def test_other_routes_take_small_bodies_only(server: Live) -> None:
    """A gzip body of 16 KB could be inflated to 16 MiB by who has no token."""
    seen = set()
    bombs = [gzip.compress(hostile("depth"), 1), gzip.compress(b" " * 16 * MIB, 1)]
    for method, path, token in bodied(server):
        seen.add(path)
        most = 4 * MIB if "namespaces" in path else 64 * 1024
        for packed in (gzip.compress(b'{"a":"%b"}' % (b"x" * most)), *bombs):
            tracemalloc.start()
            try:
                message = refused(server.call(method, path, packed, token, GZIP))
                assert tracemalloc.get_traced_memory()[1] < 5 * MIB
            finally:
                tracemalloc.stop()
        assert f"larger than {most} bytes" in message
        refused(server.call(method, path, b" " * (most + 1), token))
    assert {"/v1/users/password", "/v1/users/email", "/v1/users", "/v1/tokens/project"} <= seen


def test_a_namespace_of_long_names_is_taken(server: Live) -> None:
    fields = {f"{number:0250}": "DOUBLE" for number in range(1_000)}
    labels = {f"label {number}": "\u20ac" * 4_096 for number in range(100)}
    body = {"project_id": 1, "namespace_name": "wide", "fields": fields, "labels": labels}
    answer = server.call("POST", "/v1/namespaces", body)
    assert answer.status == 201, answer
    path = f"/v1/namespaces/{answer.json['namespace_id']}"
    assert (
        server.call("PUT", path, gzip.compress(json.dumps(body).encode()), headers=GZIP).status
        == 204
    )
    body["fields"] = {f"{number:060}": "DOUBLE" for number in range(5_000)}
    message = refused(server.call("POST", "/v1/namespaces", body))
    assert "a description with 1000 names has at most" in message


def test_a_coding_on_a_coding_is_not_taken(server: Live) -> None:
    twice = gzip.compress(gzip.compress(b"{}"))
    for coding in ("gzip, gzip", "gzip,identity", "deflate", "br", "x-gzip, gzip"):
        answer = server.call("POST", "/v1/imports", twice, headers={"Content-Encoding": coding})
        assert (answer.status, answer.error["code"]) == (415, 7)


# -- all together -----------------------------------------------------------------------------


def table(rows: int, text: str) -> bytes:
    data = [[number, text] for number in range(rows)]
    return json.dumps(
        {"project_id": 1, "device_id": "dev-1", "sources": {"fields": ["time", "a"], "data": data}}
    ).encode()


def test_imports_of_full_size_wait_for_each_other(tmp_path: Path) -> None:
    body = table(1_000, "x" * 900)
    limits = {"max_body_bytes": len(body), "decoded_bytes": 3 * MIB, "threads": 16}
    with running(tmp_path, **limits) as live:
        live.register("dev-1")
        answers: list[int] = []
        packed = gzip.compress(body)

        def send(number: int) -> None:
            sent = (packed, GZIP) if number % 2 else (body, {})
            answers.append(
                live.call("POST", "/v1/imports?fmt=table", sent[0], headers=sent[1]).status
            )

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 8


def test_every_share_is_given_back(tmp_path: Path) -> None:
    """With a budget of one byte, a body is taken only while no other has a share."""
    good = table(100, "x" * 900)
    other = json.dumps({"a": "x" * 100_000}).encode()
    with running(tmp_path, decoded_bytes=1, decode_wait_s=0.0) as live:
        live.register("dev-1")
        for body, status in (
            (good, 200), (good[:-2], 400), (good.replace(b'x"', b'x","x"', 1), 422), (other, 400),
            (good.replace(b"dev-1", b"dev-2"), 404), (good.replace(b'id": 1,', b'id": 2,', 1), 403),
            (good.replace(b"[99,", b"[0.5,"), 422), (good.replace(b"[99, ", b"[99, {}, "), 422),
        ):  # fmt: skip
            for sent, headers in ((body, {}), (gzip.compress(body), GZIP)):
                answer = live.call("POST", "/v1/imports?fmt=table", sent, headers=headers)
                assert answer.status == status, answer
                assert live.call("POST", "/v1/imports?fmt=table", good).status == 200


def test_who_gets_no_share_is_told_to_come_back() -> None:
    budget = Budget(1_000)
    most = structure.of_import(10, 10)
    intake = bodies.Intake(budget, Config(decode_wait_s=0.0), 1, 1, most)
    budget.take(600)
    with pytest.raises(TooBusy):
        intake.admit([b"x" * 300])
    assert intake.admit([b"x" * 100] * 2) == 200
    assert budget.taken == 1_000, "the body, and the texts that are built of it"
    intake.close()
    intake.close()
    assert budget.taken == 600


# -- gzip -------------------------------------------------------------------------------------

SIZES = st.one_of(
    st.integers(0, 300),
    st.sampled_from([PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, FREE_BYTES * 3, READ_BYTES]),
)


@given(st.lists(st.tuples(SIZES, st.booleans(), st.integers(0, 9)), min_size=1, max_size=4))
def test_what_was_packed_comes_out(members: list[tuple[int, bool, int]]) -> None:
    import random

    chosen = random.Random(len(members))
    plain = [chosen.randbytes(size) if noisy else b"a" * size for size, noisy, _ in members]
    packed = b"".join(gzip.compress(one, level) for one, (_, _, level) in zip(plain, members))
    whole = b"".join(plain)
    assert b"".join(inflated(packed, len(whole))) == whole
    assert all(0 < len(piece) <= PIECE_BYTES for piece in inflated(packed, len(whole)))
    if whole:
        with pytest.raises(TooLarge):
            list(inflated(packed, len(whole) - 1))
    with pytest.raises(BadRequest):
        list(inflated(packed[:-1], len(whole)))


@pytest.mark.parametrize("size", [0, 1, 5_000, 100_000])
def test_what_is_cut_short_or_damaged_is_refused(size: int) -> None:
    packed = gzip.compress(bytes(range(256)) * (size // 256 + 1))
    for end in {1, 5, 10, 11, len(packed) // 2, len(packed) - 8, len(packed) - 1}:
        with pytest.raises(BadRequest, match="cut short"):
            list(inflated(packed[:end], MIB))
    damaged = bytearray(packed)
    damaged[-6] ^= 1  # the check sum
    for bad in (bytes(damaged), packed + bytes(20), zlib.compress(b"x"), b"{}{}{}"):
        with pytest.raises(BadRequest, match="not gzip"):
            list(inflated(bad, MIB))
