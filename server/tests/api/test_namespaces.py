from __future__ import annotations

import re
from typing import Any

import pytest
from live import Answer, Live

from iobeam_server.rights.tokens import READ, WRITE

DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000")


def create(live: Live, name: str = "weather", **more: Any) -> Answer:
    body = {"project_id": 1, "namespace_name": name, "partitioning_field": "city", **more}
    return live.call("POST", "/v1/namespaces/", body)


def listed(live: Live, query: str = "") -> list[Any]:
    answer = live.call("GET", f"/v1/namespaces/{query}")
    assert answer.status == 200
    found: list[Any] = answer.json["namespaces"]
    return found


def put(live: Live, number: int, **body: Any) -> Answer:
    return live.call("PUT", f"/v1/namespaces/{number}", {"project_id": 1, **body})


def send(live: Live, fields: list[str], values: list[Any], **more: Any) -> Answer:
    """Import as generation C."""
    body = {"project_id": 1, "data": {"fields": fields, "values": values}, **more}
    return live.call("POST", "/v1/imports?fmt=table", body)


def rows(live: Live, namespace: str, query: str = "", **more: Any) -> list[Any]:
    answer = live.call("GET", f"/v1/data/{namespace}/{query}", **more)
    assert answer.status == 200, answer
    (one,) = answer.json["result"]
    return [one["fields"], *one["values"]]


def test_input_is_there_from_the_start(live: Live) -> None:
    (found,) = listed(live)
    assert DATE.fullmatch(found.pop("created"))
    assert DATE.fullmatch(found.pop("last_modified"))
    assert found == {
        "namespace_id": 1,
        "project_id": 1,
        "namespace_name": "input",
        "partitioning_field": "device_id",
        "fields": {"device_id": "STRING"},
        "labels": {"device_id:distinct": True},
    }


def test_fields_appear_on_import(live: Live) -> None:
    live.send(["time", "i", "r", "b", "t"], [[1, 1, 0.5, True, "x"]])
    assert listed(live)[0]["fields"] == {
        "device_id": "STRING", "i": "DOUBLE", "r": "DOUBLE", "b": "BOOLEAN", "t": "STRING",
    }  # fmt: skip


def test_create_get_and_filter(live: Live) -> None:
    fields = {"city": "STRING", "t": "double", "n": "LONG", "ok": "BOOLEAN", "s": "STRING"}
    answer = create(live, fields=fields, labels={"a": 1, "b": "x", "c": None})
    assert answer.status == 201
    made = answer.json
    assert answer.headers["Location"] == f"/v1/namespaces/{made['namespace_id']}"
    assert answer.headers["Content-Type"] == "application/json"
    assert made["fields"] == {
        "city": "STRING", "t": "DOUBLE", "n": "DOUBLE", "ok": "BOOLEAN", "s": "STRING",
    }  # fmt: skip
    assert made["labels"] == {"a": 1, "b": "x"}
    assert live.call("GET", answer.headers["Location"]).json == made
    for query in ("?namespace_name=weather", "?name=weather", "?name=weather&project_id=1"):
        assert listed(live, query) == [made]
    assert listed(live, "?namespace_name=none") == []
    assert [one["namespace_name"] for one in listed(live)] == ["input", "weather"]


@pytest.mark.parametrize("labels", [{"labels": None, "fields": None}, {}])
def test_labels_and_fields_are_always_objects(live: Live, labels: Any) -> None:
    made = create(live, **labels).json
    assert (made["labels"], made["fields"]) == ({}, {"city": "STRING"})


@pytest.mark.parametrize(
    ("status", "code", "more"),
    [
        (422, 33, {"name": "input"}),
        (400, 1, {"name": ""}),
        (400, 1, {"name": "a/b"}),
        (400, 1, {"name": "ü"}),
        (400, 1, {"name": "x" * 257}),
        (400, 1, {"fields": {"a": "INT"}}),
        (400, 1, {"fields": {"a": 1}}),
        (400, 1, {"fields": []}),
        (400, 1, {"fields": {"city": "LONG"}}),
        (422, 3, {"fields": {"time": "LONG"}}),
        (422, 3, {"fields": {"": "LONG"}}),
        (422, 3, {"partitioning_field": "all"}),
        (400, 1, {"labels": {"a": [1]}}),
        (400, 1, {"labels": {"a": 2**70}}),
        (400, 1, {"labels": {"": 1}}),
        (400, 1, {"labels": {"a": "x" * 5_000}}),
        (400, 1, {"labels": {str(i): i for i in range(101)}}),
        (400, 1, {"fields": {f"f{i}": "LONG" for i in range(1_001)}}),
        (400, 1, {"project_id": 0}),
        (403, 5, {"project_id": 2}),
    ],
)
def test_bad_creations(live: Live, status: int, code: int, more: Any) -> None:
    answer = create(live, **more)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert len(listed(live)) == 1


