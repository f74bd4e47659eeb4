"""``python -m iobeam_server``: the same as the ``iobeam-server`` command."""

from iobeam_server.cli import main

if __name__ == "__main__":
    main()
