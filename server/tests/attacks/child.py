"""`serve` with settings that have no option: python child.py URL '{"setting": value}'."""

from __future__ import annotations

import json
import signal
import sys

from iobeam_server import logs
from iobeam_server.backend import Backend
from iobeam_server.config import Config


def main(url: str, settings: str) -> None:
    logs.set_up("plain")
    with Backend(url, Config(port=0, **json.loads(settings))) as backend:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: backend.stop())
        print(f"listens on {backend.server.url}", flush=True)
        backend.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
