"""Devices: registrations, which come from the devices themselves."""

from __future__ import annotations

import click

from iobeam_server import maintenance
from iobeam_server.commands.asking import Consent, consent_options
from iobeam_server.commands.common import SEEN_SOON, database_option, opened, project_option
from iobeam_server.commands.listing import At, Column, json_option, show
from iobeam_server.errors import NotFound
from iobeam_server.rights.keyring import check_project
from iobeam_server.rules.names import check_text
from iobeam_server.storage.base import INPUT

_COLUMNS = (
    Column("device_id", "device"),
    Column("device_name", "name"),
    Column("device_type", "type"),
    Column("created", "registered"),
)


@click.group()
def device() -> None:
    """List, rename and delete devices."""


@device.command("list")
@project_option
@json_option
@database_option
def device_list(project_id: int, as_json: bool, database: str) -> None:
    """List the registered devices.

    On a terminal a table; in a pipe a line for each: id, tab, name.
    """
    with opened(database) as store:
        check_project(store, project_id)
        rows = (
            (found.device_id, found.device_name, found.device_type, At(found.created * 1_000_000))
            for found in store.devices.page(project_id, 0, None)
        )
        show("devices", _COLUMNS, rows, as_json, in_lines=2)


@device.command("rename")
@click.argument("device_id", metavar="ID")
@click.argument("name")
@project_option
@database_option
def device_rename(device_id: str, name: str, project_id: int, database: str) -> None:
    """Give a device another name; its id stays."""
    check_text("device name", name)
    with opened(database) as store:
        check_project(store, project_id)
        store.devices.change(project_id, device_id, name, None)
    click.echo(f"device {device_id!r} is named {name!r}")


@device.command("delete")
@click.argument("device_id", metavar="ID")
@project_option
@consent_options
@database_option
def device_delete(device_id: str, project_id: int, dry_run: bool, yes: bool, database: str) -> None:
    """End the registration of a device; its data stay.

    The tokens that are limited to it end for good. When the id is registered again, the data
    go on under it; it needs a new token then.
    """
    with opened(database) as store:
        check_project(store, project_id)
        unknown = NotFound(
            f"device {device_id!r} is not registered; "
            f"see iobeam-server device list --project {project_id}"
        )
        if store.devices.get(project_id, device_id) is None:
            raise unknown
        points = maintenance.amount(store, store.series.find(project_id, INPUT, device_id, None))
        what = f"the registration of device {device_id!r} (its {points.points} points stay)"
        if not Consent(dry_run, yes).to(what, must_be_said=False):
            return
        if not store.devices.delete(project_id, device_id):
            raise unknown
    click.echo(f"Its data stay; the tokens for it are refused: {SEEN_SOON}")
    click.echo(f"device {device_id!r} is no longer registered")
