"""The picture of the package, held: who may import whom, and how large a thing may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "iobeam_server"

# from the outside in; a module imports only what stands further down, or its own line's package
LEVELS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"demo"},
    {"backend"},
    {"serving"},
    {"front"},
    {"app"},
    {"api"},
    {"summarizing"},
    {"batches", "rowquery", "exporting", "importing", "migrating"},
    {"maintenance", "exportfiles", "silence"},
    {"rights"},
    {"writer", "logs"},
    {"storage"},
    {"metrics", "budget", "memory"},
    {"rules"},
    {"files", "deadlines", "workers"},
    {"config"},
    {"errors"},
]
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}

# the same within the storage: an engine never imports the other, the catalogue neither
STORAGE_LEVELS = [
    {"storage"},
    {"storage.sqlite", "storage.postgres"},
    {"storage.store"},
    {"storage.upkeep", "storage.sums"},
    {"storage.catalog"},
    {"storage.base", "storage.circuit"},
]
STORAGE_RANK = {name: rank for rank, names in enumerate(STORAGE_LEVELS) for name in names}

# what the picture would allow, and what is false all the same
NEVER = {("commands", "app"), ("commands", "api"), ("commands", "serving"), ("rules", "files")}
# a library and the only places that know it
ONLY_IN = {
    "falcon": ("api/", "app.py"),
    "httptools": ("front/head.py",),
    "asyncio": ("front/", "serving.py"),
    "click": ("commands/", "cli.py"),
    "jwt": ("rights/",),
    "argon2": ("rights/",),
    "sqlite3": ("storage/sqlite/",),
    "psycopg": ("storage/postgres/",),
    "psycopg_pool": ("storage/postgres/",),
    "iobeam": (),  # the client
}

NOT_IN_RULES = {"time", "os", "sys", "threading"}  # no clock, no machine
CLOCKS = {"now", "utcnow", "today"}  # of datetime, which reads and writes dates as well

# and those of time
ALL_CLOCKS = CLOCKS | {"time", "time_ns"}

MAX_LINES = 600  # of a module
MAX_BODY = 45  # lines of a function without its docstring


class Module:
    """A module of the package: its place and what it imports."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.tree = ast.parse(text)
        self.own = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def imports(self) -> set[str]:
        """Return full names, those of what is taken out of a module too."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        return found

    def ours(self) -> set[str]:
        prefix = "iobeam_server."
        return {name[len(prefix) :] for name in self.imports() if name.startswith(prefix)}


def modules() -> Iterator[Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != "__init__.py" and not name.startswith("examples/"):
            yield Module(name, path.read_text())


def place(name: str, known: dict[str, int]) -> str:
    """Return the longest known place that a module lies in, or ''."""
    parts = name.split(".")
    starts = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((start for start in starts if start in known), "")


def upward(module: Module, known: dict[str, int]) -> Iterator[str]:
    own = place(module.own, known)
    for other in {place(name, known) for name in module.ours()} - {"", own}:
        if own and (known[other] <= known[own] or (own, other) in NEVER):
            yield f"{module.name} imports {other}"


def misplaced(module: Module) -> Iterator[str]:
    for name in {name.partition(".")[0] for name in module.imports()} & set(ONLY_IN):
        if not module.name.startswith(ONLY_IN[name]):
            yield f"{module.name} imports {name}"
    if module.name.startswith("rules/"):
        for name in {name.partition(".")[0] for name in module.imports()} & NOT_IN_RULES:
            yield f"{module.name} imports {name}"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
                yield f"{module.name} looks at the clock"


def handmade(module: Module) -> Iterator[str]:
    """What a resource answers is a shape: /openapi.json shows it."""
    if not module.name.startswith("api/"):
        return
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    for call in calls:
        is_raw = any(isinstance(one, (ast.Dict, ast.DictComp, ast.List)) for one in call.args)
        if is_raw and ast.unparse(call.func) == "msgspec.json.encode":
            yield f"{module.name}: line {call.lineno} encodes what no shape describes"


def timed(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that call a clock as the module is loaded, minutes before its tests run."""
    if isinstance(tree, ast.Call) and getattr(tree.func, "attr", "") in ALL_CLOCKS:
        yield tree.lineno
    loaded = ast.iter_child_nodes(tree)
    if isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        loaded = iter([tree.args, *getattr(tree, "decorator_list", [])])  # its body runs later
    for node in loaded:
        yield from timed(node)


