from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from iobeam_server import demo
from iobeam_server.errors import ConfigError

# What the device script does, without the client: this suite tests the server alone.
SENDS = """
import json, os, sys, urllib.request
base, project = os.environ["IOBEAM_BACKEND"], int(os.environ["IOBEAM_PROJECT_ID"])
headers = {"Authorization": "Bearer " + os.environ["IOBEAM_TOKEN"]}
headers["Content-Type"] = "application/json"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
def post(path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), headers)
    return json.load(opener.open(request))
device = post("devices", {"project_id": project})["device_id"]
rows = [[1700000000000 + i, i, i / 2] for i in range(10)]
sources = {"fields": ["time", "load", "mem"], "data": rows}
post("imports?fmt=table", {"project_id": project, "device_id": device, "sources": sources})
print("sent", sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "host_metrics.py"
    path.write_text(SENDS)
    monkeypatch.setattr(demo, "find_script", lambda: path)
    return path


@pytest.mark.usefixtures("script")
def test_demo_ends_with_what_was_stored(capfd: Any) -> None:
    lines: list[str] = []
    demo.run(1, keep=False, say=lines.append)
    text = "\n".join(lines)
    assert lines[-1] == "20 points stored"
    assert "demo --keep" in text
    assert "load" in text
    assert "4.500" in text, "the mean of 0..9"
    assert "22:13:20.000" in text
    assert "sent ['--seconds', '1', '--interval', '0.5']" in capfd.readouterr().out


def test_the_table_ends_with_the_count() -> None:
    points = [{"time": 1_000_000 * i, "value": v} for i, v in enumerate([1, 2.5])]
    texts = [{"time": 0, "value": "x"}]
    lines = demo.report([{"name": "a", "data": points}, {"name": "longer", "data": texts}])
    assert lines[-1] == "3 points stored"
    table = [line for line in lines if line.startswith(("series", "a ", "longer"))]
    assert len({len(line) for line in table}) == 1, "columns line up"
    assert table[1].split() == ["a", "2", "00:00:00.000", "00:00:01.000", "1", "1.750", "2.500"]
    assert table[2].split()[-3:] == ["-", "-", "-"]


def test_a_script_that_fails_fails_the_demo(script: Path) -> None:
    script.write_text("raise SystemExit(3)")
    with pytest.raises(demo.DemoFailed, match="3"):
        demo.run(1, keep=False, say=lambda _: None)


def test_a_script_that_sends_nothing_fails_the_demo(script: Path) -> None:
    script.write_text("")
    with pytest.raises(demo.DemoFailed, match="nothing"):
        demo.run(1, keep=False, say=lambda _: None)


def test_the_script_is_looked_for_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "checkout" / "server" / "iobeam_server"
    monkeypatch.setattr(demo, "__file__", str(package / "demo.py"))
    with pytest.raises(ConfigError):
        demo.find_script()
    for folder in (tmp_path / "checkout" / "examples", package / "examples"):
        folder.mkdir(parents=True)
        (folder / "host_metrics.py").write_text("")
        assert demo.find_script() == folder.resolve() / "host_metrics.py"


def test_the_whole_demo_with_the_client_where_it_is_installed() -> None:
    probe = [sys.executable, "-c", "from iobeam import iobeam; iobeam.ClientBuilder"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("the client is not installed: pip install ./server in a checkout brings it")
    done = subprocess.run(
        [sys.executable, "-m", "iobeam_server", "demo", "--seconds", "1"],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[1-9]\d* points stored", done.stdout.splitlines()[-1])


@pytest.mark.usefixtures("script")
def test_demo_that_is_kept_says_how_to_open_the_page() -> None:
    lines: list[str] = []
    opened: list[bytes] = []

    def say(line: str) -> None:
        lines.append(line)
        if line.startswith("curl "):  # the last one: what follows waits for Ctrl-C
            url = re.findall(r"open (http://127\.0\.0\.1:\d+/) in a browser", "\n".join(lines))
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(*url) as answer:
                opened.append(answer.read())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.run(1, keep=True, say=say)
    assert b"Sign in" in opened[0]
    assert [line for line in lines if line.startswith("export IOBEAM_TOKEN=eyJ")]
