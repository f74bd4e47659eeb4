"""Random lives of tokens against a plain model of who may what.

The model knows no numbers, no `iat` and no cache: something that ends tokens marks those that
it ends, for good. The clock jumps by hours, back and forth. IOBEAM_SERVER_MODEL_SEQUENCES says
how many lives are led; a failure names the seed of the one that ended badly.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import argon2
import falcon.testing
import pytest
from engines import ENGINES

from iobeam_server.app import create_app
from iobeam_server.config import Config
from iobeam_server.errors import AlreadyExists, NotAuthenticated, NotPermitted
from iobeam_server.rights import adoption
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.passwords import Passwords
from iobeam_server.rights.standing import Rights
from iobeam_server.rights.tokens import ADMIN, ALL, BITS, READ, WRITE, TokenSigner
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import Device, User
from iobeam_server.storage.store import Storage
from iobeam_server.writer import Writer

SEQUENCES = {"sqlite": 6, "postgres": 2}
STEPS = 60
LOOKS = 6  # tokens that are looked at after each step
PROJECTS, DEVICES = (1, 2), ("d", "e")
DAY = 86_400
GRACE_S = 30 * DAY


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Token(NamedTuple):
    """What the model knows of a token."""

    text: str
    project: int
    """0: a user token."""
    permissions: int
    device: Optional[str]
    owner: Optional[int]
    expires: float
    life: int
    root: Optional[str]
    """The adopted string that it is, or was made of."""
    marks: dict[str, bool]
    """`ended`; shared with no other token."""


class World:
    """The server, and the model beside it."""

    def __init__(self, store: Storage, writer: Writer, dice: random.Random) -> None:
        self.store, self.dice, self.clock = store, dice, Clock()
        self.config = Config()
        keys = store.keys.signing()
        self.signer = TokenSigner(keys, self.clock)
        app = create_app(store, writer, self.config, self.clock)
        self.http = falcon.testing.TestClient(app)
        self.rights = [
            Rights(store, self.signer, config, self.clock)
            for config in (self.config, Config(rights_cache_s=0))
        ]
        self.tokens: list[Token] = []
        self.users: dict[int, tuple[str, str]] = {}
        self.grants: dict[tuple[int, int], int] = {}
        self.devices: set[tuple[int, str]] = set()
        self.adopted: dict[str, Token] = {}
        self.names = iter(range(10**9))
        self.just_ended: list[Token] = []
        self.log: list[str] = []

    # -- what happens ------------------------------------------------------------

    def create_user(self) -> None:
        name = f"u{next(self.names)}"
        user = User(0, name, f"{name}@b.c", None, None, None, None, 0, 0.0)
        made = self.store.users.create(user, Passwords().hash(name))
        assert made.user_id not in self.users
        assert all(token.owner != made.user_id for token in self.tokens), "an id came back"
        self.users[made.user_id] = (name, name)

    def delete_user(self) -> None:
        if len(self.users) > 1:
            user = self.dice.choice(list(self.users))
            self.store.users.delete(user)
            del self.users[user]
            self.grants = {key: bits for key, bits in self.grants.items() if key[1] != user}
            self.end(lambda token: token.owner == user)

    def password(self) -> None:
        user = self.dice.choice(list(self.users))
        name, old = self.users[user]
        new = f"p{next(self.names)}"
        if self.dice.random() < 0.5:
            self.store.users.set_password(user, Passwords().hash(new), self.clock)
        else:
            token = self.sign_in(user)
            answer = self.call(
                "PATCH", f"/v1/users/me?old_password={old}", {"password": new}, token
            )
            assert answer.status_code == 200
        self.users[user] = (name, new)
        self.end(lambda token: token.owner == user)

    def grant(self) -> None:
        project, user = self.dice.choice(PROJECTS), self.dice.choice(list(self.users))
        bits = self.dice.choice([0, 0, READ, WRITE, READ | WRITE, ALL])
        self.store.projects.grant(project, user, bits)
        self.grants[project, user] = bits

    def revoke(self) -> None:
        project = self.dice.choice(PROJECTS)
        device = self.dice.choice([None, *DEVICES])
        self.store.keys.revoke(project, device, self.clock)
        self.end(lambda t: t.project == project and device in (None, t.device))

    def register(self) -> None:
        project, device = self.dice.choice(PROJECTS), self.dice.choice(DEVICES)
        if (project, device) not in self.devices:
            self.store.devices.register(Device(project, device, device, None, 0), named=True)
            self.devices.add((project, device))

    def unregister(self) -> None:
        project, device = self.dice.choice(PROJECTS), self.dice.choice(DEVICES)
        was_there = (project, device) in self.devices
        assert self.store.devices.delete(project, device, self.clock) == was_there
        if was_there:
            self.devices.discard((project, device))
            self.end(lambda t: t.project == project and t.device == device)

    def jump(self) -> None:
        self.clock.now += self.dice.choice([-5, -3, -1, 1, 2, 24, 48]) * 3_600
        self.clock.now += self.dice.random()

    def issue(self) -> None:
        """By the command line."""
        project, bits = self.dice.choice(PROJECTS), self.dice.randrange(1, 8)
        device, life = self.dice.choice([None, *DEVICES]), self.dice.choice([3_600, 30 * DAY])
        text = issue_token(self.store, project, bits, life, device, True, self.config, self.clock)
        self.keep(text, project, bits, device, None, life)

    def issue_as_before(self) -> None:
        """As 1.0.0 did: without any number."""
        project, bits, life = self.dice.choice(PROJECTS), self.dice.randrange(1, 8), 30 * DAY
        owner = self.dice.choice([0, *self.users])
        user = owner and self.store.users.get(owner)
        changed = bool(user and user.password_number)
        revoked = self.store.keys.standing(project, None, 0, 0).revoked > 0
        text, _ = self.signer.issue(project, bits, life, user_id=owner)
        made = self.keep(text, project, bits, None, owner or None, life)
        made.marks["ended"] = changed or revoked

    def sign_in(self, user: int) -> Token:
        name, password = self.users[user]
        pair = base64.b64encode(f"{name}:{password}".encode()).decode()
        answer = self.http.simulate_get(
            "/v1/tokens/user", headers={"Authorization": f"Basic {pair}"}
        )
        assert answer.status_code == 200, answer.json
        return self.keep(answer.json["token"], 0, 0, None, user, self.config.token_life_s)

    def enter(self) -> None:
        self.sign_in(self.dice.choice(list(self.users)))

    def fetch(self) -> None:
        """A project token, for any user token there ever was."""
        mine = [token for token in self.tokens if not token.project]
        if not mine:
            return
        token, project = self.dice.choice(mine), self.dice.choice(PROJECTS)
        device, asked = self.dice.choice([None, *DEVICES]), self.dice.randrange(1, 8)
        query = "".join(f"&{name}=true" for name, bit in BITS.items() if asked & bit)
        query += self.dice.choice(["", "&include_user=false"])
        query += "" if device is None else f"&device_id={device}"
        answer = self.call("GET", f"/v1/tokens/project?project_id={project}{query}", None, token)
        expected = self.expected(token)
        has = self.grants.get((project, token.owner or 0), 0)
        if expected == 200 and asked & ~has:
            expected = 403
        assert answer.status_code == expected, (answer.json, token)
        if expected == 200:
            life = self.config.token_life_s
            self.keep(answer.json["token"], project, asked, device, token.owner, life)

    def refresh(self) -> None:
        token = self.dice.choice(self.tokens or [None])
        if token is None:
            return
        is_string = token.text in self.adopted
        is_late = not is_string and self.clock.now >= token.expires + GRACE_S
        owned = self.grants.get((token.project, token.owner or 0), 0)
        lacks = token.owner is not None and bool(token.permissions & ~owned)
        gone = (
            token.device is not None
            and token.root is None
            and (token.project, token.device) not in self.devices
        )
        is_refused = not token.project or token.marks["ended"] or is_late or lacks or gone
        answer = self.call("POST", "/v1/tokens/project", {"refresh_token": token.text}, None)
        assert answer.status_code == (401 if is_refused else 200), (answer.json, token)
        if not is_refused:
            self.keep(
                answer.json["token"], token.project, token.permissions, token.device, token.owner,
                token.life, token.root,
            )  # fmt: skip

    def adopt(self) -> None:
        text = f"old.{self.dice.randrange(3)}.{'x' * 40}"
        project, bits = self.dice.choice(PROJECTS), self.dice.choice([READ, WRITE, READ | WRITE])
        device = self.dice.choice([None, *DEVICES])
        known = self.adopted.get(text)
        digest = adoption.digest_of(text)
        if known is not None and not known.marks["ended"]:
            with pytest.raises(AlreadyExists):
                self.store.adoptions.add(digest, project, bits, device, self.clock)
            return
        self.store.adoptions.add(digest, project, bits, device, self.clock)
        self.tokens = [token for token in self.tokens if token.text != text]
        life = self.config.token_life_s
        self.adopted[text] = self.keep(text, project, bits, device, None, life, text)

    def end_adoption(self) -> None:
        if self.adopted:
            text = self.dice.choice(list(self.adopted))
            was_taken = not self.adopted[text].marks["ended"]
            assert self.store.adoptions.end(adoption.digest_of(text)) == was_taken
            self.end(lambda token: token.root == text)

    # -- the model ---------------------------------------------------------------

    def keep(
        self,
        text: str,
        project: int,
        permissions: int,
        device: Optional[str],
        owner: Optional[int],
        life: int,
        root: Optional[str] = None,
    ) -> Token:
        made = Token(
            text, project, permissions, device, owner, int(self.clock.now) + life, life,
            root, {"ended": False},
        )  # fmt: skip
        self.tokens.append(made)
        return made

    def end(self, concerns: Callable[[Token], bool]) -> None:
        for token in self.tokens:
            if concerns(token) and not token.marks["ended"]:
                token.marks["ended"] = True
                self.just_ended.append(token)

    def expected(self, token: Token, permission: int = 0) -> int:
        if token.text not in self.adopted and self.clock.now >= token.expires:
            return 401
        if token.marks["ended"]:
            return 401
        left = token.permissions
        if token.owner is not None and token.project:
            left &= self.grants.get((token.project, token.owner), 0)
        return 403 if token.project and (not left or permission & ~left) else 200

    # -- what is looked at -------------------------------------------------------

    def call(self, method: str, path: str, body: Any, token: Optional[Token]) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token.text}"}
        path, _, query = path.partition("?")
        return self.http.simulate_request(
            method, path, query_string=query, json=body, headers=headers
        )

    def look(self) -> None:
        newest = [*self.tokens[-2:], *self.just_ended[-LOOKS:]]
        self.just_ended.clear()
        others = self.dice.sample(self.tokens, min(LOOKS, len(self.tokens)))
        for token in [*newest, *others]:
            if not token.project:
                status = self.call("GET", "/v1/users/me", None, token).status_code
                assert status == self.expected(token), token
                continue
            status = self.call("GET", "/v1/devices", None, token).status_code
            assert status == self.expected(token), token
            for permission in (READ, WRITE, ADMIN):
                for rights in self.rights:
                    found = judged(rights, token.text, permission)
                    assert found == self.expected(token, permission), (token, permission)


def judged(rights: Rights, text: str, permission: int) -> int:
    try:
        rights.project(text, permission)
    except NotAuthenticated:
        return 401
    except NotPermitted:
        return 403
    return 200


DEEDS = (
    World.create_user, World.delete_user, World.password, *[World.grant] * 4, World.revoke,
    *[World.register] * 2, *[World.unregister] * 2, *[World.jump] * 2, *[World.issue] * 3,
    World.issue_as_before, *[World.enter] * 3, *[World.fetch] * 6, *[World.refresh] * 5,
    *[World.adopt] * 2, World.end_adoption,
)  # fmt: skip


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = argon2.PasswordHasher
    monkeypatch.setattr(
        argon2, "PasswordHasher", lambda **_: real(time_cost=1, memory_cost=8, parallelism=1)
    )


@contextlib.contextmanager
def served(url: str) -> Iterator[tuple[Storage, Writer]]:
    with contextlib.closing(open_storage(url, Config(database_connections=3))) as store:
        for name in PROJECTS:
            store.projects.create(str(name), 0)
        with contextlib.closing(Writer(store, 1_000, 10_000)) as writer:
            yield store, writer


def live_through(store: Storage, writer: Writer, seed: int) -> None:
    world = World(store, writer, random.Random(seed))
    world.create_user()
    for number in range(STEPS):
        deed = world.dice.choice(DEEDS)
        world.log.append(deed.__name__)
        try:
            deed(world)
            if world.tokens:
                world.look()
        except BaseException as error:
            error.args = (f"seed {seed}, step {number}: {world.log[-8:]}", *error.args)
            raise


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize("engine", ENGINES)
def test_random_lives_end_as_the_model_says(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for seed in range(int(os.environ.get("IOBEAM_SERVER_MODEL_SEQUENCES", SEQUENCES[engine]))):
        with contextlib.ExitStack() as stack:
            url = f"sqlite:///{tmp_path}/{seed}.db"
            if engine == "postgres":
                url = stack.enter_context(request.getfixturevalue("postgres").schema())
            live_through(*stack.enter_context(served(url)), seed)
