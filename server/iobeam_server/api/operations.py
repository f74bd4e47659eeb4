"""How a resource describes what it answers: the vocabulary of its `operations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from iobeam_server.api import queries
from iobeam_server.rules import aggregates, units

Schema = Mapping[str, Any]

INTEGER: Schema = {"type": "integer"}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
NATURAL: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}


def one_of(*names: str) -> Schema:
    return {"type": "string", "enum": list(names)}


class Parameter(NamedTuple):
    """A parameter of the query."""

    name: str
    schema: Schema
    text: str
    required: bool = False
    repeats: bool = False


class Reply(NamedTuple):
    """An answer that is not a refusal."""

    text: str
    shape: Any = None
    """Type of its JSON, or a tuple of the types it may be; None: it has none."""
    media: Sequence[str] = ()
    """What else it may be than JSON."""
    headers: Mapping[str, str] = {}
    """Headers that it carries, and what they say."""


class Operation(NamedTuple):
    """What one method of a route takes and answers; its docstring says the rest.

    The refusals that follow from its access rule and from having a body or
    parameters (400, 401, 403, 413, 415, 503) are not listed.
    """

    answers: Mapping[int, Reply]
    parameters: Sequence[Parameter] = ()
    body: Sequence[Any] = ()
    """Types of its JSON body, one of which it is."""
    refusals: Sequence[int] = ()


TIMEFMT = Parameter("timefmt", one_of(*units.TIME_FORMATS), "Unit of times in the answer; msec.")
OUTPUT = Parameter("output", one_of(*queries.OUTPUTS), "Form of the answer; json.")
OPERATOR = Parameter("operator", one_of(*aggregates.OPERATORS), "What is made of the values.")
LIMIT_TEXT = "Without it there is no limit."
FROM = Parameter("from", INTEGER, "Earliest time, ms since the epoch, inclusive.")
TO = Parameter("to", INTEGER, "Latest time, ms, inclusive with its whole millisecond.")
INTERVAL = Parameter("group_by", TEXT, "Width of a bucket, as 10m: ms, s, m, h, d or w.")
PROJECT_ID = Parameter("project_id", POSITIVE, "Must be the token's project.")


class Refusal(NamedTuple):
    text: str
    headers: Mapping[str, str] = {}


RETRY = {"Retry-After": "Seconds after which to try again."}
REFUSALS: Mapping[int, Refusal] = {
    400: Refusal("Code 1: the request cannot be understood."),
    401: Refusal("Code 4: no token, or one that is not good.", {"WWW-Authenticate": "Bearer."}),
    403: Refusal("Code 5: the token does not permit this."),
    404: Refusal("Code 32: there is no such thing."),
    413: Refusal("Code 2: the body, or what is in it, is too large."),
    415: Refusal("Code 7: the body is not JSON by its type, or neither plain nor gzip."),
    422: Refusal("Code 3: it cannot be stored; 33, 150, 151: the name or id is taken."),
    429: Refusal("Code 8: too busy; nothing was stored.", RETRY),
    503: Refusal("Code 8: the database cannot take it now; nothing was stored."),
}

PATH: Mapping[str, tuple[Schema, Optional[str]]] = {
    "project_id": (POSITIVE, "Id of the project."),
    "device_id": (TEXT, "Id of the device; in exports also `all`."),
    "series": (TEXT, "Name of the series, slashes and all, or `all`."),
    "namespace": (TEXT, "Name of the namespace; `input` holds what devices send."),
    "field": (TEXT, "Name of the field, slashes and all, or `all`."),
    "namespace_id": (POSITIVE, "Id of the namespace."),
    "name": (TEXT, "Name of the file."),
}
