"""``/v1/namespaces``: tables of a project, their fields and labels."""

from __future__ import annotations

import re
from typing import Callable, Optional, Union

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import PROJECT_ID, TEXT, Operation, Parameter, Reply
from iobeam_server.config import MIB, Config
from iobeam_server.errors import BadRequest, NotFound, NotPermitted
from iobeam_server.rights.reach import check_project
from iobeam_server.rights.tokens import Claims
from iobeam_server.rules.names import ProjectId, check_name, check_text
from iobeam_server.rules.points import Kind
from iobeam_server.storage.base import INPUT, Label, Namespace
from iobeam_server.storage.store import Storage

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,256}", re.ASCII)  # as stream apps demand (wire notes 4)
# what may be declared; LONG and DOUBLE mix
_KINDS = {
    "DOUBLE": Kind.NUMBER,
    "LONG": Kind.NUMBER,
    "BOOLEAN": Kind.BOOLEAN,
    "STRING": Kind.TEXT,
}
_TYPES = {Kind.NUMBER: "DOUBLE", Kind.BOOLEAN: "BOOLEAN", Kind.TEXT: "STRING"}
MAX_LABELS = 100
MAX_LABEL_CHARS = 4_096

_Labels = dict[str, Union[bool, int, float, str, None]]


class NamespaceBody(msgspec.Struct):
    """A namespace as clients send it; they send back keys of ours, which do not count."""

    project_id: ProjectId
    namespace_name: Optional[str] = None
    partitioning_field: Optional[str] = None
    fields: Optional[dict[str, str]] = None
    labels: Optional[_Labels] = None
    namespace_id: Optional[int] = None


# a thousand fields with the longest names, a hundred labels with the longest texts, escaped
MAX_DESCRIPTION_BYTES = 4 * MIB


class Namespaces(Resource):
    """``/v1/namespaces``."""

    max_body_bytes = MAX_DESCRIPTION_BYTES
    access = {"GET": Access.PROJECT_READ, "POST": Access.PROJECT_WRITE}
    operations = {
        "GET": Operation(
            {200: Reply("The namespaces found.", shapes.NamespaceList)},
            [
                PROJECT_ID,
                Parameter("namespace_name", TEXT, "Name of one namespace."),
                Parameter("name", TEXT, "The same."),
            ],
        ),
        "POST": Operation(
            {201: Reply("The namespace.", shapes.Namespace, headers={"Location": "Its path."})},
            body=[NamespaceBody],
            refusals=[422],
        ),
    }

    def __init__(self, store: Storage, config: Config, clock: Callable[[], float]) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._decoder = msgspec.json.Decoder(NamespaceBody)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the project's namespaces, or those of one name.

        Query: ``namespace_name`` or ``name``, ``project_id``, all optional.

        Answers: 200 ``{"namespaces": [...]}``, also for a name that nothing has.
        """
        claims = claims_of(req)
        project_id = queries.integer(req, "project_id")
        if project_id is not None:
            check_project(claims, project_id)
        name = queries.text(req, "namespace_name") or queries.text(req, "name")
        found = self._store.namespaces.find(claims.pid, name)
        resp.data = msgspec.json.encode(shapes.NamespaceList([_shown(one) for one in found]))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a namespace.

        Body: ``project_id`` int, ``namespace_name`` str, ``partitioning_field`` str
        (default device_id): what tells rows of one time apart, always text;
        ``fields`` {name: DOUBLE | LONG | BOOLEAN | STRING}?; ``labels`` {name: scalar}?.

        Needs a project token with write, not limited to a device.

        Answers: 201 the namespace, with ``Location``; 400/1; 401; 403; 422/3 a field
        name or label that cannot be; 422/33 the name is taken.
        """
        body = bodies.decode(req, self._decoder)
        claims = claims_of(req)
        check_project(claims, body.project_id)
        _check_not_of_device(claims)
        if body.namespace_name is None or not _NAME.fullmatch(body.namespace_name):
            raise BadRequest("namespace_name must be 1 to 256 of a-z, A-Z, 0-9, _ and -")
        key = body.partitioning_field or "device_id"
        check_name(key)
        made = self._store.namespaces.create(
            body.project_id,
            body.namespace_name,
            key,
            _declared(body, key, self._config.max_fields),
            _labels(body),
            int(self._clock()),
        )
        resp.status = falcon.HTTP_201
        resp.location = f"/v1/namespaces/{made.namespace_id}"
        resp.data = msgspec.json.encode(_shown(made))


