from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import pytest

from iobeam_server.logs import PLAIN, JsonFormatter, PlainFormatter


def record(message: str, *args: Any, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.b", logging.WARNING, "x.py", 1, message, args, None)
    made.created = 1_700_000_000.25
    made.__dict__.update(more)
    return made


def test_a_message() -> None:
    line = JsonFormatter().format(record('"%s" and\n%d', "ä", 5))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "WARNING",
        "logger": "a.b",
        "message": '"ä" and\n5',
    }


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_plain_line_is_as_the_library_writes_it(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    ours, theirs = PlainFormatter(), logging.Formatter(PLAIN)
    # around the end of summer time, forth and back
    for created in (0, 1_698_541_199.9996, 1_698_541_200.0, 1_698_541_199.25, 1_698_541_200.001):
        made = record("%s\nb", "a", created=created, msecs=created % 1 * 1_000)
        assert ours.format(made) == theirs.format(made)
    monkeypatch.undo()
    time.tzset()


def test_fields_stand_for_the_message() -> None:
    line = json.loads(JsonFormatter().format(record("%s", 1, fields={"status": 200})))
    assert line["status"] == 200
    assert "message" not in line


def test_an_exception_is_told() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    found = json.loads(JsonFormatter().format(made))
    assert "ValueError: why" in found["exception"]
