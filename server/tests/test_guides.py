"""The pages that lead somebody through shells do what they say.

Each block marked ``sh`` is run, in the order of its page, in an empty folder with an empty
home, against a server of its own; the lines of the ``text`` block behind it have to come, in
their order. Python blocks that the page saves under a name are there under it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from live import Live, running

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"(?P<before>[^\n]*\n)\n?```(?P<kind>sh|text|python)\n(?P<code>.*?)```", re.S)
SAVED = re.compile(r"save this as `(\w+\.py)`")
MARK = "== block {} =="
TIMEOUT_S = 300
HURRY = ("time.sleep(1)", "time.sleep(0.001)")

# The way of a newcomer; the others with IOBEAM_GUIDES=1.
FIRST = {"first-chart", "load-files"}
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "```sh\n" in page.read_text("utf-8")]

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="not in a checkout: there is no docs/")


class Step(NamedTuple):
    """A block for the shell, and lines of what it prints."""

    code: str
    shown: list[str]


def steps_of(page: Path, folder: Path) -> list[Step]:
    """Read a page, and save its programs."""
    steps: list[Step] = []
    last = ""
    for found in BLOCK.finditer(page.read_text("utf-8")):
        kind, code = found["kind"], found["code"]
        name = SAVED.search(found["before"])
        if kind == "python" and name:
            (folder / name[1]).write_text(code.replace(*HURRY), "utf-8")
        elif kind == "sh":
            steps.append(Step(code, []))
        elif kind == "text":
            assert last == "sh", f"{page.name}: nothing prints this: {code}"
            steps[-1].shown.extend(code.splitlines())
        last = kind
    return steps


def run(steps: list[Step], live: Live, folder: Path) -> list[str]:
    """What each block prints, errors too; all of them are one session, which ends at a failure."""
    script = "".join(f"echo '{MARK.format(n)}'\n{step.code}" for n, step in enumerate(steps))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("IOBEAM")
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "TZ": "UTC",
        "IOBEAM_SERVER_DATABASE": f"sqlite:///{folder.parent / 'live.db'}",
        "NO_PROXY": "*",
        "PYTHONWARNINGS": "ignore",
    }
    environment.pop("XDG_CONFIG_HOME", None)
    configure = ["iobeam", "configure", "--token-file", "-", "--backend"]
    for command, text in (
        ([*configure, f"http://127.0.0.1:{live.port}/v1/"], live.token),
        (["sh", "-e"], "exec 2>&1\n" + script.replace("127.0.0.1:4620", f"127.0.0.1:{live.port}")),
    ):
        done = subprocess.run(
            command, cwd=folder, env=environment, input=text,
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    return re.split(r"== block \d+ ==\n", done.stdout)[1:]


def missing(shown: list[str], printed: str) -> list[str]:
    """The lines that do not come, in their order."""
    lines = iter(printed.splitlines())
    return [line for line in shown if line not in lines]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    if page.stem not in FIRST and "IOBEAM_GUIDES" not in os.environ:
        pytest.skip("takes some seconds; with IOBEAM_GUIDES=1")
    folder = tmp_path / "home"
    folder.mkdir()
    steps = steps_of(page, folder)
    with running(tmp_path) as live:
        printed = run(steps, live, folder)
    assert len(printed) == len(steps)
    for step, text in zip(steps, printed):
        assert not missing(step.shown, text), f"{page.name}\n{step.code}\nprinted:\n{text}"


def test_lines_that_do_not_come_are_found() -> None:
    assert missing(["b", "d"], "a\nb\nc\nd\n") == []
    assert missing(["d", "b"], "a\nb\nc\nd\n") == ["b"]
    assert missing(["e"], "a\n") == ["e"]


def test_block_that_fails_ends_its_page(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with running(tmp_path) as live, pytest.raises(AssertionError, match="no-such-command"):
        run([Step("no-such-command\n", []), Step("echo 1\n", [])], live, folder)


def test_every_start_and_how_to_that_can_run_does() -> None:
    """What is left speaks of other machines, of root, or of programs that are not ours."""
    names = {page.relative_to(DOCS).as_posix() for page in PAGES}
    told = {
        page.relative_to(DOCS).as_posix()
        for folder in ("start", "how-to")
        for page in (DOCS / folder).glob("*.md")
    }
    assert told - names == {
        "start/notebook.md",  # tests/test_docs.py of the client runs it
        "start/raspberry-pi.md",
        "how-to/backup-and-upgrade.md",  # test_docs.py runs its commands, and those of the others
        "how-to/grafana.md",
        "how-to/lan-and-tls.md",
        "how-to/nothing-arrives.md",
        "how-to/page.md",  # tests/page does what it says
        "how-to/postgresql.md",
        "how-to/several-machines.md",  # of nodes that no test has; `distribute`: tests/storage
    }
