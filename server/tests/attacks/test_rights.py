"""Rights end when they end, while a server runs and another process takes them away."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time

import engines
import pytest
from attacks.scene import SLACK, Scene, wait_for
from attacks.sizes import some
from click.testing import CliRunner
from live import PASSWORDS, Answer

from iobeam_server.cli import cli
from iobeam_server.config import Config
from iobeam_server.rights import tokens
from iobeam_server.rights.keyring import signing_keys
from iobeam_server.rights.tokens import TokenSigner
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import Device, User

SETTINGS = {"rights_cache_s": 1}  # what is looked up is kept so long; 5 s are promised
ENGINES = some(engines.ENGINES, "sqlite")
SEEN_S = 2.0 * SLACK
HOLDERS = 4


def command(scene: Scene, *words: str, given: str = "") -> str:
    """Run a command beside the server; return the last line."""
    done = CliRunner().invoke(cli, [*words], input=given, env={"IOBEAM_SERVER_DATABASE": scene.url})
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.output.splitlines()[-1]


class Person:
    """A user of a project of her own, with every kind of token that she can fetch."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene, self.name = scene, name
        self.project = int(command(scene, "project", "create", f"of {name}"))
        with contextlib.closing(open_storage(scene.url, Config())) as store:
            user = User(0, name, f"{name}@example.org", None, None, None, None, 0, 0.0)
            store.users.create(user, PASSWORDS.hash("secret"))
            store.devices.register(Device(self.project, "hers", "hers", None, 0), named=True)
        command(scene, "project", "grant", str(self.project), name, "--read", "--write", "--admin")
        self.own = self.signs_in().json["token"]
        path = f"/v1/tokens/project?project_id={self.project}"
        self.tokens = {
            "plain": self._fetched(path),
            "hidden": self._fetched(f"{path}&include_user=false"),
            "device": self._fetched(f"{path}&device_id=hers"),
            "hidden device": self._fetched(f"{path}&device_id=hers&include_user=false"),
            "for years": self._fetched(f"{path}&duration=5200w"),
        }
        for kind, token in list(self.tokens.items()):
            self.tokens[f"{kind}, refreshed"] = self.refreshed(token).json["token"]

    def signs_in(self) -> Answer:
        path = f"/v1/tokens/user?name={self.name}&password=secret"
        return self.scene.call("GET", path, token=None)

    def _fetched(self, path: str) -> str:
        answer = self.scene.call("GET", path, token=self.own)
        assert answer.status == 200, answer
        return str(answer.json["token"])

    def refreshed(self, token: str) -> Answer:
        return self.scene.call("POST", "/v1/tokens/project", {"refresh_token": token}, token=None)

    def may(self, token: str) -> set[int]:
        """Return how a read and an import are answered."""
        row = {"fields": ["time", "n"], "data": [[1, 1]]}
        body = {"project_id": self.project, "device_id": "hers", "sources": row}
        path = f"/v1/exports/{self.project}/hers/all"
        return {
            self.scene.call("GET", path, token=token).status,
            self.scene.call("POST", "/v1/imports?fmt=table", body, token=token).status,
        }

    def has_no_right(self, *kinds: str) -> bool:
        """Say whether none of her tokens is good for anything, a refresh included."""
        tokens = [token for kind, token in self.tokens.items() if not kinds or kind in kinds]
        return all(
            self.may(token) <= {401, 403, 404} and self.refreshed(token).status in (401, 403)
            for token in tokens
        )


_names = iter(range(1_000))


def test_rights_are_kept_for_five_seconds_at_most() -> None:
    assert Config().rights_cache_s <= 5


@pytest.fixture
def ann(scene: Scene) -> Person:
    person = Person(scene, f"ann{next(_names)}")
    assert all(person.may(token) == {200} for token in person.tokens.values())
    return person


def test_all_her_tokens_end_with_the_grant(ann: Person) -> None:
    command(ann.scene, "project", "grant", str(ann.project), ann.name, "--remove")
    wait_for(ann.has_no_right, SEEN_S)


def test_all_her_tokens_end_with_the_password(ann: Person) -> None:
    command(ann.scene, "user", "passwd", ann.name, given="another secret\n")
    wait_for(ann.has_no_right, SEEN_S)
    assert ann.scene.call("GET", "/v1/users/me", token=ann.own).status == 401


