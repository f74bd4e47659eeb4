"""Every route, every method, every kind of token: a route without a line here fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from live import ALL, Live, add_user, running, user_token
from shapes import METHODS, check_shape, routes

from iobeam_server.api.access import Access, Resource
from iobeam_server.rights.tokens import ADMIN, READ, WRITE, TokenSigner

FOREIGN = "dev-2"  # the device of the device token; every request below is about dev-1
TABLE = {"fields": ["time", "n"], "data": [[1, 1]]}


class Rule(NamedTuple):
    """What a route demands, and a request that touches project 1 and device dev-1."""

    access: Access
    path: str
    body: Any = None
    other_project: Optional[int] = 403
    """Status for a token of another project; None: it may, and sees its own project only."""
    foreign_device: Optional[int] = 403
    """Status for the token of another device; None: it may, and sees its own device only."""


NAMESPACE = {"project_id": 1, "namespace_name": "new"}
RULES = {
    "GET /": Rule(Access.PUBLIC, "/"),
    "GET /v1": Rule(Access.PUBLIC, "/v1"),
    "GET /v1/ping": Rule(Access.PUBLIC, "/v1/ping"),
    "GET /v1/devices": Rule(Access.PROJECT, "/v1/devices?project_id=1", None, 403, None),
    "POST /v1/devices": Rule(
        Access.PROJECT_WRITE, "/v1/devices", {"project_id": 1, "device_id": "dev-9"}
    ),
    "GET /v1/devices/timestamp": Rule(Access.PROJECT, "/v1/devices/timestamp", None, None, None),
    "GET /v1/devices/{device_id}": Rule(Access.PROJECT, "/v1/devices/dev-1", None, 404),
    "PATCH /v1/devices/{device_id}": Rule(
        Access.PROJECT_WRITE, "/v1/devices/dev-1", {"project_id": 1, "device_type": "x"}
    ),
    "DELETE /v1/devices/{device_id}": Rule(Access.PROJECT_WRITE, "/v1/devices/dev-1", None, 404),
    "POST /v1/imports": Rule(
        Access.PROJECT_WRITE,
        "/v1/imports?fmt=table",
        {"project_id": 1, "device_id": "dev-1", "sources": TABLE},
    ),
    "GET /v1/activity/{project_id}": Rule(
        Access.PROJECT_READ, "/v1/activity/1", None, 403, None
    ),
    "GET /v1/activity/{project_id}/{device_id}": Rule(
        Access.PROJECT_READ, "/v1/activity/1/dev-1"
    ),
    "DELETE /v1/points/{project_id}/{device_id}/{series:path}": Rule(
        Access.PROJECT_ADMIN, "/v1/points/1/dev-1/n?from=1&to=2"
    ),
    "GET /v1/summaries/{project_id}": Rule(
        Access.PROJECT_READ, "/v1/summaries/1", None, 403, None
    ),
    "GET /v1/summaries/{project_id}/{device_id}": Rule(
        Access.PROJECT_READ, "/v1/summaries/1/dev-1"
    ),
    "GET /v1/summaries/{project_id}/{device_id}/{series:path}": Rule(
        Access.PROJECT_READ, "/v1/summaries/1/dev-1/n"
    ),
    "GET /v1/exports/{project_id}": Rule(Access.PROJECT_READ, "/v1/exports/1", None, 403, None),
    "GET /v1/exports/{project_id}/{device_id}": Rule(Access.PROJECT_READ, "/v1/exports/1/dev-1"),
    "GET /v1/exports/{project_id}/{device_id}/{series:path}": Rule(
        Access.PROJECT_READ, "/v1/exports/1/dev-1/n"
    ),
    "GET /v1/namespaces": Rule(Access.PROJECT_READ, "/v1/namespaces?project_id=1", None, 403, None),
    "POST /v1/namespaces": Rule(Access.PROJECT_WRITE, "/v1/namespaces", NAMESPACE),
    "GET /v1/namespaces/{namespace_id}": Rule(
        Access.PROJECT_READ, "/v1/namespaces/1", None, 404, None
    ),
    "PUT /v1/namespaces/{namespace_id}": Rule(
        Access.PROJECT_WRITE, "/v1/namespaces/1", {"project_id": 1}
    ),
    "GET /v1/data/{namespace}": Rule(Access.PROJECT_READ, "/v1/data/input", None, None, None),
    "GET /v1/data/{namespace}/{field:path}": Rule(
        Access.PROJECT_READ, "/v1/data/input/n", None, None, None
    ),
    "GET /v1/tokens/user": Rule(Access.PASSWORD, "/v1/tokens/user?name=ann&password=ann"),
    "GET /v1/tokens/project": Rule(Access.USER, "/v1/tokens/project?project_id=1"),
    "POST /v1/tokens/project": Rule(Access.BODY, "/v1/tokens/project", {}),
    "GET /v1/users": Rule(Access.USER, "/v1/users?name=ann"),
    "POST /v1/users": Rule(Access.BODY, "/v1/users", {}),
    "GET /v1/users/me": Rule(Access.USER, "/v1/users/me"),
    "PATCH /v1/users/me": Rule(Access.USER, "/v1/users/me", {}),
    "POST /v1/users/email": Rule(Access.BODY, "/v1/users/email", {"verification_key": "x"}),
    "GET /v1/users/password": Rule(Access.PUBLIC, "/v1/users/password?reset=ann@example.org"),
    "POST /v1/users/password": Rule(
        Access.BODY, "/v1/users/password", {"reset_key": "x", "password": "y"}
    ),
    "GET /v1/projects": Rule(Access.USER, "/v1/projects"),
    "POST /v1/projects": Rule(Access.USER, "/v1/projects", {"project_name": "ours"}),
    "GET /v1/projects/{project_id}": Rule(Access.USER, "/v1/projects/1"),
    "PATCH /v1/projects/{project_id}": Rule(Access.USER, "/v1/projects/1", {}),
    "GET /v1/projects/{project_id}/permissions": Rule(Access.USER, "/v1/projects/1/permissions"),
    "PATCH /v1/projects/{project_id}/permissions": Rule(
        Access.USER, "/v1/projects/1/permissions", {"user_id": 1, "admin": True}
    ),
}
ON_PROJECT = (
    Access.PROJECT, Access.PROJECT_READ, Access.PROJECT_WRITE, Access.PROJECT_ADMIN,
)  # fmt: skip
GUARDED = [name for name, rule in RULES.items() if rule.access in (*ON_PROJECT, Access.USER)]
PROJECT = [name for name, rule in RULES.items() if rule.access in ON_PROJECT]
USER = [name for name, rule in RULES.items() if rule.access is Access.USER]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Projects 1 (dev-1, dev-2, data of both) and 2; ann may do all, bob only read."""
    with running(Path(tmp_path_factory.mktemp("access"))) as live:
        for device in ("dev-1", FOREIGN):
            live.register(device)
            assert live.send(["time", "n"], [[1, 1]], device=device).status == 200
        live.backend.store.projects.create("two", 0)
        add_user(live, "ann", ALL)
        yield live


