"""How files are made: whole and on disk or not at all; and where passing ones go."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Optional

from iobeam_server.errors import ConfigError

OWNER_ONLY = 0o600
PREFIX = "iobeam-server-"
LEFT_AFTER_S = 3_600  # a visible passing file of this age is a crashed server's; ours are unlinked


@contextlib.contextmanager
def whole(path: str, mode: int = 0o666) -> Iterator[str]:
    """Give the path of a new file to fill, which gets the name `path` after the block.

    What stood at `path` is replaced then, a link itself and not what it leads to.

    Args:
        path: of the file to make.
        mode: its permissions, less those that the umask takes; OWNER_ONLY for secrets.

    Raises:
        ConfigError: it cannot be written, or is a device or a folder; names the path.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError(f"cannot write {path}: it is no plain file")  # /dev/null stays one
    part = f"{path}.part-{os.getpid()}"
    try:
        # O_EXCL: never into a file or link that somebody put there
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))
        try:
            yield part
            _sync(part, os.O_RDWR)
            os.replace(part, path)
            if hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
                with contextlib.suppress(PermissionError):  # one that may be written, not read
                    _sync(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(part)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def make_temporary_folder(path: str) -> str:
    """Make a folder for passing files, for its owner only, and clear it of a crash's leftovers.

    Returns:
        Its absolute path. One that is there keeps its permissions.

    Raises:
        ConfigError: it cannot be used; names it.
    """
    path = os.path.abspath(path)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        with temporary(path):
            pass
        for entry in os.scandir(path):
            age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if entry.name.startswith(PREFIX) and age_s > LEFT_AFTER_S:
                with contextlib.suppress(OSError):  # in use on Windows, or gone by now
                    os.unlink(entry.path)
    except OSError as error:
        raise ConfigError(
            f"cannot write in the temporary folder {path}: {error.strerror or error}; "
            "name another: --temporary-folder"
        ) from error
    return path


def temporary(folder: Optional[str]) -> IO[bytes]:
    """Open a file that nobody else sees and that goes when it is closed; None: the system's."""
    return tempfile.TemporaryFile(prefix=PREFIX, dir=folder)


def need_room(needed: int, *folders: str) -> None:
    """Raise ConfigError where one of these folders has not so many bytes free.

    Folders on one file system need it once for each.
    """
    asked: dict[int, int] = {}
    for folder in folders:
        device = os.stat(folder).st_dev
        asked[device] = asked.get(device, 0) + needed
        free = shutil.disk_usage(folder).free
        if free < asked[device]:
            raise ConfigError(
                f"{asked[device] >> 20} MiB must be free in {folder}, there are {free >> 20}: "
                "make room, or name another folder (--temporary-folder)"
            )


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
