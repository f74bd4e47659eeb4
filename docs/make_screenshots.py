"""Write the pictures of the backend's page: docs/page*.png.

    python docs/make_screenshots.py

Takes what `make test` takes: playwright, and a Chromium on the path. A backend is started for
it, with a day of made readings of a greenhouse: an outage in the night, a door, a counter; and
with a well that has fallen silent.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from iobeam import iobeam
from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.tokens import READ, WRITE
from playwright.sync_api import Browser, sync_playwright

DOCS = Path(__file__).resolve().parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
MINUTE_MS = 60_000
DAY = 24 * 60  # minutes
OUTAGE = range(300, 420)  # minutes without a network, and no buffer


class Picture(NamedTuple):
    """A picture, and how its browser is."""

    name: str
    width: int
    height: int
    scheme: str


PICTURES = [
    Picture("page.png", 1100, 720, "light"),
    Picture("page-dark.png", 1100, 720, "dark"),
    Picture("page-phone.png", 360, 740, "light"),
    Picture("page-phone-dark.png", 360, 740, "dark"),
]


def send_readings(base: str, token: str) -> None:
    """Send a day of a greenhouse, an hour of a cellar, and of a well what came before noon."""
    now = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
    for device, minutes in (
        ("well-3", range(DAY - 500, DAY - 200)),
        ("cellar-2", range(DAY - 60, DAY)),
        ("greenhouse-1", range(DAY)),
    ):
        client = iobeam.ClientBuilder(1, token).setBackend(base).registerOrSetId(device).build()
        store = client.createDataStore(["temperature", "humidity", "door", "litres"])
        for minute in minutes:
            if minute in OUTAGE:
                continue
            turn = 2 * math.pi * (minute / DAY - 0.3)
            temperature = 19 + 6 * math.sin(turn) + 0.4 * math.sin(minute / 7)
            store.add(
                now - (DAY - minute) * MINUTE_MS,
                {
                    "temperature": round(temperature, 2),
                    "humidity": round(58 - 9 * math.sin(turn) + 0.6 * math.sin(minute / 11), 1),
                    "door": minute % 360 < 20,
                    "litres": 75_606_278_144 + 12_345 * minute,
                },
            )
        client.send()
        client.close()


def take(browser: Browser, url: str, token: str, picture: Picture) -> None:
    """Sign in, look at the day of the greenhouse, and take the picture."""
    context: Any = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,
        timezone_id="UTC",
    )
    page = context.new_page()
    more = "&and=greenhouse-1%2Fhumidity&and=greenhouse-1%2Fdoor"
    page.goto(f"{url}/#device=greenhouse-1&series=temperature{more}&last=86400")
    page.fill("#token", token)
    page.keyboard.press("Enter")
    page.locator("#caption", has_text="3 series from").wait_for()
    page.locator("#series svg:not(.none)").first.wait_for()
    page.locator("#series [aria-selected=true]", has_text="temperature").wait_for()
    if picture.width < 500:
        page.locator("#chart-panel").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('#chart-panel').scrollIntoView()")
    page.screenshot(path=DOCS / picture.name)
    context.close()


def main() -> None:
    """Take all of them."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sys.exit(f"there is no browser: install one of {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        with Backend(f"sqlite:///{folder}/pictures.db", Config(port=0)) as backend:
            thread = backend.start()
            try:
                token = issue_token(backend.store, 1, READ | WRITE, 3600, None, True)
                send_readings(f"{backend.server.url}/v1/", token)
                browser = play.chromium.launch(executable_path=program, args=FLAGS)
                for picture in PICTURES:
                    take(browser, backend.server.url, token, picture)
                    print(f"wrote {picture.name}")
                browser.close()
            finally:
                backend.stop()
                thread.join()


if __name__ == "__main__":
    main()
