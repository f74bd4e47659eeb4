from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iobeam_server.errors import BadRequest
from iobeam_server.rules import times
from iobeam_server.rules.points import INT64_MAX, INT64_MIN


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_769_860_800_123_456, "2026-01-31T12:00:00.123456Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z"),
        (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999999Z"),
        (253_402_300_800_000_000, "+010000-01-01T00:00:00.000000Z"),
        (INT64_MIN, "-290308-12-21T19:59:05.224192Z"),
        (INT64_MAX, "+294247-01-10T04:00:54.775807Z"),
    ],
)
def test_every_microsecond_has_one_text(time: int, text: str) -> None:
    assert times.to_iso(time) == text
    assert times.from_iso(text) == time


@given(st.integers(INT64_MIN, INT64_MAX))
@example(INT64_MIN)
def test_what_is_written_is_read(time: int) -> None:
    assert times.from_iso(times.to_iso(time)) == time


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000",
        "2026-01-31T12:00:00.000000+00:00", "2026-02-30T12:00:00.000000Z", "now",
        "2026-01-31T24:00:00.000000Z", "+002026-01-31T12:00:00.000000Z",
        "-000000-01-01T00:00:00.000000Z", "+294247-01-10T04:00:54.775808Z",
        "-290308-12-21T19:59:05.224191Z", "٢026-01-31T12:00:00.000000Z",
    ],
)  # fmt: skip
def test_what_is_written_otherwise_is_nothing(text: str) -> None:
    assert times.from_iso(text) is None


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("1769860800000", 1_769_860_800_000_000, 1_769_860_800_000_999),
        ("-1", -1_000, -1),
        (" 2026-01-31T12:00:00Z ", 1_769_860_800_000_000, 1_769_860_800_000_999),
        ("2026-01-31 12:00z", 1_769_860_800_000_000, 1_769_860_800_000_999),
        ("2026-01-31T13:00:00+01:00", 1_769_860_800_000_000, 1_769_860_800_000_999),
        ("2026-01-31T06:30:00-0530", 1_769_860_800_000_000, 1_769_860_800_000_999),
        ("2026-01-31T12:00:00.5Z", 1_769_860_800_500_000, 1_769_860_800_500_999),
        ("2026-01-31T12:00:00.123456Z", 1_769_860_800_123_456, 1_769_860_800_123_456),
    ],
)
def test_times_that_people_type(text: str, first: int, last: int) -> None:
    assert (times.moment(text), times.moment(text, is_end=True)) == (first, last)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "with its zone, as 2026-01-31T12:00:00Z .*milliseconds since the epoch"),
        ("2026-01-31T12:00:00", "with its zone"),
        ("2026-01-31", "with its zone"),
        ("yesterday", "with its zone, .* not 'yesterday'"),
        ("1e3", "with its zone"),
        ("1.5", "with its zone"),
        ("2026-02-30T12:00:00Z", "no such moment"),
        ("2026-01-31T12:00:00+24:00", "no such moment"),
        ("2026-01-31T25:00:00Z", "no such moment"),
        ("9223372036854775807", "outside the years"),
    ],
)
def test_times_that_could_be_several_are_refused(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        times.moment(text)
