"""The command line: parse, call, print."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, Callable, NoReturn, Optional, TypeVar

import click

from iobeam_server import __version__, demo
from iobeam_server.backend import Backend, FirstStart, issue_token, write_secret
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, ServerError
from iobeam_server.storage import open_storage, shown
from iobeam_server.storage.base import Storage
from iobeam_server.tokens import ADMIN, READ, WRITE, parse_duration

DATABASE_VARIABLE = "IOBEAM_SERVER_DATABASE"
DEFAULT_DATABASE = "sqlite:///iobeam-server.db"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MAX_PROJECT_NAME_CHARS = 256

F = TypeVar("F", bound=Callable[..., Any])


def database_option(command: F) -> F:
    """Give a command ``--database``."""
    option = click.option(
        "--database",
        metavar="URL",
        envvar=DATABASE_VARIABLE,
        default=DEFAULT_DATABASE,
        show_default=True,
        help="sqlite:///relative or sqlite:////absolute path, or postgresql://host/name; "
        f"or the variable {DATABASE_VARIABLE}.",
    )
    return option(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="iobeam-server")
def cli() -> None:
    """A backend of one's own for iobeam clients."""


@cli.command()
@database_option
@click.option("--host", default=Config().host, show_default=True, help="Interface to bind.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=Config().port,
    show_default=True,
    help="TCP port; 0 takes a free one.",
)
@click.option("--auto-register", is_flag=True, help="Register unknown devices on first import.")
@click.option(
    "--cors",
    "cors_origins",
    metavar="ORIGIN",
    multiple=True,
    help="Let pages of this origin (https://example.org) call; may repeat. None by default.",
)
def serve(
    database: str, host: str, port: int, auto_register: bool, cors_origins: tuple[str, ...]
) -> None:
    """Run the backend until SIGTERM or Ctrl-C; both finish the requests in flight."""
    _set_up_logging()
    config = Config(host=host, port=port, auto_register=auto_register, cors_origins=cors_origins)
    with Backend(database, config) as backend:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: backend.stop())
        _banner(backend, database)
        backend.run()
    click.echo("iobeam-server has stopped.")


@cli.group()
def project() -> None:
    """Create and list projects."""


@project.command("create")
@click.argument("name")
@database_option
def project_create(name: str, database: str) -> None:
    """Create a project; prints its id last."""
    if not name.strip() or len(name) > MAX_PROJECT_NAME_CHARS:
        raise ConfigError(f"a project name has 1 to {MAX_PROJECT_NAME_CHARS} characters")
    with _opened(database) as store:
        click.echo(store.create_project(name, int(time.time())).project_id)


@project.command("list")
@database_option
def project_list(database: str) -> None:
    """List projects: id, tab, name."""
    with _opened(database) as store:
        for found in store.projects():
            click.echo(f"{found.project_id}\t{found.project_name}")


@cli.command()
@database_option
@click.option("--project", "project_id", type=click.IntRange(min=1), required=True, metavar="N")
@click.option("--read", is_flag=True, help="May read.")
@click.option("--write", is_flag=True, help="May register devices and import.")
@click.option("--admin", is_flag=True, help="May administer the project.")
@click.option("--device", metavar="ID", help="Limit the token to one device.")
@click.option("--duration", metavar="5w", help="Life: a number and one of w d h m s; default 30d.")
@click.option("--no-refresh", is_flag=True, help="The token cannot be exchanged for a new one.")
def token(
    database: str,
    project_id: int,
    read: bool,
    write: bool,
    admin: bool,
    device: Optional[str],
    duration: Optional[str],
    no_refresh: bool,
) -> None:
    """Make a project token; prints it last. Without a permission named: read and write."""
    permissions = READ * read | WRITE * write | ADMIN * admin or READ | WRITE
    life_s = Config().token_life_s if duration is None else parse_duration(duration)
    with _opened(database) as store:
        click.echo(issue_token(store, project_id, permissions, life_s, device, not no_refresh))


@cli.command("demo")
@click.option("--keep", is_flag=True, help="Leave the backend running afterwards.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.5, max=86_400),
    default=5.0,
    show_default=True,
    help="How long the device script sends.",
)
def demo_command(keep: bool, seconds: float) -> None:
    """Start a backend, let this machine send its readings, show what was stored."""
    # Ctrl-C and SIGTERM leave through the clean-up of temporary folder and server
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.run(seconds, keep, lambda line: click.echo(line))
    except KeyboardInterrupt:
        click.echo("stopped")
    except demo.DemoFailed as error:
        _fail(f"the demo failed: {error}")


@contextlib.contextmanager
def _opened(database: str) -> Iterator[Storage]:
    with contextlib.closing(open_storage(database, Config())) as store:
        yield store


def _banner(backend: Backend, database: str) -> None:
    config = backend.config
    click.echo(f"iobeam-server {__version__} listens on {backend.server.url}")
    click.echo(f"Database: {shown(database)}")
    if config.host not in ("127.0.0.1", "::1", "localhost"):
        logging.getLogger(__name__).warning(
            "listening on %s without TLS: put a proxy with TLS in front", config.host
        )
    click.echo("")
    click.echo(f"export IOBEAM_BACKEND={backend.server.url}/v1/")
    if backend.first_start is None:
        click.echo("# a token: iobeam-server token --project 1 --read --write")
    else:
        _show_first_token(backend.first_start, database)
    click.echo("")
    click.echo("Ctrl-C stops it.")
    sys.stdout.flush()


def _show_first_token(first: FirstStart, database: str) -> None:
    """Print the token to a terminal only: elsewhere stdout ends up in a log."""
    click.echo(f"export IOBEAM_PROJECT_ID={first.project.project_id}")
    if sys.stdout.isatty():
        click.echo(f"export IOBEAM_TOKEN={first.token}")
    else:
        path = write_secret(_beside(database) + ".token", first.token)
        click.echo(f'export IOBEAM_TOKEN="$(cat {path})"')


def _beside(database: str) -> str:
    """Return the path of a database file; one in the current folder for a server elsewhere."""
    scheme, _, path = database.partition(":///")
    return path if scheme == "sqlite" else "iobeam-server"


def _set_up_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=LOG_FORMAT,
    )
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line per queued request


def _fail(message: str) -> NoReturn:
    click.echo(f"iobeam-server: {message}", err=True)
    sys.exit(1)


def main() -> None:
    """Run the command line; an error is one line and exit code 1 (usage: 2)."""
    try:
        cli.main(prog_name="iobeam-server")
    except ServerError as error:
        _fail(error.message)


if __name__ == "__main__":
    main()
