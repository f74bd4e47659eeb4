"""``/v1/activity``: when each device has last sent, and which have fallen silent."""

from __future__ import annotations

from math import inf
from typing import Callable

import falcon
import msgspec

from iobeam_server.api import queries, shapes
from iobeam_server.api.access import Access, Resource, claims_of
from iobeam_server.api.operations import (
    BOOLEAN,
    NATURAL,
    TEXT,
    TIMEFMT,
    Operation,
    Parameter,
    Reply,
)
from iobeam_server.rights.reach import own_device
from iobeam_server.rules import units
from iobeam_server.storage.catalog.activity import Active
from iobeam_server.storage.store import Storage

MINUTE_US = units.UNITS_US["m"]


class Activity(Resource):
    """``/v1/activity/PROJECT[/DEVICE]``."""

    access = {"GET": Access.PROJECT_READ}
    pool = "queries"
    timeout = "query_timeout_s"
    operations = {
        "GET": Operation(
            {200: Reply("The devices found.", shapes.Activity)},
            [
                Parameter("find", TEXT, "Only devices with it in id, name, type or a series."),
                Parameter("silent", BOOLEAN, "Only those that have fallen silent, or have not."),
                Parameter("offset", NATURAL, "Devices to leave out at the beginning; 0."),
                Parameter("count", NATURAL, "Devices to answer at most; all."),
                TIMEFMT,
            ],
            refusals=[422],
        )
    }

    def __init__(self, store: Storage, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, device_id: str = "all"
    ) -> None:
        """Answer the devices that are registered, or have data, with what they have last sent.

        Path: ``all`` or nothing stands for every device. Query, all optional: ``find``, a
        text that id, name, type or the name of a series holds, in any case; ``silent`` true
        or false; ``offset``, ``count``; ``timefmt`` sec | msec | usec | timeval.

        Needs a project token with read; a device token sees its own device only.

        Answers: 200 ``{"devices": [{device_id, device_name?, device_type?, series, last,
        usual_ms, silent}], "total", "silent"}``, the silent ones first, then by the minutes
        since ``last``, then by id; 400/1; 401; 403; 422/3 it took too long. A device is
        silent after five of its usual steps (the median of its last 20), and after a minute
        at least. Points of the future, by the server's clock, do not count.
        """
        project = queries.project_id(project_id)
        device = own_device(claims_of(req), project, device_id)
        timefmt = queries.time_format(req)
        text = (queries.text(req, "find") or "").casefold()
        silent = queries.boolean(req, "silent")
        offset = min(queries.integer(req, "offset", least=0) or 0, 2**62)
        count = queries.integer(req, "count", least=0)
        now_us = int(self._clock() * 1_000_000)
        found = [
            one
            for one in self._store.activity.of_project(project, now_us, device)
            if silent in (None, one.is_silent) and _has(one, text)
        ]
        found.sort(key=lambda one: _rank(one, now_us))  # which keeps the order of ids
        listed = found[offset : None if count is None else offset + count]
        resp.data = msgspec.json.encode(
            shapes.Activity(
                [_shown(one, timefmt) for one in listed],
                len(found),
                sum(one.is_silent for one in found),
            )
        )


def _rank(device: Active, now_us: int) -> tuple[bool, float]:
    # in minutes: those that send all the time stay where they are in a list
    age = inf if device.last is None else (now_us - device.last) // MINUTE_US
    return not device.is_silent, age


def _has(device: Active, text: str) -> bool:
    texts = (device.device_id, device.device_name or "", device.device_type or "", *device.names)
    return any(text in one.casefold() for one in texts)


def _shown(device: Active, timefmt: str) -> shapes.ActiveDevice:
    last = None if device.last is None else units.format_time(device.last, timefmt)
    return shapes.ActiveDevice(
        device_id=device.device_id,
        device_name=shapes.maybe(device.device_name),
        device_type=shapes.maybe(device.device_type),
        series=list(device.names),
        last=shapes.Timeval(**last) if isinstance(last, dict) else last,
        usual_ms=None if device.usual is None else device.usual // 1_000,
        silent=device.is_silent,
    )
