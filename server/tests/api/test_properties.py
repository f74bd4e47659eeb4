"""Whatever comes in: an answer in the documented shape, never a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live import ALL

from iobeam_server.app import create_app
from iobeam_server.backend import first_project
from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.storage.base import Device
from iobeam_server.storage.sqlite.store import SqliteStorage
from iobeam_server.writer import Writer

JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["time", "a", "usec", "dev-1", "all", "\ud800", "\0"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
TABLE = st.fixed_dictionaries(
    {"fields": st.one_of(st.lists(st.sampled_from(["time", "a", "b", "all"])), JSON)},
    optional={
        "data": st.one_of(st.lists(st.lists(JSON, max_size=3), max_size=3), JSON),
        "values": JSON,
    },
)
BODY = st.fixed_dictionaries(
    {"project_id": st.one_of(st.just(1), JSON)},
    optional={
        "device_id": st.one_of(st.just("dev-1"), JSON),
        "timefmt": st.one_of(st.sampled_from(["sec", "msec", "usec"]), JSON),
        "sources": st.one_of(TABLE, JSON),
        "data": st.one_of(TABLE, JSON),
        "labels": st.one_of(st.dictionaries(st.text(max_size=5), JSON, max_size=2), JSON),
        "namespace": st.one_of(st.just("input"), JSON),
        "refresh_token": JSON,
    },
)
PARAMETER = st.one_of(
    st.text(max_size=12),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "mean",
            "sum",
            "1ms",
            "1d",
            "usec",
            "timeval",
            "csv",
            "True",
            "now()",
            "1e400",
            "now()-1h,",
            ",5",
            "eq(a,1)",
            "gt(device_id,x)",
            "a,2",
            "time(1m),device_id",
            "device_id,1",
        ]
    ),
)
NAMES = ["limit", "from", "to", "less_than", "greater_than", "equals", "timefmt", "operator",
         "group_by", "output", "fmt", "name", "offset", "count", "project_id", "time", "where",
         "limit_by", "limit_periods", "namespace_name"]  # fmt: skip


class Client:
    def __init__(self, app: Any, token: str) -> None:
        self._client = falcon.testing.TestClient(app, {"Authorization": f"Bearer {token}"})

    def call(self, method: str, path: str, **kw: Any) -> Any:
        answer = self._client.simulate_request(method, path, **kw)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            (error,) = answer.json["errors"]
            assert type(error["code"]) is int
        return answer


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    store = SqliteStorage(str(Path(tmp_path_factory.mktemp("p"), "p.db")))
    config = Config()
    first_project(store, config)
    store.devices.register(Device(1, "dev-1", "dev-1", None, 0), named=True)
    writer = Writer(store, config.group_values, config.high_water_values)
    app = create_app(store, writer, config)
    yield Client(app, issue_token(store, 1, ALL, 600, None, True))
    writer.close()
    store.close()


@given(
    st.sampled_from(
        [
            "imports",
            "imports?fmt=table",
            "devices",
            "namespaces",
            "tokens/project",
            "users",
            "users/email",
            "users/password",
        ]
    ),
    BODY,
)
@settings(max_examples=300)
def test_bodies(client: Client, path: str, body: Any) -> None:
    path, _, query = path.partition("?")
    client.call(
        "POST",
        f"/v1/{path}",
        query_string=query,
        body=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )


@given(st.binary(max_size=60), st.sampled_from(["identity", "gzip"]))
def test_noise(client: Client, body: bytes, coding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = client.call("POST", "/v1/imports", body=body, headers=headers)
    assert answer.status_code in (400, 422)


@given(
    st.sampled_from(
        [
            "exports/1",
            "exports/1/dev-1/a",
            "devices",
            "devices/timestamp",
            "data/input",
            "data/input/a",
            "data/input/device_id",
            "namespaces",
        ]
    ),
    st.dictionaries(st.sampled_from(NAMES), PARAMETER, max_size=5),
)
@settings(max_examples=300)
def test_queries(client: Client, path: str, params: dict[str, str]) -> None:
    client.call("GET", f"/v1/{path}", params=params)


@given(st.text(max_size=20))
def test_paths(client: Client, path: str) -> None:
    from urllib.parse import quote

    client.call("GET", "/v1/exports/" + quote(path, errors="replace"))
    client.call("GET", "/v1/devices/" + quote(path, safe="", errors="replace"))


ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.one_of(
            st.none(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
    ),
    max_size=20,
)


@given(ROWS, st.integers(0, 10**9))
def test_a_table_stored_twice_equals_one_stored_once(client: Client, rows: Any, run: int) -> None:
    device = f"prop-{run}"
    client.call("POST", "/v1/devices", json={"project_id": 1, "device_id": device})
    body = {
        "project_id": 1,
        "device_id": device,
        "timefmt": "usec",
        "sources": {"fields": ["time", "n"], "data": rows},
    }
    expected: dict[int, Any] = {}
    before = client.call("GET", f"/v1/exports/1/{device}/n", params={"timefmt": "usec"}).json
    for series in before["result"]:  # hypothesis may come back to a device
        expected = {point["time"]: point["value"] for point in series["data"]}
    expected.update({time: value for time, value in rows if value is not None})
    for _ in range(2):
        assert client.call("POST", "/v1/imports", params={"fmt": "table"}, json=body).json == {}
        found = client.call("GET", f"/v1/exports/1/{device}/n", params={"timefmt": "usec"}).json
        points = found["result"][0]["data"] if expected else []
        assert [p["time"] for p in points] == sorted(expected)
        assert {p["time"]: p["value"] for p in points} == expected
