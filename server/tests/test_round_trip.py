"""What was sent comes back, every value, by each of the ways there are to read it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import pytest
from live import Live, running

Rows = list[list[Any]]

ROWS = 12_500  # of four values
ROWS_AT_ONCE = 5_000
FIRST_US = 1_700_000_000_000_000
FIELDS = ("real", "whole", "flag", "text")
KINDS: dict[str, Any] = {
    "real": float, "whole": int, "flag": lambda cell: cell == "true", "text": str,
}  # fmt: skip


def made() -> Rows:
    """Doubles of full precision, integers to the ends of 64 bits, text that needs quoting."""
    return [
        [
            FIRST_US + 1_000_003 * i,
            math.sin(i) * 10.0 ** (i % 600 - 300),
            (-1) ** i * (2**63 - 1 - i * 737_869_762_948_382 % 2**63),
            i % 3 == 0,
            f'{i} "µ", {"zwei" if i % 2 else "line"}\n' * (i % 4),
        ]
        for i in range(ROWS)
    ]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Live, str, Rows]]:
    folder = Path(tmp_path_factory.mktemp("trip"))
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{folder}/trip.db"
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("postgres").schema())
        live = stack.enter_context(running(folder, url))
        live.register("dev-1")
        rows = made()
        for at in range(0, ROWS, ROWS_AT_ONCE):
            answer = live.send(["time", *FIELDS], rows[at : at + ROWS_AT_ONCE])
            assert answer.status == 200, answer
        yield live, url, rows


def column(rows: Rows, name: str) -> list[tuple[int, Any]]:
    at = FIELDS.index(name) + 1
    return [(row[0], row[at]) for row in rows]


def same(found: list[tuple[int, Any]], sent: list[tuple[int, Any]]) -> bool:
    """Compare to the last bit, and types too: 1, 1.0 and True are equal to Python."""
    return found == sent and [type(v) for _, v in found] == [type(v) for _, v in sent]


@pytest.mark.parametrize("name", FIELDS)
def test_exports_in_json(filled: tuple[Live, str, Rows], name: str) -> None:
    live, _, rows = filled
    found = live.points(f"1/dev-1/{name}")[name]
    assert same([(time, value) for time, value in found], column(rows, name))


def test_exports_in_csv(filled: tuple[Live, str, Rows]) -> None:
    live, _, rows = filled
    body = live.call("GET", "/v1/exports/1/dev-1/all?output=csv&timefmt=usec").body.decode()
    lines = list(csv.reader(io.StringIO(body, newline="")))
    assert lines[0] == ["project_id", "device_id", "name", "time", "value"]
    assert len(lines) == 1 + len(FIELDS) * ROWS
    for name in FIELDS:
        found = [(int(line[3]), KINDS[name](line[4])) for line in lines[1:] if line[2] == name]
        assert same(found, column(rows, name))


def test_data(filled: tuple[Live, str, Rows]) -> None:
    live, _, rows = filled
    answer = live.call("GET", "/v1/data/input/all?timefmt=usec")
    (result,) = answer.json["result"]
    order = [result["fields"].index(name) for name in ("time", *FIELDS)]
    found = [[row[at] for at in order] for row in reversed(result["values"])]
    for name in FIELDS:
        assert same(column(found, name), column(rows, name))


@pytest.mark.parametrize("name", ["real", "whole"])
def test_count_sum_least_and_greatest(filled: tuple[Live, str, Rows], name: str) -> None:
    live, _, rows = filled
    values: list[Union[int, float]] = [value for _, value in column(rows, name)]

    def ask(operator: str) -> Any:
        ((_, value),) = live.points(f"1/dev-1/{name}", f"operator={operator}")[name]
        return value

    assert ask("count") == ROWS
    assert (ask("min"), ask("max")) == (min(values), max(values))
    if name == "whole":
        assert ask("sum") == sum(values), "beyond 64 bits on the way, and exact"
    else:
        assert ask("sum") == pytest.approx(math.fsum(values), rel=1e-9)


def test_the_view(filled: tuple[Live, str, Rows]) -> None:
    _, url, rows = filled
    connection: Any
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url[len("sqlite:///") :])
    else:
        import psycopg

        connection = psycopg.connect(url)
    with contextlib.closing(connection):
        found = connection.execute(
            "SELECT series, time, value, text_value FROM iobeam_points"
            " WHERE project_id = 1 AND namespace = 'input' AND device_id = 'dev-1' ORDER BY time"
        ).fetchall()
    assert len(found) == len(FIELDS) * ROWS
    for name in FIELDS:
        own = [row[1:] for row in found if row[0] == name]
        if name == "text":
            assert own == [(time, None, text) for time, text in column(rows, name)]
        else:  # a double, as the page of the view says
            assert own == [(time, float(value), None) for time, value in column(rows, name)]


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_the_command_of_the_client_in_pieces(filled: tuple[Live, str, Rows], form: str) -> None:
    live, _, rows = filled
    code = (
        "import sys; from iobeam import cli; from iobeam.command import points;"
        "points.FIRST, points.PIECE = 100, 900; sys.exit(cli.main(sys.argv[1:]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, "query", form],
        env={
            **os.environ,
            "IOBEAM_BACKEND": f"http://127.0.0.1:{live.port}/v1/",
            "IOBEAM_PROJECT_ID": "1",
            "IOBEAM_TOKEN": live.token,
        },
        capture_output=True,
        check=True,
    )
    for name in FIELDS:
        if form == "--json":
            found = [
                (point["time"], point["value"])
                for one in json.loads(answer.stdout)["result"]
                if one["name"] == name
                for point in one["data"]
            ]
        else:
            lines = csv.reader(io.StringIO(answer.stdout.decode(), newline=""))
            found = [(int(r[3]), KINDS[name](r[4])) for r in lines if r[2] == name]
        assert same(found, column(rows, name))
