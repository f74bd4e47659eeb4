"""The pages about the server and its command line name the same things; their SQL runs."""

from __future__ import annotations

import contextlib
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from attacks import scene
from click.testing import CliRunner
from engines import Postgres
from live import running

from iobeam_server.cli import cli
from iobeam_server.config import Config
from iobeam_server.rules import expressions
from iobeam_server.storage import open_storage

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "running-the-server.md"
HOW_TO = ROOT / "docs" / "how-to"
# What whoever runs the server reads, in this order.
READING = [
    GUIDE,
    *(
        HOW_TO / f"{name}.md"
        for name in ("lan-and-tls", "postgresql", "several-machines", "backup-and-upgrade")
    ),
]
SECURITY = ROOT / "docs" / "security.md"
PAGES = [GUIDE, ROOT / "server" / "README.md", SECURITY]
PAGES += sorted((ROOT / "docs" / "start").glob("*.md"))
# Of these the client's tests know the options, and test_guides.py runs the commands.
CLIENTS = {"load-files.md", "query.md"}
PAGES += sorted(page for page in HOW_TO.glob("*.md") if page.name not in CLIENTS)
VARIABLE = re.compile(r"\bIOBEAM_SERVER_[A-Z_]+\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# of other programs, in lines that hold no command of ours
FOREIGN = re.compile(
    r"^(sudo )?(-u postgres )?(\S*/)?"
    r"(createuser|createdb|pg_dump|useradd|systemctl|pip|docker|iobeam(?=\s))\b"
)

pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason="not in a checkout")


