"""``iobeam configure``: writes the configuration file, after trying it."""
from __future__ import absolute_import

import argparse
import getpass
import sys

from iobeam import configuration
from iobeam.command import common, doctor
from iobeam.http import address, request
from iobeam.utils import compat, utils

_EPILOG = """\
Without options it asks. Project, token and backend are kept in {} (or
IOBEAM_CONFIG), where every command, and ClientBuilder.fromEnvironment(), looks
for what no variable says. What is not given stays as it is there.

  iobeam configure
  iobeam configure --backend https://example.org/v1/ --token-file my.token
  iobeam-server token --project 1 --read --write | iobeam configure --token -
"""


def addTo(commands):
    """Add the command to the parser's."""
    made = common.parserOf(commands, "configure", _configure, "keep project, "
                           "token and backend in a file, for all programs of "
                           "this user")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.epilog = _EPILOG.format(configuration.shownPath())
    made.add_argument("--no-check", action="store_true", help="do not ask the "
                      "backend whether it takes the token")
    made.add_argument("--show", action="store_true", help="print what is set, "
                      "and where; change nothing")


def _configure(options, _):
    if options.show:
        return _show(options)
    values = _collected(options)
    said = None if options.no_check else _tried(values)
    file = configuration.write(values)
    overruled = [configuration.VARIABLES[name] for name in sorted(values)
                 if configuration.isVariable(name)
                 and configuration.find(name) != values[name]]
    if overruled:
        common.tell("{} set in this shell, and the file comes second".format(
            " and ".join(overruled)
            + (" is" if len(overruled) == 1 else " are")))
    lines = [said] if said else []
    common.say(options, {"file": file, "backend": values["backend"],
                         "project_id": int(values["project_id"]),
                         "checked": said is not None},
               *lines + ["written: {}".format(file)])
    return common.OK


# -- what is to be written ---------------------------------------------------


def _collected(options):
    """Backend, token and project from options, the file, or the person."""
    known = configuration.read()
    for name in configuration.VARIABLES:
        known.setdefault(name, configuration.find(name))
    given = {"backend": options.backend and _backendOf(options.backend),
             "token": options.token_file and common.readToken(
                 options.token_file),
             "project_id": options.project}
    # Who gives something by option is asked only for what would be missing.
    asks = sys.stdin.isatty()
    asksAll = asks and not any(given.values())
    found = {}
    for name, question, check in (("backend", _askBackend, _backendOf),
                                  ("token", _askToken, _tokenOf)):
        found[name] = given[name] or known[name]
        if asksAll or asks and not found[name]:
            found[name] = question(known[name])
        elif not found[name]:
            raise ValueError("there is no {}: give {}".format(name, {
                "backend": "--backend URL", "token": "--token-file FILE, or "
                "--token - and the token on the standard input"}[name]))
        found[name] = check(found[name])
    found["project_id"] = _projectOf(
        given["project_id"], found["token"],
        None if given["token"] else known["project_id"])
    return found


def _askBackend(known):
    return _answerTo("Backend", known or "http://127.0.0.1:4620/v1/",
                     _backendOf)


def _askToken(known):
    while True:
        try:
            found = getpass.getpass("Token (not shown{}): ".format(
                ", empty: the present one" if known else ""),
                sys.stderr).strip()
        except EOFError:
            raise ValueError("there is no token; nothing was written")
        try:
            return _tokenOf(found or known or "")
        except ValueError as error:
            common.tell(str(error))


def _answerTo(question, default, check):
    while True:
        sys.stderr.write("{} [{}]: ".format(question, default))
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise ValueError("there is no answer; nothing was written")
        try:
            return check(line.strip() or default)
        except ValueError as error:
            common.tell(str(error))


def _backendOf(text):
    """The address, with the version that people leave out."""
    text = address.stripped(text)
    try:
        isWhole = compat.urlsplit(text).path.strip("/")
    except ValueError:  # said by what follows
        isWhole = True
    if not isWhole:
        text = text.rstrip("/") + "/v1/"
    found = request.baseUrl(text)
    if address.isGone(found) or address.isGone(text):
        raise ValueError("{}: that is the service of 2016, which is gone"
                         .format(address.shown(text)))
    return found


def _tokenOf(text):
    utils.checkValidProjectToken(text)
    doctor.describeToken(text)  # it has to be one
    return text


def _projectOf(given, token, known):
    own = doctor.describeToken(token)["project_id"]
    found = given or own or known
    if not found:
        raise ValueError("the project is not known: give --project NUMBER")
    found = configuration.projectId(found)
    utils.checkValidProjectId(found)
    if own not in (None, found):
        raise ValueError("the token is of project {}, not {}".format(
            own, found))
    return str(found)


# -- trying it ---------------------------------------------------------------


def _tried(values):
    """Ask the backend whether it takes the token; what it says (str).

    Raises:
        Error: it does not, or there is none.
    """
    try:
        doctor.reach(values["backend"], values["token"])
        says = doctor.describeToken(values["token"])
        if doctor.isOver(values["token"]):
            raise doctor.Trouble("the token expired at {}".format(
                doctor.shownExpiry(values["token"])), "get a new one")
    except doctor.Trouble as trouble:
        raise request.Error("{}: {}; nothing was written (--no-check writes it "
                            "all the same)".format(trouble, trouble.advice))
    permits = says.get("permissions")
    what = "" if not compat.isInteger(permits) else ", to {}".format(
        " and ".join(word for word, bit in (("read", 1), ("write", 2),
                                            ("administer", 4))
                     if permits & bit) or "nothing")
    return "{} answers, and takes the token: project {}{}, until {}{}".format(
        address.shown(values["backend"]), values["project_id"], what,
        doctor.shownExpiry(values["token"]), ", for device {} alone".format(says["device_id"])
        if "device_id" in says else "")


# -- showing it --------------------------------------------------------------


def _show(options):
    file = configuration.path()
    known = configuration.read()
    result, lines = {"file": file}, ["file: {}".format(file)]
    for name in sorted(configuration.VARIABLES):
        isVariable = configuration.isVariable(name)
        value = configuration.find(name)
        where = configuration.VARIABLES[name] if isVariable else "file"
        if value and name == "token":
            value = _masked(value)
        elif value and name == "backend":
            value = address.shown(value)
        result[name] = value and {"value": value, "from": where}
        lines.append("{}: {}".format(name, "{} ({})".format(value, where + (
            ", the file has another"
            if isVariable and known.get(name, configuration.find(name))
            != configuration.find(name) else "")) if value else "not set"))
    common.say(options, result, *lines)
    return common.OK if all(result.values()) else common.FAILED


def _masked(token):
    """What a token says of itself, in place of it."""
    try:
        says = doctor.describeToken(token)
    except ValueError:
        return "**** (which is no token)"
    return "**** (project {}, until {})".format(
        says["project_id"], doctor.shownExpiry(token))
