"""Points go in by three ways: as parameters, straight, or beside and then over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from engines import missing
from hypothesis import given
from hypothesis import strategies as st
from storage.samples import batch, stored, values
from storage.statements import Recorder

if missing() is not None:
    pytest.skip(missing(), allow_module_level=True)

from iobeam_server.storage.postgres import incoming
from iobeam_server.storage.postgres.store import PostgresStorage

STRAIGHT = "COPY points "
BESIDE = "COPY incoming "
GIVEN = "unnest(%s::bigint[], %s::bigint[]"


def ways(statements: Recorder, store: PostgresStorage, rows: Sequence[Any], **more: Any) -> str:
    """Write rows, all of them taken; return the ways that were tried, by their first letters."""
    statements.statements.clear()
    assert store.write([batch(list(rows), **more)]) == [None]
    found = ""
    for statement in statements.statements:
        found += "s" if statement.startswith(STRAIGHT) else ""
        found += "b" if statement.startswith(BESIDE) else ""
        found += "g" if GIVEN in statement else ""
    return found


def rows(first: int, count: int, value: Any = 0.5) -> list[list[Any]]:
    return [[time, value] for time in range(first, first + count)]


def test_the_way_depends_on_how_many_and_how_new(
    first: PostgresStorage, statements: Recorder
) -> None:
    many = incoming.FEW + 1
    assert ways(statements, first, rows(0, many)) == "b"  # nothing is known of the series
    assert ways(statements, first, rows(many, many)) == "s"
    assert ways(statements, first, rows(2 * many, incoming.FEW)) == "g"
    assert ways(statements, first, rows(3 * many, many)) == "s"
    assert ways(statements, first, rows(4 * many - 1, many)) == "b"  # one is there
    assert ways(statements, first, rows(0, many, 1.5)) == "b"
    assert ways(statements, first, rows(5 * many, many), device="new") == "b"
    times = [time for time, _ in stored(first, device="d")]
    assert times == [*range(2 * many + incoming.FEW), *range(3 * many, 5 * many - 1)]
    assert set(values(first, device="d", end=many - 1)) == {1.5}


def test_what_another_process_wrote_meanwhile_is_overwritten_and_not_lost(
    first: PostgresStorage, second: PostgresStorage, statements: Recorder
) -> None:
    many = incoming.FEW + 1
    first.write([batch(rows(0, many))])
    second.write([batch(rows(many + 7, 1, 7.5)), batch([[0, "t"]], ("b",))])
    assert ways(statements, first, rows(many, many)) == "sb"
    assert stored(first) == [(time, 0.5) for time in range(2 * many)]
    assert list(first.problems()) == []


def test_a_refused_batch_takes_none_of_its_neighbours_along(
    first: PostgresStorage, statements: Recorder
) -> None:
    many = incoming.FEW + 1
    first.write([batch(rows(0, many))])
    statements.statements.clear()
    refused, taken = first.write([batch([[1, 1.5]], ("a",), device="x", must_exist=True),
                                  batch(rows(many, many))])  # fmt: skip
    assert refused is not None
    assert taken is None
    assert any(one.startswith(STRAIGHT) for one in statements.statements)
    assert len(stored(first)) == 2 * many


@pytest.mark.parametrize("value", [7, True, "\ttext\\N\n", -0.0, 5e-324, 2**63 - 1, None])
def test_values_are_the_same_by_every_way(first: PostgresStorage, value: Any) -> None:
    many = incoming.FEW + 1
    if value is None:  # a mixture
        mixed: list[list[Any]] = [[at, at if at % 2 else at / 4] for at in range(3 * many)]
    else:
        mixed = rows(0, 3 * many, value)
    first.write([batch(mixed[:1])])
    first.write([batch(mixed[1 : many + 1])])
    first.write([batch(mixed[many + 1 :])])
    found = [(type(one), repr(one)) for one in values(first)]
    assert found == [(type(one), repr(one)) for _, one in mixed]


@given(st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(1, 6), st.integers(0, 9)),
    max_size=12,
))  # fmt: skip
def test_two_processes_leave_what_came_last(
    two_writers: list[PostgresStorage], steps: list[tuple[int, int, int, int]]
) -> None:
    stores = two_writers
    device = f"d{next(COUNT)}"
    model: dict[int, float] = {}
    for who, start, count, value in steps:
        written = rows(start, count, value + 0.5)
        assert stores[who].write([batch(written, device=device)]) == [None]
        model.update(dict(map(tuple, written)))  # type: ignore[arg-type]
    if steps:
        assert stored(stores[0], device=device) == sorted(model.items())


COUNT = iter(range(10**9))


@pytest.fixture
def two_writers(
    first: PostgresStorage, second: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> list[PostgresStorage]:
    monkeypatch.setattr(incoming, "FEW", 2)
    return [first, second]


def test_two_that_write_the_same_new_points_at_once_both_succeed(
    two_writers: list[PostgresStorage],
) -> None:
    for store in two_writers:
        store.write([batch(rows(0, 5))])
    results: list[Any] = []

    def run(store: PostgresStorage) -> None:
        for number in range(1, 60):
            results.extend(store.write([batch(rows(number * 50, 50, number + 0.5))]))

    threads = [threading.Thread(target=run, args=[store]) for store in two_writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [None] * 118
    assert len(stored(two_writers[0])) == 5 + 59 * 50
    assert list(two_writers[0].problems()) == []


def test_it_reads_what_others_have_committed_whatever_the_database_is_set_to(
    url: str, first: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []
    write = incoming.Incoming.write

    def look(self: Any, connection: Any, *args: Any) -> None:
        levels.append(connection.execute("SHOW transaction_isolation").fetchone())
        write(self, connection, *args)

    monkeypatch.setattr(incoming.Incoming, "write", look)
    strict = url.replace("options=", "options=-cdefault_transaction_isolation%3Dserializable%20", 1)
    store = PostgresStorage(strict, connections=3)
    try:
        assert store.write([batch(rows(0, 2))]) == [None]
    finally:
        store.close()
    assert levels == [("read committed",)]
