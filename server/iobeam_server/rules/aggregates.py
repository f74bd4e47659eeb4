"""Operators and intervals of queries; rules without HTTP and without SQL."""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

from iobeam_server.errors import BadRequest

OPERATORS = ("sum", "count", "min", "max", "mean")


class Bucket(NamedTuple):
    """Raw sums of one bucket, from which every operator follows exactly.

    `int_sum` is a Python integer of any size and covers integers and booleans,
    `real_sum` covers doubles; `least` and `greatest` are over all values.
    """

    start: int
    points: int
    int_sum: int
    real_sum: Optional[float]
    least: Union[int, float, str, None]
    greatest: Union[int, float, str, None]


class Sums:
    """Raw sums while they are added up; `bucket` gives them as a storage engine would."""

    __slots__ = ("_greatest", "_int_sum", "_least", "_points", "_real_sum")

    def __init__(self) -> None:
        self._points = 0
        self._int_sum = 0
        self._real_sum: Optional[float] = None
        self._least: Union[int, float, str, None] = None
        self._greatest: Union[int, float, str, None] = None

    def add(self, value: Union[int, float, str]) -> None:
        """Add one value; all of one bucket are numbers, or booleans, or texts."""
        self._points += 1
        if isinstance(value, int):
            self._int_sum += value
        elif isinstance(value, float):
            self._real_sum = value + (self._real_sum or 0.0)
        if self._points == 1:
            self._least = self._greatest = value
        elif value < self._least:  # type: ignore[operator]  # of one kind, see above
            self._least = value
        elif value > self._greatest:  # type: ignore[operator]
            self._greatest = value

    def add_text(self, value: str) -> int:
        """Add a text; returns by how many characters what is held has grown."""
        before = self._chars()
        self.add(value)
        return self._chars() - before

    def _chars(self) -> int:
        return sum(len(one) for one in (self._least, self._greatest) if isinstance(one, str))

    def bucket(self, start: int) -> Bucket:
        return Bucket(
            start,
            self._points,
            self._int_sum,
            self._real_sum,
            self._least,
            self._greatest,
        )


def parse_operator(text: str) -> str:
    """Return the operator in lower case."""
    name = text.lower()
    if name not in OPERATORS:
        raise BadRequest(f"operator must be one of {', '.join(OPERATORS)}, not {text!r:.40}")
    return name


def apply(operator: str, bucket: Bucket) -> Union[int, float, str, None]:
    """Return the value of an operator over one bucket.

    Sums of integers are exact; the mean divides the exact sum.
    """
    if operator == "count":
        return bucket.points
    if operator == "min":
        return bucket.least
    if operator == "max":
        return bucket.greatest
    total: Union[int, float] = bucket.int_sum
    if bucket.real_sum is not None:
        total = total + bucket.real_sum
    if operator == "sum":
        return _number(total)
    return _number(total / bucket.points)


def _number(value: Union[int, float]) -> Union[int, float, None]:
    """Keep an answer readable: beyond int64 as a double, beyond double as null."""
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value)
    return value if abs(value) != float("inf") and value == value else None
