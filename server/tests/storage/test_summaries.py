"""Sums by summaries are those of the points, whatever happens to these; on each engine."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from storage.samples import Execute, batch

from iobeam_server import deadlines
from iobeam_server.config import Config
from iobeam_server.deadlines import Deadline
from iobeam_server.errors import QueryTimeout, StorageUnavailable
from iobeam_server.maintenance import delete_points, prune
from iobeam_server.rules.aggregates import Bucket, Sums
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind
from iobeam_server.rules.summaries import DAY, HOUR
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import ALWAYS, INPUT, Selection, Series, Span
from iobeam_server.storage.catalog import summaries
from iobeam_server.storage.store import Storage

NOW = 1_795_820_399_999_999  # the last microsecond of an hour
START = NOW - NOW % DAY - 10 * DAY  # ten days ago
MINUTE = HOUR // 60


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test runs from one hour into the next."""
    monkeypatch.setattr(time, "time_ns", lambda: NOW * 1_000)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summaries pay from a few points on, and are made of few at a time."""
    monkeypatch.setattr(summaries, "DIRECT_POINTS", 20)
    monkeypatch.setattr(summaries, "DIRECT_HOURS", 3)
    monkeypatch.setattr(summaries, "PIECE_POINTS", 50)


def every_10_minutes(days: int = 3, field: str = "a") -> list[list[Any]]:
    return [[START + n * 10 * MINUTE, n] for n in range(days * 144)]


def series_of(store: Storage, device: Optional[str] = None, name: str = "a") -> list[Series]:
    return list(store.series.find(1, INPUT, device, name))


def sums(store: Storage, width: Optional[int], **selection: Any) -> list[tuple[int, int, int]]:
    (series,) = series_of(store)
    found = store.buckets(series, Selection(**selection), width)
    return [(bucket.start, bucket.points, bucket.int_sum) for bucket in found]


def expected(rows: list[list[Any]], width: int) -> list[tuple[int, int, int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for moment, value in rows:
        found[moment - moment % width].append(value)
    return [(start, len(values), sum(values)) for start, values in sorted(found.items())]


def count(execute: Execute, table: str) -> int:
    ((number,),) = execute(f"SELECT count(*) FROM {table}")  # noqa: S608
    return int(number)


@pytest.mark.parametrize("width", [HOUR, 3 * HOUR, DAY, 2 * DAY, MINUTE])
def test_buckets_are_those_of_the_points(store: Storage, execute: Execute, width: int) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    for _ in range(2):  # the second time by what the first one has made
        assert sums(store, width) == expected(rows, width)
    assert (count(execute, "summaries") == 0) is (width == MINUTE)
    assert list(store.problems()) == []


def test_few_points_are_added_up_as_they_are(store: Storage, execute: Execute) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    assert sums(store, HOUR, end=START + 3 * HOUR - 1) == expected(rows[:18], HOUR)
    assert count(execute, "summed") == 0


def test_only_what_is_asked_for_is_made(store: Storage, execute: Execute) -> None:
    store.write([batch(every_10_minutes())])
    sums(store, HOUR, start=START + DAY, end=START + 2 * DAY)
    assert execute("SELECT since, until FROM summed") == [(START + DAY, START + 2 * DAY)]
    sums(store, HOUR)
    assert execute("SELECT since, until FROM summed") == [(START, NOW - NOW % HOUR)]


def test_one_bucket_over_everything(store: Storage) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    for _ in range(2):
        (bucket,) = store.buckets(series_of(store)[0], Selection(), None)
        assert bucket == Bucket(START, 432, sum(range(432)), None, 0, 431)
        assert sums(store, None, start=START + 1) == [(START + 1, 431, sum(range(1, 432)))]


def test_the_newest_buckets(store: Storage) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    for _ in range(2):
        assert sums(store, DAY, limit=2) == expected(rows, DAY)[-2:]


@pytest.mark.parametrize("after", [0, 1])
def test_a_point_that_comes_late_or_again(store: Storage, after: int) -> None:
    """In the transaction after the summary, and in one after that: the mark is not made twice."""
    rows = every_10_minutes()
    store.write([batch(rows)])
    sums(store, DAY)
    for number in range(after + 1):
        rows += [[START + HOUR + 1 + number, 1_000]]
        rows[7] = [rows[7][0], -number]
        store.write([batch([rows[-1], rows[7]])])
    for width in (HOUR, DAY):
        assert sums(store, width) == expected(rows, width)
    assert list(store.problems()) == []


def test_many_stale_hours_are_made_anew(store: Storage, execute: Execute) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    sums(store, HOUR)
    late = [[START + n * HOUR + 1, 5] for n in range(0, 48, 2)]
    store.write([batch(late)])
    assert count(execute, "stale_hours") == 24
    assert sums(store, HOUR) == expected(rows + late, HOUR)
    assert count(execute, "stale_hours") == 0
    assert sums(store, DAY) == expected(rows + late, DAY)
    assert list(store.problems()) == []


def test_deleted_points(store: Storage) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    sums(store, DAY)
    span = Span(START + 90 * MINUTE, START + DAY + HOUR)
    delete_points(store, series_of(store), span)
    left = [row for row in rows if not span.first <= row[0] <= span.last]
    for width in (HOUR, DAY):
        assert sums(store, width) == expected(left, width)
    delete_points(store, series_of(store), ALWAYS)
    assert sums(store, DAY) == []
    assert list(store.problems()) == []


def test_an_hour_that_was_late_and_is_deleted_takes_points_again(store: Storage) -> None:
    store.write([batch(every_10_minutes())])
    sums(store, HOUR)
    hour = START + 5 * HOUR
    store.write([batch([[hour + 7, 1]])])  # the mark is made, and remembered
    delete_points(store, series_of(store), Span(hour - 1, hour + HOUR))
    store.write([batch([[hour + 9, 2]])])
    assert list(store.problems()) == []
    assert (hour, 1, 2) in sums(store, HOUR)


def test_marks_are_found_in_whatever_order_they_lie(store: Storage, execute: Execute) -> None:
    """As PostgreSQL does from a small table whose statistics it has."""
    store.write([batch(every_10_minutes())])
    sums(store, HOUR)
    for number in (7, 2, 5):
        store.write([batch([[START + number * HOUR + 1, 1]])])
    execute("ANALYZE")
    assert list(store.problems()) == []


@pytest.mark.parametrize("hours", [0.5, 24, 30, 47.9, 48, 72])
def test_what_is_pruned_leaves_no_summaries(
    store: Storage, execute: Execute, hours: float
) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    sums(store, DAY)
    before = START + int(hours * HOUR)
    assert prune(store, before) == len([row for row in rows if row[0] < before])
    ((oldest,),) = execute("SELECT coalesce(min(start), 0) FROM summaries WHERE width <= start")
    assert hours == 72 or oldest >= before - before % DAY
    assert count(execute, "stale_hours") <= 1
    assert list(store.problems()) == []
    left = [row for row in rows if row[0] >= before]
    for width in (DAY, HOUR):
        assert sums(store, width) == expected(left, width)


def test_a_series_that_is_dropped_or_changes_its_type(store: Storage, execute: Execute) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])
    sums(store, DAY)
    store.series.retype(1, INPUT, "a", Kind.BOOLEAN, drop_unfit=True)
    assert [n for _, n, _ in sums(store, None)] == [2]
    assert list(store.problems()) == []
    store.series.drop(1, INPUT, "a", None)
    for table in ("summaries", "summed", "stale_hours"):
        assert count(execute, table) == 0


def test_points_of_the_future_and_of_the_first_day(store: Storage, execute: Execute) -> None:
    rows = every_10_minutes()
    odd = [[INT64_MIN, 1], [INT64_MAX, 2], [0, 3], [NOW + 400 * DAY, 4]]
    store.write([batch(rows + odd)])
    for width in (None, DAY):
        for _ in range(2):
            found = sums(store, width)
            assert sum(points for _, points, _ in found) == 436
            assert sum(total for _, _, total in found) == sum(range(432)) + 10
    assert execute("SELECT max(until) FROM summed")[0][0] <= NOW + HOUR
    assert list(store.problems()) == []


def test_integers_stay_exact_and_doubles_do_not_overflow(store: Storage) -> None:
    big = [[START + n * MINUTE, INT64_MAX - n] for n in range(3 * 1440)]
    wide = [[START + n * MINUTE, 1e308 if n < 1_500 else -1e308] for n in range(3 * 1440)]
    store.write([batch(big, device="big"), batch(wide, device="wide")])
    for _ in range(2):
        (bucket,) = store.buckets(series_of(store, "big")[0], Selection(), None)
        assert bucket.int_sum == sum(value for _, value in big)
        assert (bucket.least, bucket.greatest) == (INT64_MAX - 4_319, INT64_MAX)
        assert type(bucket.least) is int
        (bucket,) = store.buckets(series_of(store, "wide")[0], Selection(), None)
        assert bucket.real_sum is not None
        assert bucket.points == 4_320


def test_booleans_and_texts(store: Storage, execute: Execute) -> None:
    rows = [[START + n * 10 * MINUTE, n % 3 == 0, f"w{n:04}"] for n in range(432)]
    store.write([batch(rows, ("a", "t"))])
    for _ in range(2):
        (bucket,) = store.buckets(series_of(store)[0], Selection(), None)
        assert (bucket.points, bucket.int_sum, bucket.least, bucket.greatest) == (432, 144, 0, 1)
        (bucket,) = store.buckets(series_of(store, name="t")[0], Selection(), None)
        assert (bucket.least, bucket.greatest) == ("w0000", "w0431")
    assert len(execute("SELECT DISTINCT series_id FROM summaries")) == 1


@pytest.mark.parametrize("width", [None, HOUR, DAY])
def test_many_series_together_and_apart(store: Storage, width: Optional[int]) -> None:
    names = ["d", "e", "f"]
    store.write([batch(every_10_minutes(at), device=name) for at, name in enumerate(names, 1)])
    sums_of = store.series.find(1, INPUT, "e", "a")
    list(store.buckets(sums_of[0], Selection(), DAY))  # one has summaries, the others none yet
    model: dict[tuple[int, int], Sums] = defaultdict(Sums)
    for at in range(3):
        for moment, value in every_10_minutes(at + 1):
            model[at, START if width is None else moment - moment % width].add(value)
    for _ in range(2):
        found = list(store.groups(series_of(store), None, None, width, apart=True))
        right = sorted(model, key=lambda key: (-key[1], key[0]))
        assert found == [(at, model[at, start].bucket(start)) for at, start in right]
        together = list(store.groups(series_of(store), None, None, width, apart=False))
        assert [at for at, _ in together] == [0] * len(together)
        assert sum(bucket.points for _, bucket in together) == 864
        starts = [bucket.start for _, bucket in together]
        assert starts == sorted(set(starts), reverse=True)


def test_a_database_that_takes_nothing_answers_all_the_same(
    store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = every_10_minutes()
    store.write([batch(rows)])

    def refuse() -> Any:
        raise StorageUnavailable("no space left")

    monkeypatch.setattr(store, "summing", refuse)
    assert sums(store, DAY) == expected(rows, DAY)


def test_it_ends_when_it_has_to_and_goes_on_where_it_was(
    store: Storage, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([batch(every_10_minutes())])
    deadline = Deadline(None)
    lacks = summaries._lacks
    asked = itertools.count()

    def until_the_fifth(*given: Any) -> Any:
        if next(asked) == 5:
            deadline.cancel(QueryTimeout.after(1))
        return lacks(*given)

    monkeypatch.setattr(summaries, "_lacks", until_the_fifth)
    with deadlines.running(deadline), pytest.raises(QueryTimeout):
        sums(store, DAY)
    made = count(execute, "summaries")
    assert made > 0
    assert sums(store, DAY) == expected(every_10_minutes(), DAY)
    assert count(execute, "summaries") > made


def test_what_was_changed_by_hand_is_found(store: Storage, execute: Execute) -> None:
    store.write([batch(every_10_minutes())])
    sums(store, DAY)
    assert list(store.problems()) == []
    execute("UPDATE points SET int_value = 7000 WHERE int_value = 100")
    problems = list(store.problems())
    assert [p for p in problems if "summaries of series 1 are not as its points" in p], problems
    execute("DELETE FROM summed")
    assert list(store.problems()) == []
    assert sum(total for _, _, total in sums(store, DAY)) == sum(range(432)) + 6_900


def lives(store: Storage, seed: int) -> None:
    """Do at random what can be done to points; after each step every sum is the model's."""
    dice = random.Random(seed)
    model: dict[int, int] = {}
    for _ in range(25):
        what = dice.choice(["write", "write", "write", "delete", "ask"])
        if what == "write":
            first = START + dice.randrange(72) * HOUR + dice.randrange(HOUR)
            rows = [
                [first + n * dice.choice([1, MINUTE, HOUR]), dice.randrange(100)]
                for n in range(dice.randrange(1, 60))
            ]
            model.update(dict(rows))
            store.write([batch(rows)])
        elif what == "delete" and model:
            first = START + dice.randrange(72) * HOUR
            span = Span(first, first + dice.randrange(10 * HOUR))
            delete_points(store, series_of(store), span)
            model = {t: v for t, v in model.items() if not span.first <= t <= span.last}
        if not model:
            continue
        width = dice.choice([HOUR, 2 * HOUR, DAY])
        start = START + dice.randrange(-10, 80 * HOUR)
        end = start + dice.randrange(100 * HOUR)
        within = [[t, v] for t, v in sorted(model.items()) if start <= t <= end]
        assert sums(store, width, start=start, end=end) == expected(within, width), seed
        if dice.random() < 0.2:
            assert list(store.problems()) == [], seed


