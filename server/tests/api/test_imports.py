from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from live import Live, running

from iobeam_server.rights.tokens import READ, WRITE

T = 1_700_000_000_000_000


def test_table_of_generation_a(live: Live) -> None:
    answer = live.send(["time", "a", "b"], [[T, 1, True], [T + 1, 2.5, None]])
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["Iobeam-Max-Values"] == "20000"
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert live.points() == {"a": [[T, 1], [T + 1, 2.5]], "b": [[T, True]]}


def test_the_unit_is_milliseconds_unless_said(live: Live) -> None:
    body = {"project_id": 1, "device_id": "dev-1", "sources": {"fields": ["time", "a"]}}
    body["sources"]["data"] = [[1_700_000_000_000, 1]]  # type: ignore[index]
    assert live.call("POST", "/v1/imports/?fmt=table", body).status == 200
    assert live.points()["a"] == [[T, 1]]


def test_generation_b(live: Live) -> None:
    body = {
        "project_id": 1,
        "device_id": "dev-1",
        "namespace": "input",
        "data": {"fields": ["a", "time"], "data": [[1, 5]]},
    }
    assert live.call("POST", "/v1/imports?fmt=table", body).status == 200
    assert live.points() == {"a": [[5_000, 1]]}
    answer = live.call("POST", "/v1/imports?fmt=table", body | {"namespace": "other"})
    assert (answer.status, answer.error["code"]) == (404, 32)


def test_generation_c_takes_the_device_from_a_label(live: Live) -> None:
    body = {
        "project_id": 1,
        "data": {"fields": ["time", "a"], "values": [[5, 1], [6, 2]]},
        "labels": {"device_id": "unregistered", "room": "k", "floor": 3},
    }
    assert live.call("POST", "/v1/imports?fmt=table", body).status == 200
    found = live.points("1/unregistered")
    assert found == {
        "a": [[5_000, 1], [6_000, 2]],
        "room": [[5_000, "k"], [6_000, "k"]],
        "floor": [[5_000, 3], [6_000, 3]],
    }
    assert live.call("POST", "/v1/imports?fmt=table", body | {"labels": None}).status == 200
    bad = live.call("POST", "/v1/imports?fmt=table", body | {"labels": {"device_id": 5}})
    assert (bad.status, bad.error["field"]) == (422, "device_id")


def test_list_form(live: Live) -> None:
    body = {
        "project_id": 1,
        "device_id": "dev-1",
        "timefmt": "sec",
        "sources": [
            {"name": "a", "data": [{"time": 2, "value": 1}, {"time": 1, "value": 0.5}]},
            {"name": "b", "data": []},
            {"name": "a", "data": [{"time": 2, "value": 9}]},
        ],
    }
    assert live.call("POST", "/v1/imports", body).status == 200
    assert live.points() == {"a": [[1_000_000, 0.5], [2_000_000, 9]]}
    body["sources"][0]["data"][1]["value"] = {}  # type: ignore[index]
    answer = live.call("POST", "/v1/imports", body)
    assert (answer.status, answer.error["row"], answer.error["field"]) == (422, 1, "a")


def test_empty_data_is_no_error(live: Live) -> None:
    assert live.send(["time", "a"], []).status == 200
    body = {"project_id": 1, "device_id": "dev-1", "sources": []}
    assert live.call("POST", "/v1/imports", body).status == 200


def test_sending_a_chunk_again_changes_nothing(live: Live) -> None:
    rows = [[T + i, i] for i in range(300)]
    for _ in range(2):
        assert live.send(["time", "a"], rows).status == 200
    assert live.points() == {"a": rows}


def test_integers_are_exact(live: Live) -> None:
    rows = [[T, 2**63 - 1], [T + 1, -(2**63)], [T + 2, 2**53 + 1]]
    assert live.send(["time", "a"], rows).status == 200
    assert live.points() == {"a": rows}


