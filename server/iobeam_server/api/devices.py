"""``/v1/devices``: registrations, and the server's clock."""

from __future__ import annotations

from typing import Callable, Optional

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import (
    NATURAL,
    PROJECT_ID,
    TEXT,
    TIMEFMT,
    Operation,
    Parameter,
    Reply,
)
from iobeam_server.errors import BadRequest, NotFound
from iobeam_server.rights.reach import check_device, check_project
from iobeam_server.rules.names import ProjectId, check_device_id, check_text, new_device_id
from iobeam_server.rules.units import format_time
from iobeam_server.storage.base import Device
from iobeam_server.storage.store import Storage


class Registration(msgspec.Struct):
    """Body of a registration."""

    project_id: ProjectId
    device_id: Optional[str] = None
    device_name: Optional[str] = None
    device_type: Optional[str] = None
    # `created`, which the Java client sends, is its clock's opinion: ours is answered


class DeviceChange(msgspec.Struct):
    """Body of a change of a device."""

    project_id: Optional[ProjectId] = None
    device_id: Optional[str] = None
    device_name: Optional[str] = None
    device_type: Optional[str] = None


class Devices(Resource):
    """``/v1/devices``."""

    access = {"GET": Access.PROJECT, "POST": Access.PROJECT_WRITE}
    operations = {
        "GET": Operation(
            {200: Reply("The devices, or the one.", (shapes.DeviceList, shapes.Device))},
            [
                PROJECT_ID,
                Parameter("name", TEXT, "Name of one device."),
                Parameter("offset", NATURAL, "Devices to leave out at the beginning; 0."),
                Parameter("count", NATURAL, "Devices to answer at most; all."),
            ],
            refusals=[404],
        ),
        "POST": Operation(
            {201: Reply("The device.", shapes.Device)}, body=[Registration], refusals=[422]
        ),
    }

    def __init__(self, store: Storage, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._decoder = msgspec.json.Decoder(Registration)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Register a device.

        Body: ``project_id`` int, ``device_id`` str?, ``device_name`` str?,
        ``device_type`` str?. Without an id one is made; without a name the id serves.

        Needs a project token with write; a device token only for its own device.

        Answers: 201 the device; 400/1; 401; 403; 422/150 id taken (also when the
        name is too), 422/151 name taken.
        """
        body = bodies.decode(req, self._decoder)
        claims = claims_of(req)
        check_project(claims, body.project_id)
        device_id = body.device_id
        if device_id is None:
            device_id = claims.did or new_device_id()
        check_device_id(device_id)
        check_device(claims, device_id)
        if body.device_name is not None:
            check_text("device_name", body.device_name)
        if body.device_type is not None:
            check_text("device_type", body.device_type)
        device = self._store.devices.register(
            Device(
                body.project_id,
                device_id,
                body.device_name or device_id,
                body.device_type,
                int(self._clock()),
            ),
            named=body.device_name is not None,
        )
        resp.status = falcon.HTTP_201
        resp.data = msgspec.json.encode(_shown(device))

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the project's devices, or (``name``) answer the one of that name.

        Query: ``project_id`` int?, ``offset`` and ``count`` int?; or ``name``. A
        device token sees its own device only.

        Answers: 200 ``{"devices": [...]}`` in the order of ids, or one device; 404/32.
        """
        claims = claims_of(req)
        project_id = queries.integer(req, "project_id")
        if project_id is not None:
            check_project(claims, project_id)
        name = queries.text(req, "name")
        if name is not None:
            device = self._store.devices.named(claims.pid, name)
            if device is None or claims.did not in (None, device.device_id):
                raise NotFound(f"there is no device named {name!r:.80}")
            resp.data = msgspec.json.encode(_shown(device))
            return
        offset = min(queries.integer(req, "offset", least=0) or 0, 2**62)
        count = queries.integer(req, "count", least=0)
        if claims.did is not None:
            own = self._store.devices.get(claims.pid, claims.did)
            found = [own] if own else []
            found = found[offset : None if count is None else offset + count]
        else:
            limit = None if count is None else min(count, 2**62)
            found = list(self._store.devices.page(claims.pid, offset, limit))
        resp.data = msgspec.json.encode(shapes.DeviceList([_shown(device) for device in found]))


class OneDevice(Resource):
    """``/v1/devices/ID``."""

    access = {
        "GET": Access.PROJECT,
        "PATCH": Access.PROJECT_WRITE,
        "DELETE": Access.PROJECT_WRITE,
    }
    operations = {
        "GET": Operation({200: Reply("The device.", shapes.Device)}, refusals=[404]),
        "PATCH": Operation(
            {200: Reply("The device.", shapes.Device), 204: Reply("Nothing changed.")},
            body=[DeviceChange],
            refusals=[404, 422],
        ),
        "DELETE": Operation({204: Reply("It is no longer registered.")}, refusals=[404]),
    }

    def __init__(self, store: Storage, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._decoder = msgspec.json.Decoder(DeviceChange)

    def on_get(self, req: falcon.Request, resp: falcon.Response, device_id: str) -> None:
        """Answer one device; 404/32 when it is not registered."""
        check_device(claims_of(req), device_id)
        resp.data = msgspec.json.encode(self._found(req, device_id))

    def on_patch(self, req: falcon.Request, resp: falcon.Response, device_id: str) -> None:
        """Change name or type: 200 the device, 204 when nothing changed, 404/32, 422/151."""
        claims = claims_of(req)
        check_device(claims, device_id)
        body = bodies.decode(req, self._decoder)
        if body.project_id is not None:
            check_project(claims, body.project_id)
        if body.device_id not in (None, device_id):
            raise BadRequest("the id of a device cannot be changed")
        if body.device_name is not None:
            check_text("device_name", body.device_name)
        if body.device_type is not None:
            check_text("device_type", body.device_type)
        if not self._store.devices.change(
            claims.pid, device_id, body.device_name, body.device_type
        ):
            resp.status = falcon.HTTP_204
            return
        resp.data = msgspec.json.encode(self._found(req, device_id))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, device_id: str) -> None:
        """End the registration, keep the data: 204, or 404/32.

        The tokens that are limited to the device end, also for when it is registered again.
        """
        claims = claims_of(req)
        check_device(claims, device_id)
        if not self._store.devices.delete(claims.pid, device_id, self._clock):
            raise NotFound(f"device {device_id!r:.80} is not registered")
        resp.status = falcon.HTTP_204

    def _found(self, req: falcon.Request, device_id: str) -> shapes.Device:
        device = self._store.devices.get(claims_of(req).pid, device_id)
        if device is None:
            raise NotFound(f"device {device_id!r:.80} is not registered")
        return _shown(device)


class Timestamp(Resource):
    """``/v1/devices/timestamp``."""

    access = {"GET": Access.PROJECT}
    operations = {"GET": Operation({200: Reply("The time.", shapes.ServerTimestamp)}, [TIMEFMT])}

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the server's clock in the unit of ``timefmt``, milliseconds by default."""
        now = int(self._clock() * 1_000_000)
        shown = format_time(now, queries.time_format(req))
        time = shown if isinstance(shown, int) else shapes.Timeval(**shown)
        resp.data = msgspec.json.encode(shapes.ServerTimestamp(time))


def _shown(device: Device) -> shapes.Device:
    return shapes.Device(
        project_id=device.project_id,
        device_id=device.device_id,
        device_name=device.device_name,
        device_type=shapes.maybe(device.device_type),
        created=shapes.date(device.created),
    )
