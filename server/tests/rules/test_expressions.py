from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import BadRequest
from iobeam_server.rules.expressions import (
    COMPARISONS,
    Condition,
    TimeRange,
    narrow,
    parse_condition,
    parse_group_by,
    parse_limit_by,
    parse_number,
    parse_time,
    predicate,
)
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind

NOW = 1_700_000_000_123_456
FLOOR = 1_700_000_000_123_000
HOUR = 3_600_000_000

UNITS = {
    "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": HOUR, "d": 24 * HOUR, "w": 168 * HOUR,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eq(a,1)", ("eq", "a", "1")),
        (" GE ( a b ,  2 ) ", ("ge", "a b", "2")),
        ('eq(device_id,"dev, (1) ü")', ("eq", "device_id", "dev, (1) ü")),
        ("eq(a,f(x),y))", ("eq", "a", "f(x),y)")),
        ('eq(a,"")', ("eq", "a", "")),
        ('eq(a,")', ("eq", "a", '"')),
        ("eq(a,)", ("eq", "a", "")),
        ("lt(a,line\nbreak)", ("lt", "a", "line\nbreak")),
    ],
)
def test_condition(text: str, expected: Any) -> None:
    assert parse_condition(text) == expected


@pytest.mark.parametrize(
    "text", ["", "eq", "eq()", "eq(a)", "eq(,1)", "ne(a,1)", "a=1", "eq(a,1", "eq(a,1)x", "(a,1)"]
)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_condition(text)


@given(
    st.sampled_from(sorted(COMPARISONS)),
    st.text(min_size=1, max_size=20).filter(lambda t: "," not in t and t.strip() == t),
    st.text(max_size=30),
)
def test_a_quoted_value_comes_back_whole(comparison: str, field: str, value: str) -> None:
    if not field.strip():
        return
    assert parse_condition(f'{comparison}({field}, "{value}" )') == (comparison, field, value)


@given(st.text(max_size=40))
def test_noise_is_refused_or_understood_never_worse(text: str) -> None:
    for parse in (parse_condition, parse_group_by, parse_limit_by, lambda t: parse_time(t, NOW)):
        try:
            parse(text)
        except BadRequest:
            continue


@pytest.mark.parametrize(
    ("kind", "condition", "value", "passes"),
    [
        (Kind.NUMBER, "eq(a,20)", 20.0, True),
        (Kind.NUMBER, 'gt(a,"2e1")', 21, True),
        (Kind.NUMBER, "lt(a,x)", 1, False),
        (Kind.NUMBER, "eq(a,9007199254740993)", 2**53 + 1, True),
        (Kind.NUMBER, "eq(a,9007199254740993)", 2**53, False),
        (Kind.TEXT, "eq(a,20)", "20", True),
        (Kind.TEXT, "ge(a,b)", "a", False),
        (Kind.BOOLEAN, "eq(a,TRUE)", True, True),
        (Kind.BOOLEAN, "eq(a,0)", False, True),
        (Kind.BOOLEAN, "eq(a,yes)", True, False),
        (Kind.NUMBER, "ge(a,0)", None, False),
    ],
)
def test_values_are_compared_as_what_the_field_holds(
    kind: Kind, condition: str, value: Any, passes: bool
) -> None:
    assert predicate(parse_condition(condition), kind)(value) is passes


@given(
    st.sampled_from(sorted(COMPARISONS)),
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)),
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_numbers_compare_exactly(comparison: str, value: Any, wanted: Any) -> None:
    test = predicate(Condition(comparison, "a", repr(wanted)), Kind.NUMBER)
    assert test(value) is COMPARISONS[comparison](value, wanted)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e999", "1_0", "٣", "0x1", "9" * 200])
def test_what_is_no_number(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("5", 5_000, FLOOR + 999),
        ("5,", 5_000, FLOOR + 999),
        ("5,7", 5_000, 7_999),
        (",7", None, 7_999),
        (" -5 , 7s ", -5_000, 7_000_999),
        ("now()-2h", FLOOR - 2 * HOUR, FLOOR + 999),
        ("now() - 2h,now()", FLOOR - 2 * HOUR, FLOOR + 999),
        ("now(),now() 1d", FLOOR, FLOOR + 24 * HOUR + 999),  # a "+" that was not escaped
        ("now()-999999999999w", INT64_MIN, FLOOR + 999),
        ("0,9999999999999999999", 0, INT64_MAX),
    ],
)
def test_time(text: str, start: Any, end: int) -> None:
    assert parse_time(text, NOW) == (start, end)


@pytest.mark.parametrize(
    "text",
    [",", " , ", "1,2,3", "1.5", "now", "now()-", "now()-2", "now()2h", "now()*2h", "1y", "x,1",
     "now()-2h5m", "٣"],
)  # fmt: skip
def test_bad_times(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_time(text, NOW)


@given(st.sampled_from("+-"), st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_offsets_from_now(sign: str, number: int, unit: str) -> None:
    found = parse_time(f"now(){sign}{number}{unit},", NOW).start
    assert found == FLOOR + number * UNITS[unit] * (1 if sign == "+" else -1)


@given(
    st.integers(-(10**6), 10**6), st.sampled_from(sorted(COMPARISONS)), st.integers(-1_000, 1_000)
)
def test_conditions_on_time_cover_whole_milliseconds(
    time_us: int, comparison: str, ms: int
) -> None:
    start, end = narrow(TimeRange(None, None), Condition(comparison, "time", str(ms)), NOW)
    is_within = (start is None or start <= time_us) and (end is None or time_us <= end)
    assert is_within is COMPARISONS[comparison](time_us // 1_000, ms)


def test_conditions_on_time_narrow_what_is_there() -> None:
    bounds = TimeRange(5_000, 9_999)
    assert narrow(bounds, Condition("ge", "time", "1"), NOW) == bounds
    assert narrow(bounds, Condition("lt", "time", "7"), NOW) == (5_000, 6_999)
    assert narrow(bounds, Condition("gt", "time", "7"), NOW) == (8_000, 9_999)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time(2m)", (120_000_000, [])),
        ("time( 10s ), field", (10_000_000, ["field"])),
        ("a,time(1d),b", (86_400_000_000, ["a", "b"])),
        ("device_id", (None, ["device_id"])),
        ("time", (None, ["time"])),
    ],
)
def test_group_by(text: str, expected: Any) -> None:
    assert parse_group_by(text) == expected


SIXTEEN = ",".join(f"f{number}" for number in range(16))


def test_group_by_takes_sixteen_fields_beside_the_time() -> None:
    assert len(parse_group_by(f"{SIXTEEN},time(1s)").fields) == 16
    with pytest.raises(BadRequest, match="group_by names more than 16 fields"):
        parse_group_by(f"time(1s),{SIXTEEN},g")


@pytest.mark.parametrize(
    "text",
    [",", "a,", "a,a", "time(1s),time(2s)", "time(0s)", "time(x)", "time(" + " " * 2_000 + "x",
     "time (1s", "time((1s))", "time(1s)x", "time()"],
)  # fmt: skip
def test_bad_group_by(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_group_by(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("device_id,1", ("device_id", 1)), (" a , 20 ", ("a", 20)), ("a,b,3", ("a,b", 3))],
)
def test_limit_by(text: str, expected: Any) -> None:
    assert parse_limit_by(text) == expected


@pytest.mark.parametrize("text", ["", "a", "a,", ",1", "a,0", "a,-1", "a,x", "a,1.5", "1"])
def test_bad_limit_by(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_limit_by(text)
