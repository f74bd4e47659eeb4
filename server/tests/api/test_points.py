"""``DELETE /v1/points``, on each engine."""

from __future__ import annotations

import pytest
from live import Live

from iobeam_server.rights.tokens import READ, WRITE

FIELDS = ["time", "n", "a/b"]
ROWS = [[1_000 * i + 7, i, i] for i in range(5)]  # us


@pytest.fixture
def filled(live: Live) -> Live:
    live.register("dev-2")
    for device in ("dev-1", "dev-2"):
        assert live.send(FIELDS, ROWS, device=device).status == 200
    return live


def left(live: Live, path: str) -> list[int]:
    (points,) = live.points(path).values() or ([],)
    return [value for _, value in points]


@pytest.mark.parametrize(
    ("query", "deleted", "rest"),
    [
        ("from=1&to=2", 2, [0, 3, 4]),
        ("from=0&to=0", 1, [1, 2, 3, 4]),  # its whole millisecond
        (f"from=-{10**20}&to={10**20}", 5, []),
        ("from=3&to=1", 0, [0, 1, 2, 3, 4]),
    ],
)
def test_what_lies_in_a_time_is_deleted_and_nothing_else(
    filled: Live, query: str, deleted: int, rest: list[int]
) -> None:
    answer = filled.call("DELETE", f"/v1/points/1/dev-1/n?{query}")
    assert (answer.status, answer.json) == (200, {"deleted": deleted})
    assert left(filled, "1/dev-1/n") == rest
    assert left(filled, "1/dev-2/n") == left(filled, "1/dev-1/a%2Fb") == [0, 1, 2, 3, 4]
    assert filled.call("DELETE", f"/v1/points/1/dev-1/a%2Fb?{query}").json == {"deleted": deleted}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("dev-1/n", 400, "from and to are both needed"),
        ("dev-1/n?from=1", 400, "from and to are both needed"),
        ("dev-1/n?to=1", 400, "from and to are both needed"),
        ("dev-1/n?from=1&to=x", 400, "to must be an integer"),
        ("all/n?from=1&to=2", 400, "all stands for none here"),
        ("dev-1/all?from=1&to=2", 400, "all stands for none here"),
        ("dev-1/none?from=1&to=2", 404, "has no series 'none'"),
        ("gone/n?from=1&to=2", 404, "device 'gone' has no series 'n'"),
    ],
)
def test_nothing_is_deleted_by_mistake(filled: Live, path: str, status: int, words: str) -> None:
    answer = filled.call("DELETE", f"/v1/points/1/{path}")
    assert answer.status == status
    assert words in answer.json["errors"][0]["message"]
    assert left(filled, "1/dev-1/n") == [0, 1, 2, 3, 4]


def test_only_admins_delete(filled: Live) -> None:
    token = filled.make_token(READ | WRITE)
    assert filled.call("DELETE", "/v1/points/1/dev-1/n?from=1&to=2", token=token).status == 403
    assert left(filled, "1/dev-1/n") == [0, 1, 2, 3, 4]
