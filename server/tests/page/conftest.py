"""A real browser, and what it must never do while a test looks elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from live import Live

HOW = "apt-get install chromium (Debian; other systems: a chromium in PATH)"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",  # CI runs as root, where the sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 60_000
POLL_MS = 50
WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation",
        (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
"""


class Visit:
    """A fresh profile on the page, with a record of all it asked for and complained about."""

    def __init__(self, browser: Any, live: Live, **options: Any) -> None:
        self.live = live
        self.base = f"http://127.0.0.1:{live.port}"
        self.allowed: tuple[str, ...] = ()
        """Complaints that a test provokes, by a part of their text."""
        self.requests: list[Any] = []
        self.complaints: list[str] = []
        options.setdefault("viewport", {"width": 1280, "height": 800})
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(TIMEOUT_MS)
        self.context.on("request", lambda request: self.requests.append(request))
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._on_console)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self) -> None:
        self.page.goto(self.base + "/")

    def sign_in(self, token: str = "") -> None:
        self.open()
        self.page.fill("#token", token or self.live.token)
        self.page.keyboard.press("Enter")

    def option(self, box: str, name: str) -> Any:
        """Return the item of a list whose name is exactly this."""
        # not by a selector with the text in it: names hold every character there is
        for option in self.page.locator(f"#{box} [role=option]").all():
            if option.locator("bdi").text_content() == name:
                return option
        raise AssertionError(f"{name!r} is not in #{box}")

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until an element shows this text somewhere."""
        shown: list[str] = []

        def is_there() -> bool:
            shown[:] = self.page.locator(selector).all_text_contents()
            return any(text in each for each in shown)

        self.until(is_there, lambda: f"no {selector} has {text!r}, but {shown}")

    def until(self, holds: Callable[[], Any], complaint: Callable[[], str]) -> None:
        """Ask again until something holds.

        Not `wait_for_function`: that evaluates a string inside the page again and
        again, which the page's own policy forbids.
        """
        deadline = time.monotonic() + TIMEOUT_MS / 1_000
        while not holds():
            assert time.monotonic() < deadline, complaint()
            self.page.wait_for_timeout(POLL_MS)

    def asked(self, part: str) -> list[str]:
        return [request.url for request in self.requests if part in request.url]

    def ink(self, line: int = 0) -> int:
        """Count the pixels of the chart in the colour of a line, the first of all."""
        self.allowed = (*self.allowed, "willReadFrequently")  # the browser's advice about this
        count: int = self.page.evaluate(
            """(line) => {
                const canvas = document.querySelector("#chart canvas");
                if (!canvas || canvas.width === 0) return 0;
                const style = getComputedStyle(document.documentElement);
                const hex = style.getPropertyValue(`--line-${line}`).trim().slice(1);
                const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
                const { data } = canvas.getContext("2d")
                    .getImageData(0, 0, canvas.width, canvas.height);
                let found = 0;
                for (let i = 0; i < data.length; i += 4)
                    found += data[i] === r && data[i + 1] === g && data[i + 2] === b;
                return found;
            }""",
            line,
        )
        return count

    def check(self) -> None:
        """What holds for every visit, whatever the test is about."""
        for request in self.requests:
            assert request.url.startswith((self.base + "/", f"blob:{self.base}/")), request.url
            assert "eyJ" not in request.url  # how every token begins
        assert self.page.evaluate("window.violations") == []
        bad = [c for c in self.complaints if not any(part in c for part in self.allowed)]
        assert bad == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Per module, not per session: Playwright keeps an event loop in this thread meanwhile.
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"there is no chromium here; to run the tests of the page: {HOW}")
    api = pytest.importorskip(
        "playwright.sync_api", reason="there is no playwright here: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any, live: Live) -> Iterator[Visit]:
    visiting = Visit(browser, live)
    yield visiting
    visiting.check()
    visiting.context.close()


@pytest.fixture
def phone(browser: Any, live: Live) -> Iterator[Visit]:
    visiting = Visit(browser, live, viewport={"width": 360, "height": 740}, has_touch=True)
    yield visiting
    visiting.check()
    visiting.context.close()
