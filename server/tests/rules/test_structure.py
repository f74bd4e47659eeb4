from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import TooLarge
from iobeam_server.rules import structure
from iobeam_server.rules.structure import Most, Structure

ANY = Most(10**9, 10**9, 10**9, "anything")
TEXTS = st.text(st.sampled_from('ab\\"[{,:/\n\u00e9\u2028\U0001f600'), max_size=6)
JSON = st.recursive(
    st.one_of(st.none(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=20,
)


def counted(body: bytes, step: int, most: Most = ANY) -> Structure:
    found = Structure(most)
    for at in range(0, len(body), step):
        found.feed(body[at : at + step])
    return found


def expected(value: Any) -> tuple[int, int]:
    """Commas, and all marks, of a value as json writes it."""
    if not isinstance(value, (list, dict)):
        return 0, 0
    inner = [expected(one) for one in (value.values() if isinstance(value, dict) else value)]
    commas = max(0, len(value) - 1)
    colons = len(value) if isinstance(value, dict) else 0
    return commas + sum(c for c, _ in inner), 1 + commas + colons + sum(m for _, m in inner)


@given(JSON, st.integers(1, 9), st.booleans(), st.sampled_from([None, 1]))
def test_marks_in_texts_do_not_count(value: Any, step: int, escape: bool, indent: Any) -> None:
    body = json.dumps(value, ensure_ascii=escape, indent=indent).encode()
    found = counted(body, step)
    assert (found._values, found._marks) == expected(value)
    assert found.size == len(body)


@pytest.mark.parametrize("step", [1, 2, 3, 1_000])
def test_escapes_across_pieces(step: int) -> None:
    body = b'["a\\",[","\\\\",["b\\\\\\",,"],"\\u002c\\\\\\\\"]'
    assert counted(body, step)._values == expected(json.loads(body))[0] == 3


def test_wide_texts_are_counted_as_wide() -> None:
    plain, escaped, long = b'"aaaa"', b'"\\u0061"', '"a\U0001f600"'.encode()
    assert counted(plain, 9).bytes_built == len(plain)
    assert counted(b'"\\n"', 9).bytes_built == 4, "all of one byte"
    assert counted(escaped, 9).bytes_built == 5 * len(escaped)
    assert counted(escaped, 2).bytes_built == 5 * len(escaped), "the escape is in two pieces"
    assert counted(long, 9).bytes_built == 5 * len(long)


def test_refusal_names_count_and_limit() -> None:
    with pytest.raises(TooLarge, match=r"6 values .* import of 2 values in 3 fields has at most 5"):
        counted(b"[1,1,1,1,1,1,1]", 99, structure.of_import(2, 3)._replace(values=5))
    with pytest.raises(TooLarge, match=r"3 values, keys and brackets or more; x has at most 2"):
        counted(b"[[[]]]", 99, Most(9, 2, 9, "x"))
    assert counted(b"[[1]]", 99, Most(0, 2, 0, "x"))._marks == 2


def test_the_first_piece_that_is_too_much_is_refused() -> None:
    found = Structure(Most(10, 10, 0, "x"))
    for _ in range(5):
        found.feed(b"[],")
    with pytest.raises(TooLarge):
        found.feed(b"[],")


@pytest.mark.parametrize(
    ("number", "count"),
    [
        ("1e-320", 1), ("1E308", 1), ("1.5e+0299", 1), ("1e-1000", 1), ("1e288", 0), ("1e-3", 0),
        ("0." + "0" * 149 + "1e-170", 2), ("0." + "0" * 30 + "1e-280", 1), ("5" * 4_300, 28),
        ("1.7976931348623157e308", 1), ("9007199254740993.5", 0), ('"1e308"', 0), ("true", 0),
        ("0.1000000000000000055511151231257827e-99", 0),
    ],
)  # fmt: skip
def test_numbers_that_are_slow_to_decode_are_counted(number: str, count: int) -> None:
    assert counted(f"[{number},{number}]".encode(), 20_000)._extremes == 2 * count
    with pytest.raises(TooLarge, match="300 extremely large, small or long numbers or more"):
        counted(b"[" + b"1e308," * 300, 10_000, structure.of_import(30, 3)._replace(values=999))


def test_doubles_of_any_bits_are_not_extreme() -> None:
    chosen = random.Random(5)
    doubles = [struct.unpack("d", chosen.randbytes(8))[0] for _ in range(20_000)]
    body = json.dumps([None if x != x or x in (math.inf, -math.inf) else x for x in doubles])
    counted(body.encode(), 65_536, structure.of_import(20_000, 1))


# -- no import that is within the limits is refused -------------------------------------------

NAMES = st.lists(TEXTS.filter(bool), max_size=6)
CELLS = st.one_of(st.none(), st.booleans(), st.integers(), TEXTS)


@st.composite
def imports(draw: Any) -> tuple[Any, int, int]:
    """A body of any generation, its values and its fields, as the limits count them."""
    form = draw(st.sampled_from("ABCL"))
    body: dict[str, Any] = {"project_id": 1, "timefmt": draw(st.sampled_from(["usec", None]))}
    if form == "L":
        point = st.builds(lambda value: {"time": 1, "value": value}, CELLS)
        series = draw(
            st.lists(st.builds(lambda d: {"name": "a,b", "data": d}, st.lists(point)), max_size=5)
        )
        body |= {"device_id": "d", "sources": series}
        return body, sum(len(one["data"]) for one in series), len(series)
    fields = ["time", *draw(NAMES)]
    rows = draw(st.lists(st.lists(CELLS, min_size=len(fields), max_size=len(fields)), max_size=6))
    labels = draw(st.dictionaries(TEXTS, CELLS, max_size=5)) if form == "C" else {}
    values = len(rows) * max(1, len(fields) - 1 + len(labels))
    key = "values" if form == "C" else "data"
    table = {"fields": fields, key: rows}
    if form == "A":
        body |= {"device_id": "d", "sources": table}
    elif form == "B":
        body |= {"device_id": "d", "namespace": "input", "data": table}
    else:
        body |= {"namespace": "input", "data": table, "labels": labels}
    return body, values, max(len(fields) - 1, len(labels))


@given(imports(), st.sampled_from([None, 2]), st.booleans(), st.integers(1, 50))
def test_whatever_is_within_the_limits_passes(
    made: tuple[Any, int, int], indent: Any, escape: bool, step: int
) -> None:
    body, values, fields = made
    most = structure.of_import(values, fields)
    tight = most._replace(values=most.values - structure.FEW + 9, marks=most.marks - 256 + 40)
    counted(json.dumps(body, indent=indent, ensure_ascii=escape).encode(), step, tight)


@pytest.mark.parametrize("columns", [1, 7, 1_000])
@pytest.mark.parametrize("form", ["A", "C", "L"])
def test_the_largest_imports_pass(form: str, columns: int) -> None:
    rows, names = 20_000 // columns, [f"f{i},[" for i in range(columns)]
    body: Any = {"project_id": 1, "device_id": "d"}
    if form == "L":
        points = [{"time": 1, "value": None}] * rows
        body["sources"] = [{"name": name, "data": points} for name in names]
    else:
        table = {
            "fields": ["time", *names],
            "values" if form == "C" else "data": [[1] * (columns + 1)] * rows,
        }
        body["data" if form == "C" else "sources"] = table
    if form == "C":
        body["labels"] = dict.fromkeys(names[: 1_000 // rows])
    counted(json.dumps(body).encode(), 65_536, structure.of_import(20_000, 1_000))
