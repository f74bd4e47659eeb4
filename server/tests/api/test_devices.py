from __future__ import annotations

import re
import time
from typing import Any

import pytest
from live import Live

from iobeam_server.rights.tokens import READ, WRITE


def register(live: Live, **body: Any) -> Any:
    return live.call("POST", "/v1/devices", {"project_id": 1, **body})


def test_register_answers_what_every_client_reads(live: Live) -> None:
    answer = register(live, device_id="d", device_name="n", device_type="t", created="x")
    assert answer.status == 201
    created = answer.json.pop("created")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", created)
    assert {k: v for k, v in answer.json.items() if k != "created"} == {
        "project_id": 1, "device_id": "d", "device_name": "n", "device_type": "t",
    }  # fmt: skip
    assert b" :" not in answer.body
    assert b'": ' not in answer.body, "the embedded client scans for the text"


def test_register_without_id_makes_one_that_every_client_can_hold(live: Live) -> None:
    answer = register(live).json
    assert re.fullmatch(r"[a-zA-Z0-9_:-]{16,48}", answer["device_id"])
    assert answer["device_name"] == answer["device_id"]


def test_nulls_count_as_absent(live: Live) -> None:
    assert register(live, device_id=None, device_name=None).status == 201


def test_duplicates(live: Live) -> None:
    assert register(live, device_id="a", device_name="n").status == 201
    for body, code in (
        ({"device_id": "a"}, 150),
        ({"device_id": "a", "device_name": "n"}, 150),
        ({"device_id": "b", "device_name": "n"}, 151),
    ):
        answer = register(live, **body)
        assert (answer.status, answer.error["code"]) == (422, code)


@pytest.mark.parametrize(
    "device_id", ["", "a b", "dev\n", "é", "a/b", "all", "ALL", "timestamp", "x" * 257]
)
def test_bad_device_id(live: Live, device_id: str) -> None:
    answer = register(live, device_id=device_id)
    assert (answer.status, answer.error["code"]) == (400, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"project_id": True},
        {"project_id": "1"},
        {"project_id": 0},
        {"project_id": -1},
        {"project_id": 1.0},
        {"project_id": None},
        {"project_id": 1, "device_id": 5},
        {"project_id": 1, "device_name": ""},
        {"project_id": 1, "device_name": "a\0"},
        {"project_id": 1, "device_type": []},
        [],
        "x",
        None,
    ],
)
def test_bad_body(live: Live, body: Any) -> None:
    answer = live.call("POST", "/v1/devices", b"null" if body is None else body)
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_another_project_or_a_huge_one_is_not_permitted(live: Live) -> None:
    for project in (2, 10**40):
        answer = live.call("POST", "/v1/devices", {"project_id": project})
        assert (answer.status, answer.error["code"]) == (403, 5)


def test_device_token_registers_its_own_id_only(live: Live) -> None:
    token = live.make_token(WRITE, device="own")
    body = {"project_id": 1, "device_id": "other"}
    assert live.call("POST", "/v1/devices", body, token).status == 403
    answer = live.call("POST", "/v1/devices", {"project_id": 1}, token)
    assert (answer.status, answer.json["device_id"]) == (201, "own")


def test_list_get_and_by_name(live: Live) -> None:
    register(live, device_id="a", device_name="Ä b")
    listed = live.call("GET", "/v1/devices?project_id=1").json["devices"]
    assert [d["device_id"] for d in listed] == ["a", "dev-1"]
    page = live.call("GET", "/v1/devices?project_id=1&offset=1&count=1").json["devices"]
    assert [d["device_id"] for d in page] == ["dev-1"]
    one = live.call("GET", "/v1/devices/a").json
    assert one == listed[0] == live.call("GET", "/v1/devices?name=%C3%84+b").json
    for path in ("/v1/devices/none", "/v1/devices?name=none"):
        answer = live.call("GET", path)
        assert (answer.status, answer.error["code"]) == (404, 32)
    assert live.call("GET", "/v1/devices?project_id=2").status == 403


def test_device_token_sees_its_own_device_only(live: Live) -> None:
    register(live, device_id="own")
    token = live.make_token(READ, device="own")
    listed = live.call("GET", "/v1/devices", token=token).json["devices"]
    assert [d["device_id"] for d in listed] == ["own"]
    assert live.call("GET", "/v1/devices/dev-1", token=token).status == 403
    assert live.call("GET", "/v1/devices?name=dev-1", token=token).status == 404


def test_patch(live: Live) -> None:
    body = {"project_id": 1, "device_id": "dev-1", "device_name": "new"}
    assert live.call("PATCH", "/v1/devices/dev-1", body).status == 200
    answer = live.call("PATCH", "/v1/devices/dev-1", body)
    assert (answer.status, answer.body) == (204, b"")
    assert live.call("GET", "/v1/devices/dev-1").json["device_name"] == "new"
    assert live.call("PATCH", "/v1/devices/none", body | {"device_id": "none"}).status == 404
    assert live.call("PATCH", "/v1/devices/dev-1", body | {"device_id": "x"}).status == 400


def test_delete(live: Live) -> None:
    answer = live.call("DELETE", "/v1/devices/dev-1")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers.get("Content-Type", "application/json") == "application/json"
    assert live.call("DELETE", "/v1/devices/dev-1").status == 404


@pytest.mark.parametrize(
    ("unit", "per_second"), [("", 1_000), ("sec", 1), ("MSEC", 1_000), ("usec", 10**6)]
)
def test_timestamp(live: Live, unit: str, per_second: int) -> None:
    before = time.time()
    answer = live.call("GET", f"/v1/devices/timestamp?timefmt={unit}").json
    assert int(before * per_second) <= answer["server_timestamp"] <= time.time() * per_second


def test_timestamp_as_arduino_scans_it(live: Live) -> None:
    answer = live.call("GET", "/v1/devices/timestamp/?timefmt=TIMEVAL")
    assert re.search(rb'"sec":\d+,"usec":\d+', answer.body)
    assert live.call("GET", "/v1/devices/timestamp?timefmt=x").status == 400
