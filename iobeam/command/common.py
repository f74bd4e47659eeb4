"""What the commands share: options, project and token, output, exit codes."""
from __future__ import absolute_import

import argparse
import io
import json
import os
import sys

from iobeam import configuration, iobeam, progress
from iobeam.http import address, request
from iobeam.utils import compat, utils

OK, FAILED, WRONG = 0, 1, 2  # exit codes: done; not done; used wrongly
# What is wrong, and what to do.
NO_BACKEND = (
    "no backend is set, and the service of 2016 is gone",
    "run iobeam configure, or set IOBEAM_BACKEND to its address, such as "
    "http://127.0.0.1:4620/v1/ (iobeam-server serve prints it)")
_ADVICE = {
    401: "; get a new token, and give it to iobeam configure; iobeam doctor "
         "says more",
    403: "; use a token that may; iobeam token and iobeam doctor say more",
    404: "; is this the whole address of a backend, with its version (/v1/)?"}


def complain(options, error, code):
    """Say what went wrong; return the exit code."""
    tell(wordsOf(error))
    if options.json:
        say(options, {"error": wordsOf(error)})
    return code


def wordsOf(error):
    """What an error says to people, in one line (str), and what to do."""
    if isinstance(error, request.UnknownCodeError):
        said = messagesOf(error.apiErrors)
        said = "the backend says: {} ({})".format(said, error.statusCode) \
            if said else "; ".join(str(error).splitlines())
        return said + _ADVICE.get(error.statusCode, "")
    if getattr(error, "errno", None) is None or not error.strerror:
        return str(error)
    file = getattr(error, "filename", None)
    return "{}: {}".format(file, error.strerror) if isinstance(
        file, compat.TEXTS) else error.strerror


def say(options, result, *lines):
    """Print a result: as JSON if asked for, else as lines of text."""
    if options.json:
        lines = [json.dumps(result, sort_keys=True)]
    for line in lines:
        write(sys.stdout, line + "\n")
    sys.stdout.flush()


def write(stream, line):
    """Write text also where the terminal's encoding has no sign for it."""
    line = compat.toNative(line)
    try:
        stream.write(line)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(line.encode(encoding, "backslashreplace")
                     .decode(encoding))


def tell(line):
    """Say something to the person, beside the result."""
    write(sys.stderr, u"iobeam: " + compat.toText(line) + u"\n")


def readToken(file):
    """The token (str) in a file, or of the standard input for "-".

    Raises:
        ValueError: there is none in it.
        EnvironmentError: it cannot be read.
    """
    if file == "-":
        raw, file = sys.stdin.read(), "the standard input"
    else:
        with io.open(file, "rb") as opened:
            raw = opened.read()
    if isinstance(raw, bytes):
        try:  # what PowerShell's > writes is UTF-16
            raw = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff")
                             else "utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("{} holds no text, and so no token".format(file))
    found = compat.toNative(raw).strip()
    if not found:
        raise ValueError("{} is empty".format(file))
    if len(found.split()) > 1:
        raise ValueError("{} holds more than a token".format(file))
    return found


def messagesOf(apiErrors):
    """What the ``errors`` of an answer say (str), in one line."""
    return compat.toNative(u"; ".join(
        u" ".join(compat.toText(one["message"]).split()) for one in apiErrors
        if isinstance(one.get("message"), compat.TEXTS)))


