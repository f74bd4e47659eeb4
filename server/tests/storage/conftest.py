from __future__ import annotations

import contextlib

import pytest


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows at a time, so that a few rows make several pieces."""
    for name in ("catalog.series", "sqlite.upkeep", "postgres.upkeep"):
        with contextlib.suppress(ImportError):
            module = __import__(f"iobeam_server.storage.{name}", fromlist=["PIECE_ROWS"])
            monkeypatch.setattr(module, "PIECE_ROWS", 3)
