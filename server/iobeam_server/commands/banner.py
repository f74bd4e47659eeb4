"""What `serve` says when it has started: where it listens, and what to paste where."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional, Union
from urllib.parse import urlsplit

import click

from iobeam_server import __version__, files
from iobeam_server.storage.urls import path_of, shown

if TYPE_CHECKING:
    from iobeam_server.backend import Backend, Workers

    Started = Union[Backend, Workers]

WILDCARDS = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}  # noqa: S104  # names, not bound
# Of nobody: addresses for documentation (RFC 5737, RFC 3849), and the port "discard".
ELSEWHERE = {socket.AF_INET: ("192.0.2.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}


def show(backend: Started, database: str, is_new: bool) -> None:
    """Print it.

    Args:
        backend: one that listens.
        database: its URL.
        is_new: whether its SQLite file was made by this start.
    """
    here = backend.url
    devices = address_for_devices(backend.config.host, here, backend.names)
    click.echo(f"iobeam-server {__version__} listens on {here}")
    layout = "" if backend.layout is None else f", points: {backend.layout}"
    click.echo(f"Database: {_where(backend, database, is_new)}{layout}")
    click.echo(f"Its page: open {here}/ in a browser, sign in with a project token")
    if not backend.config.is_local:
        click.echo(f"From other machines: {devices}/")
        if devices.startswith("http:"):
            logging.getLogger(__name__).warning(
                "listening on %s without TLS: give --tls-certificate and --tls-key, or put a "
                "proxy with TLS in front",
                backend.config.host,
            )
    click.echo("")
    click.echo(f"export IOBEAM_BACKEND={devices}/v1/")
    configure = f"iobeam configure --backend {devices}/v1/"
    line = _show_token(backend, database, configure)
    click.echo("")
    click.echo("Or, to keep these in a file for all programs of a user:")
    click.echo(line)
    click.echo("")
    click.echo("Ctrl-C stops it.")
    sys.stdout.flush()


def address_for_devices(host: str, here: str, names: Sequence[str] = ()) -> str:
    """Return the address, without a path, at which other machines reach a server.

    Args:
        host: what it was told to bind.
        here: its address on this machine.
        names: what its certificate is good for, if it has one; no other will do for https.
    """
    family = WILDCARDS.get(host)
    parts = urlsplit(here)
    if family is not None:
        found = _own_address(family) or socket.gethostname()
    else:
        found = parts.hostname or host
    if names and found not in names:
        found = names[0]
    elif family is None:
        return here
    shown_host = f"[{found}]" if ":" in found else found
    return f"{parts.scheme}://{shown_host}:{parts.port}"


def _own_address(family: socket.AddressFamily) -> Optional[str]:
    """Return this machine's address on the way to others; nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE[family])
        except OSError:  # no network
            return None
        return str(probe.getsockname()[0])


def _where(backend: Started, database: str, is_new: bool) -> str:
    path = path_of(database)
    where = shown(database) if path is None else f"sqlite:///{path}"
    is_first = is_new or (path is None and backend.first_start is not None)
    return where + " (new)" if is_first else where


def _show_token(backend: Started, database: str, configure: str) -> str:
    """Print the lines with project and token; return the one for `configure`.

    A first token is printed to a terminal only: elsewhere stdout ends up in a log.
    """
    click.echo(f"export IOBEAM_PROJECT_ID={backend.project_id}")
    first = backend.first_start
    if first is None:
        command = _token_command(backend, database)
        if path_of(database) is None:
            click.echo("# where IOBEAM_SERVER_DATABASE is set as it is for this server:")
        click.echo(f'export IOBEAM_TOKEN="$({command})"')
        return f"{command} | {configure} --token -"
    if sys.stdout.isatty():
        click.echo(f"export IOBEAM_TOKEN={first.token}")
        return f"echo {first.token} | {configure} --token -"
    # beside the file; in the current folder for a database elsewhere
    path = os.path.abspath((path_of(database) or "iobeam-server") + ".token")
    with files.whole(path, files.OWNER_ONLY) as part, open(part, "w") as file:
        file.write(first.token + "\n")
    click.echo(f'export IOBEAM_TOKEN="$(cat {shlex.quote(path)})"')
    return f"{configure} --token-file {shlex.quote(path)}"


def _token_command(backend: Started, database: str) -> str:
    """Return what prints a token of this database; a URL with a password stays where it is."""
    words = ["iobeam-server", "token"]
    path = path_of(database)
    if path is not None:
        words += ["--database", f"sqlite:///{path}"]
    if backend.config.secret_file is not None:
        words += ["--secret-file", os.path.abspath(backend.config.secret_file)]
    words += ["--project", str(backend.project_id), "--read", "--write"]
    return " ".join(map(shlex.quote, words))
