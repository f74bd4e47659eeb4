"""What `export` wrote goes in again, into either engine, bit for bit; all else is refused."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iobeam_server import exportfiles, importing, maintenance
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotFound, StorageUnavailable
from iobeam_server.exportfiles import csvfile, jsonfile
from iobeam_server.importing import Imported, Options, import_file
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Kind, series_column
from iobeam_server.storage.base import INPUT, Batch, Part, Selection
from iobeam_server.storage.store import Storage

FORMS = [("csv", False), ("csv", True), ("json", False), ("json", True)]
HEADINGS = "project_id,device_id,name,time,value,type,namespace\n"
AS_IT_SAYS = Options()
OLD = "project_id,device_id,name,time,value\n"

Contents = dict[tuple[str, str], list[tuple[int, Any]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "MAX_PAUSE_S", 0)


def exact(value: Any) -> Any:
    """Return what is equal only where type and every bit are: 1, 1.0, True; 0.0 and -0.0."""
    return (type(value), struct.pack("<d", value) if isinstance(value, float) else value)


def stored(store: Storage, namespace: str = INPUT, project: int = 1) -> Contents:
    return {
        (series.device_id, series.name): [
            (time, exact(value)) for time, value in store.points(series, Selection())
        ]
        for series in store.series.find(project, namespace, None, None)
    }


def put(store: Storage, points: dict[tuple[str, str], dict[int, Any]], where: str = INPUT) -> None:
    """Store points by (device, series)."""
    batches = []
    for (device, name), values in points.items():
        column = series_column(name, list(values), list(values.values()), 1, 100_000)
        batches.append(Batch(1, where, [Part(device or None, [column])], False, False))
    assert set(store.write(batches)) <= {None}


def written(store: Storage, path: Path, output: str = "csv", **more: Any) -> None:
    with open(path, "wb") as file:
        file.writelines(exportfiles.write(store, 1, output=output, **{"namespace": INPUT, **more}))


def load(store: Storage, path: Path, options: Options = AS_IT_SAYS, said: Any = None) -> Imported:
    return import_file(store, str(path), options, Config(), [].append if said is None else said)


# -- there and back --------------------------------------------------------------------

TEXTS = [
    "", " ", "007", "7", "-0", "+1", "true", "False", "NaN", "inf", "1e3", "1.0", "None", "null",
    "=1+1", "'", '"', '""', 'say "x"', ",", "a,b", "\n", "\r", "\r\n", "a\r\nb\rc\nd", " lead",
    "trail \t", "\ufeffbom", "\u2028\u2029\x85\x0b\x0c\x1c", "\x01\x1f\x7f", "\U0001f600\U0010ffff",
    "\uffff\ufffe", "\\n", "\\", "2026-01-31T12:00:00.000000Z", "# no comment", "x" * 65_536,
    "🌡" * 30_000, '"' * 40_000,
]  # fmt: skip
NUMBERS = [
    0, 1, 1.0, -1, 0.0, -0.0, INT64_MIN, INT64_MAX, 2**53 + 1, -(2**53) - 1, 0.1, 1e22, 1e16,
    1e-7, 5e-324,
    2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 1e300, 123456789.0,
    9007199254740993.0, 3.141592653589793,
]  # fmt: skip
NAMES = [
    "a",
    "comma, here",
    'quote "q"',
    "a/b//c",
    " blanks ",
    "ü\U0001f600",
    "true",
    "7",
    "x" * 256,
]


def everything() -> dict[tuple[str, str], dict[int, Any]]:
    points: dict[tuple[str, str], dict[int, Any]] = {}
    for device, name in itertools.product(("dev-1", "", "007"), NAMES):
        points[device, name] = dict(enumerate(NUMBERS, -3))
    points["dev-1", "texts"] = dict(enumerate(TEXTS))
    points["dev-1", "flags"] = {-1: True, 0: False, 1: True}
    points["dev-2", "times"] = {INT64_MIN: 1, -1: 2, 0: 3, 253_402_300_800_000_000: 4, INT64_MAX: 5}
    return points


@pytest.mark.parametrize(("output", "iso"), FORMS)
def test_every_value_comes_back_from_the_other_engine(
    store: Storage, empty: Storage, path: Path, output: str, iso: bool
) -> None:
    put(store, everything())
    empty.projects.create("one", 0)
    written(store, path, output, iso=iso)
    done = load(empty, path)
    assert done == Imported(sum(map(len, everything().values())), len(everything()))
    assert stored(empty) == stored(store)
    assert [d.device_id for d in empty.devices.page(1, 0, None)] == ["007", "dev-1", "dev-2"]
    again = path.with_suffix(".again")
    written(empty, again, output, iso=iso)
    assert again.read_bytes() == path.read_bytes()
    load(empty, path)
    assert stored(empty) == stored(store), "once more changes nothing"
    assert list(empty.problems()) == []


_NAME = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda name: name.lower() not in ("time", "time_offset", "all")
)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(TEXTS)
_SERIES = st.one_of(
    *(
        st.dictionaries(st.integers(INT64_MIN, INT64_MAX), values, min_size=1, max_size=5)
        for values in (
            st.integers(INT64_MIN, INT64_MAX)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.sampled_from(NUMBERS),
            st.booleans(),
            _TEXT,
        )
    )
)


@given(
    points=st.dictionaries(
        _NAME,
        st.tuples(st.sampled_from(["", "d", "a:b_c-D"]), _SERIES),
        min_size=1,
        max_size=4,
    ),
    form=st.sampled_from(FORMS),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_stored_comes_back(
    store: Storage, empty: Storage, path: Path, points: Any, form: tuple[str, bool]
) -> None:
    for one in (store, empty):
        for project in one.projects.all()[:1] or [one.projects.create("one", 0)]:
            for series in {s.name for s in one.series.find(project.project_id, INPUT, None, None)}:
                one.series.drop(project.project_id, INPUT, series, None)
    put(store, {(device, name): values for name, (device, values) in points.items()})
    written(store, path, form[0], iso=form[1])
    load(empty, path)
    assert stored(empty) == stored(store)


@pytest.mark.parametrize("chunk", [1, 7, 1_000])
def test_json_is_read_whatever_piece_comes_at_a_time(
    store: Storage, path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that a piece ends in goes on in the next one."""
    points = {("d", 'a "b"'): dict(enumerate(NUMBERS)), ("d", "t"): {5: "ä\n🌡"}}
    put(store, points)
    written(store, path, "json")
    path.write_bytes(path.read_bytes().replace(b",", b" ,\r\n ").replace(b":", b"\t: "))
    before = stored(store)
    for name in ('a "b"', "t"):
        store.series.drop(1, INPUT, name, None)
    monkeypatch.setattr(jsonfile, "CHUNK_CHARS", chunk)
    load(store, path)
    assert stored(store) == before


