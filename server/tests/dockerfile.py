"""As much of Dockerfiles and .dockerignore as ours use, to run their steps without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SHELL = ["/bin/sh", "-e", "-c"]


class Step(NamedTuple):
    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """Of COPY, ENV and CMD: what is a JSON list, or stands between spaces."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else self.rest.split()


def stages(text: str) -> list[list[Step]]:
    """Return the steps of each stage, FROM first."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    found: list[list[Step]] = []
    for line in filter(str.strip, lines):
        step = Step(*line.split(maxsplit=1))
        if step.word == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def only(stage: list[Step], word: str) -> Step:
    (step,) = (step for step in stage if step.word == word)
    return step


def variables(stage: list[Step]) -> dict[str, str]:
    return dict(word.split("=", 1) for step in stage if step.word == "ENV" for word in step.words)


class Ignored:
    """The rules of a .dockerignore: the last one that fits decides."""

    def __init__(self, text: str) -> None:
        self._rules = [
            (re.compile(self._expression(line.lstrip("!"))), line.startswith("!"))
            for line in text.splitlines()
            if line and not line.startswith("#")
        ]

    @staticmethod
    def _expression(pattern: str) -> str:
        parts = re.split(r"(\*\*/|\*|\?)", pattern)
        known = {"**/": "(.*/)?", "*": "[^/]*", "?": "[^/]"}
        # what a folder is, all in it is
        return "".join(known.get(part, re.escape(part)) for part in parts) + "(/.*)?"

    def __call__(self, path: str) -> bool:
        kept = True
        for expression, keeps in self._rules:
            if expression.fullmatch(path):
                kept = keeps
        return not kept

    def context(self, folder: Path) -> list[str]:
        """Return the files that a build gets to see."""
        found = (path for path in folder.rglob("*") if path.is_file())
        names = (path.relative_to(folder).as_posix() for path in found)
        return [name for name in names if not self(name)]


class Machine:
    """A folder that stands for the root of a container."""

    def __init__(self, root: Path, path: str) -> None:
        self.root = root
        self.environment = {
            "PATH": path,
            "HOME": str(root),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        }
        self.user = "0"
        self.folder = root
        root.mkdir()

    def inside(self, text: str) -> str:
        """Put our absolute paths, and nobody else's, under the root."""
        return re.sub(r"(?<![\w.])/(source|opt|data)\b", rf"{self.root}/\1", text)

    def run(self, command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env={**self.environment, **more},
            capture_output=True, text=True, timeout=540, check=False,
        )  # fmt: skip

    def execute(self, step: Step, sources: Mapping[str, Path], ignored: Ignored) -> None:
        """Do what a step says; FROM, VOLUME, EXPOSE, HEALTHCHECK and CMD do nothing yet."""
        if step.word == "RUN":
            done = self.run([*SHELL, self.inside(step.rest)])
            assert done.returncode == 0, (step, done.stdout, done.stderr)
        elif step.word == "ENV":
            for word in step.words:
                name, _, value = word.partition("=")
                self.environment[name] = self.inside(
                    value.replace("$PATH", self.environment["PATH"])
                )
        elif step.word == "COPY":
            *options, source, target = step.words
            (source_root,) = options or [""]
            self._copy(sources[source_root], source, Path(self.inside(target)), ignored)
        elif step.word == "WORKDIR":
            self.folder = Path(self.inside(step.rest))
        elif step.word == "USER":
            self.user = step.rest
        else:
            assert step.word in {"FROM", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}, step

    @staticmethod
    def _copy(root: Path, source: str, target: Path, ignored: Ignored) -> None:
        if source == ".":
            for name in ignored.context(root):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, target / name)
        else:
            shutil.copytree(root / source.lstrip("/"), target, symlinks=True)
