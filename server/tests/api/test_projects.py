"""Projects, permissions and the tokens users get for them (wire notes 5.13, 5.16)."""

from __future__ import annotations

from typing import Any

import pytest
from live import ALL, Answer, Live, add_user

from iobeam_server.rights.tokens import ADMIN, READ, WRITE, TokenSigner


def patch(live: Live, user_id: int, token: str, **flags: bool) -> Answer:
    body = {"user_id": user_id, "read": False, "write": False, "admin": False, **flags}
    return live.call("PATCH", "/v1/projects/1/permissions", body, token)


def permissions(live: Live, token: str) -> Any:
    return live.call("GET", "/v1/projects/1/permissions", token=token).json["permissions"]


def test_the_creator_may_do_everything(live: Live) -> None:
    ann = add_user(live, "ann")
    answer = live.call("POST", "/v1/projects", {"project_name": "Küche"}, ann)
    assert answer.status == 201
    made = answer.json
    assert made["project_name"] == "Küche"
    number = made["project_id"]
    (shown,) = live.call("GET", "/v1/projects/", token=ann).json["projects"]
    assert shown == {**made, "permissions": {"read": True, "write": True, "admin": True}}
    whole = live.call("GET", f"/v1/projects/{number}", token=ann).json
    own = [{"user_id": 1}]
    assert whole == {**made, "permissions": {"read": own, "write": own, "admin": own}}
    assert live.call("GET", "/v1/projects?name=K%C3%BCche", token=ann).json == whole
    token = live.call("GET", f"/v1/tokens/project?project_id={number}", token=ann).json["token"]
    body = {"project_id": number, "device_id": "d"}
    assert live.call("POST", "/v1/devices", body, token).status == 201


def test_names_of_projects_are_taken_once(live: Live) -> None:
    ann = add_user(live, "ann", ALL)
    assert live.call("POST", "/v1/projects", {"project_name": "two"}, ann).status == 201
    for method, path in (("POST", "/v1/projects"), ("PATCH", "/v1/projects/1")):
        answer = live.call(method, path, {"project_name": "two"}, ann)
        assert (answer.status, answer.error["code"]) == (422, 33)


@pytest.mark.parametrize("body", [{}, {"project_name": None}, {"project_name": " "},
                                  {"project_name": "x" * 257}, {"project_name": 5}])  # fmt: skip
def test_bad_names(live: Live, body: Any) -> None:
    answer = live.call("POST", "/v1/projects", body, add_user(live, "ann"))
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_rename(live: Live) -> None:
    ann = add_user(live, "ann", ALL)
    body = {"project_id": 1, "project_name": "new"}
    answer = live.call("PATCH", "/v1/projects/1", body, ann)
    assert (answer.status, answer.json["project_name"]) == (200, "new")
    for same in (body, {}, {"project_id": 1}):
        answer = live.call("PATCH", "/v1/projects/1", same, ann)
        assert (answer.status, answer.body) == (204, b"")
    answer = live.call("PATCH", "/v1/projects/1", {"project_id": 2, "project_name": "x"}, ann)
    assert (answer.status, answer.error["code"]) == (400, 1)


def test_permissions_are_added_changed_removed(live: Live) -> None:
    ann = add_user(live, "ann", ALL)
    bob = add_user(live, "bob")
    assert live.call("GET", "/v1/projects", token=bob).json == {"projects": []}
    added = patch(live, 2, ann, read=True)
    assert (added.status, added.body) == (201, b"")  # with a body Go says "modified"
    assert added.headers["Content-Length"] == "0"
    assert added.headers.get("Content-Type", "application/json") == "application/json"
    assert patch(live, 2, ann, read=True).status == 204
    both = [{"user_id": 1}, {"user_id": 2}]
    assert permissions(live, bob) == {"read": both, "write": both[:1], "admin": both[:1]}
    assert patch(live, 2, ann, write=True).status == 200
    assert permissions(live, ann) == {"read": both[:1], "write": both, "admin": both[:1]}
    assert patch(live, 2, ann).status == 200
    assert live.call("GET", "/v1/projects/1", token=bob).status == 403
    assert patch(live, 2, ann).status == 204
    for unknown in (99, 0, -1, 2**63):
        answer = patch(live, unknown, ann, read=True)
        assert (answer.status, answer.error["code"]) == (404, 32)


