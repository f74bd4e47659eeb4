from __future__ import annotations

from typing import Any

import pytest
from engines import missing
from storage.samples import cells, values

from iobeam_server.rules.points import INT64_MAX
from iobeam_server.storage.base import INPUT, Selection

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

from iobeam_server.storage.postgres.store import PostgresStorage


def test_filters_compare_integers_and_doubles_exactly(first: PostgresStorage) -> None:
    big = 2**53
    first.write([cells("d", [big, big + 1, float(big), float(big + 2), INT64_MAX])])
    assert values(first, less_than=big + 1) == [big, float(big)]
    assert values(first, greater_than=big + 1) == [float(big + 2), INT64_MAX]
    assert values(first, equals=big + 1) == [big + 1]
    assert values(first, equals=float(big)) == [big, float(big)]
    assert len(values(first, greater_than=-(10**400))) == 5


def test_sums_beyond_the_doubles_are_infinite_not_an_error(first: PostgresStorage) -> None:
    first.write([cells("d", [1e308, 1e308, 0.5]), cells("d", [1e308, -1e308, 0.5], "b")])
    found = {}
    for series in first.series.find(1, INPUT, None, None):
        (bucket,) = first.buckets(series, Selection(), None)
        found[series.name] = bucket.real_sum
    assert found == {"a": float("inf"), "b": 0.5}


def test_the_view_shows_every_point(first: PostgresStorage, beside: Any) -> None:
    for name, value in (("i", 3), ("r", 0.5), ("b", True), ("t", "x")):
        first.write([cells("d", [value], name)])
    cursor = beside.execute("SELECT * FROM iobeam_points ORDER BY series")
    assert [column.name for column in cursor.description] == [
        "project_id", "namespace", "device_id", "series", "time", "value", "text_value",
    ]  # fmt: skip
    rows = cursor.fetchall()
    assert rows == [
        (1, "input", "d", "b", 0, 1.0, None),
        (1, "input", "d", "i", 0, 3.0, None),
        (1, "input", "d", "r", 0, 0.5, None),
        (1, "input", "d", "t", 0, None, "x"),
    ]
    assert type(rows[1][5]) is float


def test_a_range_of_one_series_is_one_search_on_the_primary_key(
    first: PostgresStorage, beside: Any
) -> None:
    first.write([cells("d", list(range(20_000)))])
    beside.execute("ANALYZE points")
    for sql in (
        "SELECT time, int_value, real_value FROM points"
        " WHERE series_id = 1 AND time >= 2 AND time <= 3 ORDER BY time",
        "SELECT time, value FROM iobeam_points WHERE project_id = 1 AND namespace = 'input'"
        " AND device_id = 'd' AND series = 'a' AND time BETWEEN 2 AND 3",
    ):
        plan = "\n".join(row[0] for row in beside.execute("EXPLAIN " + sql))
        assert "points_pkey" in plan, plan
        assert '("time" >= 2)' in plan, plan
