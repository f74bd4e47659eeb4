"""What there is at a glance: who is silent, who sends, what a series looked like."""

from __future__ import annotations

from typing import Any

from live import Live

from tests.page.test_page import now_us, rows

S = 1_000_000
MINUTE = 60 * S


def names(visit: Any, box: str = "devices") -> list[str]:
    found: list[str] = visit.page.locator(f"#{box} [role=option] bdi").all_text_contents()
    return found


def shows(visit: Any, expected: list[str]) -> None:
    visit.until(lambda: names(visit) == expected, lambda: f"{names(visit)} is shown")


def old(ago_us: int, step_us: int = MINUTE) -> list[list[int]]:
    newest = now_us() // 1_000 * 1_000 + 551 - ago_us  # times have microseconds
    return [[newest - n * step_us, n] for n in range(5)]


def fill(live: Live) -> None:
    live.call("DELETE", "/v1/devices/dev-1")
    for name in ("busy", "lost", "gone"):
        live.register(name)
    live.send(["time", "load"], rows(4), device="busy")
    live.send(["time", "temp"], old(3_600 * S), device="lost")
    live.send(["time", "rain"], old(7_200 * S), device="gone")


def test_silent_devices_stand_first_and_the_one_that_sends_is_opened(
    visit: Any, live: Live
) -> None:
    fill(live)
    visit.sign_in()
    shows(visit, ["lost", "gone", "busy"])
    visit.wait_for("#silent", "2 devices have fallen silent.")
    visit.wait_for("#series-device", "busy")
    visit.option("devices", "gone").click()
    visit.wait_for("#series [role=option]", "rain")
    assert visit.option("devices", "gone").locator(".value").text_content() == "silent"
    lost = visit.option("devices", "lost")
    assert lost.text_content().startswith("lostsilent1 hour ago")
    assert visit.option("devices", "busy").locator(".value").text_content() == ""
    live.send(["time", "temp"], rows(1), device="lost")
    lost.click()  # whose list of series finds out
    visit.until(
        lambda: visit.option("devices", "lost").locator(".value").text_content() == "",
        lambda: "it is still said to be silent",
    )


def test_the_list_follows_what_is_typed(visit: Any, live: Live) -> None:
    fill(live)
    visit.sign_in()
    shows(visit, ["lost", "gone", "busy"])
    visit.page.fill("#find", "RAI")  # a part of the name of a series
    shows(visit, ["gone"])
    visit.page.press("#find", "Enter")
    visit.wait_for("#series-device", "gone")
    visit.page.fill("#find", "nobody")
    shows(visit, [])
    visit.wait_for("#devices-empty:not([hidden])", "Nothing has that in its id, name")
    visit.page.fill("#find", "")
    shows(visit, ["lost", "gone", "busy"])


def test_series_have_small_charts_but_texts_and_single_points(visit: Any, live: Live) -> None:
    table = [[now_us() - n * MINUTE, n, n % 2 == 0, "word"] for n in range(30)]
    live.send(["time", "n", "flag", "text"], table)
    live.send(["time", "once"], [[now_us(), 1]])
    visit.sign_in()
    visit.wait_for("#series [role=option]", "once")

    def lines() -> dict[str, int]:
        found = {}
        for name in names(visit, "series"):
            line = visit.option("series", name).locator("polyline")
            found[name] = len((line.get_attribute("points") or "").split())
        return found

    visit.until(
        lambda: lines() == {"n": 30, "flag": 30, "text": 0, "once": 0}, lambda: f"{lines()}"
    )
    points = visit.option("series", "n").locator("polyline").get_attribute("points").split()
    assert points[0] == "0.0,0.0"  # the oldest is the greatest
    assert points[-1] == "100.0,20.0"
    assert visit.option("series", "n").locator("svg").is_visible()
    assert not visit.option("series", "text").locator("svg").is_visible()
