"""Whatever judges text takes time in proportion to its length: no pattern, no parser is worse.

A regular expression of three parts that share what they match held the server for twenty
seconds over a parameter of 2000 blanks. So every pattern of the package, and every function of
the rules that reads text, is given what such ones cannot stand.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import itertools
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

import falcon
import falcon.testing
import pytest
from test_structure import modules

from iobeam_server.api import queries
from iobeam_server.errors import ServerError
from iobeam_server.rules.points import Kind

LONG = 60_000
GROWING = (
    20,
    25,
    100,
    400,
    800,
    2_000,
    8_000,
    LONG,
)  # what is worse is seen before it takes an hour
BOUND_S = 0.05  # of processor time: a linear one takes 2 ms at most for the longest
TRIES = 3

PIECES = (" ", "0", "a", "(", ")", '"', ",", ".", "-", "=", "\\", "\n", "[", "$", "٣", " (", "1.")
ENDS = ("", "!")

# Texts that patterns and parsers take as they are: the long pieces come in at every place of one.
TAKEN = [
    "12", "-1.5e3", "1.", "2m", "10 s", "now() - 2h", "now()-2h,now()", "gt(temp , 20)",
    "time( 2m )", "time(2m),a", "a,3", "dev-1:x", "2026-01-31T12:00:00.5+0100",
    "2026-01-31T12:00:00.123456Z", "true", "16M",
    '"', "\x7f",
    "https://a-b.example.org:443", "http://[::1]:80", "{name:path}", "(wire notes 8)",
    "$.sources.data[1][2]", "$.sources[1].data[2]", "temp=number", "1e-308",
    "a?b#c", "password=x",
]  # fmt: skip

REST: Mapping[str, Any] = {"int": 1_000, "str": "x", "bool": False, "Kind": Kind.NUMBER}
"""What stands for the other arguments of a function that reads text, by their type."""


class Used:
    """A pattern of a module, and how it is used there."""

    def __init__(self, module: str, name: str, pattern: Any, method: str) -> None:
        self.shown = f"{module}.{name}.{method}"
        self.pattern = pattern
        self.judge = getattr(pattern, method)
        if method == "sub":
            self.judge = lambda text: pattern.sub("", text)


def used_patterns() -> list[Used]:
    found = []
    for module in modules():
        if module.own == "__main__" or "re" not in module.imports():
            continue
        loaded = importlib.import_module(f"iobeam_server.{module.own}")
        own = {n: v for n, v in vars(loaded).items() if isinstance(v, re.Pattern)}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = node.value.id
                if name in own:
                    found.append(Used(module.own, name, own[name], node.attr))
    return found


def hidden_patterns(name: str, tree: ast.Module) -> Iterator[str]:
    """Where a pattern is made that is no constant of its module: nobody would find it."""
    open_to_see = {
        node.value
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            if node not in open_to_see or ast.unparse(node.func) != "re.compile":
                yield f"{name}: line {node.lineno} makes a pattern that no test finds"
        elif isinstance(node, ast.ImportFrom) and node.module == "re":
            yield f"{name}: line {node.lineno} imports from re"


def reading_functions() -> list[tuple[str, Callable[[str], Any]]]:
    """Every function of the rules whose first argument is a text."""
    found = []
    for module in modules():
        if not module.own.startswith("rules."):
            continue
        loaded = importlib.import_module(f"iobeam_server.{module.own}")
        for name, function in vars(loaded).items():
            if not inspect.isfunction(function) or function.__module__ != loaded.__name__:
                continue
            parameters = list(inspect.signature(function).parameters.values())
            if not parameters or "str" not in str(parameters[0].annotation):
                continue
            if parameters[0].name == "what":  # words for a message come first
                found.append((f"{module.own}.{name}", lambda text, f=function: f("x", text)))
                continue
            others = [str(one.annotation) for one in parameters[1:] if one.default is one.empty]
            if str(parameters[0].annotation) == "str" and REST.keys() >= {*others}:
                rest = [REST[other] for other in others]
                found.append((f"{module.own}.{name}", lambda text, f=function, r=rest: f(text, *r)))
    return found


PARAMETERS: dict[str, Callable[[falcon.Request], Any]] = {
    "text": lambda req: queries.text(req, "p"),
    "texts": lambda req: queries.texts(req, "p"),
    "integer": lambda req: queries.integer(req, "p", least=1),
    "number": lambda req: queries.number(req, "p"),
    "boolean": lambda req: queries.boolean(req, "p"),
    "choice": lambda req: queries.choice(req, "p", ("a",), "a"),
    "time_format": queries.time_format,
    "output": queries.output,
}
QUERIES = ["p=", "p=1&", "p=%20", "p=%2", "p=9", "&", "=", "p=1,2&", "timefmt=", "output=%E2%82&"]


def cost(judge: Callable[[str], Any], text: str) -> float:
    """Return the seconds of this thread's processor that a judgement takes; refusing is one."""
    began = time.thread_time()
    with contextlib.suppress(ServerError, falcon.HTTPError):
        judge(text)
    return time.thread_time() - began


