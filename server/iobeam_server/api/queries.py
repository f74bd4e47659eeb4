"""Query parameters: read as the type they must have, or refused by name."""

from __future__ import annotations

import re
from typing import Optional, Union

import falcon

from iobeam_server.errors import BadRequest
from iobeam_server.rules.expressions import parse_number
from iobeam_server.rules.points import INT64_MAX
from iobeam_server.rules.units import TIME_FORMATS, parse_interval

OUTPUTS = ("json", "csv")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_PROJECT = re.compile(r"[0-9]{1,18}", re.ASCII)


def text(req: falcon.Request, name: str) -> Optional[str]:
    """Return a parameter, the last one where it repeats; None when absent or empty."""
    value = req.params.get(name)
    if isinstance(value, list):
        value = value[-1]
    return value or None


def texts(req: falcon.Request, name: str) -> list[str]:
    """Return every value of a parameter that may repeat; empty ones are left out."""
    return [value for value in req.get_param_as_list(name) or [] if value]


def integer(req: falcon.Request, name: str, least: Optional[int] = None) -> Optional[int]:
    value = text(req, name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value):
        raise BadRequest(f"{name} must be an integer, not {value!r:.40}")
    number = int(value)
    if least is not None and number < least:
        raise BadRequest(f"{name} must be at least {least}, not {value:.40}")
    return number


def number(req: falcon.Request, name: str) -> Union[int, float, None]:
    value = text(req, name)
    if value is None:
        return None
    found = parse_number(value)
    if found is None:
        raise BadRequest(f"{name} must be a number that a double can hold, not {value!r:.40}")
    return found


def boolean(req: falcon.Request, name: str) -> Optional[bool]:
    """Accept true and false in any case: old Python clients send ``True``."""
    value = text(req, name)
    if value is None:
        return None
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false, not {value!r:.40}")
    return value.lower() == "true"


def choice(req: falcon.Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = (text(req, name) or default).lower()
    if value not in allowed:
        raise BadRequest(f"{name} must be one of {', '.join(allowed)}, not {value!r:.40}")
    return value


def time_format(req: falcon.Request, *more: str) -> str:
    """Return the unit of times in the answer; any case (Arduino sends TIMEVAL)."""
    return choice(req, "timefmt", (*TIME_FORMATS, *more), "msec")


def output(req: falcon.Request) -> str:
    """Return the form of a long answer, one of `OUTPUTS`."""
    return choice(req, "output", OUTPUTS, "json")


def project_id(value: str) -> int:
    """Return the project of a path segment."""
    if not _PROJECT.fullmatch(value) or int(value) == 0:
        raise BadRequest(f"project_id must be an integer above 0, not {value!r:.40}")
    return int(value)


def series_name(segment: str) -> Optional[str]:
    """Return the series of a path segment; None where it stands for all of them."""
    return None if segment.lower() == "all" else segment


def interval(req: falcon.Request) -> Optional[int]:
    """Return the width of a bucket that ``group_by`` says, in us."""
    value = text(req, "group_by")
    return None if value is None else parse_interval(value)


def bounds(req: falcon.Request) -> tuple[Optional[int], Optional[int]]:
    """Return ``from`` and ``to`` in us, both inclusive; None is open."""
    return to_micros(integer(req, "from")), to_micros(integer(req, "to"), end=True)


def to_micros(time_ms: Optional[int], end: bool = False) -> Optional[int]:
    """Return a bound in us; an end takes in its whole millisecond (points carry us)."""
    if time_ms is None:
        return None
    return max(-INT64_MAX - 1, min(INT64_MAX, time_ms * 1_000 + (999 if end else 0)))
