"""axe-core finds nothing: names, roles, contrast, order, in light and dark, wide and narrow."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from live import Live

from tests.page.conftest import Visit
from tests.page.test_page import now_us

AXE = "axe-core@4"
MINUTE = 60_000_000


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here, which fetches axe-core: apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    line = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", AXE]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"npm could not fetch axe-core: {done.stderr[-300:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def looked(request: pytest.FixtureRequest, browser: Any, live: Live) -> Iterator[Visit]:
    scheme, width = request.param
    visiting = Visit(browser, live, color_scheme=scheme, viewport={"width": width, "height": 740})
    yield visiting
    visiting.check()
    visiting.context.close()


def violations(visit: Visit, axe: str) -> list[Any]:
    visit.page.evaluate(axe)
    found = visit.page.evaluate("async () => (await axe.run(document)).violations")
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def test_nothing_is_found(looked: Visit, axe: str, live: Live) -> None:
    rows = [[now_us() - n * MINUTE, n, n % 2 == 0, f"w{n}"] for n in range(40)]
    live.send(["time", "n", "flag", "text"], rows)
    live.register("lost")
    live.send(["time", "x"], [[now_us() - 3_600_000_000 - n * MINUTE, n] for n in range(5)], "lost")
    looked.open()
    looked.page.wait_for_selector("#token")
    assert violations(looked, axe) == []
    looked.sign_in()
    for name, caption in (("n", "40 points"), ("flag", "40 points"), ("text", "40 points")):
        looked.wait_for("#series [role=option]", name)
        looked.option("series", name).click()
        looked.wait_for("#chart-title", name)
        looked.wait_for("#caption", caption)
        for details in looked.page.locator("details:visible").all():
            details.evaluate("one => { one.open = true; }")
        assert violations(looked, axe) == [], name
    looked.page.check("#add")
    for name in ("n", "flag"):
        looked.option("series", name).click()
    looked.wait_for("#caption", "3 series")
    assert violations(looked, axe) == []
    looked.page.select_option("#range", "custom")
    looked.page.fill("#find", "nobody")
    looked.page.press("#find", "Enter")
    looked.wait_for("#find-error", "no such device")
    assert violations(looked, axe) == []
