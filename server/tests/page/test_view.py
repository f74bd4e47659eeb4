"""What is looked at stands in the address; lines break where nothing came; numbers are short."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live import Live

from tests.page.test_page import now_us, rows

S = 1_000_000


def call(visit: Any, module: str, name: str, *given: Any) -> Any:
    """Call a function of the page's own code, as a table of a pure rule does."""
    script = "async ([m, f, a]) => (await import(`/page/${m}.js`))[f](...a)"
    return visit.page.evaluate(script, [module, name, list(given)])


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (-0.0, "0"),
        (21.5, "21.5"),
        (1 / 3, "0.333333"),
        (-1234.56789, "-1,234.57"),
        (75_606_278_144, "75,606,300,000"),
        (999_999_999_999_999, "1,000,000,000,000,000"),
        (1e15, "1e+15"),
        (1.23456789e18, "1.23457e+18"),
        (0.0001, "0.0001"),
        (0.00001234, "1.234e-5"),
        (True, "true"),
        ("12.50", "12.50"),
    ],
)
def test_numbers_at_a_glance(visit: Any, number: Any, shown: str) -> None:
    visit.open()
    assert call(visit, "format", "brief", number) == shown


@pytest.mark.parametrize(
    ("times", "width_ms", "places"),
    [
        ([], None, []),
        ([7], None, [0]),
        ([0, 10, 20, 30], None, [0, 1, 2, 3]),
        ([0, 10, 20, 70, 80], None, [0, 1, 2, 3, 4]),  # five steps
        ([0, 10, 20, 71, 80], None, [0, 1, 2, None, 3, 4]),
        ([0, 0, 0, 5], None, [0, 1, 2, None, 3]),
        ([0, 2_000, 4_000, 8_000], 2, [0, 1, 2, None, 3]),  # an empty bucket
    ],
)
def test_lines_break_in_outages(
    visit: Any, times: list[int], width_ms: int | None, places: list[int | None]
) -> None:
    visit.open()
    values = [n * 1.5 for n in range(len(times))]
    made = call(visit, "gaps", "withGaps", {"times": times, "widthMs": width_ms}, [values])
    assert made["places"] == places
    column = [None if place is None else values[place] for place in places]
    assert made["columns"] == [column]
    assert made["times"] == sorted(made["times"])
    assert [t for t, place in zip(made["times"], places) if place is not None] == times


def test_points_that_no_line_leads_to(visit: Any) -> None:
    visit.open()
    for column, found in (
        ([1, 2, None, 3, None, 4, 5], [3]),
        ([1, None, 2, None], [0, 2]),
        ([1], [0]),
        ([], []),
    ):
        assert call(visit, "gaps", "alone", column) == found


ALL = {"kind": "all", "from": None, "to": None}


NOTHING = {"device": None, "series": None, "more": [], "range": None, "isUtc": False}


@pytest.mark.parametrize(
    ("view", "fragment"),
    [
        ({"device": None, "series": None, "range": None}, ""),
        ({"device": "d:1", "series": None, "range": None}, "#device=d%3A1"),
        (
            {"device": "d", "series": "a&b=#c/é", "range": ALL},
            "#device=d&series=a%26b%3D%23c%2F%C3%A9&last=all",
        ),
        (
            {"device": "d", "series": "", "range": {"kind": "custom", "from": -5, "to": None}},
            "#device=d&series=&from=-5",
        ),
        (
            {"device": "d", "series": "s", "range": {"kind": "custom", "from": 1, "to": 2}},
            "#device=d&series=s&from=1&to=2",
        ),
        (
            {
                "device": "d",
                "series": "s",
                "more": [{"deviceId": "e:1", "name": "a/b é"}, {"deviceId": "d", "name": "t"}],
                "range": ALL,
                "isUtc": True,
            },
            "#device=d&series=s&and=e%253A1%2Fa%252Fb%2520%25C3%25A9&and=d%2Ft&last=all&zone=utc",
        ),
    ],
)
def test_view_and_address_are_the_same(visit: Any, view: Any, fragment: str) -> None:
    visit.open()
    assert call(visit, "address", "encode", view) == fragment
    assert call(visit, "address", "decode", fragment) == {**NOTHING, **view}


