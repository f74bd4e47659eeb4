from __future__ import annotations

import time
from typing import Any

import pytest
from live import Live

from iobeam_server.tokens import READ, WRITE, TokenSigner


def refresh(live: Live, token: Any) -> Any:
    return live.call("POST", "/v1/tokens/project", {"refresh_token": token}, token=None)


def at(live: Live, age_s: float, **claims: Any) -> str:
    """Return a token issued that many seconds ago, with a life of 100 s."""
    signer = TokenSigner(live.backend.store.signing_keys(), lambda: time.time() - age_s)
    return signer.issue(1, READ | WRITE, 100, **claims)[0]


def test_refresh_gives_a_new_life_of_the_same_length(live: Live) -> None:
    answer = refresh(live, at(live, 50))
    assert answer.status == 200
    found = answer.json
    claims = TokenSigner(live.backend.store.signing_keys()).verify(found["token"])
    assert (claims.pid, claims.pms, claims.dur) == (1, READ | WRITE, 100)
    assert claims.exp > time.time() + 90
    assert found["expires"] == time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(claims.exp))
    assert (found["project_id"], found["user_id"]) == (1, 0)
    assert (found["read"], found["write"], found["admin"]) == (True, True, False)


def test_the_old_token_goes_on_working(live: Live) -> None:
    old = live.make_token()
    assert refresh(live, old).status == 200
    assert live.call("GET", "/v1/devices", token=old).status == 200


def test_refresh_until_thirty_days_after_expiry(live: Live) -> None:
    expired = at(live, 200)
    assert live.call("GET", "/v1/devices", token=expired).status == 401
    assert refresh(live, expired).status == 200
    assert refresh(live, at(live, 30 * 86_400)).status == 200
    assert refresh(live, at(live, 30 * 86_400 + 200)).status == 401


def test_padding_and_white_space(live: Live) -> None:
    token = live.make_token()
    padded = ".".join(part + "=" * (-len(part) % 4) for part in token.split("."))
    assert refresh(live, f" {padded}\n").status == 200
    assert live.call("GET", "/v1/devices", token=padded).status == 200


def test_what_cannot_be_refreshed(live: Live) -> None:
    live.register("gone")
    gone = at(live, 0, device_id="gone")
    assert refresh(live, gone).json["device_id"] == "gone"
    live.call("DELETE", "/v1/devices/gone")
    for token in ("", "x", "a.b.c", gone, at(live, 0, refreshable=False), live.token[:-3]):
        answer = refresh(live, token)
        assert (answer.status, answer.error["code"]) == (401, 4)


def test_revocation_counts_for_use_and_refresh(live: Live) -> None:
    old = live.make_token()
    live.backend.store.revoke(1, None, time.time())
    assert live.call("GET", "/v1/devices", token=old).status == 401
    assert refresh(live, old).status == 401
    time.sleep(0.002)  # iat has milliseconds
    assert live.call("GET", "/v1/devices", token=live.make_token()).status == 200


@pytest.mark.parametrize("body", [{}, {"refresh_token": 5}, {"refresh_token": None}, [], "x"])
def test_bad_bodies(live: Live, body: Any) -> None:
    answer = live.call("POST", "/v1/tokens/project", body, token=None)
    assert (answer.status, answer.error["code"]) == (400, 1)
