from __future__ import annotations

from typing import Callable

import pytest

from iobeam_server.errors import BadRequest, ServerError, Unprocessable
from iobeam_server.rules.names import check_device_id, check_name, check_text, new_device_id


def check_label(text: str) -> None:
    check_text("the label", text)


@pytest.mark.parametrize(
    ("check", "names"),
    [
        (check_device_id, ["a", "A-b_c:9", "x" * 256, "timestamps", new_device_id()]),
        (check_name, ["a", "Ü x/y", "times", "x" * 256]),
        (check_label, ["a", "all", "time", " a ", "x" * 256]),
    ],
)
def test_good_names(check: Callable[[str], None], names: list[str]) -> None:
    for name in names:
        check(name)


@pytest.mark.parametrize(
    ("check", "kind", "names"),
    [
        (check_device_id, BadRequest,
         ["", "a b", "a\n", "ü", "a/b", "x" * 257, "all", "ALL", "Timestamp"]),
        (check_name, Unprocessable,
         ["", "time", "TIME", "time_offset", "all", "a\n", "\x7f", "x" * 257]),
        (check_label, BadRequest, ["", "  ", "a\tb", "a\0", "\x7f", "x" * 257]),
    ],
)  # fmt: skip
def test_bad_names(check: Callable[[str], None], kind: type[ServerError], names: list[str]) -> None:
    for name in names:
        with pytest.raises(kind):
            check(name)


def test_new_ids_differ() -> None:
    made = {new_device_id() for _ in range(50)}
    assert len(made) == 50
    assert {len(one) for one in made} == {24}
