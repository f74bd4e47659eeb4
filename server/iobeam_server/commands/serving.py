"""``serve`` and ``demo``."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

import click

from iobeam_server import __version__, demo, logs
from iobeam_server.api.access import LOOPBACK
from iobeam_server.backend import Backend, FirstStart, write_secret
from iobeam_server.commands.common import (
    PREFIX,
    database_option,
    fail,
    secret_file_option,
    size,
)
from iobeam_server.config import Config
from iobeam_server.storage import shown

_DEFAULT = Config()


# its own prefix: a variable is IOBEAM_SERVER_PORT, not IOBEAM_SERVER_SERVE_PORT
@click.command(context_settings={"auto_envvar_prefix": PREFIX, "show_default": True})
@database_option
@click.option("--host", default=_DEFAULT.host, help="Interface to bind.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_DEFAULT.port,
    help="TCP port; 0 takes a free one.",
)
@click.option("--auto-register", is_flag=True, help="Register unknown devices on first import.")
@click.option(
    "--cors",
    "cors_origins",
    metavar="ORIGIN",
    multiple=True,
    envvar=f"{PREFIX}_CORS",
    help="Let pages of this origin (https://example.org) call; may repeat.  [default: none]",
)
@secret_file_option
@click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default=logs.FORMATS[0],
    help="Lines for people, or one JSON object a line.",
)
@click.option(
    "--max-values",
    type=click.IntRange(1, 10_000_000),
    default=_DEFAULT.max_values,
    help="Values (rows x columns) in one import.",
)
@click.option(
    "--body-limit",
    type=size,
    default="16M",
    help="Size of a request's body, also after unpacking.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1_000),
    default=_DEFAULT.threads,
    help="Requests worked on at once.",
)
@click.option(
    "--connection-limit",
    type=click.IntRange(1, 100_000),
    default=_DEFAULT.connection_limit,
    help="Open connections of clients, idle ones included.",
)
@click.option(
    "--request-timeout-s",
    type=click.IntRange(1, 3_600),
    default=_DEFAULT.request_timeout_s,
    help="Seconds in which a request must have arrived whole.",
)
@click.option(
    "--database-connections",
    type=click.IntRange(2, 1_000),
    default=_DEFAULT.database_connections,
    help="Connections to PostgreSQL.",
)
def serve(database: str, log_format: str, body_limit: int, **settings: Any) -> None:
    """Run the backend until SIGTERM or Ctrl-C.

    Both finish the requests in flight. The first start makes the database, project 1 and
    a token for it. Each option is also a variable: --max-values is
    IOBEAM_SERVER_MAX_VALUES.
    """
    logs.set_up(log_format)
    config = Config(max_body_bytes=body_limit, max_inflated_bytes=body_limit, **settings)
    with Backend(database, config) as backend:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: backend.stop())
        _banner(backend, database)
        backend.run()
    click.echo("iobeam-server has stopped.")


def _banner(backend: Backend, database: str) -> None:
    config = backend.config
    click.echo(f"iobeam-server {__version__} listens on {backend.server.url}")
    click.echo(f"Database: {shown(database)}")
    click.echo(f"Its page: open {backend.server.url}/ in a browser, sign in with a project token")
    if config.host not in LOOPBACK:
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


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the backend running afterwards.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.5, max=86_400),
    default=5.0,
    show_default=True,
    help="How long the device script sends.",
)
def demo_command(keep: bool, seconds: float) -> None:
    """Show the whole way once, with this machine's readings.

    A backend is started, a device script sends, what was stored is read back.
    """
    # Ctrl-C and SIGTERM leave through the clean-up of temporary folder and server
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.run(seconds, keep, lambda line: click.echo(line))
    except KeyboardInterrupt:
        click.echo("stopped")
    except demo.DemoFailed as error:
        fail(f"the demo failed: {error}")
