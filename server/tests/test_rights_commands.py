"""The commands about rights: ids of one's own, adopted tokens, devices and users."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from test_cli import environment, run  # noqa: F401  # environment is a fixture
from test_commands import out, say

from iobeam_server.config import Config
from iobeam_server.rights import adoption
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.tokens import ADMIN, READ, WRITE
from iobeam_server.storage.base import User
from iobeam_server.storage.catalog.projects import MAX_PROJECT_ID
from iobeam_server.storage.store import Storage

pytestmark = pytest.mark.usefixtures("environment", "store")  # with project 1
OLD = "eyJhbGciOiJIUzI1NiJ9.eyJwaWQiOjQ3MTEsImV4cCI6MTQ4MzIyODgwMH0." + "s" * 43


@pytest.mark.parametrize("wanted", [2, 7, 4_711, 2**31, MAX_PROJECT_ID])
def test_a_project_under_the_id_that_scripts_have(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage, wanted: int
) -> None:
    def create(*words: str) -> int:
        return run(monkeypatch, "project", "create", *words)

    assert create("old", "--id", str(wanted)) == 0
    assert out(capsys) == str(wanted)
    for words, reason in (
        (("x", "--id", str(wanted)), f"project {wanted} exists already, it is 'old'"),
        (("x", "--id", "1"), "project 1 exists"),
        (("old", "--id", "99"), "'old' exists"),
    ):
        assert create(*words) == 1
        assert reason in capsys.readouterr().err
    for number in ("0", "-1", "x", str(MAX_PROJECT_ID + 1)):
        assert create("x", "--id", number) == 2
    assert create("next") == 0
    assert out(capsys) == str(wanted + 1)
    assert store.projects.create("over http", 0).project_id == wanted + 2
    assert len(store.projects.all()) == 4
    assert list(store.problems()) == []


def test_an_id_below_those_given_changes_nothing_for_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(monkeypatch, "project", "create", "high", "--id", "40") == 0
    assert run(monkeypatch, "project", "create", "low", "--id", "7") == 0
    assert run(monkeypatch, "project", "create", "next") == 0
    assert out(capsys) == "41"


def test_the_first_project_of_a_database_may_have_any_id(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, empty: Storage
) -> None:
    assert empty.projects.create("old", 0, project_id=1).project_id == 1
    assert empty.projects.create("next", 0).project_id == 2


def adopt(monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> int:
    say(monkeypatch, text)
    return run(monkeypatch, "token", "adopt", "--project", "1", *options)


def test_adopt_list_revoke(monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage) -> None:
    start = adoption.digest_of(OLD)[:12]
    assert adopt(monkeypatch, f"  {OLD}\r\n", "--read", "--device", "d") == 0
    assert out(capsys) == f"adopted as {start}: may read in project 1, for device 'd' only"
    assert adopt(monkeypatch, OLD) == 1
    assert f"adopted already, as {start}" in capsys.readouterr().err
    assert adopt(monkeypatch, OLD + "x") == 0
    assert "may read, write in project 1" in out(capsys)
    kept = [(a.digest, a.permissions, a.device_id) for a in store.adoptions.all()]
    other = adoption.digest_of(OLD + "x")
    assert kept == [(adoption.digest_of(OLD), READ, "d"), (other, READ | WRITE, None)]

    assert run(monkeypatch, "token", "revoke", "--project", "1", "--device", "d") == 0
    assert "adopted and refreshed ones too, are refused: a running server sees it within 5 s" in (
        out(capsys)
    )
    assert run(monkeypatch, "token", "list") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[:-1] for line in lines] == [
        ["adopted", other[:12], "1", "read, write", "every device"],
        ["revoked", "-", "1", "-", "d"],
    ]
    assert run(monkeypatch, "token", "revoke", "--adopted", other[:8].upper()) == 0
    assert f"The adopted token {other[:12]} is refused" in out(capsys)
    assert run(monkeypatch, "token", "list", "--project", "1") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(monkeypatch, "token", "list", "--project", "9") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no token on stdin"),
        (" \r\n\n", "no token on stdin"),
        ("a\nb", "several lines"),
        ("x" * 4_097, "at most 4096"),
        ("x" * 100_000, "at most 4096"),
        ("Bearer abc", "a space"),
        ('"abc"', "quotes"),
        ("tokén", "no token has"),
        ("a=b", "no token has"),
        ("a\0b", "no token has"),
    ],
)
def test_what_is_no_token(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage, text: str, words: str
) -> None:
    assert adopt(monkeypatch, text) == 1
    assert words in capsys.readouterr().err
    assert store.adoptions.all() == []


def test_bytes_that_are_no_text(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfea\0"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(monkeypatch, "token", "adopt", "--project", "1") == 1
    assert "is no text" in capsys.readouterr().err


def test_own_tokens_need_no_adoption(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage, tmp_path: Any
) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("s" * 40)
    secrets.chmod(0o600)
    from_file = issue_token(store, 1, READ, 60, None, True, Config(secret_file=str(secrets)))
    expired = issue_token(store, 1, READ, -60, None, True)
    assert adopt(monkeypatch, expired) == 1
    assert adopt(monkeypatch, from_file, "--secret-file", str(secrets)) == 1
    assert capsys.readouterr().err.count("this server made that token itself") == 2


def test_adoption_into_what_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    say(monkeypatch, OLD)
    assert run(monkeypatch, "token", "adopt", "--project", "9") == 1
    assert "no project 9" in capsys.readouterr().err
    assert adopt(monkeypatch, OLD, "--device", "ä") == 1
    assert adopt(monkeypatch, OLD, "--admin") == 2
    for words in (
        (), ("--device", "d"), ("--project", "1", "--adopted", "a"),
        ("--adopted", "a", "--device", "d"),
    ):  # fmt: skip
        assert run(monkeypatch, "token", "revoke", *words) == 2
    assert run(monkeypatch, "token", "revoke", "--adopted", "abc") == 1
    assert run(monkeypatch, "token", "revoke", "--project", "9") == 1
    assert run(monkeypatch, "token", "--project", "1", "--device", "ä") == 1


def test_the_start_of_an_id_must_name_one(store: Storage) -> None:
    from iobeam_server.errors import BadRequest, NotFound

    first = store.adoptions.add("ab1", 1, READ, None)
    store.adoptions.add("ab2", 1, READ, None)
    assert adoption.find(store, "ab1") == first
    with pytest.raises(BadRequest, match="2 adopted"):
        adoption.find(store, "ab")
    for start in ("", "b", "ab12"):
        with pytest.raises(NotFound):
            adoption.find(store, start)


def test_devices(monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage) -> None:
    from storage.samples import device

    for name in ("d", "e"):
        store.devices.register(device(name), named=True)
    assert run(monkeypatch, "device", "rename", "d", "North wall", "--project", "1") == 0
    assert run(monkeypatch, "device", "rename", "d", "e", "--project", "1") == 1
    assert run(monkeypatch, "device", "rename", "x", "y", "--project", "1") == 1
    assert run(monkeypatch, "device", "rename", "d", " ", "--project", "1") == 1
    capsys.readouterr()
    assert run(monkeypatch, "device", "list", "--project", "1") == 0
    assert capsys.readouterr().out == "d\tNorth wall\ne\te\n"
    store.adoptions.add("digest", 1, READ, "d")
    assert run(monkeypatch, "device", "delete", "d", "--project", "1") == 0
    told = capsys.readouterr().out
    assert "tokens for it are refused: a running server sees it within 5 s" in told
    assert [found.device_id for found in store.devices.page(1, 0, None)] == ["e"]
    assert store.adoptions.all() == []
    for words in (["delete", "d"], ["list"], ["rename", "d", "x"]):
        number = "1" if words[0] == "delete" else "9"
        assert run(monkeypatch, "device", *words, "--project", number) == 1


def test_users(monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage) -> None:
    for name in ("ann", "bob"):
        user = User(0, name, f"{name}@b.c", None, None, None, None, 0, 0.0)
        store.projects.grant(1, store.users.create(user, "hash").user_id, ADMIN)
    assert run(monkeypatch, "user", "list") == 0
    assert capsys.readouterr().out == "1\tann\tann@b.c\n2\tbob\tbob@b.c\n"
    say(monkeypatch, "")
    assert run(monkeypatch, "user", "delete", "ann") == 2
    assert "--yes" in capsys.readouterr().err
    assert len(store.users.all()) == 2
    assert run(monkeypatch, "user", "delete", "ANN@b.c", "--yes") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "ann is deleted"
    assert "of projects too, are refused: a running server sees it within 5 s" in told[-2]
    assert [user.username for user in store.users.all()] == ["bob"]
    assert [grant.user_id for grant in store.projects.grants(1)] == [2]
    for name in ("ann", "1"):
        assert run(monkeypatch, "user", "delete", name, "--yes") == 1


def test_what_ends_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Any, store: Storage) -> None:
    user = User(0, "ann", "ann@b.c", None, None, None, None, 0, 0.0)
    store.users.create(user, "hash")
    assert run(monkeypatch, "project", "grant", "1", "ann", "--read", "--write") == 0
    assert "within" not in capsys.readouterr().out, "nothing ended"
    for options in (["--read"], ["--remove"]):
        assert run(monkeypatch, "project", "grant", "1", "ann", *options) == 0
        assert "do no more: a running server sees it within 5 s" in capsys.readouterr().out
    say(monkeypatch, "new")
    assert run(monkeypatch, "user", "passwd", "ann") == 0
    assert "of projects too, are refused: a running server sees it within 5 s" in (
        capsys.readouterr().out
    )
