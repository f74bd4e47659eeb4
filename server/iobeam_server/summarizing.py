"""Which buckets show a time of some series, in as many as a chart has room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from iobeam_server.exporting import Summarized
from iobeam_server.rules.aggregates import apply
from iobeam_server.rules.points import Kind
from iobeam_server.rules.summaries import DAY, HOUR, round_width
from iobeam_server.storage.base import ALWAYS, Selection, Series, Span
from iobeam_server.storage.store import Storage

MANY_POINTS = 250_000  # whose buckets of less than an hour take longer than anybody waits


class Asked(NamedTuple):
    """Buckets of one width, or (`most`) of the width that makes at most so many, or one only."""

    start: Optional[int]
    """In us, inclusive, as is `end`; None is open."""
    end: Optional[int]
    width_us: Optional[int]
    most: Optional[int]


def width_of(store: Storage, series: Sequence[Series], asked: Asked) -> Optional[int]:
    """Return the width of the buckets, in us; None is one bucket over everything.

    Where there are very many points it is an hour at least: hours are summed up already.
    """
    if asked.most is None:
        return asked.width_us
    start = ALWAYS.first if asked.start is None else asked.start
    end = ALWAYS.last if asked.end is None else asked.end
    span = store.series.ends(series, Span(start, end))
    if span is None:
        return round_width(1, 1)
    width = round_width(span.last - span.first + 1, asked.most)
    if width < HOUR and span.last - span.first >= DAY:
        return HOUR if store.summaries.are_many(series, span, MANY_POINTS) else width
    return width


def summaries(
    store: Storage, series: Sequence[Series], asked: Asked, width_us: Optional[int]
) -> Iterator[tuple[Series, Iterator[Summarized]]]:
    """Yield each series with its buckets, ascending in time; of texts the count alone."""
    for one in series:
        yield one, _of_one(store, one, asked, width_us)


def _of_one(
    store: Storage, series: Series, asked: Asked, width_us: Optional[int]
) -> Iterator[Summarized]:
    is_text, is_flag = series.kind is Kind.TEXT, series.kind is Kind.BOOLEAN
    for bucket in store.buckets(series, Selection(asked.start, asked.end), width_us):
        least, mean, greatest = (
            None if is_text else apply(operator, bucket) for operator in ("min", "mean", "max")
        )
        if is_flag:
            least, greatest = bool(least), bool(greatest)
        yield Summarized(bucket.start, bucket.points, least, mean, greatest)
