"""Which summaries stand for the points of a time, and where the points themselves are read.

A summary holds what is known of the points of one series in one hour, or in one day, of UTC.
Ranges are of microseconds, from the first up to and without the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

from iobeam_server.rules.units import UNITS_US

HOUR = UNITS_US["h"]
DAY = UNITS_US["d"]

WIDTHS_US = (
    *(n * 1_000 for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * UNITS_US["s"] for n in (1, 2, 5, 10, 15, 30)),
    *(n * UNITS_US["m"] for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 30)),
)
"""Of buckets that a person can read off a clock or a calendar."""

Range = tuple[int, int]


class Cover(NamedTuple):
    """Ranges that together are the one asked for, each read from what it is listed under."""

    days: Sequence[Range]
    hours: Sequence[Range]
    points: Sequence[Range]


def serve(width_us: Optional[int]) -> bool:
    """Say whether buckets of a width can be put together from hours; None is one bucket."""
    return width_us is None or width_us % HOUR == 0


def round_width(span_us: int, most: int) -> int:
    """Return the narrowest round width that makes at most so many buckets of a span."""
    least = max(1, -(-span_us // most))
    return next((width for width in WIDTHS_US if width >= least), ceil(least, DAY))


def floor(time: int, width: int) -> int:
    return time - time % width


def ceil(time: int, width: int) -> int:
    return time + -time % width


def cover(
    wanted: Range, summed: Sequence[Range], stale: Iterable[int], width_us: Optional[int]
) -> Cover:
    """Divide a time into what is read from summaries and what from points.

    Args:
        wanted: the time.
        summed: ranges of whole hours whose summaries are there, ascending, none overlapping.
        stale: starts of the hours among them whose points have changed since.
        width_us: of the buckets; days serve those that end where days do.
    """
    days: list[Range] = []
    hours: list[Range] = []
    points: list[Range] = []
    at = wanted[0]
    for start, end in fresh(wanted, summed, stale):
        _add(points, at, start)
        at = end
        first, last = ceil(start, DAY), floor(end, DAY)
        if first < last and (width_us is None or width_us % DAY == 0):
            _add(hours, start, first)
            _add(days, first, last)
            _add(hours, last, end)
        else:
            _add(hours, start, end)
    _add(points, at, wanted[1])
    return Cover(days, hours, points)


def without(wanted: Range, summed: Sequence[Range]) -> Iterator[Range]:
    """Yield what of a time is in none of some ranges, which ascend and do not overlap."""
    at = wanted[0]
    for start, end in summed:
        if end <= at:
            continue
        if start >= wanted[1]:
            break
        if start > at:
            yield at, start
        at = end
    if at < wanted[1]:
        yield at, wanted[1]


def joined(summed: Iterable[Range]) -> list[Range]:
    """Return ranges in order, those that touch or overlap as one."""
    found: list[Range] = []
    for start, end in sorted(summed):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def touched(times: Sequence[int], summed: Sequence[Range]) -> set[int]:
    """Return the starts of the hours in some ranges that have any of these times, which ascend."""
    if not summed or times[-1] < summed[0][0] or times[0] >= summed[-1][1]:
        return set()  # as a rule: what comes is newer than what is summed up
    hours = {floor(time, HOUR) for time in times}
    return {hour for hour in hours if any(start <= hour < end for start, end in summed)}


def fresh(wanted: Range, summed: Sequence[Range], stale: Iterable[int]) -> Iterator[Range]:
    """Yield the ranges of whole hours whose summaries are as their points."""
    lost = [(hour, hour + HOUR) for hour in sorted(stale)]
    for start, end in summed:
        start, end = max(start, ceil(wanted[0], HOUR)), min(end, floor(wanted[1], HOUR))
        if start < end:
            yield from without((start, end), [one for one in lost if start <= one[0] < end])


def _add(ranges: list[Range], start: int, end: int) -> None:
    if start < end:
        ranges.append((start, end))
