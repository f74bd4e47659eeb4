"""A database as a whole: checking, copying and moving it, on each engine."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import pytest
from engines import ENGINES
from storage.samples import Execute, batch, contents, everything, stored

from iobeam_server.config import Config
from iobeam_server.errors import AlreadyExists, ConfigError
from iobeam_server.storage import open_storage
from iobeam_server.storage.store import Storage
from iobeam_server.storage.upkeep import DERIVED, TABLES


def test_check(store: Storage) -> None:
    store.check()


def test_a_database_as_it_should_be_has_no_problems(store: Storage) -> None:
    assert list(store.problems()) == []
    everything(store)
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
    everything(store)
    if "IN (0, 1)" in damage:  # of the flags only
        damage += " AND series_id = (SELECT series_id FROM series JOIN fields USING (field_id)"
        damage += " WHERE field_name = 'flag') AND int_value = 1"
    execute(damage)
    assert any(words in problem for problem in store.problems()), list(store.problems())


def test_a_backup_is_a_whole_database_of_one_file(store: Storage, tmp_path: Path) -> None:
    everything(store)
    path = tmp_path / "copy.db"
    if "Postgres" in type(store).__name__:
        with pytest.raises(ConfigError, match="pg_dump"):
            store.backup(str(path))
        return
    store.backup(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.glob("copy.db*")] == ["copy.db"]
    store.projects.create("after", 0)
    with contextlib.closing(open_storage(f"sqlite:///{path}", Config())) as copy:
        assert list(copy.problems()) == []
        assert copy.keys.signing() == store.keys.signing()
        assert [p.project_name for p in copy.projects.all()] == ["one", "two"]
        assert stored(copy, "whole") == stored(store, "whole")
    with pytest.raises(ConfigError, match="exists"):
        store.backup(str(path))
    with pytest.raises(ConfigError, match="no/such"):
        store.backup("/no/such/folder/x.db")


@pytest.mark.parametrize("database", ENGINES, indirect=True)
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
    assert columns.keys() >= set(DERIVED)
    for name in DERIVED:
        del columns[name]
    assert columns == {table.name: set(table.columns) for table in TABLES}


@pytest.mark.usefixtures("small_pieces")
def test_everything_moves_and_goes_on_there(store: Storage, empty: Storage) -> None:
    everything(store)
    before = contents(store)
    with empty.putting_in() as target:
        for table in TABLES:
            assert target.put(table, iter(before[table.name])) == len(before[table.name])
    assert contents(empty) == before
    assert all(before.values()), "something of everything was moved"
    assert empty.keys.signing() == store.keys.signing()
    assert list(empty.problems()) == []
    assert empty.projects.create("three", 0).project_id == 3, "ids go on"
    assert empty.write([batch([[1, 1]], ("new",), device="fresh")]) == [None]
    assert stored(empty, "new") == [(1, 1)]


def test_a_move_that_fails_leaves_nothing(store: Storage, empty: Storage) -> None:
    everything(store)
    keys = empty.keys.signing()
    before = contents(store)

    def fill_and_fail() -> None:
        with empty.putting_in() as target:
            for table in TABLES:
                target.put(table, before[table.name])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill_and_fail()
    assert empty.keys.signing() == keys
    assert empty.projects.all() == []


def test_a_database_in_use_is_not_filled(store: Storage) -> None:
    with pytest.raises(AlreadyExists, match="projects"), store.putting_in():
        pass