@pytest.mark.parametrize("output", ["csv", "json"])
def test_another_namespace_is_made_where_it_is_missing(
    store: Storage, empty: Storage, path: Path, output: str
) -> None:
    store.namespaces.create(1, "wea,ther", "pla,ce", {}, {}, 0)
    put(store, {("under the roof, left", "t"): {1: 1.5}, ("", "t"): {2: 7}}, "wea,ther")
    written(store, path, output, namespace="wea,ther")
    empty.projects.create("one", 0)
    said: list[str] = []
    load(empty, path, said=said.append)
    assert said == ["namespace 'wea,ther', divided by 'pla,ce', made"]
    (found,) = empty.namespaces.find(1, "wea,ther")
    assert found.partitioning_field == "pla,ce"
    assert stored(empty, "wea,ther") == stored(store, "wea,ther")
    assert stored(empty) == {}
    assert empty.devices.page(1, 0, None) == []
    empty.namespaces.create(1, "other", "room", {}, {}, 0)
    with pytest.raises(BadRequest, match="'other' of project 1 is divided by 'room'"):
        load(empty, path, Options(namespace="other"))
    with pytest.raises(NotFound, match="no namespace 'nowhere'"):
        load(empty, path, Options(namespace="nowhere"))


def test_options_send_points_elsewhere(store: Storage, path: Path) -> None:
    put(store, {("d", "a"): {1: 1}})
    written(store, path)
    assert store.projects.create("two", 0).project_id == 2
    load(store, path, Options(project_id=2, device_id="e"))
    assert stored(store, project=2) == {("e", "a"): [(1, exact(1))]}
    put(store, {("d2", "a"): {1: 1}})
    written(store, path)
    with pytest.raises(BadRequest, match=r"several devices .*: leave out --device"):
        load(store, path, Options(device_id="e"))


