from __future__ import annotations

import math

import pytest

from iobeam_server.aggregates import OPERATORS, Bucket, apply, parse_interval, parse_operator
from iobeam_server.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("5ms", 5_000), ("1s", 10**6), ("10m", 6 * 10**8), ("1h", 36 * 10**8),
        ("1d", 864 * 10**8), ("2w", 12_096 * 10**8),
    ],
)  # fmt: skip
def test_interval(text: str, us: int) -> None:
    assert parse_interval(text) == us


@pytest.mark.parametrize(
    "text", ["", "0s", "5", "s", "-1s", "1.5h", "1y", "1 s", "٣s", "9" * 12 + "w"]
)
def test_bad_interval(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_interval(text)


def test_operator_in_any_case() -> None:
    assert [parse_operator(name.upper()) for name in OPERATORS] == list(OPERATORS)


@pytest.mark.parametrize("text", ["avg", "", "sum "])
def test_unknown_operator(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_operator(text)


def test_each_operator() -> None:
    bucket = Bucket(0, 4, 6, 1.5, -1, 3.5)
    assert [apply(name, bucket) for name in OPERATORS] == [7.5, 4, -1, 3.5, 1.875]


def test_sum_of_integers_is_exact_and_overflows_into_a_double() -> None:
    assert apply("sum", Bucket(0, 2, 2**53 + 1, None, 0, 0)) == 2**53 + 1
    assert apply("sum", Bucket(0, 2, 2**64, None, 0, 0)) == float(2**64)
    assert apply("mean", Bucket(0, 2, 2 * (2**63 - 1), None, 0, 0)) == float(2**63 - 1)


@pytest.mark.parametrize("real", [math.inf, math.nan])
def test_a_sum_beyond_the_doubles_is_null(real: float) -> None:
    assert apply("sum", Bucket(0, 2, 0, real, 0, 0)) is None
