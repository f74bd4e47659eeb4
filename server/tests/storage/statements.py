"""The statements on points that the product sends, held to what Citus takes.

Rules as found on a real one (Citus 13.2, a coordinator and two workers).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Optional

ON_POINTS = re.compile(r"\b(FROM|JOIN|INTO|UPDATE|COPY|LOCK TABLE|VACUUM)\b[\w ,()]*\bpoints\b")

WITHOUT_SERIES = {
    r"CREATE (TABLE|VIEW) ": "the schema, before anything is distributed",
    r"VACUUM ": "whole tables",
    r"LOCK TABLE ": "whole tables",
    r"SELECT count\(DISTINCT time / ": "`hypertable`, which no distributed table is",
    r"SELECT count\(\*\) FROM points WHERE time < ": "chunks, which no distributed table has",
}
"""Beginnings of statements that may do without a series, and why."""

INNER = re.compile(r"(\S+)\s*\(SELECT (?:(?!\bSELECT\b).)*?\bFROM points\b(.*)")
TAKEN = ("FROM", "MATERIALIZED", "AS")
KEYED = re.compile(
    r"FROM series_keys k CROSS JOIN LATERAL \(SELECT [^()]* FROM points WHERE"
    r" series_id = k\.series_id "
)


def fault(statement: str, is_distributed: bool) -> Optional[str]:
    """Say what is wrong with a statement; None where nothing is."""
    if not ON_POINTS.search(statement):
        return None
    may = any(re.match(one, statement.lstrip()) for one in WITHOUT_SERIES)
    if not may and "series_id" not in statement:
        return "it names no series: every shard is asked"
    if is_distributed:
        for found in INNER.finditer(statement):
            if found[1] == "LATERAL" and not KEYED.search(statement):
                return "LATERAL on points that does not come from series_keys"
            if found[1] not in (*TAKEN, "LATERAL"):
                return "a subquery on points that is no table"
    return None


class Recorder:
    """Keeps what code of the product, and nobody else, sends to PostgreSQL."""

    def __init__(self, monkeypatch: Any) -> None:
        import psycopg

        self.statements: list[str] = []
        for owner, name in (
            (psycopg.Cursor, "execute"),
            (psycopg.Cursor, "executemany"),
            (psycopg.Cursor, "copy"),
            (psycopg.ServerCursor, "execute"),
        ):
            self._watch(monkeypatch, owner, name)

    def _watch(self, monkeypatch: Any, owner: Any, name: str) -> None:
        sent = getattr(owner, name)

        def send(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
            if next(_callers(), "").startswith("iobeam_server"):
                self.statements.append(query if isinstance(query, str) else str(query))
            return sent(cursor, query, *args, **options)

        monkeypatch.setattr(owner, name, send)


def _callers() -> Iterator[str]:
    """Yield the modules of the stack from here, without the driver's and this one."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("psycopg") and module != "contextlib":
            yield module
        frame = frame.f_back
