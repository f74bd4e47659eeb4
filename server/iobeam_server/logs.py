"""What the log looks like: plain lines, or one JSON object a line."""

from __future__ import annotations

import datetime
import logging
import sys
from typing import Any

import msgspec

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"
FORMATS = ("plain", "json")


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
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(PLAIN))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    # neither form shows them, and each line would have them looked up
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # each read that was ended early, and each connection of a database that is away: the first
    # is no news, the second the storage says once
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
