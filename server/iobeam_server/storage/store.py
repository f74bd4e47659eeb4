"""One database, whatever its engine: the catalogue's classes, the points, the upkeep."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Optional

from iobeam_server.storage.base import Points, Size
from iobeam_server.storage.catalog.activity import Activity
from iobeam_server.storage.catalog.adoptions import Adoptions
from iobeam_server.storage.catalog.devices import Devices
from iobeam_server.storage.catalog.keys import Keys
from iobeam_server.storage.catalog.namespaces import Namespaces
from iobeam_server.storage.catalog.projects import Projects
from iobeam_server.storage.catalog.series import SeriesCatalog
from iobeam_server.storage.catalog.sql import Database
from iobeam_server.storage.catalog.summaries import Summaries
from iobeam_server.storage.catalog.users import Users
from iobeam_server.storage.upkeep import Contents


class Storage(Points, Database):
    """One database. What an engine does itself is abstract here and in the bases."""

    def __init__(self) -> None:
        self.keys = Keys(self)
        self.adoptions = Adoptions(self)
        self.projects = Projects(self)
        self.users = Users(self)
        self.namespaces = Namespaces(self)
        self.devices = Devices(self)
        self.series = SeriesCatalog(self)
        self.summaries = Summaries(self)
        self.activity = Activity(self)

    @abc.abstractmethod
    def close(self) -> None:
        """Close every connection; calls after it fail."""

    def use_temporary_folder(self, path: str) -> None:
        """Put what a query needs for passing there, if the engine does that in this process."""

    def check(self) -> None:
        """Ask the database anything; raises StorageUnavailable when it does not answer."""
        with self.reading() as sql:
            sql.one("SELECT 1 FROM projects LIMIT 1")

    @abc.abstractmethod
    def problems(self) -> Iterator[str]:
        """Read everything; yield a sentence for each thing that is not as it must be."""

    @abc.abstractmethod
    def backup(self, path: str) -> None:
        """Copy the database, as of one moment, to a new file.

        Raises:
            ConfigError: the engine has its own tool for that; the message names it.
        """

    @abc.abstractmethod
    def size(self) -> Size:
        """Return how much room the database takes."""

    @abc.abstractmethod
    def compact(self, full: bool) -> None:
        """Give back what deleting has left free.

        SQLite is rewritten, and who wants to write waits meanwhile. In PostgreSQL what is
        free is made ready to be used again, and the end of each table given back; with
        `full` the tables are rewritten, and everybody waits meanwhile.

        Raises:
            ConfigError: there is too little room to do it; names the folder.
            StorageUnavailable: somebody else writes all the time.
        """

    @abc.abstractmethod
    def divide(self, chunk_us: int) -> bool:
        """Divide the points into chunks of time; imports wait meanwhile.

        Args:
            chunk_us: width of a chunk, from now on where they are divided already.

        Returns:
            False where they were divided already.

        Raises:
            ConfigError: the engine cannot do it, says why, or it would be too many.
        """

    @abc.abstractmethod
    def distribute(self, shards: int) -> bool:
        """Spread the points over several machines, by their series; imports wait meanwhile.

        Args:
            shards: how many pieces; of points that are spread already it stays as it is.

        Returns:
            False where they were spread already.

        Raises:
            ConfigError: the engine cannot do it, and says why.
        """

    @abc.abstractmethod
    def layout(self) -> Optional[str]:
        """Say how the points lie in the database; None where there is but one way."""

    @abc.abstractmethod
    def drop_chunk(self, before_us: int) -> Optional[int]:
        """Drop the oldest chunk of time that ends before a time, whole.

        Returns:
            How many points it held; None where there is no such chunk.
        """

    @abc.abstractmethod
    def taking_out(self) -> AbstractContextManager[Contents]:
        """Hold everything still while it is read: who wants to write meanwhile waits."""

    @abc.abstractmethod
    def putting_in(self) -> AbstractContextManager[Contents]:
        """Fill an empty database: committed at the end of the block, rolled back on an error.

        Raises:
            AlreadyExists: it is in use.
        """
