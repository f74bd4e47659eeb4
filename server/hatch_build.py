"""How the backend is built: hatchling's backend, with what only a build can know.

The client: a build inside of a checkout takes the one beside it. An sdist, which goes
elsewhere, names no folder of this machine; neither does the wheel made from it, nor what
is installed together with the client (pip refuses one that is named twice).

The chart: uPlot's script and style, which are not ours and not in the repository. A build
takes them out of one wheel of uplot-python, known by its hash, and packs them with the
page. That package itself is not needed afterwards, nor IPython and NumPy, which it wants.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling import build as hatchling_build
from hatchling.build import *  # noqa: F403  # this module is a build backend itself
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

RUNTIME = [
    "falcon>=4",
    "httptools>=0.6.2,<1",  # the parser of HTTP requests: llhttp
    "msgspec>=0.18",
    "click>=8",
    "PyJWT>=2.4",
    "argon2-cffi>=21.2",
    "prometheus-client>=0.14",
]
PUBLISHED_CLIENT = "iobeam>=1.0"
SCRIPT = Path("examples", "host_metrics.py")
BUNDLED = "iobeam_server/examples/host_metrics.py"
# Set: the client is asked for by its name. The hooks below live in a second copy of this
# module, so that a variable of this one would not reach them.
BY_NAME = "IOBEAM_CLIENT_BY_NAME"

CHART = Path("iobeam_server", "page", "uplot")  # ignored by git
WHEEL = "uplot_python-1.1.1-py3-none-any.whl"
WHEEL_SHA256 = "07c96cc34ff9107c3751fc31dfad48ccd6e86c6deebb8b41d7ec7d9811722208"
WHEEL_VARIABLE = "UPLOT_WHEEL"
# Our name of each file: its name in the wheel, and its SHA-256.
CHART_FILES = {
    "uPlot.iife.js": (
        "uplot/static/uPlot.iife.js",
        "655bc8aa33781e8721c5af6b59f1699c03c9bda951aa74a6ab518ac20cc4326d",
    ),
    "uPlot.min.css": (
        "uplot/static/uPlot.min.css",
        "3f121cd4a997b634e07a887658850018e475c26f0bddd874109a8d382c19de87",
    ),
    "LICENSE.uplot-python": (
        "uplot_python-1.1.1.dist-info/licenses/LICENSE",
        "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
    ),
}


def build_sdist(directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Build the sdist; tell the hooks that it is one, which nobody else tells them."""
    os.environ[BY_NAME] = "1"
    return hatchling_build.build_sdist(directory, config_settings)


def checkout_of(root: str) -> Path | None:
    """Return the folder that holds the client's source, or None outside a checkout."""
    parent = Path(root).resolve().parent
    found = (parent / "setup.py").is_file() and (parent / "iobeam" / "__init__.py").is_file()
    return parent if found else None


class ChartMissing(Exception):
    """The chart's files are not here and could not be had; says what to do."""


def chart_is_there(folder: Path) -> bool:
    """Tell whether each file is there, as it should be."""
    return all(
        (folder / name).is_file() and _sha256((folder / name).read_bytes()) == expected
        for name, (_, expected) in CHART_FILES.items()
    )


def bring_chart(folder: Path) -> None:
    """Put the chart's files into a folder, unless they are there.

    They come from the wheel that UPLOT_WHEEL names, else from the index that pip is
    set up for.

    Raises:
        ChartMissing: there is no such wheel, it is another one, or the folder cannot
            be written.
    """
    if chart_is_there(folder):
        return
    given = os.environ.get(WHEEL_VARIABLE)
    wheel = _read(Path(given)) if given else _downloaded()
    if _sha256(wheel) != WHEEL_SHA256:
        raise ChartMissing(f"{given or WHEEL} is not the file expected, by its SHA-256")
    try:
        _unpack(wheel, folder)
    except OSError as error:
        raise ChartMissing(f"{folder} cannot be written: {error.strerror}") from None


def _unpack(wheel: bytes, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for name, (inside, _) in CHART_FILES.items():
            # whole or not at all: builds may run side by side
            part = folder / f".{name}.{os.getpid()}"
            part.write_bytes(archive.read(inside))
            part.replace(folder / name)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ChartMissing(f"{WHEEL_VARIABLE} names {path}: {error.strerror}") from None


def _downloaded() -> bytes:
    """Fetch the wheel with pip, which knows indexes, proxies and certificates."""
    name, version = WHEEL.split("-")[:2]
    with tempfile.TemporaryDirectory(prefix="iobeam-build-") as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{name}=={version} --hash=sha256:{WHEEL_SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--dest", folder]
        # its own code would want 3.10; its files do not care
        command += ["--python-version=3.13", "--requirement", str(wanted)]
        done = subprocess.run(  # noqa: S603  # pip, with constant arguments
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["pip said nothing"]
            raise ChartMissing(f"pip could not fetch {WHEEL}: {said[-1]}")
        return Path(folder, WHEEL).read_bytes()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class DependencyHook(MetadataHookInterface):
    """Fill in the dynamic dependencies."""

    def update(self, metadata: dict[str, Any]) -> None:
        checkout = None if BY_NAME in os.environ else checkout_of(self.root)
        client = PUBLISHED_CLIENT if checkout is None else "iobeam @ " + checkout.as_uri()
        metadata["dependencies"] = [*RUNTIME, client]


class FilesHook(BuildHookInterface):
    """Put in what is not in this folder: the chart, and the device script of `demo`."""

    def dependencies(self) -> list[str]:
        """Ask for pip only where something has to be fetched, so that the rest needs no network."""
        there = chart_is_there(Path(self.root, CHART)) or os.environ.get(WHEEL_VARIABLE)
        return [] if there else ["pip"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            bring_chart(Path(self.root, CHART))
        except ChartMissing as error:
            self.app.abort(
                f"iobeam-server packs the script of its page's chart, and {error}.\n"
                f"Build where pip reaches an index, or fetch that wheel on another machine,\n"
                f"pip download --no-deps uplot-python==1.1.1, and set {WHEEL_VARIABLE}=/path/to/it."
            )
        checkout = checkout_of(self.root)
        if checkout is not None and (checkout / SCRIPT).is_file():
            build_data["force_include"][str(checkout / SCRIPT)] = BUNDLED
