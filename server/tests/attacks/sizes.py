"""How much of the attacks is run: `make test` takes one of each kind, tox on 3.13 all."""

from __future__ import annotations

import os
from collections.abc import Iterable

ALL = os.environ.get("IOBEAM_ATTACKS", "") == "all"


def some(names: Iterable[str], *kept: str) -> list[str]:
    """Return the names that are run; those to keep where not all are."""
    found = list(names)
    assert set(kept) <= set(found)
    return found if ALL else list(kept)
