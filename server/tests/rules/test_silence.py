"""When a device counts as silent."""

from __future__ import annotations

from typing import Optional

import pytest

from iobeam_server.rules.silence import is_silent, usual_us

S = 1_000_000
NOW = 1_700_000_000 * S


@pytest.mark.parametrize(
    ("times", "usual"),
    [
        ([], None),
        ([5], None),
        ([10, 0], 10),
        ([0, 10, 20, 30], 10),
        ([100, 90, 80, 20, 10], 10),  # newest first, one pause
        ([0, 1, 11, 21], 10),
        ([0, 10, 110], 10),
    ],
)
def test_the_usual_step(times: list[int], usual: Optional[int]) -> None:
    assert usual_us(times) == usual


@pytest.mark.parametrize(
    ("ago_s", "usual_s", "silent"),
    [
        (3_000, 600, False),
        (3_001, 600, True),
        (60, 1, False),  # rows of a second that are sent once a minute
        (61, 1, True),
        (10**9, None, False),  # has sent once, or at one time
        (-50, 1, False),  # its clock is ahead
        (86_400 * 6, 86_400 * 2, False),
    ],
)
def test_silent(ago_s: int, usual_s: Optional[int], silent: bool) -> None:
    usual = None if usual_s is None else usual_s * S
    assert is_silent(NOW - ago_s * S, usual, NOW) is silent
