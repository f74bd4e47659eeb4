"""Opens export files."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from itertools import chain
from typing import TextIO

from iobeam_server.errors import BadRequest
from iobeam_server.exportfiles import csvfile, jsonfile
from iobeam_server.exportfiles.form import BadLine, ExportFile, Place, Run

HOW = "; `import` takes what `export` wrote, other files go in by the client: iobeam send FILE"


@contextlib.contextmanager
def opened(path: str, max_text_chars: int) -> Iterator[ExportFile]:
    """Open a file, read where its points belong, and give them, in bounded memory.

    Args:
        path: a plain file; it is read more than once.
        max_text_chars: characters that a text may have.

    Raises:
        BadRequest: here, or while its points are taken: it cannot be read, or `export`
            did not write it; names the line and what to do.
    """
    with _worded(path), _text(path) as file:
        read = jsonfile.read if file.read(1) == "{" else csvfile.read
        file.seek(0)
        places: list[Place] = []
        runs = read(file, places.append, max_text_chars)
        first = list(_first(runs))  # the place stands before the points
        yield ExportFile(places[0] if places else None, chain(first, runs))


def _first(runs: Iterator[Run]) -> Iterator[Run]:
    for run in runs:
        yield run
        return


@contextlib.contextmanager
def _text(path: str) -> Iterator[TextIO]:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise BadRequest(f"{path} is no plain file; it is read twice, so save it as one first")
    with open(path, encoding="utf-8", newline="") as file:
        yield file


@contextlib.contextmanager
def _worded(path: str) -> Iterator[None]:
    try:
        yield
    except BadLine as error:
        raise BadRequest(f"{path}, line {error.line}: {error}{HOW}") from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is not UTF-8: {error}{HOW}") from None
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}") from None
