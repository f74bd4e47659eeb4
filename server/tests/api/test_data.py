from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from engines import ENGINES
from hypothesis import given, settings
from hypothesis import strategies as st
from live import Live, running

from iobeam_server.rights.tokens import READ, WRITE


@pytest.fixture(scope="module", params=ENGINES)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Two devices: dev-1 with every kind at 0..4 ms, dev-2 with n alone at 0..2 ms."""
    with contextlib.ExitStack() as stack:
        url = None
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("postgres").schema())
        live = stack.enter_context(running(Path(tmp_path_factory.mktemp("data")), url))
        for device in ("dev-1", "dev-2"):
            live.register(device)
        fields = ["time", "n", "flag", "text"]
        live.send(fields, [[1_000 * i + 7, i, i % 2 == 0, f"t{i}"] for i in range(5)])
        live.send(["time", "n"], [[1_000 * i + 7, 10 * i] for i in range(3)], device="dev-2")
        yield live


def ask(live: Live, path: str, **more: Any) -> Any:
    """Return [fields, *rows], or [] when nothing was found."""
    answer = live.call("GET", "/v1/data/" + quote(path, safe="/?=&"), **more)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/json"
    result = answer.json["result"]
    if not result:
        return []
    (one,) = result
    assert set(one) == {"fields", "values"}
    return [one["fields"], *one["values"]]


@pytest.mark.parametrize("path", ["input", "input/", "input/all", "input/ALL/"])
def test_all_fields_one_row_per_time_and_device_newest_first(filled: Live, path: str) -> None:
    assert ask(filled, path) == [
        ["time", "device_id", "flag", "n", "text"],
        [4, "dev-1", True, 4, "t4"],
        [3, "dev-1", False, 3, "t3"],
        [2, "dev-1", True, 2, "t2"],
        [2, "dev-2", None, 20, None],
        [1, "dev-1", False, 1, "t1"],
        [1, "dev-2", None, 10, None],
        [0, "dev-1", True, 0, "t0"],
        [0, "dev-2", None, 0, None],
    ]


def test_a_single_field_leaves_out_rows_without_it(filled: Live) -> None:
    assert ask(filled, "input/text?limit=2") == [["time", "text"], [4, "t4"], [3, "t3"]]


def test_limit_is_of_rows_not_of_each_device(filled: Live) -> None:
    assert ask(filled, "input/n?limit=4")[1:] == [[4, 4], [3, 3], [2, 2], [2, 20]]
    assert len(ask(filled, f"input/n?limit={10**29}")) == 9
    assert ask(filled, "input?limit=3")[3] == [2, "dev-1", True, 2, "t2"]


@pytest.mark.parametrize(
    "path", ["input/none", "input/N", "input/n?time=100,200", "input/n?where=gt(none,1)",
             "input?where=eq(device_id,none)", "input/n?where=eq(n,text)", "input/n?time=5,1",
             "input/none?operator=mean", "input/n?limit_by=none,1"],
)  # fmt: skip
def test_nothing_found(filled: Live, path: str) -> None:
    assert ask(filled, path) == []


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("1", [4, 3, 2, 1]), ("1,", [4, 3, 2, 1]), ("1,3", [3, 2, 1]), (",1", [1, 0]),
        ("now()-1h", []), ("now()-9999w,now()", [4, 3, 2, 1, 0]), ("0,1s", [4, 3, 2, 1, 0]),
    ],
)  # fmt: skip
def test_time(filled: Live, query: str, times: list[int]) -> None:
    found = ask(filled, f"input/text?time={query}")
    assert [row[0] for row in found[1:]] == times


def test_a_bare_from_ends_now(live: Live) -> None:
    live.send(["time", "ahead"], [[2**62, 1]])
    assert ask(live, "input/ahead?time=0") == []
    assert len(ask(live, "input/ahead")) == 2


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (["gt(n,2)"], [[4, 4], [3, 3], [2, 20], [1, 10]]),
        (["ge(n,3)", "lt(n, 10)"], [[4, 4], [3, 3]]),
        (["eq(text,t1)"], [[1, 1]]),
        (['eq(text, "t1" )'], [[1, 1]]),
        (["eq(flag,True)"], [[4, 4], [2, 2], [0, 0]]),
        (["eq(device_id,dev-2)"], [[2, 20], [1, 10], [0, 0]]),
        (["gt(device_id,dev-1)", "le(n,10)"], [[1, 10], [0, 0]]),
        (["ge(time,1)", "lt(time,2)"], [[1, 1], [1, 10]]),
    ],
)
def test_where(filled: Live, where: list[str], rows: list[list[int]]) -> None:
    query = "&".join("where=" + quote(text) for text in where)
    answer = filled.call("GET", f"/v1/data/input/n?{query}")
    assert answer.json["result"][0]["values"] == rows


def test_where_on_one_field_shows_another(filled: Live) -> None:
    assert ask(filled, "input/text?where=ge(n,3)&limit=1") == [["time", "text"], [4, "t4"]]
    assert ask(filled, "input?where=eq(text,t0)")[1:] == [[0, "dev-1", True, 0, "t0"]]


def test_devices_are_listed_by_limit_by(filled: Live) -> None:
    assert ask(filled, "input/device_id?limit_by=device_id,1&where=le(time,4)") == [
        ["time", "device_id"], [4, "dev-1"], [2, "dev-2"],
    ]  # fmt: skip


def test_limit_by(filled: Live) -> None:
    assert ask(filled, "input/n?limit_by=device_id,2")[1:] == [[4, 4], [3, 3], [2, 20], [1, 10]]
    assert ask(filled, "input/n?limit_by=device_id,2&limit=3")[1:] == [[4, 4], [3, 3], [2, 20]]
    assert ask(filled, "input/n?limit_by=flag,1")[1:] == [[4, 4], [3, 3]]
    assert ask(filled, "input?limit_by=flag,1")[1:] == [
        [4, "dev-1", True, 4, "t4"], [3, "dev-1", False, 3, "t3"],
    ]  # fmt: skip


def test_group_by_time(filled: Live) -> None:
    assert ask(filled, "input/n?operator=sum&group_by=time(2ms)") == [
        ["time", "sum(n)"], [4, 4], [2, 25], [0, 11],
    ]  # fmt: skip
    assert ask(filled, "input/n?operator=mean&group_by=time(1d)")[1:] == [[0, 5.0]]
    assert ask(filled, "input/n?operator=sum&group_by=time(2ms)&limit=1")[1:] == [[4, 4]]


def test_group_by_time_and_device(filled: Live) -> None:
    assert ask(filled, "input/n?operator=MEAN&group_by=time(2ms),device_id") == [
        ["time", "mean(n)", "device_id"],
        [4, 4.0, "dev-1"],
        [2, 2.5, "dev-1"],
        [2, 20.0, "dev-2"],
        [0, 0.5, "dev-1"],
        [0, 5.0, "dev-2"],
    ]
    one = ask(filled, "input/n?operator=mean&group_by=time(2ms),device_id&limit_by=device_id,1")
    assert one[1:] == [[4, 4.0, "dev-1"], [2, 20.0, "dev-2"]]


def test_limit_periods_counts_buckets(filled: Live) -> None:
    query = "input/n?operator=sum&group_by=time(2ms),device_id&limit_periods=2"
    assert ask(filled, query)[1:] == [[4, 4, "dev-1"], [2, 5, "dev-1"], [2, 20, "dev-2"]]


def test_group_by_a_field(filled: Live) -> None:
    assert ask(filled, "input/n?operator=sum&group_by=flag") == [
        ["time", "sum(n)", "flag"], [1, 4, False], [0, 6, True],
    ]  # fmt: skip
    assert ask(filled, "input/n?operator=count&group_by=time(4ms),device_id,flag") == [
        ["time", "count(n)", "device_id", "flag"],
        [4, 1, "dev-1", True],
        [0, 2, "dev-1", False],
        [0, 2, "dev-1", True],
    ]


def test_groups_with_conditions(filled: Live) -> None:
    query = "input/n?operator=sum&group_by=time(2ms)&where=gt(n,1)"
    assert ask(filled, query)[1:] == [[4, 4], [2, 25], [0, 10]]
    assert ask(filled, "input/n?operator=max&where=eq(flag,false)")[1:] == [[1, 3]]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("n?operator=count", 8), ("n?operator=min", 0), ("n?operator=max", 20),
        ("n?operator=sum", 40), ("n?operator=mean", 5.0), ("flag?operator=max", True),
        ("flag?operator=sum", 3), ("text?operator=max", "t4"), ("text?operator=count", 5),
    ],
)  # fmt: skip
def test_an_operator_alone_keeps_the_name_of_the_field(filled: Live, path: str, value: Any) -> None:
    found = ask(filled, f"input/{path}")
    assert found == [["time", path.partition("?")[0]], [0, value]]


def test_an_operator_over_a_range_is_stamped_with_its_start(filled: Live) -> None:
    assert ask(filled, "input/n?operator=sum&time=1,2") == [["time", "n"], [1, 33]]
    assert ask(filled, "input/n?operator=sum&time=1,2&where=gt(n,2)") == [["time", "n"], [1, 30]]
    assert ask(filled, "input/device_id?operator=count&group_by=device_id&time=0,4")[1:] == [
        [0, 5, "dev-1"], [0, 3, "dev-2"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "shown"), [("sec", 0), ("MSEC", 4), ("usec", 4_007), ("timeval", None)]
)
def test_time_formats(filled: Live, unit: str, shown: Any) -> None:
    expected = {"sec": 0, "usec": 4_007} if shown is None else shown
    assert ask(filled, f"input/text?limit=1&timefmt={unit}")[1:] == [[expected, "t4"]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=x", "time=x", "time=1,2,3", "where=n", "where=ne(n,1)", "timefmt=ms",
        "operator=avg", "operator=sum&group_by=time(5)", "group_by=time(5s)",
        "group_by=undefinedn", "limit_by=n", "limit_by=n,0", "limit_periods=2", "output=xml",
        "operator=sum&limit_periods=2", "operator=sum&limit_periods=2&group_by=flag",
        "operator=sum&limit_by=flag,1", "limit_periods=0&operator=sum&group_by=time(1s)",
        "&".join(["where=gt(n,1)"] * 101),
    ],
)  # fmt: skip
def test_bad_queries(filled: Live, query: str) -> None:
    answer = filled.call("GET", "/v1/data/input/n?" + quote(query, safe="=&"))
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_operators_that_do_not_fit(filled: Live) -> None:
    for path in ("text?operator=sum", "text?operator=mean", "device_id?operator=sum",
                 "all?operator=count", "?operator=count"):  # fmt: skip
        answer = filled.call("GET", f"/v1/data/input/{path}")
        assert (answer.status, answer.error["code"]) == (400, 1)


def test_unknown_namespace(filled: Live) -> None:
    for path in ("none", "none/all", "Input"):
        answer = filled.call("GET", f"/v1/data/{path}")
        assert (answer.status, answer.error["code"]) == (404, 32)


def test_csv(filled: Live) -> None:
    answer = filled.call("GET", "/v1/data/input/all?output=csv&limit=4&time=0,4")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.decode().splitlines() == [
        "time,input.device_id,input.flag,input.n,input.text",
        "4,dev-1,true,4,t4",
        "3,dev-1,false,3,t3",
        "2,dev-1,true,2,t2",
        "2,dev-2,,20,",
    ]
    path = "/v1/data/input/n?output=csv&operator=mean&group_by=time(4ms),device_id&timefmt=timeval"
    assert filled.call("GET", path).body.decode().splitlines() == [
        "time,input.mean(n),input.device_id",
        "0.004000,4.0,dev-1",
        "0.000000,1.5,dev-1",
        "0.000000,10.0,dev-2",
    ]
    assert filled.call("GET", "/v1/data/input/x?output=csv").body == b"time,input.x\n"


def test_a_device_token_sees_its_own_rows_only(filled: Live) -> None:
    own = filled.make_token(READ, device="dev-2")
    assert {row[1] for row in ask(filled, "input", token=own)[1:]} == {"dev-2"}
    assert ask(filled, "input/n?operator=count", token=own)[1:] == [[0, 3]]
    assert ask(filled, "input/n?where=eq(device_id,dev-1)", token=own) == []
    assert filled.call("GET", "/v1/data/input", token=filled.make_token(WRITE)).status == 403


@pytest.mark.parametrize("name", ["a/b", "ü x", "a.b", "50%", "a?b#c", "a,b", "'; DROP TABLE x--"])
def test_field_names_survive_path_and_conditions(live: Live, name: str) -> None:
    live.send(["time", name, "other"], [[1_000, 1, 2], [2_000, 5, 6]])
    escaped = quote(name, safe="")
    answer = live.call("GET", f"/v1/data/input/{escaped}")
    assert answer.json["result"] == [{"fields": ["time", name], "values": [[2, 5], [1, 1]]}]
    if "," not in name:
        answer = live.call("GET", f"/v1/data/input/other?where=eq({escaped},5)")
        assert answer.json["result"][0]["values"] == [[2, 6]]


def test_long_answers_are_spooled_and_whole(tmp_path: Path) -> None:
    with running(tmp_path, spool_bytes=10_000) as live:
        live.register("dev-1")
        rows = [[1_000 * i, i * 1.5, f"x{i}"] for i in range(5_000)]
        assert live.send(["time", "a", "b"], rows).status == 200
        answer = live.call("GET", "/v1/data/input?timefmt=usec")
        assert int(answer.headers["Content-Length"]) == len(answer.body) > 100_000
        values = answer.json["result"][0]["values"]
        assert values == [[t, "dev-1", a, b] for t, a, b in reversed(rows)]
        body = live.call("GET", "/v1/data/input/b?output=csv").body.decode()
        lines = list(csv.reader(io.StringIO(body)))
        assert lines[1:] == [[str(t // 1_000), b] for t, _, b in reversed(rows)]


def test_more_groups_than_fit_the_memory_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, max_groups=3) as live:
        live.register("dev-1")
        live.send(["time", "a", "b"], [[i, i, i] for i in range(5)])
        for query in ("operator=sum&group_by=b", "limit_by=b,1"):
            answer = live.call("GET", f"/v1/data/input/a?{query}")
            assert (answer.status, answer.error["code"]) == (400, 1)


RUNS = itertools.count()
CELLS = st.one_of(st.none(), st.integers(-50, 50))


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 30), st.sampled_from(["dev-1", "dev-2"])),
        st.tuples(CELLS, CELLS),
        max_size=30,
    ),
    st.sampled_from(["sum", "count", "min", "max"]),
    st.integers(1, 9),
    st.integers(-20, 20),
)
@settings(max_examples=25)
def test_both_ways_to_add_up_agree_with_a_plain_model(
    live: Live, table: Any, operator: str, width: int, least: int
) -> None:
    """The database adds up, or (with a condition on values) this program does."""
    run = next(RUNS)  # fields of its own: what earlier examples stored must not show
    a, b = f"a{run}", f"b{run}"
    for device in ("dev-1", "dev-2"):
        live.call("POST", "/v1/devices", {"project_id": 1, "device_id": device})
        rows = [[t * 1_000, *cells] for (t, d), cells in table.items() if d == device]
        assert live.send(["time", a, b], rows, device=device).status == 200
    apply = {"sum": sum, "count": len, "min": min, "max": max}[operator]
    for condition in (None, f"ge({b},{least})"):
        groups: dict[tuple[int, str], list[int]] = {}
        for (t, device), (x, y) in table.items():
            if x is not None and (condition is None or (y is not None and y >= least)):
                groups.setdefault((-(t // width * width), device), []).append(x)
        expected = [[-t, apply(groups[t, d]), d] for t, d in sorted(groups)]
        query = f"input/{a}?operator={operator}&group_by=time({width}ms),device_id"
        found = ask(live, query + (f"&where={condition}" if condition else ""))
        assert found[1:] == expected
