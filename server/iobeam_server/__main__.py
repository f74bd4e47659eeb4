"""``python -m iobeam_server``, and the console script."""

from __future__ import annotations

import sys


def run() -> None:
    """Load the command line and run it; Ctrl-C meanwhile is no traceback."""
    try:
        from iobeam_server.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