def ask(live: Live, name: str, token: Any, **more: Any) -> Any:
    rule = RULES[name]
    return live.call(name.split()[0], rule.path, rule.body, token, **more)


def refused(answer: Any, status: int, name: str) -> None:
    assert answer.status == status, (name, answer)
    check_shape(answer)


def test_every_route_has_its_line_and_obeys_it(shared: Live) -> None:
    found = {}
    for template, resource in routes(shared):
        methods = {m for m in METHODS if hasattr(resource, f"on_{m.lower()}")}
        assert methods == set(resource.access), f"{template}: a method without a rule"
        for method, rule in resource.access.items():
            found[f"{method} {template}"] = rule
    for name in set(found) - set(RULES):  # files of the page: anybody may read them
        assert not name.partition(" ")[2].startswith("/v1"), f"{name} needs a line here"
        assert found[name] in (Access.PUBLIC, Access.LOCAL_OR_ADMIN), name
        assert name.startswith("GET "), name
    assert {name: found.get(name) for name in RULES} == {
        name: rule.access for name, rule in RULES.items()
    }


class Forgotten(Resource):
    """A route that came without a rule."""

    def on_get(self, req: Any, resp: Any) -> None:
        resp.data = b'"open"'


class Unlisted(Forgotten):
    """One whose rule has no line above."""

    access = {"GET": Access.PROJECT}


class Outside:
    """One that is no Resource at all."""

    def on_get(self, req: Any, resp: Any) -> None:
        resp.data = b'"open"'


@pytest.mark.parametrize("resource", [Forgotten(), Unlisted(), Outside()])
def test_a_new_route_fails_the_suite_and_stays_closed(tmp_path: Path, resource: Any) -> None:
    with running(tmp_path) as live:
        live.backend.app.add_route("/v1/new", resource)
        with pytest.raises((AssertionError, AttributeError)):
            test_every_route_has_its_line_and_obeys_it(live)
        for method in ("GET", "HEAD"):
            assert live.call(method, "/v1/new", token=None).status in (401, 403, 405)
        assert b"open" not in live.call("GET", "/v1/new", token=None).body


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer undefined", "Bearer a.b.c", "Basic YW5uOmFubg==",
     "Bearer \xff"],
)  # fmt: skip
def test_without_a_good_token_every_guarded_route_answers_401(shared: Live, header: Any) -> None:
    headers = {} if header is None else {"Authorization": header}
    for name in GUARDED:
        answer = ask(shared, name, None, headers=headers)
        refused(answer, 401, name)
        headers_seen = {key.lower(): value for key, value in answer.headers.items()}
        assert headers_seen["www-authenticate"] == "Bearer"


