"""Private environments for the libraries that are compared, under .venv/.

Made on first use, by pip and by the name of the package.
"""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_HOME = os.path.join(ROOT, ".venv")

# Each entry is what one call of pip gets. 0.11.0 asks for enum34, which breaks
# modern Pythons, and fails with PyJWT from 2.12 on.
_OLD = ["--no-deps iobeam==0.11.0", "requests pyjwt<2.12"]
_CONTENTS = {
    "ours": ["requests pyjwt"],
    "before": ["requests pyjwt"],
    "orjson": ["requests pyjwt orjson"],
    "0.11.0": _OLD,
    "pandas": ["requests pyjwt pandas"],
    "influx": ["influxdb-client"],
    "questdb": ["questdb"],
    "pandas-orjson": ["requests pyjwt pandas orjson"],
    "pandas-questdb": ["questdb[dataframe]"],
    "py27-ours": ["requests pyjwt enum34"],
    "py27-0.11.0": _OLD + ["enum34"],
}
_VIRTUALENV = "virtualenv<20.22"  # later ones cannot make environments for 2.7


class Environments:
    """Pythons by the name of what is installed for them.

    Args:
        python27 (str or None): the interpreter to use for 2.7.
        before (str or None): an earlier checkout.
    """

    def __init__(self, python27=None, before=None):
        self._python27 = python27
        self._before = before
        self._made = {}

    def python(self, name):
        """Return the Python of an environment, which is made if it has to be.

        Raises:
            subprocess.CalledProcessError: a command failed.
        """
        if name not in self._made:
            base = self._python27 if name.startswith("py27-") else None
            self._made[name] = make(name, _CONTENTS[name], base)
        return self._made[name]

    def variables(self, name):
        """Return the environment variables for its processes."""
        found = dict((key, value) for key, value in os.environ.items()
                     if not key.startswith(("PYTHON", "IOBEAM_"))
                     and not key.lower().endswith("_proxy"))
        if name in ("ours", "orjson", "pandas", "pandas-orjson", "py27-ours"):
            found["PYTHONPATH"] = ROOT
        elif name == "before":
            found["PYTHONPATH"] = self._before
        return found


def make(name, contents, base):
    """Return the Python of an environment by that name; make it unless it is as wanted.

    Args:
        name (str): of the folder.
        contents (list of str): what each call of pip gets.
        base (str or None): the interpreter, if not this one.

    Raises:
        subprocess.CalledProcessError: a command failed.
    """
    folder = os.path.join(_HOME, "bench-" + name)
    python = _pythonIn(folder)
    made = os.path.join(folder, "made")
    wanted = repr((contents, base or sys.version))
    if os.path.exists(made):
        with open(made) as opened:
            if opened.read() == wanted:
                return python
    print("making the environment for " + name, file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    if base is None:
        _run(sys.executable, "-m", "venv", folder)
    else:
        virtualenv = make("virtualenv", [_VIRTUALENV], None)
        _run(virtualenv, "-m", "virtualenv", "--quiet", "--python", base,
             folder)
    for packages in contents:
        _run(python, "-m", "pip", "install", "--quiet",
             "--disable-pip-version-check", *packages.split())
    with open(made, "w") as opened:
        opened.write(wanted)
    return python


def _pythonIn(folder):
    if os.name == "nt":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


def _run(*command):
    # pip warns of much that is no business of ours; shown if it fails
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()


def findPython27():
    """Return a Python 2.7 that runs, or None.

    Looks on PATH, and where the test suite looks beyond it.
    """
    path = os.environ.get("PATH", "")
    finder = os.path.join(ROOT, ".ci", "interpreters")
    if os.path.exists(finder) and shutil.which("sh"):
        path += subprocess.run(["sh", finder], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True).stdout
    for folder in path.split(os.pathsep):
        found = shutil.which("python2.7", path=folder)
        if found and isPython27(found):
            return os.path.abspath(found)
    return None


def isPython27(python):
    """Tell whether it is one; a shim by that name may lead nowhere."""
    try:
        return subprocess.run(
            [python, "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False
