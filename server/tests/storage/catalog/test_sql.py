"""The seam, on each engine: marks, ids, and what is taken."""

from __future__ import annotations

import pytest

from iobeam_server.errors import StorageDefect
from iobeam_server.storage.catalog.sql import with_percents
from iobeam_server.storage.store import Storage


def test_marks_of_psycopg() -> None:
    assert with_percents("SELECT 1 % 2 WHERE a = ? AND b = ?") == (
        "SELECT 1 %% 2 WHERE a = %s AND b = %s"
    )


def test_an_insert_gives_an_id_or_does_nothing(store: Storage) -> None:
    with store.writing() as sql:
        assert sql.insert("projects", "project_id", project_name="two", created=5) == 2
        assert sql.insert("projects", "project_id", project_name="two", created=6) is None
        row = sql.one("SELECT created FROM projects WHERE project_name = ?", "two")
        assert tuple(row) == (5,)


def test_what_was_raised_inside_undoes_all(store: Storage) -> None:
    def fail() -> None:
        with store.writing() as sql:
            sql.execute("INSERT INTO invites (digest, expires) VALUES (?, ?)", "x", 1)
            assert sql.has("SELECT 1 FROM invites WHERE digest = ?", "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.reading() as sql:
        assert sql.many("SELECT digest FROM invites") == []


def test_an_update_that_breaks_a_key_is_told_by_its_class(store: Storage) -> None:
    store.projects.create("two", 5)

    def rename() -> None:
        with store.writing() as sql:
            sql.execute("UPDATE projects SET project_name = ?", "same")

    with store.reading() as sql:
        taken = sql.taken
    with pytest.raises(StorageDefect) as caught:  # out of the block nothing of the driver's
        rename()
    assert isinstance(caught.value.__cause__, taken)
