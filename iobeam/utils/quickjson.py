"""orjson, where it is installed and once it is loaded.

That happens with what sends, not before: `import iobeam` loads the standard
library alone.
"""
from __future__ import absolute_import

from iobeam.utils import compat

dumps = None
"""Makes UTF-8 of a value; TypeError for what it does not take, such as
subclasses. None without orjson."""

loads = None
"""Makes a value of text or UTF-8. None without orjson."""


def load():
    """Load orjson, if it is installed."""
    global dumps, loads
    if compat.PY2:
        return
    from importlib import util  # novm

    if util.find_spec("orjson") is None:  # novm
        return
    # What it imports: an exception there, such as that of Ctrl-C, makes it
    # crash the interpreter (3.13.0).
    for name in ("dataclasses", "datetime", "enum", "uuid", "zoneinfo"):
        if util.find_spec(name) is not None:  # novm
            __import__(name)
    import orjson  # novm

    dumps, loads = orjson.dumps, orjson.loads
