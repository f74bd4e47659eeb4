"""Write docs/reference/server-commands.md: what the commands say of themselves, for reading.

    python docs/make_commands.py
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click
from iobeam_server.cli import cli

PAGE = Path(__file__).resolve().parent / "reference" / "server-commands.md"
HEAD = """<!-- Made by `make references` from the commands themselves; do not edit it. -->
# The command `iobeam-server`

What each command says of itself with `--help`. How they are used: [Running the server](../running-the-server.md).

Every command works beside a running server, on the same database: that of `--database URL` (`sqlite:///relative`, `sqlite:////absolute/path` or `postgresql://host/name`), else of the variable `IOBEAM_SERVER_DATABASE`, else `iobeam-server.db` in the current folder. Exit codes: 0 done; 1 it cannot be done, or `check` found something wrong; 2 used wrongly, or not confirmed; 130 Ctrl-C; 143 SIGTERM.

"""


def leaves(
    group: click.Group, above: click.Context | None = None
) -> Iterator[tuple[click.Context, click.Command]]:
    """Every command that does something by itself, with its context."""
    context = click.Context(group, info_name=group.name if above else "iobeam-server", parent=above)
    for name, command in sorted(group.commands.items()):
        if not isinstance(command, click.Group) or command.invoke_without_command:
            settings = command.context_settings
            yield click.Context(command, info_name=name, parent=context, **settings), command
        if isinstance(command, click.Group):
            yield from leaves(command, context)


def rendered() -> str:
    """Return the whole page."""
    return HEAD + "\n\n".join(section(*one) for one in leaves(cli)) + "\n"


def section(context: click.Context, command: click.Command) -> str:
    arguments = [argument(one) for one in command.params if isinstance(one, click.Argument)]
    options = [
        one.get_help_record(context)
        for one in command.params
        if isinstance(one, click.Option) and one.name != "database"
    ]
    lines = [f"## `{' '.join([context.command_path, *arguments])}`", "", told(command)]
    if options:
        lines += ["", "| option | means |", "|---|---|"]
        lines += [f"| `{cell(one[0])}` | {cell(one[1])} |" for one in options if one]
    return "\n".join(lines)


def argument(parameter: click.Argument) -> str:
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    return parameter.metavar or str(parameter.name).upper()


def told(command: click.Command) -> str:
    """The help of a command; what click is not to wrap stands as it is, as a block."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        "\n".join("    " + line for line in one.splitlines()[1:]) if one.startswith("\b") else one
        for one in paragraphs
    )


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(rendered(), encoding="utf-8")
