"""The README as a newcomer follows it: demo, installation, own script, chart."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from live import TIMEOUT_S

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
MIB = 1024 * 1024

pytestmark = [
    pytest.mark.skipif(not README.is_file(), reason="not in a checkout"),
    pytest.mark.skipif(
        "IOBEAM_INSTALLS" not in os.environ,
        reason="takes two minutes, and an index for pip; with IOBEAM_INSTALLS=1",
    ),
]


def section(heading: str) -> str:
    return README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def commands(heading: str) -> list[str]:
    """Return the lines to type of a section."""
    text = re.sub(r"```.*?```", "", section(heading), flags=re.S)
    return re.findall(r"^    (\S.*)$", text, re.M)


def scripts(heading: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", section(heading), re.S)


class Newcomer:
    """Somebody with a clone, a home and the Python of this test; nothing is installed."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self.home = folder / "home"
        left_out = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(ROOT, self.clone, ignore=left_out)
        programs = folder / "programs"
        programs.mkdir()
        self.home.mkdir()
        (programs / "python3").symlink_to(Path(sys.executable).resolve())
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("IOBEAM", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
        }
        self.environment = {
            **inherited,
            "PATH": f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(self.home),
            # what this machine has is not fetched again
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
        }

    def types(self, line: str, folder: Optional[Path] = None, **more: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", line], cwd=folder or self.clone,
            env={**self.environment, **more}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert "DEPRECATION" not in done.stderr
        return done.stdout

    @contextlib.contextmanager
    def leaves_running(self, line: str, folder: Path) -> Iterator[list[str]]:
        """Start a command and hand out what it said; Ctrl-C in the end."""
        with subprocess.Popen(
            ["/bin/sh", "-e", "-c", f"exec {line}"], cwd=folder, text=True,
            env={**self.environment, "IOBEAM_SERVER_PORT": "0"}, stdout=subprocess.PIPE,
        ) as child:  # fmt: skip
            assert child.stdout is not None
            said = []
            for told in child.stdout:
                said.append(told.rstrip())
                if told.startswith("Ctrl-C"):
                    break
            try:
                yield said
            finally:
                child.send_signal(signal.SIGINT)
                child.communicate(timeout=TIMEOUT_S)


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink())


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def test_demo_is_small_tells_its_steps_and_says_how_to_go_on(newcomer: Newcomer) -> None:
    (line,) = commands("See it run")
    said = newcomer.types(line).splitlines()
    environment = newcomer.clone / ".venv"
    assert size(environment) < 60 * MIB
    assert not list(environment.rglob("pytest"))
    assert len([step for step in said if step.startswith(("make: ", "  "))]) > 10
    (stored,) = (number for number, text in enumerate(said) if text.endswith("points stored"))
    after = "\n".join(said[stored:])
    assert f"{environment}/bin" in after
    for command in re.findall(r"^    (.*?)\s+#", after, re.M):
        # each of them is there
        name = command.split()[0]
        newcomer.types(f"{command}" if name == "." else f". .venv/bin/activate; command -v {name}")
    assert newcomer.types(line).splitlines()[0].startswith("make: running"), "nothing twice"


def test_from_the_clone_to_a_chart_of_own_data(newcomer: Newcomer, tmp_path: Path) -> None:
    for line in commands("Install"):
        newcomer.types(line)
    activate, start = commands("A device script")
    script, asking = scripts("A device script")[0], scripts("Where the data went")[0]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "script.py").write_text(script + asking)
    path = newcomer.types(f"{activate}; printf %s \"$PATH\"")
    assert path.startswith(f"{newcomer.home}/iobeam/bin:")
    newcomer.environment["PATH"] = path  # of each shell from here on
    with newcomer.leaves_running(start, folder) as said:
        exports = "\n".join(line for line in said if line.startswith("export "))
        answered = newcomer.types(f"{exports}\npython script.py", folder)
        assert "temperature" in answered
        assert "21.5" in answered
        (page,) = re.findall(r"open (http://\S+/) in a browser", "\n".join(said))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for name in ("", "page/uPlot.iife.js"):
            assert opener.open(page + name, timeout=TIMEOUT_S).status == 200
        # the other way, for programs that get no exports
        (configure,) = (line for line in said if line.startswith("iobeam configure "))
        newcomer.types(configure, folder)
        assert "21.5" in newcomer.types("python script.py", folder)
    (select,) = re.findall(r"sqlite3 iobeam-server.db '(.*)'", section("Where the data went"))
    with contextlib.closing(sqlite3.connect(folder / "iobeam-server.db")) as database:
        rows = database.execute(select).fetchall()
    assert {row[3] for row in rows} == {"temperature", "humidity"}
