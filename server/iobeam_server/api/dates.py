"""Dates of answers."""

from __future__ import annotations

import time


def old_form(seconds: int) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS +0000``, which every client parses (wire notes 4)."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(seconds))
