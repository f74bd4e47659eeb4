from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from iobeam_server import files
from iobeam_server.errors import ConfigError


def fill(path: Path, text: str, mode: int = files.OWNER_ONLY) -> None:
    with files.whole(str(path), mode) as part:
        assert part != str(path)
        Path(part).write_text(text)


def test_a_file_appears_whole_with_its_permissions_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with files.whole(str(path), files.OWNER_ONLY) as part:
        Path(part).write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["new"]


def test_what_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")

    def fail() -> None:
        with files.whole(str(path)) as part:
            Path(part).write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def test_a_link_is_replaced_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    (tmp_path / "link").symlink_to("victim")
    fill(tmp_path / "link", "secret")
    assert (tmp_path / "victim").read_text() == "safe"
    assert not (tmp_path / "link").is_symlink()


def test_nothing_is_written_into_a_part_that_somebody_put_there(tmp_path: Path) -> None:
    trap = tmp_path / f"new.part-{os.getpid()}"
    trap.symlink_to("victim")
    with pytest.raises(ConfigError, match="cannot write"):
        fill(tmp_path / "new", "secret")
    assert not (tmp_path / "victim").exists()


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("no/such/x", "folder"):
        with pytest.raises(ConfigError, match=f"cannot write .*/{name}: "):
            fill(tmp_path / name, "x")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_disk_that_is_full_is_told_of(tmp_path: Path) -> None:
    def fail() -> None:
        with files.whole(str(tmp_path / "x")):
            raise OSError(28, "No space left on device")

    with pytest.raises(ConfigError, match=r"cannot write .*: No space left"):
        fail()
    assert list(tmp_path.iterdir()) == []
