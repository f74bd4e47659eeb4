"""Accounts: invites, names, passwords (wire notes 5.12, 5.15)."""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from live import ALL, Answer, Live, add_user, date_of

from iobeam_server.api.users import digest_of
from iobeam_server.rights.tokens import READ, TokenSigner


def invite(live: Live, text: str = "welcome", life_s: int = 600) -> str:
    live.backend.store.users.add_invite(digest_of(text), int(time.time()) + life_s)
    return text


def create(live: Live, **more: Any) -> Answer:
    body = {"email": "eve@example.org", "password": "secret", "invite": "welcome", **more}
    return live.call("POST", "/v1/users", body, token=None)


def sign_in(live: Live, name: str, password: str) -> Answer:
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    return live.call("GET", "/v1/tokens/user", token=None, headers=headers)


def test_an_invite_makes_one_user(live: Live) -> None:
    invite(live)
    answer = create(live, username="eve", first_name="Eve", company_name="Ö")
    assert answer.status == 201
    user = answer.json
    assert user == {
        "user_id": user["user_id"],
        "username": "eve",
        "email": "eve@example.org",
        "first_name": "Eve",
        "company_name": "Ö",
    }
    token = sign_in(live, "eve", "secret").json["token"]
    assert live.call("GET", "/v1/users/me", token=token).json == user
    again = create(live, email="other@example.org", username="other")
    assert (again.status, again.error["code"]) == (403, 5), "used up"


def test_without_a_user_name_the_email_is_one(live: Live) -> None:
    invite(live)
    assert create(live).json["username"] == "eve@example.org"


@pytest.mark.parametrize("given", ["", "wrong", "old"])
def test_invites_that_are_not_good(live: Live, given: str) -> None:
    invite(live, "old", life_s=-1)
    answer = create(live, invite=given)
    assert (answer.status, answer.error["code"]) == (403, 5)


@pytest.mark.parametrize(
    "taken", [{"email": "ann@example.org"}, {"email": "ANN@Example.org"}, {"username": "Ann"}]
)
def test_names_that_are_taken_leave_the_invite_good(live: Live, taken: Any) -> None:
    add_user(live, "ann")
    invite(live)
    answer = create(live, **taken)
    assert (answer.status, answer.error["code"]) == (422, 33)
    assert create(live).status == 201


@pytest.mark.parametrize(
    "bad",
    [{"email": ""}, {"email": "x"}, {"email": "a b@c"}, {"email": "a:b@c.d"}, {"email": None},
     {"email": "a\r\nX: y@c.d"}, {"email": "a" * 250 + "@b.org"}, {"username": " "},
     {"username": "a:b"}, {"username": "\0"}, {"password": ""}, {"password": "x" * 1025},
     {"password": 5}, {"password": None}, {"first_name": "x" * 257}, {"invite": None}],
)  # fmt: skip
def test_bad_creations(live: Live, bad: Any) -> None:
    invite(live)
    answer = create(live, **bad)
    assert (answer.status, answer.error["code"]) == (400, 1)
    assert create(live).status == 201, "the invite is still good"


@pytest.mark.parametrize("name", ["ann", "ann@example.org", "ANN@example.ORG"])
def test_signing_in_by_name_or_email(live: Live, name: str) -> None:
    add_user(live, "ann")
    by_header = sign_in(live, name, "ann")
    by_query = live.call("GET", f"/v1/tokens/user?name={quote(name)}&password=ann", token=None)
    for answer in (by_header, by_query):
        assert answer.status == 200
        found = answer.json
        assert set(found) == {"token", "expires", "created", "user_id"}  # Java demands three
        claims = TokenSigner(live.backend.store.keys.signing()).verify(found["token"])
        assert (claims.uid, claims.pid) == (found["user_id"], 0)
        assert found["expires"] == date_of(claims.exp)


@pytest.mark.parametrize(
    "header",
    ["Basic " + base64.b64encode(pair).decode() for pair in (b"ann:no", b"no:ann", b"ann:", b"ann",
     b":", b"", b"ann:" + b"x" * 2000, b"\xff:\xff")] + ["Basic ann:ann", "Basic", "Bearer x"],
)  # fmt: skip
def test_a_wrong_pair_and_a_wrong_header_answer_401(live: Live, header: str) -> None:
    add_user(live, "ann")
    answer = live.call("GET", "/v1/tokens/user", token=None, headers={"Authorization": header})
    assert (answer.status, answer.error["code"]) == (401, 4)