def test_all_her_tokens_end_with_a_revocation(ann: Person) -> None:
    command(ann.scene, "token", "revoke", "--project", str(ann.project))
    wait_for(ann.has_no_right, SEEN_S)


def test_tokens_of_a_device_end_with_it(ann: Person) -> None:
    command(ann.scene, "device", "delete", "hers", "--project", str(ann.project))
    kinds = [kind for kind in ann.tokens if "device" in kind]
    wait_for(lambda: ann.has_no_right(*kinds), SEEN_S)


def test_a_smaller_grant_leaves_what_is_in_it(ann: Person) -> None:
    command(ann.scene, "project", "grant", str(ann.project), ann.name, "--read")
    wait_for(lambda: all(ann.may(t) == {200, 403} for t in ann.tokens.values()), SEEN_S)


class Holder(threading.Thread):
    """Refreshes what it got last, over and over."""

    def __init__(self, person: Person, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.last = person.tokens["plain"]
        self.count = 0
        self._person, self._over = person, over

    def run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self._person.refreshed(self.last)
                if answer.status == 200:
                    self.last = answer.json["token"]
                    self.count += 1


@pytest.mark.parametrize("how", ["revoke", "remove", "passwd"])
def test_nobody_outlives_it_by_refreshing(ann: Person, how: str) -> None:
    over = threading.Event()
    holders = [Holder(ann, over) for _ in range(HOLDERS)]
    for holder in holders:
        holder.start()
    wait_for(lambda: all(holder.count > 3 for holder in holders), 60)
    if how == "revoke":
        command(ann.scene, "token", "revoke", "--project", str(ann.project))
    elif how == "remove":
        command(ann.scene, "project", "grant", str(ann.project), ann.name, "--remove")
    else:
        command(ann.scene, "user", "passwd", ann.name, given="another secret\n")
    ended = time.monotonic()
    wait_for(lambda: time.monotonic() - ended > 0.3, 10)
    over.set()
    for holder in holders:
        holder.join(60)
    for number, holder in enumerate(holders):
        ann.tokens[f"holder {number}"] = holder.last
    wait_for(ann.has_no_right, SEEN_S)


@pytest.mark.parametrize("ahead_s", [3_600.0, 1e9])
def test_a_token_of_the_future_ends_with_a_revocation(ann: Person, ahead_s: float) -> None:
    """One that was signed while the clock was ahead, as the signer of then did."""
    with contextlib.closing(open_storage(ann.scene.url, Config())) as store:
        keys = signing_keys(store, Config())
    signer = TokenSigner(keys, lambda: time.time() + ahead_s)
    token, _ = signer.issue(ann.project, tokens.ALL, 600)
    ann.tokens = {"ahead": token}
    command(ann.scene, "token", "revoke", "--project", str(ann.project))
    wait_for(ann.has_no_right, SEEN_S)


def test_answers_that_hold_a_token_are_kept_by_nobody(ann: Person) -> None:
    path = f"/v1/tokens/project?project_id={ann.project}"
    answers = [
        ann.signs_in(),
        ann.scene.call("GET", path, token=ann.own),
        ann.refreshed(ann.tokens["plain"]),
    ]
    assert [answer.headers.get("Cache-Control") for answer in answers] == ["no-store"] * 3


@pytest.mark.parametrize("host", ["iobeam.example.org", "192.0.2.1", "127.0.0.1.example.org", ""])
def test_metrics_are_for_this_machine_only_by_its_own_name(scene: Scene, host: str) -> None:
    """Else a page of somebody's, whose name leads here, could read them in a browser."""
    headers = {"Host": host}
    assert scene.call("GET", "/metrics", token=None, headers=headers).status in (400, 401, 403)
    for own in ("127.0.0.1", f"localhost:{scene.port}", "[::1]"):
        assert scene.call("GET", "/metrics", token=None, headers={"Host": own}).status == 200


def test_an_expired_token_is_said_to_be_expired(ann: Person) -> None:
    token = ann.scene.make_token(project=ann.project, life=-1)
    answer = ann.scene.call("GET", f"/v1/exports/{ann.project}", token=token)
    assert answer.status == 401
    assert "expired" in answer.error["message"]
