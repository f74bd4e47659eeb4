from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from live import Live, running

from iobeam_server.rights.tokens import READ, WRITE

FIELDS = ["time", "n", "flag", "text"]
ROWS = [[1_000 * i + 7, i, i % 2 == 0, f"t{i}"] for i in range(5)]


@pytest.fixture
def filled(live: Live) -> Live:
    assert live.send(FIELDS, ROWS).status == 200
    return live


def numbers(live: Live, query: str) -> list[Any]:
    return live.points("1/dev-1/n", "timefmt=usec&" + query).get("n", [])


def test_shape(filled: Live) -> None:
    answer = filled.call("GET", "/v1/exports/1/dev-1/n?limit=1")
    assert answer.json == {
        "result": [
            {"project_id": 1, "device_id": "dev-1", "name": "n", "data": [{"time": 4, "value": 4}]}
        ],
        "timefmt": "msec",
    }
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize(
    "path", ["1", "1/", "1/all", "1/dev-1", "1/all/all", "1/dev-1/all/", "1/ALL/All"]
)
def test_all_and_absent_parts(filled: Live, path: str) -> None:
    assert sorted(filled.points(path)) == ["flag", "n", "text"]


@pytest.mark.parametrize("path", ["1/none", "1/dev-1/none", "1/all/N"])
def test_nothing_found(filled: Live, path: str) -> None:
    assert filled.call("GET", f"/v1/exports/{path}").json["result"] == []
    assert filled.call("GET", f"/v1/exports/{path}?output=csv").body.count(b"\n") == 1


def test_bounds_are_milliseconds_and_to_takes_in_its_whole_one(filled: Live) -> None:
    assert [t for t, _ in numbers(filled, "from=1&to=3")] == [1_007, 2_007, 3_007]
    assert numbers(filled, "from=5") == numbers(filled, "from=3&to=1") == []
    assert len(numbers(filled, f"from=-{10**20}&to={10**20}")) == 5


def test_times_in_iso_8601_in_csv(live: Live) -> None:
    rows = [[0, 1], [1_700_000_000_000_001, 2], [-1, 3]]
    assert live.send(["time", "n"], rows).status == 200
    answer = live.call("GET", "/v1/exports/1/dev-1/n?output=csv&timefmt=iso")
    assert [line.split(",")[3] for line in answer.body.decode().splitlines()] == [
        "time",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.000000Z",
        "2023-11-14T22:13:20.000001Z",
    ]
    refused = live.call("GET", "/v1/exports/1/dev-1/n?timefmt=iso")
    assert refused.status == 400
    assert "timefmt must be one of sec, msec, usec, timeval" in refused.json["errors"][0]["message"]


def test_value_filters_and_limit(filled: Live) -> None:
    assert [v for _, v in numbers(filled, "less_than=2")] == [0, 1]
    assert [v for _, v in numbers(filled, "greater_than=2.5")] == [3, 4]
    assert [v for _, v in numbers(filled, "equals=3")] == [3]
    assert [v for _, v in numbers(filled, "limit=2&to=3")] == [2, 3]
    assert filled.points(query="equals=1&timefmt=usec") == {"n": [[1_007, 1]]}


@pytest.mark.parametrize(
    ("unit", "shown"),
    [("sec", 1), ("MSEC", 1_500), ("usec", 1_500_042), ("timeval", {"sec": 1, "usec": 500_042})],
)
def test_time_formats(live: Live, unit: str, shown: Any) -> None:
    live.send(["time", "a"], [[1_500_042, 1]])
    answer = live.call("GET", f"/v1/exports/1/all/all?timefmt={unit}").json
    assert answer["timefmt"] == unit.lower()
    assert answer["result"][0]["data"] == [{"time": shown, "value": 1}]


def test_times_before_1970_round_down(live: Live) -> None:
    live.send(["time", "a"], [[-1, 1]])
    assert live.points(query="timefmt=msec")["a"] == [[-1, 1]]
    assert live.points(query="timefmt=timeval")["a"] == [[{"sec": -1, "usec": 999_999}, 1]]


def test_operators(filled: Live) -> None:
    for operator, value in (("sum", 10), ("count", 5), ("min", 0), ("max", 4), ("MEAN", 2.0)):
        assert numbers(filled, f"operator={operator}") == [[7, value]]
    assert numbers(filled, "operator=count&from=1&to=2") == [[1_000, 2]]
    assert filled.points("1/dev-1/flag", "operator=max")["flag"] == [[0, True]]
    assert filled.points("1/dev-1/text", "operator=max")["text"] == [[0, "t4"]]


