"""What a server remembers, builds or answers with, where somebody made it large beforehand."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from attacks import proc
from attacks.filling import enlist
from attacks.scene import Scene, attack_for, push, serving, serving_for
from attacks.sizes import some

AT_ONCE = 40
DEVICES = 100_000
FIELDS = 100_000
TEXTS = 1_500
TEXT = 60_000  # characters
NAMESPACES = "/v1/namespaces/"


def request_for(scene: Scene, path: str) -> bytes:
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {scene.token}\r\n\r\n"
    return f"GET {path} HTTP/1.1\r\n{head}".encode()


@contextlib.contextmanager
def asked_at_once(scene: Scene, path: str) -> Iterator[None]:
    """Many who ask for the same and never read."""
    data = request_for(scene, path)
    with contextlib.ExitStack() as stack:
        for _ in range(AT_ONCE):
            push(stack.enter_context(scene.connect()), data)
        yield


@pytest.mark.parametrize(
    "path",
    some(
        ["/v1/devices?project_id=1", "/v1/namespaces/", "/v1/exports/1/all/none"], "/v1/namespaces/"
    ),
)
def test_long_lists_asked_for_by_many_keep_nobody_out(
    target: str, tmp_path: Path, path: str
) -> None:
    with serving(tmp_path, target) as scene:
        enlist(scene, DEVICES, FIELDS)
        with scene.bystander(), asked_at_once(scene, path):
            attack_for(2.0, lambda: None)
        scene.is_as_before()


TEXT_QUERIES = {
    "rows": "/v1/data/input/all",
    "texts": "/v1/data/input/text",
    "groups": "/v1/data/input/text?operator=count&group_by=text",
    "newest of each": "/v1/data/input/text?limit_by=text,1",
    "export": "/v1/exports/1/all/text",
    "export as csv": "/v1/exports/1/all/text?output=csv&limit=1000",
}


@pytest.fixture(scope="module")
def wordy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A server with a series of long texts, each another one."""
    with serving_for(request, tmp_path_factory) as scene:
        for run in range(TEXTS // 100):
            rows = [[run * 100 + i, f"{run * 100 + i:06}" + "x" * TEXT] for i in range(100)]
            assert scene.send(["time", "text"], rows, "beside").status == 200
        yield scene


@pytest.mark.parametrize("wordy", some(engines.ENGINES, "sqlite"), indirect=True, scope="module")
@pytest.mark.parametrize("name", some(TEXT_QUERIES, "groups"))
def test_long_texts_asked_for_by_many_keep_nobody_out(wordy: Scene, name: str) -> None:
    with wordy.bystander(), asked_at_once(wordy, TEXT_QUERIES[name]):
        attack_for(2.0, lambda: None)
    wordy.is_as_before()


def test_nothing_is_remembered_of_strangers(scene: Scene) -> None:
    """Paths, methods, names and tokens, each another one."""
    connection = http.client.HTTPConnection("127.0.0.1", scene.port, timeout=30)

    def ask(number: int) -> None:
        for method, path, token in (
            ("GET", f"/{number}", "x"),
            (f"M{number}", "/v1/ping", "x"),
            ("GET", f"/v1/devices/{number}", f"{number}" * 100),
            ("GET", f"/page/{number}", f"a.b.{number}"),
        ):
            connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
            connection.getresponse().read()

    with contextlib.closing(connection):
        for number in range(500):
            ask(number)
        before = proc.resident_mib(scene.child.pid)
        for number in range(500, 3_000):
            ask(number)
    assert proc.resident_mib(scene.child.pid) - before < 15
    assert len(scene.call("GET", "/metrics").body) < 200_000


@pytest.mark.large
def test_fields_without_end_are_not_remembered_all(scene: Scene) -> None:
    with scene.bystander():
        for run in range(60):
            names = [f"f{run}_{number}" for number in range(999)]
            assert scene.send(["time", *names], [[0, *[1] * 999]], "beside").status == 200
