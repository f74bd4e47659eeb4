"""Tokens: made here, adopted from elsewhere, revoked."""

from __future__ import annotations

import sys
from typing import Optional

import click

from iobeam_server.commands.common import (
    SEEN_SOON,
    database_option,
    duration,
    opened,
    permission_options,
    permissions_of,
    project_option,
    secret_file_option,
)
from iobeam_server.commands.listing import At, Cell, Column, json_option, show
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest
from iobeam_server.rights import adoption
from iobeam_server.rights.keyring import check_project, issue_token, signing_keys
from iobeam_server.rights.tokens import MAX_TOKEN_CHARS, in_words
from iobeam_server.rules.names import check_device_id

SAFE_CHARS = 32  # of a random token; a shorter one may be guessed
_COLUMNS = (
    Column("state", "state"),
    Column("id", "token"),
    Column("project_id", "project"),
    Column("permissions", "may"),
    Column("device_id", "device", absent="every device"),
    Column("since", "since"),
)


@click.group(invoke_without_command=True)
@click.option("--project", "project_id", type=click.IntRange(min=1), metavar="N", help="Project.")
@permission_options
@click.option("--device", metavar="ID", help="Limit the token to one device.")
@click.option(
    "--duration",
    "life_s",
    type=duration,
    default="30d",
    show_default=True,
    metavar="5w",
    help="Life: a number and one of w d h m s.",
)
@click.option("--no-refresh", is_flag=True, help="The token cannot be exchanged for a new one.")
@secret_file_option
@database_option
@click.pass_context
def token(
    context: click.Context,
    database: str,
    project_id: Optional[int],
    read: bool,
    write: bool,
    admin: bool,
    device: Optional[str],
    life_s: int,
    no_refresh: bool,
    secret_file: Optional[str],
) -> None:
    """Make a project token; prints it last.

    Without a permission named: read and write.
    """
    if context.invoked_subcommand is not None:
        return
    if project_id is None:
        raise click.UsageError("Missing option '--project'.")
    if device is not None:
        check_device_id(device)
    permissions = permissions_of(read, write, admin)
    config = Config(secret_file=secret_file)
    with opened(database) as store:
        click.echo(
            issue_token(store, project_id, permissions, life_s, device, not no_refresh, config)
        )


@token.command("adopt")
@project_option
@click.option("--read", is_flag=True, help="Allow to read.")
@click.option("--write", is_flag=True, help="Allow to register devices and to import.")
@click.option("--device", metavar="ID", help="Limit the token to one device.")
@secret_file_option
@database_option
def token_adopt(
    project_id: int,
    read: bool,
    write: bool,
    device: Optional[str],
    secret_file: Optional[str],
    database: str,
) -> None:
    """Take a token of the dead service, read from stdin.

    A script that has it written in goes on unmodified: the very string is a token of project
    N from now on, whatever it says of itself, and refreshing it gives a normal one. Only its
    SHA-256 is stored. Without a permission named: read and write.
    """
    permissions = permissions_of(read, write, admin=False)
    with opened(database) as store:
        check_project(store, project_id)
        keys = signing_keys(store, Config(secret_file=secret_file))
        given = _given()
        made = adoption.adopt(store, keys, given, project_id, permissions, device)
    if len(given.strip()) < SAFE_CHARS:
        click.echo("Warning: a token this short can be guessed", err=True)
    limit = "" if device is None else f", for device {device!r} only"
    click.echo(
        f"adopted as {made.digest[: adoption.SHOWN_CHARS]}: may {in_words(permissions)} in "
        f"project {project_id}{limit}"
    )


def _given() -> str:
    """Return the token: asked for on a terminal, else all that stdin holds, if that is not much."""
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True))
    try:
        return sys.stdin.read(4 * MAX_TOKEN_CHARS)
    except UnicodeDecodeError:
        raise BadRequest("what stdin holds is no text, so it is no token") from None


@token.command("list")
@click.option(
    "--project", "project_id", type=click.IntRange(min=1), metavar="N", help="Only this project."
)
@json_option
@database_option
def token_list(project_id: Optional[int], as_json: bool, database: str) -> None:
    """List what was adopted, and what was revoked.

    Tokens that this server made are not kept, so there is no list of them. There is a row for
    each adopted token, and one for the newest revocation of each project and device. On a
    terminal a table; in a pipe a line for each: adopted or revoked, the token's id, project,
    permissions, device, when (us), with tabs between.
    """
    with opened(database) as store:
        if project_id is not None:
            check_project(store, project_id)
        adopted, revoked = store.adoptions.all(), store.keys.revocations()
    rows: list[tuple[Cell, ...]] = [
        (
            "adopted",
            one.digest[: adoption.SHOWN_CHARS],
            one.project_id,
            in_words(one.permissions),
            one.device_id,
            At(one.created * 1_000_000),
        )
        for one in adopted
    ]
    rows += [
        ("revoked", None, one.project_id, None, one.device_id, At(round(one.moment * 1_000_000)))
        for one in revoked
    ]
    shown = [row for row in rows if project_id in (None, row[2])]
    nothing = "no token was adopted, and none revoked; those made here are not kept"
    show("tokens", _COLUMNS, shown, as_json, nothing=nothing)


@token.command("revoke")
@click.option(
    "--project", "project_id", type=click.IntRange(min=1), metavar="N", help="Tokens of a project."
)
@click.option("--device", metavar="ID", help="Only those that are limited to this device.")
@click.option("--adopted", metavar="ID", help="One adopted token instead; see: token list")
@database_option
def token_revoke(
    project_id: Optional[int], device: Optional[str], adopted: Optional[str], database: str
) -> None:
    """End the tokens of a project issued so far.

    Adopted ones too, and those that were refreshed from either. A user who has a grant can
    fetch a new one; to a device you give it.
    """
    if (project_id is None) == (adopted is None) or (adopted is not None and device is not None):
        raise click.UsageError("Give --project N, with --device ID perhaps, or --adopted ID.")
    with opened(database) as store:
        if adopted is not None:
            found = adoption.find(store, adopted)
            store.adoptions.end(found.digest)
            ended = f"The adopted token {found.digest[: adoption.SHOWN_CHARS]} is refused, and"
            ended += " those refreshed from it are"
        elif project_id is not None:
            check_project(store, project_id)
            store.keys.revoke(project_id, device)
            of = f"of project {project_id}" if device is None else f"for device {device!r}"
            ended = f"The tokens {of} issued so far, adopted and refreshed ones too, are refused"
    click.echo(f"{ended}: {SEEN_SOON}")