def test_group_by(filled: Live) -> None:
    assert numbers(filled, "operator=sum&group_by=2ms") == [[0, 1], [2_000, 5], [4_000, 4]]
    assert numbers(filled, "operator=sum&group_by=2ms&limit=1") == [[4_000, 4]]
    assert numbers(filled, "operator=count&group_by=1d") == [[0, 5]]


def test_sum_of_text(filled: Live) -> None:
    for operator in ("sum", "mean"):
        answer = filled.call("GET", f"/v1/exports/1/all/text?operator={operator}")
        assert (answer.status, answer.error["code"]) == (400, 1)
    assert sorted(filled.points("1", "operator=sum")) == ["flag", "n"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=x", "limit=1.5", "from=x", "to=1e3", "less_than=x",
        "less_than=nan", "equals=inf", "equals=1e999", "greater_than=" + "9" * 200, "timefmt=ms",
        "output=xml", "operator=avg", "operator=mean&group_by=5", "operator=mean&group_by=0s",
        "operator=mean&group_by=-1s", "group_by=5s", "operator=mean&group_by=99999999999999w",
        "limit=%00", "from=%ff", "limit=٣",
    ],
)  # fmt: skip
def test_bad_queries(filled: Live, query: str) -> None:
    from urllib.parse import quote

    answer = filled.call("GET", "/v1/exports/1/all/n?" + quote(query, safe="=&%"))
    assert (answer.status, answer.error["code"]) == (400, 1)


@pytest.mark.parametrize("project", ["0", "x", "-1", "1.0", "True", "9" * 30])
def test_bad_project(filled: Live, project: str) -> None:
    answer = filled.call("GET", f"/v1/exports/{project}/all/all")
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_csv(filled: Live) -> None:
    answer = filled.call("GET", "/v1/exports/1/all/all?output=CSV&limit=1&timefmt=timeval")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.decode().splitlines() == [
        "project_id,device_id,name,time,value",
        "1,dev-1,flag,0.004007,true",
        "1,dev-1,n,0.004007,4",
        "1,dev-1,text,0.004007,t4",
    ]


def test_csv_quotes_what_needs_it(live: Live) -> None:
    texts = ["a,b", 'say "x"', "two\nlines", "ü", "", " "]
    live.send(["time", "a,b"], [[i, text] for i, text in enumerate(texts)])
    body = live.call("GET", "/v1/exports/1/all/all?output=csv").body.decode()
    rows = list(csv.reader(io.StringIO(body)))[1:]
    assert [row[4] for row in rows] == texts
    assert {row[2] for row in rows} == {"a,b"}


@pytest.mark.parametrize("name", ["a/b", "ü x", "a.b", "50%", "a?b#c", ".."])
def test_series_names_survive_the_path(live: Live, name: str) -> None:
    from urllib.parse import quote

    live.send(["time", name, "other"], [[1, 1, 2]])
    assert live.points(f"1/dev-1/{quote(name, safe='')}") == {name: [[1, 1]]}


def test_long_answers_are_spooled_and_whole(tmp_path: Any) -> None:
    with running(tmp_path, spool_bytes=10_000) as live:
        live.register("dev-1")
        rows = [[i, i * 1.5, "x" * 20] for i in range(5_000)]
        assert live.send(["time", "a", "b"], rows).status == 200
        answer = live.call("GET", "/v1/exports/1/all/all?timefmt=usec")
        assert int(answer.headers["Content-Length"]) == len(answer.body) > 100_000
        assert "Transfer-Encoding" not in answer.headers
        assert live.points() == {"a": [r[:2] for r in rows], "b": [[r[0], r[2]] for r in rows]}
        lines = live.call("GET", "/v1/exports/1/all/all?output=csv").body.count(b"\n")
        assert lines == 10_001


def test_permissions_and_device_tokens(filled: Live) -> None:
    filled.register("dev-2")
    filled.send(["time", "n"], [[1, 1]], device="dev-2")
    assert filled.call("GET", "/v1/exports/1", token=filled.make_token(WRITE)).status == 403
    assert filled.call("GET", "/v1/exports/2").status == 403
    own = filled.make_token(READ, device="dev-2")
    found = filled.call("GET", "/v1/exports/1/all/all", token=own).json["result"]
    assert {series["device_id"] for series in found} == {"dev-2"}
    assert filled.call("GET", "/v1/exports/1/dev-1/n", token=own).status == 403
