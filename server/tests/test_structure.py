"""Imports point one way: the picture of the package, held."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "iobeam_server"

# from the outside in; a module imports only what stands further down, or its own line's package
LEVELS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"demo", "exporting"},
    {"backend"},
    {"accounts", "importing", "migrating"},
    {"maintenance"},
    {"serving"},
    {"app"},
    {"api"},
    {"writer", "keyring", "logs"},
    {"storage"},
    {"metrics"},
    {"tables"},
    {"expressions"},
    {"texts"},
    {"tokens", "passwords", "points", "aggregates"},
    {"config"},
    {"errors"},
]
NEVER = {("storage", "tokens"), ("storage", "passwords")}
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("iobeam_server.")} & set(RANK)


def violations() -> list[str]:
    bad = []
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if own == "__init__" or own == "examples":
            continue
        for other in imports_of(path) - {own}:
            if RANK[other] <= RANK[own] or (own, other) in NEVER:
                bad.append(f"{path.relative_to(PACKAGE)} imports {other}")
    return bad


def test_imports_point_down_only() -> None:
    assert violations() == []


def test_sql_stays_in_storage_and_the_client_outside() -> None:
    for path in PACKAGE.rglob("*.py"):
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert "iobeam" not in names, path
        if path.parent.name != "storage":
            assert not names & {"sqlite3", "psycopg"}, path
