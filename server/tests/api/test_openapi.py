"""/openapi.json names every route, every parameter and every status; docs/api.md shows it."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon
import pytest
from live import Live, running
from shapes import routes

from iobeam_server import api
from iobeam_server.api.access import Access, Resource
from iobeam_server.api.openapi import document
from iobeam_server.api.operations import Operation, Reply

REPOSITORY = Path(__file__).parent.parent.parent.parent
SCRIPT = REPOSITORY / "docs" / "make_api.py"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(Path(tmp_path_factory.mktemp("openapi"))) as live:
        yield live


@pytest.fixture(scope="module")
def described(shared: Live) -> Any:
    answer = shared.call("GET", "/openapi.json", token=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json


def plain(template: str) -> str:
    return re.sub(r":\w+\}", "}", template)


def test_every_route_and_method_is_described(shared: Live, described: Any) -> None:
    served = {
        (plain(template), method.lower())
        for template, resource in routes(shared)
        for method in resource.access
    }
    assert served == {
        (p, method) for p, methods in described["paths"].items() for method in methods
    }
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["summary"].endswith((".", ":")) or ":" in operation["summary"]
            assert all(one["description"] for one in operation.get("parameters", []))


class Bare(Resource):
    access = {"GET": Access.PUBLIC}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer nothing."""


class Dumb(Bare):
    operations = {"GET": Operation({200: Reply("Nothing.")})}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = b"{}"


@pytest.mark.parametrize("resource", [Bare(), Dumb()])
def test_a_route_without_description_fails(resource: Resource) -> None:
    with pytest.raises(LookupError, match="GET /v1/new"):
        document({"/v1/new": resource})


def test_references_lead_somewhere_and_names_are_unique(described: Any) -> None:
    text = json.dumps(described)
    for ref in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found = described
        for part in ref.split("/"):
            found = found[part]
    names = [o["operationId"] for methods in described["paths"].values() for o in methods.values()]
    assert len(set(names)) == len(names)
    used = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert used == set(described["components"]["schemas"])
    assert not re.search(r"``|wire notes|iobeam_server\.", text)


def test_what_is_demanded_follows_from_the_access_rule(described: Any) -> None:
    def security(path: str, method: str) -> Any:
        return described["paths"][path][method]["security"]

    assert security("/v1/ping", "get") == []
    assert security("/v1/imports", "post") == [{"project": []}]
    assert security("/v1/users/me", "get") == [{"user": []}]
    assert security("/v1/tokens/user", "get") == [{"password": []}, {}]
    imports = described["paths"]["/v1/imports"]["post"]["responses"]
    expected = {"200", "400", "401", "403", "404", "413", "415", "422", "429", "503"}
    assert set(imports) == expected


OWN_READERS = {
    "queries.time_format": {"timefmt"},
    "queries.output": {"output"},
    "queries.bounds": {"from", "to"},
    "queries.interval": {"group_by"},
}


def read_parameters(path: Path) -> set[str]:
    """The names of query parameters that a module asks `queries` for."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("queries."):
            if ast.unparse(node.func) in OWN_READERS:
                found |= OWN_READERS[ast.unparse(node.func)]
            elif len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                found.add(node.args[1].value)
    return found


def test_every_parameter_that_is_read_is_described_and_the_other_way_round() -> None:
    folder = Path(api.__path__[0])
    read = {path.stem: read_parameters(path) for path in folder.glob("*.py")}
    read["tokens"] |= {"read", "write", "admin"}  # asked for in a loop
    read["users"] |= {"reset"}  # taken, and nothing comes of it
    told: dict[str, set[str]] = {name: set() for name in read}
    for resource in Resource.__subclasses__():
        module = resource.__module__.rpartition(".")[2]
        if resource.__module__.startswith("iobeam_server."):
            for operation in resource.operations.values():
                told[module] |= {parameter.name for parameter in operation.parameters}
    del read["queries"], told["queries"]
    assert told == read


@pytest.mark.skipif(not SCRIPT.exists(), reason="not in a checkout: there is no docs/ here")
def test_the_reference_in_docs_is_current(described: Any) -> None:
    spec = importlib.util.spec_from_file_location("make_api", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    now = script.rendered(described)
    assert script.PAGE.read_text(encoding="utf-8") == now, "docs/api.md is old: make references"
