"""A device: what the backend knows a sender as."""
from __future__ import absolute_import

from iobeam.utils import utils


class Device(object):
    """A registered device.

    Args:
        projectId (int): the project it belongs to, above 0.
        deviceId (str): its id, unique in the project.
        deviceName (str or None): a name for people, unique in the project.

    Raises:
        ValueError: project id or device id are not valid.
    """

    def __init__(self, projectId, deviceId, deviceName=None):
        utils.checkValidProjectId(projectId)
        utils.checkValidDeviceId(deviceId)
        self.projectId = projectId
        self.deviceId = deviceId
        self.deviceName = deviceName

    def __repr__(self):
        return "Device({!r}, {!r}, deviceName={!r})".format(
            self.projectId, self.deviceId, self.deviceName)
