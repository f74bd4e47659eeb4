"""The files that `export` writes and `import` reads back: every point, bit for bit."""

from __future__ import annotations

from iobeam_server.exportfiles.csvfile import value_of
from iobeam_server.exportfiles.form import FORMATS, ExportFile, Place, Run
from iobeam_server.exportfiles.reading import opened
from iobeam_server.exportfiles.writing import write

__all__ = ["FORMATS", "ExportFile", "Place", "Run", "opened", "value_of", "write"]
