"""Registrations of the fake backend."""
from __future__ import absolute_import

import collections
import re
import uuid

from iobeam.fake import answers
from iobeam.fake.answers import Answer, Refusal, badRequest
from iobeam.utils import compat, utils

ID_TAKEN, NAME_TAKEN = 150, 151
_MAX_NAME = 256  # characters
_CONTROL = re.compile(u"[\x00-\x1f\x7f]")


class Registry(object):
    """The devices of every project.

    Attributes:
        names (dict): id to name. Ids that a test puts in are registered in
            every project.
    """

    def __init__(self):
        self.names = collections.OrderedDict()
        self._shown = {}  # (project, id) to the device as answers show it
        self._ids = set()  # the ids in there

    def isKnown(self, projectId, deviceId):
        return deviceId in self.names and (
            (projectId, deviceId) in self._shown or deviceId not in self._ids)

    def add(self, projectId, deviceId, name=None, kind=None):
        """Register a device and return it as answers show it."""
        taken = [device["device_name"] for device
                 in self._of(projectId).values()]
        if self.isKnown(projectId, deviceId):
            raise Refusal(422, ID_TAKEN, "device id {} is already registered"
                          .format(utils.shorten(deviceId)))
        if name in taken:
            raise Refusal(422, NAME_TAKEN, "device name {} is already in use"
                          .format(utils.shorten(name)))
        if name is None:
            name = deviceId if deviceId not in taken else \
                deviceId + "-" + uuid.uuid4().hex[:8]
        self.names[deviceId] = name
        shown = _shown(projectId, deviceId, name)
        if kind is not None:
            shown["device_type"] = kind
        self._shown[projectId, deviceId] = shown
        self._ids.add(deviceId)
        return shown

    def register(self, body, claims):
        """Answer ``POST devices``."""
        body = body if isinstance(body, dict) else {}
        projectId = body.get("project_id")
        if not (compat.isInteger(projectId) and projectId > 0):
            raise badRequest("project_id must be an integer above 0")
        texts = [body.get(name) for name in ("device_id", "device_name",
                                             "device_type")]
        if not all(isinstance(value, compat.TEXTS + (type(None),))
                   for value in texts):
            raise badRequest("device_id, device_name and device_type must be "
                             "strings")
        answers.checkProject(claims, projectId)
        deviceId, name, kind = texts
        if deviceId is None:
            deviceId = claims.get("did") or uuid.uuid4().hex[:24]
        answers.checkDeviceId(deviceId)
        answers.checkDevice(claims, deviceId)
        for value in (name, kind):
            _checkText(value)
        return Answer(201, self.add(projectId, deviceId, name, kind))

    def listed(self, params, claims):
        """Answer ``GET devices``: all, or with ``name`` the one."""
        projectId = params.integer("project_id")
        if projectId is not None:
            answers.checkProject(claims, projectId)
        found = [device for _, device
                 in sorted(self._of(claims.get("pid", projectId)).items())
                 if claims.get("did") in (None, device["device_id"])]
        name = params.text("name")
        if name is not None:
            return _only([device for device in found
                          if device["device_name"] == name], name)
        start = params.integer("offset", least=0) or 0
        count = params.integer("count", least=0)
        return Answer(200, {"devices": found[start:][:count]})

    def one(self, deviceId, claims):
        """Answer ``GET devices/ID``."""
        answers.checkDevice(claims, deviceId)
        found = self._of(claims.get("pid", 1)).get(deviceId)
        return _only([found] if found else [], deviceId)

    def _of(self, projectId):
        return dict(
            (deviceId, self._shown.get((projectId, deviceId))
             or _shown(projectId, deviceId, name))
            for deviceId, name in self.names.items()
            if self.isKnown(projectId, deviceId))


def _shown(projectId, deviceId, name):
    return {"project_id": projectId, "device_id": deviceId,
            "device_name": name,
            "created": answers.shownDate(utils.time.time())}


def _only(found, name):
    if not found:
        raise Refusal(404, answers.NOT_FOUND, "device {} is not registered"
                      .format(utils.shorten(name)))
    return Answer(200, found[0])


def _checkText(value):
    if value is not None and (not value.strip() or len(value) > _MAX_NAME
                              or _CONTROL.search(value)):
        raise badRequest("a name or type has 1 to {} characters, none of them "
                         "a control character".format(_MAX_NAME))
