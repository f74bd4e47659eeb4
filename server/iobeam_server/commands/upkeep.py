"""The database as a whole: check, backup, migrate."""

from __future__ import annotations

import shlex
import sys
from typing import Optional

import click

from iobeam_server import maintenance, migrating, storage
from iobeam_server.commands.common import (
    database_option,
    duration,
    opened,
    shown_size,
    temporary_folder_option,
)
from iobeam_server.config import Config
from iobeam_server.storage import urls

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
        layout = store.layout()
    if layout is not None:
        click.echo(f"points: {layout}")
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
@click.option(
    "--full", is_flag=True,
    help="PostgreSQL: rewrite the tables, so that all of it is given back; everybody waits.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say how much it may be.")
@temporary_folder_option
@database_option
def compact(full: bool, dry_run: bool, temporary_folder: Optional[str], database: str) -> None:
    """Give room back that deleting has left free.

    A SQLite file is rewritten: imports into a running server wait meanwhile, about as long
    as copying the file twice takes, and what has to wait for more than some seconds is
    answered 503 and sent again by its client. It takes as much room as the file will have,
    in the temporary folder and beside the file. In PostgreSQL nobody waits, unless with
    --full.
    """
    config = Config(temporary_folder=temporary_folder)
    with opened(database) as store:
        before = store.size()
        if dry_run:
            click.echo(
                f"{shown_size(before.total)}, of which about {shown_size(before.unused)} "
                "may be given back; nothing was changed (--dry-run)"
            )
            return
        storage.temporary_folder(store, database, config)
        store.compact(full)
        after = store.size()
    click.echo(f"{shown_size(before.total)} before, {shown_size(after.total)} now")


@click.command()
@click.option(
    "--chunk",
    "chunk_s",
    type=duration,
    default="30d",
    show_default=True,
    metavar="30d",
    help="Time that a chunk holds: a number and one of w d h m s.",
)
@database_option
def hypertable(chunk_s: int, database: str) -> None:
    """Divide the points into chunks of time, by TimescaleDB.

    Needs that extension in the PostgreSQL database, and may be repeated with another --chunk,
    which holds for new chunks then. Imports wait meanwhile. It pays where old points are
    dropped as a whole or compressed; queries become no quicker, and with thousands of chunks
    very slow.
    """
    with opened(database) as store:
        is_new = store.divide(chunk_s * 1_000_000)
    what = "are divided" if is_new else "were divided already; new ones are"
    click.echo(f"the points {what} into chunks of {chunk_s} s")


@click.command()
@click.option(
    "--shards",
    type=click.IntRange(1, 1024),
    default=8,
    show_default=True,
    help="Pieces, on all workers together: as many as there may ever be processors for them.",
)
@database_option
def distribute(shards: int, database: str) -> None:
    """Spread the points over several machines, by Citus.

    Give the URL of the coordinator. Needs the extension Citus in the PostgreSQL database.
    Projects, devices, users and series stay with the coordinator. Imports wait meanwhile,
    some seconds for each million points. May be repeated: then it adds what is missing.
    """
    with opened(database) as store:
        is_new = store.distribute(shards)
        layout = store.layout()
    what = "are distributed now" if is_new else "were distributed already"
    click.echo(f"the points {what}: {layout}")


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
    url, has_password = urls.without_password(target)
    password = "PGPASSWORD='***' " if has_password else ""
    click.echo(f"now: {password}iobeam-server serve --database {shlex.quote(url)}")
    if has_password:
        click.echo("with the password of the database for ***, or from a file (~/.pgpass)")
    click.echo(f"{moved.points} points moved and verified")
