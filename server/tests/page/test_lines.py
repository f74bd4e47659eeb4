"""Several series in one chart: colours, axes, legend; and moving through time."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from live import Live

from tests.page.conftest import Visit
from tests.page.test_page import assert_no_sideways_scrolling, now_us, rows
from tests.page.test_view import call, fragment_of

S = 1_000_000


@pytest.mark.parametrize(
    ("ranges", "axes"),
    [
        ([], []),
        ([[0, 1]], [0]),
        ([[20, 22], [19, 25]], [0, 0]),
        ([[0, 1], [0, 8]], [0, 0]),
        ([[0, 1], [0, 8.1]], [0, 1]),
        ([[0, 1], [0, 1000], [0, 2]], [0, 1, 0]),
        ([[0, 1], [100, 101]], [0, 1]),
        ([[5, 5], [5, 5]], [0, 0]),  # level lines
        ([[5, 5], [6, 6]], [0, 0]),
        ([[5, 5], [5000, 5000]], [0, 1]),
        ([[0, 0], [0, 0]], [0, 0]),
        ([[0, 1], [0, 100], [0, 10_000], [0, 90_000]], [0, 1, 2, 2]),
        ([[0, 1], [0, 100], [0, 10_000], [0, 1_000_000]], [0, 1, 2, 2]),
        ([[-1e15, 1e15], [0, 1]], [0, 1]),
    ],
)
def test_lines_share_an_axis_unless_one_would_lie_flat(
    visit: Any, ranges: list[list[float]], axes: list[int]
) -> None:
    visit.open()
    assert call(visit, "scales", "axesOf", ranges) == axes


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2, 3], []),
        ([1, None, 3], [0, 2]),
        ([5], [0]),
        ([], []),
    ],
)
def test_points_that_no_line_leads_to(visit: Any, column: list[Any], expected: list[int]) -> None:
    visit.open()
    assert call(visit, "gaps", "alone", column) == expected


def fill(live: Live) -> None:
    live.register("dev-2")
    times = [now_us() - n * 60 * S for n in range(20)]
    table = [[t, n, 1000 * n, n % 4 == 0, f"word {n}"] for n, t in enumerate(times)]
    live.send(["time", "a", "big", "flag", "text"], table)
    live.send(["time", "a"], [[t + 7 * S, 20 - n] for n, t in enumerate(times)], device="dev-2")


def legend(visit: Any) -> list[str]:
    found: list[str] = visit.page.locator("#legend-rows tr").all_inner_texts()
    return [" ".join(text.replace("\N{MULTIPLICATION SIGN}", "").split()) for text in found]


def selected(visit: Any) -> list[str]:
    found: list[str] = visit.page.locator(
        "#series [role=option][aria-selected=true] bdi"
    ).all_text_contents()
    return found


def test_series_of_two_devices_in_one_chart(visit: Any, live: Live) -> None:
    fill(live)
    visit.sign_in()
    visit.wait_for("#caption", "20 points")
    assert visit.page.locator("#legend").is_hidden()
    visit.page.check("#add")
    visit.option("series", "big").click()
    visit.wait_for("#caption", "2 series from")
    assert selected(visit) == ["a", "big"]
    visit.option("devices", "dev-2").click()
    visit.wait_for("#series-device", "dev-2")
    visit.until(lambda: len(legend(visit)) == 2, lambda: "the chart was not kept")
    visit.wait_for("#series [role=option] bdi", "a")
    visit.until(lambda: selected(visit) == [], lambda: "the series of the other device are there")
    visit.option("series", "a").click()
    visit.until(
        lambda: legend(visit)
        == ["a dev-1 0 0 9.5 19", "big dev-1 0 0 9,500 19,000", "a dev-2 20 1 10.5 20"],
        lambda: f"{legend(visit)}",
    )
    assert visit.page.text_content("#chart-title") == "a, big, a"
    assert all(visit.ink(colour) > 100 for colour in range(3))
    assert visit.ink(3) == 0
    label = visit.page.get_attribute("#chart", "aria-label")
    assert label.startswith("Chart of a, big, a. 3 series from ")
    box = visit.page.locator("#chart .u-over").bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    visit.until(
        lambda: visit.page.text_content("#readout").count("a ") == 2,
        lambda: visit.page.text_content("#readout"),
    )
    assert "big " in visit.page.text_content("#readout")
    said = visit.page.text_content("#line").splitlines()
    assert [line.split()[2:4] for line in said] == [
        ["--device=dev-1", "--series=a"],
        ["--device=dev-1", "--series=big"],
        ["--device=dev-2", "--series=a"],
    ]


def test_a_line_keeps_its_colour_when_another_goes(visit: Any, live: Live) -> None:
    fill(live)
    visit.sign_in()
    visit.wait_for("#caption", "20 points")
    for name in ("big", "flag"):
        visit.option("series", name).click(modifiers=["Control"])
    visit.until(lambda: visit.ink(1) > 100, lambda: "no second line")
    visit.page.get_by_role("button", name="Remove a of dev-1").click()
    visit.until(lambda: len(legend(visit)) == 2, lambda: f"{legend(visit)}")
    visit.until(lambda: visit.ink(0) == 0, lambda: "the first line is still there")
    assert visit.ink(1) > 100
    assert selected(visit) == ["big", "flag"]
    visit.option("series", "a").click(modifiers=["Control"])  # takes the colour that is free
    visit.until(lambda: visit.ink(0) > 100, lambda: "the first colour is not used again")
    visit.option("series", "a").click(modifiers=["Control"])  # and goes again
    visit.until(lambda: visit.ink(0) == 0, lambda: "a second click does not remove it")
    visit.option("series", "a").click()  # alone
    visit.wait_for("#caption", "20 points")
    assert legend(visit) == []


def test_the_address_holds_all_of_it(visit: Any, live: Live) -> None:
    fill(live)
    visit.page.goto(
        f"{visit.base}/#device=dev-1&series=a&and=dev-1%2Fbig&and=dev-2%2Fa&last=21600&zone=utc"
    )
    visit.page.fill("#token", live.token)
    visit.page.keyboard.press("Enter")
    visit.until(lambda: len(legend(visit)) == 3, lambda: f"{legend(visit)}")
    assert visit.page.is_checked("#utc")
    assert visit.page.input_value("#range") == "21600"
    visit.wait_for("#series [role=option][aria-selected=true]", "big")
    assert selected(visit) == ["a", "big"]
    visit.option("series", "flag").click(modifiers=["Control"])
    visit.until(lambda: len(legend(visit)) == 4, lambda: f"{legend(visit)}")
    visit.page.reload()
    visit.until(lambda: len(legend(visit)) == 4, lambda: f"{legend(visit)}")
    visit.page.go_back()
    visit.until(lambda: len(legend(visit)) == 3, lambda: f"{legend(visit)}")
    assert "and=dev-2%2Fa" in fragment_of(visit)


def test_flags_are_bands_and_texts_are_marks(visit: Any, live: Live) -> None:
    fill(live)
    visit.sign_in()
    visit.wait_for("#caption", "20 points")
    for number, name in enumerate(("flag", "text"), start=1):
        visit.option("series", name).click(modifiers=["Control"])
        visit.until(lambda n=number: visit.ink(n) > 50, lambda: "it is not drawn")
    assert legend(visit)[1:] == ["flag dev-1 true false 0.25 true", "text dev-1 word 0"]
    visit.page.click("#latest summary")
    assert visit.page.locator("#rows-series").is_visible()
    assert "word 0" in visit.page.inner_text("#rows")


def test_a_chart_has_eight_colours(visit: Any, live: Live) -> None:
    names = [f"s{n}" for n in range(9)]
    live.send(["time", *names], [[t, *[v] * 9] for t, v in rows(5)])
    visit.sign_in()
    visit.wait_for("#caption", "5 points")
    visit.page.check("#add")
    for name in names[1:]:
        visit.option("series", name).click()
    visit.wait_for("#notice", "A chart holds 8 series; remove one first.")
    visit.until(lambda: len(legend(visit)) == 8, lambda: f"{legend(visit)}")


def test_steps_through_time(visit: Any, live: Live) -> None:
    live.send(["time", "a"], [[now_us() - n * 30 * S, n] for n in range(200)])
    visit.sign_in()
    visit.wait_for("#caption", "points")

    def span() -> list[int]:
        said = dict(part.split("=") for part in fragment_of(visit)[1:].split("&"))
        return [int(said[name]) for name in ("from", "to")]

    visit.page.click("#nearer")
    visit.wait_for("#range-form", "From")
    first = span()
    assert 1_790_000 < first[1] - first[0] < 1_815_000  # half of an hour
    visit.page.click("#earlier")
    assert span()[0] == pytest.approx(first[0] - (first[1] - first[0]) / 2, abs=2)
    visit.page.click("#later")
    assert span() == pytest.approx(first, abs=4)
    visit.page.click("#farther")
    assert span()[1] - span()[0] == pytest.approx(2 * (first[1] - first[0]), abs=8)
    for _ in range(4):
        visit.page.click("#undo")
    assert "last=3600" in fragment_of(visit)
    visit.until(lambda: visit.page.is_disabled("#undo"), lambda: "there is more to undo")


def test_the_wheel_zooms_with_a_key_and_scrolls_without(visit: Any, live: Live) -> None:
    live.send(["time", "a"], [[now_us() - n * 30 * S, n] for n in range(100)])
    visit.sign_in()
    visit.wait_for("#caption", "100 points")
    box = visit.page.locator("#chart .u-over").bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.mouse.wheel(0, -100)
    visit.page.wait_for_timeout(500)
    assert "last=3600" in fragment_of(visit)
    visit.page.keyboard.down("Control")
    visit.page.mouse.wheel(0, -100)
    visit.page.keyboard.up("Control")
    visit.until(lambda: "from=" in fragment_of(visit), lambda: fragment_of(visit))
    visit.until(
        lambda: visit.page.text_content("#caption").startswith(("8", "9")),  # of 100 points
        lambda: visit.page.text_content("#caption"),
    )


def test_fingers_pinch_and_move(phone: Any, live: Live) -> None:
    live.send(["time", "a"], [[now_us() - n * 30 * S, n] for n in range(100)])
    visit = phone
    visit.sign_in()
    visit.wait_for("#caption", "100 points")
    visit.page.locator("#chart").scroll_into_view_if_needed()
    box = visit.page.locator("#chart .u-over").bounding_box()
    y = box["y"] + box["height"] / 2
    middle = box["x"] + box["width"] / 2
    touch = visit.context.new_cdp_session(visit.page)

    def points(*xs: float) -> list[Any]:
        return [{"x": x, "y": y, "id": number} for number, x in enumerate(xs)]

    def send(kind: str, *xs: float) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points(*xs)})

    send("touchStart", middle - 20, middle + 20)
    for step in (30, 40, 50):
        send("touchMove", middle - step, middle + step)
    send("touchEnd")
    visit.until(lambda: "from=" in fragment_of(visit), lambda: "two fingers did nothing")
    said = dict(part.split("=") for part in fragment_of(visit)[1:].split("&"))
    span = int(said["to"]) - int(said["from"])
    assert span == pytest.approx(3_605_000 * 40 / 100, rel=0.1)
    visit.wait_for("#caption", "point")
    send("touchStart", middle)
    for step in (10, 40, 80):
        send("touchMove", middle + step)
    send("touchEnd")
    visit.until(lambda: f"from={said['from']}" not in fragment_of(visit), lambda: "it did not move")
    moved = dict(part.split("=") for part in fragment_of(visit)[1:].split("&"))
    assert int(moved["from"]) < int(said["from"])
    assert int(moved["to"]) - int(moved["from"]) == pytest.approx(span, abs=4)
    assert_no_sideways_scrolling(visit)


def test_a_legend_fits_on_a_phone(phone: Any, live: Live) -> None:
    values = [[t, 12.91 + v / 7, 57.7519 + v / 9] for t, v in rows(50)]
    live.send(["time", "temperature", "humidity"], values)
    phone.sign_in()
    phone.wait_for("#caption", "50 points")
    phone.page.check("#add")
    phone.option("series", "temperature").click()
    phone.until(lambda: len(legend(phone)) == 2, lambda: f"{legend(phone)}")
    assert_no_sideways_scrolling(phone)
    wide, shown = phone.page.evaluate(
        "['#legend', '#chart-panel'].map((e) => document.querySelector(e).scrollWidth)"
    )
    assert wide <= shown


def test_times_in_utc(browser: Any, live: Live) -> None:
    noon = int(time.time()) // 86_400 * 86_400 * S - 43_200 * S
    live.send(["time", "a"], [[noon, 1], [noon + 60 * S, 2]])
    visit = Visit(browser, live, timezone_id="Asia/Kolkata")
    visit.page.goto(f"{visit.base}/#device=dev-1&series=a&last=all")
    visit.page.fill("#token", live.token)
    visit.page.keyboard.press("Enter")
    visit.wait_for("#caption", "17:30:00 to")
    visit.wait_for("#caption", "17:31:00, Asia/")  # Kolkata, or Calcutta as it was called
    visit.page.check("#utc")
    visit.wait_for("#caption", "12:00:00 to")
    visit.wait_for("#caption", "12:01:00, UTC")
    visit.page.click("#latest summary")
    assert "12:01:00" in visit.page.inner_text("#rows")
    assert fragment_of(visit).endswith("&zone=utc")
    visit.page.select_option("#range", "custom")
    visit.page.fill("#from", time.strftime("%Y-%m-%dT12:00:30", time.gmtime(noon // S)))
    visit.page.click("#custom button")
    visit.wait_for("#caption", "1 point from")
    visit.page.uncheck("#utc")
    visit.until(
        lambda: visit.page.input_value("#from").endswith("T17:30:30"),
        lambda: visit.page.input_value("#from"),
    )
    visit.check()
    visit.context.close()


def test_a_picture_and_one_file_of_all(visit: Any, live: Live) -> None:
    fill(live)
    visit.sign_in()
    visit.wait_for("#caption", "20 points")
    visit.option("series", "big").click(modifiers=["Control"])
    visit.wait_for("#caption", "2 series")
    with visit.page.expect_download() as download:
        visit.page.click("#png")
    assert download.value.suggested_filename == "iobeam-1-dev-1-a-and-1-more.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG\r\n")
    with visit.page.expect_download() as download:
        visit.page.click("#csv")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "project_id,device_id,name,time,value"
    assert len(lines) == 41
    assert {line.split(",")[2] for line in lines[1:]} == {"a", "big"}
    assert lines[1].split(",")[3].isdigit()
    visit.page.select_option("#csv-times", "iso")
    with visit.page.expect_download() as download:
        visit.page.click("#csv")
    stamped = Path(download.value.path()).read_text().splitlines()
    first = datetime.fromisoformat(stamped[1].split(",")[3].replace("Z", "+00:00"))
    assert round(first.timestamp() * 1e6) == int(lines[1].split(",")[3])
    assert [line.split(",")[4] for line in stamped] == [line.split(",")[4] for line in lines]
