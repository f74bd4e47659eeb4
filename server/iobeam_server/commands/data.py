"""Points in and out, and series."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, Callable, Optional

import click

from iobeam_server import exportfiles, files, importing, maintenance
from iobeam_server.commands.asking import Consent, consent_options, tell_compact
from iobeam_server.commands.common import (
    database_option,
    duration,
    end_of,
    field_type,
    moment,
    namespace_option,
    opened,
    project_option,
)
from iobeam_server.commands.listing import At, Cell, Column, json_option, show
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, ServerError
from iobeam_server.rules.points import Kind
from iobeam_server.rules.texts import KINDS, NAMES
from iobeam_server.rules.times import to_iso
from iobeam_server.storage.base import ALWAYS, Span
from iobeam_server.storage.store import Storage


@click.command("export")
@project_option
@click.option(
    "--format",
    "output",
    type=click.Choice(exportfiles.FORMATS),
    default="csv",
    show_default=True,
    help="JSON has the shape of /v1/exports.",
)
@namespace_option
@click.option("--device", metavar="ID", help="Only this device.")
@click.option("--series", metavar="NAME", help="Only this series.")
@click.option("--iso", is_flag=True, help="Times as 2026-01-31T12:00:00.000000Z, not in us.")
@click.option("--output", "path", metavar="FILE", help="Where to; default: stdout.")
@database_option
def export_command(
    project_id: int,
    output: str,
    namespace: str,
    device: Optional[str],
    series: Optional[str],
    iso: bool,
    path: Optional[str],
    database: str,
) -> None:
    """Write the points of a project as CSV or JSON.

    Ascending in time for each series, times in microseconds. `import` reads it back, into
    any database, every value as it was. With --output the file appears when it is whole.
    """
    with opened(database) as store, _target(path) as file:
        for piece in exportfiles.write(store, project_id, namespace, device, series, output, iso):
            file.write(piece)


@contextlib.contextmanager
def _target(path: Optional[str]) -> Iterator[BinaryIO]:
    """Give stdout, or a file that appears when it is whole, or a device or pipe as it is."""
    if path is None:
        if sys.stdout is None:
            raise ConfigError("there is no stdout to write to; say --output FILE")
        # not sys.stdout.buffer: what a full disk leaves in it would fail again at exit
        with open(sys.stdout.fileno(), "wb", closefd=False) as file:
            yield file
    elif os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            yield file
    else:
        with files.whole(path) as part, open(part, "wb") as file:
            yield file


@click.command("import")
@click.argument("path", metavar="FILE")
@click.option(
    "--project", "project_id", type=click.IntRange(min=1), metavar="N",
    help="Where to; default: as the file says.",
)  # fmt: skip
@click.option("--device", metavar="ID", help="To which device; default: as the file says.")
@click.option("--namespace", metavar="NAME", help="Where to; default: as the file says.")
@click.option(
    "--type", "kinds", type=field_type, multiple=True, metavar="NAME=TYPE",
    help="Type of a series that a CSV file of 1.0.0 does not say: number, boolean or string. "
    "May repeat.",
)  # fmt: skip
@database_option
def import_command(
    path: str,
    project_id: Optional[int],
    device: Optional[str],
    namespace: Optional[str],
    kinds: tuple[tuple[str, Kind], ...],
    database: str,
) -> None:
    """Store what `export` wrote, CSV or JSON.

    Devices are registered. Nothing is stored if a line is not good. A file may be imported
    again, such as after an interruption: what is there stays as it is. Tables of other
    programs go in by the client: iobeam send FILE.
    """
    options = importing.Options(project_id, device, namespace, dict(kinds))
    with opened(database) as store:
        done = importing.import_file(
            store, path, options, Config(), lambda line: click.echo(line, err=True)
        )
    click.echo(f"{done.values} points of {done.series} series imported")


@click.command()
@click.option(
    "--older-than", "age_s", type=duration, required=True, metavar="90d",
    help="Age: a number and one of w d h m s.",
)  # fmt: skip
@click.option(
    "--project", "project_id", type=click.IntRange(min=1), metavar="N",
    help="Only this project; default: all.",
)  # fmt: skip
@consent_options
@database_option
def prune(age_s: int, project_id: Optional[int], dry_run: bool, yes: bool, database: str) -> None:
    """Delete points older than an age.

    It says how much that is and asks first. It goes in pieces, with pauses for a running
    server. A SQLite file does not shrink by it: see compact.
    """
    before_us = (int(time.time()) - age_s) * 1_000_000
    with opened(database) as store:
        every = (series for _, _, series in maintenance.every_series(store, project_id))
        span = Span(ALWAYS.first, before_us - 1)
        if Consent(dry_run, yes).to(str(maintenance.amount(store, every, span))):
            _delete(lambda tell: maintenance.prune(store, before_us, project_id, tell))


@click.group()
def points() -> None:
    """Delete points of a time."""


@points.command("delete")
@click.option(
    "--project", "project_id", type=click.IntRange(min=1), metavar="N",
    help="Id of the project; default: the only one there is.",
)  # fmt: skip
@namespace_option
@click.option("--series", "name", required=True, metavar="NAME", help="Of which series.")
@click.option("--device", metavar="ID", help="Only of this device; default: of all.")
@click.option("--from", "first", type=moment, required=True, metavar="TIME", help="The earliest.")
@click.option("--to", "last", type=end_of, required=True, metavar="TIME", help="The latest.")
@consent_options
@database_option
def points_delete(
    project_id: Optional[int],
    namespace: str,
    name: str,
    device: Optional[str],
    first: int,
    last: int,
    dry_run: bool,
    yes: bool,
    database: str,
) -> None:
    """Delete the points of a series in a time.

    Both times are included. They are written with their zone, as 2026-01-31T12:00:00Z, or
    in milliseconds since the epoch as in the API; the last one counts with its whole
    millisecond. It says how much that is and asks first, and goes in pieces, with pauses
    for a running server.
    """
    if first > last:
        raise click.UsageError(f"--from, {to_iso(first)}, is after --to, {to_iso(last)}")
    with opened(database) as store:
        project = _only_project(store) if project_id is None else project_id
        found = maintenance.of_name(store, project, namespace, name, device)
        span = Span(first, last)
        if Consent(dry_run, yes).to(str(maintenance.amount(store, found, span))):
            _delete(lambda tell: maintenance.delete_points(store, found, span, tell))


def _only_project(store: Storage) -> int:
    found = store.projects.all()
    if len(found) != 1:
        raise click.UsageError("say --project N; see iobeam-server project list")
    return found[0].project_id


def _delete(work: Callable[[maintenance.Tell], int]) -> None:
    """Do it, and say how many points it was, also where it is broken off."""
    pieces: list[int] = []
    try:
        deleted = work(pieces.append)
    except (ServerError, KeyboardInterrupt, SystemExit):  # the last one is SIGTERM's
        # one more piece, where the signal came amid its commit
        told = f"at least {sum(pieces)} points are deleted; the same command goes on"
        click.echo(told, err=True)
        raise
    tell_compact(deleted)
    click.echo(f"{deleted} points deleted")


_SERIES = (
    Column("namespace", "namespace"),
    Column("device_id", "device"),
    Column("series", "series"),
    Column("type", "type"),
    Column("points", "points"),
    Column("first", "first", absent=""),
    Column("last", "last", absent=""),
)


@click.group()
def series() -> None:
    """List series; mend those with a wrong first value."""


@series.command("list")
@project_option
@json_option
@database_option
def series_list(project_id: int, as_json: bool, database: str) -> None:
    """List the series of a project.

    On a terminal a table; in a pipe a line for each: namespace, device, series, type, points,
    first and last time (us), with tabs between.
    """
    with opened(database) as store:
        rows = (_listed(found) for found in maintenance.overview(store, project_id))
        show("series", _SERIES, rows, as_json)


def _listed(found: maintenance.Listed) -> tuple[Cell, ...]:
    one, extent = found.series, found.extent
    name = (found.namespace, one.device_id, one.name, NAMES[one.kind])
    if extent is None:
        return (*name, 0, None, None)
    return (*name, extent.points, At(extent.first), At(extent.last))


@series.command("drop")
@project_option
@namespace_option
@click.option("--device", metavar="ID", help="Only of this device; default: of all.")
@click.argument("name")
@consent_options
@database_option
def series_drop(
    project_id: int,
    namespace: str,
    device: Optional[str],
    name: str,
    dry_run: bool,
    yes: bool,
    database: str,
) -> None:
    """Delete series NAME with its points.

    It says how much that is and asks first. When no device has it any more, the next
    value decides its type.
    """
    with opened(database) as store:
        maintenance.check_field(store, project_id, namespace, name)
        found = store.series.find(project_id, namespace, device, name)
        what = f"series {name!r}, {maintenance.amount(store, found)}"
        if Consent(dry_run, yes).to(what):
            _delete(
                lambda tell: maintenance.drop_series(
                    store, project_id, namespace, name, device, tell
                )
            )


@series.command("retype")
@project_option
@namespace_option
@click.argument("name")
@click.argument("kind", metavar="[number|boolean|string]", type=click.Choice(list(KINDS)))
@click.option("--drop-unfit", is_flag=True, help="Delete values that cannot be of that type.")
@consent_options
@database_option
def series_retype(
    project_id: int,
    namespace: str,
    name: str,
    kind: str,
    drop_unfit: bool,
    dry_run: bool,
    yes: bool,
    database: str,
) -> None:
    """Change the type of series NAME and all its values.

    That is on every device of the project: a type holds for all. Imports wait meanwhile.
    Nothing is changed if a value cannot be of that type, unless --drop-unfit takes such
    values out; it says how many these are and asks first.
    """
    with opened(database) as store:
        found = store.series.try_retype(project_id, namespace, name, KINDS[kind])
        what = f"{found.dropped} points of {name!r} that cannot be {kind} ({found.changed} can)"
        loses = dry_run or (drop_unfit and found.dropped > 0)
        if loses and not Consent(dry_run, yes).to(what):
            return
        done = store.series.retype(project_id, namespace, name, KINDS[kind], drop_unfit)
    tell_compact(done.dropped)
    click.echo(f"{done.changed} points are {kind} now, {done.dropped} deleted")
