from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.rules import texts
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind

NUMBERS = st.one_of(
    st.integers(INT64_MIN, INT64_MAX), st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.one_of(NUMBERS, st.booleans(), st.text()))
def test_what_is_written_reads_back_as_the_same(value: Any) -> None:
    kind = {bool: Kind.BOOLEAN, str: Kind.TEXT}.get(type(value), Kind.NUMBER)
    back = texts.read(texts.to_text(value), kind)
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7), (" -7 ", -7), ("+7", 7), ("007", 7), ("7.", 7.0), (".5", 0.5), ("1e3", 1000.0),
        ("9223372036854775807", INT64_MAX), ("9223372036854775808", 2.0**63),
        ("", None), ("-", None), (".", None), ("1_000", None), ("0x10", None), ("nan", None),
        ("inf", None), ("1e999", None), ("1,5", None), ("\N{ARABIC-INDIC DIGIT ONE}", None),
    ],
)  # fmt: skip
def test_numbers(text: str, number: Any) -> None:
    found = texts.to_number(text)
    assert (type(found), found) == (type(number), number)


@pytest.mark.parametrize(
    ("text", "flag"),
    [("true", True), (" FALSE ", False), ("True", True), ("1", None), ("yes", None), ("", None)],
)
def test_booleans(text: str, flag: Any) -> None:
    assert texts.to_boolean(text) is flag


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        (True, Kind.NUMBER, 1), (2.5, Kind.BOOLEAN, None), (1.0, Kind.BOOLEAN, True),
        (2, Kind.BOOLEAN, None), ("x", Kind.NUMBER, None), (2.5, Kind.NUMBER, 2.5),
        (False, Kind.TEXT, "false"),
    ],
)  # fmt: skip
def test_conversions(value: Any, kind: Kind, converted: Any) -> None:
    found = texts.convert(value, kind)
    assert (type(found), found) == (type(converted), converted)


def test_every_kind_has_a_name() -> None:
    assert {texts.NAMES[kind] for kind in Kind} == {"number", "boolean", "string"}