def hard(judge: Callable[[str], Any], starts: list[str]) -> Iterator[str]:
    """Yield what cannot be judged in time."""
    for start, piece, end in itertools.product(starts, PIECES, ENDS):
        for times in GROWING:
            text = f"{start}{piece * times}{end}"
            if (
                cost(judge, text) > BOUND_S
                and min(
                    cost(judge, text)
                    for _ in range(TRIES)  # something else may have cost the time
                )
                > BOUND_S
            ):
                yield f"{start!r} {times} times {piece!r} {end!r}"
                return


def starts_of(taken: list[str]) -> list[str]:
    """Return what texts begin with, up to where letters, digits or signs end."""
    runs = [re.findall(r"[a-z]+|[0-9]+|.", text, re.DOTALL) for text in taken]
    return sorted({"".join(run[:at]) for run in runs for at in range(len(run) + 1)})


def taken_by(pattern: Any) -> list[str]:
    return [text for text in TAKEN if pattern.search(text)]


@pytest.mark.parametrize("used", used_patterns(), ids=lambda used: used.shown)
def test_patterns_are_linear(used: Used) -> None:
    taken = taken_by(used.pattern)
    assert taken, f"add a text that {used.shown} takes to TAKEN"
    shortest, *_, longest = sorted([*taken, *taken], key=len)
    assert next(hard(used.judge, starts_of([shortest, longest])), None) is None


@pytest.mark.parametrize("function", reading_functions(), ids=lambda function: function[0])
def test_what_reads_text_is_linear(function: tuple[str, Callable[[str], Any]]) -> None:
    starts = ["", "time(", "now()", "eq(", "eq(a,", "a,", "-", "1.", "2026-01-31T12:00:00"]
    assert next(hard(function[1], starts), None) is None


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_read_in_linear_time(name: str) -> None:
    def judge(query: str) -> None:
        req = falcon.Request(falcon.testing.create_environ(query_string=query))
        PARAMETERS[name](req)

    for piece, times in itertools.product(QUERIES, GROWING):
        for query in (piece * times, "p=" + piece * times):
            # falcon itself takes a microsecond for each of the parameters
            assert min(cost(judge, query) for _ in range(TRIES)) < 10 * BOUND_S, (piece, times)


def test_no_pattern_is_hidden() -> None:
    assert [bad for one in modules() for bad in hidden_patterns(one.name, one.tree)] == []


@pytest.mark.parametrize("text", ["def f():\n    re.compile('a')", "x = re.sub('a', '', '')"])
def test_a_hidden_pattern_is_found(text: str) -> None:
    assert len(list(hidden_patterns("x.py", ast.parse(text)))) == 1


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        (r"time\s*\(\s*([^()]*?)\s*\)", "time("),  # cubic: three parts that take blanks
        (r"([0-9]+\.?[0-9]*|\.[0-9]+)", ""),  # quadratic in digits
        (r"(a|a)*b", ""),  # exponential
    ],
)
def test_a_pattern_that_is_not_linear_is_found(pattern: str, start: str) -> None:
    assert next(hard(re.compile(pattern).fullmatch, [start]), None) is not None


def test_every_reading_function_is_known() -> None:
    """What the walk over the rules must at least have found."""
    names = {name for name, _ in reading_functions()}
    assert names >= {
        "rules.expressions.parse_condition",
        "rules.expressions.parse_group_by",
        "rules.expressions.parse_limit_by",
        "rules.expressions.parse_number",
        "rules.expressions.parse_time",
        "rules.aggregates.parse_operator",
        "rules.names.check_device_id",
        "rules.names.check_text",
        "rules.texts.read",
        "rules.times.from_iso",
        "rules.times.moment",
        "rules.units.parse_duration",
        "rules.units.parse_interval",
    }
    assert len(used_patterns()) >= 20
