"""Lists: tables, lines and JSON, the same for every command that lists."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import click
import pytest
from storage.samples import batch
from test_cli import WAIT_S, environment, run  # noqa: F401  # environment is a fixture

from iobeam_server.cli import cli
from iobeam_server.commands import listing
from iobeam_server.commands.listing import At, Column
from iobeam_server.rights.tokens import READ, WRITE
from iobeam_server.storage.base import Device, User
from iobeam_server.storage.store import Storage

NOON_S = 1_769_860_800
NOON = "2026-01-31T12:00:00Z"
COLUMNS = (Column("n", "number"), Column("text", "name"), Column("when", "when", absent="never"))


def listings(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command that is called list."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from listings(below, (*path, name))
    elif path[-1] == "list":
        yield path


EVERY = sorted(listings(cli))


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def filled(store: Storage, environment: None) -> Storage:  # noqa: F811
    """Two of everything that is listed; one name holds a line end."""
    store.projects.create("two\nlines", NOON_S, project_id=7)
    for number in (1, 2):
        store.devices.register(Device(1, f"d{number}", f"name {number}", None, NOON_S), named=True)
        user = User(0, f"u{number}", f"u{number}@b.c", None, None, None, None, NOON_S, 0.0)
        store.users.create(user, "hash")
        rows = [[NOON_S * 1_000_000, 1.5], [NOON_S * 1_000_000 + 1, 2.5]]
        assert store.write([batch(rows, device=f"d{number}")]) == [None]
    store.adoptions.add("0123456789abcdef", 1, READ | WRITE, None, lambda: NOON_S)
    store.adoptions.add("fedcba9876543210", 1, READ, "d1", lambda: NOON_S)
    return store


def words_for(path: tuple[str, ...]) -> list[str]:
    """Return what a listing takes; those of one project have to be told which."""
    return [*path, *([] if path[0] in ("project", "user", "token") else ["--project", "1"])]


def test_they_are_found() -> None:
    assert {path[0] for path in EVERY} >= {"project", "user", "token", "device", "series"}


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.usefixtures("filled")
def test_every_list_has_the_three_forms(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, path: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words_for(path), "--json") == 0
    ((name, listed),) = json.loads(capsys.readouterr().out).items()
    assert len(listed) == 2
    assert run(monkeypatch, *words_for(path)) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [str(next(iter(each.values()))) for each in listed]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run(monkeypatch, *words_for(path)) == 0
    headings, rule, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2
    assert set(rule) == {"-", " "}
    assert len(headings.split("  ")) >= 3
    assert NOON[:19] in rows[-1]  # of a project, a device, a user, an adopted token, a point
    assert name in ("devices", "projects", "series", "tokens", "users")


@pytest.mark.parametrize("path", [path for path in EVERY if path[0] != "project"])
@pytest.mark.usefixtures("environment", "store")
def test_an_empty_list_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, path: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words_for(path)) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("no ")
    assert run(monkeypatch, *words_for(path), "--json") == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out).values()) == [[]]
    assert said.err == ""


def test_what_a_row_is_in_each_form(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    rows = [(1, "a\tb\x1b[2J", At(NOON_S * 1_000_000)), (10, "", None)]
    listing.show("things", COLUMNS, rows, as_json=False)
    assert capsys.readouterr().out == (
        f"1\ta\\u0009b\\u001b[2J\t{NOON_S}000000\n10\t\tnever\n"
    )
    listing.show("things", COLUMNS, rows, as_json=False, in_lines=1)
    assert capsys.readouterr().out == "1\n10\n"
    listing.show("things", COLUMNS, rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "things": [
            {"n": 1, "text": "a\tb\x1b[2J", "when": NOON_S * 1_000_000},
            {"n": 10, "text": "", "when": None},
        ]
    }
    assert listing.table(COLUMNS, rows) == [
        "number  name               when",
        "------  -----------------  --------------------",
        f"     1  a\\u0009b\\u001b[2J  {NOON}",
        "    10                     never",
    ]
    assert listing.table(COLUMNS, []) == []


@pytest.mark.parametrize(
    ("zone", "us", "shown"),
    [
        ("UTC", 0, "1970-01-01T00:00:00Z"),
        ("UTC", -1, "1969-12-31T23:59:59.999999Z"),
        ("GMT0BST,M3.5.0/1,M10.5.0", 0, "1970-01-01T00:00:00+00:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", NOON_S * 10**6, "2026-01-31T13:00:00+01:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 1_783_252_800 * 10**6, "2026-07-05T14:00:00+02:00"),
        ("UTC", 1_000, "1970-01-01T00:00:00.001Z"),
        ("NST3:30", NOON_S * 10**6 + 1, "2026-01-31T08:30:00.000001-03:30"),
        ("UTC", 2**63 - 1, "+294247-01-10T04:00:54.775807Z"),
        ("UTC", -(2**63), "-290308-12-21T19:59:05.224192Z"),
    ],
)
def test_times_are_of_this_machines_zone(
    monkeypatch: pytest.MonkeyPatch, zone: str, us: int, shown: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert listing.local(us) == shown


@pytest.mark.usefixtures("filled")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m iobeam_server project list | head -n 1"
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=WAIT_S, check=True
    )
    assert (done.stdout, done.stderr) == ("1\tone\n", "")


@pytest.mark.usefixtures("filled")
def test_a_real_terminal_gets_a_table() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "iobeam_server", "project", "list"]
    done = subprocess.run(command, stdout=theirs, timeout=WAIT_S, check=True)
    os.close(theirs)
    shown = b""
    while b"two" not in shown:
        shown += os.read(ours, 4_096)
    os.close(ours)
    assert done.returncode == 0
    assert shown.decode().split()[:3] == ["project", "name", "created"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["iobeam-server", "ser"], {"serve", "series"}),
        (["iobeam-server", "series", ""], {"drop", "list", "retype"}),
        (["iobeam-server", "device", "list", "--"], {"--database", "--json", "--project"}),
    ],
)
def test_a_shell_completes_what_is_typed(typed: list[str], offered: set[str]) -> None:
    asked = {"COMP_WORDS": " ".join(typed), "COMP_CWORD": str(len(typed) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from iobeam_server.__main__ import run; run()"],
        env={**os.environ, **asked, "_IOBEAM_SERVER_COMPLETE": "bash_complete"},
        stdout=subprocess.PIPE, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert offered <= {line.partition(",")[2] for line in done.stdout.splitlines()}
