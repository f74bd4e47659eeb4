from __future__ import annotations

import math

import pytest

from iobeam_server.errors import BadRequest
from iobeam_server.rules.aggregates import OPERATORS, Bucket, apply, parse_operator


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