def test_spreadsheets_and_the_csv_module_read_it(store: Storage, path: Path) -> None:
    put(store, everything())
    written(store, path)
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    texts = [line for line in lines if line["type"] == "string"]
    assert [line["value"] for line in texts] == TEXTS
    numbers = [line for line in lines if (line["device_id"], line["name"]) == ("", "comma, here")]
    assert [float(line["value"]) for line in numbers] == [float(value) for value in NUMBERS]
    assert b',"007",string,input\n' in path.read_bytes()
    written(store, path, "json")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["namespace"], found["timefmt"]) == ("input", "usec")
    assert sum(len(series["data"]) for series in found["result"]) == len(lines)


@pytest.mark.parametrize("output", ["csv", "json"])
def test_memory_stays_flat(
    store: Storage, path: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csvfile, "RUN_POINTS", 100)
    monkeypatch.setattr(jsonfile, "RUN_POINTS", 100)
    monkeypatch.setattr(importing, "PIECE_VALUES", 100)
    put(store, {("d", "a"): dict.fromkeys(range(2_500), "x" * 2_000)})
    written(store, path, output)
    assert path.stat().st_size > 5_000_000
    tracemalloc.start()
    try:
        load(store, path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# -- files of 1.0.0 -------------------------------------------------------------------------


def test_a_file_of_before_is_read_and_what_it_left_open_is_said(store: Storage, path: Path) -> None:
    path.write_text(
        f"{OLD}1,d,n,1,1\n1,d,n,2,2.5\n1,d,on,1,true\n1,d,on,2,false\n"
        '1,d,t,1,\n1,d,t,2,7\n1,,u,3,007\n1,,u,4,"a,""b"""\n'
    )
    said: list[str] = []
    assert load(store, path, said=said.append) == Imported(8, 4)
    assert stored(store) == {
        ("", "u"): [(3, exact("007")), (4, exact('a,"b"'))],
        ("d", "n"): [(1, exact(1)), (2, exact(2.5))],
        ("d", "on"): [(1, exact(True)), (2, exact(False))],
        ("d", "t"): [(1, exact("")), (2, exact("7"))],
    }
    assert "written by 1.0.0" in said[0]
    assert "1970-01-01T00:00:00.000001Z to 1970-01-01T00:00:00.000004Z" in said[0]
    assert said[1:] == [
        "taken for number: n (if they are texts: --type NAME=string)",
        "taken for boolean: on (if they are texts: --type NAME=string)",
    ]


def test_of_a_file_of_before_the_project_or_the_option_says_the_type(
    store: Storage, path: Path
) -> None:
    put(store, {("d", "known"): {0: "text"}})
    path.write_text(f"{OLD}1,d,known,1,1\n1,d,asked,1,true\n")
    load(store, path, Options(kinds={"asked": Kind.TEXT}))
    assert stored(store)["d", "known"] == [(0, exact("text")), (1, exact("1"))]
    assert stored(store)["d", "asked"] == [(1, exact("true"))]
    put(store, {("d", "n"): {0: 1}})
    path.write_text(f"{OLD}1,d,n,1,1\n1,d,n,2,x\n")
    with pytest.raises(BadRequest, match="line 3: 'n' is number in the project"):
        load(store, path)
    path.write_text(f"{OLD}1,d,m,1,1\n1,d,m,2,x\n")
    with pytest.raises(BadRequest, match="line 3: 'm' cannot be number, as --type says"):
        load(store, path, Options(kinds={"m": Kind.NUMBER}))


def test_json_of_before_says_the_types(store: Storage, path: Path) -> None:
    path.write_text(
        '{"result":[{"project_id":1,"device_id":"d","name":"a","data":[{"time":1,"value":1},'
        '{"time":2,"value":1.0}]},{"project_id":1,"device_id":"d","name":"t","data":'
        '[{"time":1,"value":"7"}]}],"timefmt":"usec"}\n'
    )
    load(store, path)
    assert stored(store) == {
        ("d", "a"): [(1, exact(1)), (2, exact(1.0))],
        ("d", "t"): [(1, exact("7"))],
    }


# -- refusals ---------------------------------------------------------------------------------


def line_of(*cells: str) -> str:
    """Return a file whose second line is good and whose third one is this."""
    return f"{HEADINGS}1,d,a,1,1,number,input\n{','.join(cells)}\n"


HEAD = '{"namespace":"input","partitioning_field":"device_id","result":['
SERIES = '{"project_id":1,"device_id":"d","name":"a","data":['
END = ']}],"timefmt":"usec"}'


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # no engine sees them
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the headings are not project_id,device_id"),
        ("time,a\n1,1\n", "line 1: the headings .*iobeam send FILE"),
        (HEADINGS.replace("type", "Type") + "1,d,a,1,1,number,input\n", "line 1"),
        (HEADINGS.replace("\n", "\r\n") + "1,d,a,1,1,number,input\r\n", "line 1: .*CRLF"),
        ("\ufeff" + HEADINGS, "line 1"),
        (line_of("1", "d", "a", "2", "3", "number", "input")[:-1], "line 3: .*amid a line"),
        (line_of("1", "d", "a", "2", "3", "number"), "line 3: 6 cells under 7"),
        (line_of(""), "line 3: 0 cells"),
        (line_of("1", "d", "a", "2", "", "number", "input"), "line 3: '' is no number"),
        *[
            (line_of("1", "d", "a", "2", bad, "number", "input"), f"line 3: '{shown}")
            for bad, shown in [
                ("007", "007"),
                ("+1", ".1"),
                ("-0", "-0"),
                ("1.50", "1.50"),
                ("1e3", "1e3"),
                ("nan", "nan"),
                ("inf", "inf"),
                ("1e999", "1e999"),
                (" 1", " 1"),
                ("1_0", "1_0"),
                ("x", "x"),
                ("true", "true"),
                ("9223372036854775808", "9223372036854775808"),
                ("9" * 5_000, "9999"),
                ("\u0661", "\u0661"),
            ]
        ],
        (line_of("1", "d", "b", "2", "True", "boolean", "input"), "line 3: 'True' is no boolean"),
        (line_of("1", "d", "b", "2", "1", "boolean", "input"), "line 3: '1' is no boolean"),
        (line_of("1", "d", "b", "2", "1", "long", "input"), "line 3: type must be .*'long'"),
        (line_of("1", "d", "a", "2", "x", "string", "input"), "line 3: 'a' has another type"),
        (line_of("1", "d", "a", "2.5", "1", "number", "input"), "line 3: time must be"),
        (line_of("1", "d", "a", "02", "1", "number", "input"), "line 3: time must be"),
        (line_of("1", "d", "a", "9" * 20, "1", "number", "input"), "line 3: time must be"),
        (line_of("1", "d", "a", "2026-01-31", "1", "number", "input"), "line 3: time must be"),
        (line_of("0", "d", "a", "2", "1", "number", "input"), "line 3: project_id"),
        (line_of("x", "d", "a", "2", "1", "number", "input"), "line 3: project_id .*'x'"),
        (line_of("1", "d e", "a", "2", "1", "number", "input"), "line 3: 'd e': device_id can"),
        (line_of("1", "d", "time", "2", "1", "number", "input"), "line 3: .*reserved"),
        (line_of("1", "d", "", "2", "1", "number", "input"), "line 3: .*at least 1"),
        (line_of("1", "d", "a\x01", "2", "1", "number", "input"), "line 3: .*control"),
        (line_of("1", "d", "a", "2", "1", "number", "other"), "line 3: namespace 'other'"),
        (line_of("1", "d", "t", "2", "x" * 65_537, "string", "input"), "line 3: .*65537"),
        (line_of("1", "d", "old", "2", "x", "string", "input"), "line 3: 'old' is number in the"),
        (line_of("1", "d", "t", "2", '"x', "string", "input"), "line 3"),
        (line_of("1", "d", "t", "2", '"x"y', "string", "input"), "line 3"),
        ("{", "line 1"),
        ("{}", "line 1: the file does not end"),
        (HEAD, "line 1"),
        (HEAD + "\n" + SERIES + '\n{"time":1,"value":1},\n{"time":2,"val', "line 4"),
        (HEAD + SERIES + "]}]}", "times are in None"),
        (HEAD + SERIES + '{"time":1,"value":1}' + END.replace("usec", "msec"), "in 'msec'"),
        (HEAD + SERIES + '{"time":1,"value":1}' + END.replace("usec", "iso"), "in 'iso'"),
        (HEAD + SERIES + '{"time":1,"value":1}' + END + "x", "does not end"),
        (HEAD + SERIES + '{"time":1,"value":1},' + END, "this is not JSON"),
        *[
            (f"{HEAD}{SERIES}\n{point}{END}", f"line 2: {words}")
            for point, words in [
                ('{"time":1,"value":null}', "None is no value"),
                ('{"time":1,"value":NaN}', "nan is no value"),
                ('{"time":1,"value":1e999}', "inf is no value"),
                ('{"time":1,"value":9223372036854775808}', "9223372036854775808 is no value"),
                ('{"time":1,"value":[1]}', ".1. is no value"),
                ('{"time":1.5,"value":1}', "time must be"),
                ('{"time":true,"value":1}', "time must be"),
                ('{"time":1}', "a point must be"),
                ('{"time":1,"value":1,"value":2}', "a point must be"),
                ('{"time":1,"value":1},{"time":2,"value":"x"}', "'x' is of another type"),
                ('{"time":1,"value":"\\ud800"}', "a text .* surrogate"),
                ('{"time":1,"value":"\\u0000"}', "the text holds a NUL"),
                ("[1,2]", "a point must be"),
                ("1", "a point must be"),
            ]
        ],
        (HEAD + SERIES.replace('"name":"a",', "") + END, "must come before data"),
        (HEAD + SERIES.replace('"a"', '"a","x":1') + END, "writes no 'x'"),
        (HEAD.replace('"device_id"', "7") + SERIES + END, "partitioning_field is missing"),
        (HEAD.replace("{", '{"x":1,') + SERIES + END, "writes no 'x'"),
        ("[" * 100_000, "line 1"),
        (HEAD + "[" * 100_000, "line 1"),
    ],
)
def test_what_export_did_not_write_is_refused_and_nothing_is_stored(
    store: Storage, path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE_VALUES", 1)
    put(store, {("before", "old"): {0: 0}})
    path.write_bytes(text.encode())
    with pytest.raises(BadRequest, match=words):
        load(store, path)
    assert stored(store) == {("before", "old"): [(0, exact(0))]}


def test_files_that_cannot_be_read(store: Storage, path: Path) -> None:
    with pytest.raises(BadRequest, match="No such file"):
        load(store, path)
    with pytest.raises(BadRequest, match="no plain file"):
        load(store, path.parent)
    path.write_bytes(HEADINGS.encode() + b"1,d,t,1,\xff,string,input\n")
    with pytest.raises(BadRequest, match="not UTF-8"):
        load(store, path)
    path.write_text(f"{HEADINGS}7,d,a,1,1,number,input\n")
    with pytest.raises(NotFound, match="no project 7"):
        load(store, path)


@pytest.mark.parametrize("output", ["csv", "json"])
def test_an_export_of_nothing(store: Storage, path: Path, output: str) -> None:
    written(store, path, output)
    assert load(store, path) == Imported(0, 0)
    for project, namespace in ((2, INPUT), (1, "nowhere")):
        with pytest.raises(NotFound):
            list(exportfiles.write(store, project, namespace))


@pytest.mark.parametrize("trouble", [StorageUnavailable("full"), KeyboardInterrupt()])
def test_an_import_that_stops_says_how_far_it_came(
    store: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    monkeypatch.setattr(importing, "PIECE_VALUES", 10)
    put(store, {("d", "a"): {time: time for time in range(30)}})
    written(store, path)
    store.series.drop(1, INPUT, "a", None)
    before = type(store).write
    calls: Iterator[int] = itertools.count()

    def write(self: Storage, batches: Any) -> Any:
        if next(calls) == 2:
            raise trouble
        return before(self, batches)

    said: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "write", write)
        with pytest.raises(type(trouble)):
            load(store, path, said=said.append)
    assert said == [
        "20 of 30 points are stored; import the file again to go on: what is there stays as it is"
    ]
    with contextlib.suppress(KeyError):
        assert len(stored(store)["d", "a"]) == 20
    load(store, path)
    assert stored(store) == {("d", "a"): [(time, exact(time)) for time in range(30)]}
