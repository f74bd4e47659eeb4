from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage.samples import contents, everything, stored

from iobeam_server.config import Config
from iobeam_server.errors import AlreadyExists
from iobeam_server.migrating import Moved, NotVerified, migrate
from iobeam_server.storage import open_storage
from iobeam_server.storage.store import Storage
from iobeam_server.storage.upkeep import TABLES, Contents


def quiet(_: str) -> None:
    pass


def test_everything_arrives_and_the_source_stays(store: Storage, empty: Storage) -> None:
    everything(store)
    before = contents(store)
    said: list[str] = []
    assert migrate(store, empty, said.append) == Moved(2, 1, 1, 5, 41)
    assert contents(store) == contents(empty) == before
    assert [line.partition(":")[0] for line in said] == [*(t.name for t in TABLES), "verifying"]


def test_an_empty_database_moves_too(store: Storage, empty: Storage) -> None:
    assert migrate(store, empty, quiet) == Moved(1, 0, 0, 0, 0)
    assert empty.keys.signing() == store.keys.signing()


def test_a_target_in_use_is_refused_and_stays(store: Storage, empty: Storage) -> None:
    everything(store)
    empty.projects.create("here first", 0)
    before = contents(empty)
    with pytest.raises(AlreadyExists, match="projects"):
        migrate(store, empty, quiet)
    assert contents(empty) == before


@pytest.mark.parametrize("damage", ["changed", "lost", "retyped"])
def test_what_differs_afterwards_is_found_and_nothing_is_kept(
    store: Storage,
    empty: Storage,
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything(store)
    honest = empty.putting_in

    @contextlib.contextmanager
    def dishonest() -> Iterator[Contents]:
        with honest() as target:
            put = target.put

            def bad_put(table: object, rows: object) -> int:
                kept = list(rows)  # type: ignore[call-overload]
                if table is TABLES[-1]:
                    series, time, *values = kept[3]
                    if damage == "changed":
                        kept[3] = (series, time + 1_000_000, *values)
                    elif damage == "lost":
                        del kept[3]
                    else:
                        at = next(i for i, row in enumerate(kept) if row[3] == 1.0)
                        kept[at] = (*kept[at][:2], 1, None, None)
                return put(table, kept)  # type: ignore[arg-type]

            monkeypatch.setattr(target, "put", bad_put)
            yield target

    monkeypatch.setattr(empty, "putting_in", dishonest)
    with pytest.raises(NotVerified, match="points"):
        migrate(store, empty, quiet)
    monkeypatch.setattr(empty, "putting_in", honest)
    assert empty.projects.all() == []
    assert migrate(store, empty, quiet).points == 41


def test_a_file_to_a_file(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        old, new = (
            stack.enter_context(
                contextlib.closing(open_storage(f"sqlite:///{tmp_path}/{name}.db", Config()))
            )
            for name in ("old", "new")
        )
        old.projects.create("one", 0)
        everything(old)
        assert migrate(old, new, quiet).points == 41
        assert stored(new, "text") == stored(old, "text")


KILLED = """
import sys
from iobeam_server.config import Config
from iobeam_server.storage import open_storage
from iobeam_server.storage.upkeep import TABLES
store = open_storage(sys.argv[1], Config())
with store.putting_in() as target:
    target.put(TABLES[2], [(1, "half", 0)])
    print("half", flush=True)
    sys.stdin.read()
"""


def test_a_target_whose_migration_was_killed_is_still_empty(database: str, tmp_path: Path) -> None:
    with contextlib.closing(open_storage(f"sqlite:///{tmp_path}/old.db", Config())) as old:
        old.projects.create("one", 0)
        everything(old)
        command = [sys.executable, "-c", KILLED, database]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"half\n"
            child.kill()
        with contextlib.closing(open_storage(database, Config())) as new:
            assert new.projects.all() == []
            assert migrate(old, new, quiet).points == 41
