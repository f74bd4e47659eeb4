"""Long answers: written piece by piece, sent with a known length."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Optional

import falcon

from iobeam_server import files
from iobeam_server.config import Config
from iobeam_server.errors import StorageUnavailable

RETRY_AFTER_S = 60  # somebody has to make room first
CSV = "text/plain; charset=utf-8"


def send(resp: falcon.Response, pieces: Iterable[bytes], config: Config) -> None:
    """Make the pieces the body of an answer.

    Up to `spool_bytes` stay in memory; a longer answer goes to a temporary file, so
    that Content-Length is known (several clients cannot read chunked coding, wire
    notes 1) and memory stays flat. Nothing is sent before the last piece is there:
    an error on the way is still an error answer.

    Raises:
        StorageUnavailable: the file cannot be written; names its folder.
    """
    held: list[bytes] = []
    size = 0
    spool = _Spool(config.temporary_folder)
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > config.spool_bytes:
                spool.add(held)
                held.clear()
        if size > config.spool_bytes:
            resp.set_stream(spool.whole(), size)
        else:
            resp.data = b"".join(held)
    except BaseException:
        spool.close()
        raise


class _Spool:
    """A temporary file that is there when it is needed, and whose troubles are worded."""

    def __init__(self, folder: Optional[str]) -> None:
        self._folder = folder
        self._file: Optional[IO[bytes]] = None

    def add(self, pieces: Iterable[bytes]) -> None:
        with self._worded():
            if self._file is None:
                self._file = files.temporary(self._folder)
            self._file.writelines(pieces)

    def whole(self) -> IO[bytes]:
        """Return it for reading; whoever reads closes it."""
        assert self._file is not None
        with self._worded():
            self._file.seek(0)  # writes what it still holds
            return self._file

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk, what it still holds
                self._file.close()

    @contextlib.contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailable(
                f"the answer does not fit into {self._where()} ({error.strerror or error}): make "
                "room there, name another (serve --temporary-folder), or ask for less at once",
                retry_after_s=RETRY_AFTER_S,
            ) from None

    def _where(self) -> str:
        if self._folder is not None:
            return f"the temporary folder {self._folder}"
        try:
            return f"the system's temporary folder {tempfile.gettempdir()}"
        except OSError:  # none can be written
            return "the system's temporary folder"
