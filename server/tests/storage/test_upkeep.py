"""What commands ask of a storage engine; the fixtures run it on each."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from engines import Postgres
from storage.test_storage import batch, device, stored

from iobeam_server.config import Config
from iobeam_server.errors import AlreadyExists, ConfigError, NotFound, Unprocessable
from iobeam_server.points import Kind
from iobeam_server.storage import open_storage
from iobeam_server.storage import upkeep as interface
from iobeam_server.storage.base import INPUT, Grant, Storage, User
from iobeam_server.storage.upkeep import TABLES, Extent, Retyped

Execute = Callable[[str], list[Any]]


@pytest.fixture
def execute(store: Storage, database: str) -> Iterator[Execute]:
    """Run SQL of one's own beside the store."""
    if database.startswith("sqlite"):
        path = database.partition(":///")[2]
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield lambda sql: connection.execute(sql).fetchall()
    else:
        import psycopg

        with psycopg.connect(database, autocommit=True) as connection:

            def run(sql: str) -> list[Any]:
                cursor = connection.execute(sql)
                return cursor.fetchall() if cursor.description else []

            yield run


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows at a time, so that a few rows make several pieces."""
    for name in ("upkeep", "sqlite_upkeep", "postgres_upkeep"):
        with contextlib.suppress(ImportError):
            module = __import__(f"iobeam_server.storage.{name}", fromlist=["PIECE_ROWS"])
            monkeypatch.setattr(module, "PIECE_ROWS", 3)


def fill(store: Storage) -> None:
    """Put something into every table."""
    store.register_device(device("d", "the device"), named=True)
    user = store.create_user(User(0, "ann", "a@b.c", "A", None, None, None, 3, 0.5), "hash")
    store.create_project("two", 5, Grant(user.user_id, 3))
    store.add_invite("digest", 2**40)
    store.revoke(1, "d", 12.5)
    store.create_namespace(1, "other", "place", {"x": Kind.TEXT}, {"a": 1.5}, 7)
    rows: list[list[Any]] = [[i, i, i / 3, i % 2 == 0, f"ä{i}"] for i in range(-5, 5)]
    assert store.write(
        [
            batch(rows, ("whole", "real", "flag", "text")),
            batch([[1, "y"]], ("x",), namespace="other"),
        ]
    ) == [None, None]


def contents(store: Storage) -> dict[str, list[tuple[Any, ...]]]:
    with store.taking_out() as found:
        return {table.name: list(found.rows(table)) for table in TABLES}


# -- check -----------------------------------------------------------------------


def test_a_database_as_it_should_be_has_no_problems(store: Storage) -> None:
    assert list(store.problems()) == []
    fill(store)
    assert list(store.problems()) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM signing_keys", "no signing key"),
        (
            "UPDATE namespaces SET namespace_name = 'gone' WHERE namespace_id = 1",
            "project 1 has no",
        ),
        ("DELETE FROM user_names", "user 1 cannot sign in"),
        ("UPDATE fields SET namespace_id = 2 WHERE field_name = 'whole'", "another namespace"),
        (
            "INSERT INTO points (series_id, time, int_value) VALUES (999, 1, 1)",
            "series 999 is gone",
        ),
        ("UPDATE points SET text_value = 'x' WHERE int_value = 3", "1 points of field 'whole'"),
        ("UPDATE points SET int_value = 2 WHERE int_value IN (0, 1)", "5 points of field 'flag'"),
        ("UPDATE points SET int_value = NULL WHERE int_value = 3", "1 points of field 'whole'"),
        ("UPDATE points SET text_value = NULL WHERE text_value IS NOT NULL", "field 'text'"),
    ],
)
def test_damage_is_found_and_named(
    store: Storage, execute: Execute, damage: str, words: str
) -> None:
    fill(store)
    if "IN (0, 1)" in damage:  # of the flags only
        damage += " AND series_id = (SELECT series_id FROM series JOIN fields USING (field_id)"
        damage += " WHERE field_name = 'flag') AND int_value = 1"
    execute(damage)
    assert any(words in problem for problem in store.problems()), list(store.problems())


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with contextlib.closing(open_storage(f"sqlite:///{path}", Config())) as store:
        store.create_project("one", 0)
        store.write([batch([[i, i] for i in range(5_000)])])
    data = bytearray(path.read_bytes())
    at = len(data) - 4096  # a page of points: the other tables were made before
    data[at + 8 : at + 200] = b"\xff" * 192
    path.write_bytes(data)
    with contextlib.closing(open_storage(f"sqlite:///{path}", Config())) as store:
        first, *_ = store.problems()
        assert "damaged" in first


# -- points and series -------------------------------------------------------------


def test_extent(store: Storage) -> None:
    store.write([batch([[5, 1], [-3, 2], [9, 3]]), batch([[5, 1]], ("b",))])
    one, other = store.series(1, INPUT, None, None)
    assert store.extent(one.series_id) == Extent(3, -3, 9)
    assert store.extent(other.series_id) == Extent(1, 5, 5)
    assert store.extent(999) is None


def test_the_oldest_points_are_deleted_some_at_a_time(store: Storage) -> None:
    store.write([batch([[i, i] for i in range(10)]), batch([[0, 1]], ("b",))])
    one = store.series(1, INPUT, None, "a")[0].series_id
    assert store.delete_points(one, 6, 3) == 3
    assert [time for time, _ in stored(store)] == [3, 4, 5, 6, 7, 8, 9]
    assert store.delete_points(one, 6, 100) == 4
    assert store.delete_points(one, 6, 100) == 0
    assert [time for time, _ in stored(store)] == [7, 8, 9]
    assert stored(store, "b") == [(0, 1)]


def test_a_field_goes_with_its_last_series(store: Storage) -> None:
    store.write([batch([[1, "n/a"]]), batch([[1, "n/a"], [2, "x"]], device="e")])
    with pytest.raises(NotFound, match="'f' has no series 'a'"):
        store.drop_series(1, INPUT, "a", "f")
    with pytest.raises(NotFound, match="no series 'b'"):
        store.drop_series(1, INPUT, "b", None)
    assert store.drop_series(1, INPUT, "a", "e") == 2
    (refused,) = store.write([batch([[1, 5]])])
    assert refused is not None, "device d still has the type"
    assert store.drop_series(1, INPUT, "a", None) == 1
    assert store.series(1, INPUT, None, None) == []
    assert store.write([batch([[1, 5]])]) == [None]
    assert stored(store) == [(1, 5)]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        (["1", " 2.5 ", "-9223372036854775808", "1e3"], Kind.NUMBER, [1, 2.5, -(2**63), 1000.0]),
        (["true", "False"], Kind.BOOLEAN, [True, False]),
        ([True, False], Kind.NUMBER, [1, 0]),
        ([0, 1.0, 1], Kind.BOOLEAN, [False, True, True]),
        ([1, 0.1, 2**53 + 1], Kind.TEXT, ["1", "0.1", "9007199254740993"]),
        ([True, False], Kind.TEXT, ["true", "false"]),
    ],
)
def test_a_field_changes_its_type(
    store: Storage, before: list[Any], kind: Kind, after: list[Any]
) -> None:
    rows = [[at, value] for at, value in enumerate(before)]
    store.write([batch(rows), batch(rows, device="e"), batch([[1, "x"]], ("other",))])
    assert store.retype_field(1, INPUT, "a", kind, False) == Retyped(2 * len(after), 0)
    for name in ("d", "e"):
        found = [value for _, value in stored(store, device=name)]
        assert [(type(v), v) for v in found] == [(type(v), v) for v in after]
    assert stored(store, "other") == [(1, "x")]
    assert list(store.problems()) == []
    assert store.write([batch([[99, after[0]]])]) == [None], "the writer knows the new type"


@pytest.mark.usefixtures("small_pieces")
def test_values_that_are_unfit_stop_it_or_go(store: Storage) -> None:
    values = ["n/a", "1", "x", "4", "5", "nan", "1e999", "8"]
    store.write([batch([[at, value] for at, value in enumerate(values)])])
    with pytest.raises(Unprocessable, match=r"4 of 8 .* 'n/a' of device 'd' at 0 us"):
        store.retype_field(1, INPUT, "a", Kind.NUMBER, False)
    assert [value for _, value in stored(store)] == values
    assert store.retype_field(1, INPUT, "a", Kind.NUMBER, True) == Retyped(4, 4)
    assert stored(store) == [(1, 1), (3, 4), (4, 5), (7, 8)]
    with pytest.raises(NotFound):
        store.retype_field(1, INPUT, "b", Kind.NUMBER, True)


def test_another_process_learns_at_once_what_was_mended(store: Storage, database: str) -> None:
    with contextlib.closing(open_storage(database, Config(database_connections=3))) as other:
        assert other.write([batch([[1, "1"], [2, "2"]])]) == [None]
        store.retype_field(1, INPUT, "a", Kind.NUMBER, False)
        assert other.write([batch([[3, 3]])]) == [None]
        store.drop_series(1, INPUT, "a", None)
        assert other.write([batch([[4, "text"]])]) == [None]
        assert stored(store) == [(4, "text")]
    assert list(store.problems()) == []


# -- backup ------------------------------------------------------------------------


def test_a_backup_is_a_whole_database_of_one_file(store: Storage, tmp_path: Path) -> None:
    fill(store)
    path = tmp_path / "copy.db"
    if "Postgres" in type(store).__name__:
        with pytest.raises(ConfigError, match="pg_dump"):
            store.backup(str(path))
        return
    store.backup(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.glob("copy.db*")] == ["copy.db"]
    store.create_project("after", 0)
    with contextlib.closing(open_storage(f"sqlite:///{path}", Config())) as copy:
        assert list(copy.problems()) == []
        assert copy.signing_keys() == store.signing_keys()
        assert [p.project_name for p in copy.projects()] == ["one", "two"]
        assert stored(copy, "whole") == stored(store, "whole")
    with pytest.raises(ConfigError, match="exists"):
        store.backup(str(path))
    with pytest.raises(ConfigError, match="no/such"):
        store.backup("/no/such/folder/x.db")


# -- moving --------------------------------------------------------------------------


def test_the_list_of_tables_is_complete(store: Storage, execute: Execute) -> None:
    for table in TABLES:
        execute(f"SELECT {', '.join(table.columns)} FROM {table.name}")  # noqa: S608
    if "Sqlite" in type(store).__name__:
        found = execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ours = {name for (name,) in found if not name.startswith("sqlite_")}
        columns = {t: {row[1] for row in execute(f"PRAGMA table_info({t})")} for t in ours}
    else:
        found = execute(
            "SELECT table_name, column_name FROM information_schema.columns NATURAL JOIN"
            " information_schema.tables WHERE table_schema = current_schema()"
            " AND table_type = 'BASE TABLE' AND table_name <> 'iobeam_schema'"
        )
        columns = {}
        for name, column in found:
            columns.setdefault(name, set()).add(column)
    assert columns == {table.name: set(table.columns) for table in TABLES}


@pytest.fixture
def empty(database: str, tmp_path: Path, postgres: Postgres) -> Iterator[Storage]:
    """An empty database of the other engine."""
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/empty.db"
        if database.startswith("sqlite"):
            url = stack.enter_context(postgres.schema())
        opened = open_storage(url, Config(database_connections=3))
        stack.callback(opened.close)
        yield opened


@pytest.mark.usefixtures("small_pieces")
def test_everything_moves_and_goes_on_there(store: Storage, empty: Storage) -> None:
    fill(store)
    before = contents(store)
    with empty.putting_in() as target:
        for table in TABLES:
            assert target.put(table, iter(before[table.name])) == len(before[table.name])
    assert contents(empty) == before
    assert all(before.values()), "something of everything was moved"
    assert empty.signing_keys() == store.signing_keys()
    assert list(empty.problems()) == []
    assert empty.create_project("three", 0).project_id == 3, "ids go on"
    assert empty.write([batch([[1, 1]], ("new",), device="fresh")]) == [None]
    assert stored(empty, "new") == [(1, 1)]


def test_a_move_that_fails_leaves_nothing(store: Storage, empty: Storage) -> None:
    fill(store)
    keys = empty.signing_keys()
    before = contents(store)

    def fill_and_fail() -> None:
        with empty.putting_in() as target:
            for table in TABLES:
                target.put(table, before[table.name])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill_and_fail()
    assert empty.signing_keys() == keys
    assert empty.projects() == []


def test_a_database_in_use_is_not_filled(store: Storage) -> None:
    with pytest.raises(AlreadyExists, match="projects"), store.putting_in():
        pass


def test_texts_of_the_interface_name_every_kind() -> None:
    assert {interface.NAMES[kind] for kind in Kind} == {"number", "boolean", "string"}
