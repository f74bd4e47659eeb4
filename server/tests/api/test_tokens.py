from __future__ import annotations

import time
from typing import Any

import pytest
from live import ALL, Live, add_user, date_of

from iobeam_server.rights.adoption import adopt
from iobeam_server.rights.tokens import READ, WRITE, TokenSigner


def refresh(live: Live, token: Any) -> Any:
    return live.call("POST", "/v1/tokens/project", {"refresh_token": token}, token=None)


def at(live: Live, age_s: float, **claims: Any) -> str:
    """Return a token issued that many seconds ago, with a life of 100 s."""
    signer = TokenSigner(live.backend.store.keys.signing(), lambda: time.time() - age_s)
    return signer.issue(1, READ | WRITE, 100, **claims)[0]


def test_refresh_gives_a_new_life_of_the_same_length(live: Live) -> None:
    answer = refresh(live, at(live, 50))
    assert answer.status == 200
    found = answer.json
    claims = TokenSigner(live.backend.store.keys.signing()).verify(found["token"])
    assert (claims.pid, claims.pms, claims.dur) == (1, READ | WRITE, 100)
    assert claims.exp > time.time() + 90
    assert found["expires"] == date_of(claims.exp)
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
    live.backend.store.keys.revoke(1, None)
    assert live.call("GET", "/v1/devices", token=old).status == 401
    assert refresh(live, old).status == 401
    assert live.call("GET", "/v1/devices", token=live.make_token()).status == 200


@pytest.mark.parametrize("body", [{}, {"refresh_token": 5}, {"refresh_token": None}, [], "x"])
def test_bad_bodies(live: Live, body: Any) -> None:
    answer = live.call("POST", "/v1/tokens/project", body, token=None)
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_expired_tokens_say_so_and_since_when(live: Live) -> None:
    before = int(time.time()) - 100
    token = at(live, 200)
    expired = TokenSigner(live.backend.store.keys.signing()).read(token).exp
    assert before <= expired <= time.time() - 100
    answer = live.call("GET", "/v1/devices", token=token)
    assert answer.status == 401
    assert answer.error["message"].startswith(f"the token has expired, {date_of(expired)}")
    answer = refresh(live, at(live, 31 * 86_400))
    assert answer.error["message"].startswith("the token has expired, ")


def test_a_grant_taken_away_is_taken_from_the_tokens_fetched_with_it(live: Live) -> None:
    ann = add_user(live, "ann", ALL)
    live.register("dev-2")
    for query in ("", "&include_user=false", "&device_id=dev-2", "&read=true&duration=100w"):
        live.backend.store.projects.grant(1, 1, ALL)
        path = f"/v1/tokens/project?project_id=1{query}"
        token = live.call("GET", path, token=ann).json["token"]
        assert live.call("GET", "/v1/devices", token=token).status == 200
        live.backend.store.projects.grant(1, 1, 0)
        answer = live.call("GET", "/v1/devices", token=token)
        assert (answer.status, answer.error["code"]) == (403, 5)
        assert "may no longer" in answer.error["message"]
        assert refresh(live, token).status == 401
        live.backend.store.projects.grant(1, 1, READ)
        assert live.call("GET", "/v1/devices", token=token).status == 200, "granted again"
        refused = live.call("POST", "/v1/devices", {"project_id": 1}, token=token)
        assert refused.status == 403


def test_created_is_when_this_token_was_made(live: Live) -> None:
    old = at(live, 50)
    found = refresh(live, old).json
    signer = TokenSigner(live.backend.store.keys.signing())
    claims, first = signer.read(found["token"]), signer.read(old)
    assert claims.iat == first.iat
    assert found["created"] == date_of(claims.exp - 100)
    assert abs(claims.exp - 100 - time.time()) < 60


def test_an_adopted_token_on_every_route_of_tokens(live: Live) -> None:
    expired = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1aWQiOjcsInBpZCI6MSwiZXhwIjoxNDgzMjI4ODAwfQ."
        + "s" * 43
    )
    assert live.call("GET", "/v1/devices", token=expired).status == 401
    assert refresh(live, expired).status == 401
    store = live.backend.store
    adopt(store, store.keys.signing(), expired, 1, READ | WRITE, None)
    assert live.call("GET", "/v1/devices", token=expired).status == 200
    body = {
        "project_id": 1,
        "device_id": "dev-1",
        "sources": {"fields": ["time", "n"], "data": [[1, 1]]},
    }
    assert live.call("POST", "/v1/imports?fmt=table", body, token=expired).status == 200
    found = refresh(live, f" {expired}\n").json
    assert (found["project_id"], found["user_id"]) == (1, 0)
    assert (found["read"], found["write"], found["admin"]) == (True, True, False)
    assert live.call("GET", "/v1/exports/1", token=found["token"]).status == 200
    assert live.call("GET", "/v1/users/me", token=expired).status == 403
    store.keys.revoke(1, None)
    for token in (expired, found["token"]):
        assert live.call("GET", "/v1/devices", token=token).status == 401
        assert refresh(live, token).status == 401
