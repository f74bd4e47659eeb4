"""Points in and out, and series."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, Optional

import click

from iobeam_server import exporting, importing, maintenance
from iobeam_server.commands.common import (
    database_option,
    duration,
    field_type,
    namespace_option,
    opened,
    project_option,
)
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.points import UNITS_US, Kind
from iobeam_server.texts import KINDS, NAMES


@click.command("export")
@project_option
@click.option(
    "--format",
    "output",
    type=click.Choice(list(exporting.FORMATS)),
    default="csv",
    show_default=True,
    help="Shape: that of /v1/exports.",
)
@namespace_option
@click.option("--device", metavar="ID", help="Only this device.")
@click.option("--series", metavar="NAME", help="Only this series.")
@click.option("--output", "path", metavar="FILE", help="Where to; default: stdout.")
@database_option
def export_command(
    project_id: int,
    output: str,
    namespace: str,
    device: Optional[str],
    series: Optional[str],
    path: Optional[str],
    database: str,
) -> None:
    """Write the points of a project as CSV or JSON.

    Ascending in time for each series, times in microseconds.
    """
    with opened(database) as store, _target(path) as file:
        for piece in exporting.export(store, project_id, namespace, device, series, output):
            file.write(piece)


@contextlib.contextmanager
def _target(path: Optional[str]) -> Iterator[BinaryIO]:
    """Give stdout, or a file that appears when it is whole."""
    if path is None:
        # not sys.stdout.buffer: what a full disk leaves in it would fail again at exit
        with open(sys.stdout.fileno(), "wb", closefd=False) as file:
            yield file
        return
    part = f"{path}.part-{os.getpid()}"
    try:
        with open(part, "xb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)


@click.command("import")
@click.argument("path", metavar="FILE.csv")
@click.option(
    "--project", "project_id", type=click.IntRange(min=1), metavar="N",
    help="Where to; default: the column project_id.",
)  # fmt: skip
@click.option("--device", metavar="ID", help="Of which device; default: the column device_id.")
@namespace_option
@click.option(
    "--timefmt",
    type=click.Choice(list(UNITS_US)),
    default="usec",
    show_default=True,
    help="Unit of times that are numbers; others are ISO 8601, UTC where they name no zone.",
)
@click.option(
    "--type", "kinds", type=field_type, multiple=True, metavar="NAME=TYPE",
    help="Type of a field: number, boolean or string. May repeat.",
)  # fmt: skip
@click.option("--null", "nulls", multiple=True, metavar="TEXT", help="A cell that is a gap.")
@database_option
def import_command(
    path: str,
    project_id: Optional[int],
    device: Optional[str],
    namespace: str,
    timefmt: str,
    kinds: tuple[tuple[str, Kind], ...],
    nulls: tuple[str, ...],
    database: str,
) -> None:
    """Store the points of a CSV file.

    Devices are registered. Nothing is stored if a line is not good. The header names
    the columns: time, and project_id and device_id where they are not given here; then
    either name and value, as `export` writes them, or one column for each field. Empty
    cells are gaps.
    """
    options = importing.Options(
        project_id, device, namespace, UNITS_US[timefmt], dict(kinds), frozenset(["", *nulls])
    )
    with opened(database) as store:
        done = importing.import_csv(store, path, options, Config())
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
@database_option
def prune(age_s: int, project_id: Optional[int], database: str) -> None:
    """Delete points older than an age.

    It goes in pieces, with pauses for a running server. A SQLite file does not shrink
    by it: the room is used again.
    """
    before_us = (int(time.time()) - age_s) * 1_000_000
    with opened(database) as store:
        click.echo(f"{maintenance.prune(store, before_us, project_id)} points deleted")


@click.group()
def series() -> None:
    """List series; mend those with a wrong first value."""


@series.command("list")
@project_option
@database_option
def series_list(project_id: int, database: str) -> None:
    """List the series of a project.

    Namespace, device, series, type, points, first and last time (us), with tabs between.
    """
    with opened(database) as store:
        for found in maintenance.overview(store, project_id):
            extent = found.extent or (0, "", "")
            one = found.series
            line = (found.namespace, one.device_id, one.name, NAMES[one.kind], *extent)
            click.echo("\t".join(map(str, line)))


@series.command("drop")
@project_option
@namespace_option
@click.option("--device", metavar="ID", help="Only of this device; default: of all.")
@click.argument("name")
@database_option
def series_drop(
    project_id: int, namespace: str, device: Optional[str], name: str, database: str
) -> None:
    """Delete series NAME with its points.

    When no device has it any more, the next value decides its type.
    """
    with opened(database) as store:
        dropped = maintenance.drop_series(store, project_id, namespace, name, device)
    click.echo(f"{dropped} points deleted")


@series.command("retype")
@project_option
@namespace_option
@click.argument("name")
@click.argument("kind", metavar="[number|boolean|string]", type=click.Choice(list(KINDS)))
@click.option("--drop-unfit", is_flag=True, help="Delete values that cannot be of that type.")
@database_option
def series_retype(
    project_id: int, namespace: str, name: str, kind: str, drop_unfit: bool, database: str
) -> None:
    """Change the type of series NAME and all its values.

    That is on every device of the project: a type holds for all. Imports wait meanwhile.
    Nothing is changed if a value cannot be of that type, unless --drop-unfit takes such
    values out.
    """
    with opened(database) as store:
        done = store.retype_field(project_id, namespace, name, KINDS[kind], drop_unfit)
    click.echo(f"{done.changed} points are {kind} now, {done.dropped} deleted")