def test_put_adds_fields_and_replaces_labels(live: Live) -> None:
    made = create(live, fields={"a": "LONG"}, labels={"x": 1}).json
    number = made["namespace_id"]
    answer = put(live, **{**made, "number": number, "fields": {"b": "STRING"}, "labels": {"y": 2}})
    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Type" not in answer.headers
    (found,) = listed(live, "?name=weather")
    assert found["fields"] == {"city": "STRING", "a": "DOUBLE", "b": "STRING"}
    assert found["labels"] == {"y": 2}
    assert put(live, number, labels=None).status == 204
    assert listed(live, "?name=weather")[0]["labels"] == {"y": 2}


def test_put_changes_neither_types_nor_names(live: Live) -> None:
    number = create(live, fields={"a": "LONG"}).json["namespace_id"]
    answer = put(live, number, fields={"b": "LONG", "a": "STRING"}, labels={"z": 1})
    assert (answer.status, answer.error["code"], answer.error["field"]) == (422, 3, "a")
    for more in ({"namespace_name": "x"}, {"partitioning_field": "x"}, {"namespace_id": 99}):
        assert put(live, number, **more).status == 400
    (found,) = listed(live, "?name=weather")
    assert (found["fields"], found["labels"]) == ({"city": "STRING", "a": "DOUBLE"}, {})


def test_the_label_of_input_stays(live: Live) -> None:
    assert put(live, 1, labels={"mine": "x"}).status == 204
    assert listed(live)[0]["labels"] == {"mine": "x", "device_id:distinct": True}


@pytest.mark.parametrize("number", ["99", "x", "0", "-1", "1.0", "1e0", "9" * 30])
def test_unknown_namespaces(live: Live, number: Any) -> None:
    assert live.call("GET", f"/v1/namespaces/{number}").status == 404
    assert put(live, number).status == 404


def test_namespaces_of_another_project_are_not_there(live: Live) -> None:
    live.backend.store.projects.create("two", 0)
    other = live.make_token(project=2)
    number = create(live).json["namespace_id"]
    assert live.call("GET", f"/v1/namespaces/{number}", token=other).status == 404
    answer = live.call("PUT", f"/v1/namespaces/{number}", {"project_id": 2}, token=other)
    assert answer.status == 404
    assert len(live.call("GET", "/v1/namespaces", token=other).json["namespaces"]) == 1


def test_permissions(live: Live) -> None:
    body = {"project_id": 1, "namespace_name": "x"}
    for token in (live.make_token(READ), live.make_token(WRITE, device="dev-1")):
        assert live.call("POST", "/v1/namespaces", body, token).status == 403
        assert live.call("PUT", "/v1/namespaces/1", {"project_id": 1}, token).status == 403
    assert live.call("GET", "/v1/namespaces", token=live.make_token(WRITE)).status == 403


# -- generation C ------------------------------------------------------------------


def test_a_declared_type_binds_imports(live: Live) -> None:
    create(live, fields={"t": "STRING"})
    answer = send(live, ["time", "t"], [[1, 5]], namespace="weather", labels={"city": "Rome"})
    assert (answer.status, answer.error["code"], answer.error["field"]) == (422, 3, "t")


def test_rows_of_a_namespace_are_told_apart_by_its_field(live: Live) -> None:
    create(live)
    for city, value in (("Rome", 20), ("Oslo", 5)):
        answer = send(live, ["time", "t"], [[1, value]], namespace="weather", labels={"city": city})
        assert answer.status == 200
    assert rows(live, "weather") == [["time", "city", "t"], [1, "Oslo", 5], [1, "Rome", 20]]
    assert rows(live, "weather", "t?where=eq(city,Rome)")[1:] == [[1, 20]]
    assert live.points() == {}, "exports show input only"


