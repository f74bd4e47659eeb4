"""Files that appear whole, or not at all."""
from __future__ import absolute_import

import os
import tempfile

from iobeam.utils import compat


def writeFile(path, name, text, mode):
    """Write a file so that a reader, or a power cut, sees the old or the new."""
    handle, temporary = tempfile.mkstemp(prefix="." + name, dir=path)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(compat.toText(text).encode("utf-8"))
            opened.flush()
            os.fsync(opened.fileno())
        os.chmod(temporary, mode)
        compat.replaceFile(temporary, os.path.join(path, name))
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
    compat.fsyncFolder(path)
