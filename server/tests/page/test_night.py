"""A page that is left open neither grows nor falls behind."""

from __future__ import annotations

from typing import Any

import pytest
from live import Live

from tests.page.test_page import now_us

S = 1_000_000
ROUNDS = 120
STEP_MS = 60_000  # of the page's own clock: two hours in all


def measured(visit: Any) -> dict[str, float]:
    """Return what the browser counts after it has collected its garbage."""
    browser = visit.context.new_cdp_session(visit.page)
    browser.send("HeapProfiler.collectGarbage")
    browser.send("Performance.enable")
    found = browser.send("Performance.getMetrics")["metrics"]
    browser.detach()
    elements = visit.page.evaluate("document.querySelectorAll('*').length")
    return {"elements": elements, **{one["name"]: one["value"] for one in found}}


def live_on(visit: Any, live: Live, rounds: int) -> None:
    for n in range(rounds):
        live.send(["time", "a", "b"], [[now_us(), n, -n]])
        visit.page.clock.run_for(STEP_MS)
        visit.page.wait_for_load_state("networkidle")


def test_a_night(visit: Any, live: Live) -> None:
    table = [[now_us() - n * 10 * S, n, n] for n in range(1, 100)]
    live.send(["time", "a", "b"], table)
    visit.page.clock.install()
    visit.sign_in()
    visit.wait_for("#caption", "99 points")
    visit.option("series", "b").click(modifiers=["Control"])
    visit.wait_for("#caption", "2 series")
    live_on(visit, live, 20)  # whatever is kept once is there
    before = measured(visit)
    live_on(visit, live, ROUNDS)
    after = measured(visit)
    for name, slack in (("elements", 10), ("JSEventListeners", 40)):
        assert after[name] <= before[name] + slack, (name, before[name], after[name])
    # a point of each round is kept, and nothing else
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 1_000_000, (before, after)
    live.send(["time", "a", "b"], [[now_us(), 7_777, 0]])
    visit.page.clock.run_for(STEP_MS)
    visit.wait_for("#legend-rows", "7,777")
    visit.option("series", "b").click()
    visit.wait_for("#caption", f"{99 + 20 + ROUNDS + 1} points")


@pytest.mark.parametrize("media", ["reduce", "no-preference"])
def test_nothing_moves_by_itself(visit: Any, live: Live, media: Any) -> None:
    live.send(["time", "a"], [[now_us(), 1]])
    visit.page.emulate_media(reduced_motion=media)
    visit.sign_in()
    visit.wait_for("#caption", "1 point")
    moving = visit.page.evaluate("document.getAnimations().length")
    durations = visit.page.evaluate(
        "[...document.querySelectorAll('*')].filter((e) => { const s = getComputedStyle(e);"
        "return parseFloat(s.transitionDuration) > 0 || s.animationName !== 'none' }).length"
    )
    assert (moving, durations) == (0, 0)
