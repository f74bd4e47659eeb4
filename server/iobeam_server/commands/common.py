"""What the commands share: options, types of arguments, the open database."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Callable, NoReturn, TypeVar

import click

from iobeam_server.config import Config
from iobeam_server.errors import ServerError
from iobeam_server.rights.tokens import ADMIN, READ, WRITE
from iobeam_server.rules import times
from iobeam_server.rules.points import Kind
from iobeam_server.rules.texts import KINDS
from iobeam_server.rules.units import parse_duration
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT
from iobeam_server.storage.store import Storage
from iobeam_server.storage.urls import path_of

PREFIX = "IOBEAM_SERVER"
_SIZE = re.compile(r"([1-9][0-9]{0,9})([KMG]?)", re.ASCII)
DATABASE_VARIABLE = f"{PREFIX}_DATABASE"
SECRET_VARIABLE = f"{PREFIX}_SECRET_FILE"
COMMAND_WAIT_S = 30.0  # for a lock that a server, or another command, holds
DEFAULT_DATABASE = "sqlite:///iobeam-server.db"

SEEN_SOON = f"a running server sees it within {Config().rights_cache_s:g} s"

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


def temporary_folder_option(command: F) -> F:
    """Give a command ``--temporary-folder``."""
    option = click.option(
        "--temporary-folder",
        metavar="DIR",
        envvar=f"{PREFIX}_TEMPORARY_FOLDER",
        show_envvar=True,
        show_default="beside a SQLite file, else the system's",
        help="Where what is too long for memory goes.",
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


def moment(text: str) -> int:
    """Return the microseconds of a time with its zone, or of milliseconds."""
    return _moment(text, is_end=False)


def end_of(text: str) -> int:
    """Return the microseconds of the end of a range."""
    return _moment(text, is_end=True)


def _moment(text: str, is_end: bool) -> int:
    try:
        return times.moment(text, is_end)
    except ServerError as error:
        raise click.BadParameter(error.message) from None


def size(text: str) -> int:
    """Return bytes; K, M and G are powers of 1024."""
    found = _SIZE.fullmatch(text.upper())
    if found is None:
        raise click.BadParameter(f"must be bytes, or like 512K, 16M, 1G, not {text!r:.40}")
    return int(found[1]) << 10 * " KMG".index(found[2] or " ")


def shown_size(size: int) -> str:
    """Return bytes as people read them."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 10_000:
            return f"{size} {unit}"
        size = (size + 512) >> 10
    return f"{size} GiB"


def field_type(text: str) -> tuple[str, Kind]:
    """Return a field and its type, of name=string."""
    field, _, kind = text.rpartition("=")
    if not field or kind not in KINDS:
        raise click.BadParameter(f"must be like temp=number, one of {', '.join(KINDS)}")
    return field, KINDS[kind]


@contextlib.contextmanager
def opened(database: str, create: bool = False) -> Iterator[Storage]:
    """Open a database; a file that is not there is made, and said, only where that makes sense."""
    path = path_of(database)
    is_new = path is not None and not os.path.exists(path)
    config = Config(busy_timeout_s=COMMAND_WAIT_S)
    with contextlib.closing(open_storage(database, config, create)) as store:
        if is_new:
            click.echo(f"new database: {path}", err=True)
        yield store


def fail(message: str) -> NoReturn:
    """Say in one line why, and end; messages of PostgreSQL have several."""
    click.echo(f"iobeam-server: {' '.join(message.split())}", err=True)
    sys.exit(1)
