"""``/v1/devices``: registration and the server's clock."""
from __future__ import absolute_import

from iobeam.endpoints import service
from iobeam.http import call, request
from iobeam.http.request import DuplicateIdError, DuplicateNameError
from iobeam.resources import device
from iobeam.utils import compat, utils

__all__ = ["DeviceService", "DuplicateIdError", "DuplicateNameError"]


class DeviceService(service.EndpointService):
    """Registers devices, lists them, and asks for the time."""

    PAGE = 1000  # devices of one answer

    def getTimestamp(self):
        """Return the server's clock in milliseconds, or -1 on any failure.

        Raises:
            UnauthorizedError: no token.
        """
        self._checkToken()
        req = self.requester().get(self.makeEndpoint("devices/timestamp"))
        req.token(self.token)
        try:
            req.execute()
            status, answer = req.getResponseCode(), req.getResponse()
        except Exception as error:  # no way of asking may end a build()
            utils.getLogger().debug("asking the server's time: %s",
                                    type(error).__name__)
            return -1
        if status != 200 or not isinstance(answer, dict):
            return -1
        moment = answer.get("server_timestamp")
        return moment if compat.isInteger(moment) else -1

    def registerDevice(self, projectId, deviceId=None, deviceName=None):
        """Register a device.

        With an id it is repeated freely after a failure, and "already
        registered" after an attempt whose answer was lost counts as success.
        Without one a repeat could leave a device that nobody knows, so there
        is one only if the first request cannot have arrived.

        Args:
            projectId (int): the project.
            deviceId (str or None): None lets the backend choose.
            deviceName (str or None): None lets the backend choose.

        Returns:
            Device: with the id and name that the backend gave.

        Raises:
            DuplicateIdError, DuplicateNameError: taken in this project.
            UnauthorizedError: no token, or one that the backend refuses.
            UnknownCodeError: another refusal.
            Error: an answer without an id.
            ValueError: an argument is not valid.
        """
        utils.checkValidProjectId(projectId)
        self._checkToken()
        body = {"project_id": projectId}
        if deviceId is not None:
            utils.checkValidDeviceId(deviceId)
            body["device_id"] = deviceId
        checkDeviceName(deviceName)
        if deviceName:
            body["device_name"] = deviceName
        req = self.requester().post(self.makeEndpoint("devices"))
        req.token(self.token).setBody(body)
        with call.current() as running:
            outer = running.repeatsUnsafe
            running.repeatsUnsafe = deviceId is not None
            try:
                req.execute()
            finally:
                running.repeatsUnsafe = outer
            inDoubt = running.inDoubt
        code = req.getResponseCode()
        if req.hasApiErrorCode(request.ERROR_CODE_DUPLICATE_DEVICE_ID):
            if inDoubt and deviceId is not None:
                return device.Device(projectId, deviceId, deviceName)
            raise DuplicateIdError(statusCode=code,
                                   apiErrors=req.getApiErrors())
        if req.hasApiErrorCode(request.ERROR_CODE_DUPLICATE_DEVICE_NAME):
            raise DuplicateNameError(req)
        if code in (200, 201):
            return _registered(req, projectId)
        if code == 403:
            raise request.UnauthorizedError(
                "Invalid credentials." + _wordsOf(req), code,
                req.getApiErrors())
        self.raiseUnknownCodeError(req)

    def listDevices(self, projectId):
        """Return what is registered: a list of dicts, in the order of ids.

        They have ``device_id``, ``device_name`` and ``created``, as the
        backend writes it. A device's token sees its own device only.

        Raises:
            UnauthorizedError: no token, or one that the backend refuses.
            UnknownCodeError: another status than 200.
            Error: an answer without devices.
            ValueError: the project's id is not valid.
        """
        utils.checkValidProjectId(projectId)
        self._checkToken()
        found = []
        while True:
            page = self._page(projectId, len(found))
            known = set(one["device_id"] for one in found)
            found += [one for one in page if one["device_id"] not in known]
            if len(page) != self.PAGE:  # more: it knows no pages
                return found

    def _page(self, projectId, offset):
        req = self.requester().get(self.makeEndpoint("devices"))
        req.token(self.token).setParam("project_id", projectId) \
            .setParam("offset", offset).setParam("count", self.PAGE)
        req.execute()
        if req.getResponseCode() != 200:
            self.raiseUnknownCodeError(req)
        answer = req.getResponse()
        page = answer.get("devices") if isinstance(answer, dict) else None
        if not isinstance(page, list) or not all(
                isinstance(one, dict) and one.get("device_id")
                for one in page):
            raise request.Error("the answer is no list of devices: {}".format(
                req.describeAnswer()), req.getResponseCode())
        return page


def checkDeviceName(deviceName):
    """Check that a device name is None or a string (ValueError)."""
    if deviceName is not None and not isinstance(deviceName, compat.TEXTS):
        raise ValueError("deviceName must be a string, not {}".format(
            utils.shorten(deviceName)))


def _wordsOf(req):
    """What the backend says of it: a token that may only read is a good one."""
    said = (req.getApiError() or {}).get("message")
    if not said or not isinstance(said, compat.TEXTS):
        return ""
    return " The backend says: " + compat.toNative(said)


def _registered(req, projectId):
    answer = req.getResponse()
    deviceId = answer.get("device_id") if isinstance(answer, dict) else None
    try:
        return device.Device(projectId, deviceId, answer.get("device_name"))
    except (AttributeError, ValueError) as error:
        raise request.Error(
            "the answer to the registration holds no valid device_id ({}): {}"
            .format(error, req.describeAnswer()), req.getResponseCode())
