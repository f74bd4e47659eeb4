"""The keys that sign tokens, and what ends tokens before their time.

Tokens end by number, not by the clock, which may jump. The table `revision` holds one number,
that of the newest change that ended any; a token carries the one that stood there before its
issue began, and is dead once a revocation that concerns it has a higher one. Whoever takes the
next number keeps the row until the commit, so that numbers become visible in their order: who
reads n has all revocations up to n before him, and each that he has not gets a higher one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Callable, Optional

from iobeam_server.storage.base import Owner, Revocation, Standing
from iobeam_server.storage.catalog import changes
from iobeam_server.storage.catalog.sql import Database, Sql

KEY_BYTES = 32  # HS256 wants at least the 256 bits of its hash (RFC 7518 3.2)
MAX_NUMBER = 2**53 - 1  # what every reader of JSON takes exactly


class Keys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def signing(self) -> Sequence[bytes]:
        """Return the secrets of the key ring, newest first; never empty."""
        with self._database.reading() as sql:
            rows = sql.many("SELECT secret FROM signing_keys ORDER BY key_id DESC")
        return [bytes(row[0]) for row in rows]

    def revision(self) -> int:
        """Return the number for a new token; read before anything else is looked at for it."""
        with self._database.reading() as sql:
            return int(sql.one("SELECT number FROM revision")[0])

    def revoke(
        self,
        project_id: int,
        device_id: Optional[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """End the tokens issued so far for one device, or (None) all of the project."""
        with changes.noted(self._database.writing()) as sql:
            end_tokens(sql, project_id, device_id, clock)

    def revocations(self) -> Sequence[Revocation]:
        """Return the newest of each project and device, oldest first."""
        with self._database.reading() as sql:
            rows = sql.many(
                "SELECT project_id, device_id, before_s FROM revocations"
                " ORDER BY before_s, project_id, device_id"
            )
        return [Revocation(project, device or None, moment) for project, device, moment in rows]

    def standing(
        self, project_id: int, device_id: Optional[str], owner: int, adoption: int
    ) -> Standing:
        """Return all that decides what such a token is good for now.

        Args:
            project_id, device_id: what it is limited to.
            owner: the user on whose right it rests; 0 is nobody.
            adoption: number of the adoption that it came from; 0 is none.
        """
        with self._database.reading() as sql:
            number, before_s = sql.one(
                "SELECT max(number), max(before_s) FROM revocations"
                " WHERE project_id = ? AND device_id IN ('', ?)",
                project_id,
                device_id or "",
            )
            row = owner and sql.one(
                "SELECT u.password_number, u.tokens_after, coalesce(p.permissions, 0)"
                " FROM users u LEFT JOIN permissions p"
                " ON p.user_id = u.user_id AND p.project_id = ?"
                " WHERE u.user_id = ? AND u.password_hash <> ''",
                project_id,
                owner,
            )
            is_adopted = not adoption or sql.has(
                "SELECT 1 FROM adoptions WHERE number = ?", adoption
            )
        return Standing(
            int(number or 0), float(before_s or 0.0), Owner(*row) if row else None, is_adopted
        )


def next_number(sql: Sql, clock: Callable[[], float]) -> int:
    """Take the next number; the caller's transaction holds it until its commit.

    It is the clock's milliseconds where that is more: after an older copy of the database was
    put in place, numbers go on above those that were given since it was made.
    """
    now_ms = max(0, min(int(clock() * 1_000), MAX_NUMBER))
    sql.execute(
        "UPDATE revision SET number = CASE WHEN number < ? THEN ? ELSE number + 1 END",
        now_ms,
        now_ms,
    )
    return int(sql.one("SELECT number FROM revision")[0])


def end_tokens(
    sql: Sql, project_id: int, device_id: Optional[str], clock: Callable[[], float]
) -> None:
    """End the tokens issued so far, adopted ones among them; see `Keys.revoke`."""
    number = next_number(sql, clock)  # first: who adopts at this moment comes before, or after
    sql.execute(
        "INSERT INTO revocations (project_id, device_id, before_s, number) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (project_id, device_id)"
        " DO UPDATE SET before_s = excluded.before_s, number = excluded.number",
        project_id,
        device_id or "",
        clock(),
        number,
    )
    if device_id is None:
        sql.execute("DELETE FROM adoptions WHERE project_id = ?", project_id)
    else:
        sql.execute(
            "DELETE FROM adoptions WHERE project_id = ? AND device_id = ?", project_id, device_id
        )


def make_first(sql: Sql) -> None:
    """Make a signing key unless there is one."""
    sql.execute(
        "INSERT INTO signing_keys (secret, created) SELECT ?, ?"
        " WHERE NOT EXISTS (SELECT 1 FROM signing_keys)",
        secrets.token_bytes(KEY_BYTES),
        int(time.time()),
    )
