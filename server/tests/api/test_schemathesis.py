"""The running server does what /openapi.json says, whatever schemathesis thinks of."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from live import ALL, TIMEOUT_S, Live, add_user, running

from iobeam_server.api.users import digest_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it brings
    from schemathesis import GenerationMode, checks, openapi

EXAMPLES = 20  # per operation, some 37 of them
KNOWN = {
    "project_id": 1,
    "device_id": "dev-1",
    "series": "a",
    "namespace": "input",
    "field": "a",
    "namespace_id": 1,
    "name": "main.js",
}
# What makes most random requests fail alike: some get a value that leads further.
BODY = {
    "project_id": 1,
    "device_id": "dev-1",
    "user_id": 1,
    "old_password": "ann",
    "fields": {"t": "DOUBLE"},
    "labels": None,
}
QUERY = {
    "project_id": 1,
    "name": "dev-1",
    "fmt": "table",
    "group_by": "10m",
    "duration": "1h",
    "where": "gt(a,1)",
    "time": "now()-1h",
    "limit_by": "device_id,1",
    "device_id": "dev-1",
}
TABLE = {"fields": ["time", "a"], "values": [[1, 1.5], [2, None]]}
# (body, query) of a request that succeeds, where chance alone finds too few of them
WHOLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "POST /v1/imports": (
        {"project_id": 1, "data": TABLE, "labels": {"device_id": "dev-1"}},
        {"fmt": "table"},
    ),
    "POST /v1/devices": ({"project_id": 1}, {}),
    "POST /v1/namespaces": ({"project_id": 1, "namespace_name": "rooms"}, {}),
    "POST /v1/projects": ({"project_name": "ours"}, {}),
    "POST /v1/users": (
        {"email": "eve@example.org", "password": "eve", "invite": "the-invite"},
        {},
    ),
    "GET /v1/users": (None, {"search": "ann"}),
    "GET /v1/tokens/project": (None, {"project_id": 1}),
    "PATCH /v1/projects/{project_id}/permissions": ({"user_id": 1, "admin": True}, {}),
}
HELPS = sorted({*BODY, *QUERY})


checks.load_all_checks()
CHECKS = checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(Path(tmp_path_factory.mktemp("schema"))) as live:
        live.register("dev-1")
        assert live.send(["time", "a", "b", "c"], [[1, 1.5, "x", True], [2, 2, "", None]])
        live.backend.store.users.add_invite(digest_of("the-invite"), 2**40)
        live.user_token = add_user(live, "ann", ALL)  # type: ignore[attr-defined]
        yield live


def known(operation: Any) -> dict[str, Any]:
    return {name: value for name, value in KNOWN.items() if f"{{{name}}}" in operation.path}


def strategy(operation: Any) -> Any:
    found = [operation.as_strategy()]
    if known(operation):
        found.append(operation.as_strategy(path_parameters=known(operation)))
    if operation.query or operation.body:
        found.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.one_of(found)


def led_on(case: Any, helps: set[str]) -> None:
    """Put values that lead somewhere in place of some random ones."""
    for found, better in ((case.body, BODY), (case.query, QUERY)):
        if isinstance(found, dict):
            found.update({name: better[name] for name in helps & set(better) & set(found)})


def successes(operation: Any, base: str, headers: dict[str, str], whole: Any) -> int:
    """Try an operation with what schemathesis makes up; return how often it answered 2xx."""
    found = 0

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],  # shrinking would take minutes; the report names the request
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy(operation), st.sets(st.sampled_from(HELPS)), st.integers(0, 3))
    def one(case: Any, helps: set[str], turn: int) -> None:
        nonlocal found
        led_on(case, helps)
        if turn == 0:
            case.query = whole[1]
            case.path_parameters = known(operation)
            if whole[0] is not None:
                case.body = whole[0]
        answer = case.call(base_url=base, headers=headers, timeout=TIMEOUT_S)
        assert "content-length" in answer.headers or answer.status_code in (204, 304)
        case.validate_response(answer, checks=CHECKS)
        found += answer.status_code < 300

    one()
    return found


def test_the_running_server_keeps_to_its_description(shared: Live) -> None:
    document = shared.call("GET", "/openapi.json").json
    tokens = {
        "project": f"Bearer {shared.token}",
        "user": f"Bearer {shared.user_token}",  # type: ignore[attr-defined]
        "password": "Basic " + base64.b64encode(b"ann:ann").decode(),
    }
    refresh = {"refresh_token": shared.token}
    whole = {**WHOLE, "POST /v1/tokens/project": (refresh, {})}
    counts = {}
    for result in openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        described = document["paths"][operation.path][operation.method.lower()]
        schemes = [scheme for one in described["security"] for scheme in one]
        headers = {"Authorization": tokens[schemes[0]]} if schemes else {}
        name = f"{operation.method.upper()} {operation.path}"
        base = f"http://127.0.0.1:{shared.port}"
        counts[name] = successes(operation, base, headers, whole.get(name, (None, {})))
    assert len(counts) == sum(len(methods) for methods in document["paths"].values())
    # an answer that nobody got was held to no shape
    assert [name for name, count in counts.items() if not count] == []