def test_expired_foreign_and_forged_tokens_answer_401(shared: Live) -> None:
    keys = shared.backend.store.keys.signing()
    past = TokenSigner(keys, lambda: time.time() - 100)
    other = TokenSigner([b"x" * 32])
    good = shared.token.rpartition(".")[0]
    for name in GUARDED:
        project, user = (1, 0) if name in PROJECT else (0, 1)
        for token in (
            past.issue(project, ALL, 60, user_id=user)[0],
            other.issue(project, ALL, 60, user_id=user)[0],
            good + "." + "A" * 43,
            good + ".",
        ):
            refused(ask(shared, name, token), 401, name)


def test_what_needs_a_right_is_kept_by_no_cache(shared: Live) -> None:
    for name, rule in RULES.items():
        is_user, is_project = name in USER, name in PROJECT
        tokens = [user_token(shared, 1)] if is_user else [shared.token] if is_project else [None]
        for token in [*tokens, None]:
            answer = ask(shared, name, token) if not name.startswith("DELETE") else None
            if answer is not None and rule.access is not Access.PUBLIC:
                seen = {key.lower(): value for key, value in answer.headers.items()}
                assert seen.get("cache-control") == "no-store", (name, answer)
    assert shared.call("GET", "/metrics").headers["Cache-Control"] == "no-store"


def test_user_tokens_are_good_for_no_project_route(shared: Live) -> None:
    token = add_user(shared, "carl", ALL)
    for name in PROJECT:
        refused(ask(shared, name, token), 403, name)


def test_project_tokens_are_good_for_no_user_route(shared: Live) -> None:
    signer = TokenSigner(shared.backend.store.keys.signing())
    for token in (shared.token, signer.issue(1, ALL, 60, user_id=1)[0]):
        for name in USER:
            refused(ask(shared, name, token), 403, name)


@pytest.mark.parametrize("permissions", range(8))
def test_a_project_token_does_what_its_permissions_say(shared: Live, permissions: int) -> None:
    token = shared.make_token(permissions)
    for name in PROJECT:
        needed = RULES[name].access.permission
        if permissions & needed != needed:
            refused(ask(shared, name, token), 403, name)
        elif not name.startswith("DELETE"):
            assert ask(shared, name, token).status not in (401, 403), name


def test_a_token_of_another_project(shared: Live) -> None:
    token = shared.make_token(project=2)
    for name in PROJECT:
        expected = RULES[name].other_project
        answer = ask(shared, name, token)
        if expected is None:
            assert answer.status == 200
            assert b"dev-1" not in answer.body
            assert answer.json.get("result", []) == []
        elif answer.status != 404 or expected != 403:  # a project's thing may not be there at all
            refused(answer, expected, name)


def test_a_token_of_another_device(shared: Live) -> None:
    token = shared.make_token(device=FOREIGN)
    for name in PROJECT:
        expected = RULES[name].foreign_device
        answer = ask(shared, name, token)
        if expected is None:
            assert answer.status == 200
            assert b"dev-1" not in answer.body
        else:
            refused(answer, expected, name)


def test_nothing_above_has_changed_anything(shared: Live) -> None:
    assert shared.call("GET", "/v1/devices/dev-1").json["device_type"] == "x", "by a good token"
    assert shared.points("1/dev-1/n") == {"n": [[1, 1], [1_000, 1]]}


def test_routes_by_user_are_scoped_to_the_users_projects(shared: Live) -> None:
    bob, eve = add_user(shared, "bob", READ), add_user(shared, "eve", ALL, project=2)
    for path in ("/v1/projects/1", "/v1/projects/1/permissions"):
        assert shared.call("GET", path, token=bob).status == 200
        refused(shared.call("GET", path, token=eve), 403, path)
        for token in (bob, eve):  # reading is not administering
            body = {"user_id": 3, "admin": True}
            refused(shared.call("PATCH", path, body, token), 403, path)
    for token in (bob, eve):
        for wanted in ("write=true", "admin=true"):
            path = f"/v1/tokens/project?project_id=1&{wanted}"
            refused(shared.call("GET", path, token=token), 403, path)
    refused(shared.call("GET", "/v1/tokens/project?project_id=1", token=eve), 403, "eve")


def test_tokens_of_users_who_are_gone_or_changed_their_password(shared: Live) -> None:
    signer = TokenSigner(shared.backend.store.keys.signing())
    gone = signer.issue(0, 0, 60, user_id=999)[0]
    old = add_user(shared, "dora", ALL)
    found = shared.backend.store.users.credentials("dora")
    assert found is not None
    shared.backend.store.users.set_password(found[0].user_id, found[1])
    for name in USER:
        for token in (gone, old):
            refused(ask(shared, name, token), 401, name)


def test_revoked_tokens_answer_401(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        live.register("dev-1")
        token = live.make_token(READ | WRITE | ADMIN, device="dev-1")
        live.backend.store.keys.revoke(1, "dev-1")
        for name in PROJECT:
            refused(ask(live, name, token), 401, name)
        assert live.call("GET", "/v1/devices").status == 200
