"""What happens to rows in memory when a process forks or ends.

A process that ends keeps what it can: `atexit`, and where children skip that,
`multiprocessing`'s and billiard's own finalizers. A fork leaves rows with the
parent.
"""
from __future__ import absolute_import

import atexit
import logging
import os
import sys
import weakref

from iobeam.utils import gate as gates
from iobeam.utils import utils

# Who presses Ctrl-C twice is to lose nothing; who goes on wants an end of it,
# such as where the disk hangs.
_MAX_INTERRUPTS = 3  # of one end; after each but the last it is tried again

_clients = weakref.WeakSet()
_forking = []  # (gate, what it gave) of those that a fork holds
_finalizing = set()  # (process id, module) where a finalizer has been set
_renewing = set()  # modules that are asked to have it set in each child


def watch(client):
    """Look after a client until it is collected.

    Args:
        client: has ``keepRows()``, which never raises for the outside's sake,
            ``gate()`` and ``checkFork()``.
    """
    _clients.add(client)
    finalizeChild()


def finalizeChild():
    """See to it that a child process keeps its rows when it ends.

    `multiprocessing` ends its children by os._exit, after finalizers of its
    own, which it forgets at each fork; so does billiard, the fork of it that
    Celery uses, but for workers of a pool: Celery sends a signal at their end.
    None is imported here: a child of theirs has it.
    """
    for name in ("multiprocessing.util", "billiard.util", "celery.signals"):
        module = sys.modules.get(name)
        if module is None or (os.getpid(), name) in _finalizing:
            continue
        if hasattr(module, "Finalize"):
            # any priority: without one, children do not call it
            module.Finalize(None, _keepAll, exitpriority=0)
            if name not in _renewing:  # children inherit that
                _renewing.add(name)
                module.register_after_fork(_keepAll, _renewFinalizers)
        elif hasattr(module, "worker_process_shutdown"):
            module.worker_process_shutdown.connect(_keepAll, weak=False)
        _finalizing.add((os.getpid(), name))


def _renewFinalizers(_):
    """In a child that has just forgotten those that came with the fork."""
    _finalizing.clear()
    finalizeChild()


@atexit.register
def _keepAll(**_):
    interrupt = None
    for _ in range(_MAX_INTERRUPTS):
        try:
            gates.catchUp()
            for client in list(_clients):
                client.keepRows()
            break
        except BaseException as error:  # a further Ctrl-C, or signal
            interrupt = error
    if interrupt is not None:
        raise interrupt


def warn(message, *args):
    """Log a warning at an end, where nobody looks at anything else.

    Without a handler for it, it goes to stderr: the library's NullHandler
    would swallow the last word on rows that are lost.
    """
    logger = utils.getLogger()
    if _isHandled(logger):
        logger.warning(message, *args)
    elif sys.stderr is not None:
        sys.stderr.write("WARNING iobeam: " + message % args + "\n")


def _isHandled(logger):
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler)
               for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _beforeFork():
    # No other thread may be amid a commit: Pythons up to 3.10 close its
    # connection in the child, and that would roll the parent's commit back.
    # A gate belongs to a frame: here to that which forks.
    frame = sys._getframe(1)
    for gate in sorted((client.gate() for client in list(_clients)), key=id):
        held = gate.hold(frame)
        if held is not None:
            _forking.append((gate, held))


def _afterForkInParent():
    while _forking:
        gate, held = _forking.pop()
        gate.release(held)


def _afterForkInChild():
    del _forking[:]
    for client in list(_clients):
        client.checkFork()


if hasattr(os, "register_at_fork"):  # from Python 3.7 on
    os.register_at_fork(before=_beforeFork,  # novm
                        after_in_parent=_afterForkInParent,
                        after_in_child=_afterForkInChild)