@pytest.mark.parametrize("project", ["2", "99", str(10**17)])
def test_projects_of_others_look_like_those_that_are_not_there(live: Live, project: str) -> None:
    live.backend.store.projects.create("two", 0)
    ann = add_user(live, "ann", ALL)
    answer = live.call("GET", f"/v1/projects/{project}", token=ann)
    assert (answer.status, answer.error["code"]) == (403, 5)
    answer = live.call("GET", "/v1/projects?name=two", token=ann)
    assert (answer.status, answer.error["code"]) == (404, 32)


@pytest.mark.parametrize(
    ("has", "query", "granted"),
    [
        (ALL, "", ALL),  # Grafana names none
        (READ, "", READ),
        (ALL, "read=true&write=false&admin=false", READ),
        (ALL, "read=True&write=True", READ | WRITE),  # Python's booleans
        (ALL, "admin=FALSE", READ | WRITE),
        (READ | WRITE, "write=true", WRITE),
        (READ, "write=true", 403),
        (READ, "read=true&admin=true", 403),
        (0, "", 403),
        (ALL, "read=false&write=false&admin=false", 400),
        (ALL, "read=1", 400),
    ],
)
def test_what_a_project_token_permits(live: Live, has: int, query: str, granted: int) -> None:
    ann = add_user(live, "ann", has)
    answer = live.call("GET", f"/v1/tokens/project?project_id=1&{query}", token=ann)
    if granted >= 400:
        assert answer.status == granted
        return
    found = answer.json
    assert answer.status == 200
    assert (found["read"], found["write"], found["admin"]) == (
        bool(granted & READ), bool(granted & WRITE), bool(granted & ADMIN),
    )  # fmt: skip
    claims = TokenSigner(live.backend.store.keys.signing()).verify(found["token"])
    assert (claims.pms, claims.pid, claims.uid) == (granted, 1, found["user_id"])


def test_life_device_and_refresh_of_a_project_token(live: Live) -> None:
    ann = add_user(live, "ann", ALL)

    def ask(query: str) -> Answer:
        return live.call("GET", f"/v1/tokens/project?project_id=1&{query}", token=ann)

    signer = TokenSigner(live.backend.store.keys.signing())
    for text, life in (("2w", 14 * 86_400), ("90m", 5_400), ("10s", 10)):
        assert signer.verify(ask(f"duration={text}").json["token"]).dur == life
    found = ask("device_id=dev-1&refreshable=False").json
    assert (found["device_id"], found["refreshable"]) == ("dev-1", False)
    assert live.call("GET", "/v1/devices/dev-1", token=found["token"]).status == 200
    assert live.call("GET", "/v1/devices/dev-2", token=found["token"]).status == 403
    hidden = ask("include_user=false").json
    assert hidden["user_id"] == signer.verify(hidden["token"]).uid == 0
    for bad in ("duration=2", "duration=-1h", "duration=1y", "device_id=a/b", "device_id=all",
                "refreshable=2", "include_user=x"):  # fmt: skip
        answer = ask(bad)
        assert (answer.status, answer.error["code"]) == (400, 1), bad
    answer = live.call("GET", "/v1/tokens/project", token=ann)
    assert (answer.status, answer.error["code"]) == (400, 1)


@pytest.mark.parametrize("query", ["", "include_user=false"])
def test_a_token_dies_with_the_right_of_its_user(live: Live, query: str) -> None:
    ann, bob = add_user(live, "ann", ALL), add_user(live, "bob", READ | WRITE)
    path = f"/v1/tokens/project?project_id=1&{query}"
    body = {"refresh_token": live.call("GET", path, token=bob).json["token"]}
    assert live.call("POST", "/v1/tokens/project", body, None).status == 200
    assert patch(live, 2, ann, read=True).status == 200
    answer = live.call("POST", "/v1/tokens/project", body, None)
    assert (answer.status, answer.error["code"]) == (401, 4)
