"""The database as a whole: check, backup, migrate."""

from __future__ import annotations

import sys

import click

from iobeam_server import maintenance, migrating
from iobeam_server.commands.common import database_option, opened
from iobeam_server.storage import shown

MAX_PROBLEMS = 100  # printed


@click.command()
@database_option
def check(database: str) -> None:
    """See that all data are as they must be; exit code 1 if not."""
    with opened(database) as store:
        found = 0
        for problem in store.problems():
            found += 1
            if found <= MAX_PROBLEMS:
                click.echo(problem, err=True)
        if found:
            click.echo(f"{found} problems")
            sys.exit(1)
        extents = [listed.extent for listed in maintenance.overview(store)]
    points = sum(extent.points for extent in extents if extent is not None)
    click.echo(f"ok: {points} points in {len(extents)} series")


@click.command()
@click.argument("path", metavar="FILE")
@database_option
def backup(path: str, database: str) -> None:
    """Copy a SQLite database while it is used.

    The new file is as of one moment. It holds the keys that sign tokens: keep it as safe
    as the original. For PostgreSQL use pg_dump.
    """
    with opened(database) as store:
        store.backup(path)
    click.echo(path)


@click.command()
@click.argument("source", metavar="SQLITE")
@click.argument("target", metavar="POSTGRES-URL")
def migrate(source: str, target: str) -> None:
    """Move everything to an empty database.

    Projects, devices, points, users, permissions, invites, namespaces and keys: tokens
    and passwords stay good. All of it is read back and compared, or nothing is kept.

    SQLITE is a file or a sqlite:/// URL; from PostgreSQL to SQLite works as well. The
    source stays as it is. Stop the server first: what it takes in afterwards stays
    behind.
    """
    source, target = (url if "://" in url else f"sqlite:///{url}" for url in (source, target))
    with opened(source) as old, opened(target, create=True) as new:
        moved = migrating.migrate(old, new, lambda line: click.echo(line, err=True))
    click.echo(
        f"projects {moved.projects}, users {moved.users}, devices {moved.devices}, "
        f"series {moved.series}"
    )
    click.echo(f"now: iobeam-server serve --database {shown(target)}")
    click.echo(f"{moved.points} points moved and verified")
