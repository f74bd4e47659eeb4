"""The values that cross the storage interface, and the part of it that is about points.

Times are integers in microseconds since the epoch, except `created`, which is
in seconds. Every method may be called from any thread. Errors are those of
`iobeam_server.errors`; an engine lets no exception of its driver through.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Union

from iobeam_server.errors import ServerError
from iobeam_server.rules.aggregates import Bucket
from iobeam_server.rules.points import INT64_MAX, INT64_MIN, Column, Kind, Value

Label = Union[bool, int, float, str]

INPUT = "input"  # the namespace that always exists (wire notes 5.8)


class Project(NamedTuple):
    project_id: int
    project_name: str
    created: int


class User(NamedTuple):
    user_id: int
    username: str
    email: str
    first_name: Optional[str]
    last_name: Optional[str]
    company_name: Optional[str]
    url: Optional[str]
    created: int
    tokens_after: float
    """When the password was changed last, in s; 0 is never."""
    password_number: int = 0
    """Another one with each change of the password; a token that rests on an older one is dead."""


class Grant(NamedTuple):
    """What a user may do in a project: the bits of a token's `pms`, never 0."""

    user_id: int
    permissions: int


class Revocation(NamedTuple):
    """The tokens of a project, or of one device, that were issued up to a moment are dead."""

    project_id: int
    device_id: Optional[str]
    """None: all of the project."""
    moment: float
    """In s."""


class Adoption(NamedTuple):
    """A token of another server that is taken here."""

    number: int
    """Rises with each adoption and revocation; no two have the same."""
    digest: str
    project_id: int
    permissions: int
    device_id: Optional[str]
    created: int


class Owner(NamedTuple):
    """What the user has on whose right a token rests."""

    password_number: int
    tokens_after: float
    permissions: int
    """In the token's project."""


class Standing(NamedTuple):
    """What decides, beside the token itself, what it is good for now."""

    revoked: int
    """Number of the newest revocation that concerns it; 0: none since numbers are kept."""
    revoked_before_s: float
    """Moment of that revocation, in s."""
    owner: Optional[Owner]
    """None: the user is gone, or the token rests on no user's right."""
    is_adopted: bool
    """The adoption that it came from still holds, or it came from none."""


class Namespace(NamedTuple):
    """A table of a project: its rows are told apart by time and the partitioning field."""

    namespace_id: int
    project_id: int
    namespace_name: str
    partitioning_field: str
    fields: Mapping[str, Kind]
    """Declared ones and those that came with an import; without the partitioning field."""
    labels: Mapping[str, Label]
    created: int
    last_modified: int


class Device(NamedTuple):
    project_id: int
    device_id: str
    device_name: str
    device_type: Optional[str]
    created: int


class Series(NamedTuple):
    """One stream of points; `series_id` is the engine's own key.

    `device_id` is the value of the namespace's partitioning field, which is the
    device everywhere but in namespaces that were created otherwise; "" is none.
    """

    series_id: int
    device_id: str
    name: str
    kind: Kind


class Selection(NamedTuple):
    """Which points of a series a query wants; bounds in us, `start` and `end` inclusive."""

    start: Optional[int] = None
    end: Optional[int] = None
    less_than: Union[int, float, None] = None
    greater_than: Union[int, float, None] = None
    equals: Union[int, float, None] = None
    limit: Optional[int] = None
    """The last n points (or buckets) of each series."""

    @property
    def filters_values(self) -> bool:
        return not (self.less_than is self.greater_than is self.equals is None)


class Part(NamedTuple):
    """Columns of one device; None: under no device (generation C without the label)."""

    device_id: Optional[str]
    columns: Sequence[Column]


class Batch(NamedTuple):
    """What one import request stores: whole or not at all."""

    project_id: int
    namespace: str
    parts: Sequence[Part]
    must_exist: bool
    """Its devices must be registered; False where they are only labels."""
    register: bool
    """Register them where they must exist and do not."""

    @property
    def values(self) -> int:
        return sum(len(column.times) for part in self.parts for column in part.columns)


Point = tuple[int, Value]

FETCH_ROWS = 2_000  # in memory at once while an answer is written
FETCH_TEXTS = 100  # a text may have 64 KiB


def at_once(series: Sequence[Series]) -> int:
    """Return how many rows of some series may be held in memory."""
    return FETCH_TEXTS if Kind.TEXT in [one.kind for one in series] else FETCH_ROWS


class Sums(NamedTuple):
    """Which sums a query wants; see `Points.groups`."""

    series: Sequence[Series]
    first: int
    """In us, inclusive, as is `last`."""
    last: int
    width_us: Optional[int]
    apart: bool
    newest_first: bool = True
    limit: Optional[int] = None
    """Only so many buckets, the newest."""


class Span(NamedTuple):
    """From when to when, in us, both inclusive."""

    first: int
    last: int


ALWAYS = Span(INT64_MIN, INT64_MAX)


class Extent(NamedTuple):
    """How much a series holds; times in us."""

    points: int
    first: int
    last: int


class Retyped(NamedTuple):
    """What became of the points of a field that changed its type."""

    changed: int
    dropped: int


class Size(NamedTuple):
    """Room that a database takes, in bytes."""

    total: int
    unused: int
    """Of them, what compacting may give back; an estimate."""


class Points(abc.ABC):
    """The points of one database: the part that each engine does in its own way."""

    @abc.abstractmethod
    def write(self, batches: Sequence[Batch]) -> Sequence[Optional[ServerError]]:
        """Store many requests in one durable transaction.

        A batch is stored whole or not at all, and one that is refused does not
        touch its neighbours. Existing points (device, field, time) are overwritten.

        Returns:
            For each batch None, or why it was refused: UnknownDevice, TypeConflict,
            NotFound (project, namespace).

        Raises:
            StorageUnavailable: nothing of any batch was stored.
        """

    @abc.abstractmethod
    def points(self, series: Series, selection: Selection) -> Iterator[Point]:
        """Yield points ascending in time, in bounded memory."""

    @abc.abstractmethod
    def buckets(
        self, series: Series, selection: Selection, width_us: Optional[int]
    ) -> Iterator[Bucket]:
        """Yield the sums of each non-empty bucket, ascending in time.

        Args:
            series: which one; texts have count, least and greatest only.
            selection: `limit` counts buckets.
            width_us: buckets of this width, aligned to the epoch; None is one bucket
                over everything, which starts at `selection.start` or the first point.
        """

    @abc.abstractmethod
    def rows(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        newest: Optional[int],
    ) -> Iterator[tuple[int, int, Value]]:
        """Yield (time, position in `series`, value) of many series, in bounded memory.

        Newest first; of one time in the order of `series`; all as of one moment.

        Args:
            series: of any kinds, each once; none yields nothing.
            start, end: bounds in us, inclusive; None is open.
            newest: only so many of each series, the newest; None is all.
        """

    @abc.abstractmethod
    def groups(
        self,
        series: Sequence[Series],
        start: Optional[int],
        end: Optional[int],
        width_us: Optional[int],
        apart: bool,
    ) -> Iterator[tuple[int, Bucket]]:
        """Yield (position in `series`, sums) of each non-empty bucket, newest bucket first.

        Args:
            series: all of one kind, such as one field of many devices.
            start, end: bounds in us, inclusive; None is open.
            width_us: as for `buckets`; None is one bucket, which starts at its first point.
            apart: each series has its own buckets, in the order of `series` within a
                bucket's start; else they share them, and the position is 0.
        """