def test_unregistered_device_is_told_both_ways_out(live: Live) -> None:
    answer = live.send(["time", "a"], [[T, 1]], device="new")
    assert (answer.status, answer.error["code"]) == (404, 32)
    assert "register" in answer.error["message"]
    assert "--auto-register" in answer.error["message"]
    assert answer.headers["Iobeam-Max-Values"] == "20000"


def test_auto_register(tmp_path: Any) -> None:
    with running(tmp_path, auto_register=True) as live:
        assert live.send(["time", "a"], [[T, 1]], device="new").status == 200
        assert live.call("GET", "/v1/devices/new").status == 200


def refused(live: Live, fields: list[str], rows: list[list[Any]]) -> tuple[Any, ...]:
    answer = live.send(fields, rows)
    error = answer.error
    assert live.points() == {}, "all or nothing"
    return answer.status, error["code"], error.get("row"), error.get("field")


@pytest.mark.parametrize(
    ("fields", "rows", "row", "field"),
    [
        (["time", "a", "b"], [[1, 1, 1], [2, 1, {}]], 1, "b"),
        (["time", "a"], [[1, 1], [2, []]], 1, "a"),
        (["time", "a"], [[1, 1], [2, "n/a"]], 1, "a"),
        (["time", "a"], [[1, 1], [None, 1]], 1, "time"),
        (["time", "a"], [[1, 1], ["x", 1]], 1, "time"),
        (["time", "a"], [[1, 1], [2]], 1, None),
        (["time", "a"], [[1, 1], 5], 1, None),
        (["time", "a"], [[1, 2**70]], 0, "a"),
        (["time", "all"], [[1, 1]], None, "all"),
    ],
)
def test_refusal_names_row_and_field(
    live: Live, fields: list[str], rows: list[Any], row: int, field: str
) -> None:
    assert refused(live, fields, rows) == (422, 3, row, field)


def test_type_conflict_with_what_is_stored(live: Live) -> None:
    assert live.send(["time", "a"], [[1, 1]]).status == 200
    answer = live.send(["time", "a", "b"], [[2, None, 1], [3, True, 1]])
    assert (answer.status, answer.error["row"], answer.error["field"]) == (422, 1, "a")
    assert live.points() == {"a": [[1, 1]]}


RAW_BAD = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"5",
    b"\xff",
    b"\xef\xbb\xbf{}",
    b"[" * 500_000,
    b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"project_id":1}',
    b'{"project_id":true,"device_id":"dev-1","sources":{"fields":["time"],"data":[]}}',
    b'{"project_id":1,"device_id":"dev-1","sources":{"fields":["time"]}}',
    b'{"project_id":1,"device_id":"dev-1","sources":{"fields":[],"data":[]}}',
    b'{"project_id":1,"device_id":"dev-1","sources":{"fields":"time","data":[]}}',
    b'{"project_id":1,"device_id":"dev-1","sources":{"fields":["time",1],"data":[]}}',
    b'{"project_id":1,"device_id":"dev-1","timefmt":"x","sources":{"fields":["time"],"data":[]}}',
    b'{"project_id":1,"sources":{"fields":["time"],"data":[]}}',
    b'{"project_id":1,"device_id":"a b","sources":{"fields":["time"],"data":[]}}',
]
CELLS_BAD = [b"NaN", b"Infinity", b"-Infinity", b'"\\ud800"', b"1e400", b"9" * 5_000, b"01", b"'x'"]


@pytest.mark.parametrize("body", RAW_BAD)
def test_what_is_no_import_is_a_bad_request(live: Live, body: bytes) -> None:
    answer = live.call("POST", "/v1/imports?fmt=table", body)
    assert (answer.status, answer.error["code"]) == (400, 1)


