"""What a query is understood as; the rows themselves: `api/test_data.py`, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from iobeam_server.errors import BadRequest
from iobeam_server.rowquery import MAX_ROWS, Asked, Plan, plan
from iobeam_server.rules.expressions import Condition, Grouping, LimitBy, TimeRange
from iobeam_server.rules.points import Kind
from iobeam_server.storage.base import Namespace

FIELDS = {"n": Kind.NUMBER, "flag": Kind.BOOLEAN, "text": Kind.TEXT}
NAMESPACE = Namespace(1, 1, "input", "device_id", FIELDS, {}, 0, 0)
NOW_US = 10_000_000


def planned(**asked: Any) -> Plan:
    return plan(Asked(**asked), NAMESPACE, None, NOW_US)


@pytest.mark.parametrize(
    ("asked", "part", "expected"),
    [
        ({}, "field", None),
        ({"field": "ALL"}, "field", None),
        ({"field": "All!"}, "field", "All!"),
        ({}, "range", TimeRange(None, None)),
        ({"time": "1,2"}, "range", TimeRange(1_000, 2_999)),
        ({"time": "now()-2s"}, "range", TimeRange(8_000_000, NOW_US + 999)),
        ({"where": ["ge(time,1)", "lt(time,5)"], "time": "3,9"}, "range", TimeRange(3_000, 4_999)),
        ({"where": ["lt(time,5)"]}, "range", TimeRange(None, 4_999)),
        ({"where": ["ge(time,1)"]}, "on_fields", []),
        ({"where": ["eq(device_id,a)"]}, "on_key", [Condition("eq", "device_id", "a")]),
        ({"where": ["eq(device_id,a)"]}, "on_fields", []),
        ({"where": ["gt(n,1)", "eq(device_id,a)"]}, "on_fields", [Condition("gt", "n", "1")]),
        ({"field": "n", "operator": "MAX"}, "operator", "max"),
        ({}, "grouping", Grouping(None, ())),
        (
            {"field": "n", "operator": "sum", "group_by": "time(2ms),flag"},
            "grouping",
            Grouping(2_000, ["flag"]),
        ),
        ({"limit_by": "flag,2"}, "limit_by", LimitBy("flag", 2)),
        ({"limit": 5}, "limit", 5),
        ({"limit": 10**29}, "limit", MAX_ROWS),
    ],
)
def test_a_query_is_understood(asked: dict[str, Any], part: str, expected: Any) -> None:
    assert getattr(planned(**asked), part) == expected


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"group_by": "time(5s)"}, "group_by needs an operator"),
        ({"operator": "count"}, "an operator needs one field"),
        ({"limit_periods": 2}, "limit_periods counts buckets"),
        ({"operator": "sum", "field": "n", "limit_periods": 2}, "limit_periods counts"),
        (
            {"operator": "sum", "field": "n", "limit_periods": 2, "group_by": "flag"},
            "limit_periods counts",
        ),
        ({"operator": "sum", "field": "n", "limit_by": "flag,1"}, "must name a field of group_by"),
        ({"operator": "sum", "field": "text"}, "sum of text: 'text' holds strings"),
        ({"operator": "mean", "field": "device_id"}, "mean of text"),
        ({"operator": "avg", "field": "n"}, "operator must be one of"),
        ({"where": ["n"]}, "where must look like"),
        ({"time": "x"}, "time"),
    ],
)
def test_what_says_nothing_together_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        planned(**asked)


def test_the_key_of_another_namespace_is_its_own() -> None:
    other = NAMESPACE._replace(partitioning_field="place")
    found = plan(Asked(where=["eq(place,x)", "eq(device_id,y)"]), other, None, 0)
    assert found.key == "place"
    assert [one.field for one in found.on_key] == ["place"]
    assert [one.field for one in found.on_fields] == ["device_id"]