@pytest.mark.parametrize("seed", range(6))
def test_lives_of_points(store: Storage, seed: int) -> None:
    lives(store, seed)


def test_writers_and_readers_at_once(store: Storage, other: Storage) -> None:
    """Two processes' worth of writers change what a reader sums up; at the end all is right."""
    rows = every_10_minutes()
    store.write([batch(rows)])
    ended = threading.Event()
    errors: list[BaseException] = []

    def write(into: Storage, seed: int) -> None:
        dice = random.Random(seed)
        try:
            while not ended.is_set():
                moment = START + dice.randrange(72) * HOUR + dice.randrange(HOUR)
                into.write([batch([[moment, 1]])])
                if dice.random() < 0.2:
                    span = Span(moment, moment + HOUR)
                    delete_points(into, series_of(into), span)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=write, args=(into, seed))
        for seed, into in enumerate([store, other])
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        for width in (HOUR, DAY):
            sums(store, width)
        list(other.buckets(series_of(other)[0], Selection(start=START + DAY), DAY))
    ended.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(store.problems()) == []
    stored = [[t, v] for t, v in store.points(series_of(store)[0], Selection())]
    for width in (HOUR, DAY):
        assert sums(store, width) == expected(stored, width)


@pytest.fixture
def other(store: Storage, database: str) -> Iterator[Storage]:
    """The same database, opened once more."""
    with contextlib.closing(open_storage(database, Config(database_connections=4))) as found:
        yield found
