"""Before something is deleted: how much it is, and whether that is meant."""

from __future__ import annotations

import sys
from typing import Any, Callable, NamedTuple, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Consent(NamedTuple):
    """What the command line says about deleting."""

    dry_run: bool
    yes: bool

    def to(self, what: str, must_be_said: bool = True) -> bool:
        """Say what would be deleted; return whether it is to be.

        Asks where there is a terminal, unless --yes was given; elsewhere that is a must.

        Args:
            what: as "12 points of series a, with their first and last time".
            must_be_said: False where no data are lost: without a terminal it goes ahead.

        Raises:
            click.UsageError: neither --yes nor a terminal.
        """
        if self.dry_run:
            click.echo(f"to be deleted: {what}; nothing was changed (--dry-run)")
            return False
        click.echo(f"to be deleted: {what}", err=True)
        if self.yes:
            return True
        if not sys.stdin.isatty():
            if not must_be_said:
                return True
            raise click.UsageError(
                "nothing was changed: there is no terminal to ask on. "
                "Say --yes to delete, --dry-run to see how much it is."
            )
        if click.confirm("Delete?", err=True):
            return True
        click.echo("nothing was changed", err=True)
        sys.exit(1)


def consent_options(command: F) -> F:
    """Give a command ``--dry-run`` and ``--yes``."""
    command = click.option("--yes", is_flag=True, help="Delete without asking.")(command)
    return click.option("--dry-run", is_flag=True, help="Only say how much it is.")(command)


def tell_compact(deleted: int) -> None:
    """Say how the room of what was deleted is given back."""
    if deleted:
        click.echo(
            "the room is used again; to give it back to the system: iobeam-server compact", err=True
        )