class OneNamespace(Resource):
    """``/v1/namespaces/ID``."""

    max_body_bytes = MAX_DESCRIPTION_BYTES
    access = {"GET": Access.PROJECT_READ, "PUT": Access.PROJECT_WRITE}
    operations = {
        "GET": Operation({200: Reply("The namespace.", shapes.Namespace)}, refusals=[404]),
        "PUT": Operation({204: Reply("It is changed.")}, body=[NamespaceBody], refusals=[404, 422]),
    }

    def __init__(self, store: Storage, config: Config, clock: Callable[[], float]) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._decoder = msgspec.json.Decoder(NamespaceBody)

    def on_get(self, req: falcon.Request, resp: falcon.Response, namespace_id: str) -> None:
        """Answer one namespace of the token's project; 404/32."""
        resp.data = msgspec.json.encode(_shown(self._found(req, namespace_id)))

    def on_put(self, req: falcon.Request, resp: falcon.Response, namespace_id: str) -> None:
        """Add fields and replace the labels: 204.

        Body: the whole object. Fields that it leaves out stay, since imports may have
        added some; ``labels`` null or absent stay too. Name, partitioning field and
        the types of fields do not change (400/1, 422/3).

        Needs a project token with write, not limited to a device.
        """
        claims = claims_of(req)
        body = bodies.decode(req, self._decoder)
        check_project(claims, body.project_id)
        _check_not_of_device(claims)
        old = self._found(req, namespace_id)
        for name in ("namespace_id", "namespace_name", "partitioning_field"):
            if getattr(body, name) not in (None, getattr(old, name)):
                raise BadRequest(f"{name} of a namespace cannot be changed")
        labels = old.labels if body.labels is None else _labels(body)
        if old.namespace_name == INPUT:  # it always has these (the Grafana plug-in needs them)
            labels = {**labels, "device_id:distinct": True}
        self._store.namespaces.change(
            claims.pid,
            old.namespace_id,
            _declared(body, old.partitioning_field, self._config.max_fields),
            labels,
            int(self._clock()),
        )
        resp.status = falcon.HTTP_204

    def _found(self, req: falcon.Request, namespace_id: str) -> Namespace:
        for one in self._store.namespaces.find(claims_of(req).pid):
            if str(one.namespace_id) == namespace_id:
                return one
        raise NotFound(f"there is no namespace {namespace_id!r:.40}")


def _shown(namespace: Namespace) -> shapes.Namespace:
    """Return a namespace as answers show it; the partitioning field is one of its fields."""
    fields = {name: _TYPES[kind] for name, kind in namespace.fields.items()}
    return shapes.Namespace(
        namespace.namespace_id,
        namespace.project_id,
        namespace.namespace_name,
        namespace.partitioning_field,
        {namespace.partitioning_field: "STRING", **fields},
        dict(namespace.labels),
        shapes.date(namespace.created),
        shapes.date(namespace.last_modified),
    )


def _declared(body: NamespaceBody, key: str, most: int) -> dict[str, Kind]:
    """Return the fields a body declares, without the partitioning field."""
    fields = body.fields or {}
    if len(fields) > most:
        raise BadRequest(f"{len(fields)} fields, at most {most} are taken")
    found: dict[str, Kind] = {}
    for name, kind in fields.items():
        check_name(name)
        if kind.upper() not in _KINDS:
            raise BadRequest(
                f"field {name!r:.80}: the type must be one of {', '.join(_KINDS)}, not {kind!r:.40}"
            )
        if name == key:
            if _KINDS[kind.upper()] is not Kind.TEXT:
                raise BadRequest(f"the partitioning field {name!r:.80} must be STRING")
            continue
        found[name] = _KINDS[kind.upper()]
    return found


def _labels(body: NamespaceBody) -> dict[str, Label]:
    labels = body.labels or {}
    if len(labels) > MAX_LABELS:
        raise BadRequest(f"{len(labels)} labels, at most {MAX_LABELS} are taken")
    for name, value in labels.items():
        check_text("a label's name", name)
        if isinstance(value, str) and (len(value) > MAX_LABEL_CHARS or "\0" in value):
            raise BadRequest(
                f"label {name!r:.80} is longer than {MAX_LABEL_CHARS} characters or holds a NUL"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise BadRequest(f"label {name!r:.80} is outside the 64-bit integers")
    return {name: value for name, value in labels.items() if value is not None}


def _check_not_of_device(claims: Claims) -> None:
    if claims.did is not None:
        raise NotPermitted(f"the token is for device {claims.did!r} only")