class Context(object):
    """Project, token and builder, each made when it is first needed."""

    def __init__(self, options):
        self._options = options
        self._requester = self._token = None

    def backend(self):
        """The address that was named; None for that of IOBEAM_BACKEND, or none.

        An option wins over the variable, and that over the file.
        """
        if self._options.backend or configuration.isVariable("backend"):
            return self._options.backend
        return configuration.find("backend")

    def checkBackend(self):
        """Refuse to go on without one, before anything is asked for."""
        if address.isGone(request.baseUrl(self.backend())):
            raise ValueError("{}: {}".format(*NO_BACKEND))

    def token(self):
        """The token of --token-file, IOBEAM_TOKEN or the file (ValueError)."""
        if self._token is None:  # a standard input is read once
            self._token = self._foundToken()
            if self._token.count(".") != 2:
                self._token = None
                raise ValueError(
                    "invalid jwt token: it has to have two dots in it, as in "
                    "eyJhb.eyJwa.Qk1X; is it whole? iobeam configure takes "
                    "another")
        return self._token

    def _foundToken(self):
        if self._options.token_file:
            return readToken(self._options.token_file)
        found = configuration.find("token")
        if not found:
            raise ValueError("there is no token: run iobeam configure, set "
                             "IOBEAM_TOKEN, or name a file with --token-file")
        return found

    def projectId(self):
        """The project that was named, else that of the token (ValueError)."""
        found = self._options.project \
            or os.environ.get("IOBEAM_PROJECT_ID", "").strip() \
            or utils.readToken(self.token()).get("pid") \
            or configuration.find("project_id")
        try:
            found = int(found)
        except (TypeError, ValueError):
            raise ValueError("the project is not known: set IOBEAM_PROJECT_ID "
                             "or give --project NUMBER")
        utils.checkValidProjectId(found)
        return found

    def builder(self):
        """A `ClientBuilder` of project, token and backend."""
        return iobeam.ClientBuilder(self.projectId(), self.token()) \
            .setBackend(self.backend())

    def requester(self):
        """What makes requests to the backend; one for all of the command.

        It waits as long for an answer as ``--timeout`` says, if there is one.
        """
        if self._requester is None:
            settings = request.Settings()
            timeout = getattr(self._options, "timeout", None)
            if timeout is not None:
                settings.readTimeout = timeout
            self._requester = request.Requester(
                request.baseUrl(self.backend()), settings)
        return self._requester

    def ask(self, query):
        """Carry a query out, as `makeQuery`."""
        return iobeam.makeQuery(self.token(), query, self.requester())

    def deviceBuilder(self):
        """Of the device that is named, else of the one in the folder."""
        if self._options.device:
            return self.builder().registerOrSetId(self._options.device)
        return self.builder().saveToDisk(self._options.path).registerDevice()


def counting(options, total=None, doing="sending", isShown=True):
    """A `Progress` of a command; where JSON is printed nothing else is."""
    return progress.Progress(total, doing, isShown and not options.json)


def steps(advance):
    """A `progress` of `send()` that counts on: that one has the sum so far."""
    before = [0]

    def reached(accepted, _):
        advance(accepted - before[0])
        before[0] = accepted

    return reached


def parserOf(commands, name, function, help_, *parents):
    """Add a command to the others; return its parser, for its options."""
    made = commands.add_parser(name, parents=[_common()] + list(parents),
                               help=help_, description=help_)
    made.set_defaults(command=function)
    return made


def deviceOption():
    """The parent of a parser whose command is of one device."""
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--device", metavar="ID", type=notEmpty)
    return device


def notEmpty(text):
    """The type of an option that an unset variable must not leave open."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            "it is empty; is a variable of the shell not set?")
    return text


def zoneOptions():
    """The parent of a parser whose command shows times."""
    zone = argparse.ArgumentParser(add_help=False)
    zone.add_argument("--tz", metavar="ZONE", help="of times that name none, "
                      "and of those shown: Europe/Berlin, UTC, +01:00, local "
                      "(local)")
    zone.add_argument("--utc", dest="tz", action="store_const", const="UTC",
                      help="the same as --tz UTC")
    return zone


def checkForms(options):
    """Refuse two forms at once (ValueError)."""
    if options.csv and options.json:
        raise ValueError("--csv and --json: take one of them")


def _common():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--backend", metavar="URL", type=notEmpty,
                        help="instead of IOBEAM_BACKEND")
    common.add_argument("--project", metavar="N", type=notEmpty,
                        help="instead of IOBEAM_PROJECT_ID")
    common.add_argument("--token-file", metavar="FILE", type=notEmpty,
                        help="instead of IOBEAM_TOKEN")
    common.add_argument("--token", action=_Refused, help=argparse.SUPPRESS)
    common.add_argument("--path", default=".", metavar="FOLDER", type=notEmpty,
                        help="of the device id and the buffer (.)")
    common.add_argument("--json", action="store_true", help="print JSON")
    return common


class _Refused(argparse.Action):
    """An option that would show a secret to every user of the machine."""

    def __call__(self, parser, namespace, values, *_):
        if values == "-":  # the standard input
            namespace.token_file = values
            return
        parser.error("a token does not belong on the command line: run iobeam "
                     "configure, set IOBEAM_TOKEN, name a file with "
                     "--token-file, or give --token - and the token on the "
                     "standard input")