def leaves(group: click.Group, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its name: "token", "token revoke"."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
            if not command.invoke_without_command:
                continue
        yield " ".join([*path, name]), command


COMMANDS = dict(leaves(cli))


def options(command: click.Command) -> set[str]:
    return {
        option
        for parameter in command.params
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("--")
    }


def variables(name: str) -> dict[str, str]:
    """The variable of each option that has one, as click itself works it out."""
    context = click.Context(COMMANDS[name], info_name=name, **COMMANDS[name].context_settings)
    found = {}
    for parameter in COMMANDS[name].params:
        given = parameter.envvar
        if given is None and context.auto_envvar_prefix:
            given = f"{context.auto_envvar_prefix}_{str(parameter.name).upper()}"
        if given is not None:
            found[str(given)] = parameter.opts[0]
    return found


def fragments(page: Path) -> list[str]:
    """Every piece of code: inline, or a line of a block, without its comment."""
    text = re.sub(r"```\w*\n.*?```", "", page.read_text(), flags=re.S)
    lines = re.findall(r"^    (.*)$", text, re.M)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^    .*$", "", text, flags=re.M))
    return [re.split(r"\s#\s", piece)[0].replace("\\|", "|") for piece in [*lines, *inline]]


def command_in(piece: str) -> str:
    """Return the command that a piece of code calls, or ""."""
    words = piece.rpartition("iobeam-server ")[2].split()
    two = " ".join(words[:2])
    if two in COMMANDS:
        return two
    return words[0] if words and words[0] in COMMANDS else ""


def calls() -> list[tuple[str, str]]:
    """Return (command, piece) of all pieces that call one."""
    found = [(command_in(piece), piece) for page in PAGES for piece in fragments(page)]
    return [(name, piece) for name, piece in found if name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_a_page_names_exist(page: Path) -> None:
    everything = set().union(*map(options, COMMANDS.values()), {"--help", "--version"})
    for piece in fragments(page):
        if re.match(r"(.*/|.* )?iobeam-server [a-z]", piece):
            assert command_in(piece), f"no such command: {piece}"
        _, ours, after = piece.rpartition(" iobeam-server ")
        if FOREIGN.match(piece):
            if not ours:
                continue
            piece = after
        name = command_in(piece)
        known = options(COMMANDS[name]) if name else everything
        for option in OPTION.findall(piece):
            assert option in known, piece


def test_every_command_and_option_is_named_on_a_page() -> None:
    named: dict[str, set[str]] = {}
    for name, piece in calls():
        named.setdefault(name, set()).update(OPTION.findall(piece))
    # the options of serve are a table of their own, some are told for many commands at once
    common = {"--database", "--secret-file", "--namespace", "--dry-run", "--yes"}
    common |= {"--temporary-folder", "--json"}
    assert common <= {option for page in PAGES for option in OPTION.findall(page.read_text())}
    table = set(re.findall(r"^\| `(--[a-z-]+)", GUIDE.read_text(), re.M))
    assert named.keys() == COMMANDS.keys()
    for name, command in COMMANDS.items():
        more = table if name == "serve" else common
        assert options(command) <= named[name] | more, name


def test_table_of_settings_pairs_each_option_with_its_variable() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)[^`]*` \| `(\w+)`", GUIDE.read_text(), re.M)
    assert {variable: option for option, variable in rows} == variables("serve")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_that_a_page_names_exist(page: Path) -> None:
    known = set().union(*map(variables, COMMANDS))
    assert set(VARIABLE.findall(page.read_text())) <= known


def test_defaults_of_the_table_are_those_of_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variables("serve"):
        monkeypatch.delenv(variable, raising=False)
    row = re.compile(r"^\| `(--[a-z-]+)[^`]*` \| `\w+` \| `?([^`|]+?)`? \|", re.M)
    arguments = []
    for option, told in row.findall(GUIDE.read_text()):
        if told not in ("off", "none", "in the database", "beside the database"):
            arguments += [option, told]
    serve = COMMANDS["serve"]
    defaults = serve.make_context("serve", []).params
    assert serve.make_context("serve", [*arguments]).params == defaults
    unset = {name for name, value in defaults.items() if not value}
    files = {"secret_file", "temporary_folder", "tls_certificate", "tls_key"}
    assert unset == {"auto_register", "cors_origins", *files}
    assert len(arguments) == 2 * (len(defaults) - len(unset))


def test_commands_of_the_guide_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", "sqlite:///data.db")
    with contextlib.closing(open_storage("sqlite:///data.db", Config())) as store:
        store.projects.create("default", 1_700_000_000)
    Path("t.csv").write_text(
        "project_id,device_id,name,time,value,type,namespace\n"
        "1,d,temperature,1,20.5,number,input\n1,d,rain,1,0.5,number,input\n"
    )
    text = "\n".join(page.read_text() for page in READING)
    lines = re.findall(r"^    iobeam-server (.*)$", text, re.M)
    shown_elsewhere = {"demo", "project list", "token adopt"}
    assert {command_in(line) for line in lines} == COMMANDS.keys() - shown_elsewhere
    store_some = "import t.csv --project 2 --device greenhouse-1"
    deleting = {name for name, command in COMMANDS.items() if "--yes" in options(command)}
    # to a PostgreSQL; until it is stopped
    elsewhere = ("distribute", "hypertable", "migrate", "serve")
    lines = [line for line in lines if command_in(line) not in elsewhere]
    for line in [lines[0], store_some, *lines[1:]]:
        words = shlex.split(line.replace("/var/backups/", ""), comments=True)
        if command_in(line) in deleting:
            words.append("--yes")
        done = CliRunner().invoke(cli, words, input="a good password\na good password\n")
        assert done.exit_code == 0, (line, done.output, done.exception)
    assert Path("iobeam-server.db").is_file()


def test_figures_of_the_security_page_are_those_of_the_server() -> None:
    text, config = SECURITY.read_text(), Config()
    for words, figures in {
        r"of one address (\d+) may be open, (\d+) in all": (
            config.connections_per_address,
            config.connection_limit,
        ),
        r"headers have (\d+) s, the whole request (\d+) s": (
            config.header_timeout_s,
            config.request_timeout_s,
        ),
        r"of an answer within (\d+) s": (config.answer_timeout_s,),
        r"stopped after (\d+) s, an export after (\d+) s": (
            config.query_timeout_s,
            config.export_timeout_s,
        ),
        r"`group_by` takes (\d+) fields": (expressions.MAX_GROUP_FIELDS,),
        r"it came from, within (\d+) s": (config.rights_cache_s,),
        r"stays under (\d+) MiB": (scene.RESIDENT_MIB,),
    }.items():
        found = re.search(words, text)
        assert found, words
        assert tuple(map(int, found.groups())) == figures


def queries() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", (HOW_TO / "grafana.md").read_text(), re.S)


def filled(query: str, macros: dict[str, str]) -> str:
    """Put in what Grafana would, for a project that a test has."""
    for macro, value in macros.items():
        assert macro in query
        query = query.replace(macro, value)
    assert "$" not in query
    return query.replace("project_id = 2", "project_id = 1")


ROWS = [[1_700_000_000_000_000 + i * 60_000_000, 20.5 + i] for i in range(5)]
SHOWN = [("dev-1 temperature", 21.5), ("dev-1 temperature", 22.5)]


def test_query_for_grafana_runs_on_sqlite(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        live.register("dev-1")
        assert live.send(["time", "temperature"], ROWS).status == 200
    macros = {"$__from": "1700000060000", "$__to": "1700000120000"}
    with sqlite3.connect(tmp_path / "live.db") as connection:
        found = connection.execute(filled(queries()[2], macros)).fetchall()
    connection.close()
    assert [row[0] for row in found] == [1_700_000_060, 1_700_000_120]
    assert [row[1:] for row in found] == SHOWN


def test_role_and_query_for_grafana_run_on_postgres(postgres: Postgres, tmp_path: Path) -> None:
    import psycopg

    with postgres.schema() as url:
        with running(tmp_path, url) as live:
            live.register("dev-1")
            assert live.send(["time", "temperature"], ROWS).status == 200
        macros = {"$__unixEpochFrom()": "1700000060", "$__unixEpochTo()": "1700000120"}
        with psycopg.connect(url, autocommit=True) as connection:
            run: Any = connection.execute
            run(queries()[0])
            run(f"GRANT USAGE ON SCHEMA {run('SELECT current_schema()').fetchone()[0]} TO grafana")
            try:
                run("SET ROLE grafana")
                found = run(filled(queries()[1], macros)).fetchall()
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    run("SELECT * FROM points")
            finally:
                run("RESET ROLE")
                run("DROP OWNED BY grafana")
                run("DROP ROLE grafana")
    assert [row[0].timestamp() for row in found] == [1_700_000_060, 1_700_000_120]
    assert [row[1:] for row in found] == SHOWN
