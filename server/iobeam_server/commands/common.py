"""What the commands share: options, types of arguments, the open database."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Callable, NoReturn, TypeVar

import click

from iobeam_server.config import Config
from iobeam_server.errors import ServerError
from iobeam_server.points import Kind
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Storage
from iobeam_server.texts import KINDS
from iobeam_server.tokens import ADMIN, READ, WRITE, parse_duration

PREFIX = "IOBEAM_SERVER"
DATABASE_VARIABLE = f"{PREFIX}_DATABASE"
SECRET_VARIABLE = f"{PREFIX}_SECRET_FILE"
DEFAULT_DATABASE = "sqlite:///iobeam-server.db"

F = TypeVar("F", bound=Callable[..., Any])


def database_option(command: F) -> F:
    """Give a command ``--database``."""
    option = click.option(
        "--database",
        metavar="URL",
        envvar=DATABASE_VARIABLE,
        default=DEFAULT_DATABASE,
        show_default=True,
        show_envvar=True,
        help="sqlite:///relative or sqlite:////absolute path, or postgresql://host/name.",
    )
    return option(command)


def project_option(command: F) -> F:
    """Give a command ``--project``, which it must have."""
    option = click.option(
        "--project", "project_id", type=click.IntRange(min=1), required=True, metavar="N",
        help="Id of the project; see: iobeam-server project list",
    )  # fmt: skip
    return option(command)


def namespace_option(command: F) -> F:
    """Give a command ``--namespace``."""
    option = click.option(
        "--namespace", default=INPUT, show_default=True, metavar="NAME", help="Namespace."
    )
    return option(command)


def secret_file_option(command: F) -> F:
    """Give a command ``--secret-file``."""
    option = click.option(
        "--secret-file",
        metavar="FILE",
        envvar=SECRET_VARIABLE,
        show_envvar=True,
        help="Secrets that sign tokens, one a line, the first one signs; "
        "default: those of the database.",
    )
    return option(command)


def permission_options(command: F) -> F:
    """Give a command ``--read``, ``--write``, ``--admin``."""
    for name, help_text in (
        ("--admin", "Allow to administer the project."),
        ("--write", "Allow to register devices and to import."),
        ("--read", "Allow to read."),
    ):
        command = click.option(name, is_flag=True, help=help_text)(command)
    return command


def permissions_of(read: bool, write: bool, admin: bool) -> int:
    """Return the bits; without any named: read and write."""
    return READ * read | WRITE * write | ADMIN * admin or READ | WRITE


def duration(text: str) -> int:
    """Return the seconds of a number and one of w d h m s."""
    try:
        return parse_duration(text)
    except ServerError as error:
        raise click.BadParameter(error.message) from None


def size(text: str) -> int:
    """Return bytes; K, M and G are powers of 1024."""
    found = re.fullmatch(r"([1-9][0-9]{0,9})([KMG]?)", text.upper(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"must be bytes, or like 512K, 16M, 1G, not {text!r:.40}")
    return int(found[1]) << 10 * " KMG".index(found[2] or " ")


def field_type(text: str) -> tuple[str, Kind]:
    """Return a field and its type, of name=string."""
    field, _, kind = text.rpartition("=")
    if not field or kind not in KINDS:
        raise click.BadParameter(f"must be like temp=number, one of {', '.join(KINDS)}")
    return field, KINDS[kind]


@contextlib.contextmanager
def opened(database: str, create: bool = False) -> Iterator[Storage]:
    """Open a database; a file that is not there is made only where that makes sense."""
    with contextlib.closing(open_storage(database, Config(), create)) as store:
        yield store


def fail(message: str) -> NoReturn:
    """Say in one line why, and end; messages of PostgreSQL have several."""
    click.echo(f"iobeam-server: {' '.join(message.split())}", err=True)
    sys.exit(1)
