"""Projects and users: who may do what."""

from __future__ import annotations

import sys
import time
from typing import Optional

import click

from iobeam_server.commands.asking import Consent, consent_options
from iobeam_server.commands.common import (
    SEEN_SOON,
    database_option,
    duration,
    opened,
    permission_options,
    permissions_of,
)
from iobeam_server.commands.listing import At, Column, json_option, show
from iobeam_server.rights import accounts
from iobeam_server.rights.tokens import in_words
from iobeam_server.rules.names import check_text
from iobeam_server.storage.catalog.projects import MAX_PROJECT_ID

INVITE_LIFE = "7d"
_PROJECTS = (
    Column("project_id", "project"),
    Column("project_name", "name"),
    Column("created", "created"),
)
_USERS = (
    Column("user_id", "user"),
    Column("username", "name"),
    Column("email", "e-mail"),
    Column("created", "created"),
)


@click.group()
def project() -> None:
    """Create and list projects, let users in."""


@project.command("create")
@click.argument("name")
@click.option(
    "--id",
    "project_id",
    type=click.IntRange(1, MAX_PROJECT_ID),
    metavar="N",
    help="Id that scripts have written in; default: the next free one.",
)
@database_option
def project_create(name: str, project_id: Optional[int], database: str) -> None:
    """Create a project; prints its id last."""
    check_text("project name", name)
    with opened(database, create=True) as store:
        made = store.projects.create(name, int(time.time()), project_id=project_id)
        click.echo(made.project_id)


@project.command("list")
@json_option
@database_option
def project_list(as_json: bool, database: str) -> None:
    """List projects.

    On a terminal a table; in a pipe a line for each: id, tab, name.
    """
    with opened(database) as store:
        rows = [
            (found.project_id, found.project_name, At(found.created * 1_000_000))
            for found in store.projects.all()
        ]
    show("projects", _PROJECTS, rows, as_json, in_lines=2)


@project.command("grant")
@click.argument("project_id", type=click.IntRange(min=1), metavar="N")
@click.argument("user")
@permission_options
@click.option("--remove", is_flag=True, help="Take all permissions away.")
@database_option
def project_grant(
    project_id: int, user: str, read: bool, write: bool, admin: bool, remove: bool, database: str
) -> None:
    """Let a user do exactly this in project N.

    USER is a name, e-mail or id. Without a permission named: read and write. What was
    granted before is replaced. The project tokens that the user has fetched allow no more
    than this; where it is granted again, they allow it again (`token revoke` ends them).
    """
    if remove and (read or write or admin):
        raise click.UsageError("--remove goes with no permission")
    permissions = 0 if remove else permissions_of(read, write, admin)
    with opened(database) as store:
        found = accounts.find(store, user)
        before = store.projects.grant(project_id, found.user_id, permissions)
    if before & ~permissions:
        click.echo(f"Project tokens that {found.username} has fetched do no more: {SEEN_SOON}")
    click.echo(
        f"{found.username} may {in_words(permissions)} in project {project_id} "
        f"(before: {in_words(before)})"
    )


@click.group()
def user() -> None:
    """Create, list and delete users, set passwords, invite."""


@user.command("create")
@click.argument("email")
@click.option("--username", metavar="NAME", help="Name to sign in with; default: the e-mail.")
@database_option
def user_create(email: str, username: Optional[str], database: str) -> None:
    """Create a user; prints the id last.

    The password is asked for, or is the first line of stdin where that is no terminal.
    """
    with opened(database, create=True) as store:
        click.echo(accounts.create(store, email, username, _password()).user_id)


@user.command("passwd")
@click.argument("name", metavar="USER")
@database_option
def user_passwd(name: str, database: str) -> None:
    """Set the password of a user.

    USER is a name, e-mail or id; the user's tokens end, and so do the project tokens fetched
    with them. The password is asked for, or is the first line of stdin where that is no
    terminal.
    """
    with opened(database) as store:
        found = accounts.find(store, name)
        accounts.change_password(store, found, _password())
    _say_refused(found.username)
    click.echo(f"{found.username} has a new password")


@user.command("list")
@json_option
@database_option
def user_list(as_json: bool, database: str) -> None:
    """List users.

    On a terminal a table; in a pipe a line for each: id, tab, user name, tab, e-mail.
    """
    with opened(database) as store:
        rows = [
            (found.user_id, found.username, found.email, At(found.created * 1_000_000))
            for found in store.users.all()
        ]
    show("users", _USERS, rows, as_json, in_lines=3)


@user.command("delete")
@click.argument("name", metavar="USER")
@consent_options
@database_option
def user_delete(name: str, dry_run: bool, yes: bool, database: str) -> None:
    """Delete a user, with all grants and tokens.

    Projects and data stay. USER is a name, e-mail or id. Asks on a terminal; elsewhere it
    wants --yes.
    """
    with opened(database) as store:
        found = accounts.find(store, name)
        if not Consent(dry_run, yes).to(f"user {found.username} ({found.email}), with all grants"):
            return
        store.users.delete(found.user_id)
    _say_refused(found.username)
    click.echo(f"{found.username} is deleted")


@user.command("invite")
@click.option(
    "--valid",
    "life_s",
    type=duration,
    default=INVITE_LIFE,
    show_default=True,
    metavar="7d",
    help="How long it can be used.",
)
@database_option
def user_invite(life_s: int, database: str) -> None:
    """Make an invite; prints it last.

    With it one person can create a user, POST /v1/users.
    """
    with opened(database, create=True) as store:
        click.echo(accounts.invite(store, life_s))


def _say_refused(username: str) -> None:
    click.echo(f"The tokens of {username}, of projects too, are refused: {SEEN_SOON}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")