def test_the_dividing_field_may_be_a_column(live: Live) -> None:
    values = [[1, "dev-a", 1], [1, "dev-b", 2], [2, None, 3]]
    assert send(live, ["time", "device_id", "n"], values).status == 200
    assert rows(live, "input") == [
        ["time", "device_id", "n"], [2, None, 3], [1, "dev-a", 1], [1, "dev-b", 2],
    ]  # fmt: skip
    assert rows(live, "input", "device_id") == [["time", "device_id"], [1, "dev-a"], [1, "dev-b"]]
    assert live.points("1/dev-b/n") == {"n": [[1_000, 2]]}


def test_labels_apply_to_every_row_and_can_be_queried(live: Live) -> None:
    labels = {"device_id": "dev-1", "room": "attic", "floor": 3}
    assert send(live, ["time", "t"], [[1, 5], [2, 6]], labels=labels).status == 200
    assert rows(live, "input") == [
        ["time", "device_id", "floor", "room", "t"],
        [2, "dev-1", 3, "attic", 6],
        [1, "dev-1", 3, "attic", 5],
    ]
    assert rows(live, "input", "t?where=eq(room,attic)&limit=1")[1:] == [[2, 6]]


@pytest.mark.parametrize(
    ("fields", "values", "labels", "status", "row"),
    [
        (["time", "device_id"], [[1, "a"], [2, 5]], {}, 422, 1),
        (["time", "device_id"], [[1, "a"]], {"device_id": "b"}, 400, None),
        (["time", "device_id", "device_id"], [[1, "a", "b"]], {}, 400, None),
        (["time", "n"], [[1, 1]], {"device_id": 5}, 422, None),
        (["time", "n"], [[1, 1]], {"device_id": "a b"}, 400, None),
        (["time", "device_id", "n"], [[1, "a", 1], [2, "b", "x"]], {}, 422, 1),
        (["time", "device_id", "n"], [[1, "a", 1], ["x", "b", 1]], {}, 422, 1),
    ],
)
def test_refusals_name_the_row_of_the_request(
    live: Live, fields: Any, values: Any, labels: Any, status: int, row: Any
) -> None:
    answer = send(live, fields, values, labels=labels)
    assert (answer.status, answer.error.get("row")) == (status, row), answer
    assert listed(live)[0]["fields"] == {"device_id": "STRING"}


def test_device_tokens_in_generation_c(live: Live) -> None:
    create(live)
    own = live.make_token(READ | WRITE, device="dev-1")

    def status(fields: list[str], values: Any, **more: Any) -> int:
        body = {"project_id": 1, "data": {"fields": fields, "values": values}, **more}
        return live.call("POST", "/v1/imports?fmt=table", body, own).status

    assert status(["time", "n"], [[1, 1]], labels={"device_id": "dev-1"}) == 200
    assert status(["time", "device_id", "n"], [[1, "dev-1", 1]]) == 200
    assert status(["time", "n"], [[1, 1]], labels={"device_id": "dev-2"}) == 403
    assert status(["time", "n"], [[1, 1]]) == 403
    assert status(["time", "device_id", "n"], [[1, "dev-1", 1], [1, "dev-2", 1]]) == 403
    assert status(["time", "n"], [[1, 1]], namespace="weather", labels={"city": "dev-1"}) == 403
    assert live.call("GET", "/v1/data/weather", token=own).status == 403
    assert live.call("GET", "/v1/data/input", token=own).status == 200


def test_generation_b_needs_a_namespace_divided_by_device(live: Live) -> None:
    create(live, "log", partitioning_field=None)
    create(live)
    body = {
        "project_id": 1,
        "device_id": "dev-1",
        "data": {"fields": ["time", "n"], "data": [[1, 1]]},
    }
    for namespace, status in (("log", 200), ("weather", 400), ("none", 404)):
        answer = live.call("POST", "/v1/imports?fmt=table", {**body, "namespace": namespace})
        assert answer.status == status
    assert rows(live, "log") == [["time", "device_id", "n"], [1, "dev-1", 1]]
