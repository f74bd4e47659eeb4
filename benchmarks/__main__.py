"""Measure the client next to its peers: `python -m benchmarks --help`."""
import argparse
import os
import platform
import subprocess
import sys
import time

from benchmarks import environments, figures, report, running
from benchmarks.backend import main as backend


def main():
    if sys.argv[1:2] and sys.argv[1] in backend.COMMANDS:
        backend.main(sys.argv[1:])
    arguments = _parser().parse_args()
    unknown = set(arguments.names) - set(figures.GROUPS)
    if unknown:
        sys.exit("no such figures: {}; there are {}".format(
            ", ".join(sorted(unknown)), ", ".join(figures.GROUPS)))
    lines = [line for line in figures.LINES
             if not arguments.names or line.group in arguments.names]
    if arguments.before is not None:
        lines = figures.linesBefore()
    lines = _withPython27(lines, arguments)
    measurements = figures.measurementsFor(lines)
    made, failures = _environments(arguments, measurements)
    measurements = [each for each in measurements
                    if each.environment not in failures]
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    began = time.time()
    core = running.pinCores()
    print(_machine(core), flush=True)
    loads = [_load()]
    with running.Sink(core) as sink:
        runner = running.Runner(made, sink, arguments.quick)
        for number in range(rounds):
            runner.round(measurements)
            loads.append(_load())
            print("round {} of {} done".format(number + 1, rounds),
                  file=sys.stderr, flush=True)
    print("{} rounds in {:.0f} s{}; load before and after each: {}".format(
        rounds, time.time() - began,
        ", small sizes: the figures mean little" if arguments.quick else "",
        " ".join(loads)))
    print()
    print(report.table(lines, runner.results))
    for each, said in list(failures.items()) + list(runner.failures.items()):
        print("FAILED: {}: {}".format(each, said))
    sys.exit(1 if failures or runner.failures else 0)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the client next to its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=
                        "figures to measure, of {}; all of them if none is "
                        "named. Or {}: measure the backend".format(", ".join(figures.GROUPS), ", ".join(backend.COMMANDS)))
    parser.add_argument("--quick", action="store_true", help=
                        "small sizes and one round: does everything run?")
    parser.add_argument("--rounds", type=int, metavar="N", help=
                        "the table shows their medians; 5 if not given")
    parser.add_argument("--python27", metavar="PATH", help=
                        "a Python 2.7, if it is not on PATH")
    parser.add_argument("--before", metavar="FOLDER", help=
                        "an earlier checkout to be held against, and nothing "
                        "else: no change may make a figure worse by over 2 %%")
    return parser


def _withPython27(lines, arguments):
    """The lines that can be measured; finds a 2.7 if one is needed."""
    if not any(line.group == "py27" for line in lines):
        return lines
    if arguments.python27 is None:
        arguments.python27 = environments.findPython27()
    elif not environments.isPython27(arguments.python27):
        sys.exit("{} is no Python 2.7".format(arguments.python27))
    if arguments.python27 is not None:
        return lines
    print("no python2.7 on PATH and no --python27: left out")
    return [line for line in lines if line.group != "py27"]


def _environments(arguments, measurements):
    """Make what is needed: (Environments, name to what went wrong)."""
    made = environments.Environments(arguments.python27, arguments.before)
    failures = {}
    for name in dict.fromkeys(each.environment for each in measurements):
        try:
            made.python(name)
        except (subprocess.CalledProcessError, OSError) as error:
            failures[name] = "its environment cannot be made: {}".format(error)
    return made, failures


def _machine(core):
    return "{} {} on {}, {} cores, {}".format(
        platform.python_implementation(), platform.python_version(),
        platform.machine(), os.cpu_count(),
        "client and sink on the same" if core is None
        else "client and sink on one each")


def _load():
    if not hasattr(os, "getloadavg"):
        return "?"
    return "{:.1f}".format(os.getloadavg()[0])


if __name__ == "__main__":
    main()
