"""``/v1/summaries``, on each engine."""

from __future__ import annotations

from typing import Any

import pytest
from live import Live

from iobeam_server import summarizing
from iobeam_server.rights.tokens import READ
from iobeam_server.rules.summaries import DAY, HOUR, WIDTHS_US, round_width

FIELDS = ["time", "n", "flag", "text"]
ROWS = [[1_000 * i, i, i % 2 == 0, f"t{i}"] for i in range(6)]  # us


@pytest.fixture
def filled(live: Live) -> Live:
    assert live.send(FIELDS, ROWS).status == 200
    return live


def ask(live: Live, path: str, query: str = "", **more: Any) -> Any:
    answer = live.call("GET", f"/v1/summaries/{path}?{query}", **more)
    assert answer.status == 200, answer.body
    return answer.json


def test_shape(filled: Live) -> None:
    found = ask(filled, "1/dev-1/n", "from=1&to=4&group_by=2ms")
    assert found == {
        "result": [
            {
                "project_id": 1,
                "device_id": "dev-1",
                "name": "n",
                "data": [
                    {"time": 0, "count": 1, "min": 1, "mean": 1.0, "max": 1},
                    {"time": 2, "count": 2, "min": 2, "mean": 2.5, "max": 3},
                    {"time": 4, "count": 1, "min": 4, "mean": 4.0, "max": 4},
                ],
            }
        ],
        "timefmt": "msec",
        "width_ms": 2,
    }


def test_one_bucket_over_everything_of_every_kind(filled: Live) -> None:
    found = ask(filled, "1", "timefmt=usec")
    assert found["width_ms"] is None
    assert {one["name"]: one["data"] for one in found["result"]} == {
        "n": [{"time": 0, "count": 6, "min": 0, "mean": 2.5, "max": 5}],
        "flag": [{"time": 0, "count": 6, "min": False, "mean": 0.5, "max": True}],
        "text": [{"time": 0, "count": 6, "min": None, "mean": None, "max": None}],
    }


def test_nothing_found(filled: Live) -> None:
    assert ask(filled, "1/dev-1/none", "buckets=5")["result"] == []
    assert ask(filled, "1/dev-1/n", "from=100&buckets=5")["result"] == []


@pytest.mark.parametrize(("most", "width"), [(6, 1), (5, 2), (3, 2), (2, 5), (1, 10)])
def test_so_many_buckets_as_there_is_room_for(filled: Live, most: int, width: int) -> None:
    """From the first point to the last one it is 5.001 ms."""
    found = ask(filled, "1/dev-1/n", f"buckets={most}")
    assert found["width_ms"] == width
    assert sum(one["count"] for one in found["result"][0]["data"]) == 6
    assert len(found["result"][0]["data"]) <= most + 1  # the first may begin before the time


@pytest.mark.parametrize(
    ("span", "width"),
    [("from=-9&to=999", 2), ("from=3", 1), ("to=2", 1), ("from=2&to=2", 1), ("from=1", 2)],
)
def test_the_width_follows_the_points_in_that_time(filled: Live, span: str, width: int) -> None:
    assert ask(filled, "1/dev-1/n", f"{span}&buckets=3")["width_ms"] == width


@pytest.mark.parametrize("many", [5, 6])
def test_very_many_points_are_shown_by_the_hour(
    live: Live, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(summarizing, "MANY_POINTS", many)
    live.send(["time", "n"], [[n * 6 * HOUR, n] for n in range(6)])
    found = ask(live, "1/dev-1/n", "buckets=1000")
    assert found["width_ms"] == (HOUR if many == 5 else HOUR // 30) // 1_000


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("buckets=0", "buckets must be at least 1, not 0"),
        ("buckets=10001", "buckets must be at most 10000, not 10001"),
        ("buckets=5&group_by=1m", "give one of them"),
        ("group_by=1x", "an interval is"),
        ("from=x", "from must be an integer"),
        ("timefmt=x", "timefmt must be one of"),
    ],
)
def test_refusals_name_what_is_wrong(filled: Live, query: str, words: str) -> None:
    answer = filled.call("GET", f"/v1/summaries/1/dev-1/n?{query}")
    assert answer.status == 400
    assert words in answer.json["errors"][0]["message"]


def test_a_device_token_sees_its_own_device_only(filled: Live) -> None:
    filled.register("dev-2")
    assert filled.send(FIELDS, ROWS, device="dev-2").status == 200
    token = filled.make_token(READ, device="dev-1")
    found = ask(filled, "1", "", token=token)
    assert {one["device_id"] for one in found["result"]} == {"dev-1"}
    assert filled.call("GET", "/v1/summaries/1/dev-2", token=token).status == 403


@pytest.mark.parametrize("most", [1, 7, 800])
@pytest.mark.parametrize("span", [1, 999, 10**6, HOUR, 40 * DAY + 1, 40_000 * DAY])
def test_a_round_width_is_the_narrowest_that_is_enough(span: int, most: int) -> None:
    width = round_width(span, most)
    assert width * most >= span
    if width in WIDTHS_US[1:]:
        assert WIDTHS_US[WIDTHS_US.index(width) - 1] * most < span
    else:
        assert width == WIDTHS_US[0] or width % DAY == 0
