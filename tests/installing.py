"""pip install, with a line for each step: `python tests/installing.py ARGUMENTS`.

pip alone says nothing (-q), which looks like a hang, or a hundred lines. All of what it
said comes when it fails, and its exit code always.
"""
from __future__ import absolute_import, print_function

import os
import re
import subprocess
import sys

STEPS = (
    (r" *Installing build dependencies: started", "what it is built with"),
    (r"Collecting ([\w.-]+)", None),
    (r"Building wheels for collected packages", "building"),
    (r"Installing collected packages", "unpacking"),
)


def stepOf(line):
    """What to show of a line of pip's, or None."""
    for pattern, shown in STEPS:
        found = re.match(pattern, line)
        if found:
            return shown or found.group(1)
    return None


def main(arguments):
    # The backend takes the client that is installed along with it.
    environment = dict(os.environ, IOBEAM_CLIENT_BY_NAME="1",
                       PYTHONUNBUFFERED="1")
    pip = subprocess.Popen(
        [sys.executable, "-m", "pip", "install", "--progress-bar", "off"]
        + arguments, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True)
    said = []
    for line in iter(pip.stdout.readline, ""):
        said.append(line)
        step = stepOf(line)
        if step:
            print("  " + step)
            sys.stdout.flush()
    code = pip.wait()
    if code:
        sys.stderr.write("".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