def test_many_people_sign_in_at_the_same_moment(live: Live) -> None:
    names = [f"user{i}" for i in range(8)]
    for name in names:
        add_user(live, name)
    together = threading.Barrier(3 * len(names))

    def enter(name: str) -> int:
        together.wait(60)
        return sign_in(live, name, name).status

    with ThreadPoolExecutor(3 * len(names)) as pool:
        assert set(pool.map(enter, 3 * names)) == {200}


def test_change_of_names(live: Live) -> None:
    token = add_user(live, "ann")
    answer = live.call("PATCH", "/v1/users/me", {"first_name": "Ann", "username": "Anna"}, token)
    assert (answer.status, answer.json["first_name"]) == (200, "Ann")
    assert live.call("GET", "/v1/users/me", token=token).json["username"] == "Anna"
    for body in ({}, {"first_name": "Ann"}, {"email": None}):
        answer = live.call("PATCH", "/v1/users/me", body, token)
        assert (answer.status, answer.body) == (204, b"")
    add_user(live, "bob")
    answer = live.call("PATCH", "/v1/users/me", {"username": "bob"}, token)
    assert (answer.status, answer.error["code"]) == (422, 33)


def test_what_another_process_changed_is_not_written_back(live: Live) -> None:
    token = add_user(live, "ann")
    assert live.call("GET", "/v1/users/me", token=token).status == 200
    with live.backend.store.writing() as sql:  # nobody in this process is told
        sql.execute("UPDATE users SET first_name = ?", "Anna")
    answer = live.call("PATCH", "/v1/users/me", {"last_name": "Lee"}, token)
    assert answer.status == 200
    assert (answer.json["first_name"], answer.json["last_name"]) == ("Anna", "Lee")
    assert live.call("GET", "/v1/users/me", token=token).json["first_name"] == "Anna"


def test_a_new_password_needs_the_old_one_and_ends_all_tokens(live: Live) -> None:
    token = add_user(live, "ann")
    for query in ("", "?old_password=", "?old_password=no"):
        answer = live.call("PATCH", f"/v1/users/me{query}", {"password": "new"}, token)
        assert (answer.status, answer.error["code"]) == (403, 5)
    answer = live.call("PATCH", "/v1/users/me?old_password=ann", {"password": "new"}, token)
    assert answer.status == 200
    assert live.call("GET", "/v1/users/me", token=token).status == 401
    assert sign_in(live, "ann", "ann").status == 401
    fresh = sign_in(live, "ann", "new").json["token"]
    assert live.call("GET", "/v1/users/me", token=fresh).status == 200


def test_people_of_shared_projects_can_be_found_and_no_others(live: Live) -> None:
    ann = add_user(live, "ann", ALL)
    add_user(live, "bob", READ)
    live.backend.store.projects.create("two", 0)
    add_user(live, "eve", ALL, project=2)
    for name in ("bob", "BOB@example.org"):
        answer = live.call("GET", f"/v1/users?name={quote(name)}", token=ann)
        assert (answer.status, answer.json["username"]) == (200, "bob")
    for name in ("eve", "nobody", "%"):
        answer = live.call("GET", f"/v1/users?name={quote(name)}", token=ann)
        assert (answer.status, answer.error["code"]) == (404, 32)
    found = live.call("GET", "/v1/users?search=EXAMPLE", token=ann).json["users"]
    assert sorted(user["username"] for user in found) == ["ann", "bob"]
    assert all(set(user) == {"user_id", "username", "email"} for user in found)
    assert live.call("GET", "/v1/users", token=ann).status == 400


def test_verification_and_reset_are_taken_and_do_nothing(live: Live) -> None:
    add_user(live, "ann")
    body = {"reset_key": "x", "password": "new"}
    for answer in (
        live.call("POST", "/v1/users/email", {"verification_key": "x"}, None),
        live.call("GET", "/v1/users/password?reset=ann@example.org", token=None),
        live.call("GET", "/v1/users/password?reset=nobody@example.org", token=None),
        live.call("POST", "/v1/users/password", body, None),
    ):
        assert (answer.status, answer.body) == (204, b"")
    assert sign_in(live, "ann", "ann").status == 200