@pytest.mark.parametrize("cell", CELLS_BAD)
def test_literals_that_are_no_json_value(live: Live, cell: bytes) -> None:
    body = (
        b'{"project_id":1,"device_id":"dev-1","sources":{"fields":["time","a"],"data":[[1,%b]]}}'
        % cell
    )
    answer = live.call("POST", "/v1/imports?fmt=table", body)
    assert (answer.status, answer.error["code"]) in [(400, 1), (422, 3)]
    assert live.points() == {}


def test_limits(tmp_path: Any) -> None:
    with running(tmp_path, max_values=10, max_fields=3, max_body_bytes=2_000) as live:
        live.register("dev-1")
        assert live.send(["time", "a"], [[i, 1] for i in range(10)]).status == 200
        answer = live.send(["time", "a"], [[i, 1] for i in range(11)])
        assert (answer.status, answer.error["code"]) == (413, 2)
        assert answer.headers["Iobeam-Max-Values"] == "10"
        assert live.send(["time", "a", "b", "c"], [[1, 1, 1, 1]]).status == 200
        assert live.send(["time", "a", "b", "c", "d"], [[1, 1, 1, 1, 1]]).status == 413
        points = [{"time": i, "value": 1} for i in range(11)]
        body = {"project_id": 1, "device_id": "dev-1", "sources": [{"name": "a", "data": points}]}
        assert live.call("POST", "/v1/imports", body).status == 413


def packed(data: bytes) -> dict[str, Any]:
    return {"body": data, "headers": {"Content-Encoding": "gzip"}}


def test_gzip(live: Live) -> None:
    body = {"project_id": 1, "device_id": "dev-1", "sources": {"fields": ["time", "a"]}}
    body["sources"]["data"] = [[1, 1]]  # type: ignore[index]
    raw = json.dumps(body).encode()
    path = "/v1/imports?fmt=table"
    assert live.call("POST", path, **packed(gzip.compress(raw))).status == 200
    two = gzip.compress(raw[:20]) + gzip.compress(raw[20:])
    assert live.call("POST", path, **packed(two)).status == 200
    for bad in (raw, gzip.compress(raw)[:-9], gzip.compress(raw) + b"x", b"\x1f\x8b"):
        answer = live.call("POST", path, **packed(bad))
        assert (answer.status, answer.error["code"]) == (400, 1)
    bomb = gzip.compress(b" " * (17 * 1024 * 1024))
    answer = live.call("POST", path, **packed(bomb))
    assert (answer.status, answer.error["code"]) == (413, 2)
    many = gzip.compress(b" " * (9 * 1024 * 1024)) * 2
    assert live.call("POST", path, **packed(many)).status == 413
    answer = live.call("POST", path, b"x", headers={"Content-Encoding": "br"})
    assert (answer.status, answer.error["code"]) == (415, 7)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"],
)
def test_bodies_a_web_page_could_post_are_refused(live: Live, kind: str) -> None:
    answer = live.call("POST", "/v1/imports?fmt=table", b"{}", headers={"Content-Type": kind})
    assert (answer.status, answer.error["code"]) == (415, 7)


def test_permissions_and_device_tokens(live: Live) -> None:
    live.register("dev-2")
    body = {"project_id": 1, "device_id": "dev-1", "sources": []}
    for token, status in (
        (live.make_token(READ), 403),
        (live.make_token(WRITE), 200),
        (live.make_token(WRITE, device="dev-1"), 200),
        (live.make_token(WRITE, device="dev-2"), 403),
    ):
        assert live.call("POST", "/v1/imports", body, token).status == status
    assert live.call("POST", "/v1/imports", body | {"project_id": 2}).status == 403
    own = live.make_token(WRITE, device="dev-1")
    for labels, status in (({"device_id": "dev-1"}, 200), ({"device_id": "dev-2"}, 403), ({}, 403)):
        labelled = {"project_id": 1, "data": {"fields": ["time"], "values": []}, "labels": labels}
        assert live.call("POST", "/v1/imports?fmt=table", labelled, own).status == status
