"""What one batch makes in a transaction of many, to be taken back alone."""

from __future__ import annotations

from iobeam_server.storage.catalog.sql import Sql


class Savepoint:
    """The savepoint of each batch in one transaction; one that makes nothing new needs none."""

    def __init__(self) -> None:
        self._is_begun = False

    def begin(self, sql: Sql) -> None:
        """Begin it, unless the batch has one already."""
        if not self._is_begun:
            sql.execute("SAVEPOINT batch")
            self._is_begun = True

    def end(self, sql: Sql, is_refused: bool) -> bool:
        """End the batch; return whether something of it was taken back, since it is refused."""
        was_begun, self._is_begun = self._is_begun, False
        if was_begun and is_refused:
            sql.execute("ROLLBACK TO SAVEPOINT batch")
        if was_begun:
            sql.execute("RELEASE SAVEPOINT batch")
        return was_begun and is_refused
