"""Which summaries stand for which points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.rules import summaries
from iobeam_server.rules.summaries import DAY, HOUR, Cover, Range


def test_an_hour_in_pieces() -> None:
    """From 00:30 to 02:30, of which 00:00 to 02:00 is summed up."""
    half = HOUR // 2
    found = summaries.cover((half, 5 * half), [(0, 2 * HOUR)], [], HOUR)
    assert found == Cover([], [(HOUR, 2 * HOUR)], [(half, HOUR), (2 * HOUR, 5 * half)])


@pytest.mark.parametrize(
    ("width", "days"), [(HOUR, []), (3 * HOUR, []), (DAY, [(0, DAY)]), (None, [(0, DAY)])]
)
def test_days_serve_buckets_that_end_where_they_do(width: int, days: list[Range]) -> None:
    found = summaries.cover((-HOUR, DAY + HOUR), [(-HOUR, DAY + HOUR)], [], width)
    hours = [(-HOUR, 0), (DAY, DAY + HOUR)] if days else [(-HOUR, DAY + HOUR)]
    assert found == Cover(days, hours, [])


def test_a_stale_hour_is_read_and_its_day_in_hours() -> None:
    found = summaries.cover((0, 2 * DAY), [(0, 2 * DAY)], [DAY + HOUR], DAY)
    assert found.days == [(0, DAY)]
    assert found.hours == [(DAY, DAY + HOUR), (DAY + 2 * HOUR, 2 * DAY)]
    assert found.points == [(DAY + HOUR, DAY + 2 * HOUR)]


@pytest.mark.parametrize(
    ("width", "is_served"),
    [(None, True), (HOUR, True), (7 * DAY, True), (HOUR + 1, False), (60_000_000, False)],
)
def test_widths(width: int, is_served: bool) -> None:
    assert summaries.serve(width) is is_served


HOURS = st.integers(-60, 60).map(lambda number: number * HOUR)
RANGES = st.lists(st.tuples(HOURS, HOURS).map(lambda pair: (min(pair), max(pair) + HOUR))).map(
    summaries.joined
)
TIMES = st.integers(-61 * HOUR, 61 * HOUR)


@given(
    wanted=st.tuples(TIMES, TIMES).map(lambda pair: (min(pair), max(pair) + 1)),
    summed=RANGES,
    stale=st.lists(HOURS, unique=True),
    width=st.sampled_from([None, HOUR, 5 * HOUR, DAY]),
)
def test_a_cover_is_the_time_once_and_rests_on_nothing_stale(
    wanted: Range, summed: list[Range], stale: list[int], width: int
) -> None:
    found = summaries.cover(wanted, summed, stale, width)
    pieces = sorted([*found.days, *found.hours, *found.points])
    assert pieces[0][0] == wanted[0]
    assert pieces[-1][1] == wanted[1]
    assert all(one[1] == other[0] for one, other in zip(pieces, pieces[1:]))
    assert all(start < end for start, end in pieces)
    for ranges, unit in ((found.days, DAY), (found.hours, HOUR)):
        for start, end in ranges:
            assert start % unit == end % unit == 0
            assert any(since <= start and end <= until for since, until in summed)
            assert not any(start <= hour < end for hour in stale)


@given(RANGES, st.lists(TIMES, min_size=1, unique=True).map(sorted))
def test_touched_hours(summed: list[Range], times: list[int]) -> None:
    found = summaries.touched(times, summed)
    assert found == {
        time - time % HOUR
        for time in times
        if any(start <= time < end for start, end in summed)
    }  # fmt: skip


@given(RANGES, RANGES)
def test_joined_ranges_ascend_and_do_not_touch(some: list[Range], more: list[Range]) -> None:
    found = summaries.joined([*some, *more])
    assert all(one[1] < other[0] for one, other in zip(found, found[1:]))
    hours = {h for ranges in (some, more) for s, e in ranges for h in range(s, e, HOUR)}
    assert {h for s, e in found for h in range(s, e, HOUR)} == hours
    whole = (-70 * HOUR, 70 * HOUR)
    rest = {h for s, e in summaries.without(whole, found) for h in range(s, e, HOUR)}
    assert rest == set(range(*whole, HOUR)) - hours
