"""The shapes of answers: what resources encode, and what the description of the API shows."""

from __future__ import annotations

import time
from typing import Annotated, Any, Optional, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType

Id = Annotated[int, Meta(ge=1)]
Date = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} \+0000$",
        examples=["2016-10-04 09:55:13 +0000"],
    ),
]
MaybeText = Union[str, UnsetType]
"""Left out where there is none: no answer holds a null key (wire notes 5.1)."""


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """Base: an answer has the keys named, and no others."""


class Nothing(Shape):
    """An empty object."""


class About(Shape):
    """What answers here, and where more is to be found."""

    name: str
    version: str
    page: str
    openapi: str
    ping: str


class Timeval(Shape):
    """A time in two numbers, with ``timefmt=timeval``."""

    sec: int
    usec: Annotated[int, Meta(ge=0, lt=1_000_000)]


Time = Union[int, Timeval]
Scalar = Union[bool, int, float, str]


class Error(Shape):
    """Why a request was refused."""

    code: int
    message: Annotated[str, Meta(min_length=1)]
    details: MaybeText = UNSET
    row: Annotated[
        Union[int, UnsetType], Meta(description="Index of the first bad row of the request.")
    ] = UNSET
    field: Annotated[MaybeText, Meta(description="Name of the bad field.")] = UNSET


class Errors(Shape):
    """Body of every refusal."""

    errors: Annotated[list[Error], Meta(min_length=1)]


class Device(Shape, kw_only=True):
    """A registration."""

    project_id: Id
    device_id: str
    device_name: str
    device_type: MaybeText = UNSET
    created: Date


class DeviceList(Shape):
    devices: list[Device]


class ActiveDevice(Shape, kw_only=True):
    """A device, and when it has last sent; null where that is not known."""

    device_id: str
    device_name: MaybeText = UNSET
    device_type: MaybeText = UNSET
    series: list[str]
    last: Annotated[
        Union[int, Timeval, None], Meta(description="Time of the newest point; null: it has none.")
    ]
    usual_ms: Annotated[
        Optional[int], Meta(description="Usual step between its points; null: fewer than two.")
    ]
    silent: Annotated[
        bool, Meta(description="Nothing came for five usual steps, and for a minute at least.")
    ]


class Activity(Shape):
    """Devices; those that have fallen silent first, then by what they have last sent."""

    devices: list[ActiveDevice]
    total: Annotated[int, Meta(description="Devices found, beyond those listed.")]
    silent: Annotated[int, Meta(description="How many of them are silent.")]


class Deleted(Shape):
    deleted: Annotated[int, Meta(ge=0)]


class ServerTimestamp(Shape):
    """The server's clock."""

    server_timestamp: Time


class Point(Shape):
    time: Time
    value: Optional[Scalar]


class ExportedSeries(Shape):
    """The points of one series of one device, ascending in time."""

    project_id: Id
    device_id: Optional[str]
    name: str
    data: Annotated[list[Point], Meta(min_length=1)]


class Exported(Shape):
    """One element per device and series that has points."""

    result: list[ExportedSeries]
    timefmt: str


class Summary(Shape, rename={"least": "min", "greatest": "max"}):
    """What the points of a bucket add up to; null where nothing does, as of texts."""

    time: Time
    count: Annotated[int, Meta(ge=1)]
    least: Optional[Scalar]
    mean: Union[int, float, None]
    greatest: Optional[Scalar]


class SummarizedSeries(Shape):
    """The buckets of one series of one device, ascending in time."""

    project_id: Id
    device_id: Optional[str]
    name: str
    data: Annotated[list[Summary], Meta(min_length=1)]


class Summarized(Shape):
    """One element per device and series that has points."""

    result: list[SummarizedSeries]
    timefmt: str
    width_ms: Union[int, float, None]


class Rows(Shape):
    """A table; `fields` names its columns, time first."""

    fields: Annotated[list[str], Meta(min_length=1)]
    values: list[list[Union[bool, int, float, str, Timeval, None]]]


class RowsFound(Shape):
    """One table, or none when nothing was found."""

    result: Annotated[list[Rows], Meta(max_length=1)]


class Namespace(Shape):
    """A table of a project."""

    namespace_id: Id
    project_id: Id
    namespace_name: str
    partitioning_field: str
    fields: dict[str, str]
    labels: dict[str, Scalar]
    created: Date
    last_modified: Date


class NamespaceList(Shape):
    namespaces: list[Namespace]


class UserToken(Shape):
    """A token of a user."""

    token: str
    expires: Date
    created: Date
    user_id: Id


class ProjectToken(Shape):
    """A token of a project, and what it permits."""

    token: str
    expires: Date
    created: Date
    project_id: Id
    user_id: int
    read: bool
    write: bool
    admin: bool
    refreshable: bool
    device_id: MaybeText = UNSET


class User(Shape):
    """An account."""

    user_id: Id
    username: str
    email: str
    first_name: MaybeText = UNSET
    last_name: MaybeText = UNSET
    company_name: MaybeText = UNSET
    url: MaybeText = UNSET


class UserList(Shape):
    users: list[User]


class Project(Shape):
    """A project."""

    project_id: Id
    project_name: str
    created: Date


class Flags(Shape):
    """What one user may do."""

    read: bool
    write: bool
    admin: bool


class OwnProject(Project):
    """A project, and what the asker may do in it."""

    permissions: Flags


class ProjectList(Shape):
    projects: list[OwnProject]


class UserId(Shape):
    user_id: Id


class Grants(Shape):
    """Who may do what."""

    read: list[UserId]
    write: list[UserId]
    admin: list[UserId]


class WholeProject(Project):
    """A project, and who may do what in it."""

    permissions: Grants


class Permissions(Shape):
    permissions: Grants


AnyObject = dict[str, Any]


def maybe(text: Optional[str]) -> MaybeText:
    """Return a text, or what is left out."""
    return UNSET if text is None else text


def date(seconds: int) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS +0000``, which every client parses (wire notes 4)."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(seconds))
