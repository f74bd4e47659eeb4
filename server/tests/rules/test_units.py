from __future__ import annotations

from typing import Any, Callable

import pytest

from iobeam_server.errors import BadRequest
from iobeam_server.rules.units import (
    MAX_LIFE_S,
    TIME_FORMATS,
    format_time,
    parse_duration,
    parse_interval,
    unit_us,
)


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (unit_us, "sec", 10**6), (unit_us, "MSEC", 1_000), (unit_us, "usec", 1),
        (parse_interval, "5ms", 5_000), (parse_interval, "1s", 10**6),
        (parse_interval, "10m", 6 * 10**8), (parse_interval, "1h", 36 * 10**8),
        (parse_interval, "1d", 864 * 10**8), (parse_interval, "2w", 12_096 * 10**8),
        (parse_duration, "5w", 3_024_000), (parse_duration, "30d", 2_592_000),
        (parse_duration, "12h", 43_200), (parse_duration, "90m", 5_400), (parse_duration, "1s", 1),
        (parse_duration, f"{MAX_LIFE_S}s", MAX_LIFE_S),
    ],
)  # fmt: skip
def test_a_unit_is_read(read: Callable[[str], int], text: str, number: int) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (unit_us, ["timeval", "", "ms", None, 3]),
        (parse_interval, ["", "0s", "5", "s", "-1s", "1.5h", "1y", "1 s", "٣s", "9" * 12 + "w"]),
        (
            parse_duration,
            ["", "5", "w", "0d", "-1d", "1.5h", "5W", "5w ", "5ms", "٣d", "9999w9",
             f"{MAX_LIFE_S + 1}s"],
        ),
    ],
)  # fmt: skip
def test_what_is_no_unit_is_refused(read: Callable[[Any], int], texts: list[Any]) -> None:
    for text in texts:
        with pytest.raises(BadRequest):
            read(text)


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (1_500_000, [1, 1_500, 1_500_000, {"sec": 1, "usec": 500_000}]),
        (-1, [-1, -1, -1, {"sec": -1, "usec": 999_999}]),
    ],
)
def test_a_time_is_rounded_down(time: int, shown: list[Any]) -> None:
    assert [format_time(time, timefmt) for timefmt in TIME_FORMATS] == shown
