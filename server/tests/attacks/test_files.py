"""What goes wrong on the disk, seen by who sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from attacks.scene import SLACK, Scene, serving, wait_for

NOTICED_S = 5.0 * SLACK  # 2 s are meant


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced"])
def test_nothing_is_promised_once_the_file_is_gone(tmp_path: Path, how: str) -> None:
    with serving(tmp_path) as scene:
        assert scene.send(["time", "n"], [[0, 0]], "beside").status == 200
        file = tmp_path / "attacked.db"
        if how == "removed":
            file.unlink()
        else:
            file.rename(tmp_path / "elsewhere.db")
        if how == "replaced":
            file.write_bytes(b"")
        wait_for(lambda: refused(scene), NOTICED_S)
        for number in range(10):
            assert refused(scene), number
        assert scene.call("GET", "/v1/ping").status in (200, 503)
        assert scene.log.count(" ERROR ") == 1, scene.log
        assert "attacked.db" in scene.log


def refused(scene: Scene) -> bool:
    answer = scene.send(["time", "n"], [[1, 1]], "beside")
    return answer.status == 503 and int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/", "/v1/", "/v1", "/v1/ping", "/openapi.json"])
def test_who_only_looks_around_is_told_what_this_is(scene: Scene, path: str) -> None:
    got = scene.call("GET", path, token=None)
    looked = scene.call("HEAD", path, token=None)
    assert (got.status, looked.status) == (200, 200)
    assert got.body
    assert looked.body == b""
    assert looked.headers["Content-Length"] == str(len(got.body))