@pytest.mark.parametrize(
    "fragment",
    [
        *("#", "#last=0", "#last=x", "#from=2&to=1", "#from=1e3", "#from=1&to=x", "#from=9e99"),
        *("#%", "#and=d", "#and=d/", "#and=/s", "#and=d/s/x", "#and=%25/s", "#zone=cet"),
    ],
)
def test_what_an_address_says_wrongly_is_left_out(visit: Any, fragment: str) -> None:
    visit.open()
    assert call(visit, "address", "decode", fragment) == NOTHING


def fragment_of(visit: Any) -> str:
    return str(visit.page.evaluate("location.hash"))


def test_reload_and_back_show_what_was_looked_at(visit: Any, live: Live) -> None:
    live.register("dev-2")
    for device in ("dev-1", "dev-2"):
        live.send(["time", "a", "b"], [[t, v, v] for t, v in rows(10)], device=device)
    visit.sign_in()
    visit.wait_for("#caption", "10 points")
    assert fragment_of(visit) == "#device=dev-1&series=a&last=3600"
    visit.option("series", "b").click()
    visit.wait_for("#chart-title", "b")
    visit.page.select_option("#range", "86400")
    visit.option("devices", "dev-2").click()
    visit.wait_for("#series-device", "dev-2")
    visit.wait_for("#caption", "10 points")
    assert fragment_of(visit) == "#device=dev-2&series=a&last=86400"
    assert live.token not in visit.page.url

    visit.page.reload()
    visit.wait_for("#caption", "10 points")
    visit.wait_for("#series-device", "dev-2")
    assert visit.page.input_value("#range") == "86400"
    for device, name, last in (
        ("dev-1", "b", "86400"),
        ("dev-1", "b", "3600"),
        ("dev-1", "a", "3600"),
    ):
        visit.page.go_back()
        visit.wait_for("#series-device", device)
        visit.wait_for("#chart-title", name)
        visit.wait_for("#caption", "10 points")
        assert fragment_of(visit) == f"#device={device}&series={name}&last={last}"
        assert visit.page.input_value("#range") == last
    visit.page.go_forward()
    visit.wait_for("#chart-title", "b")


def test_shared_address_opens_after_signing_in_and_goes_with_signing_out(
    visit: Any, live: Live
) -> None:
    live.register("dev-2")
    live.send(["time", "a", "b"], [[t, v, v] for t, v in rows(10)], device="dev-2")
    start = now_us() // 1000 - 60_000
    visit.page.goto(f"{visit.base}/#device=dev-2&series=b&from={start}")
    visit.page.fill("#token", live.token)
    visit.page.keyboard.press("Enter")
    visit.wait_for("#series-device", "dev-2")
    visit.wait_for("#chart-title", "b")
    assert visit.page.input_value("#range") == "custom"
    assert visit.page.get_attribute("#devices [aria-selected=true]", "title").startswith("dev-2")
    visit.page.click("#sign-out")
    assert fragment_of(visit) == ""


def test_series_that_an_address_names_and_that_is_not_there(visit: Any, live: Live) -> None:
    live.send(["time", "a"], rows(3))
    visit.page.goto(f"{visit.base}/#device=dev-1&series=gone&last=7")
    visit.page.fill("#token", live.token)
    visit.page.keyboard.press("Enter")
    visit.wait_for("#caption", "3 points")
    assert fragment_of(visit) == "#device=dev-1&series=a&last=3600"


def test_no_line_is_drawn_across_an_outage(visit: Any, live: Live) -> None:
    """The points are the same; a line across the outage is ink that is not there."""
    now = now_us()
    either = [[now - (600 - n) * S, 5.0] for n in range(0, 100, 10)]
    after = [[now - (100 - n) * S, 5.0] for n in range(0, 100, 10)]
    live.send(["time", "outage"], either + after)
    live.send(["time", "whole"], [[now - (600 - n) * S, 5.0] for n in range(0, 600, 30)])
    visit.sign_in()
    visit.wait_for("#caption", "20 points")
    broken = visit.ink()
    visit.option("series", "whole").click()
    visit.wait_for("#chart-title", "whole")
    visit.wait_for("#caption", "20 points")
    visit.until(lambda: visit.ink() > broken * 1.2, lambda: f"{visit.ink()} and {broken}")


