"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys

import click

from iobeam_server import __version__
from iobeam_server.commands import data, rights, serving, upkeep
from iobeam_server.commands.common import fail
from iobeam_server.errors import ServerError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="iobeam-server")
def cli() -> None:
    """A backend of one's own for iobeam clients."""


for command in (
    serving.serve,
    serving.demo_command,
    rights.project,
    rights.user,
    rights.token,
    data.export_command,
    data.import_command,
    data.prune,
    data.series,
    upkeep.check,
    upkeep.backup,
    upkeep.migrate,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; an error is one line and exit code 1 (usage: 2)."""
    try:
        try:
            cli.main(prog_name="iobeam-server")
        finally:
            _flush()
    except ServerError as error:
        fail(error.message)
    except OSError as error:  # stdout on a full disk; a closed pipe ends in click
        fail(str(error))


def _flush() -> None:
    """Write out what stdout holds, here: at exit a full disk would be code 120."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # for what it still holds
        os.close(null)
        raise


if __name__ == "__main__":
    main()
