"""The configuration file: project, token and backend of this user's programs.

It is ``IOBEAM_CONFIG``, else ``~/.config/iobeam/iobeam.ini``; `iobeam
configure` writes it. Variables of the environment win over what stands there.
"""
from __future__ import absolute_import

import errno
import io
import os

from iobeam.utils import compat, files

SECTION = "iobeam"
# What there is, and the variable of each.
VARIABLES = {"project_id": "IOBEAM_PROJECT_ID", "token": "IOBEAM_TOKEN",
             "backend": "IOBEAM_BACKEND"}
FILE_VARIABLE = "IOBEAM_CONFIG"
_FILE, _FOLDER = "iobeam.ini", "iobeam"


def path():
    """Return the name of the file (str), or None: there is no home folder."""
    named = os.environ.get(FILE_VARIABLE, "").strip()
    if named:
        return os.path.abspath(os.path.expanduser(named))
    base = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME",
                          "").strip()
    if not os.path.isabs(base):  # the specification has others ignored
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, _FOLDER, _FILE) if os.path.isabs(base) else None


def read():
    """Return what the file says: a dict of some of `VARIABLES`; {} for none.

    Raises:
        ValueError: the file cannot be read, or is no such file.
    """
    file = path()
    if file is None:
        return {}
    parser = _parsed(file)
    if not parser.has_section(SECTION):
        return {}
    return dict((name, compat.toNative(value.strip()))
                for name, value in parser.items(SECTION)
                if name in VARIABLES and value and value.strip())


def isVariable(name):
    """Tell whether the environment has one of `VARIABLES`."""
    return bool(os.environ.get(VARIABLES[name], "").strip())


def find(name):
    """Return the value of one of `VARIABLES` (str), or None.

    Raises:
        ValueError: the file is needed, and cannot be read.
    """
    return os.environ.get(VARIABLES[name], "").strip() or read().get(name)


def needed():
    """Return all of `VARIABLES` and their values (dict of str).

    Raises:
        ValueError: one is missing; the message names it, and what to do. Or
            the file is needed, and cannot be read.
    """
    found = dict((name, find(name)) for name in VARIABLES)
    missing = [name for name in sorted(VARIABLES) if not found[name]]
    if missing:
        raise ValueError("{} not set, and {} has no {}: set {}, or run iobeam "
                         "configure".format(
                             _listed([VARIABLES[name] for name in missing])
                             + (" is" if len(missing) == 1 else " are"),
                             shownPath(), _listed(missing, "or"),
                             "it" if len(missing) == 1 else "them"))
    return found


def projectId(text):
    """Return a project's id (int) as variables, files and options have it.

    Raises:
        ValueError: it is no number.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError("{} must be an int, not {!r:.60}".format(
            VARIABLES["project_id"], text))


def write(values):
    """Put values into the file, in one step; return its name.

    What else stands there is kept, but for comments. A new folder is for its
    owner alone, and so is the file.

    Args:
        values (dict): of `VARIABLES`, to str.

    Raises:
        ValueError: there is no home folder, or the file that is there cannot
            be read.
        EnvironmentError: it cannot be written.
    """
    file = path()
    if file is None:
        raise ValueError("this user has no home folder: name a file with " +
                         FILE_VARIABLE)
    if os.path.exists(file) and not os.path.isfile(file):
        raise ValueError("{} is no file".format(file))
    parser = _parsed(file)
    if not parser.has_section(SECTION):
        parser.add_section(SECTION)
    for name, value in values.items():
        parser.set(SECTION, name, value)
    lines = []
    for section in parser.sections():
        lines.append(u"[{}]\n".format(compat.toText(section)))
        lines += [u"{} = {}\n".format(compat.toText(name), compat.toText(
            value or "").replace(u"\n", u"\n\t"))
            for name, value in parser.items(section)]
    file = os.path.realpath(file)  # it may be a link into other files
    folder, name = os.path.split(file)
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o700)
    files.writeFile(folder, name, u"".join(lines), 0o600)
    return file


def shownPath():
    """Return the name of the file for messages, as people write it."""
    file = path()
    home = os.path.expanduser("~")
    if file is None:
        return "the file of " + FILE_VARIABLE
    if os.path.isabs(home) and file.startswith(os.path.join(home, "")):
        return os.path.join("~", file[len(os.path.join(home, "")):])
    return file


def _listed(names, word="and"):
    last = " {} ".format(word)
    return last.join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])


def _parsed(file):
    try:
        import configparser  # novm
    except ImportError:  # Python 2.7
        import ConfigParser as configparser  # novm

    # Raw: a token may have a % in it.
    parser = configparser.RawConfigParser()
    try:
        with io.open(file, encoding="utf-8-sig") as opened:
            if compat.PY2:
                parser.readfp(opened)  # novm
            else:
                parser.read_file(opened)  # novm
    except EnvironmentError as error:
        if error.errno == errno.ENOENT:  # also a link that leads nowhere
            return parser
        raise ValueError("{} cannot be read: {}".format(
            file, error.strerror or error))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError("{} is no configuration file: {}; mend it, or move "
                         "it away and run iobeam configure".format(
                             file, str(error).splitlines()[0].rstrip(".")))
    return parser
