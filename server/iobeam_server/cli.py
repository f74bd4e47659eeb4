"""The command line: parse, call, print."""

from __future__ import annotations

import os
import signal
import sys

import click

from iobeam_server import __version__
from iobeam_server.commands import data, devices, rights, serving, tokens, upkeep
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
    tokens.token,
    devices.device,
    data.export_command,
    data.import_command,
    data.prune,
    data.points,
    data.series,
    upkeep.check,
    upkeep.compact,
    upkeep.distribute,
    upkeep.hypertable,
    upkeep.backup,
    upkeep.migrate,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line.

    An error is one line and exit code 1 (usage: 2). Ctrl-C ends with 130 and SIGTERM with 143,
    both after the clean-up: no half file is left.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        try:
            code = cli.main(prog_name="iobeam-server", standalone_mode=False)
        finally:
            _flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):  # also the end of input, where something is asked
        click.echo("iobeam-server: stopped", err=True)
        code = 128 + signal.SIGINT
    except BrokenPipeError:  # who read it has seen enough
        code = 1
    except ServerError as error:
        fail(error.message)
    except OSError as error:  # stdout on a full disk
        fail(str(error))
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code if isinstance(code, int) else 0)


def _flush() -> None:
    """Write out what stdout holds, here: at exit a full disk would be code 120."""
    if sys.stdout is None:  # closed by who started this
        return
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # for what it still holds
        os.close(null)
        raise
