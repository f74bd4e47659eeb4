"""Every parameter of every route, and every part of every path, fed what costs the most."""

from __future__ import annotations

import contextlib
import http.client
import re
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import pytest
from attacks.scene import SLACK, Scene
from attacks.sizes import some

TIMES = 60_000  # as many as fit into the 64 KiB of a request line, where one takes a byte
LINE = 64_000
LIMIT_S = 1.0 * SLACK  # for one answer; milliseconds are meant, and other programs run here too

# (begin, what is repeated, end): where a pattern may go back and forth
BOMBS = {
    "blanks": ("", " ", "x"),
    "tabs": ("", "\t", "x"),
    "digits": ("", "9", "x"),
    "zeros": ("0.", "0", "x"),
    "exponent": ("1e", "9", ""),
    "signs": ("", "-", "1"),
    "letters": ("", "a", "!"),
    "commas": ("", ",", "x"),
    "brackets": ("", "(", ""),
    "brackets that close": ("", ")", ""),
    "quotes": ("", '"', "x"),
    "backslashes": ('"', "\\", "x"),
    "dots": ("", ".", "x"),
    "slashes": ("", "/", "x"),
    "time of blanks": ("time(", " ", "x"),
    "time of digits": ("time(", "1", "x"),
    "times": ("", "time(1s),", "x"),
    "now of blanks": ("now()", " ", "x"),
    "now and more": ("now()", "+1s", "x"),
    "interval": ("1", " ", "s!"),
    "condition": ("a,", " ", "x"),
    "conditions": ("eq(a,", " ", "x"),
    "call": ("eq(", "a", "x"),
    "accents": ("", "é", "x"),
    "astral": ("", "\U0001f600", "x"),
    "digits of elsewhere": ("", "٣", "x"),
    "spaces of elsewhere": ("", "\u3000", "x"),
}


def bomb(name: str) -> str:
    """Return it, as long as a request line may be."""
    begin, repeated, end = BOMBS[name]
    size = len(quote(repeated, safe=" "))
    return begin + repeated * min(TIMES, LINE // size) + end


def routes(scene: Scene) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (path, its variables, its parameters) of every route that can be asked."""
    described = scene.call("GET", "/openapi.json").json
    for path, methods in described["paths"].items():
        if "get" in methods:
            given = methods["get"].get("parameters", [])
            names = [one["name"] for one in given if one["in"] == "query"]
            yield path, re.findall(r"\{(\w+)\}", path), names


GOOD = {
    "project_id": "1",
    "device_id": "beside",
    "series": "beside",
    "namespace": "input",
    "field": "beside",
    "namespace_id": "1",
    "name": "main.js",
}


def filled(path: str, **values: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: {**GOOD, **values}[found.group(1)], path)


def plus(text: str) -> str:
    """Quote it as a form would, where a blank takes one byte."""
    return quote(text, safe=" ()+,").replace("+", "%2B").replace(" ", "+")


def targets(scene: Scene, name: str) -> Iterator[str]:
    text = bomb(name)
    for path, variables, parameters in routes(scene):
        for parameter in [*parameters, "unknown"]:
            yield f"{filled(path)}?{parameter}={plus(text)}"
        for variable in variables:
            yield filled(path, **{variable: quote(text[: LINE // 3], safe="()+,")})
    more = f"operator=mean&group_by={plus(text)}"
    yield f"/v1/data/input/beside?{more}"
    yield f"/v1/data/input/beside?where={plus(text)}&where={plus(text[:9])}"


# whole query strings: many parameters, and what is quoted badly
QUERIES = {
    "one parameter": "limit=1&",
    "no parameters": "&",
    "no values": "=&",
    "fields": "group_by=a&",
    "conditions": "where=eq(a,1)&",
    "lists": "group_by=,,,,,,,&",
    "quoted": "%61=%62&",
    "quoted badly": "%zz=%&",
    "no UTF-8": "name=%ff&",
    "equal signs": "=",
    "percent signs": "%",
    "percents": "%25",
    "plus signs": "+",
}


class Asker:
    """Asks on one connection, and times it."""

    def __init__(self, scene: Scene, token: str) -> None:
        self._port, self._token = scene.port, token
        self._connection = self._new()

    def _new(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)

    def ask(self, target: str) -> tuple[int, float]:
        began = time.monotonic()
        self._connection.request("GET", target, headers={"Authorization": f"Bearer {self._token}"})
        answer = self._connection.getresponse()
        answer.read()
        if answer.will_close:
            self._connection.close()
        return answer.status, time.monotonic() - began

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize("name", some(BOMBS, "time of blanks", "conditions", "digits"))
def test_no_parameter_takes_long_to_judge(scene: Scene, name: str) -> None:
    ask_all(scene, targets(scene, name))


@pytest.mark.parametrize("name", some(QUERIES, "conditions", "quoted"))
def test_no_query_takes_long_to_read(scene: Scene, name: str) -> None:
    query = QUERIES[name] * (LINE // len(QUERIES[name]))
    ask_all(scene, (f"{filled(path)}?{query}" for path, _, _ in routes(scene)))


def ask_all(scene: Scene, targets: Iterable[str]) -> None:
    """Ask for one after the other; none may fail, none may take long."""
    token = scene.make_token(device="beside")
    with scene.bystander(), contextlib.closing(Asker(scene, token)) as asker:
        for target in targets:
            status, took_s = asker.ask(target)
            assert status < 500, (status, target[:100])
            assert took_s < LIMIT_S, (took_s, target[:100])
