"""Build hooks: where the client comes from, and the device script that `demo` runs.

In a checkout both lie one folder up; in an sdist there is no parent, so the
client is the published one and the script has been copied in beforehand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

RUNTIME = [
    "falcon>=4",
    "waitress>=3",
    "msgspec>=0.18",
    "click>=8",
    "PyJWT>=2.4",
    "argon2-cffi>=21.2",
    "prometheus-client>=0.14",
    "uplot-python>=1.0",  # ships the chart's script as package data
]
SCRIPT = Path("examples", "host_metrics.py")
BUNDLED = "iobeam_server/examples/host_metrics.py"


def checkout_of(root: str) -> Path | None:
    """Return the folder that holds the client's source, or None outside a checkout."""
    parent = Path(root).resolve().parent
    found = (parent / "setup.py").is_file() and (parent / "iobeam" / "__init__.py").is_file()
    return parent if found else None


class DependencyHook(MetadataHookInterface):
    """Fill in the dynamic dependencies."""

    def update(self, metadata: dict[str, Any]) -> None:
        checkout = checkout_of(self.root)
        client = "iobeam>=1.0" if checkout is None else "iobeam @ " + checkout.as_uri()
        metadata["dependencies"] = [*RUNTIME, client]


class ScriptHook(BuildHookInterface):
    """Put the device script into what is built, where there is one to take."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        checkout = checkout_of(self.root)
        if checkout is not None and (checkout / SCRIPT).is_file():
            build_data["force_include"][str(checkout / SCRIPT)] = BUNDLED
