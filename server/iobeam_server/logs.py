"""What the log looks like: plain lines, or one JSON object a line."""

from __future__ import annotations

import datetime
import logging
import sys
import time
from typing import Any, Optional

import msgspec

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"
FORMATS = ("plain", "json")


class PlainFormatter(logging.Formatter):
    """A line a record, with local time."""

    def __init__(self) -> None:
        super().__init__(PLAIN)
        self._last = (-1, "")  # a second and its text

    def formatTime(self, record: logging.LogRecord, datefmt: Optional[str] = None) -> str:
        """Write a second once for all its records: that costs a fifth of a line."""
        second, shown = self._last
        if second != int(record.created):
            second = int(record.created)
            shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._last = second, shown
        return f"{shown},{int(record.msecs):03d}"


class JsonFormatter(logging.Formatter):
    """One object: time, level, logger, and the message or the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        shown: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
        }
        shown.update(getattr(record, "fields", None) or {"message": record.getMessage()})
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(shown, enc_hook=str).decode()


def set_up(log_format: str) -> None:
    """Log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else PlainFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    # neither form shows them, and each line would have them looked up
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # each read that was ended early, and each connection of a database that is away: the first
    # is no news, the second the storage says once
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
