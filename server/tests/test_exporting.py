from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from iobeam_server.exporting import (
    PIECE,
    PIECE_TEXTS,
    as_csv,
    as_json,
    table_as_csv,
    table_as_json,
)
from iobeam_server.rules.points import Kind
from iobeam_server.rules.tables import Table
from iobeam_server.storage.base import Series

NUMBERS = Series(1, "dev", "n", Kind.NUMBER)
TEXTS = Series(2, "", 'odd "name", really', Kind.TEXT)


def found() -> Iterator[Any]:
    yield NUMBERS, iter([(1_500_000, 1), (2_000_000, 0.1)])
    yield Series(3, "dev", "empty", Kind.NUMBER), iter([])
    yield TEXTS, iter([(-1, 'a,"b"\n'), (0, "plain")])


@pytest.mark.parametrize(
    ("timefmt", "times"),
    [
        ("sec", [1, 2, -1, 0]),
        ("msec", [1_500, 2_000, -1, 0]),
        ("usec", [1_500_000, 2_000_000, -1, 0]),
        ("timeval", ["1.500000", "2.000000", "-1.999999", "0.000000"]),
    ],
)
def test_series_in_both_forms_say_the_same(timefmt: str, times: list[Any]) -> None:
    lines = list(csv.reader(io.StringIO(b"".join(as_csv(7, timefmt, found())).decode())))
    name = TEXTS.name
    assert lines == [
        ["project_id", "device_id", "name", "time", "value"],
        ["7", "dev", "n", str(times[0]), "1"],
        ["7", "dev", "n", str(times[1]), "0.1"],
        ["7", "", name, str(times[2]), 'a,"b"\n'],
        ["7", "", name, str(times[3]), "plain"],
    ]
    answer = json.loads(b"".join(as_json(7, timefmt, found())))
    assert answer["timefmt"] == timefmt
    assert [one["name"] for one in answer["result"]] == ["n", name], "none without points"
    shown = [point["time"] for one in answer["result"] for point in one["data"]]
    if timefmt == "timeval":
        shown = [f"{one['sec']}.{one['usec']:06d}" for one in shown]
    assert shown == times


def test_nothing_found_is_an_empty_list_and_a_heading() -> None:
    assert b"".join(as_json(1, "sec", iter([]))) == b'{"result":[],"timefmt":"sec"}'
    assert b"".join(as_csv(1, "sec", iter([]))) == b"project_id,device_id,name,time,value\n"
    empty = Table(["time", "a"], iter([]))
    assert b"".join(table_as_json(empty, "sec")) == b'{"result":[]}'
    assert b"".join(table_as_csv("input", empty, "sec")) == b"time,input.a\n"


def test_what_is_written_at_a_time_is_bounded_by_cells_and_texts() -> None:
    def longest(width: int, has_texts: bool) -> int:
        cells = tuple(range(width))
        table = Table(["time", *map(str, cells)], iter([(0, cells)] * 600), has_texts)
        return max(len(json.loads(b"[" + piece.strip(b",") + b"]"))
                   for piece in list(table_as_json(table, "usec"))[1:-1])  # fmt: skip

    assert longest(1, False) == PIECE
    assert longest(9_999, False) == 2
    assert longest(30_000, False) == 1
    assert longest(9, True) == PIECE_TEXTS // 10
    pieces = list(as_json(1, "usec", iter([(TEXTS, iter([(0, "x")] * 120))])))
    assert max(piece.count(b'"x"') for piece in pieces) == PIECE_TEXTS
    pieces = list(as_csv(1, "usec", iter([(TEXTS, iter([(0, "x")] * 120))])))
    assert max(piece.count(b",x\n") for piece in pieces) == PIECE_TEXTS


@pytest.mark.parametrize("timefmt", ["msec", "timeval"])
def test_a_long_table_is_written_piece_by_piece(timefmt: str) -> None:
    rows = [(1_000 * at, (at, None, f"x{at}")) for at in range(2 * PIECE + 1)]

    def table() -> Table:
        return Table(["time", "a", "b", "c"], iter(rows))

    pieces = list(table_as_json(table(), timefmt))
    assert len(pieces) > 3
    (one,) = json.loads(b"".join(pieces))["result"]
    assert one["fields"] == ["time", "a", "b", "c"]
    assert [row[1:] for row in one["values"]] == [list(cells) for _, cells in rows]
    lines = b"".join(table_as_csv("ns", table(), timefmt)).decode().splitlines()
    assert lines[0] == "time,ns.a,ns.b,ns.c"
    assert lines[1].split(",")[1:] == ["0", "", "x0"]
    assert len(lines) == len(rows) + 1
