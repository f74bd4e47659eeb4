"""The distribution is built: what is in it, what it asks for, and where the chart comes from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from dockerfile import Ignored

from iobeam_server.api import page

SERVER = Path(__file__).resolve().parents[1]
CHART = Path("iobeam_server", "page", "uplot")
HEAVY = {"ipython", "numpy", "pandas", "uplot-python"}

pytestmark = pytest.mark.skipif(
    not (SERVER.parent / "setup.py").is_file(), reason="not in a checkout"
)


class Checkout:
    """A copy of this folder, and of as much as a build looks at in the one above."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = folder / "server"
        self.chart = self.server / CHART
        ignored = shutil.ignore_patterns("__pycache__", ".*", "tests", "build", "dist")
        shutil.copytree(SERVER, self.server, ignore=ignored)
        # hatchling looks in both for what to leave out
        (folder / ".git").mkdir()
        shutil.copy(SERVER.parent / ".gitignore", folder)
        for name in ("setup.py", "iobeam/__init__.py", "examples/host_metrics.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("# of the checkout\n")

    def without_chart(self, tmp_path: Path) -> Path:
        """Take the chart away, and return a wheel that it can be had from again."""
        wheel = tmp_path / "wheels" / "uplot_python-1.1.1-py3-none-any.whl"
        wheel.parent.mkdir()
        info = "uplot_python-1.1.1.dist-info/"
        wanted = "Requires-Python: >=3.10\nRequires-Dist: ipython\nRequires-Dist: numpy\n"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in page.CHART_FILES:
                archive.write(self.chart / name, f"uplot/static/{name}")
            archive.write(self.chart / "LICENSE.uplot-python", info + "licenses/LICENSE")
            about = "Metadata-Version: 2.1\nName: uplot-python\nVersion: 1.1.1\n" + wanted
            archive.writestr(info + "METADATA", about)
            archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
            archive.writestr(info + "RECORD", "")
        shutil.rmtree(self.chart)
        # the only difference to the real one
        source = self.server / "hatch_build.py"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        text, count = re.subn(
            '(?m)^WHEEL_SHA256 = ".*"$', f'WHEEL_SHA256 = "{digest}"', source.read_text()
        )
        assert count == 1
        source.write_text(text)
        return wheel


def call(folder: Path, expression: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call the build backend as a frontend does, without reach of any index."""
    alone = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UPLOT_"))}
    return subprocess.run(
        [sys.executable, "-c", f"import hatch_build; print(hatch_build.{expression})"],
        cwd=folder, env={**inherited, **alone, **environment, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def built(folder: Path, kind: str, target: Path, **environment: str) -> Path:
    done = call(folder, f"build_{kind}({str(target)!r})", **environment)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def client_in(wheel: Path) -> str:
    """Return how the client is asked for."""
    files = contents(wheel)
    (about,) = (files[name].decode() for name in files if name.endswith("/METADATA"))
    (asked,) = re.findall("^Requires-Dist: (iobeam.*)$", about, re.M)
    return str(asked)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_wheel_has_the_chart_the_script_and_the_licences(
    checkout: Checkout, tmp_path: Path
) -> None:
    files = contents(built(checkout.server, "wheel", tmp_path))
    for name in page.CHART_FILES:
        assert files[f"{CHART.as_posix()}/{name}"] == (page.CHART / name).read_bytes()
    assert files["iobeam_server/examples/host_metrics.py"] == b"# of the checkout\n"
    assert [name.partition("/")[2] for name in files if name.endswith(".1")] == [
        "data/share/man/man1/iobeam-server.1"
    ]
    licences = [name.rpartition("/")[2] for name in files if "LICENSE" in name]
    assert sorted(licences) == ["LICENSE", "LICENSE.uPlot", "LICENSE.uplot-python"]


def test_wheel_from_an_sdist_needs_no_network_and_names_no_folder(
    checkout: Checkout, tmp_path: Path
) -> None:
    sdist = built(checkout.server, "sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    assert "file://" not in (folder / "PKG-INFO").read_text()
    assert call(folder, "get_requires_for_build_wheel()").stdout == "[]\n"
    wheel = built(folder, "wheel", tmp_path)
    assert client_in(wheel) == "iobeam>=1.0"
    assert contents(wheel).keys() == contents(built(checkout.server, "wheel", tmp_path)).keys()


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_in_a_checkout_the_client_beside_is_taken(
    checkout: Checkout, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    assert client_in(built(checkout.server, kind, target)) == (
        f"iobeam @ {checkout.folder.resolve().as_uri()}"
    )


@pytest.mark.parametrize("kind", ["wheel", "editable", "sdist"])
def test_chart_comes_from_a_wheel_that_is_named(
    checkout: Checkout, tmp_path: Path, kind: str
) -> None:
    wheel = checkout.without_chart(tmp_path)
    built(checkout.server, kind, tmp_path, UPLOT_WHEEL=str(wheel))
    for name in page.CHART_FILES:
        assert (checkout.chart / name).read_bytes() == (page.CHART / name).read_bytes()
    wheel.unlink()  # it is not fetched twice
    built(checkout.server, kind, tmp_path)


def test_chart_is_fetched_by_pip_alone_and_whatever_this_python(
    checkout: Checkout, tmp_path: Path
) -> None:
    wheel = checkout.without_chart(tmp_path)
    asked = call(checkout.server, "get_requires_for_build_wheel()")
    assert asked.stdout == "['pip']\n"
    built(checkout.server, "wheel", tmp_path, PIP_FIND_LINKS=str(wheel.parent))
    assert (checkout.chart / "uPlot.iife.js").is_file()
    assert call(checkout.server, "get_requires_for_build_wheel()").stdout == "[]\n"


def test_damaged_file_is_had_again(checkout: Checkout, tmp_path: Path) -> None:
    wheel = checkout.without_chart(tmp_path)
    built(checkout.server, "wheel", tmp_path, UPLOT_WHEEL=str(wheel))
    (checkout.chart / "uPlot.min.css").write_text("@import url(elsewhere)")
    files = contents(built(checkout.server, "wheel", tmp_path, UPLOT_WHEEL=str(wheel)))
    name = "uPlot.min.css"
    assert files[f"{CHART.as_posix()}/{name}"] == (page.CHART / name).read_bytes()


def test_without_network_or_wheel_the_build_says_what_to_do(
    checkout: Checkout, tmp_path: Path
) -> None:
    wheel = checkout.without_chart(tmp_path)
    other = tmp_path / "other.whl"
    other.write_bytes(wheel.read_bytes() + b"\0")
    cases: dict[str, dict[str, Any]] = {
        "pip could not fetch uplot_python-1.1.1-py3-none-any.whl": {},
        f"{other} is not the file expected": {"UPLOT_WHEEL": str(other)},
        f"UPLOT_WHEEL names {tmp_path / 'none'}: No such file": {
            "UPLOT_WHEEL": str(tmp_path / "none")
        },
    }
    for expected, environment in cases.items():
        done = call(checkout.server, f"build_wheel({str(tmp_path)!r})", **environment)
        assert done.returncode != 0
        assert expected in done.stderr
        assert "UPLOT_WHEEL=/path/to/it" in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("iobeam_server*"))


def test_folder_that_cannot_be_written_is_named(checkout: Checkout, tmp_path: Path) -> None:
    wheel = checkout.without_chart(tmp_path)
    checkout.chart.write_text("in the way")  # for root, too
    target = f"build_wheel({str(tmp_path)!r})"
    done = call(checkout.server, target, UPLOT_WHEEL=str(wheel))
    assert done.returncode != 0
    assert f"{checkout.chart} cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr


def test_another_file_of_that_name_on_an_index_is_not_taken(
    checkout: Checkout, tmp_path: Path
) -> None:
    wheel = checkout.without_chart(tmp_path)
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    done = call(
        checkout.server, f"build_wheel({str(tmp_path)!r})", PIP_FIND_LINKS=str(wheel.parent)
    )
    assert done.returncode != 0
    assert not (checkout.chart / "uPlot.iife.js").exists()


@pytest.mark.skipif(
    "IOBEAM_INSTALLS" not in os.environ,
    reason="takes a minute, and an index for pip; with IOBEAM_INSTALLS=1",
)
def test_distributions_install_offline_and_run(tmp_path: Path) -> None:
    """As docs/installing.md has it, from a copy of this checkout."""
    root = SERVER.parent
    copy = tmp_path / "checkout"
    ignored = Ignored((root / ".dockerignore").read_text())
    for name in ignored.context(root):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, copy / name)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [*command], cwd=copy, env=environment,
            capture_output=True, text=True, timeout=540, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    build = [sys.executable, "-m", "build", "--outdir", "dist"]
    run(*build, ".")
    run(*build, "--no-isolation", "server")  # what it is built with is here
    made = sorted(path.name for path in (copy / "dist").iterdir())
    assert [name.partition("-1")[0] for name in made] == ["iobeam"] * 2 + ["iobeam_server"] * 2
    wheels = [f"dist/{name}" for name in made if name.endswith(".whl")]
    run(sys.executable, "-m", "pip", "download", "-q", "--dest", "dist", *wheels)

    copy.rename(tmp_path / "elsewhere")  # they name no folder
    copy.mkdir()
    run(sys.executable, "-m", "venv", "fresh")
    environment["PIP_CONFIG_FILE"] = os.devnull
    dist = str(tmp_path / "elsewhere" / "dist")
    run("fresh/bin/pip", "install", "-q", "--no-index", "--find-links", dist, "iobeam-server")
    assert run("fresh/bin/iobeam", "--version").startswith("1.")
    manuals = sorted(path.name for path in (copy / "fresh/share/man/man1").iterdir())
    assert manuals == ["iobeam-server.1", "iobeam.1"]
    stored = run("fresh/bin/iobeam-server", "demo", "--seconds", "1").splitlines()[-1]
    assert re.fullmatch(r"[1-9]\d* points stored", stored)


def test_client_and_backend_have_one_version() -> None:
    pattern = re.compile('^__version__ = "(.*)"$', re.M)
    found = {
        pattern.findall((SERVER.parent / package / "__init__.py").read_text())[0]
        for package in ("iobeam", "server/iobeam_server")
    }
    assert len(found) == 1


def needed(name: str, found: set[str]) -> set[str]:
    """Add the distributions that one needs at run time, all the way down."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name not in found:
        found.add(name)
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # of another platform or Python
            requirements = []
        for requirement in requirements:
            if not re.search(r"\bextra\s*==", requirement):
                needed(re.split(r"[^\w.-]", requirement.strip())[0], found)
    return found


def test_nothing_heavy_is_needed_at_run_time() -> None:
    found = needed("iobeam-server", set())
    assert {"falcon", "msgspec", "iobeam", "requests"} <= found
    assert not found & HEAVY
