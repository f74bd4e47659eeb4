"""CSV in and out again: count, sum, every value."""

from __future__ import annotations

import contextlib
import csv
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from iobeam_server import importing, maintenance
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotFound
from iobeam_server.exporting import export
from iobeam_server.importing import Imported, Options, import_csv
from iobeam_server.points import Kind
from iobeam_server.storage.base import INPUT, Selection, Storage

ONE = Options(project_id=1, device_id="d")
ROWS = 12_500  # of 4 values
START = 1_700_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "MAX_PAUSE_S", 0)


def stored(store: Storage, namespace: str = INPUT) -> dict[tuple[str, str], list[Any]]:
    return {
        (series.device_id, series.name): list(store.points(series, Selection()))
        for series in store.series(1, namespace, None, None)
    }


def load(store: Storage, path: Path, text: str, options: Options = ONE) -> Imported:
    path.write_text(text, encoding="utf-8")
    return import_csv(store, str(path), options, Config())


# -- the whole way ---------------------------------------------------------------


def test_a_large_file_goes_in_and_comes_out_the_same(
    store: Storage, database: str, tmp_path: Path
) -> None:
    chance = random.Random(4620)
    expected: dict[tuple[str, str], list[Any]] = {}
    first = tmp_path / "in.csv"
    with open(first, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "device_id", "count", "load", "on", "note"])
        for row in range(ROWS):
            time = START + row * 1_000
            device = f"dev-{row % 3}"
            cells: list[Any] = [
                chance.randint(-(2**63), 2**63 - 1),
                chance.uniform(-1e6, 1e6),
                chance.random() < 0.5,
                chance.choice(["ä, b", 'say "x"', "line\nbreak", "plain "]),
            ]
            writer.writerow([time, device, *map(importing.texts.to_text, cells)])
            for name, value in zip(("count", "load", "on", "note"), cells):
                expected.setdefault((device, name), []).append((time, value))
    assert import_csv(store, str(first), Options(project_id=1), Config()) == Imported(4 * ROWS, 12)
    assert stored(store) == expected
    out = tmp_path / "out.csv"
    with open(out, "wb") as target:
        target.writelines(export(store, 1, INPUT, None, None, "csv"))
    with open(out, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 * ROWS
    again: dict[tuple[str, str], list[Any]] = {}
    for line in lines:
        kind = {"on": Kind.BOOLEAN, "note": Kind.TEXT}.get(line["name"], Kind.NUMBER)
        point = (int(line["time"]), importing.texts.read(line["value"], kind))
        again.setdefault((line["device_id"], line["name"]), []).append(point)
    assert again == expected
    assert view(database) == summary(expected)
    found = json.loads(b"".join(export(store, 1, INPUT, "dev-1", "load", "json")))
    assert found["timefmt"] == "usec"
    (shown,) = found["result"]
    assert [(p["time"], p["value"]) for p in shown["data"]] == expected["dev-1", "load"]
    # and in once more, over what is there: nothing changes
    assert import_csv(store, str(out), Options(), Config()).values == 4 * ROWS
    assert stored(store) == expected


def summary(expected: dict[tuple[str, str], list[Any]]) -> list[tuple[str, int, Any]]:
    found: dict[str, list[Any]] = {}
    for (_, name), points in expected.items():
        found.setdefault(name, []).extend(value for _, value in points)
    return [
        (name, len(values), None if name == "note" else pytest.approx(sum(map(float, values))))
        for name, values in sorted(found.items())
    ]


def view(database: str) -> list[tuple[str, int, Any]]:
    sql = (
        "SELECT series, count(*), sum(value) FROM iobeam_points"
        " WHERE project_id = 1 AND namespace = 'input' GROUP BY series ORDER BY series"
    )
    if database.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database.partition(":///")[2])) as connection:
            return connection.execute(sql).fetchall()
    import psycopg

    with psycopg.connect(database) as connection:
        return connection.execute(sql).fetchall()


# -- shapes -----------------------------------------------------------------------


def test_one_line_per_point_with_all_that_says_where(store: Storage, path: Path) -> None:
    text = (
        "project_id,device_id,name,time,value\n"
        "1,d,a,5,1\n1,e,a,5,2.5\n1,,a,6,3\n1,d,b,5,true\n1,d,a,5,4\n"
    )
    assert load(store, path, text, Options()) == Imported(5, 4)
    assert stored(store) == {
        ("", "a"): [(6, 3)],
        ("d", "a"): [(5, 4)],
        ("d", "b"): [(5, True)],
        ("e", "a"): [(5, 2.5)],
    }
    assert [d.device_id for d in store.devices(1, 0, None)] == ["d", "e"]


def test_one_line_per_time_with_gaps(store: Storage, path: Path) -> None:
    text = "\ufefftime,a,name\n1,1,x\n\n2,,y\n3,n/a,\n"
    assert load(store, path, text, ONE._replace(nulls=frozenset(["", "n/a"]))) == Imported(3, 2)
    assert stored(store) == {("d", "a"): [(1, 1)], ("d", "name"): [(1, "x"), (2, "y")]}


