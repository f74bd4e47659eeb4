"""The main job once over: a backend, a device script that sends, what was stored."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError

SCRIPT = "host_metrics.py"
INTERVAL_S = 0.5
EXTRA_S = 60.0  # beyond its own running time, for a slow machine to start the interpreter


class DemoFailed(Exception):
    """The script or the query did not do what the demo promises."""


def find_script() -> Path:
    """Return the device script: the bundled copy, else the checkout's."""
    here = Path(__file__).resolve().parent
    for path in (here / "examples" / SCRIPT, here.parent.parent / "examples" / SCRIPT):
        if path.is_file():
            return path
    raise ConfigError(f"the device script {SCRIPT} is not installed; run from a checkout")


def run(seconds: float, keep: bool, say: Callable[[str], None]) -> None:
    """Run the demo.

    Args:
        seconds: how long the device script sends.
        keep: serve on afterwards, until interrupted. Else the count of points comes last.
        say: prints a line.

    Raises:
        ConfigError: there is no device script.
        DemoFailed: it failed, or nothing was stored.
    """
    script = find_script()
    with tempfile.TemporaryDirectory(prefix="iobeam-demo-") as folder:
        url = f"sqlite:///{Path(folder, 'demo.db').resolve()}"
        with Backend(url, Config(port=0)) as backend:
            first = backend.first_start
            assert first is not None  # the folder was empty
            server = backend.start()
            try:
                base = f"{backend.server.url}/v1/"
                say(f"A backend runs at {base} on {url}")
                if not keep:
                    say("It ends with the demo. To look at its page afterwards: demo --keep")
                say(f"Running {script.name} for {seconds:g} s as a device of project 1:")
                say("")
                _run_script(script, seconds, base, first.token)
                say("")
                for line in report(_query(base, first.token)):
                    say(line)
                if keep:
                    _tell_how_to_go_on(say, backend.server.url, first.token)
                    server.join()
            finally:
                backend.stop()
                server.join()


def _run_script(script: Path, seconds: float, base: str, token: str) -> None:
    environment = {
        **os.environ,
        "IOBEAM_PROJECT_ID": "1",
        "IOBEAM_TOKEN": token,
        "IOBEAM_BACKEND": base,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, str(script), "--seconds", f"{seconds:g}"]
    command += ["--interval", f"{INTERVAL_S:g}"]
    with tempfile.TemporaryDirectory(prefix="iobeam-device-") as folder:
        try:
            # in a folder of its own, so that no device id of an earlier run is picked up
            code = subprocess.run(  # noqa: S603  # our own script and interpreter
                command, env=environment, cwd=folder, timeout=seconds + EXTRA_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{script.name} did not end") from None
    if code != 0:
        raise DemoFailed(f"{script.name} ended with exit code {code}")


def _query(base: str, token: str) -> list[dict[str, Any]]:
    """Read everything back the way any client would, over HTTP."""
    request = urllib.request.Request(  # noqa: S310  # http to ourselves
        f"{base}exports/1/all/all?timefmt=usec", headers={"Authorization": f"Bearer {token}"}
    )
    # no proxy of the environment: this goes to our own loopback port
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            result: list[dict[str, Any]] = json.load(answer)["result"]
    except urllib.error.URLError as error:
        raise DemoFailed(f"reading back failed: {error}") from None
    return result


def report(result: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of what was stored; its last line counts the points."""
    rows = [("series", "points", "first", "last", "min", "mean", "max")]
    total = 0
    for series in result:
        points = series["data"]
        total += len(points)
        values = [point["value"] for point in points]
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        shown = ("-", "-", "-")
        if numbers:
            mean = sum(numbers) / len(numbers)
            shown = (_short(min(numbers)), _short(mean), _short(max(numbers)))
        rows.append(
            (series["name"], str(len(points)), _clock(points[0]), _clock(points[-1]), *shown)
        )
    if total == 0:
        raise DemoFailed("nothing was stored")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["Read back from the backend (times in UTC):", ""]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells))
        if row is rows[0]:
            lines.append("  ".join("-" * width for width in widths))
    return [*lines, "", f"{total} points stored"]


def _clock(point: dict[str, Any]) -> str:
    moment = datetime.datetime.fromtimestamp(point["time"] / 1_000_000, datetime.timezone.utc)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1_000:03d}"


def _short(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if abs(value) < 1e7 else f"{value:.4g}"


def _tell_how_to_go_on(say: Callable[[str], None], url: str, token: str) -> None:
    say("")
    say("The backend goes on until Ctrl-C.")
    say(f"Its page: open {url}/ in a browser, sign in with the token below.")
    say("In another terminal:")
    say("")
    say(f"export IOBEAM_BACKEND={url}/v1/")
    say("export IOBEAM_PROJECT_ID=1")
    say(f"export IOBEAM_TOKEN={token}")
    query = '"${IOBEAM_BACKEND}exports/1/all/all?limit=3"'
    say(f'curl -H "Authorization: Bearer $IOBEAM_TOKEN" {query}')