def ranges() -> dict[str, dict[str, Any]]:
    start = 1_770_980_400_000
    return {
        "hours": {"kind": "21600", "from": None, "to": None},
        "minutes": {"kind": "900", "from": None, "to": None},
        "all": ALL,
        "from": {"kind": "custom", "from": start + 250, "to": None},
        "both": {"kind": "custom", "from": start, "to": start + 1},
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hours", "--since=6h"),
        ("minutes", "--since=15m"),
        ("all", ""),
        ("from", "--from=2026-02-13T11:00:00.250Z"),
        ("both", "--from=2026-02-13T11:00:00Z --to=2026-02-13T11:00:00.001Z"),
    ],
)
def test_range_is_an_option_of_the_command(visit: Any, name: str, options: str) -> None:
    visit.open()
    made = call(visit, "command", "asCommand", "d:1", "t", ranges()[name])
    assert made["line"] == f"iobeam query --device=d:1 --series=t {options}".rstrip()
    compile(made["program"], "snippet", "exec")


@pytest.mark.parametrize("series", ["a b", "it's $HOME `x` \\", "-dash", "é ☃", 'say "hi" 50%'])
def test_what_the_page_says_for_elsewhere_works_there(
    visit: Any, live: Live, tmp_path: Path, series: str
) -> None:
    live.send(["time", series], [[now_us() - S, 21.5]])
    visit.sign_in()
    visit.wait_for("#caption", "1 point")
    visit.page.locator("#elsewhere summary").click()
    line, program = (visit.page.locator(f"#{one}").text_content() for one in ("line", "program"))
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "IOBEAM_BACKEND": f"{visit.base}/v1/",
        "IOBEAM_PROJECT_ID": "1",
        "IOBEAM_TOKEN": live.token,
        "PYTHONIOENCODING": "utf-8",
    }
    for command in (["sh", "-c", line], [sys.executable, "-c", program]):
        done = subprocess.run(
            command, env=environment, cwd=tmp_path,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "21.5" in done.stdout


def test_double_click_goes_back_to_what_was_drawn_over(visit: Any, live: Live) -> None:
    live.send(["time", "load"], rows(120))
    visit.sign_in()
    visit.wait_for("#caption", "120 points")
    visit.wait_for("#figures", "Last 0, least 0, greatest 49, mean 22")
    for start, end in ((0.75, 0.95), (0.2, 0.8)):
        before = visit.page.text_content("#caption")
        at = chart_of(visit)
        visit.page.mouse.move(*at(start))
        visit.page.mouse.down()
        visit.page.mouse.move(*at(end), steps=4)
        visit.page.mouse.up()
        visit.until(
            lambda before=before: (
                "points from" in visit.page.text_content("#caption")
                and visit.page.text_content("#caption") != before
            ),
            lambda: f"{visit.page.text_content('#caption')} {fragment_of(visit)}",
        )
    smallest = fragment_of(visit)
    visit.page.mouse.dblclick(*chart_of(visit)(0.5))
    visit.until(lambda: fragment_of(visit) != smallest, lambda: fragment_of(visit))
    assert "from=" in fragment_of(visit)
    visit.wait_for("#caption", "points from")
    visit.page.mouse.dblclick(*chart_of(visit)(0.5))
    visit.wait_for("#caption", "120 points")
    assert visit.page.input_value("#range") == "3600"
    assert fragment_of(visit) == "#device=dev-1&series=load&last=3600"


def chart_of(visit: Any) -> Callable[[float], tuple[float, float]]:
    """Where the pointer goes for a share of the chart's width; fields above it come and go."""
    box = visit.page.locator("#chart .u-over").bounding_box()
    return lambda share: (box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
