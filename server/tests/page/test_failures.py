"""The page in a real browser, when something is wrong."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Optional

import pytest
from live import TIMEOUT_S, Live

from iobeam_server.backend import Backend
from iobeam_server.config import Config
from iobeam_server.rights.tokens import READ, WRITE, TokenSigner


def signer(live: Live, age_s: float = 0) -> TokenSigner:
    return TokenSigner(live.backend.store.keys.signing(), lambda: time.time() - age_s)


def assert_signed_out(visit: Any) -> None:
    assert visit.page.locator("#token").is_visible()
    assert not visit.page.locator("#view").is_visible()
    assert visit.page.evaluate("sessionStorage.length") == 0
    assert visit.page.evaluate("document.activeElement.id") == "token"
    assert visit.page.get_attribute("#token", "aria-invalid") == "true"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "Paste a project token"),
        ("nonsense", "not a token"),
        ("a.b.c", "cannot be decoded"),
        ("ü.ü.ü", "not a token"),
        ("e30.e30.e30", "names no project"),
        (None, "names no project"),  # a user token
    ],
)
def test_what_is_no_project_token_is_never_sent(
    visit: Any, live: Live, text: Optional[str], answer: str
) -> None:
    if text is None:
        text, _ = signer(live).issue(0, 7, 60, user_id=1)
    visit.open()
    visit.page.fill("#token", text)
    visit.page.keyboard.press("Enter")
    visit.wait_for("#token-error", answer)
    assert_signed_out(visit)
    assert visit.asked("/v1/") == []


def test_wrong_expired_and_good_token_in_turn(visit: Any, live: Live) -> None:
    visit.allowed = ("401",)  # the browser itself reports them
    other, _ = TokenSigner([b"another server's key, 32 bytes.."]).issue(1, 7, 60)
    expired, _ = signer(live, age_s=120).issue(1, 7, 60)
    visit.open()
    for token, answer in ((other, "does not accept this token"), (expired, "has expired")):
        visit.page.fill("#token", token)
        visit.page.click("#sign-in-button")
        visit.wait_for("#token-error", answer)
        assert_signed_out(visit)
    visit.page.fill("#token", f"  Bearer {live.token}\n")
    visit.page.click("#sign-in-button")
    visit.page.wait_for_selector("#view", state="visible")
    assert visit.page.input_value("#token") == ""


def test_token_without_read_is_told_what_it_lacks(visit: Any, live: Live) -> None:
    visit.allowed = ("403",)
    visit.sign_in(live.make_token(WRITE))
    visit.wait_for("#notice", "lacks the permission to read")
    visit.page.click("#sign-out")
    assert visit.page.text_content("#notice") == ""
    visit.page.fill("#token", live.make_token(READ))
    visit.page.click("#sign-in-button")
    visit.wait_for("#devices small", "nothing sent yet")
    assert visit.page.text_content("#notice") == ""


def test_token_revoked_meanwhile_leads_back_to_the_form(visit: Any, live: Live) -> None:
    visit.allowed = ("401",)
    live.send(["time", "load"], [[int(time.time() * 1e6), 1]])
    visit.sign_in()
    visit.wait_for("#caption", "1 point")
    live.backend.store.keys.revoke(1, None)
    visit.wait_for("#token-error", "revoked")
    assert_signed_out(visit)
    assert "load" not in visit.page.text_content("#series")


def test_token_expired_before_a_reload_leads_back_to_the_form(visit: Any, live: Live) -> None:
    visit.allowed = ("401",)
    expired, _ = signer(live, age_s=120).issue(1, 7, 60)
    visit.page.add_init_script(f"sessionStorage.setItem('iobeam-token', '{expired}')")
    visit.open()
    visit.wait_for("#token-error", "has expired")
    assert visit.page.locator("#token").is_visible()


def test_backend_that_goes_and_comes_back(visit: Any, live: Live, tmp_path: Path) -> None:
    visit.allowed = ("ERR_CONNECTION", "ERR_EMPTY", "ERR_NETWORK")
    end = int(time.time() * 1e6)
    live.send(["time", "load"], [[end - i, i] for i in range(3)])
    visit.sign_in()
    visit.wait_for("#caption", "3 points")
    live.backend.stop()
    visit.wait_for("#connection", "The backend does not answer. Trying again")
    visit.wait_for("#caption", "3 points")  # what was there stays
    with Backend(f"sqlite:///{tmp_path / 'live.db'}", Config(port=live.port, threads=8)) as again:
        thread = again.start()
        try:
            Live(again).send(["time", "load"], [[end + 1, 7]])
            visit.wait_for("#connection", "The backend is back.")
            visit.wait_for("#caption", "4 points")
            visit.check()
            visit.page.goto("about:blank")  # its connections end before the server does
        finally:
            again.stop()
            thread.join(TIMEOUT_S)
    visit.page.evaluate("window.violations = []")


@pytest.mark.parametrize("status", [429, 500, 502])
def test_failing_backend_is_asked_again_and_signing_in_says_so(
    visit: Any, live: Live, status: int
) -> None:
    visit.allowed = (str(status),)
    live.send(["time", "load"], [[int(time.time() * 1e6), 1]])
    visit.open()
    visit.page.route(
        "**/v1/**", lambda route: route.fulfill(status=status, body="<h1>a proxy's words</h1>")
    )
    visit.page.fill("#token", live.token)
    visit.page.click("#sign-in-button")
    visit.wait_for("#token-error", f"The answer was {status}")
    visit.page.unroute("**/v1/**")
    visit.page.click("#sign-in-button")
    visit.wait_for("#caption", "1 point")
    visit.page.route("**/v1/exports/**", lambda route: route.fulfill(status=status, body=""))
    visit.wait_for("#connection", f"The answer was {status}. Trying again")
    visit.page.unroute("**/v1/exports/**")
    visit.wait_for("#connection", "The backend is back")


def test_a_question_that_took_too_long_is_asked_again(visit: Any, live: Live) -> None:
    """What was summed up for it meanwhile is kept."""
    visit.allowed = ("422",)
    live.send(["time", "load"], [[int(time.time() * 1e6), 1]])
    refusal = '{"errors": [{"code": 3, "message": "it took more than 30 s"}]}'
    visit.open()
    visit.page.route(
        "**/v1/summaries/**", lambda route: route.fulfill(status=422, body=refusal)
    )
    visit.sign_in()
    visit.wait_for("#connection", "it took more than 30 s Trying again")
    visit.page.unroute("**/v1/summaries/**")
    visit.wait_for("#caption", "1 point")
    visit.wait_for("#connection", "The backend is back")


def test_failed_download_is_told(visit: Any, live: Live) -> None:
    visit.allowed = ("ERR_FAILED",)
    live.send(["time", "load"], [[int(time.time() * 1e6), 1]])
    visit.sign_in()
    visit.wait_for("#caption", "1 point")
    visit.page.route("**output=csv**", lambda route: route.abort())
    visit.page.click("#csv")
    visit.wait_for("#notice", "does not answer")
    visit.page.wait_for_selector("#csv:enabled")


def test_without_the_chart_script_the_table_is_shown(visit: Any, live: Live) -> None:
    visit.allowed = ("ERR_FAILED",)
    visit.page.route("**/uPlot.iife.js", lambda route: route.abort())
    live.send(["time", "load"], [[int(time.time() * 1e6), 12.25]])
    visit.sign_in()
    visit.wait_for("#caption", "script is missing")
    visit.wait_for("#rows", "12.25")
    assert visit.page.locator("#rows td").first.is_visible()


def test_script_put_into_the_page_is_not_run(visit: Any) -> None:
    visit.open()
    visit.allowed = ("Content Security Policy", "TrustedHTML", "requires")
    ran = visit.page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.textContent = "window.ran = true"; } catch {}
            document.body.append(script);
            try { document.body.innerHTML = "<img src=x onerror='window.ran = true'>"; } catch {}
            return window.ran ?? null;
        }"""
    )
    assert ran is None
    assert len(visit.page.evaluate("window.violations.splice(0)")) >= 1
