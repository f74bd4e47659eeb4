"""Passwords cost the server much to check: by many at once, and by one who guesses."""

from __future__ import annotations

import base64
import contextlib
import threading
from typing import Any

import pytest
from attacks.scene import Scene, attack_for, push
from live import PASSWORDS

from iobeam_server.config import Config
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import User

AT_ONCE = 8


@pytest.fixture(scope="module")
def _people(attacked: Scene) -> None:
    hashed = PASSWORDS.hash("secret")
    with contextlib.closing(open_storage(attacked.url, Config())) as store:
        for number in range(AT_ONCE):
            name = f"user{number}"
            email = f"{name}@example.org"
            store.users.create(User(0, name, email, None, None, None, None, 0, 0.0), hashed)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class SignIn(threading.Thread):
    """One person who signs in."""

    def __init__(self, scene: Scene, number: int) -> None:
        super().__init__(daemon=True)
        self.answer: Any = None
        self._scene, self._number = scene, number

    def run(self) -> None:
        headers = {"Authorization": basic(f"user{self._number}", "secret")}
        self.answer = self._scene.call("GET", "/v1/tokens/user", token=None, headers=headers)


def all_sign_in(scene: Scene) -> None:
    people = [SignIn(scene, number) for number in range(AT_ONCE)]
    for one in people:
        one.start()
    for one in people:
        one.join(60)
    assert [one.answer.status for one in people] == [200] * AT_ONCE


@pytest.mark.usefixtures("_people")
def test_all_who_sign_in_at_the_same_moment_get_in(scene: Scene) -> None:
    with scene.bystander():
        all_sign_in(scene)


@pytest.mark.usefixtures("_people")
@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.1"])
def test_one_who_guesses_keeps_nobody_out(scene: Scene, source: str) -> None:
    """From elsewhere people do not even notice; from their own address they may wait."""
    guess = (
        "GET /v1/tokens/user HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {basic('user0', 'guess')}\r\n\r\n"
    ).encode()
    with scene.bystander(), contextlib.ExitStack() as stack:
        socks = [stack.enter_context(scene.connect(source)) for _ in range(40)]

        def guessing() -> None:
            for sock in socks:
                push(sock, guess)

        guessing()
        if source == "127.0.0.1":
            attack_for(1.5, guessing)
        else:
            all_sign_in(scene)


@pytest.mark.usefixtures("_people")
@pytest.mark.parametrize("path", ["/v1/tokens/user", "/v1/users", "/v1/users/me?old_password=x"])
def test_passwords_of_any_length_keep_nobody_out(scene: Scene, path: str) -> None:
    method = {"/v1/tokens/user": "GET", "/v1/users": "POST"}.get(path, "PATCH")
    headers = {"Authorization": basic("user0", "x" * 40_000)} if method == "GET" else {}
    body = None
    if method != "GET":
        body = {"email": "a@example.org", "password": "x" * 60_000, "invite": "i"}
    with scene.bystander():
        for _ in range(5):
            answer = scene.call(method, path, body, headers=headers)
            assert 400 <= answer.status < 500, answer
