"""`python -m benchmarks server | query | years | requests | simulate | soak`: measure the backend."""
import argparse
import platform
import os
import sys
import tempfile

COMMANDS = ("server", "query", "years", "requests", "simulate", "soak")


def main(arguments):
    chosen = _parser().parse_args(arguments)
    try:
        from benchmarks.backend import (
            costs, engines, query, requests, soak, throughput, years)
    except ImportError as error:
        sys.exit("the backend's environment is needed ({}): make .venv/ready".format(error))
    print("{} {} on {}, {} cores, load {:.1f}".format(
        platform.python_implementation(), platform.python_version(), platform.machine(),
        os.cpu_count(), os.getloadavg()[0]), flush=True)
    with tempfile.TemporaryDirectory(prefix="iobeam-bench-") as folder:
        found = []
        for engine, missing in engines.opened(chosen.engine or ["sqlite", "postgres"], folder):
            if engine is None:
                print(missing)
            else:
                found.append(engine)
        try:
            if chosen.command == "server":
                isReached = throughput.measure(
                    found, folder, chosen.rounds, chosen.rows, chosen.rows_at_once)
            elif chosen.command == "query":
                isReached = query.measure(found, chosen.rounds, chosen.points)
            elif chosen.command == "years":
                isReached = years.measure(found, chosen.rounds, chosen.points)
            elif chosen.command == "requests":
                isReached = requests.measure(found, chosen.rounds, chosen.before)
            elif chosen.command == "simulate":
                isReached = costs.measure(found, chosen.rounds, chosen.devices, chosen.plot)
            else:
                isReached = soak.measure(found, chosen.seconds)
        finally:
            for engine in found:
                engine.close()
    sys.exit(0 if isReached else 1)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("server", help="rows per second next to a bare loop")
    server.add_argument("--rounds", type=int, default=5)
    server.add_argument("--rows", type=int, default=160000, help="of each measurement")
    server.add_argument("--rows-at-once", type=int, default=4000, help="in a request")
    query = commands.add_parser("query", help="one day of one series out of many points")
    query.add_argument("--rounds", type=int, default=5)
    query.add_argument("--points", type=int, default=10000000)
    years = commands.add_parser("years", help="any range of one long series, by summaries")
    years.add_argument("--rounds", type=int, default=5)
    years.add_argument("--points", type=int, default=20000000)
    requests = commands.add_parser("requests", help="CPU of a request, next to an earlier checkout")
    requests.add_argument("--rounds", type=int, default=7)
    requests.add_argument("--before", metavar="FOLDER", required=True,
                          help="an earlier checkout; installed in place, into an environment of its own")
    simulate = commands.add_parser("simulate", help="what a fleet needs, by costs measured here")
    simulate.add_argument("--rounds", type=int, default=5)
    simulate.add_argument("--devices", type=int, nargs="+", default=[10000, 100000, 1000000],
                          help="that send a row a minute")
    simulate.add_argument("--plot", metavar="FILE", help="a picture; needs matplotlib")
    soak = commands.add_parser("soak", help="8 clients for a minute: is all of it there?")
    soak.add_argument("--seconds", type=int, default=60)
    for command in (server, query, years, requests, simulate, soak):
        command.add_argument("--engine", action="append", choices=("sqlite", "postgres"),
                             help="both if not given")
    return parser
