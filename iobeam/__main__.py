"""``python -m iobeam``."""
from __future__ import absolute_import

from iobeam import cli

if __name__ == "__main__":
    cli.run()
