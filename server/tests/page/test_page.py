"""The page in a real browser, while everything goes well."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from live import Live

S = 1_000_000  # us


def now_us() -> int:
    return int(time.time() * S)


def rows(count: int, step_us: int = 10 * S, value: Any = float) -> list[list[Any]]:
    """Return points that end now."""
    end = now_us()
    return [[end - i * step_us, value(i % 50)] for i in range(count)]


def visible(page: Any, selector: str) -> bool:
    return bool(page.locator(selector).is_visible())


def test_sign_in_shows_devices_series_and_a_chart(visit: Any, live: Live) -> None:
    live.register("dev-2")
    live.send(["time", "load", "temp"], [[t, v, v] for t, v in rows(120)])
    live.send(["time", "load"], [[now_us() - 7_200 * S, 1]], device="dev-2")
    visit.sign_in()
    visit.wait_for("#caption", "120 points from")
    assert visit.page.text_content("#project") == "Project 1"
    shown = visit.option("devices", "dev-1").text_content()
    assert re.fullmatch(r"dev-1(just now|\d+ seconds? ago)", shown)
    visit.wait_for("#devices small", "2 hours ago")
    assert visit.option("series", "load").get_attribute("aria-selected") == "true"
    assert visit.ink() > 200
    assert "least 0, greatest 49" in visit.page.get_attribute("#chart", "aria-label")
    visit.option("series", "temp").click()
    visit.wait_for("#chart-title", "temp")
    visit.wait_for("#caption", "120 points from")
    visit.page.click("summary")
    assert visit.page.locator("#rows tr").count() == 20
    tokens = {request.headers.get("authorization") for request in visit.requests}
    assert tokens <= {None, f"Bearer {live.token}"}


def test_device_with_nothing_is_said_to_have_sent_nothing(visit: Any, live: Live) -> None:
    visit.sign_in()
    visit.wait_for("#series-empty:not([hidden])", "nothing yet")
    visit.wait_for("#devices small", "nothing sent yet")
    live.send(["time", "load"], rows(3))
    visit.wait_for("#caption", "3 points")  # its first series is opened as it appears


def test_project_without_devices_is_said_to_be_empty(visit: Any, live: Live) -> None:
    assert live.call("DELETE", "/v1/devices/dev-1").status == 204
    visit.sign_in()
    visit.wait_for("#devices-empty:not([hidden])", "No device")


def test_chart_follows_new_data_by_asking_for_what_is_newer(visit: Any, live: Live) -> None:
    live.send(["time", "load"], rows(50))
    visit.sign_in()
    visit.wait_for("#caption", "50 points")
    last = live.points("1/dev-1/load", "limit=1&timefmt=msec")["load"][0][0]
    live.send(["time", "load"], [[now_us(), 1_000.5]])
    visit.wait_for("#caption", "51 points")
    assert "greatest 1,000.5" in visit.page.get_attribute("#chart", "aria-label")
    assert visit.asked(f"from={last}&")
    visit.wait_for("#series .value", "1,000.5")


def test_point_of_another_day_neither_stretches_nor_stops_the_last_hour(
    visit: Any, live: Live
) -> None:
    """One point three days ahead was the newest for three days: nothing after it was asked for."""
    now = now_us()
    live.send(["time", "load"], [*rows(50), [now + 3 * 86_400 * S, 9_999], [5, 8_888]])
    visit.sign_in()
    visit.wait_for("#caption", "50 points")
    live.send(["time", "load"], [[now_us(), 1_000.5]])
    visit.wait_for("#caption", "51 points")
    shown = visit.page.get_attribute("#chart", "aria-label")
    assert "Last 1,000.5" in shown
    assert "9999" not in shown
    drawn = next(url for url in visit.asked("/v1/exports/") if "from=" in url)
    asked = parse_qs(urlsplit(drawn).query)
    assert int(asked["to"][0]) - int(asked["from"][0]) < 3_610_000
    visit.page.select_option("#range", "all")
    visit.wait_for("#strays-text", "One point is of the future")
    visit.wait_for("#caption", "51 points")


def test_nothing_is_asked_while_hidden_and_at_once_when_seen_again(visit: Any, live: Live) -> None:
    live.send(["time", "load"], rows(5))
    visit.page.clock.install()
    visit.sign_in()
    visit.wait_for("#caption", "5 points")
    hide = "document.dispatchEvent(new Event('visibilitychange'))"
    visit.page.evaluate(
        f"Object.defineProperty(document, 'hidden', {{get: () => window.isHidden}});"
        f"window.isHidden = true; {hide}"
    )
    visit.page.wait_for_load_state("networkidle")
    before = len(visit.requests)
    visit.page.clock.run_for(600_000)
    assert len(visit.requests) == before
    live.send(["time", "load"], [[now_us() + S, 1]])
    # no timer can bring it: the clock stands
    with visit.page.expect_request("**/v1/exports/1/dev-1/load?*"):
        visit.page.evaluate(f"window.isHidden = false; {hide}")
    visit.wait_for("#caption", "6 points")


def test_older_points_that_come_late_are_found(visit: Any, live: Live) -> None:
    live.send(["time", "load"], rows(5))
    visit.page.clock.install()
    visit.sign_in()
    visit.wait_for("#caption", "5 points")
    live.send(["time", "load"], [[now_us() - 1_800 * S, 1]])
    for _ in range(25):
        with visit.page.expect_response("**/v1/exports/1/dev-1/load?*"):
            visit.page.clock.run_for(3_100)
        if "6 points" in visit.page.text_content("#caption"):
            break
    visit.wait_for("#caption", "6 points")


def test_time_ranges(visit: Any, live: Live) -> None:
    now = now_us()
    ages = (30, 2 * 3_600, 3 * 86_400, 100 * 86_400)
    live.send(["time", "load"], [[now - age * S, 1.5] for age in ages])
    visit.sign_in()
    visit.wait_for("#caption", "1 point from")
    for choice, points in (("86400", "2 points"), ("604800", "3 points"), ("all", "4 points")):
        visit.page.select_option("#range", choice)
        visit.wait_for("#caption", points)
        assert visit.ink() > 0
    visit.page.select_option("#range", "custom")
    assert visit.page.evaluate("document.activeElement.id") == "from"
    middle = (now - 2 * 3_600 * S) / S
    around = [time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(middle + d)) for d in (-60, 60)]
    visit.page.fill("#from", around[1])
    visit.page.fill("#to", around[0])
    visit.page.click("#custom button")
    visit.wait_for("#range-error", "after From")
    assert visit.page.get_attribute("#to", "aria-invalid") == "true"
    visit.page.fill("#from", "")
    visit.page.click("#custom button")
    visit.wait_for("#range-error", "From is missing")
    visit.page.fill("#from", around[0])
    visit.page.fill("#to", around[1])
    visit.page.click("#custom button")
    visit.wait_for("#caption", "1 point from")
    assert visit.page.text_content("#range-error") == ""
    visit.page.fill("#to", around[0][:-2] + "59")
    visit.page.fill("#from", around[0][:-2] + "58")
    visit.page.click("#custom button")
    visit.wait_for("#caption", "Nothing in this range. The newest point is of")
    assert visit.ink() == 0


def test_range_is_drawn_with_the_mouse(visit: Any, live: Live) -> None:
    live.send(["time", "load"], rows(300))
    visit.sign_in()
    visit.wait_for("#caption", "300 points")
    box = visit.page.locator("#chart .u-over").bounding_box()
    y = box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + box["width"] * 0.5, y)
    visit.wait_for("#readout", ": ")  # the point under the mouse
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=4)
    visit.page.mouse.up()
    caption = visit.page.locator("#caption")
    visit.until(
        lambda: re.match(r"[89]\d points", caption.text_content()), lambda: caption.text_content()
    )
    assert visit.page.input_value("#range") == "custom"
    assert visible(visit.page, "#from")


def test_csv_is_what_the_export_says(visit: Any, live: Live, tmp_path: Path) -> None:
    name = 'load, "quoted" /ü'
    live.send(["time", name], [[t, v / 3] for t, v in rows(2_000, 1)])
    visit.sign_in()
    visit.wait_for("#caption", "2000 points")
    visit.page.select_option("#range", "all")
    visit.wait_for("#caption", "2000 points")
    with visit.page.expect_download() as download:
        visit.page.click("#csv")
    assert download.value.suggested_filename == "iobeam-1-dev-1-load_quoted_.csv"
    saved = tmp_path / "saved.csv"
    download.value.save_as(saved)
    query = "output=csv&timefmt=usec"
    wanted = live.call("GET", f"/v1/exports/1/dev-1/load,%20%22quoted%22%20%2F%C3%BC?{query}").body
    assert saved.read_bytes() == wanted
    assert wanted.count(b"\n") == 2_001
    assert visit.page.is_enabled("#csv")


def test_csv_keeps_to_the_range(visit: Any, live: Live) -> None:
    live.send(["time", "load"], [[now_us() - age * S, 1] for age in (60, 120, 7_200)])
    visit.sign_in()
    visit.wait_for("#caption", "2 points")
    with visit.page.expect_download() as download:
        visit.page.click("#csv")
    assert Path(download.value.path()).read_text().count("\n") == 3


def test_many_points_are_drawn_as_means_between_least_and_greatest(
    visit: Any, live: Live
) -> None:
    # a minute on each value: a line that jumps at every pixel is all half-tones, no ink
    now = now_us()
    table = [[now - i * S // 4, float(i // 240)] for i in range(12_000)]
    live.send(["time", "load"], table)
    visit.sign_in()
    visit.wait_for("#caption", "Mean of each 5 seconds, shaded")
    assert "least 0, greatest 49" in visit.page.get_attribute("#chart", "aria-label")
    assert visit.ink() > 200
    live.send(["time", "load"], [[now_us() + 10 * S, 77]])
    visit.wait_for("#rows", "77")
    visit.page.select_option("#range", "all")
    visit.wait_for("#caption", "Mean of each 5 seconds, shaded")


def test_flags_and_texts(visit: Any, live: Live) -> None:
    base = now_us()
    live.send(["time", "flag", "word"], [[base - i * S, i % 2 == 0, f"w{i}"] for i in range(30)])
    visit.sign_in()
    visit.wait_for("#caption", "30 points")
    assert visit.ink() > 100
    assert visit.option("series", "flag").locator(".value").text_content() == "true"
    visit.option("series", "word").click()
    visit.wait_for("#rows td", "w0")
    assert visit.page.locator("#chart canvas").count() == 0
    assert visit.page.evaluate("document.querySelector('#latest').open") is True


def test_many_flags_are_shares_and_many_texts_are_the_last_of_them(
    visit: Any, live: Live
) -> None:
    base = now_us()
    for start in range(0, 6_000, 3_000):
        table = [[base - i * S // 4, i % 100 < 50, f"w{i}"] for i in range(start, start + 3_000)]
        assert live.send(["time", "flag", "word"], table).status == 200
    visit.sign_in()
    visit.wait_for("#caption", "Share of true points in each 2 seconds, from")
    assert visit.ink() > 100
    # points, not the means that stand for them
    visit.page.click("summary")
    assert set(visit.page.locator("#rows td:last-child").all_text_contents()) == {"true"}
    visit.option("series", "word").click()
    visit.wait_for("#caption", "The last 5000 points from")
    visit.wait_for("#caption", "the CSV has every point")
    visit.wait_for("#rows td", "w19")


def test_axis_is_labelled_in_few_characters(visit: Any) -> None:
    visit.open()
    for numbers, step, labels in (
        ([0, 0.5, 1], 0.5, ["0.0", "0.5", "1.0"]),
        ([-20, 0, 20], 20, ["-20", "0", "20"]),
        ([5_260, 5_280], 20, ["5260", "5280"]),
        ([0, 50_000, 100_000], 50_000, ["0 k", "50 k", "100 k"]),
        ([16e9, 16.5e9], 0.5e9, ["16.0 G", "16.5 G"]),
        ([76_988_600_000, 76_988_700_000], 100_000, ["76.9886 G", "76.9887 G"]),
        ([0, 0.25, 0.3], 0.05, ["0.00", "0.25", "0.30"]),
        ([0, 2e300], 2e300, ["0", "2.00e+300"]),
        ([0, 2e-9], 2e-9, ["0", "2.00e-9"]),
        # a counter of many digits
        ([1e15 + 350, 1e15 + 400], 50, ["1e15\n+350", "+400"]),
        ([1e15 - 50, 1e15], 50, ["9.99999999999e14\n+950", "+1,000"]),
        ([-1e15 + 350, -1e15 + 400], 50, ["-1e15\n+350", "+400"]),
        ([75_624_000_001, 75_624_000_002], 1, ["7.5624e10\n+1", "+2"]),
    ):
        made = visit.page.evaluate(
            "async ([n, s]) => (await import('/page/format.js')).axisLabels(n, s)", [numbers, step]
        )
        assert made == labels


def test_integers_beyond_doubles_are_marked_as_rounded(visit: Any, live: Live) -> None:
    live.send(["time", "big"], [[now_us(), 2**62 + 1]])
    visit.sign_in()
    visit.wait_for("#series .value", "4.61169e+18")
    assert "≈ 4611686018427388000" in visit.option("series", "big").get_attribute("title")
    visit.wait_for("#rows", "≈ 4611686018427388000")


def test_whole_walk_by_keyboard(visit: Any, live: Live) -> None:
    live.register("dev-2")
    for device in ("dev-1", "dev-2"):
        live.send(["time", "a", "b"], [[t, v, v] for t, v in rows(10)], device=device)
    keys = visit.page.keyboard
    visit.open()
    assert focus(visit) == "token"
    keys.type(live.token)
    keys.press("Enter")
    visit.wait_for("#caption", "10 points")
    assert focus(visit) == "devices-title"
    walk(visit, "find", "BUTTON", "dev-1")
    keys.press("ArrowDown")
    assert focus(visit) == "dev-2"
    keys.press("Enter")
    visit.wait_for("#series-device", "dev-2")
    visit.wait_for("#caption", "10 points")
    walk(visit, "add", "a")
    keys.press("End")
    assert focus(visit) == "b"
    keys.press(" ")
    visit.wait_for("#chart-title", "b")
    visit.wait_for("#caption", "10 points")
    walk(visit, "range")
    keys.press("ArrowDown")
    assert visit.page.input_value("#range") == "21600"
    visit.wait_for("#caption", "10 points")
    walk(visit, "utc", "csv-times", "csv")
    with visit.page.expect_download():
        keys.press("Enter")
    visit.page.wait_for_selector("#csv:enabled")
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.locator("#csv").focus()
    walk(visit, "earlier", "later", "nearer", "farther", "png", "SUMMARY")
    keys.press("Enter")
    visit.page.wait_for_selector("#rows tr >> visible=true")
    # and back to the top: the way out
    visit.page.locator("#find").focus()
    keys.press("Shift+Tab")
    assert focus(visit) == "sign-out"
    keys.press("Enter")
    visit.page.wait_for_selector("#token", state="visible")
    assert focus(visit) == "token"


def walk(visit: Any, *stops: str) -> None:
    """Press Tab; each stop has to be this one, and to be seen."""
    for stop in stops:
        visit.page.keyboard.press("Tab")
        assert focus(visit) == stop
        outline = visit.page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement);"
            "return [s.outlineStyle, parseFloat(s.outlineWidth)] })()"
        )
        assert outline == ["solid", 3], stop


def focus(visit: Any) -> str:
    return str(
        visit.page.evaluate(
            "(() => { const e = document.activeElement;"
            "return e.id || e.querySelector('bdi')?.textContent || e.tagName })()"
        )
    )


def test_skip_link_leads_to_the_chart(visit: Any, live: Live) -> None:
    live.send(["time", "a"], rows(3))
    visit.sign_in()
    visit.wait_for("#caption", "3 points")
    visit.page.locator(".skip").focus()
    assert visit.page.locator(".skip").bounding_box()["x"] >= 0
    visit.page.keyboard.press("Enter")
    walk(visit, "range")


def test_every_control_has_a_name(visit: Any, live: Live) -> None:
    live.send(["time", "a"], rows(3))
    visit.sign_in()
    visit.wait_for("#caption", "3 points")
    visit.page.select_option("#range", "custom")
    for control in visit.page.locator("input, select, button").all():
        if control.is_visible():
            name = control.evaluate("(e) => e.labels?.[0]?.textContent || e.textContent")
            assert name.strip(), control
    for box in visit.page.locator("[role=listbox]").all():
        assert box.evaluate("(e) => document.getElementById(e.getAttribute('aria-labelledby'))")


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}}",
    "a/b?limit=1#x&y=%2F%00",
    "../../tokens",
    "..",
    ".",
    "slash/",
    "__proto__",
    "\u202eright to left",
    "very" * 60,
]


def test_hostile_names_are_text_on_a_phone_too(phone: Any, live: Live) -> None:
    script = HOSTILE[0]
    device = {"project_id": 1, "device_id": "a-1", "device_name": script, "device_type": script}
    assert live.call("POST", "/v1/devices", device).status == 201
    now = now_us()
    table = [[now - i * S, *[i] * len(HOSTILE), script] for i in range(3)]
    assert live.send(["time", *HOSTILE, "text"], table, device="a-1").status == 200
    visit = phone
    visit.sign_in()
    visit.wait_for("#series .value", script)
    assert visit.option("devices", script).get_attribute("aria-selected") == "true"
    assert visit.page.text_content("#series-device") == script
    for name in [*HOSTILE, "text"]:
        visit.option("series", name).click()
        visit.wait_for("#caption", "3 points")
        assert visit.page.text_content("#chart-title") == name
        assert_no_sideways_scrolling(visit)
    assert visit.page.locator("img, #view script").count() == 0


def assert_no_sideways_scrolling(visit: Any) -> None:
    wide, shown = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= shown


def test_long_text_takes_a_few_lines_and_stays_where_it_was_scrolled_to(
    phone: Any, live: Live
) -> None:
    visit = phone
    end = now_us()
    live.send(["time", "log"], [[end, "line\n" * 500 + "x" * 5_000], [end - S, "short"]])
    visit.sign_in()
    visit.wait_for("#rows td", "short")
    assert_no_sideways_scrolling(visit)
    text = visit.page.locator("#rows div").first
    assert text.bounding_box()["height"] < 150
    time_of_short = visit.page.locator("#rows tr:last-child td").first
    assert time_of_short.bounding_box()["height"] < 60  # two lines: day and time
    assert text.evaluate("(e) => { e.scrollTop = 1000; return e.scrollTop; }") == 1_000
    with visit.page.expect_response("**/v1/exports/1/dev-1/log?*") as followed:
        pass
    followed.value.finished()
    visit.wait_for("#series small", "seconds ago")
    assert text.evaluate("(e) => e.scrollTop") == 1_000
    live.send(["time", "log"], [[end + S, "newer"]])
    visit.wait_for("#rows tr:first-child", "newer")


def test_name_that_no_address_can_hold_has_no_csv(visit: Any, live: Live) -> None:
    live.send(["time", ".."], rows(3))
    visit.sign_in()
    visit.wait_for("#caption", "3 points")
    visit.page.click("#csv")
    visit.wait_for("#caption", "iobeam-server export")


def test_phone_never_scrolls_sideways(phone: Any, live: Live) -> None:
    live.send(["time", "load"], [[t, v * 1e12] for t, v in rows(60)])
    visit = phone
    visit.open()
    assert_no_sideways_scrolling(visit)
    visit.sign_in()
    visit.wait_for("#caption", "60 points")
    assert visit.ink() > 100
    assert_no_sideways_scrolling(visit)
    visit.page.select_option("#range", "custom")
    visit.page.click("summary")
    assert_no_sideways_scrolling(visit)
    hit = "#view button, #view select, #view input:not([type=checkbox]), #view label.box"
    for control in visit.page.locator(hit).all():
        if control.is_visible():
            assert control.bounding_box()["height"] >= 40  # what a thumb hits
    visit.page.set_viewport_size({"width": 1280, "height": 800})
    width = "document.querySelector('.uplot').clientWidth"
    visit.until(lambda: visit.page.evaluate(width) > 400, lambda: "the chart stays narrow")


def test_dark_and_light_follow_the_system(visit: Any, live: Live) -> None:
    live.send(["time", "load"], rows(60))
    visit.page.emulate_media(color_scheme="light")
    visit.sign_in()
    visit.wait_for("#caption", "60 points")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = visit.page.evaluate(ground)
    visit.page.emulate_media(color_scheme="dark")
    assert visit.page.evaluate(ground) != light
    # in the other colour: the canvas was drawn again, with the next frame
    visit.until(lambda: visit.ink() > 100, lambda: "the chart has the old colours")


def test_device_token_shows_its_device_only(visit: Any, live: Live) -> None:
    live.register("dev-2")
    live.send(["time", "load"], rows(4), device="dev-2")
    visit.sign_in(live.make_token(device="dev-2"))
    visit.wait_for("#caption", "4 points")
    assert visit.page.locator("#devices [role=option]").count() == 1
    assert visit.page.text_content("#project") == "Project 1, device dev-2"


def test_many_devices_come_in_pages_and_the_work_is_bounded(visit: Any, live: Live) -> None:
    for i in range(70):
        live.register(f"many-{i:03d}")
    live.send(["time", "load"], rows(4), device="many-069")
    visit.sign_in()
    visit.wait_for("#page-number", "1 to 50 of 71")
    first = visit.page.locator("#devices [role=option]").first
    assert first.locator("bdi").text_content() == "many-069"
    visit.page.click("#next")
    visit.wait_for("#page-number", "51 to 71 of 71")
    visit.page.click("#previous")
    visit.wait_for("#page-number", "1 to 50 of 71")
    assert {url.split("?")[0].partition("/v1/")[2] for url in visit.asked("/v1/exports/")} == {
        "exports/1/many-069",
        "exports/1/many-069/load",
    }
    assert len(visit.asked("/v1/activity/1")) <= 5


def test_find_opens_by_id_by_name_and_what_is_no_longer_registered(
    visit: Any, live: Live
) -> None:
    device = {"project_id": 1, "device_id": "x-1", "device_name": "Living room"}
    live.call("POST", "/v1/devices", device)
    live.send(["time", "load"], rows(4), device="x-1")
    live.register("gone")
    live.send(["time", "load"], rows(7), device="gone")
    live.call("DELETE", "/v1/devices/gone")
    visit.allowed = ("404",)  # the browser itself reports them
    visit.sign_in()
    for text, shown, points in (
        ("Living room", "Living room", "4 points"),
        ("gone", "gone", "7 points"),
        ("x-1", "Living room", "4 points"),
    ):
        visit.page.fill("#find", text)
        visit.page.press("#find", "Enter")
        visit.wait_for("#series-device", shown)
        visit.wait_for("#caption", points)
    visit.page.fill("#find", "nobody")
    visit.page.press("#find", "Enter")
    visit.wait_for("#find-error", "no such device")
    visit.page.fill("#find", "all")
    visit.page.press("#find", "Enter")
    visit.wait_for("#find-error", "no such device")


def test_reload_stays_signed_in_and_sign_out_clears(visit: Any, live: Live) -> None:
    live.send(["time", "secret-series"], rows(4))
    visit.sign_in()
    visit.wait_for("#caption", "4 points")
    visit.page.reload()
    visit.wait_for("#caption", "4 points")
    visit.page.click("#sign-out")
    assert visible(visit.page, "#token")
    assert visit.page.input_value("#token") == ""
    assert visit.page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    assert "secret-series" not in visit.page.content()
    assert "dev-1" not in visit.page.content()
    visit.page.wait_for_load_state("networkidle")
    before = len(visit.requests)
    with pytest.raises(Exception, match="Timeout"):
        visit.page.wait_for_event("request", timeout=4_000)  # longer than it waits between two
    assert len(visit.requests) == before
    visit.page.reload()
    assert visible(visit.page, "#token")
    assert visit.context.cookies() == []
