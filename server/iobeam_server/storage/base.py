"""The interface of a storage engine, and the values that cross it.

Times are integers in microseconds since the epoch, except `created`, which is
in seconds. Every method may be called from any thread. Errors are those of
`iobeam_server.errors`; an engine lets no exception of its driver through.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Union

from iobeam_server.aggregates import Bucket
from iobeam_server.errors import ServerError
from iobeam_server.points import Column, Kind, Value
from iobeam_server.storage.upkeep import Upkeep

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
    """User tokens issued up to then, in s, are refused: the password was changed."""


class Grant(NamedTuple):
    """What a user may do in a project: the bits of a token's `pms`, never 0."""

    user_id: int
    permissions: int


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


class Storage(Upkeep):
    """One database."""

    # -- life ------------------------------------------------------------------

    @abc.abstractmethod
    def close(self) -> None:
        """Close every connection; calls after it fail."""

    @abc.abstractmethod
    def check(self) -> None:
        """Ask the database anything; raises StorageUnavailable when it does not answer."""

    # -- keys and revocations --------------------------------------------------

    @abc.abstractmethod
    def signing_keys(self) -> Sequence[bytes]:
        """Return the secrets of the key ring, newest first; never empty."""

    @abc.abstractmethod
    def revoke(self, project_id: int, device_id: Optional[str], before_s: float) -> None:
        """Refuse tokens issued up to `before_s`; of one device, or (None) of all the project's."""

    @abc.abstractmethod
    def revoked_before(self, project_id: int, device_id: Optional[str]) -> float:
        """Return the latest `before_s` that concerns such a token; 0.0 when none does."""

    # -- projects --------------------------------------------------------------

    @abc.abstractmethod
    def create_project(self, name: str, created: int, owner: Optional[Grant] = None) -> Project:
        """Create a project, with its first grant if one is given; raises AlreadyExists."""

    @abc.abstractmethod
    def create_first_project(self, name: str, created: int) -> Optional[Project]:
        """Create project 1 unless there is any; None when there is. Atomic across processes."""

    @abc.abstractmethod
    def project(self, project_id: int) -> Optional[Project]: ...

    @abc.abstractmethod
    def projects(self) -> Sequence[Project]: ...

    @abc.abstractmethod
    def rename_project(self, project_id: int, name: str) -> bool:
        """Name a project anew; False when it has that name.

        Raises:
            NotFound: no such project.
            AlreadyExists: another project has the name.
        """

    # -- users, and what they may do -------------------------------------------

    @abc.abstractmethod
    def create_user(self, user: User, password_hash: str, invite: Optional[str] = None) -> User:
        """Store a new user and return it with its id.

        Args:
            user: `user_id` does not count.
            password_hash: as `Passwords.hash` gives it.
            invite: digest of the invite to use up, which must be good at `user.created`;
                None needs none.

        Raises:
            AlreadyExists: user name or e-mail is a user name or e-mail already, whatever
                its case: either can be used to sign in.
            NotPermitted: no such invite, used or expired; nothing was stored.
        """

    @abc.abstractmethod
    def user(self, user_id: int) -> Optional[User]: ...

    @abc.abstractmethod
    def credentials(self, name: str) -> Optional[tuple[User, str]]:
        """Return the user of that name or e-mail, whatever its case, and the password's hash."""

    @abc.abstractmethod
    def change_user(self, user: User) -> bool:
        """Store a user's names anew; False when that changed nothing.

        Raises:
            NotFound: no such user.
            AlreadyExists: as for `create_user`.
        """

    @abc.abstractmethod
    def set_password(self, user_id: int, password_hash: str, changed_s: float) -> None:
        """Store a new hash; user tokens issued up to `changed_s` are refused from now on."""

    @abc.abstractmethod
    def add_invite(self, digest: str, expires: int) -> None:
        """Store the digest of an invite, good for one user until `expires`, in s."""

    @abc.abstractmethod
    def has_invite(self, digest: str, now: int) -> bool: ...

    @abc.abstractmethod
    def permissions(self, project_id: int, user_id: int) -> int:
        """Return the bits of what a user may do in a project; 0 is nothing."""

    @abc.abstractmethod
    def set_permissions(self, project_id: int, user_id: int, permissions: int) -> int:
        """Grant exactly these, 0 removes; returns what was granted before.

        Raises:
            NotFound: no such project or user.
        """

    @abc.abstractmethod
    def grants(self, project_id: int) -> Sequence[Grant]:
        """Return the grants of a project in the order of user ids."""

    @abc.abstractmethod
    def projects_of(self, user_id: int) -> Sequence[tuple[Project, int]]:
        """Return the projects a user may do something in, with what, in the order of ids."""

    @abc.abstractmethod
    def colleagues(self, user_id: int) -> Sequence[User]:
        """Return everybody who shares a project with a user, and the user, by id."""

    # -- namespaces ------------------------------------------------------------

    @abc.abstractmethod
    def namespaces(self, project_id: int, name: Optional[str] = None) -> Sequence[Namespace]:
        """Return the project's namespaces, or the one of that name, in the order of ids."""

    @abc.abstractmethod
    def create_namespace(
        self,
        project_id: int,
        name: str,
        partitioning_field: str,
        fields: Mapping[str, Kind],
        labels: Mapping[str, Label],
        created: int,
    ) -> Namespace:
        """Create a namespace.

        Raises:
            AlreadyExists: the project has one of that name.
            NotFound: no such project.
        """

    @abc.abstractmethod
    def change_namespace(
        self,
        project_id: int,
        namespace_id: int,
        fields: Mapping[str, Kind],
        labels: Mapping[str, Label],
        modified: int,
    ) -> None:
        """Add the fields that are new, replace the labels.

        Raises:
            NotFound: the project has no such namespace.
            TypeConflict: a field is there with another kind; nothing was changed.
        """

    # -- devices ---------------------------------------------------------------

    @abc.abstractmethod
    def register_device(self, device: Device, named: bool) -> Device:
        """Register a device and return it as stored.

        Args:
            device: the new registration.
            named: the name was asked for. A name that was derived from the id gets a
                suffix where it is taken: nobody asked for it, nobody should fail over it.

        Raises:
            DuplicateDeviceId: also when both id and name are taken.
            DuplicateDeviceName: another device of the project has the name.
            NotFound: no such project.
        """

    @abc.abstractmethod
    def device(self, project_id: int, device_id: str) -> Optional[Device]: ...

    @abc.abstractmethod
    def device_named(self, project_id: int, name: str) -> Optional[Device]: ...

    @abc.abstractmethod
    def devices(self, project_id: int, offset: int, count: Optional[int]) -> Sequence[Device]:
        """Return devices in the order of their ids."""

    @abc.abstractmethod
    def change_device(
        self, project_id: int, device_id: str, name: Optional[str], kind: Optional[str]
    ) -> bool:
        """Set name and type where given; False when that changed nothing.

        Raises:
            NotFound: not registered.
            DuplicateDeviceName: another device of the project has the name.
        """

    @abc.abstractmethod
    def delete_device(self, project_id: int, device_id: str) -> bool:
        """End a registration; its data stay. False when there was none."""

    # -- points ----------------------------------------------------------------

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
    def series(
        self, project_id: int, namespace: str, device_id: Optional[str], name: Optional[str]
    ) -> Sequence[Series]:
        """Return series in the order of device and name; None stands for all."""

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
            series: of any kinds; none yields nothing.
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