@pytest.mark.parametrize(
    ("cell", "unit", "micros"),
    [
        ("-5", 1, -5),
        ("1700000000", 1_000_000, 1_700_000_000_000_000),
        ("1700000000.000001", 1_000_000, 1_700_000_000_000_001),
        ("1.5", 1_000, 1_500),
        ("1970-01-01T00:00:01Z", 1, 1_000_000),
        ("1970-01-01 00:00:01", 1, 1_000_000),
        ("1970-01-01T01:00:00.000001+01:00", 1_000, 1),
        ("1970-01-01T00:00:01.5Z", 1, 1_500_000),
        ("1970-01-01 00:00:01,123456789-0030", 1, 1_801_123_456),
        ("1969-12-31T23:59:59.25Z", 1, -750_000),
        ("1970-01-01 00:01", 1, 60_000_000),
        ("1970-01-02", 1, 86_400_000_000),
    ],
)
def test_times(store: Storage, path: Path, cell: str, unit: int, micros: int) -> None:
    load(store, path, f'time,a\n"{cell}",1\n', ONE._replace(unit=unit))
    assert stored(store) == {("d", "a"): [(micros, 1)]}


def test_the_projects_type_decides_and_one_can_be_asked_for(store: Storage, path: Path) -> None:
    load(store, path, "time,a,b\n1,1,x\n", ONE._replace(kinds={"a": Kind.TEXT}))
    load(store, path, "time,a,b\n2,2,3\n3,true,\n")
    assert stored(store) == {
        ("d", "a"): [(1, "1"), (2, "2"), (3, "true")],
        ("d", "b"): [(1, "x"), (2, "3")],
    }


def test_another_namespace_has_no_devices(store: Storage, path: Path) -> None:
    store.create_namespace(1, "places", "place", {}, {}, 0)
    load(store, path, "time,a\n1,1\n", Options(1, "not a device id", "places"))
    assert stored(store, "places") == {("not a device id", "a"): [(1, 1)]}
    assert store.devices(1, 0, None) == []


# -- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must name the columns"),
        ("a,b\n1,2\n", "must name the columns"),
        ("time,a,a\n", "two columns"),
        ("time,all\n1,1\n", "reserved"),
        ("time,a\n1,1\n2\n", "line 3: 1 cells under 2"),
        ("time,a\n1,1\nnoon,2\n", "line 3: time must be"),
        ("time,a\n2026-02-30T00:00Z,2\n", "line 2: time must be"),
        ("time,a\n20260131,2\n20260131T00,2", "line 3: time must be"),
        ("time,a\n99999999999999999999,2\n", "line 2: time .* out of range"),
        ("time,a\n1,1\n2,x\n", "line 3: 'x' is a string, 'a' is number since line 2"),
        ("time,a\n1,x\n2,2\n", "line 3: '2' is a number, 'a' is string since line 2"),
        ("time,a\n1,1\n2,nan\n", "line 3: 'nan' is a string"),
        ("time,a\n1,true\n2,1\n", "line 3"),
        ("time,old\n1,x\n", "line 2: 'x' is a string, 'old' is number in this project"),
        ("time,a\n1," + "x" * 65_537 + "\n", "line 2: 'a' has 65537 characters"),
        ("device_id,time,name,value\n,1,al\x01l,1\n", "line 2: .*control"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(
    store: Storage, path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE_VALUES", 1)
    load(store, path, "time,old\n0,0\n", Options(1, "before"))
    with pytest.raises(BadRequest, match=words):
        load(store, path, text)
    assert stored(store) == {("before", "old"): [(0, 0)]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(), "no column project_id: give --project N"),
        (Options(project_id=1), "no column device_id: give --device ID"),
        (Options(1, "not good"), "line 2: device_id can only"),
        (Options(7, "d"), "no project 7"),
        (Options(1, "d", "nowhere"), "no namespace 'nowhere'"),
        (Options(1, "d", kinds={"old": Kind.TEXT}), "'old' is number in project 1"),
    ],
)
def test_options_that_do_not_fit(store: Storage, path: Path, options: Options, words: str) -> None:
    load(store, path, "time,old\n0,0\n", Options(1, "before"))
    with pytest.raises(BadRequest, match=words):
        load(store, path, "time,old\n1,1\n", options)


def test_files_that_cannot_be_read(store: Storage, path: Path) -> None:
    with pytest.raises(BadRequest, match="No such file"):
        import_csv(store, str(path), ONE, Config())
    path.write_bytes(b"time,a\n1,\xff\n")
    with pytest.raises(BadRequest, match="not UTF-8"):
        import_csv(store, str(path), ONE, Config())
    path.write_bytes(b"project_id,time,a\nx,1,1\n")
    with pytest.raises(BadRequest, match="project_id must be a number"):
        import_csv(store, str(path), Options(device_id="d"), Config())


def test_an_export_of_nothing(store: Storage) -> None:
    header = b"project_id,device_id,name,time,value\n"
    assert b"".join(export(store, 1, INPUT, None, None, "csv")) == header
    for project, namespace in ((2, INPUT), (1, "nowhere")):
        with pytest.raises(NotFound):
            list(export(store, project, namespace, None, None, "csv"))
