"""Tokens of another server that are taken here: their digests, and what they are good for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable, Optional

from iobeam_server.errors import AlreadyExists, NotFound
from iobeam_server.storage.base import Adoption
from iobeam_server.storage.catalog import changes, keys
from iobeam_server.storage.catalog.sql import Database

_COLUMNS = ", ".join(Adoption._fields)


class Adoptions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        digest: str,
        project_id: int,
        permissions: int,
        device_id: Optional[str],
        clock: Callable[[], float] = time.time,
    ) -> Adoption:
        """Take a token from now on.

        Args:
            digest: SHA-256 of the token, hexadecimal.
            project_id, permissions, device_id: what it is good for; None is every device.
            clock: of now, in s.

        Raises:
            NotFound: no such project.
            AlreadyExists: the token is adopted already.
        """
        with changes.noted(self._database.writing()) as sql:
            number = keys.next_number(sql, clock)
            made = Adoption(number, digest, project_id, permissions, device_id, int(clock()))
            if not sql.has("SELECT 1 FROM projects WHERE project_id = ?", project_id):
                raise NotFound(f"there is no project {project_id}")
            added = sql.execute(
                f"INSERT INTO adoptions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                *made,
            )
            if not added.rowcount:
                raise AlreadyExists(f"the token is adopted already, as {digest[:12]}")
            return made

    def get(self, digest: str) -> Optional[Adoption]:
        with self._database.reading() as sql:
            row = sql.one(f"SELECT {_COLUMNS} FROM adoptions WHERE digest = ?", digest)
        return None if row is None else Adoption(*row)

    def all(self) -> Sequence[Adoption]:
        """Return them, oldest first."""
        with self._database.reading() as sql:
            rows = sql.many(f"SELECT {_COLUMNS} FROM adoptions ORDER BY number")
        return [Adoption(*row) for row in rows]

    def any(self) -> bool:
        """Say whether there is one at all."""
        with self._database.reading() as sql:
            return sql.has("SELECT 1 FROM adoptions LIMIT 1")

    def end(self, digest: str) -> bool:
        """Take a token no longer, nor those made of it; False when it was not taken."""
        with changes.noted(self._database.writing()) as sql:
            gone = sql.execute("DELETE FROM adoptions WHERE digest = ?", digest)
            return gone.rowcount > 0
