"""The first import of `requests`, which Ctrl-C may interrupt.

It takes 80 ms on a large machine and seconds on a small one. What was loaded
of it by then stays in `sys.modules` without being part of its package, so
that the next import succeeds and every use of it fails.
"""
from __future__ import absolute_import

import sys

from iobeam.utils import gate

_gate = gate.Gate()
_transport = None
_before = None  # names of the modules before an import that has not ended


def transport():
    """Return the module `iobeam.http.transport`, imported whole."""
    return _transport or _load()


def _load():
    global _transport, _before
    with _gate as entered:
        if _transport is None:
            # Cleared here and not when the import fails: there is no instant
            # at which a second interrupt could come between.
            if _before is None:
                _before = frozenset(sys.modules)
            elif entered:  # and not in a signal handler, amid the import
                _mend(_before)
            from iobeam.http import transport as loaded

            _transport, _before = loaded, None
        return _transport


def _mend(before):
    """Make `sys.modules` such that the import can begin anew."""
    for name in sorted(sys.modules):  # a package before what is in it
        module = sys.modules[name]
        if name in before or module is None:
            continue
        package, _, last = name.rpartition(".")
        if package and package not in sys.modules:
            # Nobody can have got at it. Its package would not get it as an
            # attribute if it found it here. (One in C is whole if it is
            # there, and orjson's crashes when it is begun a second time.)
            if not hasattr(module, "__file__") or module.__file__.endswith(
                    (".py", ".pyc")):
                del sys.modules[name]
        elif package and not hasattr(sys.modules[package], last):
            setattr(sys.modules[package], last, module)
