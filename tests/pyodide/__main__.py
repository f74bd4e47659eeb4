"""Fetch Pyodide and what the client needs, and run the client's tests on it.

    python -m tests.pyodide FOLDER [NAME..]

Needs node and npm; without them it says so and is content. FOLDER keeps what
was fetched.
"""
from __future__ import absolute_import

import json
import os
import subprocess
import sys

try:
    from shutil import which
except ImportError:  # Python 2.7
    which = None

VERSION = "314.0.7"  # CPython 3.14.2
PYTHON = "3.14"
NEEDED = ["requests", "pyjwt", "hypothesis"]
NODE = 20  # the oldest that Pyodide names
# A WebAssembly call takes more of the stack than the interpreter allows for:
# JSON that is nested without end would end node, not raise RecursionError.
STACK_KB = 60000
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def lacking():
    """Return what keeps it from running here, or None."""
    for program in ("node", "npm"):
        if which is None or which(program) is None:
            return "there is no {} here".format(program)
    said = subprocess.check_output(["node", "--version"]).decode("ascii")
    if int(said.lstrip("v").split(".")[0]) < NODE:
        return "node here is {}, and has to be {}".format(said.strip(), NODE)
    return None


def fetch(folder):
    """Install Pyodide and wheels without compiled parts; return both folders."""
    pyodide = os.path.join(folder, "node_modules", "pyodide")
    if not isInstalled(pyodide):
        subprocess.check_call([
            "npm", "install", "--silent", "--no-audit", "--no-fund",
            "--fetch-retries", "1",
            "--prefix", folder, "pyodide@" + VERSION])
    site = os.path.join(folder, "site")
    subprocess.check_call([
        sys.executable, "-W", "ignore", "-m", "pip", "install", "--quiet",
        "--upgrade", "--target", site, "--only-binary=:all:",
        "--implementation", "py", "--abi", "none", "--platform", "any",
        "--python-version", PYTHON] + NEEDED)
    return pyodide, site


def isInstalled(pyodide):
    try:
        with open(os.path.join(pyodide, "package.json")) as opened:
            return json.load(opened)["version"] == VERSION
    except EnvironmentError:
        return False


def widenStack():
    import resource

    wanted = (STACK_KB + 8000) * 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))


def main(folder, *names):
    why = lacking()
    if why is not None:
        print("left out the tests on CPython {} for WebAssembly: {}".format(
            PYTHON, why))
        return 0
    pyodide, site = fetch(os.path.abspath(folder))
    return subprocess.call(
        ["node", "--stack-size={}".format(STACK_KB),
         os.path.join(HERE, "run.mjs"), pyodide, ROOT, site] + list(names),
        preexec_fn=widenStack)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
