"""When a device counts as silent: it has sent nothing for much longer than it usually does."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import Optional

STEPS = 20
"""As many of the last steps between points say what is usual."""
TIMES = 5
"""A device is silent after so many of its usual steps..."""
LEAST_US = 60_000_000
"""... and after a minute at least: those that measure often send many rows at once."""


def usual_us(times: Sequence[int]) -> Optional[int]:
    """Return the usual step between some times (us, in order); None of fewer than two."""
    steps = [abs(later - earlier) for earlier, later in zip(times, times[1:])]
    return median_low(steps) if steps else None


def is_silent(last_us: int, usual: Optional[int], now_us: int) -> bool:
    """Say whether a device, whose newest point is of `last_us`, has fallen silent."""
    return usual is not None and now_us - last_us > max(LEAST_US, TIMES * usual)
