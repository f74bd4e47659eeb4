"""Run Python, and leave nothing of it running: python tests/guard.py -m MODULE ..

Ctrl-C reaches the processes of a terminal, but not those that tests start in
sessions of their own, as PostgreSQL and browsers are; the SIGTERM of a CI
reaches one process alone. This one adopts all that its child leaves behind (on
Linux), ends it when the child has ended, and says what it was.
"""
from __future__ import absolute_import

import os
import signal
import subprocess
import sys
import time

GRACE_S = 15  # for a child that was interrupted, to clean up by itself
ROUND_S = 3  # for what it left behind, to obey each signal
# PostgreSQL takes the first as "disconnect everybody and stop".
ROUNDS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGKILL", None))
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def prctl(option, value):
    if sys.platform.startswith("linux"):
        import ctypes
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def apart():
    """Let the terminal's Ctrl-C not reach this process; its parent's end does."""
    os.setpgid(0, 0)
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT))


def descendants():
    """Return {process id: command line} of all below this process."""
    parents, commands = {}, {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/1") else ():
        if not name.isdigit():
            continue
        try:
            with open("/proc/{}/stat".format(name), "rb") as opened:
                # the name in brackets may have blanks and brackets in it
                state, parent = opened.read().rpartition(b")")[2].split()[:2]
            with open("/proc/{}/cmdline".format(name), "rb") as opened:
                command = opened.read().replace(b"\0", b" ").decode("utf-8",
                                                                    "replace")
        except EnvironmentError:
            continue  # it has ended meanwhile
        if state != b"Z":
            parents[int(name)], commands[int(name)] = int(parent), command
    found = {}
    for process in parents:
        above = process
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid() and process != above:
            found[process] = commands[process]
    return found


def bury():
    """Take leave of adopted processes that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except EnvironmentError:
        pass  # there are none


def endAll():
    """End what is left; return its command lines."""
    left = descendants()
    for number in ROUNDS:
        until = time.time() + ROUND_S
        for process in descendants():
            try:
                os.kill(process, number)
            except EnvironmentError:
                pass
        while descendants() and time.time() < until:
            time.sleep(0.05)
            bury()
    bury()
    return sorted(left.values())


def main(command):
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    signals = []

    def note(number, _):
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    with open(os.devnull) as nothing:  # for only one group may read a terminal
        child = subprocess.Popen(command, stdin=nothing, preexec_fn=apart)
    told, until = 0, None
    while child.poll() is None and (until is None or time.time() < until):
        if len(signals) > told:
            # the second time somebody has lost patience
            until = time.time() + (0 if told else GRACE_S)
            told = len(signals)
            child.send_signal(signal.SIGINT)
        time.sleep(0.05)
    left = endAll()
    if signals:
        return 128 + signals[0]
    if left:
        sys.stderr.write("ended what was left running:\n  {}\n".format(
            "\n  ".join(left)))
    return child.returncode if child.returncode >= 0 else 1


if __name__ == "__main__":
    sys.exit(main([sys.executable] + sys.argv[1:]))
