"""``serve`` and ``demo``."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from iobeam_server import logs
from iobeam_server.commands import banner
from iobeam_server.commands.common import (
    PREFIX,
    database_option,
    fail,
    secret_file_option,
    size,
    temporary_folder_option,
)
from iobeam_server.config import MIB, Config
from iobeam_server.storage.urls import path_of

# The web framework is imported where it is used: no other command waits for it.
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
@click.option(
    "--tls-certificate",
    metavar="FILE",
    help="Speak https with this certificate (PEM, with those up to its authority).",
)
@click.option("--tls-key", metavar="FILE", help="The certificate's key (PEM, not encrypted).")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    help="Processes that serve; more than one needs PostgreSQL.",
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
    default=f"{_DEFAULT.max_body_bytes // MIB}M",
    help="Size of a request's body, also after unpacking.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1_000),
    default=_DEFAULT.threads,
    help="Imports worked on at once.",
)
@click.option(
    "--connection-limit",
    type=click.IntRange(1, 100_000),
    default=_DEFAULT.connection_limit,
    help="Open connections of clients, idle ones included.",
)
@click.option(
    "--connections-per-address",
    type=click.IntRange(1, 100_000),
    default=_DEFAULT.connections_per_address,
    help="The same for one address.",
)
@click.option(
    "--request-timeout-s",
    type=click.IntRange(1, 3_600),
    default=_DEFAULT.request_timeout_s,
    help="Seconds in which a request must have arrived whole.",
)
@click.option(
    "--database-connections",
    type=click.IntRange(3, 1_000),
    default=_DEFAULT.database_connections,
    help="Connections to PostgreSQL.",
)
@click.option(
    "--query-timeout",
    "query_timeout_s",
    type=click.FloatRange(0.1, 86_400),
    default=_DEFAULT.query_timeout_s,
    envvar=f"{PREFIX}_QUERY_TIMEOUT",
    help="Seconds after which a query is stopped.",
)
@click.option(
    "--export-timeout",
    "export_timeout_s",
    type=click.FloatRange(0.1, 86_400),
    default=_DEFAULT.export_timeout_s,
    envvar=f"{PREFIX}_EXPORT_TIMEOUT",
    help="Seconds after which an export is stopped.",
)
@temporary_folder_option
def serve(
    database: str, log_format: str, body_limit: int, workers: int, **settings: Any
) -> None:
    """Run the backend until SIGTERM or Ctrl-C.

    Both finish the requests in flight. The first start makes the database, project 1 and
    a token for it. Each option is also a variable: --max-values is
    IOBEAM_SERVER_MAX_VALUES.
    """
    from iobeam_server import memory
    from iobeam_server.backend import Backend, Workers

    logs.set_up(log_format)
    config = Config(max_body_bytes=body_limit, max_inflated_bytes=body_limit, **settings)
    path = path_of(database)
    is_new = path is not None and not os.path.exists(path)
    if workers > 1:
        several = Workers(database, config, workers)
        banner.show(several, database, is_new)
        memory.look_for_garbage_seldom()
        several.run()
    else:
        with Backend(database, config) as backend:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: backend.stop())
            banner.show(backend, database, is_new)
            memory.look_for_garbage_seldom()
            backend.run()
    click.echo("iobeam-server has stopped.")


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
    from iobeam_server import demo

    # Ctrl-C and SIGTERM leave through the clean-up of temporary folder and server
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.run(seconds, keep, lambda line: click.echo(line))
    except KeyboardInterrupt:
        click.echo("stopped")
    except demo.DemoFailed as error:
        fail(f"the demo failed: {error}")
