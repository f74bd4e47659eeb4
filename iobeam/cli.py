# PYTHON_ARGCOMPLETE_OK
"""The command ``iobeam``: the table of its commands, and what goes for all.

Project, token and backend come from options, else IOBEAM_PROJECT_ID,
IOBEAM_TOKEN and IOBEAM_BACKEND, else the configuration file; the token never
from the command line, where every user of the machine could read it.
"""
from __future__ import absolute_import

import argparse
import difflib
import errno
import io
import logging
import os
import re
import sys

from iobeam import __version__
from iobeam.command import buffer as buffer_
from iobeam.command import (common, configure, devices, doctor, query, register,
                            send, token)
from iobeam.http import request

_COMMANDS = (configure, register, send, query, devices, token, buffer_, doctor)


def run():
    """Entry point of the console script."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed, as by >&-, on Python 3
            setattr(sys, name, io.open(os.open(os.devnull, os.O_RDWR), mode,
                                       closefd=False))
    logging.basicConfig(format="iobeam: %(message)s", level=logging.WARNING)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


def main(argv=None):
    """Carry out a command line and return the exit code.

    0 done, 1 the backend or the disk does not do it, 2 used wrongly.
    """
    parser = _parser()
    _complete(parser)
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        _refuse(options.parser, unknown)
    try:
        return options.command(options, common.Context(options))
    except ValueError as error:
        return common.complain(options, error, common.WRONG)
    except (request.Error, EnvironmentError) as error:
        if getattr(error, "errno", None) == errno.EPIPE:
            code = common.OK  # ``| head`` has seen enough
        else:
            code = common.complain(options, error, common.FAILED)
        _leaveNothing()
        return code


def _complete(parser):
    """Say what can follow and exit, if a shell asks for it."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)


def _leaveNothing():
    """What stdout cannot take would be a message, and another code, at exit."""
    try:
        sys.stdout.flush()
    except (AttributeError, ValueError):
        pass  # there is none
    except EnvironmentError:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (EnvironmentError, ValueError):
            pass


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and not all that there is."""

    def error(self, message):
        self.exit(common.WRONG, "{}: {}{}see {} --help\n".format(
            self.prog, message, " " if message.endswith("?") else "; ",
            self.prog))


def _refuse(parser, unknown):
    """End it because of arguments that a command does not know."""
    # What follows a "=", or stands alone, may be a token.
    name = next((text for text in unknown if text.startswith("-")), None)
    if name is None:
        parser.error("there is an argument too many")
    name = name.split("=")[0]
    options = sorted(set(re.findall("--[a-z][a-z-]*", parser.format_usage())))
    near = difflib.get_close_matches(name, options, 1)
    parser.error("there is no option {}".format(name) + "".join(
        "; did you mean {}?".format(other) for other in near))


def _parser():
    parser = _Parser(prog="iobeam", description="Send time "
                     "series to iobeam, and ask for them.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="name", metavar="COMMAND")
    commands.required = True
    for module in _COMMANDS:
        module.addTo(commands)
    for parser_ in commands.choices.values():
        parser_.set_defaults(parser=parser_)
    return parser
