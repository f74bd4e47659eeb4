"""Projects, users and tokens: who may do what."""

from __future__ import annotations

import sys
import time
from typing import Optional

import click

from iobeam_server import accounts
from iobeam_server.api.ids import check_text
from iobeam_server.backend import issue_token
from iobeam_server.commands.common import (
    database_option,
    duration,
    opened,
    permission_options,
    permissions_of,
    project_option,
    secret_file_option,
)
from iobeam_server.config import Config
from iobeam_server.errors import NotFound

INVITE_LIFE = "7d"


@click.group()
def project() -> None:
    """Create and list projects, let users in."""


@project.command("create")
@click.argument("name")
@database_option
def project_create(name: str, database: str) -> None:
    """Create a project; prints its id last."""
    check_text("project name", name)
    with opened(database, create=True) as store:
        click.echo(store.create_project(name, int(time.time())).project_id)


@project.command("list")
@database_option
def project_list(database: str) -> None:
    """List projects: id, tab, name."""
    with opened(database) as store:
        for found in store.projects():
            click.echo(f"{found.project_id}\t{found.project_name}")


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
    granted before is replaced.
    """
    if remove and (read or write or admin):
        raise click.UsageError("--remove goes with no permission")
    permissions = 0 if remove else permissions_of(read, write, admin)
    with opened(database) as store:
        found = accounts.find(store, user)
        before = store.set_permissions(project_id, found.user_id, permissions)
    click.echo(
        f"{found.username} may {accounts.in_words(permissions)} in project {project_id} "
        f"(before: {accounts.in_words(before)})"
    )


@click.group()
def user() -> None:
    """Create users, set passwords, invite."""


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

    USER is a name, e-mail or id; user tokens issued so far end. The password is asked for,
    or is the first line of stdin where that is no terminal.
    """
    with opened(database) as store:
        found = accounts.find(store, name)
        accounts.change_password(store, found, _password())
    click.echo(f"{found.username} has a new password")


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


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


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
    permissions = permissions_of(read, write, admin)
    config = Config(secret_file=secret_file)
    with opened(database) as store:
        click.echo(
            issue_token(store, project_id, permissions, life_s, device, not no_refresh, config)
        )


@token.command("revoke")
@project_option
@click.option("--device", metavar="ID", help="Only the tokens that are limited to this device.")
@database_option
def token_revoke(project_id: int, device: Optional[str], database: str) -> None:
    """Refuse the tokens of a project that were issued before now."""
    with opened(database) as store:
        if store.project(project_id) is None:
            raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
        store.revoke(project_id, device, time.time())
    whose = f"of project {project_id}" if device is None else f"for device {device!r}"
    click.echo(f"the tokens {whose} issued so far are refused")