def too_large(module: Module) -> Iterator[str]:
    lines = module.text.count("\n")
    if lines > MAX_LINES:
        yield f"{module.name} has {lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length > MAX_BODY:
                yield f"{module.name}: the body of {node.name} has {length} lines"


def test_imports_point_down_only() -> None:
    assert [bad for module in modules() for bad in upward(module, RANK)] == []


def test_imports_within_the_storage_point_down_only() -> None:
    assert [bad for module in modules() for bad in upward(module, STORAGE_RANK)] == []


@pytest.mark.parametrize("module", ["commands.rights", "cli", "batches", "rowquery", "exporting"])
def test_what_is_no_server_loads_no_web_framework(module: str) -> None:
    code = f"import sys, iobeam_server.{module}; print('falcon' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_module_has_its_place() -> None:
    assert [module.name for module in modules() if not place(module.own, RANK)] == []


def test_drivers_stay_in_their_engine_and_the_client_outside() -> None:
    assert [bad for module in modules() for bad in misplaced(module)] == []


def test_resources_encode_shapes() -> None:
    assert [bad for module in modules() for bad in handmade(module)] == []


def test_no_module_and_no_function_is_too_large() -> None:
    assert [bad for module in modules() for bad in too_large(module)] == []


def test_no_module_of_tests_looks_at_the_clock_as_it_is_loaded() -> None:
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        assert list(timed(ast.parse(path.read_text()))) == [], path
    text = "def now():\n    return time.time()\nNOW = int(time.time())\ndef f(at=time.time()): ..."
    assert list(timed(ast.parse(text))) == [3, 4]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("exporting.py", "import iobeam_server.api.data", "exporting.py imports api"),
        ("commands/x.py", "from iobeam_server.api import data", "commands/x.py imports api"),
        ("rights/x.py", "from iobeam_server.api import data", "rights/x.py imports api"),
        ("rules/x.py", "from iobeam_server.storage import base", "rules/x.py imports storage"),
        ("rules/x.py", "import time", "rules/x.py imports time"),
        ("rules/x.py", "datetime.datetime.now()", "rules/x.py looks at the clock"),
        ("rowquery.py", "import falcon.errors", "rowquery.py imports falcon"),
        ("api/x.py", "def f():\n    from iobeam_server import backend", "x.py imports backend"),
        ("storage/x.py", "from iobeam_server.rights.tokens import READ", "x.py imports rights"),
        ("storage/base.py", "from iobeam_server.storage.catalog import sql", "storage.catalog"),
        ("storage/sqlite/x.py", "from iobeam_server.storage import postgres", "storage.postgres"),
        ("storage/catalog/x.py", "import sqlite3", "x.py imports sqlite3"),
        ("storage/sqlite/x.py", "from psycopg import sql", "x.py imports psycopg"),
        ("demo.py", "from iobeam.client import x", "demo.py imports iobeam"),
        ("api/x.py", "msgspec.json.encode({'a': 1})", "line 1 encodes what no shape"),
        ("x.py", "\n" * (MAX_LINES + 1), f"x.py has {MAX_LINES + 1} lines"),
        ("x.py", "def f():\n" + "    1\n" * (MAX_BODY + 1), f"f has {MAX_BODY + 1} lines"),
    ],
)
def test_the_rules_can_be_broken(name: str, text: str, words: str) -> None:
    module = Module(name, text)
    found = [
        *upward(module, RANK),
        *upward(module, STORAGE_RANK),
        *misplaced(module),
        *handmade(module),
        *too_large(module),
    ]
    assert len(found) == 1, found
    assert words in found[0]


def test_what_is_as_large_as_it_may_be_passes() -> None:
    body = "    1\n" * MAX_BODY
    assert list(too_large(Module("x.py", f'def f():\n    """Doc."""\n{body}'))) == []
